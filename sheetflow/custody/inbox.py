"""What waits in the inbox, and which of it has settled."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from sheetflow.custody.folders import Folders
from sheetflow.custody.names import is_ignored


@dataclass(frozen=True)
class Waiting:
    """One entry of the inbox that is not ready, and why.

    Attributes:
        path: Where it is.
        cause: Why it is not taken.
        cure: What a person can do; None where waiting is all there is to do.
    """

    path: Path
    cause: str
    cure: str | None = None


@dataclass(frozen=True)
class Inbox:
    """One look at the inbox: the files to take, oldest first, and what was left and why."""

    ready: tuple[Path, ...]
    left: tuple[Waiting, ...]


@dataclass(frozen=True)
class _Look:
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def look_into_inbox(
    folders: Folders, *, settle_s: float, done_suffix: str = "", only: str | None = None
) -> Inbox:
    """List the inbox and leave alone what is still being written.

    A file has settled if its size and times stand still for `settle_s` seconds while we watch. Its
    age alone would prove nothing: a copy that keeps the original's time looks old from the first
    byte on, and a network mount's clock need not be ours. Watching needs no file events, so it
    works on NFS and SMB as well. A file that a program of this machine holds open for writing has
    not settled either, however long it stands still.

    Args:
        folders: Where the inbox is.
        settle_s: How long to watch; the call takes this long if there is anything to watch.
        done_suffix: If not empty, a file is taken only once another one of its name with this
            suffix stands beside it, for programs that can say that they are done.
        only: Look at the file of this name alone.
    """
    files, odd = _list(folders.inbox)
    unmarked: list[Waiting] = []
    if done_suffix:
        files, unmarked = _marked_done(files, done_suffix)
    if only is not None:
        files = [path for path in files if path.name == only]
        odd = [waiting for waiting in odd if waiting.path.name == only]
    before = {path: _look(path) for path in files}
    if before and settle_s > 0:
        time.sleep(settle_s)
    ready, growing = [], []
    for path, look in before.items():
        now = _look(path)
        if now is None or look is None:
            continue  # taken away meanwhile, by its owner or by another run
        if now == look and not _is_open_for_writing(path):
            ready.append((look.mtime_ns, path))
        else:
            growing.append(Waiting(path, "it is still being written, so it was left alone"))
    return Inbox(
        ready=tuple(path for _, path in sorted(ready)),
        left=tuple(sorted(odd + growing + unmarked, key=lambda waiting: waiting.path.name)),
    )


def waiting_names(folders: Folders) -> list[str]:
    """Return the names of the files that wait in the inbox, without watching them."""
    return sorted(path.name for path in _list(folders.inbox)[0])


Stamp = frozenset[tuple[str, int, int]]
"""What was seen of an inbox: name, size and time of each file."""


def inbox_stamp(folders: Folders) -> Stamp:
    """Return what tells one look at the inbox from the next, without watching it."""
    looks = ((path.name, _look(path)) for path in _list(folders.inbox)[0])
    return frozenset((name, look.size_bytes, look.mtime_ns) for name, look in looks if look)


def _list(inbox: Path) -> tuple[list[Path], list[Waiting]]:
    files: list[Path] = []
    odd: list[Waiting] = []
    with os.scandir(inbox) as found:
        for item in found:
            path = inbox / item.name
            if is_ignored(item.name):
                continue
            if item.is_symlink():
                odd.append(
                    Waiting(
                        path,
                        "it is a link, and links are not followed",
                        "Put a copy of the file itself into the inbox and remove the link",
                    )
                )
            elif item.is_dir(follow_symlinks=False):
                odd.append(
                    Waiting(
                        path,
                        "it is a folder, and only files are taken",
                        "Move the sheets in it up into the inbox and remove the folder",
                    )
                )
            elif item.is_file(follow_symlinks=False):
                files.append(path)
            else:
                odd.append(
                    Waiting(
                        path,
                        "it is a pipe, a socket or a device, not a file",
                        "Remove it from the inbox",
                    )
                )
    return files, odd


def done_marker(path: Path, done_suffix: str) -> Path:
    """Return the path of the file whose presence says that `path` is complete."""
    return path.with_name(path.name + done_suffix)


def _marked_done(files: list[Path], suffix: str) -> tuple[list[Path], list[Waiting]]:
    names = {path.name for path in files}
    sheets = [path for path in files if not path.name.endswith(suffix)]
    done = [path for path in sheets if path.name + suffix in names]
    waiting = [
        Waiting(path, f"it waits for its done-file, {path.name}{suffix}")
        for path in sheets
        if path.name + suffix not in names
    ]
    return done, waiting


def _is_open_for_writing(path: Path) -> bool:
    """Tell whether a process of this machine writes the file, as far as that can be known.

    Linux grants a read lease on a file only while nobody has it open for writing. Network mounts
    and other systems grant none, or to the file's owner alone; then the watch has to do.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Whoever opens the file while we hold the lease breaks it: by a signal that would end this
        # process, were it not one that is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


def _look(path: Path) -> _Look | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
