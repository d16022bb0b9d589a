"""Custody, backwards: from quarantine to the inbox, from the archive to staging.

As on the way forth, the journal's entry is written before the move, nothing is replaced, and the
same call made again after a crash ends in the same state.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path, PurePath

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, Origin, load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import is_ignored, shown_name
from sheetflow.custody.quarantine import reason_file
from sheetflow.custody.transfers import free_name, move_file
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


def return_to_inbox(folders: Folders, sheet: Sheet, entry: Entry, *, note: str) -> Path:
    """Move a quarantined sheet back to the inbox, under the name that people gave it.

    Its reason file goes once the sheet is back, so that a sheet in quarantine is never without.

    Args:
        folders: The four places.
        sheet: The sheet, in quarantine.
        entry: What is known of it; its `name` is the one that is given back.
        note: For the history.

    Returns:
        Where it is now; under another name if another file has its own in the inbox.

    Raises:
        FolderUnavailable: The move cannot be made now; the sheet is still in quarantine.
    """
    name = free_name(folders.inbox, _safe_name(entry.name, sheet.name), sha256=sheet.sha256)
    target = folders.inbox / name
    origin = Origin.of(sheet.path if os.path.lexists(sheet.path) else target)
    entry = replace(
        entry,
        name=name,
        origin=replace(origin, name=name),
        quarantined_name=sheet.name,  # tells the next start where to go on
        last_error=None,
    ).moved_on(State.WAITING, note=note)
    save_entry(folders, entry)
    check_lease(folders, sheet.sha256)
    move_file(sheet.path, target, sha256=sheet.sha256)
    reason_file(sheet.path).unlink(missing_ok=True)
    save_entry(folders, replace(entry, quarantined_name=None))
    logger.info(
        "%s: back in the inbox as %s",
        sheet.label,
        shown_name(name),
        extra=about("returned", sheet),
    )
    return target


def return_to_staging(
    folders: Folders, archived: Path, entry: Entry, *, note: str, flow_run_id: str | None = None
) -> Entry:
    """Move an archived sheet back to staging.

    Args:
        folders: The four places.
        archived: Where it is in the archive.
        entry: What is known of it, in the state that it shall have in staging.
        note: For the history.
        flow_run_id: The Prefect run, for the history.

    Returns:
        Its journal entry, as it was saved.

    Raises:
        FolderUnavailable: The move cannot be made now; the sheet is still in the archive.
        DigestMismatch: The archived file has other bytes; nothing was moved.
    """
    wanted = _safe_name(entry.staged_name, archived.name)
    staged_name = free_name(folders.staging, wanted, sha256=entry.sha256)
    known = load_entry(folders, entry.sha256)
    if known is not None and known.returning_from == archived.name:
        entry = replace(entry, history=known.history)  # a killed try has told it
    else:
        entry = entry.moved_on(entry.state, flow_run_id=flow_run_id, note=note)
    entry = replace(
        entry, staged_name=staged_name, archived_name=None, returning_from=archived.name
    )
    save_entry(folders, entry)
    check_lease(folders, entry.sha256)
    move_file(archived, folders.staging / staged_name, sha256=entry.sha256)
    entry = replace(entry, returning_from=None)
    save_entry(folders, entry)
    logger.info(
        "%s: back in staging: %s",
        shown_name(staged_name),
        note,
        extra=about("returned", Sheet(staged_name, entry.sha256, folders.staging / staged_name)),
    )
    return entry


def _safe_name(wanted: str, fallback: str) -> str:
    # The wish may come from a reason file or the ledger: it names a file, never a path elsewhere.
    plain = wanted not in ("", ".", "..") and PurePath(wanted).name == wanted
    return wanted if plain and not is_ignored(wanted) and "\0" not in wanted else fallback
