"""Pictures of a sheet that a person should look at, page by page, as numbered overlays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from sheetflow.custody.files import read_file
from sheetflow.custody.names import shown_name
from sheetflow.isolation import IsolatedWorkers
from sheetflow.reading import SheetReading, page_told
from sheetflow.regions import regions_of
from sheetflow.sheets import Sheet
from sheetflow.vision.overlay import draw_overlay, draw_small_overlay
from sheetflow.vision.pages import SheetFile
from sheetflow.vision.pdf import is_pdf

if TYPE_CHECKING:
    from sheetflow.custody.reviewing import UnderReview
    from sheetflow.settings import Settings


def pages_to_look_at(reading: SheetReading) -> list[int | None]:
    """Return the pages that are in doubt; all, if none is: (None,) where the file has one."""
    doubted = {region.page for region in regions_of(reading) if region.is_open}
    pages = [
        page
        for page in reading.page_numbers
        if page in doubted
        or (page and any(doubt.startswith(page_told(page)) for doubt in reading.sheet_doubts))
    ]
    return pages or list(reading.page_numbers)


def overlays_of(
    settings: Settings,
    looked_at: UnderReview,
    pages: Sequence[int | None],
    *,
    max_bytes: int | None = None,
) -> list[bytes]:
    """Return pages of a sheet with their regions numbered.

    A PDF is rendered in a process of its own, as when it was read.

    Args:
        settings: The limits of pages, pixels, time and memory.
        looked_at: The sheet.
        pages: Which pages, as its regions name them.
        max_bytes: If given, each is a JPEG of about so many bytes at most; else a PNG.
    """
    draw = partial(
        _draw,
        looked_at.sheet,
        looked_at.reading,
        pages,
        max_pixels=settings.max_pixels,
        max_pages=settings.max_pages,
        max_bytes=max_bytes,
    )
    with looked_at.found.path.open("rb") as file:
        if not is_pdf(file.read(1024)):
            return draw()
    with IsolatedWorkers(
        1,
        timeout_s=settings.sheet_timeout_s,
        preload="sheetflow.overlays",
        memory_bytes=settings.reader_memory_bytes,
    ) as workers:
        return workers.run(draw)


def _draw(
    sheet: Sheet,
    reading: SheetReading,
    pages: Sequence[int | None],
    *,
    max_pixels: int,
    max_pages: int,
    max_bytes: int | None,
) -> list[bytes]:
    file = SheetFile(
        read_file(sheet.path),
        sheet=shown_name(sheet.name),
        max_pixels=max_pixels,
        max_pages=max_pages,
    )
    return [
        draw_overlay(file.page(page or 1), reading, page=page)
        if max_bytes is None
        else draw_small_overlay(file.page(page or 1), reading, page=page, max_bytes=max_bytes)
        for page in pages
    ]
