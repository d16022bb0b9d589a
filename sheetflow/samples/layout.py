"""Where things go on the page: header, footer, and in each cell the picture and its label."""

from __future__ import annotations

from dataclasses import dataclass

from sheetflow.samples.spec import SheetSpec

PxBox = tuple[int, int, int, int]

_HEADER_MM = 16.0
_FOOTER_MM = 9.0
_GUTTER_MM = {"none": 8.0, "cell": 0.0, "card": 5.0, "shade": 4.0, "label": 8.0}
_PADDING_MM = {"none": 0.0, "cell": 4.0, "card": 4.0, "shade": 4.0, "label": 1.0}
_GAP_MM = 2.5
_LABEL_HEIGHT_MM = 29.0
_LABEL_WIDTH_MM = 48.0
_LABEL_SHARE = 0.42


@dataclass(frozen=True)
class Cell:
    """One place of the grid; boxes are (left, top, right, bottom) in pixels of the page.

    Attributes:
        index: `row * columns + column`.
        row: From 0.
        column: From 0.
        frame: What a line around the cell would follow.
        picture: Room for the picture.
        label: Room for caption, code, digits and price.
    """

    index: int
    row: int
    column: int
    frame: PxBox
    picture: PxBox
    label: PxBox


def header_box(spec: SheetSpec) -> PxBox:
    """Return the header's room at the top of the page."""
    margin, width = spec.px(spec.margin_mm), spec.page_size_px[0]
    return margin, margin, width - margin, margin + _header_px(spec)


def footer_box(spec: SheetSpec) -> PxBox:
    """Return the footer's room at the bottom of the page."""
    margin, (width, height) = spec.px(spec.margin_mm), spec.page_size_px
    return margin, height - margin - _footer_px(spec), width - margin, height - margin


def cells(spec: SheetSpec) -> list[Cell]:
    """Return the grid in reading order.

    Raises:
        ValueError: The page is too small for so many cells.
    """
    left, top, right, _ = header_box(spec)
    top += _header_px(spec)
    bottom = footer_box(spec)[1]
    gutter = min(spec.px(_GUTTER_MM[spec.frame]), (right - left) // 12)
    width = (right - left - gutter * (spec.columns - 1)) / spec.columns
    height = (bottom - top - gutter * (spec.rows - 1)) / spec.rows
    if min(width, height) < 40:
        raise ValueError(f"sheet spec {spec.name!r}: no room for {spec.rows} x {spec.columns}")
    grid = []
    for index in range(spec.cell_count):
        row, column = divmod(index, spec.columns)
        x, y = left + column * (width + gutter), top + row * (height + gutter)
        frame = (round(x), round(y), round(x + width), round(y + height))
        picture, label = _split(frame, spec)
        grid.append(Cell(index, row, column, frame, picture, label))
    return grid


def _split(frame: PxBox, spec: SheetSpec) -> tuple[PxBox, PxBox]:
    """Return a cell's room for the picture and for the label."""
    pad = min(spec.px(_PADDING_MM[spec.frame]), (frame[2] - frame[0]) // 12)
    left, top, right, bottom = frame[0] + pad, frame[1] + pad, frame[2] - pad, frame[3] - pad
    gap = spec.px(_GAP_MM)
    tall = min(spec.px(_LABEL_HEIGHT_MM), round((bottom - top) * _LABEL_SHARE))
    wide = min(spec.px(_LABEL_WIDTH_MM), round((right - left) * (_LABEL_SHARE + 0.05)))
    if spec.label_side == "below":
        return (left, top, right, bottom - tall - gap), (left, bottom - tall, right, bottom)
    if spec.label_side == "above":
        return (left, top + tall + gap, right, bottom), (left, top, right, top + tall)
    if spec.label_side == "right":
        return (left, top, right - wide - gap, bottom), (right - wide, top, right, bottom)
    return (left + wide + gap, top, right, bottom), (left, top, left + wide, bottom)


def _header_px(spec: SheetSpec) -> int:
    return spec.px(_HEADER_MM) if spec.header or spec.header_code else 0


def _footer_px(spec: SheetSpec) -> int:
    return spec.px(_FOOTER_MM) if spec.footer else 0
