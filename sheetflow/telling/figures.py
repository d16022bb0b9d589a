"""Figures of the runs: counted in memory, and added up across runs in one small file a machine.

Runs come and go, so nobody could ask them for their figures; the file outlives them. It is written
every few seconds and at the end of a run: one that is killed takes some seconds of counts with it,
which no one's sheets depend on.
"""

from __future__ import annotations

import bisect
import contextlib
import fcntl
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from sheetflow.custody.files import write_file
from sheetflow.custody.folders import Folders
from sheetflow.errors import SheetflowError

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the classes that durations are sorted into."""

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A figure's name and its labels, sorted."""

_TIMESTAMP = "_timestamp_seconds"
_WRITE_EVERY_S = 10.0

logger = logging.getLogger(__name__)


class Figures:
    """Sums of what happened since they were taken last; used by several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Series, float] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a figure."""
        self.add({(name, tuple(sorted(labels.items()))): amount})

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add a duration: to its class, and to the sum."""
        place = bisect.bisect_left(BUCKETS_S, seconds)
        bound = str(BUCKETS_S[place]) if place < len(BUCKETS_S) else "+Inf"
        self.count(f"{name}_class", 1, le=bound, **labels)
        self.count(f"{name}_sum", seconds, **labels)

    def mark(self, name: str, **labels: str) -> None:
        """Note that something happened just now; of several times, the last one counts."""
        self.count(f"{name}{_TIMESTAMP}", time.time(), **labels)

    def add(self, sums: Mapping[Series, float]) -> None:
        """Add sums that were taken elsewhere."""
        with self._lock:
            self._sums = added(self._sums, sums)

    def taken(self) -> dict[Series, float]:
        """Return the sums and begin again at nothing."""
        with self._lock:
            sums, self._sums = self._sums, {}
        return sums


FIGURES = Figures()
"""This process's own."""


def added(sums: dict[Series, float], more: Mapping[Series, float]) -> dict[Series, float]:
    """Add `more` to `sums`, in place; of times, the later one stays."""
    for series, value in more.items():
        if series[0].endswith(_TIMESTAMP):
            sums[series] = max(sums.get(series, 0.0), value)
        else:
            sums[series] = sums.get(series, 0.0) + value
    return sums


@contextlib.contextmanager
def figures_kept(folders: Folders) -> Iterator[None]:
    """Add this process's figures to the file, every few seconds and at the end of the block."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_WRITE_EVERY_S):
            keep_figures(folders)

    thread = threading.Thread(target=keep, name="sheetflow-figures", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        keep_figures(folders)


def keep_figures(folders: Folders) -> None:
    """Add this process's figures to the file of this machine; if it cannot be written, later."""
    sums = FIGURES.taken()
    if not sums:
        return
    path = folders.figures / f"{socket.gethostname()}.json"
    try:
        folders.figures.mkdir(mode=0o700, exist_ok=True)
        with path.with_suffix(".lock").open("a") as lock:
            with contextlib.suppress(OSError):  # a mount without locks loses a count now and then
                fcntl.flock(lock, fcntl.LOCK_EX)
            write_file(path, _to_json(added(_load(path), sums)))
    except (OSError, SheetflowError) as error:
        FIGURES.add(sums)
        logger.debug("The figures cannot be written now: %s", error)


def load_figures(folders: Folders) -> dict[Series, float]:
    """Return the sums of all runs, on all machines that share the folders."""
    sums: dict[Series, float] = {}
    for path in sorted(folders.figures.glob("*.json")):
        added(sums, _load(path))
    return sums


def _load(path: Path) -> dict[Series, float]:
    try:
        lines = json.loads(path.read_bytes())
        return {(name, tuple(sorted(labels.items()))): value for name, labels, value in lines}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # none yet, or spoiled: the sums begin anew, as after a restart


def _to_json(sums: Mapping[Series, float]) -> bytes:
    lines = [[name, dict(labels), value] for (name, labels), value in sorted(sums.items())]
    return json.dumps(lines, indent=0).encode()
