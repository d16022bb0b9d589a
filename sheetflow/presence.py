"""Which runs live on this machine: a file for each, locked for as long as its process lives.

Prefect's page shows a killed run as running for ever, and hearing no heartbeat takes minutes. The
kernel gives a dead process's lock back at once, so that the next start knows which runs are gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sheetflow.custody.files import HALF
from sheetflow.custody.folders import Folders
from sheetflow.custody.lease_files import Owner, flock

_FOREIGN_KEPT_S = 7 * 86400.0


@contextlib.contextmanager
def present(folders: Folders, run_id: str | None) -> Iterator[None]:
    """Be known as alive while the block runs.

    Args:
        folders: Where the state folder is.
        run_id: The Prefect run; None outside of one, and then nothing is done.
    """
    if run_id is None:
        yield
        return
    folder = _runs(folders)
    part = folder / f".{run_id}{HALF}"
    descriptor = -1
    # A disk that takes no more files must not end the run: it is then merely not known as alive.
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.write(descriptor, json.dumps(asdict(Owner.now(0.0))).encode())
        # Locked before it has its name: whoever finds it unlocked may take its process for dead.
        flock(descriptor)
        part.replace(folder / run_id)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / run_id).unlink(missing_ok=True)
        if descriptor >= 0:
            os.close(descriptor)


def is_present(folders: Folders, run_id: str) -> bool:
    """Tell whether a run lives on this machine, or on another one that shares the folders."""
    path = _runs(folders) / run_id
    return path.exists() and not _is_dead(path)


def others_present(folders: Folders, run_id: str) -> int:
    """Return how many other runs live, here or on machines that share the folders."""
    folder = _runs(folders)
    if not folder.is_dir():
        return 0
    others = [path for path in folder.iterdir() if path.name[0] != "." and path.name != run_id]
    return sum(not _is_dead(path) for path in others)


def departed(folders: Folders) -> list[str]:
    """Return the runs of this machine whose process ended without a word, in no order."""
    folder = _runs(folders)
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if path.name[0] != "." and _is_dead(path)]


def forget_run(folders: Folders, run_id: str) -> None:
    """Forget a departed run, once those who need to know have been told."""
    with contextlib.suppress(OSError):
        (_runs(folders) / run_id).unlink(missing_ok=True)


def _runs(folders: Folders) -> Path:
    return folders.state / "runs"


def _is_dead(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False  # it ended just now, in good order
    try:
        owner = Owner(**json.loads(os.read(descriptor, 4096)))
        flock(descriptor)
    except BlockingIOError:
        return False
    except (OSError, ValueError, TypeError):
        return True  # no owner of ours ever wrote this
    finally:
        os.close(descriptor)
    # Another machine's lock may not reach us over a mount; its silence means something in a week.
    ours = owner.host == os.uname().nodename
    return ours or time.time() - owner.since > _FOREIGN_KEPT_S
