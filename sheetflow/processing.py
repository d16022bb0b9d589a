"""Processing a staged sheet: read the image, find the pairs, cut the pictures, keep the results."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from sheetflow.custody.files import digest_bytes, read_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import shown_name
from sheetflow.custody.results import save_result
from sheetflow.errors import DigestMismatch, ImageTooLarge, TooManySymbols, WorkerFailed
from sheetflow.isolation import IsolatedWorkers
from sheetflow.reading import SheetReading
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
) -> ProcessedSheet:
    """Read a staged sheet in a process of its own, and keep its reading and crops.

    The worker gives its results back and writes nothing: should this process be killed, what is
    left of it cannot get in the way of the run that takes the sheet over.

    Args:
        folders: Where work products go.
        sheet: The staged sheet.
        workers: The processes that may crash.
        recognition: How to read it.
        limits: What is rejected.

    Raises:
        SheetRejected: The file is not an image that can be read whole, or is over a limit.
        DigestMismatch: The file has changed since it was staged.
        WorkerFailed: The decoders crashed or hung on it.
        FolderUnavailable: The results cannot be written now.
    """
    label = shown_name(sheet.name)
    try:
        reading, crops = workers.run(read_and_cut, sheet, recognition, limits)
    except WorkerFailed as error:
        raise WorkerFailed(error.cause, cure=error.cure, sheet=label) from error
    processed = save_result(folders, sheet, reading, crops)
    logger.info(
        "%s: processed, %d pairs, %d doubts",
        sheet.label,
        len(reading.pairs),
        len(reading.doubts),
        extra=about("processed", sheet, pairs=len(reading.pairs), doubts=len(reading.doubts)),
    )
    return processed


def read_and_cut(
    sheet: Sheet, recognition: RecognitionSettings, limits: ProcessingLimits
) -> tuple[SheetReading, list[Crop]]:
    """Read a sheet's file and return what is on it, with the crops of its pairs in their order.

    The file is read once: the bytes that are hashed are those that are decoded.

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
    reading = read_sheet(image, recognition)
    symbols = Counts.of(reading).symbols
    if symbols > limits.max_symbols:
        raise TooManySymbols(
            f"it bears {symbols} codes, more than the {limits.max_symbols} that a sheet may have",
            cure="Cut it into several sheets, or raise SHEETFLOW_MAX_SYMBOLS",
            sheet=label,
        )
    return reading, cut_pictures(image, reading)


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
