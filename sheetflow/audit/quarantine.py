"""The quarantine: every rejected sheet is what it was, and lies beside its reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sheetflow.audit.leftovers import is_old
from sheetflow.audit.report import Problem, Report
from sheetflow.audit.sampling import Sample
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_or_none
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.custody.quarantine import (
    quarantined_files,
    read_reason,
    reason_file,
    write_reason,
)


def check_quarantine(folders: Folders, sample: Sample, report: Report) -> None:
    """Look at each file in quarantine and at each reason."""
    if folders.quarantine.is_dir():
        report.add(_files(folders, sample, report))
        report.add(_reasons(folders))


def _files(folders: Folders, sample: Sample, report: Report) -> Iterator[Problem]:
    for path in quarantined_files(folders):
        report.count("quarantined_files")
        sha256 = read_reason(path).get("sha256")
        if sha256 is None:
            yield Problem(
                "missing_reason",
                path.name,
                "it lies in quarantine without a reason",
                f"`sheetflow audit --repair` writes one; or `sheetflow retry` puts {path.name!r} "
                "back into source/",
                mend=partial(_explained, folders, path),
            )
        elif sample.holds(sha256) and digest_or_none(path) not in (sha256, None):
            yield Problem(
                "altered_file",
                path.name,
                f"it was rejected with the SHA-256 {sha256} and has other bytes now",
                "Restore it from a backup, or remove it and its reason file",
                sha256=sha256,
            )


def _reasons(folders: Folders) -> Iterator[Problem]:
    for path in sorted(folders.quarantine.glob("*.json")):
        sheet = path.with_suffix("")
        if os.path.lexists(sheet) or os.path.lexists(reason_file(path)) or not is_old(path):
            continue
        if "sha256" in read_reason(sheet):
            yield Problem(
                "orphaned_reason",
                sheet.name,
                "its reason lies in quarantine, and the file itself does not",
                "If you have taken the file away, remove the reason too, or let `sheetflow audit "
                "--repair` do it; else look for the file",
                mend=partial(_removed, path, sheet),
            )


def _explained(folders: Folders, path: Path) -> str:
    with claimed_sheet(folders, path) as sheet:
        entry = load_entry(folders, sheet.sha256)
        cause = entry.last_error if entry is not None else None
        write_reason(
            path,
            name=entry.name if entry is not None else sheet.name,
            sha256=sheet.sha256,
            cause=cause or "found here by an audit; why it was rejected is not on record",
            cure="Try it again with `sheetflow retry`, or remove it",
        )
    return "a reason file was written"


def _removed(reason: Path, sheet: Path) -> str:
    if not os.path.lexists(sheet):
        reason.unlink(missing_ok=True)
    return "the reason without a file was removed"
