"""Another name for a file, in one step, without ever replacing another file.

POSIX's own `rename` replaces. A hard link does not, and is refused if the name is taken; so the
file gets its new name by `link` and loses the old one by `unlink`. Links are refused where the file
system has none (FAT, some network mounts) and, on most Linux systems, for another account's file
that we may not write (`fs.protected_hardlinks`): then Linux's `renameat2` does it. Where there is
neither, the name is reserved first by a small file that nobody else can have made.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from sheetflow.custody.files import read_file, sync_folder
from sheetflow.custody.names import shown_name
from sheetflow.errors import NameTaken, SheetflowError

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_NOT_SUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_AT_CURRENT_FOLDER = -100
_NOREPLACE = 1


def rename_without_replacing(source: Path, target: Path, *, sha256: str) -> None:
    """Rename a file within its file system; both folders are synced.

    Args:
        source: The file.
        target: Its new name.
        sha256: Its digest, by which a reservation is known as this file's.

    Raises:
        NameTaken: There is a file of that name.
        OSError: As the system has it; EXDEV on another file system.
    """
    try:
        _rename(source, target, sha256)
    except FileExistsError as error:
        raise NameTaken(
            f"another file appeared as {target} in the meantime",
            cure="Run again; both files are kept",
            sheet=shown_name(target.name),
        ) from error
    sync_folder(source.parent)


def is_reservation(target: Path, *, sha256: str) -> bool:
    """Tell whether a try of this very file, which was killed, has reserved a name and not more."""
    try:
        size_bytes = target.lstat().st_size
        return size_bytes == len(sha256) and read_file(target) == sha256.encode()
    except (FileNotFoundError, SheetflowError):
        return False


def rename_in_one_step(source: Path, target: Path) -> None:
    """Rename a file unless the target exists; a door, where tests have a system without it.

    Source: renameat2(2): RENAME_NOREPLACE, Linux 3.15; ext4, XFS, Btrfs, tmpfs, FAT, SMB.

    Raises:
        OSError: EEXIST if the target exists; ENOSYS or EINVAL where the system cannot do it.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(source))
    names = (os.fsencode(source), os.fsencode(target))
    renameat2.argtypes = (
        *(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p),
        ctypes.c_uint,
    )
    if renameat2(_AT_CURRENT_FOLDER, names[0], _AT_CURRENT_FOLDER, names[1], _NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _rename(source: Path, target: Path, sha256: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_without_links(source, target, sha256)
        sync_folder(target.parent)
        return
    # Synced before the old name goes: after a power cut the file must have one of the two. Killed
    # here, it has both; the next try finds it at the target and goes on.
    sync_folder(target.parent)
    source.unlink(missing_ok=True)


def _rename_without_links(source: Path, target: Path, sha256: str) -> None:
    try:
        rename_in_one_step(source, target)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        _reserve(target, sha256)
        try:
            source.replace(target)
        except OSError:
            target.unlink(missing_ok=True)
            raise


def _reserve(target: Path, sha256: str) -> None:
    # Killed between the two calls it leaves an empty file, which is nobody's sheet: the sheet goes
    # under another name, and an empty file ends in quarantine. Only a mount that knows neither
    # links nor renameat2 comes here.
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, sha256.encode())
    finally:
        os.close(descriptor)
