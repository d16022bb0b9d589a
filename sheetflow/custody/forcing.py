"""Force-archive, the emergency lever: a person's order takes the place of the receipt.

Never silent and never the default: it wants a reason and a confirmation, says what will not be
stored, is on record in journal and ledger, and can be undone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import (
    ForcedRecord,
    Phase,
    Undo,
    forced_records,
    load_forced,
    save_forced,
)
from sheetflow.custody.forced_steps import Forced, carry_out, take_back
from sheetflow.custody.journal import Entry, load_entry, now_iso, save_entry, whoami
from sheetflow.custody.lookup import Found, choose, listed, staged_sheets
from sheetflow.custody.names import shown_name
from sheetflow.custody.releases import ForcedRelease, Standing
from sheetflow.custody.results import lines_to_store
from sheetflow.custody.transfers import free_name
from sheetflow.errors import CustodyError, UsageError
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import Store
from sheetflow.store.evidence import Finding, examine_lines


@dataclass(frozen=True)
class Plan:
    """What force-archive would do, for a person to look at first.

    Attributes:
        found: The staged sheet.
        sha256: Its digest.
        standing: What of it is stored, and what is not.
        troubles: Why the last attempt failed, and why a person should look at it.
    """

    found: Found
    sha256: str
    standing: Standing
    troubles: tuple[str, ...]


def plan_force(folders: Folders, name: str | None, store: Store | None) -> Plan:
    """Look at what force-archive would do; nothing is touched.

    Raises:
        UsageError: No staged sheet is meant, or several could be.
    """
    found = sheet_to_force(folders, name)
    sheet = Sheet(found.path.name, digest_file(found.path), found.path)
    entry = load_entry(folders, sheet.sha256)
    last_error = entry.last_error if entry is not None else None
    doubts = entry.doubts if entry is not None else ()
    troubles = (*([last_error] if last_error else []), *doubts)
    return Plan(found, sheet.sha256, standing_of(folders, sheet, store), troubles)


def sheet_to_force(folders: Folders, name: str | None) -> Found:
    """Return the staged sheet that is meant: the named one, or the only one there is.

    Raises:
        UsageError: None is meant, or several could be.
    """
    staged = staged_sheets(folders)
    if name is not None:
        return choose(name, staged, meaning="a staged sheet")
    if len(staged) == 1:
        return staged[0]
    if not staged:
        raise UsageError(
            "no sheet is staged", cure="Nothing to do: only staged sheets are archived by force"
        )
    raise UsageError(
        f"{len(staged)} sheets are staged: {listed(staged)}",
        cure="Name the one that shall be archived by force",
    )


def standing_of(folders: Folders, sheet: Sheet, store: Store | None) -> Standing:
    """Return how much of a sheet MongoDB holds, each picture read back just now.

    Args:
        folders: Where the work products are.
        sheet: The staged sheet.
        store: The open store; None if MongoDB is away, and then nothing counts as stored.
    """
    lines = lines_to_store(folders, sheet)
    if lines is None:
        entry = load_entry(folders, sheet.sha256)
        was_read = entry is not None and State.PROCESSED in {event.state for event in entry.history}
        return Standing(pairs_known=False, was_read=was_read, checked=store is not None)
    if store is None:
        return Standing(unstored=tuple(lines), checked=False)
    cut = {code: digest for code, digest in lines.items() if digest is not None}
    evidence = examine_lines(store, cut, sheet_sha256=sheet.sha256)
    stored = [code for code in cut if evidence[code].finding is Finding.HELD]
    return Standing(tuple(stored), tuple(code for code in lines if code not in stored))


def force_archive(
    folders: Folders,
    found: Found,
    *,
    reason: str,
    by: str | None = None,
    confirmed: bool,
    store: Store | None,
    flow_run_id: str | None = None,
) -> Forced:
    """Archive a staged sheet without a complete receipt, and put that on record.

    Killed before the move, the sheet is still staged and the order forgotten; after it, the next
    run brings the records in line.

    Args:
        folders: The four places.
        found: The staged sheet.
        reason: Why; kept for ever.
        by: Who orders it, if not the account that runs this.
        confirmed: That a person was shown what will not be stored, and said yes.
        store: The open store, None if MongoDB is away.
        flow_run_id: The Prefect run, for the history.

    Raises:
        UsageError: There is no reason, or no confirmation.
        SheetBusy: A run is working on the sheet just now.
        FolderUnavailable: The move cannot be made now; the sheet is still in staging.
    """
    with claimed_sheet(folders, found.path) as sheet:
        release = ForcedRelease(
            sheet.sha256,
            now_iso(),
            by or whoami(),
            reason,
            standing_of(folders, sheet, store),
            confirmed=confirmed,
        )
        entry = load_entry(folders, sheet.sha256)
        if entry is None:
            entry = Entry(sheet.sha256, sheet.name, State.STAGED, sheet.name)
        entry = replace(entry, staged_name=sheet.name, archived_name=None)
        save_entry(folders, entry)
        archived_name = free_name(folders.archive, entry.name, sha256=sheet.sha256)
        record = ForcedRecord(entry, release, archived_name, flow_run_id)
        save_forced(folders, record)
        return carry_out(folders, record, store)


def sheet_to_undo(folders: Folders, name: str) -> Found:
    """Return the sheet, archived by force, that is meant.

    Raises:
        UsageError: None is meant, or several could be.
    """
    candidates = [
        Found(
            folders.archive / record.archived_name,
            State.ARCHIVED,
            record.sha256,
            (record.before.name, record.archived_name, record.before.staged_name),
            record.before,
        )
        for record in forced_records(folders)
        if record.phase in (Phase.DONE, Phase.UNDOING)
    ]
    return choose(name, candidates, meaning="a sheet that was archived by force")


def undo_force(
    folders: Folders, found: Found, *, reason: str, by: str | None = None, store: Store | None
) -> Forced:
    """Bring a sheet that was archived by force back to staging, in its earlier state.

    Raises:
        CustodyError: The same bytes are staged once more meanwhile.
        SheetBusy: A run is working on the sheet just now.
        FolderUnavailable: The move cannot be made now; the sheet is still in the archive.
    """
    if not os.path.lexists(found.path):
        raise CustodyError(
            f"its file is not in {found.path.parent} any more",
            cure="Look for it in the other folders, or restore it from a backup; then undo again",
            sheet=shown_name(found.path.name),
        )
    with claimed_sheet(folders, found.path) as sheet:
        record = load_forced(folders, sheet.sha256)
        if record is None:
            raise CustodyError(
                "there is no record that it was archived by force",
                cure="Nothing was moved; `sheetflow status NAME` tells its history",
                sheet=shown_name(sheet.name),
            )
        if record.phase is Phase.DONE and load_entry(folders, sheet.sha256) is not None:
            raise CustodyError(
                "the same bytes have been staged again meanwhile",
                cure="Nothing was moved; let that sheet finish, it stores the same pairs",
                sheet=shown_name(sheet.name),
            )
        undo = record.undo or Undo(now_iso(), by or whoami(), reason)
        record = replace(record, phase=Phase.UNDOING, undo=undo, told=False)
        save_forced(folders, record)
        return take_back(folders, record, store)
