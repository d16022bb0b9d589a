"""What the ledger has not heard: steps of sheets at rest, taken while MongoDB was away.

A sheet that goes on tells the ledger with its next step. One that is held for a person, or lies in
quarantine, may have no next step for weeks.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import entries, load_entry
from sheetflow.custody.leases import owned
from sheetflow.errors import SheetBusy, SheetflowError
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.ledger import unheard, write_progress

logger = logging.getLogger(__name__)

_AT_REST = (State.NEEDS_REVIEW, State.REJECTED)


def tell_unheard(folders: Folders, open_store: Callable[[], Store]) -> None:
    """Tell the ledger of sheets at rest what it has not heard; called where a run ends.

    Args:
        folders: Where the journal is.
        open_store: Opens the store; called only if a sheet is at rest.
    """
    at_rest = [entry for entry in entries(folders) if entry.state in _AT_REST]
    if not at_rest:
        return
    try:
        store = open_store()
        for behind in unheard(store, at_rest):
            with contextlib.suppress(SheetBusy), owned(folders, behind.sha256):
                entry = load_entry(folders, behind.sha256)
                if entry is not None and entry.state in _AT_REST:
                    write_progress(store, entry)
    except SheetflowError as error:
        logger.warning("The ledger hears of sheets at rest later: %s", error)
