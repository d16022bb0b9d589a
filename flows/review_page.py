"""What a person sees of a sheet that needs a review: the picture, the doubts, the regions."""

from __future__ import annotations

import base64

from flows.pages import cell, table
from sheetflow.custody.names import shown_name
from sheetflow.custody.reviewing import UnderReview
from sheetflow.overlays import overlays_of, pages_to_look_at
from sheetflow.regions import Region, on_page, shown_regions
from sheetflow.settings import Settings

_PICTURE_BYTES = 300_000
"""Prefect keeps a page in its database, and the browser takes its picture apart as text."""

_PAGES_AT_MOST = 6

_COLUMNS = ("number", "what it is", "code", "kind", "doubts")


def review_page(settings: Settings, looked_at: UnderReview) -> str:
    """Return the page as markdown: the doubts, the overlay as a data URI, a table of regions."""
    entry, reading = looked_at.entry, looked_at.reading
    name = shown_name(entry.name)
    stored = f"{entry.stored_pairs} certain pairs are stored already."
    regions = sorted(shown_regions(reading), key=lambda it: (not it.is_open, it.number))
    parts = [
        f"# {cell(name)} needs a review",
        stored if entry.stored_pairs else "",
        doubts_told(looked_at),
        overlay(settings, looked_at, max_bytes=_PICTURE_BYTES),
        table(_COLUMNS, map(_row, regions)),
        f"The same from the command line: `sheetflow review {entry.sha256[:12]}`",
    ]
    return "\n\n".join(part for part in parts if part)


def overlay(settings: Settings, looked_at: UnderReview, *, max_bytes: int) -> str:
    """Return the sheet with its regions numbered, as pictures in markdown: its pages in doubt."""
    doubted = pages_to_look_at(looked_at.reading)
    pages = doubted[:_PAGES_AT_MOST]
    pictures = overlays_of(settings, looked_at, pages, max_bytes=max_bytes // len(pages))
    parts = []
    for page, picture in zip(pages, pictures, strict=True):
        data = base64.b64encode(picture).decode()
        what = "The sheet" if page is None else f"Page {page}"
        parts += [] if page is None else [f"**Page {page}**"]
        parts.append(f"![{what} with its regions numbered](data:image/jpeg;base64,{data})")
    if len(doubted) > len(pages):
        name = looked_at.entry.sha256[:12]
        more = len(doubted) - len(pages)
        parts.append(f"... and {more} more pages; `sheetflow review {name}` draws them all.")
    return "\n\n".join(parts)


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
        f"{region.kind}{on_page(region.page)}",
        symbol.payload if symbol else "",
        symbol.symbology if symbol else "",
        "; ".join(region.doubts) or region.reason,
    )
