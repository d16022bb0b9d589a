"""What a person sees of a sheet that needs a review: the picture, the doubts, the regions."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from sheetflow.custody.files import read_file
from sheetflow.custody.names import shown_name
from sheetflow.custody.reviewing import UnderReview
from sheetflow.regions import Kind, Region, shown_regions
from sheetflow.vision.images import load_image
from sheetflow.vision.overlay import draw_small_overlay

_PICTURE_BYTES = 300_000
"""Prefect keeps a page in its database, and the browser takes its picture apart as text."""


def review_page(looked_at: UnderReview, *, max_pixels: int) -> str:
    """Return the page as markdown: the doubts, the overlay as a data URI, a table of regions."""
    entry, reading = looked_at.entry, looked_at.reading
    image = load_image(
        read_file(looked_at.found.path), sheet=shown_name(entry.name), max_pixels=max_pixels
    )
    picture = base64.b64encode(draw_small_overlay(image, reading, max_bytes=_PICTURE_BYTES))
    stored = f"{entry.stored_pairs} certain pairs are stored already." if entry.stored_pairs else ""
    parts = [
        f"# {plain(shown_name(entry.name))} needs a review",
        stored,
        doubts_told(looked_at),
        f"![The sheet with its regions numbered](data:image/jpeg;base64,{picture.decode()})",
        _table(shown_regions(reading)),
        f"The same from the command line: `sheetflow review {entry.sha256[:12]}`",
    ]
    return "\n\n".join(part for part in parts if part)


def doubts_told(looked_at: UnderReview) -> str:
    """Return the doubts as a list in markdown, those of regions with their numbers."""
    reading = looked_at.reading
    doubts = [
        f"- **{region.label}**: {plain(doubt)}"
        for region in shown_regions(reading)
        for doubt in region.doubts
    ]
    return "\n".join([*doubts, *(f"- {plain(doubt)}" for doubt in reading.sheet_doubts)])


def _table(regions: Sequence[Region]) -> str:
    rows = [
        f"| {region.number} | {region.kind} | {_code(region)} | {_said(region)} |"
        for region in sorted(regions, key=lambda region: (not region.is_open, region.number))
    ]
    return "\n".join(["| number | what it is | code | doubts |", "|---:|---|---|---|", *rows])


def _code(region: Region) -> str:
    return plain(f"{region.symbol.payload} ({region.symbol.symbology})") if region.symbol else ""


def _said(region: Region) -> str:
    if region.kind is Kind.DISCARD:
        return f"discarded: {plain(region.reason)}"
    return plain("; ".join(region.doubts))


def plain(text: str) -> str:
    """Return text so that markdown shows it as it is: codes and names may hold anything."""
    shown = shown_name(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{char}" if char in "\\`*_{}[]()#|!~" else char for char in shown)
