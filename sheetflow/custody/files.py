"""Durable files: written whole or not at all, moved without overwriting, known by their SHA-256.

This is the door to the file system for everything that must survive a crash. What it relies on:
`link`, `rename` and `unlink` are atomic, and an fsync of a file and then of its folder makes both
last. On a file system without hard links (FAT, some network mounts) a move reserves its target's
name first, so that it still never replaces another file.
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

from sheetflow.custody.names import name_with_mark, shown_name
from sheetflow.errors import CustodyError, DigestMismatch, FolderUnavailable, NameTaken

HALF = ".sheetflow.part"
"""Ends the name of every file of ours that may be half written; the name begins with a dot."""

_CHUNK_BYTES = 1 << 20
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


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
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


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
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def move_file(source: Path, target: Path, *, sha256: str) -> None:
    """Move a sheet so that it is whole in one of the two places at every instant.

    Run again after any crash, it ends in the same state: the bytes at `target`, nothing at
    `source`. Nothing is ever replaced.

    Args:
        source: Where the file is; it may be gone if an earlier try came that far.
        target: Where it shall be; the folder exists.
        sha256: The digest that the file must have.

    Raises:
        NameTaken: `target` holds other bytes.
        DigestMismatch: `source` holds other bytes than those that were promised.
        CustodyError: The file is in neither place, or was taken away meanwhile.
        FolderUnavailable: A folder is gone, full, read-only or not permitted; nothing has moved.
    """
    try:
        _move(source, target, sha256=sha256)
    except FileNotFoundError as error:
        raise _gone(source, target) from error


def _move(source: Path, target: Path, *, sha256: str) -> None:
    with translated_errors(source):
        if _holds(target, sha256):
            # An earlier try put the copy in place and was killed before it removed the source.
            if source.exists():
                _check_digest(source, sha256)
                _remove(source)
            return
        if not os.path.lexists(source):
            if not source.parent.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source.parent)
            raise CustodyError(
                f"the file is neither in {source.parent} nor in {target.parent}",
                cure="Look for it in the other folders and put it back into the inbox",
                sheet=shown_name(source.name),
            )
        _check_digest(source, sha256)
        try:
            _rename_without_replacing(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_without_replacing(source, target, sha256=sha256)
            _remove(source)
        sync_folder(target.parent)
        sync_folder(source.parent)


def copy_file(source: Path, folder: Path) -> Path:
    """Copy a file into `folder`, whole or not at all, without replacing another.

    Returns:
        The copy; the file that was there already if it has the same name and the same bytes.
    """
    sha256 = digest_file(source)
    target = folder / free_name(folder, source.name, sha256=sha256)
    if not os.path.lexists(target):
        with translated_errors(source):
            _copy_without_replacing(source, target, sha256=sha256)
    return target


def free_name(folder: Path, name: str, *, sha256: str) -> str:
    """Return the name under which these bytes can stand in `folder` without replacing others.

    It is `name` where that is free or already holds the same bytes, else `name` with the first
    digits of the digest, which tells two sheets of one name apart.
    """
    for candidate in (name, name_with_mark(name, sha256[:8]), name_with_mark(name, sha256)):
        if not os.path.lexists(folder / candidate) or _is_same(folder / candidate, sha256):
            return candidate
    raise NameTaken(
        f"other files already have its name in {folder}",
        cure="Rename the file and drop it into the inbox again",
        sheet=shown_name(name),
    )


def unused_name(folder: Path, name: str) -> str:
    """Return `name`, or `name` with a number where something in `folder` has it already."""
    candidate, number = name, 2
    while os.path.lexists(folder / candidate):
        candidate, number = name_with_mark(name, str(number)), number + 1
    return candidate


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


def _holds(target: Path, sha256: str) -> bool:
    if not os.path.lexists(target):
        return False
    if _is_same(target, sha256):
        return True
    raise NameTaken(
        f"{target} already holds another file",
        cure="Move that file away, or rename one of the two; neither was touched",
        sheet=shown_name(target.name),
    )


def _is_same(path: Path, sha256: str) -> bool:
    try:
        return digest_file(path) == sha256
    except CustodyError:
        return False


def _check_digest(path: Path, sha256: str) -> None:
    if digest_file(path) != sha256:
        raise DigestMismatch(
            f"the bytes of {path} changed after they were first read",
            cure="Nothing was moved; once nobody writes to the file any more, run again",
            sheet=shown_name(path.name),
        )


def _rename_without_replacing(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError as error:
        raise _appeared(target) from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _reserve(target)
        source.replace(target)
        return
    # Killed here, the file stands in both places; the next try finds it at the target and goes on.
    _remove(source)


def _copy_without_replacing(source: Path, target: Path, *, sha256: str) -> None:
    # One name for each sheet: a half copy that a crash left behind is written over by the next try.
    part = target.with_name(f".{sha256}{HALF}")
    part.unlink(missing_ok=True)
    try:
        with open_regular(source) as descriptor, part.open("xb") as copy:
            os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(descriptor).st_mode))
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        _check_digest(part, sha256)
        _rename_without_replacing(part, target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _reserve(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise _appeared(target) from error


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _appeared(target: Path) -> NameTaken:
    return NameTaken(
        f"another file appeared as {target} in the meantime",
        cure="Run again; both files are kept",
        sheet=shown_name(target.name),
    )


def _gone(source: Path, target: Path) -> FolderUnavailable | CustodyError:
    for folder in (source.parent, target.parent):
        if not folder.is_dir():
            return FolderUnavailable(
                f"the folder {folder} is gone",
                cure="Mount its disk, or make the folder again; the next run goes on from there",
                sheet=shown_name(source.name),
            )
    if os.path.lexists(source):
        return FolderUnavailable(
            f"the folder {target.parent} takes no new files",
            cure="Check its disk and its mount; the sheet is safe where it was",
            sheet=shown_name(source.name),
        )
    return CustodyError(
        f"the file was taken away from {source.parent} while it was about to move",
        cure="Put it back into the inbox if it shall be processed; nothing else was changed",
        sheet=shown_name(source.name),
    )


def _not_a_file(path: Path) -> CustodyError:
    return CustodyError(
        "it is a link or a device, not a file",
        cure="Put a copy of the file itself into the inbox; links are not followed",
        sheet=shown_name(path.name),
    )
