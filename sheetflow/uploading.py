"""Uploading a processed sheet: stored, read back, and written into journal and ledger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.reading import Pair
from sheetflow.receipts import UploadReceipt
from sheetflow.records import drafts_of
from sheetflow.sheets import ProcessedSheet, State
from sheetflow.store.catalogue import confirm_upload, upload_sheet
from sheetflow.store.connection import Store
from sheetflow.store.ledger import write_entry
from sheetflow.telling.figures import FIGURES
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


def store_pairs(
    folders: Folders,
    store: Store,
    processed: ProcessedSheet,
    pairs: Sequence[Pair],
    *,
    flow_run_id: str | None = None,
) -> UploadReceipt:
    """Store pairs of a sheet, prove that they are stored, and say so in journal and ledger.

    Args:
        folders: Where the journal is.
        store: The open store.
        processed: The sheet with its work products.
        pairs: Those of its pairs that are to be stored: all of them, or the certain ones.
        flow_run_id: The Prefect run.

    Returns:
        The receipt; complete only if `pairs` were all of the sheet's.

    Raises:
        StoreUnavailable: MongoDB is away; run again.
        UploadUnconfirmed: MongoDB returned other bytes than were sent; run again.
        StoreRefused: MongoDB refuses.
        SpoiledResult: The kept crops are spoiled; process the sheet again.
    """
    check_lease(folders, processed.sheet.sha256)
    drafts = drafts_of(processed, pairs, flow_run_id=flow_run_id)
    upload_sheet(store, processed, drafts)
    receipt = confirm_upload(store, processed, drafts)
    check_lease(folders, processed.sheet.sha256)
    entry = load_entry(folders, processed.sheet.sha256)
    if entry is not None:
        entry = replace(entry, stored_pairs=len(receipt.lines))
        if entry.state is not State.ARCHIVED:  # else its run was ended before the ledger was told
            # The certain pairs of a sheet in doubt are stored, and the sheet waits on.
            held = entry.state is State.NEEDS_REVIEW
            state = State.NEEDS_REVIEW if held else State.UPLOADED
            note = f"{len(receipt.lines)} of {receipt.pairs_on_sheet} pairs stored and read back"
            entry = entry.moved_on(state, flow_run_id=flow_run_id, note=note)
        save_entry(folders, entry)
        write_entry(store, entry, receipt=receipt)
    FIGURES.count("pairs_stored", len(receipt.lines))
    FIGURES.count("stored_bytes", sum(len(draft.image_bytes) for draft in drafts))
    logger.info(
        "%s: %d pairs stored and read back",
        processed.sheet.label,
        len(receipt.lines),
        extra=about("stored", processed.sheet, pairs=len(receipt.lines)),
    )
    return receipt
