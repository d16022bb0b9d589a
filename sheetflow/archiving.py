"""Archiving: the file moves, the ledger is told, and only then the work products go."""

from __future__ import annotations

from pathlib import Path

from sheetflow.custody.archive import archive_duplicate, archive_sheet, plan_duplicate
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Event, forget_sheet, load_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import shown_name
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import Store
from sheetflow.store.ledger import write_duplicate, write_entry


def close_sheet(
    folders: Folders,
    store: Store,
    sheet: Sheet,
    receipt: UploadReceipt,
    *,
    flow_run_id: str | None = None,
) -> Path:
    """Archive a sheet against its receipt, tell the ledger, and forget its work products.

    Ended anywhere, the next run finds the journal's entry and comes back here.

    Returns:
        Where the sheet is now.

    Raises:
        CustodyError: The receipt does not prove that this sheet is stored.
        FolderUnavailable: The file cannot be moved now.
        StoreUnavailable: The ledger cannot be told now.
    """
    target = archive_sheet(folders, sheet, receipt, flow_run_id=flow_run_id)
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    if entry is not None:
        write_entry(store, entry, receipt=receipt)
    forget_sheet(folders, sheet.sha256)
    return target


def archive_twin(
    folders: Folders, store: Store, sheet: Sheet, *, twin: str, flow_run_id: str | None = None
) -> Path:
    """Archive a file whose bytes are stored already, and record whose duplicate it is.

    Args:
        folders: The four places.
        store: The open store.
        sheet: The file, in the inbox or in staging.
        twin: The name of the archived sheet with the same bytes.
        flow_run_id: The Prefect run, for the history.

    Returns:
        Where the file is now.
    """
    plan = plan_duplicate(folders, sheet, flow_run_id=flow_run_id)
    note = f"{shown_name(sheet.name)}: the same bytes again, a duplicate of {shown_name(twin)}"
    write_duplicate(
        store,
        sheet.sha256,
        name=sheet.name,
        archived_name=plan.archived_name,
        event=Event(str(State.ARCHIVED), plan.at, plan.by, plan.flow_run_id, note),
    )
    # Last, and by the same plan: killed anywhere before, the next run writes the same once more.
    return archive_duplicate(folders, sheet)
