"""The files of a claim: its lock and its lease, how they appear, run out and are taken over.

A lease appears whole under a name that must not exist yet (a hard link), so that of two that begin
at once one is refused, by the file server itself. One that has ended is first moved aside, by a
rename that only one can win, and looked at again: had another taken it over in between, it goes
back. Ages are told by the clock of the mount, by which both files got their times.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import socket
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

from sheetflow.custody.files import HALF
from sheetflow.errors import SheetBusy

logger = logging.getLogger(__name__)

LEASE_S = 60.0
"""How long a lease lasts without a heartbeat, unless the settings say otherwise."""

_TRIES = 5
_FIRST_BYTE = b"{"  # of every lease
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


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


@cache
def boot_id() -> str:
    """Return what tells this kernel, since its start, from every other machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        # Not Linux: the lock decides on this machine all the same, and leases run out.
        return f"{socket.gethostname()}-unknown"


def lock_claim(path: Path) -> tuple[int, bool]:
    """Lock a claim's file; return it, and whether the mount has locks at all.

    Raises:
        SheetBusy: Another has locked it, or has just removed it.
        FileNotFoundError: The folder of the claims is gone.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            # sshfs believes for some seconds in a file that another host has removed: then the
            # kernel asks it to open that file, not to make one.
            if path.parent.is_dir():
                raise busy() from error
            raise
        try:
            flock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise busy() from error
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


def flock(descriptor: int) -> None:
    """Lock a file for this process alone, or fail at once; a door, where tests have no locks."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def freshen(descriptor: int) -> None:
    """Give a lease's file the present time, by the clock of the mount that it is on.

    Written, not set: SMB and sshfs have a time that is set come from the machine's own clock.
    """
    os.pwrite(descriptor, _FIRST_BYTE, 0)
    os.fsync(descriptor)


def token_at(path: Path) -> str | None:
    """Return the token of the lease that stands at `path`, None if there is no readable one.

    Opened and read, not looked up: that makes a network mount ask its server. Inodes would not do:
    sshfs numbers the names.
    """
    found = _read(path)
    return found.owner.token if found is not None and found.owner is not None else None


def take_lease(path: Path, lease_s: float, *, locked: bool) -> tuple[Owner, int, Owner | None]:
    """Put a lease of ours in place, if there is none or the one there has ended.

    Args:
        path: The lease's file.
        lease_s: How long it lasts without a heartbeat.
        locked: Whether we hold the claim's lock, in the kernel's word.

    Returns:
        The owner that we are now, the open file, and the owner whose lease it was, if it was
        taken over from one that did not give it back.

    Raises:
        SheetBusy: The lease there lives, or another was quicker.
    """
    owner = Owner.now(lease_s)
    part = path.with_name(f".{path.stem}.{owner.token}{HALF}")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(asdict(owner)).encode())
        before = _put_in_place(part, path, descriptor, owner, locked=locked)
    finally:
        # Closed first: a network mount keeps what is removed while open under a name of its own,
        # and a machine that dies then leaves it there.
        os.close(descriptor)
        part.unlink(missing_ok=True)
    return owner, _opened(path, owner), before


def _opened(path: Path, owner: Owner) -> int:
    """Open the lease that we have put in place; a heartbeat goes through the open file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise busy() from error
    if owner.token.encode() not in os.pread(descriptor, 4096, 0):
        os.close(descriptor)
        raise busy()
    return descriptor


def _put_in_place(part: Path, path: Path, ours: int, owner: Owner, *, locked: bool) -> Owner | None:
    before = None
    for _ in range(_TRIES):
        if _appears(part, path):
            return before
        before = _clear_the_way(path, ours, owner, locked=locked)
    raise busy()


def _appears(part: Path, path: Path) -> bool:
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        # Without hard links, two that begin in the same instant may both rename; the second one's
        # file stands, and the first finds out at its next check.
        part.replace(path)
    return True


def _clear_the_way(path: Path, ours: int, owner: Owner, *, locked: bool) -> Owner | None:
    """Move a lease aside that has run out, or whose owner on this machine is dead; return that."""
    found = _read(path)
    if found is None:
        return None  # given back just now
    theirs = found.owner
    freshen(ours)  # its time is set by the same server, now
    age_s = os.fstat(ours).st_mtime - found.mtime_s
    if not _has_ended(theirs, age_s, owner, locked=locked):
        raise busy(theirs)
    aside = path.with_name(f".{path.stem}.{owner.token}{HALF}.old")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None  # another was quicker
    moved = _read(aside)
    if moved is not None and moved.identity != found.identity:
        # Between our look and our grip another had taken over: that lease lives, so it goes back.
        # If its owner looked meanwhile it gives up, which costs time and nothing else.
        _appears(aside, path)
        aside.unlink(missing_ok=True)
        raise busy()
    aside.unlink(missing_ok=True)
    if theirs is not None:
        logger.warning(
            "The lease of %s, process %d, on %s is taken over: its owner is gone",
            theirs.host,
            theirs.pid,
            path.stem[:8],
        )
    return theirs


@dataclass(frozen=True)
class _Found:
    """A lease as it stands: its owner, None if it was cut off, and its last heartbeat."""

    owner: Owner | None
    mtime_s: float
    inode: tuple[int, int]

    @property
    def identity(self) -> str | tuple[int, int]:
        return self.owner.token if self.owner is not None else self.inode


def _read(path: Path) -> _Found | None:
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
        return _Found(owner, status.st_mtime, (status.st_dev, status.st_ino))
    finally:
        os.close(descriptor)


def _has_ended(theirs: Owner | None, age_s: float, owner: Owner, *, locked: bool) -> bool:
    if theirs is None:
        return age_s > LEASE_S
    if locked and theirs.boot_id == owner.boot_id:
        return True  # its lock ended, and the kernel is the same: so did its process
    return age_s > theirs.lease_s


def busy(owner: Owner | None = None) -> SheetBusy:
    """Return the error that says who works on the sheet."""
    where = f" ({owner.host}, process {owner.pid})" if owner else ""
    return SheetBusy(
        f"another run is working on it, or on a file with the same bytes{where}",
        cure="Nothing to do: a later run takes what is left",
    )
