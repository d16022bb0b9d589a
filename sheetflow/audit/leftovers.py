"""What killed runs left: half-written files, claims and work products that nobody needs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sheetflow.audit.report import Problem, Report
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import forget_sheet, load_entry, work_folder
from sheetflow.custody.leases import owned, remove_claim
from sheetflow.errors import SheetBusy

OLD_S = 3600.0
"""Younger ones may belong to a run that is at work."""

_OURS = re.compile(r"^\..*\.sheetflow\.part(\.old)?$")
_CLAIM = re.compile(r"^([0-9a-f]{64})\.(lock|lease)$")
_WORK = re.compile(r"^\.?([0-9a-f]{64})(\.gone)?$")


def check_leftovers(folders: Folders, report: Report) -> None:
    """Look for what killed runs left behind and the next run does not need."""
    for folder in (
        folders.inbox,
        folders.staging,
        folders.archive,
        folders.quarantine,
        folders.claims,
    ):
        report.add(_parts(folder))
    report.add(_claims(folders))
    report.add(_work(folders, report))


def is_old(path: Path) -> bool:
    """Tell whether nobody has touched a file or folder for a good while."""
    try:
        return time.time() - path.lstat().st_mtime > OLD_S
    except FileNotFoundError:
        return False


def is_at_rest(folders: Folders, sha256: str) -> bool:
    """Tell whether no run is working on a sheet just now."""
    try:
        with owned(folders, sha256):
            if not work_folder(folders, sha256).exists():
                remove_claim(folders, sha256)
    except SheetBusy:
        return False
    return True


def _parts(folder: Path) -> Iterator[Problem]:
    for path in _listed(folder, hidden_only=True):
        if _OURS.match(path.name) and is_old(path):
            yield Problem(
                "part_file",
                path.name,
                f"a half-written file lies in {folder}",
                "`sheetflow audit --repair`, or the next run, removes it; the sheet that it was "
                "a copy of is whole elsewhere",
                mend=partial(_removed, path),
            )


def _claims(folders: Folders) -> Iterator[Problem]:
    for path in _listed(folders.claims):
        match = _CLAIM.match(path.name)
        if match and is_old(path) and not work_folder(folders, match[1]).exists():
            yield Problem(
                "orphaned_claim",
                match[1],
                "a claim on a sheet that nothing is left of",
                "`sheetflow audit --repair`, or the next run, removes it",
                mend=partial(_unclaimed, folders, match[1]),
            )


def _work(folders: Folders, report: Report) -> Iterator[Problem]:
    for path in _listed(folders.work):
        match = _WORK.match(path.name)
        if not match:
            continue
        report.count("work_folders")
        if load_entry(folders, match[1]) is None and is_old(path):
            yield Problem(
                "orphaned_work",
                match[1],
                "work products that no readable journal entry names",
                "`sheetflow audit --repair`, or the next run, removes them; they can be made again",
                mend=partial(_forgotten, folders, match[1]),
            )


def _removed(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "the half-written file was removed"


def _unclaimed(folders: Folders, sha256: str) -> str:
    with owned(folders, sha256):
        if not work_folder(folders, sha256).exists():
            remove_claim(folders, sha256)
    return "the claim was removed"


def _forgotten(folders: Folders, sha256: str) -> str:
    with owned(folders, sha256):
        if load_entry(folders, sha256) is None:
            forget_sheet(folders, sha256)
        remove_claim(folders, sha256)
    return "the work products were removed"


def _listed(folder: Path, *, hidden_only: bool = False) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = [item.name for item in found if item.name.startswith(".") or not hidden_only]
    return [folder / name for name in sorted(names)]
