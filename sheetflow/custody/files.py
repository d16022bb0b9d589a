"""Durable files: written whole or not at all, read without following links, known by their SHA-256.

This is the door to the file system for everything that must survive a crash; moves are in
`transfers`. What both rely on: `link`, `rename` and `unlink` are atomic, and an fsync of a file and
then of its folder makes both last.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from sheetflow.custody.names import shown_name
from sheetflow.errors import CustodyError, FolderUnavailable, SheetflowError

HALF = ".sheetflow.part"
"""Ends the name of every file of ours that may be half written; the name begins with a dot."""

CHUNK_BYTES = 1 << 20
"""How much of a file is read at once."""


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data`, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the regular file at `path`, without following a link.

    Raises:
        CustodyError: It is a link, a folder or a device.
        FileNotFoundError: There is nothing.
        FolderUnavailable: It cannot be read now.
    """
    digest = hashlib.sha256()
    with open_regular(path) as descriptor:
        while chunk := os.read(descriptor, CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def digest_or_none(path: Path) -> str | None:
    """Return the SHA-256 of a file, None if it is gone, is no regular file or cannot be read."""
    try:
        return digest_file(path)
    except (FileNotFoundError, SheetflowError):
        return None


def is_there(path: Path) -> bool:
    """Tell whether something is there, as a mount's server has it and not the mount's memory.

    Opened, not looked up: sshfs, for one, believes its list of a folder for 20 s.
    """
    try:
        with open_regular(path):
            return True
    except FileNotFoundError:
        return False
    except SheetflowError:
        return True


def read_file(path: Path) -> bytes:
    """Return the bytes of the regular file at `path`, without following a link; raises as above."""
    with open_regular(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """Open a regular file for reading and yield its descriptor.

    A link is refused, so that nothing outside the data root is read through one, and so is a
    named pipe, which would block for ever.
    """
    with translated_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:
                raise _not_a_file(path) from error
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _not_a_file(path)
            yield descriptor
        finally:
            os.close(descriptor)


def write_file(path: Path, data: bytes, *, mark: str = "") -> None:
    """Write `data` to `path`; a crash leaves the old file, or the new one, and never half.

    Args:
        path: The file; its folder exists.
        data: All of its bytes.
        mark: What a half-written file's name shall begin with, so that it can be told whose it is.
    """
    # Counted in bytes, a long name of ours beside a long name of a person's would be too long.
    whose = mark or digest_bytes(os.fsencode(path.name))[:16]
    temporary = path.with_name(f".{whose}.{os.getpid()}.{threading.get_ident()}{HALF}")
    with translated_errors(path):
        try:
            # A link of that name, in a folder that others may write to, is not followed.
            with open(temporary, "wb", opener=_open_no_link) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder and say so; there is nothing to add.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def _open_no_link(name: str, flags: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        Path(name).unlink()
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into errors that name the sheet and the cure."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        cure = {
            errno.ENOSPC: "Free some disk space",
            errno.EDQUOT: "Free some disk space, or raise the quota",
            errno.EROFS: "Mount the disk for writing",
            errno.EACCES: "Give the account that runs sheetflow the right to read and write there",
            errno.EPERM: "Give the account that runs sheetflow the right to read and write there",
        }.get(error.errno or 0, "Check the disk and the mount")
        raise FolderUnavailable(
            f"{error.filename or path}: {reason}",
            cure=f"{cure}; the sheet is safe where it was, and the next run tries again",
            sheet=shown_name(path.name),
        ) from error


def taken_away(path: Path) -> FolderUnavailable | CustodyError:
    """Return the error that says what is gone, a sheet's file or the folder that it was in."""
    if not path.parent.is_dir():
        return FolderUnavailable(
            f"the folder {path.parent} is gone",
            cure="Mount its disk, or make the folder again; the next run goes on from there",
            sheet=shown_name(path.name),
        )
    return CustodyError(
        f"the file was taken away from {path.parent} while it was in work",
        cure="Put it back into the inbox if it shall be processed; nothing else was changed",
        sheet=shown_name(path.name),
    )


def _not_a_file(path: Path) -> CustodyError:
    return CustodyError(
        "it is a link or a device, not a file",
        cure="Put a copy of the file itself into the inbox; links are not followed",
        sheet=shown_name(path.name),
    )
