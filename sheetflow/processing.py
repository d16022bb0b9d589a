"""Processing a staged sheet: read its pages, find the pairs, cut the pictures, keep the results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from sheetflow.custody.files import taken_away
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import shown_name
from sheetflow.custody.results import load_reading, save_result
from sheetflow.errors import WorkerFailed
from sheetflow.isolation import IsolatedWorkers
from sheetflow.pages import PagesDone, PageWork, ProcessingLimits, cut_pages, read_pages
from sheetflow.reading import joined
from sheetflow.review.applying import apply
from sheetflow.sheets import ProcessedSheet, Sheet, State
from sheetflow.telling.steps import about
from sheetflow.vision.recognition import RecognitionSettings

logger = logging.getLogger(__name__)


def process_sheet(
    folders: Folders,
    sheet: Sheet,
    *,
    workers: IsolatedWorkers,
    recognition: RecognitionSettings,
    limits: ProcessingLimits,
    margin: float = 0.0,
) -> ProcessedSheet:
    """Read a staged sheet in a process of its own, page by page, and keep its reading and crops.

    What a review has decided is applied here, so that each pair's crop is cut, and kept with the
    reading, in one place. The reading that the person saw is taken if it is still kept; else the
    sheet is read again, and each decision finds its region there.

    The worker gives its results back and writes nothing: should this process be killed, what is
    left of it cannot get in the way of the run that takes the sheet over.

    Args:
        folders: Where work products go.
        sheet: The staged sheet.
        workers: The processes that may crash.
        recognition: How to read it.
        limits: What is rejected.
        margin: What crops keep of the pictures' surroundings, as in `cut_pictures`.

    Raises:
        SheetRejected: The file is not an image that can be read whole, or is over a limit.
        DigestMismatch: The file has changed since it was staged.
        WorkerFailed: The decoders crashed or hung on it.
        CustodyError: The file was taken away meanwhile.
        FolderUnavailable: Staging is gone, or the results cannot be written now.
    """
    label = shown_name(sheet.name)
    entry = load_entry(folders, sheet.sha256)
    review = entry.review if entry is not None else None
    decisions = review.decisions if review is not None else ()
    as_read = load_reading(folders, sheet.sha256) if decisions else None

    def read(first: int) -> PagesDone:
        return workers.run(
            read_pages, sheet, first, recognition=recognition, limits=limits, margin=margin
        )

    def cut(first: int) -> PagesDone:
        return workers.run(cut_pages, sheet, first, reading=reading, limits=limits, margin=margin)

    try:
        if as_read is None:
            works = _all_pages(read)
            as_read = joined([work.reading for work in works if work.reading is not None])
        reading = apply(as_read, decisions)
        if decisions:
            works = _all_pages(cut)
    except WorkerFailed as error:
        raise WorkerFailed(error.cause, cure=error.cure, sheet=label) from error
    except FileNotFoundError as error:
        raise taken_away(sheet.path) from error
    crops = [crop for work in works for crop in work.crops]
    processed = save_result(folders, sheet, reading, crops, as_read=as_read, review=review)
    logger.info(
        "%s: processed, %d pairs, %d doubts",
        sheet.label,
        len(reading.pairs),
        len(reading.doubts),
        extra=about("processed", sheet, pairs=len(reading.pairs), doubts=len(reading.doubts)),
    )
    return processed


def _all_pages(run: Callable[[int], PagesDone]) -> list[PageWork]:
    """Return what all pages of a file gave; `run` takes a share of them, from a number on."""
    works: list[PageWork] = []
    while True:
        done = run(len(works) + 1)
        works += done.works
        if done.last:
            return works


def note_processed(
    folders: Folders, processed: ProcessedSheet, *, flow_run_id: str | None = None
) -> Entry | None:
    """Write into the journal what processing gave: ready for its upload, or for a person."""
    check_lease(folders, processed.sheet.sha256)
    entry = load_entry(folders, processed.sheet.sha256)
    if entry is None or entry.state is State.ARCHIVED:
        return entry  # archived: a power cut spoiled the results before the ledger was told
    doubts = processed.reading.doubts
    entry = replace(entry, counts=processed.counts, doubts=doubts, last_error=None)
    entry = entry.moved_on(State.PROCESSED, flow_run_id=flow_run_id)
    if doubts:
        entry = entry.moved_on(State.NEEDS_REVIEW, flow_run_id=flow_run_id, note="; ".join(doubts))
    save_entry(folders, entry)
    return entry
