"""A file's pages, read and cut in a worker: each call takes as many as fit its share of time.

So a file of a hundred pages has no other limits of time and memory than a hundred files of one,
and a page that hangs the decoders is ended as soon as a sheet would be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sheetflow.custody.files import digest_bytes, read_file
from sheetflow.custody.names import shown_name
from sheetflow.errors import DigestMismatch, ImageTooLarge, TooManySymbols
from sheetflow.reading import SheetReading
from sheetflow.sheets import Counts, Sheet
from sheetflow.vision.crops import Crop, cut_pictures
from sheetflow.vision.images import SheetImage
from sheetflow.vision.pages import DEFAULT_MAX_PAGES, SheetFile
from sheetflow.vision.recognition import RecognitionSettings, read_sheet

_SHARE_S = 10.0
_SHARE_BYTES = 64 * 1024 * 1024
"""Of crops, which travel from process to process."""


@dataclass(frozen=True)
class ProcessingLimits:
    """What a sheet may have at most; more is rejected.

    Attributes:
        max_pixels: Pixels of a page, judged before it is decoded.
        max_file_bytes: Size of the file.
        max_symbols: Codes on a page.
        max_pages: Pages of the file.
    """

    max_pixels: int
    max_file_bytes: int
    max_symbols: int
    max_pages: int = DEFAULT_MAX_PAGES


@dataclass(frozen=True)
class PageWork:
    """What one page gave: what was read on it, if it was read, and its crops."""

    crops: list[Crop]
    reading: SheetReading | None = None


@dataclass(frozen=True)
class PagesDone:
    """What one call did.

    Attributes:
        works: Of the pages from the first that was asked for on.
        last: Whether the file ends with them.
    """

    works: list[PageWork]
    last: bool


def read_pages(
    sheet: Sheet,
    first: int,
    *,
    recognition: RecognitionSettings,
    limits: ProcessingLimits,
    margin: float = 0.0,
) -> PagesDone:
    """Read pages of a sheet's file from `first` on, and cut the pictures of their pairs.

    Raises:
        SheetRejected: The file is not an image that can be read whole, or is over a limit.
        DigestMismatch: The file is not what it was.
    """

    def work(image: SheetImage, _number: int) -> PageWork:
        reading = read_sheet(image, recognition)
        symbols = Counts.of(reading).symbols
        if symbols > limits.max_symbols:
            raise TooManySymbols(
                f"it bears {symbols} codes, more than the {limits.max_symbols} that a page may "
                "have",
                cure="Cut it into several sheets, or raise SHEETFLOW_MAX_SYMBOLS",
                sheet=image.name,
            )
        return PageWork(cut_pictures(image, reading, margin=margin), reading)

    return _share_of(sheet, first, limits, work)


def cut_pages(
    sheet: Sheet,
    first: int,
    *,
    reading: SheetReading,
    limits: ProcessingLimits,
    margin: float = 0.0,
) -> PagesDone:
    """Cut the pictures of a reading's pairs on the pages from `first` on; raises as above."""
    pages = reading.page_numbers

    def work(image: SheetImage, number: int) -> PageWork:
        return PageWork(cut_pictures(image, reading, margin=margin, page=pages[number - 1]))

    return _share_of(sheet, first, limits, work)


def _share_of(
    sheet: Sheet, first: int, limits: ProcessingLimits, work: Callable[[SheetImage, int], PageWork]
) -> PagesDone:
    file, until = _opened(sheet, limits), time.monotonic() + _SHARE_S
    works: list[PageWork] = []
    for number in range(first, file.count + 1):
        works.append(work(file.page(number), number))
        if time.monotonic() > until or _size_bytes(works) > _SHARE_BYTES:
            break
    return PagesDone(works, last=first + len(works) > file.count)


def _opened(sheet: Sheet, limits: ProcessingLimits) -> SheetFile:
    """Open a staged sheet's file; it is read once, so that what is hashed is what is decoded."""
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
    return SheetFile(data, sheet=label, max_pixels=limits.max_pixels, max_pages=limits.max_pages)


def _size_bytes(works: list[PageWork]) -> int:
    return sum(len(crop.image_bytes) for work in works for crop in work.crops)
