"""Into the archive: against a receipt, on a person's order, or as a duplicate of what is there."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from sheetflow.custody.files import digest_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import (
    Duplicate,
    Entry,
    Origin,
    entries,
    forget_sheet,
    load_duplicate,
    load_entry,
    now_iso,
    save_duplicate,
    save_entry,
    whoami,
)
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import shown_name
from sheetflow.custody.releases import ForcedRelease
from sheetflow.custody.staging import adopt_staged
from sheetflow.custody.transfers import free_name, move_file, unused_name
from sheetflow.errors import CustodyError, NameTaken
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


def half_archived(folders: Folders) -> list[Path]:
    """Return the archived files whose run was ended before the ledger could be told."""
    return [
        folders.archive / entry.archived_name
        for entry in entries(folders)
        if entry.archived_name is not None
        and not os.path.lexists(folders.staging / entry.staged_name)
        and os.path.lexists(folders.archive / entry.archived_name)
    ]


def archive_sheet(
    folders: Folders, sheet: Sheet, receipt: UploadReceipt, *, flow_run_id: str | None = None
) -> Path:
    """Move a staged sheet to the archive, against the proof that all its pairs are stored.

    Args:
        folders: The four places.
        sheet: The staged sheet; or one that an earlier try has already moved.
        receipt: What only a confirming read-back can make, for this sheet and all its pairs.
        flow_run_id: The Prefect run, for the history.

    Returns:
        Where the sheet is now.

    Raises:
        CustodyError: The receipt is another sheet's, or does not cover every pair.
        FolderUnavailable: The move cannot be made now; the sheet is still in staging.
    """
    if receipt.sheet_sha256 != sheet.sha256 or not receipt.complete:
        raise CustodyError(
            "the receipt does not prove that every pair of this sheet is stored",
            cure="Nothing was moved; run again, and report this as a bug if it comes back",
            sheet=shown_name(sheet.name),
        )
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256) or adopt_staged(folders, sheet)
    entry = _moved_to_archive(folders, entry)
    entry = replace(entry, last_error=None)
    if entry.state is not State.ARCHIVED:  # else an earlier try came this far, and it is told once
        entry = entry.moved_on(State.ARCHIVED, flow_run_id=flow_run_id)
    save_entry(folders, entry)
    target = folders.archive / (entry.archived_name or entry.name)
    logger.info(
        "%s: archived as %s", sheet.label, shown_name(target.name), extra=about("archived", sheet)
    )
    return target


def release_sheet(
    folders: Folders, sheet: Sheet, release: ForcedRelease, *, archived_name: str
) -> Path:
    """Move a staged sheet to the archive on a person's order, without proof that it is stored.

    The other way into the archive: it takes an order that names the sheet and the reason, where
    `archive_sheet` takes a receipt, and neither takes the other's.

    Args:
        folders: The four places.
        sheet: The staged sheet; or one that an earlier try has already moved.
        release: Who, when, why, confirmed; on record already.
        archived_name: Its name in the archive, on record already.

    Raises:
        CustodyError: The order is for another sheet.
        FolderUnavailable: The move cannot be made now; the sheet is still in staging.
    """
    if release.sheet_sha256 != sheet.sha256:
        raise CustodyError(
            "the order to archive by force is for another sheet",
            cure="Nothing was moved; name this sheet if it is the one that is meant",
            sheet=shown_name(sheet.name),
        )
    target = folders.archive / archived_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    logger.warning("%s: %s", sheet.label, release.note(), extra=about("forced", sheet))
    return target


def plan_duplicate(folders: Folders, sheet: Sheet, *, flow_run_id: str | None = None) -> Duplicate:
    """Write down under which name a duplicate will be archived, and return that; once a file.

    Without it a move that was killed between the copy and the removal would be begun again under
    another unused name, and the archive would have the file twice.
    """
    plan = load_duplicate(folders, sheet.sha256)
    if plan is not None and not os.path.lexists(sheet.path):
        return plan  # an earlier try moved it, and could not clear up behind it
    origin = Origin.of(sheet.path)
    if plan is not None and plan.origin == origin:
        target = folders.archive / plan.archived_name
        if not os.path.lexists(target) or digest_file(target) == sheet.sha256:
            return plan
    name = unused_name(folders.archive, sheet.name)
    plan = Duplicate(origin, name, now_iso(), whoami(), flow_run_id)
    save_duplicate(folders, sheet.sha256, plan)
    return plan


def archive_duplicate(folders: Folders, sheet: Sheet) -> Path:
    """Move a file whose bytes are archived and stored already to the archive, under its own name.

    Returns:
        Where it is now.
    """
    check_lease(folders, sheet.sha256)
    target = folders.archive / plan_duplicate(folders, sheet).archived_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    forget_sheet(folders, sheet.sha256)
    logger.info(
        "%s: a duplicate, archived as %s",
        sheet.label,
        shown_name(target.name),
        extra=about("duplicate", sheet),
    )
    return target


def _moved_to_archive(folders: Folders, entry: Entry) -> Entry:
    for last_try in (False, False, True):
        # The name that an earlier try wrote down, unless another sheet has taken it since.
        wanted = entry.archived_name or entry.name
        name = free_name(folders.archive, wanted, sha256=entry.sha256)
        entry = replace(entry, archived_name=name)
        save_entry(folders, entry)
        try:
            move_file(
                folders.staging / entry.staged_name, folders.archive / name, sha256=entry.sha256
            )
        except NameTaken:
            # Two sheets of one name are archived at once, and the other one was quicker.
            if last_try:
                raise
        else:
            break
    return entry
