"""Read a sheet: every picture, every code, which belongs to which, and where to doubt it.

The steps, each in a module of its own: read the codes of the whole sheet, bring the page upright,
find frames and print, find the grid, pair within its cells, look again for codes that are missing,
and say what a person should check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.reading import SheetReading, Symbol
from sheetflow.symbologies import RETAIL_SYMBOLOGIES
from sheetflow.vision.barcodes import MATRIX_SYMBOLOGIES, decode_label, decode_symbols
from sheetflow.vision.bars import are_bars, are_modules, is_blank, whole_bars
from sheetflow.vision.findings import Findings, reading_of
from sheetflow.vision.frames import find_frames, frames_of_items, is_whole_grid
from sheetflow.vision.geometry import (
    Box,
    Homography,
    Point,
    box_around,
    inverse,
    move_quad,
    quad_angle,
    scaling,
    union_of,
)
from sheetflow.vision.ground import Print, find_print
from sheetflow.vision.images import SheetImage
from sheetflow.vision.layout import Grid, cells_from_anchors, cells_from_frames
from sheetflow.vision.lines import Lines, find_lines, find_steps, segments_across
from sheetflow.vision.page import (
    UprightPage,
    are_straight,
    page_within,
    straightened,
    upright_page,
)
from sheetflow.vision.pairing import Item, Layout, pair_pictures
from sheetflow.vision.segmentation import Kind, Region, classify, codes_in_margins

if TYPE_CHECKING:
    from sheetflow.settings import Settings

# Sheets are read in parallel threads, one core each; OpenCV's own pool would only contend.
cv2.setNumThreads(1)

_LABEL_MARGIN_PX = 16
_LABEL_SIDE_PX = 800  # of a label so large, even the narrowest bars are two pixels
_SAME_SIZE = 0.2
_SMALL_CODE = 0.5
_FULL = 0.85
_ONE_FOR_EACH = 0.3
_LEAST_PAGE = 0.2
_HALF = 0.5
_LEAST_CODES = 3  # two may stand on a large picture
_LABEL_GAP_PX = 12
_LONG_LINE_PX = 90
_RIM_PX = 16
_SMALLEST_SHEET_PX = 32
_PAPER = 180  # grey level; what is darker may be a picture that was not decoded
_Of = TypeVar("_Of")
_SIDES = {"below": "below", "above": "above", "left": "left of", "right": "right of"}


@dataclass(frozen=True)
class RecognitionSettings:
    """What a caller may know about the sheets; the defaults read sheets of any kind.

    Attributes:
        symbologies: The kinds of code to look for.
        grid: How many (rows, columns) each upright sheet has. Of several grids that a sheet could
            have, this one is taken; another one is a doubt.
        label_side: Where labels stand, seen from the picture: "below", "above", "left", "right".
            Nothing on another side is paired, and sheets that look otherwise are doubted.
        expected_pairs: How many pairs each sheet has; another number is a doubt.
    """

    symbologies: tuple[str, ...] = RETAIL_SYMBOLOGIES
    grid: tuple[int, int] | None = None
    label_side: str | None = None
    expected_pairs: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> RecognitionSettings:
        """Return what the settings say about the sheets."""
        return cls(
            symbologies=settings.symbologies_wanted,
            grid=settings.grid_size,
            label_side=None if settings.label_side == "any" else str(settings.label_side),
            expected_pairs=settings.expected_pairs or None,
        )


def read_sheet(
    image: SheetImage,
    settings: RecognitionSettings = RecognitionSettings(),
) -> SheetReading:
    """Read one sheet; the same image and settings always give the same reading."""
    if min(image.size_px) < _SMALLEST_SHEET_PX:
        too_small = ("the sheet is too small to show a pair",)
        return SheetReading(size_px=image.size_px, doubts=too_small, sheet_doubts=too_small)
    symbologies = settings.symbologies
    symbols = decode_symbols(image.luminance, symbologies=symbologies)
    if not symbols:
        symbols = decode_label(image.luminance, symbologies=symbologies)
    page, codes, frames, printed, regions = _seen(image, symbols)
    found = _read_likely(image, page, symbols, codes, regions, symbologies)
    if found:
        symbols = [*symbols, *found]
        page, codes, frames, printed, regions = _seen(image, symbols)
    margins = codes_in_margins(regions, codes, page.inside.shape[1])
    has_labels = len(margins) < len(codes)
    margins = margins if has_labels else frozenset()
    symbols, codes = _margins_last(symbols, margins), _margins_last(codes, margins)
    labels = len(codes) - len(margins)
    grid = _grid(page, frames, codes[:labels], regions, settings)
    items, layout = pair_pictures(grid.cells, codes[:labels], regions, side=settings.label_side)
    found = _read_missing(image, page, items, codes, regions, symbologies)
    if found:
        symbols, labels = [*symbols[:labels], *found, *symbols[labels:]], labels + len(found)
        codes = _on_page(symbols, page)
        regions = _without_label_texts(classify(page.rgb, printed, frames, codes), frames, page)
        items, layout = pair_pictures(grid.cells, codes[:labels], regions, side=settings.label_side)
    is_empty = not regions and not symbols and float(image.luminance.mean()) > _PAPER
    findings = Findings(
        size_px=image.size_px,
        page=page,
        symbols=symbols,
        codes=codes,
        regions=regions,
        items=items,
        is_ambiguous=grid.is_ambiguous,
        are_in_margins=bool(codes) and not has_labels,
        is_empty=is_empty,
    )
    return reading_of(
        findings,
        expected_pairs=settings.expected_pairs,
        contradictions=_contradictions(settings, grid, layout),
    )


def _margins_last(things: Sequence[_Of], margins: Collection[int]) -> list[_Of]:
    """Return what belongs to each code, with that of header and footer at the end."""
    order = sorted(range(len(things)), key=lambda index: index in margins)
    return [things[index] for index in order]


def _seen(
    image: SheetImage, symbols: Sequence[Symbol]
) -> tuple[UprightPage, list[Box], list[Box], Print, list[Region]]:
    """Return the page, and what is on it: codes, frames, print, and what each piece shows."""
    page, codes, lines = _straight_page(image, symbols)
    frames, printed, regions = _printed(page, lines, codes)
    itself = None if frames else _page_itself(page, regions, codes)
    within = itself and page_within(image, page, printed.ink, itself, symbols)
    if within:
        page, codes = within, _on_page(symbols, within)
        frames, printed, regions = _printed(page, find_lines(page.rgb, codes), codes)
    return page, codes, frames, printed, regions


def _page_itself(page: UprightPage, regions: Sequence[Region], codes: Sequence[Box]) -> Box | None:
    """Return the piece of print that is the page on a desk: large, full, with all of the codes."""
    least = _LEAST_PAGE * page.inside.size
    whole = (
        region.box
        for region in regions
        if region.kind is not Kind.TEXT
        and region.box.area > least
        and region.area > _HALF * region.box.area
        and all(region.box.contains(code.centre) for code in codes)
    )
    return next(whole, None) if len(codes) >= _LEAST_CODES else None


def _printed(
    page: UprightPage, lines: Lines, codes: Sequence[Box]
) -> tuple[list[Box], Print, list[Region]]:
    """Return the page's frames, its print, and what each piece of that shows."""
    frames = _frames(page, lines, codes)
    printed = find_print(page.rgb, page.inside, frames, codes)
    regions = classify(page.rgb, printed, frames, codes)
    return frames, printed, _without_label_texts(regions, frames, page)


def _frames(page: UprightPage, lines: Lines, codes: Sequence[Box]) -> list[Box]:
    """Return the frames of the page's items, found by their shades where lines do not suffice.

    The page's own edge, around several codes, is none of them.
    """
    frames = frames_of_items(find_frames(lines), codes, lines)
    if not codes or is_whole_grid(frames):
        return frames
    edges = lines | find_steps(page.rgb, codes)
    shaded = frames_of_items(find_frames(edges), codes, edges)
    held = [sum(frame.contains(code.centre) for code in codes) for frame in shaded]
    is_page = sum(held) >= 2 * sum(map(bool, held))
    return shaded if len(shaded) > len(frames) and not is_page else frames


def _without_label_texts(
    regions: Sequence[Region], frames: Sequence[Box], page: UprightPage
) -> list[Region]:
    """Call everything inside of frames a text where these are drawn around labels alone."""
    if not _are_around_labels(frames, regions, page):
        return list(regions)
    return [
        replace(region, kind=Kind.TEXT)
        if any(frame.contains(region.box.centre) for frame in frames)
        else region
        for region in regions
    ]


def _are_around_labels(frames: Sequence[Box], regions: Sequence[Region], page: UprightPage) -> bool:
    """Tell whether most of what may be pictures stands outside of the frames.

    There is about one for each label then. What reaches the rim of the page may be the desk.
    """
    height, width = page.inside.shape
    middle = Box(0, 0, width, height).grown(-_RIM_PX)
    pictures = [
        region.box
        for region in regions
        if region.kind is not Kind.TEXT and region.box.share_inside(middle) == 1
    ]
    outside = [box for box in pictures if not any(frame.contains(box.centre) for frame in frames)]
    are_most = 2 * sum(box.area for box in outside) > sum(box.area for box in pictures)
    return bool(frames) and are_most and len(outside) > _ONE_FOR_EACH * len(frames)


def _straight_page(
    image: SheetImage, symbols: Sequence[Symbol]
) -> tuple[UprightPage, list[Box], Lines]:
    """Return the page, the boxes of the symbols on it, and the lines on it."""
    page = upright_page(image, symbols)
    codes = _on_page(symbols, page)
    lines = find_lines(page.rgb, codes)
    if not codes:
        return page, codes, lines
    across = _long_lines(lines.across)
    down = [
        ((x0, y0), (x1, y1))
        for ((y0, x0), (y1, x1)) in _long_lines(np.asarray(cv2.transpose(lines.down), np.uint8))
    ]
    if are_straight(across, down):
        return page, codes, lines
    # Lines beyond the codes may be floorboards or bricks.
    reach = union_of(codes).grown(0.12 * max(page.inside.shape))
    across, down = (
        [ends for ends in found if all(map(reach.contains, ends))] for found in (across, down)
    )
    straight = straightened(image, page, symbols, across, down)
    if straight is page:
        return page, codes, lines
    codes = _on_page(symbols, straight)
    return straight, codes, find_lines(straight.rgb, codes)


def _long_lines(mask: NDArray[np.uint8]) -> list[tuple[Point, Point]]:
    return segments_across(mask, shortest_px=_LONG_LINE_PX)


def _on_page(symbols: Sequence[Symbol], page: UprightPage) -> list[Box]:
    """Return the boxes of symbols on the page, with all of their bars."""
    grey = np.asarray(cv2.cvtColor(page.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    boxes = []
    for symbol in symbols:
        quad = move_quad(symbol.quad, page.to_page)
        box = box_around(quad)
        if symbol.symbology not in MATRIX_SYMBOLOGIES:
            quarters = round(quad_angle(quad) / 90)
            box = whole_bars(grey, box, is_upright=quarters % 2 == 0)
        boxes.append(box)
    return boxes


def _grid(
    page: UprightPage,
    frames: Sequence[Box],
    codes: Sequence[Box],
    regions: Sequence[Region],
    settings: RecognitionSettings,
) -> Grid:
    height, width = page.inside.shape
    if frames and not _are_around_labels(frames, regions, page):
        return Grid(tuple(cells_from_frames(frames)))
    pictures = [region.box for region in regions if region.kind is not Kind.TEXT]
    codes = _without_decoys(codes, pictures)
    outside = sum(not any(frame.contains(code.centre) for frame in frames) for code in codes)
    return cells_from_anchors(
        frames if frames and 2 * outside < len(codes) else codes,
        pictures,
        Box(0, 0, width, height),
        size=settings.grid,
        side=settings.label_side,
    )


def _without_decoys(codes: Sequence[Box], pictures: Sequence[Box]) -> list[Box]:
    """Leave out what is smaller than all other codes, and stands on a picture or right at it."""
    usual = median(code.area for code in codes) if codes else 0.0
    return [
        code
        for code in codes
        if code.area > _SMALL_CODE * usual
        or any(_has_size_of(code, other) for other in codes if other is not code)
        or not any(code.grown(_LABEL_GAP_PX).common_area(picture) for picture in pictures)
    ]


def _contradictions(
    settings: RecognitionSettings, grid: Grid, layout: Layout | None
) -> Iterator[str]:
    """Yield what the caller knows about the sheets and this one does not show."""
    if settings.grid is not None and grid.cells and grid.size != settings.grid:
        seen, known = (f"{rows} x {columns}" for rows, columns in (grid.size, settings.grid))
        yield f"the grid has {seen} rows and columns, {known} are expected"
    if settings.label_side is not None and layout is not None and layout.seen != layout.side:
        seen, known = _SIDES[layout.seen], _SIDES[layout.side]
        yield f"labels seem to stand {seen} their pictures, not {known} them"


def _read_likely(
    image: SheetImage,
    page: UprightPage,
    symbols: Sequence[Symbol],
    codes: Sequence[Box],
    regions: Sequence[Region],
    symbologies: Sequence[str],
) -> list[Symbol]:
    """Look again, harder, at what may be a code that was not read.

    That is what looks like bars, and what looks like modules, is full and has the size of a matrix
    code that was read.
    """
    grey = np.asarray(cv2.cvtColor(page.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    matrices = [
        box
        for symbol, box in zip(symbols, codes, strict=True)
        if symbol.symbology in MATRIX_SYMBOLOGIES
    ]
    found: list[Symbol] = []
    for region in regions:
        is_matrix = (
            region.area > _FULL * region.box.area
            and any(_has_size_of(region.box, code) for code in matrices)
            and are_modules(grey, region.box)
        )
        if region.kind is Kind.PICTURE and (is_matrix or are_bars(grey, region.box)):
            found += _read_label(image, page, region.box.grown(_LABEL_MARGIN_PX), symbologies)
    return found


def _has_size_of(box: Box, code: Box) -> bool:
    return all(
        abs(own - its) < _SAME_SIZE * its
        for own, its in ((box.width, code.width), (box.height, code.height))
    )


def _read_missing(
    image: SheetImage,
    page: UprightPage,
    items: Sequence[Item],
    codes: Sequence[Box],
    regions: Sequence[Region],
    symbologies: Sequence[str],
) -> list[Symbol]:
    """Look again, harder, in the cells whose code was not read and that show something.

    That is a picture, or what stands in the place of the code and may be one.
    """
    places = [
        _moved(codes[item.code], -item.cell.box.left, -item.cell.box.top)
        for item in items
        if item.code is not None
    ]
    if not places:
        return []
    place = union_of(places)
    grey = np.asarray(cv2.cvtColor(page.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    shown = [region.box for region in regions if region.kind is Kind.PICTURE]
    found: list[Symbol] = []
    for item in items:
        label = _moved(place, item.cell.box.left, item.cell.box.top)
        if (
            item.code is None
            and (item.picture is not None or any(label.contains(box.centre) for box in shown))
            and not is_blank(grey, label)
        ):
            found += _read_label(image, page, label.grown(_LABEL_MARGIN_PX), symbologies)
    return found


def _moved(box: Box, across: float, down: float) -> Box:
    return Box(box.left + across, box.top + down, box.width, box.height)


def _read_label(
    image: SheetImage, page: UprightPage, label: Box, symbologies: Sequence[str]
) -> list[Symbol]:
    """Read a place of the page from the sheet's own pixels, as many as tell more."""
    factor = max(_full_scale(page, label), 1.0)
    matrix = scaling(factor) @ _shift(-label.left, -label.top) @ page.to_page
    size = (max(1, round(label.width * factor)), max(1, round(label.height * factor)))
    crop = cv2.warpPerspective(
        image.luminance, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    less = min(_LABEL_SIDE_PX / max(size), 1.0)
    if less < 1:
        crop = cv2.resize(crop, None, fx=less, fy=less, interpolation=cv2.INTER_AREA)
        matrix = scaling(less) @ matrix
    back = inverse(matrix)
    return [
        replace(symbol, quad=move_quad(symbol.quad, back))
        for symbol in decode_label(np.asarray(crop, np.uint8), symbologies=symbologies)
    ]


def _full_scale(page: UprightPage, box: Box) -> float:
    around = box_around(move_quad(box.quad(), page.to_sheet))
    return max(around.width, around.height) / max(box.width, box.height, 1.0)


def _shift(x: float, y: float) -> Homography:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
