"""What the audit mends about archived sheets, each under the sheet's claim and safe to repeat."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import drop_forced, kept_products, load_forced
from sheetflow.custody.forced_steps import tell_forced
from sheetflow.custody.journal import Entry, Event, forget_sheet, load_entry, now_iso, whoami
from sheetflow.custody.leases import owned
from sheetflow.custody.names import shown_name
from sheetflow.custody.returning import return_to_staging
from sheetflow.errors import CustodyError
from sheetflow.review.decisions import Review
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import Store
from sheetflow.store.ledger import write_duplicate, write_entry, write_progress
from sheetflow.store.mending import (
    set_spoiled_record_aside,
    write_rebuilt,
    write_renamed,
    write_returned,
)
from sheetflow.store.survey import images_of_sheet

Document = Mapping[str, Any]


def send_back(
    folders: Folders,
    store: Store,
    path: Path,
    *,
    why: str,
    known: Document | None = None,
    spoiled: Sequence[Any] = (),
) -> str:
    """Bring an archived sheet back to staging, to be processed and uploaded again.

    Args:
        folders: The four places.
        store: The open store.
        path: The file in the archive.
        why: For the history.
        known: What the ledger knows of the sheet.
        spoiled: The `_id`s of records that claim its pictures and hold other bytes.
    """
    with claimed_sheet(folders, path) as sheet:
        before = load_entry(folders, sheet.sha256)
        if before is not None and os.path.lexists(folders.staging / before.staged_name):
            raise CustodyError(
                "the same bytes are staged already",
                cure="Run `sheetflow ingest`, then audit again",
                sheet=shown_name(path.name),
            )
        for record_id in spoiled:
            set_spoiled_record_aside(store, record_id)
        entry = _entry(sheet, State.STAGED, known)
        # The ledger before the move: a staged sheet that it has as archived would be taken for a
        # duplicate, and archived unread. Killed in between, the next audit finds it misplaced.
        write_returned(store, entry)
        note = f"sent back to staging by an audit: {why}"
        write_entry(store, return_to_staging(folders, path, entry, note=note))
    return "the sheet went back to staging; the next run uploads it again"


def rebuild(folders: Folders, store: Store, path: Path) -> str:
    """Write a lost ledger entry anew, from the archived file and the pictures in MongoDB.

    Where the pictures have a gap, or one of them is spoiled, the sheet is sent back instead.
    """
    with claimed_sheet(folders, path) as sheet:
        images = images_of_sheet(store, sheet.sha256)
        if is_whole(images):
            named = {"name": images[0]["name"], "archived_name": path.name}
            note = f"rebuilt by an audit from the archived file and {len(images)} pictures"
            entry = _entry(sheet, State.ARCHIVED, named).moved_on(State.ARCHIVED, note=note)
            write_rebuilt(store, entry, images)
            return f"the ledger entry was rebuilt from {len(images)} pictures, read back"
    why = "the ledger does not know it, and not all of its pictures are in MongoDB"
    return send_back(folders, store, path, why=why)


def is_whole(images: Sequence[Document]) -> bool:
    """Tell whether pictures are all of a sheet's, as far as their numbers on it can show."""
    numbers = {image["index"] for image in images}
    return bool(images) and all(i["whole"] for i in images) and numbers == set(range(len(numbers)))


def record_duplicate(folders: Folders, store: Store, path: Path) -> str:
    """Tell the ledger of a second archived file with the same bytes."""
    with claimed_sheet(folders, path) as sheet:
        note = f"{shown_name(path.name)}: the same bytes again, found in the archive by an audit"
        event = Event(str(State.ARCHIVED), now_iso(), whoami(), None, note)
        write_duplicate(store, sheet.sha256, name=path.name, archived_name=path.name, event=event)
    return "the ledger was told of the duplicate"


def record_name(folders: Folders, store: Store, path: Path) -> str:
    """Tell the ledger under which name an archived sheet lies by now."""
    with claimed_sheet(folders, path) as sheet:
        note = f"found in the archive as {shown_name(path.name)} by an audit"
        event = Event(str(State.ARCHIVED), now_iso(), whoami(), None, note)
        write_renamed(store, sheet.sha256, archived_name=path.name, event=event)
    return "the ledger was told the name"


def forget_leftovers(folders: Folders, path: Path) -> str:
    """Throw away what is kept of a sheet that is archived, stored and on record as such."""
    with claimed_sheet(folders, path) as sheet:
        forget_sheet(folders, sheet.sha256)
        shutil.rmtree(kept_products(folders, sheet.sha256), ignore_errors=True)
        drop_forced(folders, sheet.sha256)
    return "its work products were removed"


def tell_ledger(folders: Folders, store: Store, entry: Entry) -> str:
    """Tell the ledger what the journal knows; of an archived sheet the journal then forgets."""
    with owned(folders, entry.sha256):
        entry = load_entry(folders, entry.sha256) or entry
        write_progress(store, entry)
        if entry.state is State.ARCHIVED:
            forget_sheet(folders, entry.sha256)
    return f"the ledger was told what the journal knows: {entry.state}"


def tell_force(folders: Folders, store: Store, path: Path) -> str:
    """Tell the ledger once more that a sheet was archived by force."""
    with claimed_sheet(folders, path) as sheet:
        record = load_forced(folders, sheet.sha256)
        if record is not None:
            tell_forced(folders, store, [record])
    return "the ledger was told of the force-archive again"


def _entry(sheet: Sheet, state: State, known: Document | None) -> Entry:
    told = known or {}
    return Entry(
        sheet.sha256,
        str(told.get("name") or sheet.name),
        state,
        # In staging the plain name again; a mark is added there if another sheet has it.
        staged_name=str(told.get("name") or sheet.name),
        archived_name=told.get("archived_name") if state is State.ARCHIVED else None,
        attempts=int(told.get("attempts") or 0),
        reviews=tuple(Review.from_json(review) for review in told.get("reviews") or ()),
    )
