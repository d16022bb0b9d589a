"""Leases: who works on a sheet now, on this machine and on others that share the folders.

Two things together make an owner. A lock of the kernel (`flock`) on `claims/<sha256>.lock`, which
ends with its process, settles who is who on one machine, at once. A lease, the file
`claims/<sha256>.lease`, settles it between machines, where the mount may not pass locks on: it
names its owner, a heartbeat keeps its time fresh, and others take it over only once it has run out.

A lease appears whole under a name that must not exist yet (a hard link), and is renewed through the
open file: once another owner has moved it away, a late heartbeat touches what nobody looks at. Ages
are told by the clock of the mount, by which both files got their times, never by two machines' own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from uuid import uuid4

from sheetflow.errors import CustodyError, SheetBusy
from sheetflow.files import translated_errors
from sheetflow.folders import Folders

logger = logging.getLogger(__name__)

LEASE_S = 60.0
"""How long a lease lasts without a heartbeat, unless the settings say otherwise."""

_BEATS = 4
_SAFE_PART = 0.8  # an owner gives up before others may begin, by what clocks and mounts may err
_TRIES = 5
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


class LeaseLost(CustodyError):
    """This process no longer owns the sheet: it was held up for longer than its lease."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lease.

    Attributes:
        host: The machine's name, for people.
        boot_id: The kernel's id of this boot, which tells machines and reboots apart.
        pid: The process.
        since: When it took the lease, seconds since 1970 by its own clock, for people.
        lease_s: How long its lease lasts without a heartbeat.
        token: Random: tells this lease from every other one.
    """

    host: str
    boot_id: str
    pid: int
    since: float
    lease_s: float
    token: str

    @classmethod
    def now(cls, lease_s: float) -> Owner:
        """Return this process, with a new token."""
        return cls(socket.gethostname(), boot_id(), os.getpid(), time.time(), lease_s, uuid4().hex)


@dataclass
class Lease:
    """A lease that this process holds; `check` tells whether it still does."""

    path: Path
    owner: Owner
    descriptor: int
    renewed_at_s: float
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
                os.utime(self.descriptor)
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
                if not self.lost and not self._overdue() and self._stands():
                    self.path.unlink(missing_ok=True)
            self.lost = True
            os.close(self.descriptor)

    def _overdue(self) -> bool:
        return _clock_s() - self.renewed_at_s > self.owner.lease_s * _SAFE_PART

    def _stands(self) -> bool:
        # Opened, not looked up: that makes a network mount ask its server.
        try:
            there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return os.path.samestat(os.fstat(there), os.fstat(self.descriptor))
        finally:
            os.close(there)


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
        lock, locked = _locked(lock_path)
    try:
        with translated_errors(lock_path):
            lease = _taken(folders.claims / f"{sha256}.lease", lease_s, locked=locked)
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
    (folders.claims / f"{sha256}.lock").unlink(missing_ok=True)


@cache
def boot_id() -> str:
    """Return what tells this kernel, since its start, from every other machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        # Not Linux: the lock decides on this machine all the same, and leases run out.
        return f"{socket.gethostname()}-unknown"


def _locked(path: Path) -> tuple[int, bool]:
    """Lock the claim's file; return it, and whether the mount has locks at all."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _busy() from error
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor, False
            os.close(descriptor)
            raise
        # The owner before us may have removed the file after we opened it: then a third party
        # could lock a new one of that name, and two would own the sheet.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor, True
        os.close(descriptor)


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _taken(path: Path, lease_s: float, *, locked: bool) -> Lease:
    owner = Owner.now(lease_s)
    part = path.with_name(f".{path.stem}.{owner.token}.sheetflow.part")
    before = _clock_s()
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(asdict(owner)).encode())
        _put_in_place(part, path, descriptor, owner, locked=locked)
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        part.unlink(missing_ok=True)
    return Lease(path, owner, descriptor, before)


def _put_in_place(part: Path, path: Path, ours: int, owner: Owner, *, locked: bool) -> None:
    for _ in range(_TRIES):
        if _appears(part, path):
            return
        _clear_the_way(path, ours, owner, locked=locked)
    raise _busy()


def _appears(part: Path, path: Path) -> bool:
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS or os.path.lexists(path):
            raise
        # Without hard links, two that begin in the same instant may both rename; the second one's
        # file stands, and the first finds out at its next check.
        part.replace(path)
    return True


def _clear_the_way(path: Path, ours: int, owner: Owner, *, locked: bool) -> None:
    """Move a lease aside that has run out, or whose owner on this machine is dead."""
    found = _read(path)
    if found is None:
        return  # given back just now
    token, age_s, theirs = found
    if not _has_ended(theirs, age_s(ours), owner, locked=locked):
        raise _busy(theirs)
    aside = path.with_name(f".{path.stem}.{owner.token}.sheetflow.part.old")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return  # another was quicker
    moved = _read(aside)
    if moved is not None and moved[0] != token:
        # Between our look and our grip another had taken over: that lease lives, so it goes back.
        # If its owner looked meanwhile it gives up, which costs time and nothing else.
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink(missing_ok=True)
        raise _busy()
    aside.unlink(missing_ok=True)
    if theirs is not None:
        logger.warning(
            "The lease of %s, process %d, on %s is taken over: its owner is gone",
            theirs.host,
            theirs.pid,
            path.stem[:8],
        )


def _read(path: Path) -> tuple[tuple[int, int, str], _Age, Owner | None] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        try:
            owner = Owner(**json.loads(os.read(descriptor, 4096)))
        except (ValueError, TypeError):
            owner = None  # cut off by a power cut; it can only run out
        token = owner.token if owner else ""
        return (status.st_dev, status.st_ino, token), _Age(status.st_mtime), owner
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class _Age:
    """How old a lease is, by the clock of the mount that it is on."""

    mtime_s: float

    def __call__(self, ours: int) -> float:
        # Our own file's time is set by the same server, now.
        os.utime(ours)
        os.fsync(ours)
        return os.fstat(ours).st_mtime - self.mtime_s


def _has_ended(theirs: Owner | None, age_s: float, owner: Owner, *, locked: bool) -> bool:
    if theirs is None:
        return age_s > LEASE_S
    if locked and theirs.boot_id == owner.boot_id:
        return True  # its lock ended, and the kernel is the same: so did its process
    return age_s > theirs.lease_s


def _busy(owner: Owner | None = None) -> SheetBusy:
    where = f" ({owner.host}, process {owner.pid})" if owner else ""
    return SheetBusy(
        f"another run is working on it, or on a file with the same bytes{where}",
        cure="Nothing to do: a later run takes what is left",
    )


def _clock_s() -> float:
    # Goes on while the machine sleeps, as the others' clocks do; CLOCK_MONOTONIC would not.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
