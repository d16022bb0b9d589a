"""Read a sheet: every picture, every code, which belongs to which, and where to doubt it.

The steps, each in a module of its own: read the codes of the whole sheet, bring the page upright,
find frames and print, find the grid, pair within its cells, look again for codes that are missing,
and say what a person should check.
"""

# LEAD'S NOTE TO THE RECOGNITION ENGINEER (remove these lines once read): our own sheets
# (`python -c "from sheetflow.samples.catalogue import draw_samples"`; run /tmp/w/venv/bin/python
# /tmp/w/set.py and /tmp/w/try.py) come from ANOTHER generator and are clean, all codes decode, yet
# many are not paired ("the picture has no readable code") and 03-collection.webp was even accepted
# unflagged with 4 of its 8 pairs. Pairing must generalise: make these 100 % right and unflagged
# (script/run and the flow tests need it by 19:15), and flag whenever decoded codes are unexplained.

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.barcodes import (
    CERTAIN,
    RETAIL_SYMBOLOGIES,
    decode_label,
    decode_symbols,
)
from sheetflow.frames import find_frames, frames_of_items
from sheetflow.geometry import (
    Box,
    Homography,
    Point,
    Quad,
    box_around,
    inverse,
    move_quad,
    scaling,
    union_of,
)
from sheetflow.ground import find_print
from sheetflow.images import SheetImage
from sheetflow.layout import Grid, cells_from_anchors, cells_from_frames
from sheetflow.lines import Lines, find_lines, segments_across
from sheetflow.page import UprightPage, straightened, upright_page
from sheetflow.pairing import Item, pair_pictures
from sheetflow.reading import Discard, Pair, SheetReading, Symbol
from sheetflow.segmentation import Kind, Region, classify

_LONG_LINE_PX = 90
_SMALLEST_SHEET_PX = 32


@dataclass(frozen=True)
class RecognitionSettings:
    """What a caller may know about the sheets; the defaults read sheets of any kind.

    Attributes:
        symbologies: The kinds of code to look for.
        label_side: Where labels stand, seen from the picture: "below", "above", "left", "right".
        expected_pairs: How many pairs each sheet has; another number is a doubt.
    """

    symbologies: tuple[str, ...] = RETAIL_SYMBOLOGIES
    label_side: str | None = None
    expected_pairs: int | None = None


def read_sheet(
    image: SheetImage,
    settings: RecognitionSettings = RecognitionSettings(),
) -> SheetReading:
    """Read one sheet; the same image and settings always give the same reading."""
    symbols = decode_symbols(image.luminance, symbologies=settings.symbologies)
    if not symbols:
        symbols = decode_label(image.luminance, symbologies=settings.symbologies)
    if min(image.size_px) < _SMALLEST_SHEET_PX:
        return SheetReading(
            size_px=image.size_px, doubts=("the sheet is too small to show a pair",)
        )
    page, lines = _straight_page(image, symbols)
    codes = _on_page(symbols, page)
    frames = frames_of_items(find_frames(lines), codes, lines)
    printed = find_print(page.rgb, page.inside, frames, codes)
    regions = classify(page.rgb, printed, frames, codes)
    grid = _grid(page, frames, codes, regions)
    items, _ = pair_pictures(grid.cells, codes, regions, side=settings.label_side)
    found = _read_missing(image, page, items, codes, settings)
    if found:
        symbols = [*symbols, *found]
        codes = _on_page(symbols, page)
        regions = classify(page.rgb, printed, frames, codes)
        items, _ = pair_pictures(grid.cells, codes, regions, side=settings.label_side)
    return _reading(image, page, symbols, items, grid, regions, settings)


def _straight_page(image: SheetImage, symbols: Sequence[Symbol]) -> tuple[UprightPage, Lines]:
    page = upright_page(image, symbols)
    codes = _on_page(symbols, page)
    lines = find_lines(page.rgb, codes)
    if not codes:
        return page, lines
    # Lines beyond the codes may be floorboards or bricks.
    reach = union_of(codes).grown(0.12 * max(page.inside.shape))
    straight = straightened(
        image,
        page,
        symbols,
        [ends for ends in _long_lines(lines.across) if all(map(reach.contains, ends))],
        [
            ends
            for ((y0, x0), (y1, x1)) in _long_lines(np.ascontiguousarray(lines.down.T))
            if all(map(reach.contains, ends := ((x0, y0), (x1, y1))))
        ],
    )
    if straight is page:
        return page, lines
    return straight, find_lines(straight.rgb, _on_page(symbols, straight))


def _long_lines(mask: NDArray[np.uint8]) -> list[tuple[Point, Point]]:
    return segments_across(mask, shortest_px=_LONG_LINE_PX)


def _on_page(symbols: Sequence[Symbol], page: UprightPage) -> list[Box]:
    return [box_around(move_quad(symbol.quad, page.to_page)) for symbol in symbols]


def _grid(
    page: UprightPage, frames: Sequence[Box], codes: Sequence[Box], regions: Sequence[Region]
) -> Grid:
    height, width = page.inside.shape
    pictures = [region.box for region in regions if region.kind is not Kind.TEXT]
    if frames:
        framed = sum(any(frame.contains(box.centre) for frame in frames) for box in pictures)
        if 2 * framed >= len(pictures):
            return Grid(tuple(cells_from_frames(frames)))
    return cells_from_anchors(frames or codes, pictures, Box(0, 0, width, height))


def _read_missing(
    image: SheetImage,
    page: UprightPage,
    items: Sequence[Item],
    codes: Sequence[Box],
    settings: RecognitionSettings,
) -> list[Symbol]:
    """Look again, harder, in the cells whose code was not read."""
    places = [union_of([codes[item.code]]).quad() for item in items if item.code is not None]
    known = [item for item in items if item.code is not None]
    if not places or not known:
        return []
    relative = union_of(
        Box(
            codes[item.code].left - item.cell.box.left,
            codes[item.code].top - item.cell.box.top,
            codes[item.code].width,
            codes[item.code].height,
        )
        for item in known
        if item.code is not None
    )
    found: list[Symbol] = []
    for item in items:
        if item.code is not None or item.picture is None:
            continue
        label = Box(
            item.cell.box.left + relative.left,
            item.cell.box.top + relative.top,
            relative.width,
            relative.height,
        ).grown(16)
        found += _read_label(image, page, label, settings)
    return found


def _read_label(
    image: SheetImage, page: UprightPage, label: Box, settings: RecognitionSettings
) -> list[Symbol]:
    """Read a place of the page from the sheet's own pixels, brought upright."""
    factor = _full_scale(page, label)
    matrix = scaling(factor) @ _shift(-label.left, -label.top) @ page.to_page
    size = (max(1, round(label.width * factor)), max(1, round(label.height * factor)))
    crop = cv2.warpPerspective(
        image.luminance, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    back = inverse(matrix)
    return [
        replace(symbol, quad=move_quad(symbol.quad, back))
        for symbol in decode_label(np.asarray(crop, np.uint8), symbologies=settings.symbologies)
    ]


def _full_scale(page: UprightPage, box: Box) -> float:
    around = box_around(move_quad(box.quad(), page.to_sheet))
    return max(1.0, max(around.width, around.height) / max(box.width, box.height, 1.0))


def _shift(x: float, y: float) -> Homography:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _reading(
    image: SheetImage,
    page: UprightPage,
    symbols: Sequence[Symbol],
    items: Sequence[Item],
    grid: Grid,
    regions: Sequence[Region],
    settings: RecognitionSettings,
) -> SheetReading:
    taken = Counter(symbols[item.code].payload for item in items if item.code is not None)
    pairs: list[Pair] = []
    pictures: list[Quad] = []
    lonely: list[Symbol] = []
    discards: list[Discard] = []
    doubts: list[str] = []
    for item in items:
        place = f"row {item.cell.row + 1}, column {item.cell.column + 1}"
        if item.code is not None and item.picture is not None:
            pair = _pair(page, symbols[item.code], item, taken)
            pairs.append(pair)
            doubts += [f"{place}: {doubt}" for doubt in pair.doubts]
        elif item.code is not None:
            lonely.append(symbols[item.code])
            doubts.append(f"{place}: the code {symbols[item.code].payload} has no picture")
        elif item.picture is not None:
            pictures.append(_to_sheet(item.picture, page))
            doubts.append(f"{place}: the picture has no readable code")
        if item.placeholder is not None:
            discards.append(Discard(_to_sheet(item.placeholder, page), "a placeholder"))
        discards += [
            Discard(symbols[i].quad, "a code that is printed on a picture") for i in item.decoys
        ]
    used = {item.code for item in items} | {i for item in items for i in item.decoys}
    discards += [
        Discard(symbol.quad, "a code outside of the grid")
        for i, symbol in enumerate(symbols)
        if i not in used
    ]
    doubts += _doubts_outside(page, symbols, items, regions)
    if grid.is_ambiguous:
        doubts.append("the codes could as well belong to the pictures on their other side")
    if not pairs:
        doubts.append("no pair was found on the sheet")
    if settings.expected_pairs is not None and len(pairs) != settings.expected_pairs:
        doubts.append(f"{len(pairs)} pairs were found, {settings.expected_pairs} are expected")
    return SheetReading(
        size_px=image.size_px,
        pairs=tuple(pairs),
        unpaired_pictures=tuple(pictures),
        unpaired_symbols=tuple(lonely),
        discards=tuple(discards),
        doubts=tuple(doubts),
    )


def _doubts_outside(
    page: UprightPage,
    symbols: Sequence[Symbol],
    items: Sequence[Item],
    regions: Sequence[Region],
) -> list[str]:
    """Return what stands outside of the grid and is no header, logo or decoy for certain."""
    shown = [item.picture for item in items if item.picture is not None]
    if not shown:
        return []
    grid = union_of(item.cell.box for item in items)
    used = {item.code for item in items} | {i for item in items for i in item.decoys}
    beside = [
        symbols[i].payload
        for i, box in enumerate(_on_page(symbols, page))
        if i not in used and grid.top < box.centre[1] < grid.bottom
    ]
    doubts = [f"the code {payload} stands beside the grid" for payload in beside]
    width, height = median(box.width for box in shown), median(box.height for box in shown)
    near = Box(grid.left, grid.top - height, grid.width, grid.height + 2 * height)
    stray = [
        region.box
        for region in regions
        if region.kind is Kind.PICTURE
        and 0.5 * width < region.box.width < 2 * width
        and 0.5 * height < region.box.height < 2 * height
        and near.contains(region.box.centre)
        and not any(item.cell.box.contains(region.box.centre) for item in items)
    ]
    if stray:
        doubts.append(f"{len(stray)} picture(s) stand outside of the grid")
    return doubts


def _pair(page: UprightPage, symbol: Symbol, item: Item, taken: Counter[str]) -> Pair:
    assert item.picture is not None  # noqa: S101
    doubts = list(item.doubts)
    if symbol.confidence < CERTAIN:
        doubts.append(f"the code {symbol.payload} was read with doubt")
    if taken[symbol.payload] > 1:
        doubts.append(f"the code {symbol.payload} stands on the sheet more than once")
    return Pair(
        code=symbol.payload,
        symbology=symbol.symbology,
        row=item.cell.row,
        column=item.cell.column,
        picture_quad=_to_sheet(item.picture, page),
        symbol_quad=symbol.quad,
        confidence=symbol.confidence,
        doubts=tuple(doubts),
    )


def _to_sheet(box: Box, page: UprightPage) -> Quad:
    # A box runs along pixel edges, the homography between pixel centres.
    return move_quad(
        Box(box.left - 0.5, box.top - 0.5, box.width, box.height).quad(), page.to_sheet
    )
