"""Small and read-only disks, made with mount where that is permitted."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


class Refused(Exception):
    """This machine does not let us mount."""


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty disk of a size such as `4m` at a folder.

    Raises:
        Refused: Mounting is not permitted here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        raise Refused("there is no mount command")
    _call([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=False, capture_output=True)


def set_read_only(folder: Path, *, read_only: bool) -> None:
    """Remount a small disk, read-only or not."""
    mount = shutil.which("mount") or "mount"
    _call([mount, "-o", f"remount,{'ro' if read_only else 'rw'}", str(folder)])


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr.strip() or "mount failed")
