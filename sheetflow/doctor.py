"""Checks of the set-up, each with what was found and the cure; no secret is ever shown."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sheetflow import __version__
from sheetflow.errors import SheetflowError
from sheetflow.settings import Settings

_LOW_DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it is as it should be.
        detail: What was found.
        cure: What to do, if it is not.
    """

    name: str
    ok: bool
    detail: str
    cure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow doctor --json` prints it."""
        return asdict(self)


def check_machine(settings: Settings) -> Iterator[Check]:
    """Look at sheetflow's own version, the decoders' libraries, the folders and the disk."""
    yield Check("sheetflow", True, f"{__version__} on Python {platform.python_version()}")
    yield _check_zbar()
    for folder in (
        settings.folders.inbox,
        settings.folders.staging,
        settings.folders.archive,
        settings.folders.quarantine,
    ):
        yield _check_folder(folder)
    yield _check_disk(settings.folders.staging)


def check_store(settings: Settings) -> Iterator[Check]:
    """Look at MongoDB as a run would: connect, make what is missing, write, read, remove."""
    from sheetflow.store.examination import examine_store

    kind = "your own" if settings.mongodb_uri is not None else "embedded"
    try:
        findings = examine_store(settings)
    except SheetflowError as error:
        yield Check(f"MongoDB ({kind})", False, error.cause, error.cure)
        return
    for name, detail in findings.items():
        yield Check(f"MongoDB ({kind}): {name}", True, detail)


def _check_zbar() -> Check:
    try:
        importlib.import_module("sheetflow.vision.barcodes")  # loads the C library
    except ImportError as error:
        return Check(
            "zbar",
            False,
            f"the library cannot be loaded: {error}",
            "Install it: apt-get install libzbar0 (Debian, Ubuntu), dnf install zbar (Fedora), "
            "brew install zbar (macOS)",
        )
    return Check("zbar", True, "loaded")


def _check_folder(folder: Path) -> Check:
    name = f"folder {folder.name}/"
    if folder.is_dir():
        if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Check(name, True, str(folder))
        return Check(
            name,
            False,
            f"{folder} cannot be read and written",
            "Give the account that runs sheetflow the right to read and write there",
        )
    if os.path.lexists(folder):
        return Check(name, False, f"{folder} is not a folder", "Move that file away")
    return Check(name, True, f"{folder}, made by the first run")


def _check_disk(folder: Path) -> Check:
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 2**30:.1f} GiB free at {place}"
    if free < _LOW_DISK_BYTES:
        return Check("disk", False, detail, "Free some space: a run needs room for work products")
    return Check("disk", True, detail)
