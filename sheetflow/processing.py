"""Processing a staged sheet: read the image, find the pairs, cut the pictures, keep the results."""

from __future__ import annotations

import logging
from dataclasses import replace

from sheetflow.crops import cut_pictures
from sheetflow.errors import DigestMismatch, ImageTooLarge
from sheetflow.files import digest_bytes, read_file
from sheetflow.folders import Folders
from sheetflow.images import load_image
from sheetflow.journal import Entry, load_entry, save_entry
from sheetflow.names import shown_name
from sheetflow.recognition import RecognitionSettings, read_sheet
from sheetflow.results import save_result
from sheetflow.sheets import ProcessedSheet, Sheet, State

logger = logging.getLogger(__name__)


def process_sheet(
    folders: Folders,
    sheet: Sheet,
    *,
    recognition: RecognitionSettings,
    max_pixels: int,
    max_file_bytes: int,
) -> ProcessedSheet:
    """Read a staged sheet and keep its reading and crops as work products.

    The file is read once: the bytes that are hashed are those that are decoded.

    Args:
        folders: Where work products go.
        sheet: The staged sheet.
        recognition: How to read it.
        max_pixels: Images with more are rejected.
        max_file_bytes: Larger files are rejected.

    Raises:
        SheetRejected: The file is not an image that can be read whole.
        DigestMismatch: The file has changed since it was staged.
        FolderUnavailable: The results cannot be written now.
    """
    label = shown_name(sheet.name)
    if sheet.path.stat().st_size > max_file_bytes:
        raise ImageTooLarge(
            f"the file is larger than {max_file_bytes // 2**20} MiB",
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
    image = load_image(data, sheet=label, max_pixels=max_pixels)
    reading = read_sheet(image, recognition)
    processed = save_result(folders, sheet, reading, cut_pictures(image, reading))
    logger.info(
        "%s: processed, %d pairs, %d doubts", sheet.label, len(reading.pairs), len(reading.doubts)
    )
    return processed


def note_processed(
    folders: Folders, processed: ProcessedSheet, *, flow_run_id: str | None = None
) -> Entry | None:
    """Write into the journal what processing gave: ready for its upload, or for a person."""
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
