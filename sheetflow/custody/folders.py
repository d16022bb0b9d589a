"""The four places of a sheet, and the folder of work products beside them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sheetflow.errors import ConfigurationError, FolderUnavailable


@dataclass(frozen=True)
class Folders:
    """Where sheets and work products are.

    Attributes:
        inbox: `source/`: people and scanners write here, nobody else.
        staging: `images_sources/`: being processed, or waiting for an upload or a review.
        archive: `images_old/`: stored and confirmed.
        quarantine: `images_rejected/`: not a readable image, with a reason file beside it.
        state: `.sheetflow/`: work products, locks, the embedded servers' data.
    """

    inbox: Path
    staging: Path
    archive: Path
    quarantine: Path
    state: Path

    @property
    def work(self) -> Path:
        """Work products, one folder a sheet, named by its digest."""
        return self.state / "work"

    @property
    def claims(self) -> Path:
        """One lock file for each sheet that was ever worked on and is not yet archived."""
        return self.state / "claims"

    @property
    def mongodb(self) -> Path:
        """The embedded MongoDB's data, log and locks."""
        return self.state / "mongodb"

    @property
    def figures(self) -> Path:
        """Sums of what the runs did, one file a machine."""
        return self.state / "figures"

    @property
    def prefect(self) -> Path:
        """The local Prefect server's database, log and locks."""
        return self.state / "prefect"


def prepare_folders(folders: Folders) -> None:
    """Make the folders that are missing.

    Raises:
        ConfigurationError: One cannot be made, or something else has its name.
    """
    for folder in (folders.inbox, folders.staging, folders.archive, folders.quarantine):
        _make(folder, mode=0o755)
    for folder in (folders.state, folders.work, folders.claims):
        # Work products and the embedded database are nobody else's business.
        _make(folder, mode=0o700)


def check_room(folders: Folders, *, min_free_bytes: int) -> None:
    """Refuse to begin work on a disk that is nearly full.

    Raises:
        FolderUnavailable: There is less free space than a run should have.
    """
    for folder in (folders.staging, folders.archive, folders.state):
        free = shutil.disk_usage(folder).free
        if free < min_free_bytes:
            raise FolderUnavailable(
                f"the disk of {folder} has {free / 2**20:.0f} MiB free, less than the "
                f"{min_free_bytes / 2**20:.0f} MiB that a run should have",
                cure="Free some space, or lower SHEETFLOW_MIN_FREE_BYTES; nothing was moved",
            )


def _make(folder: Path, *, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} cannot be made: {error.strerror}",
            cure="Name another data root with --root or SHEETFLOW_ROOT, or mend its permissions",
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"the folder {folder} cannot be read and written",
            cure="Give the account that runs sheetflow the right to read and write there",
        )
