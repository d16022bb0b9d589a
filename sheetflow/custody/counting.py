"""How many sheets a large folder holds, without listing it each time that someone asks.

A folder's time changes with every name that comes or goes, whoever does it. So a count is
remembered with that time, and holds for as long as the folder still has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from sheetflow.custody.names import is_ignored

_WORTH_REMEMBERING = 1_000
_SETTLED_S = 5.0
"""Two changes within one tick of a file system's clock leave one time: a younger time proves
nothing. The margin is also for a mount whose clock is a little behind ours."""


def count_sheets(folder: Path, *, memory: Path) -> int:
    """Return how many files a folder holds, what is no sheet by its name left out.

    Args:
        folder: The folder; a missing one is empty.
        memory: A file of ours that remembers the count of this folder. It need not exist, may be
            removed at any time, and if it cannot be written, the folder is listed again next time.
    """
    stamp = _stamp(folder)
    if stamp is None:
        return 0
    remembered = _remembered(memory, stamp)
    if remembered is not None:
        return remembered
    # By name alone: a Path for each would take ten times as long.
    count = sum(not is_ignored(name) for name in os.listdir(folder))  # noqa: PTH208
    settled = time.time() - stamp[-1] / 1e9 > _SETTLED_S
    if count >= _WORTH_REMEMBERING and settled and _stamp(folder) == stamp:
        _remember(memory, stamp, count)
    return count


def _stamp(folder: Path) -> list[int] | None:
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_dev, status.st_ino, status.st_mtime_ns]


def _remembered(memory: Path, stamp: list[int]) -> int | None:
    try:
        value = json.loads(memory.read_bytes())
        return int(value["count"]) if value["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(memory: Path, stamp: list[int], count: int) -> None:
    # Whole or not at all, but not synced: what a power cut takes is counted again.
    part = memory.with_name(f".{memory.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps({"stamp": stamp, "count": count}))
        part.replace(memory)
