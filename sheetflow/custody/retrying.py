"""Trying a sheet afresh: out of quarantine into the inbox, or from the start in staging."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, now_iso, save_entry, whoami
from sheetflow.custody.lookup import Found, choose, quarantined_sheets, staged_sheets
from sheetflow.custody.names import portable_name, shown_name
from sheetflow.custody.results import discard_result
from sheetflow.custody.returning import return_to_inbox
from sheetflow.errors import UsageError
from sheetflow.review.decisions import Review, Verdict
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retried:
    """A sheet that the next run takes up afresh.

    Attributes:
        name: Its name now.
        sha256: Its digest.
        was: The state that it was taken out of; `failed` for a failed attempt.
        path: Where it is now.
        entry: Its journal entry, for the ledger.
    """

    name: str
    sha256: str
    was: State
    path: Path
    entry: Entry

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow retry --json` prints it."""
        return {
            "name": portable_name(self.name),
            "sha256": self.sha256,
            "was": str(self.was),
            "state": str(self.entry.state),
            "folder": self.path.parent.name,
        }


def select_for_retry(
    folders: Folders,
    names: Sequence[str],
    *,
    all_failed: bool = False,
    all_rejected: bool = False,
) -> list[Found]:
    """Return the sheets that are meant; all of them are found before any is touched.

    Args:
        folders: The four places.
        names: What a person called them.
        all_failed: Also every staged sheet whose last attempt failed.
        all_rejected: Also every sheet in quarantine.

    Raises:
        UsageError: A name means no sheet that can be retried, or several.
    """
    quarantined, staged = quarantined_sheets(folders), staged_sheets(folders)
    stuck = [found for found in staged if _is_stuck(found)]
    chosen = [_meant(name, [*quarantined, *stuck], staged) for name in names]
    chosen += quarantined if all_rejected else []
    chosen += [found for found in stuck if _has_failed(found)] if all_failed else []
    return list({found.path: found for found in chosen}.values())


def retry_sheet(folders: Folders, found: Found) -> Retried:
    """Make the next run take a sheet up afresh; its file is never out of the four places.

    Raises:
        SheetBusy: A run is working on it just now.
        FolderUnavailable: It cannot be moved now; it is where it was.
        FileNotFoundError: It has been moved meanwhile.
    """
    note = f"retried by {whoami()}"
    with claimed_sheet(folders, found.path) as sheet:
        if found.path.parent == folders.quarantine:
            return _out_of_quarantine(folders, sheet, found, note)
        return _afresh_in_staging(folders, sheet, note)


def _out_of_quarantine(folders: Folders, sheet: Sheet, found: Found, note: str) -> Retried:
    entry = load_entry(folders, sheet.sha256)
    if entry is None:
        entry = Entry(sheet.sha256, found.names[0], State.REJECTED, sheet.name)
    if entry.review is not None and entry.review.verdict is Verdict.REJECTED:
        # A person had rejected it: else the next run would do as that review says.
        taken_back = Review(uuid4().hex, now_iso(), whoami(), Verdict.REREAD, note=note)
        entry = replace(entry, reviews=(*entry.reviews, taken_back))
    target = return_to_inbox(folders, sheet, entry, note=note)
    entry = load_entry(folders, sheet.sha256) or entry
    return Retried(target.name, sheet.sha256, State.REJECTED, target, entry)


def _afresh_in_staging(folders: Folders, sheet: Sheet, note: str) -> Retried:
    entry = load_entry(folders, sheet.sha256)
    if entry is None:
        entry = Entry(sheet.sha256, sheet.name, State.STAGED, sheet.name)
    was = State.FAILED if entry.last_error else entry.state
    entry = start_afresh(folders, sheet, entry, note=note)
    logger.info("%s: %s", sheet.label, note, extra=about("retried", sheet))
    return Retried(entry.name, sheet.sha256, was, sheet.path, entry)


def start_afresh(
    folders: Folders, sheet: Sheet, entry: Entry, *, note: str, **of_event: str | None
) -> Entry:
    """Throw away what was read on a staged sheet, so that the next run reads it again.

    What persons decided about it stays, and is applied to the new reading.

    Args:
        folders: The four places.
        sheet: The staged sheet, owned by the caller.
        entry: What is known of it.
        note: For the history.
        of_event: What `Entry.moved_on` takes besides: `by`, `flow_run_id`.
    """
    # The results first: killed in between, the sheet is still one that can be retried.
    discard_result(folders, sheet)
    entry = replace(
        entry,
        staged_name=sheet.name,
        archived_name=None,
        counts=None,
        doubts=(),
        stored_pairs=0,
        last_error=None,
    ).moved_on(State.STAGED, note=note, **of_event)
    save_entry(folders, entry)
    return entry


def _meant(name: str, candidates: Sequence[Found], staged: Sequence[Found]) -> Found:
    meaning = "a sheet that was rejected, has failed or needs a review"
    try:
        return choose(name, candidates, meaning=meaning)
    except UsageError as error:
        try:
            healthy = choose(name, staged, meaning=meaning)
        except UsageError:
            raise error from None
        raise UsageError(
            f"it is staged, in state {healthy.state}, and nothing is wrong with it",
            cure="Nothing to retry: the next `sheetflow ingest` takes it on from there",
            sheet=shown_name(name),
        ) from None


def _is_stuck(found: Found) -> bool:
    return found.state is State.NEEDS_REVIEW or _has_failed(found)


def _has_failed(found: Found) -> bool:
    return found.entry is not None and found.entry.last_error is not None
