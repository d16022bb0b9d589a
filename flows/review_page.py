"""What a person sees of a sheet that needs a review: the picture, the doubts, the regions."""

from __future__ import annotations

import base64

from flows.pages import cell, table
from sheetflow.custody.files import read_file
from sheetflow.custody.names import shown_name
from sheetflow.custody.reviewing import UnderReview
from sheetflow.regions import Region, shown_regions
from sheetflow.vision.images import load_image
from sheetflow.vision.overlay import draw_small_overlay

_PICTURE_BYTES = 300_000
"""Prefect keeps a page in its database, and the browser takes its picture apart as text."""

_COLUMNS = ("number", "what it is", "code", "kind", "doubts")


def review_page(looked_at: UnderReview, *, max_pixels: int) -> str:
    """Return the page as markdown: the doubts, the overlay as a data URI, a table of regions."""
    entry, reading = looked_at.entry, looked_at.reading
    name = shown_name(entry.name)
    stored = f"{entry.stored_pairs} certain pairs are stored already."
    regions = sorted(shown_regions(reading), key=lambda it: (not it.is_open, it.number))
    parts = [
        f"# {cell(name)} needs a review",
        stored if entry.stored_pairs else "",
        doubts_told(looked_at),
        overlay(looked_at, max_pixels=max_pixels, max_bytes=_PICTURE_BYTES),
        table(_COLUMNS, map(_row, regions)),
        f"The same from the command line: `sheetflow review {entry.sha256[:12]}`",
    ]
    return "\n\n".join(part for part in parts if part)


def overlay(looked_at: UnderReview, *, max_pixels: int, max_bytes: int) -> str:
    """Return the sheet with its regions numbered, as a picture in markdown."""
    name = shown_name(looked_at.entry.name)
    image = load_image(read_file(looked_at.found.path), sheet=name, max_pixels=max_pixels)
    picture = draw_small_overlay(image, looked_at.reading, max_bytes=max_bytes)
    data = base64.b64encode(picture).decode()
    return f"![The sheet with its regions numbered](data:image/jpeg;base64,{data})"


def doubts_told(looked_at: UnderReview) -> str:
    """Return the doubts as a list in markdown, those of regions with their numbers."""
    reading = looked_at.reading
    doubts = [
        f"- **{region.label}**: {cell(doubt)}"
        for region in shown_regions(reading)
        for doubt in region.doubts
    ]
    return "\n".join([*doubts, *(f"- {cell(doubt)}" for doubt in reading.sheet_doubts)])


def _row(region: Region) -> tuple[object, ...]:
    symbol = region.symbol
    return (
        region.number,
        region.kind,
        symbol.payload if symbol else "",
        symbol.symbology if symbol else "",
        "; ".join(region.doubts) or region.reason,
    )
