"""Processing a staged sheet: read the image, find the pairs, cut the pictures, keep the results."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sheetflow.custody.files import digest_bytes, read_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import shown_name
from sheetflow.custody.results import load_reading, save_result
from sheetflow.errors import DigestMismatch, ImageTooLarge, TooManySymbols, WorkerFailed
from sheetflow.isolation import IsolatedWorkers
from sheetflow.reading import SheetReading
from sheetflow.review.applying import apply
from sheetflow.review.decisions import Decision
from sheetflow.sheets import Counts, ProcessedSheet, Sheet, State
from sheetflow.telling.steps import about
from sheetflow.vision.crops import Crop, cut_pictures
from sheetflow.vision.images import load_image
from sheetflow.vision.recognition import RecognitionSettings, read_sheet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessingLimits:
    """What a sheet may have at most; more is rejected.

    Attributes:
        max_pixels: Pixels of the image, judged before it is decoded.
        max_file_bytes: Size of the file.
        max_symbols: Codes on the sheet.
    """

    max_pixels: int
    max_file_bytes: int
    max_symbols: int


def process_sheet(
    folders: Folders,
    sheet: Sheet,
    *,
    workers: IsolatedWorkers,
    recognition: RecognitionSettings,
    limits: ProcessingLimits,
    margin: float = 0.0,
) -> ProcessedSheet:
    """Read a staged sheet in a process of its own, and keep its reading and crops.

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
        FolderUnavailable: The results cannot be written now.
    """
    label = shown_name(sheet.name)
    entry = load_entry(folders, sheet.sha256)
    review = entry.review if entry is not None else None
    decisions = review.decisions if review is not None else ()
    as_read = load_reading(folders, sheet.sha256) if decisions else None
    try:
        as_read, reading, crops = workers.run(
            read_and_cut,
            sheet,
            recognition,
            limits,
            margin=margin,
            as_read=as_read,
            decisions=decisions,
        )
    except WorkerFailed as error:
        raise WorkerFailed(error.cause, cure=error.cure, sheet=label) from error
    processed = save_result(folders, sheet, reading, crops, as_read=as_read, review=review)
    logger.info(
        "%s: processed, %d pairs, %d doubts",
        sheet.label,
        len(reading.pairs),
        len(reading.doubts),
        extra=about("processed", sheet, pairs=len(reading.pairs), doubts=len(reading.doubts)),
    )
    return processed


def read_and_cut(
    sheet: Sheet,
    recognition: RecognitionSettings,
    limits: ProcessingLimits,
    *,
    margin: float = 0.0,
    as_read: SheetReading | None = None,
    decisions: Sequence[Decision] = (),
) -> tuple[SheetReading, SheetReading, list[Crop]]:
    """Read a sheet's file, apply what was decided about it, and cut the pictures of its pairs.

    The file is read once: the bytes that are hashed are those that are decoded.

    Args:
        sheet: The staged sheet.
        recognition: How to read it.
        limits: What is rejected.
        margin: What crops keep of the pictures' surroundings.
        as_read: What was read on it before; it is not read again then.
        decisions: What a review has decided.

    Returns:
        What was read; that with the decisions applied; and the latter's crops, in its order.

    Raises:
        SheetRejected: The file is not an image that can be read whole, or is over a limit.
        DigestMismatch: The file is not what it was.
    """
    label = shown_name(sheet.name)
    if sheet.path.stat().st_size > limits.max_file_bytes:
        raise ImageTooLarge(
            f"the file is larger than {limits.max_file_bytes // 2**20} MiB",
            cure="Scan it at a lower resolution, or raise SHEETFLOW_MAX_FILE_BYTES",
            sheet=label,
        )
    data = read_file(sheet.path)
    if digest_bytes(data) != sheet.sha256:
        raise DigestMismatch(
            "the file changed after it was staged",
            cure="Nothing was moved; once nobody writes to the file any more, run again",
            sheet=label,
        )
    image = load_image(data, sheet=label, max_pixels=limits.max_pixels)
    as_read = as_read or read_sheet(image, recognition)
    symbols = Counts.of(as_read).symbols
    if symbols > limits.max_symbols:
        raise TooManySymbols(
            f"it bears {symbols} codes, more than the {limits.max_symbols} that a sheet may have",
            cure="Cut it into several sheets, or raise SHEETFLOW_MAX_SYMBOLS",
            sheet=label,
        )
    reading = apply(as_read, decisions)
    return as_read, reading, cut_pictures(image, reading, margin=margin)


def note_processed(
    folders: Folders, processed: ProcessedSheet, *, flow_run_id: str | None = None
) -> Entry | None:
    """Write into the journal what processing gave: ready for its upload, or for a person."""
    check_lease(folders, processed.sheet.sha256)
    entry = load_entry(folders, processed.sheet.sha256)
    if entry is None:
        return None
    doubts = processed.reading.doubts
    entry = replace(entry, counts=processed.counts, doubts=doubts, last_error=None)
    entry = entry.moved_on(State.PROCESSED, flow_run_id=flow_run_id)
    if doubts:
        entry = entry.moved_on(State.NEEDS_REVIEW, flow_run_id=flow_run_id, note="; ".join(doubts))
    save_entry(folders, entry)
    return entry
