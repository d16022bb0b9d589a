"""Into staging: from the inbox, by a move that the journal knows of before it is made.

The journal's entry says where the sheet is going, so that after a kill at any point the next run
finds the file in one of two places and knows which.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, Origin, load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import is_ignored, portable_name, shown_name
from sheetflow.custody.transfers import copy_file, free_name, move_file
from sheetflow.errors import CustodyError, UsageError
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


def staged_files(folders: Folders) -> list[Path]:
    """Return the files in staging, oldest first."""
    with os.scandir(folders.staging) as found:
        files = [
            (item.stat(follow_symlinks=False).st_mtime_ns, folders.staging / item.name)
            for item in found
            if item.is_file(follow_symlinks=False) and not is_ignored(item.name)
        ]
    return [path for _, path in sorted(files)]


def bring_in(folders: Folders, file: Path) -> Path:
    """Return where a file that someone named waits; one from elsewhere is copied into the inbox.

    Args:
        folders: The four places.
        file: A path, or the bare name of a file in the inbox or in staging.

    Raises:
        UsageError: There is no such file, or it is archived or in quarantine.
    """
    path = file.absolute()
    if not os.path.lexists(path) and len(file.parts) == 1:
        path = _named(folders, file.name) or path
    for place in (folders.inbox, folders.staging):
        if path.parent.resolve() == place.resolve() and os.path.lexists(path):
            return place / path.name
    if path.parent.resolve() in (folders.archive.resolve(), folders.quarantine.resolve()):
        raise UsageError(
            f"it is in {path.parent} already",
            cure="Copy it into the inbox if it shall be taken once more",
            sheet=shown_name(file.name),
        )
    if not path.is_file():
        raise UsageError(
            f"there is no file {shown_name(str(path))}",
            cure="Check the path; bare names are looked for in the inbox and in staging",
            sheet=shown_name(file.name),
        )
    return copy_file(path, folders.inbox)


def stage_sheet(folders: Folders, sheet: Sheet, *, flow_run_id: str | None = None) -> Sheet:
    """Move a sheet from the inbox to staging and return it there.

    Raises:
        CustodyError: Another file of the same bytes is staged already and waits there.
        FolderUnavailable: The move cannot be made now; the sheet is still in the inbox.
    """
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    if entry is not None and not os.path.lexists(sheet.path):
        return _staged_already(folders, sheet, entry, flow_run_id=flow_run_id)
    origin = Origin.of(sheet.path)
    if entry is not None and os.path.lexists(folders.staging / entry.staged_name):
        if entry.origin != origin:
            raise CustodyError(
                f"the same bytes are already staged as {shown_name(entry.staged_name)}",
                cure=f"Finish that sheet first; it is in state {entry.state}",
                sheet=shown_name(sheet.name),
            )
        staged_name = entry.staged_name  # a move that was cut off between copy and removal
    else:
        staged_name = free_name(folders.staging, sheet.name, sha256=sheet.sha256)
        # A sheet that was rejected, and put back by `retry`, keeps its history and its reviews.
        history = entry.history if entry is not None else ()
        reviews = entry.reviews if entry is not None else ()
        entry = Entry(
            sheet.sha256,
            sheet.name,
            State.WAITING,
            staged_name,
            origin=origin,
            history=history,
            reviews=reviews,
        ).moved_on(State.WAITING, flow_run_id=flow_run_id)
        save_entry(folders, entry)
    target = folders.staging / staged_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    save_entry(folders, entry.moved_on(State.STAGED, flow_run_id=flow_run_id))
    logger.info("%s: staged", sheet.label, extra=about("staged", sheet))
    return Sheet(staged_name, sheet.sha256, target)


def staged_twin(folders: Folders, sheet: Sheet) -> str | None:
    """Return the name in staging of another file with the bytes of this one, which waits."""
    entry = load_entry(folders, sheet.sha256)
    if entry is None or not os.path.lexists(folders.staging / entry.staged_name):
        return None
    return None if entry.origin == Origin.of(sheet.path) else entry.staged_name


def adopt_staged(folders: Folders, sheet: Sheet, *, flow_run_id: str | None = None) -> Entry:
    """Return the journal's entry of a staged sheet, a new one if the journal was lost."""
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    if entry is None:
        entry = Entry(sheet.sha256, sheet.name, State.WAITING, sheet.name).moved_on(
            State.STAGED, flow_run_id=flow_run_id, note="found in staging without a journal entry"
        )
    if sheet.path.parent == folders.staging and entry.staged_name != sheet.name:
        entry = replace(entry, staged_name=sheet.name)  # renamed by hand
    entry = replace(entry, attempts=entry.attempts + 1)
    save_entry(folders, entry)
    if entry.origin is not None and entry.origin.stands_in(folders.inbox):
        # Its removal was refused, where a sheet may be read and not taken away. Were it archived
        # now, what is left in the inbox would be taken for a second drop of the same bytes.
        move_file(folders.inbox / entry.origin.name, sheet.path, sha256=sheet.sha256)
    return entry


def _named(folders: Folders, name: str) -> Path | None:
    for place in (folders.inbox, folders.staging):
        for found in place.iterdir():
            if portable_name(found.name) == name:  # Prefect cannot carry names that are not UTF-8
                return found
    return None


def _staged_already(
    folders: Folders, sheet: Sheet, entry: Entry, *, flow_run_id: str | None
) -> Sheet:
    """Finish an earlier try of this step that moved the file and could not write so."""
    target = folders.staging / entry.staged_name
    # With nothing left to move it finds the file there, or says what is gone.
    move_file(sheet.path, target, sha256=sheet.sha256)
    if entry.state is State.WAITING:
        save_entry(folders, entry.moved_on(State.STAGED, flow_run_id=flow_run_id))
    return Sheet(entry.staged_name, sheet.sha256, target)
