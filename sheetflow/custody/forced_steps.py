"""The steps of force-archive and of its undoing, each of which can be run again after a kill."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sheetflow.custody.archive import release_sheet
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import (
    ForcedRecord,
    Phase,
    drop_forced,
    forced_records,
    put_products_away,
    save_forced,
    take_products_back,
)
from sheetflow.custody.journal import load_entry
from sheetflow.custody.names import portable_name, shown_name
from sheetflow.custody.returning import return_to_staging
from sheetflow.errors import SheetflowError
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import Store
from sheetflow.store.forced_ledger import write_forced, write_undone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Forced:
    """What became of a sheet by force, or by taking that back."""

    record: ForcedRecord
    ledger_told: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow force-archive --json` prints it."""
        record = self.record
        undone = record.phase is Phase.UNDONE
        return {
            "name": portable_name(record.before.name),
            "sha256": record.sha256,
            "state": str(record.before.state if undone else State.ARCHIVED),
            "archived_name": None if undone else portable_name(record.archived_name),
            "forced": record.release.to_json(),
            "undone": undone,
            "ledger_told": self.ledger_told,
        }


def settle_forced(folders: Folders) -> None:
    """Bring to an end what was killed halfway; called where a run starts, before anything else."""
    for record in forced_records(folders):
        if record.phase in (Phase.DONE, Phase.UNDONE):
            continue
        archived = folders.archive / record.archived_name
        staged = folders.staging / record.before.staged_name
        path = archived if os.path.lexists(archived) else staged
        try:
            with claimed_sheet(folders, path) as sheet:
                if sheet.sha256 != record.sha256:
                    continue
                if record.phase is Phase.UNDOING:
                    take_back(folders, record, None)
                elif path == archived:
                    carry_out(folders, record, None)
                else:
                    drop_forced(folders, record.sha256)  # killed before the move: it never was
        except (SheetflowError, FileNotFoundError) as error:
            logger.warning("%s: left as it is: %s", shown_name(record.before.name), error)


def tell_untold(folders: Folders, open_store: Callable[[], Store]) -> None:
    """Tell the ledger what was forced or undone while it was away; called where a run ends.

    Args:
        folders: Where the records are.
        open_store: Opens the store; called only if there is something to tell.
    """
    untold = [record for record in forced_records(folders) if not record.told]
    if not untold:
        return
    try:
        tell_forced(folders, open_store(), untold)
    except SheetflowError as error:
        logger.warning("The ledger is told of %d forced sheets later: %s", len(untold), error)


def tell_forced(folders: Folders, store: Store, records: Sequence[ForcedRecord]) -> None:
    """Tell the ledger what it does not know yet.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    for record in records:
        if record.phase is Phase.DONE:
            # Staged again meanwhile: its own steps are told; this one once it is archived.
            if load_entry(folders, record.sha256) is None:
                write_forced(store, record)
                save_forced(folders, replace(record, told=True))
        elif record.phase is Phase.UNDONE:
            entry = load_entry(folders, record.sha256)
            if entry is not None:
                write_undone(store, record, entry)
            drop_forced(folders, record.sha256)


def carry_out(folders: Folders, record: ForcedRecord, store: Store | None) -> Forced:
    """Do what a saved record says: the move, then the work products, then the ledger."""
    staged = folders.staging / record.before.staged_name
    sheet = Sheet(record.before.name, record.sha256, staged)
    release_sheet(folders, sheet, record.release, archived_name=record.archived_name)
    put_products_away(folders, record.sha256)
    record = replace(record, phase=Phase.DONE)
    save_forced(folders, record)
    return Forced(record, _told(folders, record, store))


def take_back(folders: Folders, record: ForcedRecord, store: Store | None) -> Forced:
    """Undo what a saved record says: the work products, then the move, then the ledger."""
    take_products_back(folders, record.sha256)
    undo, before = record.undo, record.before
    reason = f": {undo.reason}" if undo and undo.reason else ""
    note = f"the force-archive was undone by {undo.by if undo else 'nobody'}{reason}"
    archived = folders.archive / record.archived_name
    if os.path.lexists(archived):
        entry = replace(before, history=record.archived_entry().history)
        return_to_staging(folders, archived, entry, note=note, flow_run_id=record.flow_run_id)
    record = replace(record, phase=Phase.UNDONE)
    save_forced(folders, record)
    return Forced(record, _told(folders, record, store))


def _told(folders: Folders, record: ForcedRecord, store: Store | None) -> bool:
    if store is None:
        return False
    try:
        tell_forced(folders, store, [record])
    except SheetflowError as error:
        logger.warning(
            "%s: the ledger is told by the next run: %s", shown_name(record.before.name), error
        )
        return False
    return True
