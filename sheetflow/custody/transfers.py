"""Moves and copies that never lose and never replace: a sheet is whole somewhere at every instant.

A move on one file system gives the file its new name and takes the old one away. Between two, it is
a copy under a name of ours, fsync, the digest, the name that must not exist yet, and only then the
removal of the source.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from sheetflow.custody.files import (
    CHUNK_BYTES,
    HALF,
    digest_file,
    open_regular,
    sync_folder,
    taken_away,
    translated_errors,
)
from sheetflow.custody.names import name_with_mark, shown_name
from sheetflow.custody.renaming import is_reservation, rename_without_replacing
from sheetflow.errors import (
    CustodyError,
    DigestMismatch,
    FolderUnavailable,
    NameTaken,
    SheetflowError,
)


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
        if is_reservation(target, sha256=sha256):
            target.unlink()
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
            rename_without_replacing(source, target, sha256=sha256)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_without_replacing(source, target, sha256=sha256)
            _remove(source)


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
        path = folder / candidate
        if not os.path.lexists(path) or _is_same(path, sha256):
            return candidate
        if is_reservation(path, sha256=sha256):
            return candidate
    raise NameTaken(
        f"other files already have its name in {folder}",
        cure="Rename the file and drop it into the inbox again",
        sheet=shown_name(name),
    )


def unused_name(folder: Path, name: str) -> str:
    """Return `name`, or `name` with a number where something in `folder` has it already.

    The number is the next one, as a rule: it is found by leaps, so that the ten thousandth file of
    one name does not look at all the others.
    """
    if not os.path.lexists(folder / name):
        return name

    def is_taken(number: int) -> bool:
        return os.path.lexists(folder / name_with_mark(name, str(number)))

    taken, free = 1, 2
    while is_taken(free):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        taken, free = (middle, free) if is_taken(middle) else (taken, middle)
    return name_with_mark(name, str(free))


def half_copy(folder: Path, sha256: str) -> Path:
    """Return the name that a sheet has in `folder` while it is being copied there.

    One name for each sheet: a half copy that a crash left is written over by the next try.
    """
    return folder / f".{sha256}{HALF}"


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


def _copy_without_replacing(source: Path, target: Path, *, sha256: str) -> None:
    part = half_copy(target.parent, sha256)
    part.unlink(missing_ok=True)
    try:
        with open_regular(source) as descriptor, part.open("xb") as copy:
            os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(descriptor).st_mode))
            while chunk := os.read(descriptor, CHUNK_BYTES):
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        _check_digest(part, sha256)
        rename_without_replacing(part, target, sha256=sha256)
    except (OSError, SheetflowError):
        part.unlink(missing_ok=True)
        raise


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def _gone(source: Path, target: Path) -> FolderUnavailable | CustodyError:
    for path in (source, target):
        if not path.parent.is_dir():
            return taken_away(path)
    if not os.path.lexists(source):
        return taken_away(source)
    return FolderUnavailable(
        f"the folder {target.parent} takes no new files",
        cure="Check its disk and its mount; the sheet is safe where it was",
        sheet=shown_name(source.name),
    )
