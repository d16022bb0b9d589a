"""Reviews in custody: what a person decides about a sheet, on record and carried out.

A decision is on record once the journal's entry is written, whole and in one go. The next run does
the rest: it applies the decisions, cuts the crops, uploads and archives. A rejection is written
down first and carried out then, here or, after a kill, by the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from sheetflow import __version__
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, now_iso, save_entry, whoami
from sheetflow.custody.lookup import Found, choose, staged_sheets
from sheetflow.custody.names import shown_name
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.results import load_reading
from sheetflow.custody.retrying import start_afresh
from sheetflow.errors import SheetRejected, UsageError
from sheetflow.reading import SheetReading
from sheetflow.review.answers import Answers, decided
from sheetflow.review.applying import apply
from sheetflow.review.decisions import Decision, Review, Verdict
from sheetflow.sheets import Sheet, State

logger = logging.getLogger(__name__)

_MAY_BE_REVIEWED_AGAIN = (State.STAGED, State.PROCESSED, State.UPLOADED)


class RejectedByReview(SheetRejected):
    """A person has looked at the sheet and wants none of it stored."""


@dataclass(frozen=True)
class UnderReview:
    """A sheet that a person looks at.

    Attributes:
        found: Where it is.
        entry: What the journal knows.
        reading: What was read on it, untouched by any earlier review; regions are numbered by it.
    """

    found: Found
    entry: Entry
    reading: SheetReading

    @property
    def sheet(self) -> Sheet:
        """The sheet, as the journal identifies it."""
        return Sheet(self.found.path.name, self.entry.sha256, self.found.path)


def sheet_to_review(folders: Folders, name: str) -> Found:
    """Return the sheet that is meant: one that waits, or one that was reviewed and is staged still.

    Raises:
        UsageError: None is meant, or several could be.
    """
    candidates = [found for found in staged_sheets(folders) if _is_reviewable(found)]
    return choose(name, candidates, meaning="a sheet that needs a review")


def look_at_sheet(folders: Folders, found: Found) -> UnderReview:
    """Return what a person should see of a sheet.

    Raises:
        UsageError: What was read on it is not kept any more.
    """
    reading = load_reading(folders, found.sha256 or "")
    if found.entry is None or reading is None:
        raise UsageError(
            "what was read on it is not kept any more",
            cure="`sheetflow ingest` reads it again, and then it can be reviewed",
            sheet=shown_name(found.path.name),
        )
    return UnderReview(found, found.entry, reading)


def settle_sheet(
    folders: Folders,
    found: Found,
    answers: Answers,
    *,
    by: str | None = None,
    note: str = "",
    flow_run_id: str | None = None,
) -> Entry:
    """Put on record what a person answers, if that settles the sheet; the next run takes it on.

    Args:
        folders: The four places.
        found: The sheet, in staging.
        answers: What the person says about its regions, whole: it replaces any earlier review.
        by: Who, if not the account that runs this.
        note: What else there is to say.
        flow_run_id: The Prefect run through which the answer came.

    Returns:
        The sheet's entry, for the ledger.

    Raises:
        AnswerRefused: The answer cannot be, or leaves doubts open; nothing is stored.
        SheetBusy: A run is working on the sheet just now.
        FileNotFoundError: It has been moved meanwhile.
    """
    with claimed_sheet(folders, found.path) as sheet:
        entry = _still_reviewable(folders, sheet, found)
        reading = look_at_sheet(folders, replace(found, entry=entry)).reading
        decisions = decided(reading, answers, sheet=shown_name(entry.name))
        review = _review(Verdict.SETTLED, by, note, flow_run_id, decisions)
        told = review.told + _told_of_stored(entry, reading, decisions)
        entry = replace(
            entry, reviews=(*entry.reviews, review), doubts=(), last_error=None
        ).moved_on(State.STAGED, by=review.by, flow_run_id=flow_run_id, note=told)
        save_entry(folders, entry)
    logger.info("%s: %s, by %s", sheet.label, review.told, review.by)
    return entry


def reject_sheet(
    folders: Folders,
    found: Found,
    reason: str,
    *,
    by: str | None = None,
    flow_run_id: str | None = None,
) -> Entry:
    """Put a sheet into quarantine because a person wants none of it stored; raises as above.

    Raises:
        UsageError: There is no reason.
    """
    if not reason.strip():
        raise UsageError(
            "a sheet is rejected only for a reason",
            cure="Say why; it is kept beside the file",
            sheet=shown_name(found.path.name),
        )
    with claimed_sheet(folders, found.path) as sheet:
        entry = _still_reviewable(folders, sheet, found)
        review = _review(Verdict.REJECTED, by, reason.strip(), flow_run_id)
        entry = replace(entry, reviews=(*entry.reviews, review))
        save_entry(folders, entry)  # killed after this, the next run carries it out
        error = rejection_of(entry)
        assert error is not None  # noqa: S101 - the review is the one just made
        quarantine_sheet(folders, sheet, error, flow_run_id=flow_run_id)
        return load_entry(folders, sheet.sha256) or entry


def reread_sheet(
    folders: Folders,
    found: Found,
    *,
    by: str | None = None,
    note: str = "",
    flow_run_id: str | None = None,
) -> Entry:
    """Have a sheet read again from the start; earlier decisions hold no longer; raises as above."""
    with claimed_sheet(folders, found.path) as sheet:
        entry = _still_reviewable(folders, sheet, found)
        review = _review(Verdict.REREAD, by, note, flow_run_id)
        entry = replace(entry, reviews=(*entry.reviews, review))
        return start_afresh(
            folders, sheet, entry, note=review.told, by=review.by, flow_run_id=flow_run_id
        )


def rejection_of(entry: Entry) -> RejectedByReview | None:
    """Return why a person has rejected a sheet; None if nobody has, or it was taken back."""
    review = entry.review
    if review is None or review.verdict is not Verdict.REJECTED:
        return None
    return RejectedByReview(
        f"rejected by {review.by}: {review.note}",
        cure="If that was a mistake, `sheetflow retry` puts it back into source/",
        sheet=shown_name(entry.name),
    )


def _review(
    verdict: Verdict,
    by: str | None,
    note: str,
    flow_run_id: str | None,
    decisions: tuple[Decision, ...] = (),
) -> Review:
    return Review(
        id=uuid4().hex,
        at=now_iso(),
        by=by or whoami(),
        verdict=verdict,
        decisions=decisions,
        note=note,
        flow_run_id=flow_run_id,
        sheetflow_version=__version__,
    )


def _told_of_stored(entry: Entry, reading: SheetReading, decisions: Sequence[Decision]) -> str:
    """Name the codes that were stored as certain, and that the review has taken off the sheet.

    They are not removed: a record may have got a category, or another sheet's picture, since.
    """
    if not entry.stored_pairs:
        return ""
    left = {pair.code for pair in apply(reading, decisions).pairs}
    gone = [shown_name(pair.code) for pair in reading.certain_pairs if pair.code not in left]
    if not gone:
        return ""
    return (
        f"; stored before this review and no longer on the sheet: {', '.join(gone)}; if that was "
        "wrong, remove them from MongoDB"
    )


def _still_reviewable(folders: Folders, sheet: Sheet, found: Found) -> Entry:
    """Return the entry as it is now, under the sheet's claim."""
    entry = load_entry(folders, sheet.sha256)
    now = replace(found, state=entry.state if entry else State.STAGED, entry=entry)
    if entry is None or sheet.path.parent != folders.staging or not _is_reviewable(now):
        raise UsageError(
            f"it does not wait for a review: it is {now.state}",
            cure="Nothing to decide; `sheetflow status NAME` tells its history",
            sheet=shown_name(sheet.name),
        )
    return entry


def _is_reviewable(found: Found) -> bool:
    entry = found.entry
    if entry is None or entry.archived_name is not None:
        return False  # an archived name: every pair is confirmed, and it is on its way
    again = found.state in _MAY_BE_REVIEWED_AGAIN and bool(entry.reviews)
    return found.state is State.NEEDS_REVIEW or again
