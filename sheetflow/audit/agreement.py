"""Journal and ledger held against each other: the ledger has heard of every step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sheetflow.audit.mends import tell_ledger
from sheetflow.audit.report import Problem, Report
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, entries, load_entry
from sheetflow.custody.leases import owned, remove_claim
from sheetflow.errors import SheetBusy
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.ledger import has_heard, tells_of_twin
from sheetflow.store.survey import Document, sheet_document


def check_agreement(folders: Folders, store: Store, report: Report) -> None:
    """Look for what the journal knows and the ledger does not."""
    for entry in entries(folders):
        if not report.is_about(entry.sha256):
            report.add(disagreement(folders, store, entry.sha256))


def disagreement(folders: Folders, store: Store, sha256: str) -> Iterator[Problem]:
    """Yield what journal and ledger say differently of a sheet that no run is working on."""
    if not _differ(load_entry(folders, sha256), sheet_document(store, sha256)):
        return
    # A run tells the journal first and the ledger an instant later: only what differs while
    # nobody owns the sheet is a problem.
    try:
        with owned(folders, sha256):
            entry, document = load_entry(folders, sha256), sheet_document(store, sha256)
            if entry is None:
                remove_claim(folders, sha256)
    except SheetBusy:
        return
    if entry is None or not _differ(entry, document):
        return
    # An archived sheet's last step is the next run's, unless the ledger has its receipt already.
    proven = bool(((document or {}).get("receipt") or {}).get("complete"))
    yield Problem(
        "missing_ledger_entry" if document is None else "ledger_behind",
        entry.name,
        f"the journal has it as {entry.state}, and the ledger "
        + (
            "does not know it"
            if document is None
            else f"as {document['state']}, or it has not heard of every step"
        ),
        "The next run tells the ledger, and so does `sheetflow audit --repair`",
        sha256=sha256,
        mend=partial(tell_ledger, folders, store, entry)
        if proven or entry.state is not State.ARCHIVED
        else None,
    )


def _differ(entry: Entry | None, document: Document | None) -> bool:
    if entry is None or tells_of_twin(document, entry):
        return False  # the entry's file will be archived as the duplicate of the ledger's
    return not has_heard(document, entry)
