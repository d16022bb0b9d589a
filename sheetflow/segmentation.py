"""Cut an upright page into what stands on it: frames, pictures, texts, placeholders.

Pure: arrays in, boxes out. The page has to be upright, so that frames and rows run along the axes,
and at work size, because the few absolute sizes below are in pixels of a page 1,400 high or wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.geometry import Box, Point, overlap

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Grey = NDArray[np.float32]

TEXT_HEIGHT_PX = 25.0
"""Captions, prices and digits are lower than this; 6 mm of an A4 page."""

_LETTER_HEIGHT_PX = 17.0
_TEXT_STROKE_PX = 3.3
_FRAME_REACH_PX = 4
_FRAME_SIDE_PX = 24
_ROUND_CORNER_PX = 17
_SMALLEST_PART_PX = 7
_RIM_PX = 11
_TREND_GRID = 24
_BLUR_SHARE = 0.45


class Kind(Enum):
    """What a region shows."""

    PICTURE = "picture"
    TEXT = "text"
    PLACEHOLDER = "placeholder"


@dataclass(frozen=True)
class Region:
    """One connected piece of print.

    Attributes:
        box: Around it, in page pixels.
        area: Pixels that belong to it.
        kind: What it shows.
    """

    box: Box
    area: int
    kind: Kind


@dataclass(frozen=True, eq=False)
class Lines:
    """Where thin dark lines run, uint8 0 or 255, (height, width) of the page each.

    Attributes:
        across: Those that run along rows.
        down: Those that run along columns.
    """

    across: Mask
    down: Mask


def find_lines(rgb: Pixels, codes: Sequence[Box]) -> Lines:
    """Return the thin dark lines on a page.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        codes: The boxes of the symbols on the page, whose bars are no lines.
    """
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    for code in codes:
        _paint_out(grey, code)
    turned = np.ascontiguousarray(grey.T)
    return Lines(_lines_along_rows(grey), np.ascontiguousarray(_lines_along_rows(turned).T))


def find_frames(lines: Lines) -> list[Box]:
    """Return the rectangles that lines enclose: cells, cards, the fields of a table.

    Returns:
        The insides of the rectangles, largest first; those that hold one another too.
    """
    frames = _enclosed(lines.across, lines.down)
    # Round corners leave gaps between the sides; longer sides would run into pictures elsewhere.
    longer = _enclosed(
        np.asarray(cv2.dilate(lines.across, np.ones((1, _ROUND_CORNER_PX), np.uint8)), np.uint8),
        np.asarray(cv2.dilate(lines.down, np.ones((_ROUND_CORNER_PX, 1), np.uint8)), np.uint8),
    )
    return _without_twins(sorted(frames + longer, key=lambda box: -box.area))


def _enclosed(across: Mask, down: Mask) -> list[Box]:
    """Return the boxes of what lines cut off from the rest, if it is a rectangle."""
    free = np.where((across | down) > 0, 0, 255).astype(np.uint8)
    contours, tree = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    height, width = free.shape
    frames: list[Box] = []
    for contour, (_, _, _, parent) in zip(contours, tree[0] if contours else (), strict=True):
        if parent >= 0:  # a hole of what is free: the outside of a line, not its inside
            continue
        left, top, wide, high = cv2.boundingRect(contour)
        if min(wide, high) < _FRAME_SIDE_PX or (wide > 0.98 * width and high > 0.98 * height):
            continue
        if cv2.contourArea(contour) > 0.9 * wide * high:
            frames.append(Box(left, top, wide, high))
    return frames


def segments_across(mask: Mask, *, shortest_px: int) -> list[tuple[Point, Point]]:
    """Return the ends, left and right, of long lines in a mask of lines that run along rows."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for index in range(1, count):
        left, top, wide, high, _ = (int(value) for value in stats[index])
        if wide < shortest_px or high > 0.2 * wide:
            continue
        piece = labels[top : top + high, left : left + wide] == index
        counts = piece.sum(axis=0)
        if counts.max() > 9:  # a knot of lines, not one
            continue
        middles = (piece * np.arange(high)[:, None]).sum(axis=0) / np.maximum(counts, 1)
        slope, start = (float(value) for value in np.polyfit(np.arange(wide), middles, 1))
        if np.abs(middles - start - slope * np.arange(wide)).mean() < 1.0:
            found.append(((left, top + start), (left + wide, top + start + slope * wide)))
    return found


@dataclass(frozen=True, eq=False)
class Print:
    """What is printed on a page, frame lines left out.

    Attributes:
        ink: uint8, (height, width), 255 where there is any.
        strength: float32, (height, width), by which part of the ground it differs from it.
    """

    ink: Mask
    strength: Grey


def find_print(rgb: Pixels, inside: Mask, frames: Sequence[Box], codes: Sequence[Box]) -> Print:
    """Return what is printed on a page.

    Shaded cards have a ground of their own, so each frame is judged by itself, and the page
    outside of them by what lies between them.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        inside: uint8, (height, width), 255 where the page is.
        frames: The frames that matter.
        codes: The boxes of the symbols on the page.
    """
    flat_below = _flatness(rgb, inside)
    outside = np.asarray(cv2.erode(inside, np.ones((_RIM_PX, _RIM_PX), np.uint8)), np.uint8)
    outside[:_RIM_PX], outside[-_RIM_PX:] = 0, 0
    outside[:, :_RIM_PX], outside[:, -_RIM_PX:] = 0, 0
    for frame in frames:
        left, top, right, bottom = _edges(frame.grown(_FRAME_REACH_PX + 1), rgb)
        outside[top:bottom, left:right] = 0
    printed = _print_within(rgb, outside, codes, flat_below)
    for frame in frames:
        left, top, right, bottom = _edges(frame.grown(-2), rgb)
        part = rgb[top:bottom, left:right]
        if min(part.shape[:2]) < 8:
            continue
        whole = np.zeros(part.shape[:2], np.uint8)
        whole[2:-2, 2:-2] = 255
        shifted = [Box(c.left - left, c.top - top, c.width, c.height) for c in codes]
        own = _print_within(part, whole, shifted, flat_below)
        printed.ink[top:bottom, left:right] = _without_rim(own.ink)
        printed.strength[top:bottom, left:right] = own.strength
    return printed


def classify(rgb: Pixels, printed: Print, codes: Sequence[Box]) -> list[Region]:
    """Return the connected pieces of print with what each shows; those of codes are left out."""
    ink = printed.ink
    joined = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    depth = np.asarray(cv2.distanceTransform(joined, cv2.DIST_L2, 3), np.float32)
    strokes = np.zeros(count, np.float32)
    np.maximum.at(strokes, labels[ink > 0], depth[ink > 0])
    regions: list[Region] = []
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        box = Box(left, top, width, height)
        if max(width, height) < _SMALLEST_PART_PX or _belongs_to_code(box, codes):
            continue
        if box.area > 0.3 * ink.size and area < 0.4 * box.area:  # the page's rim, or the desk
            continue
        kind = Kind.PICTURE
        if _is_text(box, float(strokes[index])):
            kind = Kind.TEXT
        elif _is_placeholder(rgb, box, area):
            kind = Kind.PLACEHOLDER
        regions.append(Region(_tightened(box, printed.strength), area, kind))
    return regions


def _tightened(box: Box, strength: Grey) -> Box:
    """Take off the sides that are no more than the blur of what stands next to them.

    A soft shadow fades over many pixels and stays; the blur of an edge fades over two.
    """
    left, top, right, bottom = _edges(box, strength)
    for _ in range(2):
        part = strength[top:bottom, left:right]
        if min(part.shape) < 8:
            break
        rows, columns = part.max(axis=1), part.max(axis=0)
        left += int(columns[0] < _BLUR_SHARE * columns[2])
        right -= int(columns[-1] < _BLUR_SHARE * columns[-3])
        top += int(rows[0] < _BLUR_SHARE * rows[2])
        bottom -= int(rows[-1] < _BLUR_SHARE * rows[-3])
    return Box(left, top, right - left, bottom - top)


def _lines_along_rows(grey: Grey) -> Mask:
    """Return thin dark lines that run along rows, uint8 0 or 255.

    A pixel votes for one when it is darker than what lies above and below. Votes are counted along
    the row, so that a stroke of a letter, dark as it may be, is no line.
    """
    reach, span = _FRAME_REACH_PX, 25
    even = cv2.blur(grey, (7, 1), borderType=cv2.BORDER_REPLICATE)
    above, below = np.roll(even, reach, axis=0), np.roll(even, -reach, axis=0)
    depth = (np.minimum(above, below) - even) / np.maximum(even, 1.0)
    # A clean export shows lines that are paler than the noise of a scan.
    noise = float(np.median(np.abs(above - even)[::4, ::4] / np.maximum(even[::4, ::4], 1.0)))
    votes = (depth > min(max(8 * noise, 0.01), 0.025)).astype(np.float32)
    votes[:reach] = 0
    votes[-reach:] = 0
    # A line that is a little crooked changes rows on its way.
    votes = cv2.dilate(votes, np.ones((3, 1), np.uint8))
    share = cv2.blur(votes, (span, 1), borderType=cv2.BORDER_CONSTANT)
    mask = np.where((share > 0.6) & (votes > 0), 255, 0).astype(np.uint8)
    # Bridge what dust, a caption or a fold has broken.
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, 41), np.uint8)), np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, 15), np.uint8)), np.uint8)
    # The ends, where fewer than half of the votes lie on one side, grow back to the corner.
    return np.asarray(cv2.dilate(mask, np.ones((1, 13), np.uint8)), np.uint8)


def _paint_out(grey: Grey, code: Box) -> None:
    """Fill a code's box with what stands around it."""
    left, top, right, bottom = _edges(code.grown(2), grey)
    left_, top_, right_, bottom_ = _edges(code.grown(6), grey)
    rim = np.ones((bottom_ - top_, right_ - left_), bool)
    rim[top - top_ : bottom - top_, left - left_ : right - left_] = False
    if rim.any():
        grey[top:bottom, left:right] = np.median(grey[top_:bottom_, left_:right_][rim])


def _without_twins(frames: Sequence[Box]) -> list[Box]:
    kept: list[Box] = []
    for frame in frames:
        if all(overlap(frame, other) < 0.85 for other in kept):
            kept.append(frame)
    return kept


def _edges(box: Box, image: NDArray[Any]) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    left, right = (min(max(round(x), 0), width) for x in (box.left, box.right))
    top, bottom = (min(max(round(y), 0), height) for y in (box.top, box.bottom))
    return left, top, right, bottom


def _print_within(
    part: Pixels, where: Mask, codes: Sequence[Box], flat_below: float
) -> Print:
    """Return the print of a page or of a frame, measured against the ground that reaches its rim.

    Args:
        part: uint8, (height, width, 3).
        where: uint8, (height, width), 255 where there is anything to be found.
        codes: The boxes of symbols, in pixels of `part`; those elsewhere do not matter.
        flat_below: The steepness under which the page counts as flat.
    """
    height, width = part.shape[:2]
    half = (max(1, width // 2), max(1, height // 2))
    small = np.asarray(cv2.resize(part, half, interpolation=cv2.INTER_AREA), np.float32)
    valid = cv2.resize(where, half, interpolation=cv2.INTER_NEAREST) > 0
    flat = (valid & (_steepness(small, flat_below) < flat_below)).astype(np.uint8)
    for code in codes:
        left, top, right, bottom = (round(edge / 2) for edge in _edges(code.grown(8), part))
        flat[top:bottom, left:right] = 0
    ground, known = _ground_of(small, flat, valid)
    large = np.asarray(cv2.resize(ground, (width, height)), np.float32)
    soft = cv2.GaussianBlur(part, (0, 0), 1.0).astype(np.float32)
    strength = _difference(soft, large)
    ink = np.where(strength > _noise_limit(strength, cv2.resize(known, (width, height))), where, 0)
    return Print(ink.astype(np.uint8), strength)


def _flatness(rgb: Pixels, inside: Mask) -> float:
    """Return the steepness under which a page, at half its size, is flat but for its noise."""
    half = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    steepness = _steepness(np.asarray(half, np.float32), 1.0)
    valid = cv2.resize(inside, (half.shape[1], half.shape[0])) > 0
    return 0.3 + 3.2 * float(np.percentile(steepness[valid], 25))


def _steepness(image: Grey, flat_below: float) -> Grey:
    """Return how fast an image changes, per pixel, more than all around: edges, not shades.

    The rim of a soft shadow is as steep as that of a pale product, but over a longer way.
    """
    channels = cv2.split(cv2.GaussianBlur(image, (0, 0), 1.0))
    grey = cv2.min(cv2.min(channels[0], channels[1]), channels[2])
    limit = 4 * flat_below
    across, down = (
        np.clip(cv2.Sobel(grey, cv2.CV_32F, *order) / 8, -limit, limit)
        for order in ((1, 0), (0, 1))
    )
    return np.asarray(
        np.hypot(
            across - cv2.GaussianBlur(across, (0, 0), 6), down - cv2.GaussianBlur(down, (0, 0), 6)
        ),
        np.float32,
    )


def _ground_of(small: Grey, flat: Mask, valid: NDArray[np.bool_]) -> tuple[Grey, Grey]:
    """Return the ground, float32 like `small`, and where it was seen.

    It is seen in the flat pieces that run along the rim; where a shadow crosses, there are several
    of several shades. Other flat pieces of the same shade, as between a picture and its code,
    belong to it too.
    """
    height, width = flat.shape
    count, labels = cv2.connectedComponents(flat, connectivity=4)
    core = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    rim = labels[valid & (core == 0)]
    contact = np.bincount(rim, minlength=count)
    contact[0] = 0
    if contact.max() == 0:
        known = valid.astype(np.float32)
        return _spread(small, known, start=max(height, width) / 16), known
    along_rim = np.flatnonzero(contact >= min(contact.max(), 0.08 * (height + width)))
    known = np.isin(labels, along_rim).astype(np.float32)
    start = max(3.0, min(height, width) / 40)
    for tolerance in (0.04, 0.05):
        ground = _filled(small, known, start=start)
        like = _difference(small, ground) < tolerance
        known = (like & valid & ((flat > 0) | (known > 0))).astype(np.float32)
    return _filled(small, known, start=start), known


def _filled(small: Grey, known: Grey, *, start: float) -> Grey:
    """Return the ground everywhere, from where it is known: its trend, and what departs from it."""
    height, width = known.shape
    ys, xs = np.nonzero(known)
    if len(xs) < 64:
        return _spread(small, known, start=start)
    step = max(1, len(xs) // 600)
    ys, xs = ys[::step], xs[::step]
    rows = _bend_terms(xs / width - 0.5, ys / height - 0.5)
    # A little weight on the bends: where ground is known on one side only, it goes on straight.
    square = rows.T @ rows + np.diag([1e-6, 1e-6, 1e-6, 0.06, 0.06, 0.06]) * len(xs)
    model = np.linalg.solve(square, rows.T @ small[ys, xs].astype(np.float64))
    grid = np.linspace(-0.5, 0.5, _TREND_GRID)
    grid_x, grid_y = np.meshgrid(grid, grid)
    coarse = np.maximum(_bend_terms(grid_x, grid_y) @ model, 1.0).astype(np.float32)
    trend = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    flattened = np.asarray(cv2.divide(small, trend), np.float32)
    return np.asarray(cv2.multiply(trend, _spread(flattened, known, start=start)), np.float32)


def _bend_terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)


def _without_rim(ink: Mask) -> Mask:
    """Drop narrow pieces at the rim of a frame: remains of its line, or of its own shade."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    height, width = ink.shape
    for index in range(1, count):
        left, top, wide, high = (int(value) for value in stats[index][:4])
        at_side = left <= 2 or left + wide >= width - 2
        at_end = top <= 2 or top + high >= height - 2
        if (at_side and 3 * wide < high) or (at_end and 3 * high < wide):
            ink[labels == index] = 0
    return ink


def _spread(image: Grey, known: Grey, *, start: float) -> Grey:
    """Fill what is not known from what is, the near before the far, by a pyramid.

    Each level is half the size of the one before; going back up, a pixel keeps its own mean as far
    as it is known and takes the rest from the level above. `start` is the finest level's grain.
    """
    height, width = known.shape
    shrink = max(1.0, start / 2)
    area = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    weights = [cv2.resize(known, area, interpolation=cv2.INTER_AREA)]
    totals = [cv2.resize(image * known[..., None], area, interpolation=cv2.INTER_AREA)]
    while max(area) > 1:
        area = (max(1, area[0] // 2), max(1, area[1] // 2))
        weights.append(cv2.resize(weights[-1], area, interpolation=cv2.INTER_AREA))
        totals.append(
            cv2.resize(totals[-1], area, interpolation=cv2.INTER_AREA).reshape(*area[::-1], 3)
        )
    filled = totals[-1] / max(float(weights[-1].max()), 1e-6)
    for weight, total in zip(reversed(weights[:-1]), reversed(totals[:-1]), strict=True):
        far = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        own = np.minimum(weight / 0.2, 1.0)[..., None]
        far = far.reshape(total.shape)
        filled = own * total / np.maximum(weight, 1e-6)[..., None] + (1 - own) * far
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        cv2.GaussianBlur(large, (0, 0), shrink / 2) if shrink > 2 else large, np.float32
    )


def _difference(image: Grey, ground: Grey) -> Grey:
    """Return by which part of the ground the most different channel differs."""
    parts = cv2.split(cv2.absdiff(cv2.divide(image, cv2.max(ground, 1.0)), (1.0, 1.0, 1.0, 0.0)))
    return np.asarray(cv2.max(cv2.max(parts[0], parts[1]), parts[2]), np.float32)


def _noise_limit(strength: Grey, known: Grey) -> float:
    """Return from which strength on print is more than the ground's own noise."""
    sample = strength[::2, ::2][known[::2, ::2] > 0]
    noise = float(np.median(sample)) if sample.size else 0.0
    return min(max(0.03, 3.2 * noise), 0.12)


def _is_text(box: Box, stroke_px: float) -> bool:
    """Tell whether a low piece is a word or a letter: flat, long, or of thin strokes."""
    if box.height <= _LETTER_HEIGHT_PX:
        return True
    is_long = box.width > 1.9 * box.height
    return box.height <= TEXT_HEIGHT_PX and (is_long or stroke_px <= _TEXT_STROKE_PX)


def _belongs_to_code(box: Box, codes: Sequence[Box]) -> bool:
    """Tell whether a piece is a code: its bars, its white ground, or the digits that touch it."""
    for code in codes:
        if box.intersection(code).area > 0.3 * min(box.area, code.area):
            beside, under = max(0.2 * code.width, 20.0), 34.0
            label = Box(
                code.left - beside,
                code.top - under,
                code.width + 2 * beside,
                code.height + 2 * under,
            )
            if box.share_inside(label) > 0.97:
                return True
    return False


def _is_placeholder(rgb: Pixels, box: Box, area: int) -> bool:
    """Tell whether a region is a flat, light grey field, as "no image" is drawn, text aside."""
    if area < 0.9 * box.area or min(box.width, box.height) < 30:
        return False
    left, top, right, bottom = _edges(box.grown(-4), rgb)
    soft = cv2.blur(rgb[top:bottom, left:right], (5, 5)).astype(np.float32)
    middle = np.median(soft.reshape(-1, 3), axis=0)
    rows, columns = soft.shape[:2]
    # Uneven light shades it evenly across; a round product is shaded in a curve.
    halves = (soft[:, : columns // 2], soft[:, columns // 2 :], soft[: rows // 2], soft[rows // 2 :])
    west, east, north, south = (np.median(half.reshape(-1, 3), axis=0) for half in halves)
    across, down = np.linspace(-1, 1, columns)[None, :, None], np.linspace(-1, 1, rows)[:, None, None]
    shade = middle + across * (east - west) + down * (south - north)
    flat = _difference(soft, np.asarray(shade, np.float32)) < 0.045
    # The text stands in the middle; all around it there is nothing.
    all_around = flat.copy()
    all_around[rows // 4 : rows - rows // 4, columns // 12 : columns - columns // 12] = True
    left, top, right, bottom = _edges(box.grown(5), rgb)
    around = np.concatenate([rgb[top, left:right], rgb[bottom - 1, left:right]])
    is_light = middle.mean() > 0.72 * np.median(around, axis=0).mean()
    is_grey = float(np.ptp(middle)) < 0.08 * float(middle.mean()) + 3
    return bool(is_light and is_grey and all_around.mean() > 0.95 and flat.mean() > 0.7)
