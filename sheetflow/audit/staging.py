"""Staging and journal held against each other: every staged sheet is known, and is what it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sheetflow.audit.report import Problem, Report
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_or_none
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import load_forced
from sheetflow.custody.journal import Entry, entries, load_entry, save_entry
from sheetflow.custody.lookup import entries_by_staged_name
from sheetflow.custody.staging import staged_files
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.ledger import write_progress


def check_staging(folders: Folders, store: Store | None, report: Report) -> None:
    """Look at each staged file, and at each journal entry of a sheet that should be staged."""
    report.add(_files(folders, store, report))
    report.add(_entries(folders, report))


def _files(folders: Folders, store: Store | None, report: Report) -> Iterator[Problem]:
    by_name = entries_by_staged_name(folders)
    for path in staged_files(folders) if folders.staging.is_dir() else ():
        report.count("staged_files")
        sha256 = digest_or_none(path)
        # Moved on, or replaced by a link, while we looked: its entry tells.
        if sha256 is None or load_entry(folders, sha256) is not None:
            continue
        known = by_name.get(path.name)
        if known is not None and known.sha256 != sha256 and _should_be_staged(known):
            yield Problem(
                "altered_file",
                path.name,
                f"it was staged with the SHA-256 {known.sha256} and has {sha256} now",
                "Restore it from a backup; or, if the new content is right, move it to source/",
                sha256=known.sha256,
            )
        else:
            yield Problem(
                "missing_journal_entry",
                path.name,
                "it is staged, and the journal does not know it",
                "`sheetflow audit --repair` writes an entry; the next run would as well",
                sha256=sha256,
                mend=partial(_adopted, folders, store, path),
            )


def _entries(folders: Folders, report: Report) -> Iterator[Problem]:
    for entry in entries(folders):
        report.count("journal_entries")
        if not _should_be_staged(entry) or os.path.lexists(folders.staging / entry.staged_name):
            continue
        if report.is_about(entry.sha256) or load_forced(folders, entry.sha256) is not None:
            continue
        if load_entry(folders, entry.sha256) != entry:
            continue  # a run is at work on it
        if entry.archived_name and os.path.lexists(folders.archive / entry.archived_name):
            report.count("archived_and_untold")
            continue  # archived, and the ledger is told by the next run
        yield Problem(
            "missing_file",
            entry.name,
            f"the journal has it in staging as {entry.staged_name}, where it is not",
            f"Look for it in the other folders or in a backup (SHA-256 {entry.sha256}) and put it "
            "into source/",
            sha256=entry.sha256,
        )


def _should_be_staged(entry: Entry) -> bool:
    return entry.state not in (State.WAITING, State.REJECTED)


def _adopted(folders: Folders, store: Store | None, path: Path) -> str:
    with claimed_sheet(folders, path) as sheet:
        entry = load_entry(folders, sheet.sha256)
        if entry is None:
            entry = Entry(sheet.sha256, sheet.name, State.WAITING, sheet.name)
            note = "found in staging by an audit, without a journal entry"
            entry = entry.moved_on(State.STAGED, note=note)
            save_entry(folders, entry)
        if store is not None:
            write_progress(store, entry)
    return "a journal entry was written; the next run processes the sheet"
