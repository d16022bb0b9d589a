"""Leases: who works on a sheet now, on this machine and on others that share the folders.

Two things together make an owner. A lock of the kernel (`flock`) on `claims/<sha256>.lock`, which
ends with its process, settles who is who on one machine, at once. A lease, the file
`claims/<sha256>.lease`, settles it between machines, where the mount may not pass locks on: it
names its owner, a heartbeat keeps its time fresh, and others take it over only once it has run out.

A lease is renewed through the open file: once another owner has moved it away, a late heartbeat
touches what nobody looks at any more. How the files come and go is in `lease_files`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sheetflow.custody.files import translated_errors
from sheetflow.custody.folders import Folders
from sheetflow.custody.lease_files import (
    LEASE_S,
    Owner,
    freshen,
    lock_claim,
    take_lease,
    token_at,
)
from sheetflow.errors import CustodyError

logger = logging.getLogger(__name__)

_BEATS = 4
_SAFE_PART = 0.8  # an owner gives up before others may begin, by what clocks and mounts may err


class LeaseLost(CustodyError):
    """This process no longer owns the sheet: it was held up for longer than its lease."""


@dataclass
class Lease:
    """A lease that this process holds; `check` tells whether it still does.

    Attributes:
        path: Its file.
        owner: We.
        descriptor: The open file.
        renewed_at_s: When, by our own clock.
        taken_from: The owner before us, if that was killed or fell silent.
        lost: Whether it is no longer ours.
    """

    path: Path
    owner: Owner
    descriptor: int
    renewed_at_s: float
    taken_from: Owner | None = None
    lost: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def renew(self) -> None:
        """Freshen the lease; one that was not renewed in time, or was taken away, is lost."""
        with self._lock:
            if self.lost or self._overdue():
                # Whoever looked meanwhile saw it run out: to renew it now would make two owners.
                self.lost = True
                return
            before = _clock_s()
            try:
                freshen(self.descriptor)
                self.lost = not self._stands()
            except OSError as error:
                logger.warning("The lease %s cannot be renewed now: %s", self.path.name, error)
                return
            self.renewed_at_s = before

    def check(self) -> None:
        """Go on only as the owner.

        Raises:
            LeaseLost: Another may have taken the sheet over.
        """
        with self._lock:
            with translated_errors(self.path):
                self.lost = self.lost or self._overdue() or not self._stands()
            if self.lost:
                raise LeaseLost(
                    "this run was held up for longer than its lease on the sheet, and another run "
                    "may work on it by now",
                    cure="Nothing more was done here; run again, or raise SHEETFLOW_LEASE_S if "
                    "this machine or mount often stalls",
                )

    def close(self) -> None:
        """Give the lease back, if it is still ours."""
        with self._lock:
            with contextlib.suppress(OSError):
                self.lost = self.lost or self._overdue() or not self._stands()
            os.close(self.descriptor)  # first: see `take_lease`
            with contextlib.suppress(OSError):
                if not self.lost:
                    self.path.unlink(missing_ok=True)
            self.lost = True

    def _overdue(self) -> bool:
        return _clock_s() - self.renewed_at_s > self.owner.lease_s * _SAFE_PART

    def _stands(self) -> bool:
        return token_at(self.path) == self.owner.token


class _Heart:
    """Renews every lease of this process, in one thread that ends with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._leases: dict[str, Lease] = {}
        self._pid = 0

    def add(self, lease: Lease) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._leases, self._pid = {}, os.getpid()  # a forked child has no thread
            first = not self._leases
            self._leases[lease.owner.token] = lease
            self._changed.notify()
            if first:
                threading.Thread(target=self._beat, name="lease heartbeat", daemon=True).start()

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._leases.pop(lease.owner.token, None)
            self._changed.notify()

    def held(self, path: Path) -> list[Lease]:
        with self._lock:
            return [lease for lease in self._leases.values() if lease.path == path]

    def _beat(self) -> None:
        while True:
            with self._lock:
                if not self._leases:
                    return
                pause_s = min(lease.owner.lease_s for lease in self._leases.values()) / _BEATS
                self._changed.wait(pause_s)
                due = [
                    lease
                    for lease in self._leases.values()
                    if _clock_s() - lease.renewed_at_s >= lease.owner.lease_s / _BEATS * 0.9
                ]
            for lease in due:
                lease.renew()


_heart = _Heart()


@contextlib.contextmanager
def owned(folders: Folders, sha256: str, *, lease_s: float = LEASE_S) -> Iterator[Lease]:
    """Own the sheet of this digest while the block runs.

    Raises:
        SheetBusy: Another thread, process or machine owns it.
    """
    lock_path = folders.claims / f"{sha256}.lock"
    with translated_errors(lock_path):
        lock, locked = lock_claim(lock_path)
    try:
        path, before_s = folders.claims / f"{sha256}.lease", _clock_s()
        with translated_errors(path):
            owner, descriptor, dead = take_lease(path, lease_s, locked=locked)
        lease = Lease(path, owner, descriptor, before_s, taken_from=dead)
        _heart.add(lease)
        try:
            yield lease
        finally:
            _heart.remove(lease)
            lease.close()
    finally:
        os.close(lock)


def check_lease(folders: Folders, sha256: str) -> None:
    """Go on with a sheet only if this process still owns it, where it ever took it.

    The fence before every step: a process that was stopped, swapped out or cut off from the mount
    for longer than its lease ends here, before it touches a file or a record.

    Raises:
        LeaseLost: Another may have taken the sheet over.
    """
    for lease in _heart.held(folders.claims / f"{sha256}.lease"):
        lease.check()


def remove_claim(folders: Folders, sha256: str) -> None:
    """Remove the lock file of a sheet of which nothing is left to own; its owner calls this."""
    with contextlib.suppress(OSError):  # the next start removes it
        (folders.claims / f"{sha256}.lock").unlink(missing_ok=True)


def _clock_s() -> float:
    # Goes on while the machine sleeps, as the others' clocks do; CLOCK_MONOTONIC would not.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
