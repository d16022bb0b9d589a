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

from sheetflow.geometry import Box, overlap

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Grey = NDArray[np.float32]

TEXT_HEIGHT_PX = 25.0
"""Captions, prices and digits are lower than this; 6 mm of an A4 page."""

_LETTER_HEIGHT_PX = 17.0
_TEXT_STROKE_PX = 3.3
_FRAME_REACH_PX = 4
_FRAME_SIDE_PX = 24
_SMALLEST_PART_PX = 7


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


def find_frames(rgb: Pixels, codes: Sequence[Box]) -> list[Box]:
    """Return the rectangles that thin dark lines enclose: cells, cards, the fields of a table.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        codes: The boxes of the symbols on the page, whose bars are no frames.

    Returns:
        The insides of the rectangles, largest first; those that hold one another too.
    """
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    for code in codes:
        _paint_out(grey, code)
    lines = np.maximum(_lines_along_rows(grey), _lines_along_rows(grey.T.copy()).T)
    free = np.where(lines > 0, 0, 255).astype(np.uint8)
    contours, tree = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    height, width = grey.shape
    frames: list[Box] = []
    for contour, (_, _, _, parent) in zip(contours, tree[0] if contours else (), strict=True):
        if parent >= 0:  # a hole of what is free: the outside of a line, not its inside
            continue
        left, top, wide, high = cv2.boundingRect(contour)
        if min(wide, high) < _FRAME_SIDE_PX or (wide > 0.98 * width and high > 0.98 * height):
            continue
        if cv2.contourArea(contour) > 0.9 * wide * high:
            frames.append(Box(left, top, wide, high))
    return _without_twins(sorted(frames, key=lambda box: -box.area))


def segment(rgb: Pixels, inside: Mask, frames: Sequence[Box], codes: Sequence[Box]) -> list[Region]:
    """Return the pieces of print on a page, codes and frames left out.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        inside: uint8, (height, width), 255 where the page is.
        frames: The frames that matter; each is measured against its own ground.
        codes: The boxes of the symbols on the page.
    """
    ink = ink_of(rgb, inside, frames)
    return classify(rgb, ink, codes)


def ink_of(rgb: Pixels, inside: Mask, frames: Sequence[Box]) -> Mask:
    """Return where the page is printed, uint8 0 or 255, frame lines left out.

    Shaded cards have a ground of their own, so each frame is judged by itself, and the page
    outside of them by what lies between them.
    """
    outside = inside.copy()
    for frame in frames:
        left, top, right, bottom = _edges(frame.grown(_FRAME_REACH_PX + 1), rgb)
        outside[top:bottom, left:right] = 0
    ink = _ink_against_ground(rgb, outside, reach=rgb.shape[1] // 4)
    for frame in frames:
        left, top, right, bottom = _edges(frame.grown(-2), rgb)
        if right - left < 8 or bottom - top < 8:
            continue
        part = rgb[top:bottom, left:right]
        ink[top:bottom, left:right] = _without_rim(_ink_in_frame(part))
    return ink


def classify(rgb: Pixels, ink: Mask, codes: Sequence[Box]) -> list[Region]:
    """Return the connected pieces of ink with what each shows; those of codes are left out."""
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
        kind = Kind.PICTURE
        if _is_text(box, float(strokes[index])):
            kind = Kind.TEXT
        elif _is_placeholder(rgb[top : top + height, left : left + width], area):
            kind = Kind.PLACEHOLDER
        regions.append(Region(box, area, kind))
    return regions


def _lines_along_rows(grey: Grey) -> Mask:
    """Return thin dark lines that run along rows, uint8 0 or 255.

    A pixel votes for one when it is darker than what lies above and below. Votes are counted along
    the row, so that a stroke of a letter, dark as it may be, is no line.
    """
    reach, span = _FRAME_REACH_PX, 25
    even = cv2.blur(grey, (7, 1), borderType=cv2.BORDER_REPLICATE)
    above, below = np.roll(even, reach, axis=0), np.roll(even, -reach, axis=0)
    votes = (np.minimum(above, below) - even > 0.025 * even).astype(np.float32)
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
    return (
        max(round(box.left), 0),
        max(round(box.top), 0),
        min(round(box.right), width),
        min(round(box.bottom), height),
    )


def _ink_in_frame(part: Pixels) -> Mask:
    """Return the ink in a frame, whose rim shows the ground."""
    height, width = part.shape[:2]
    rim = np.zeros((height, width), bool)
    rim[1:5], rim[-5:-1], rim[:, 1:5], rim[:, -5:-1] = True, True, True, True
    ground = _plane_through(part, rim)
    ratio = part.astype(np.float32) / np.maximum(ground, 1.0)
    known = (np.abs(ratio - 1).max(axis=2) < 0.06).astype(np.float32)
    ground = _spread(part.astype(np.float32), known, start=max(height, width) / 24)
    ink = _unlike(part, ground, known)
    ink[:2], ink[-2:], ink[:, :2], ink[:, -2:] = 0, 0, 0, 0
    return ink


def _without_rim(ink: Mask) -> Mask:
    """Drop narrow pieces at the rim of a frame: remains of its line, or of its own shade."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    height, width = ink.shape
    for index in range(1, count):
        left, top, wide, high = (int(value) for value in stats[index][:4])
        at_side = left <= 4 or left + wide >= width - 4
        at_end = top <= 4 or top + high >= height - 4
        if (at_side and wide < 0.15 * width) or (at_end and high < 0.15 * height):
            ink[labels == index] = 0
    return ink


def _plane_through(part: Pixels, rim: NDArray[np.bool_]) -> Grey:
    """Fit a plane to each channel of the rim, twice, the second time without what sticks out."""
    height, width = rim.shape
    ys, xs = np.nonzero(rim)
    terms = np.column_stack([np.ones(len(xs)), xs / width - 0.5, ys / height - 0.5])
    values = part[ys, xs].astype(np.float64)
    keep = np.ones(len(xs), bool)
    for _ in range(3):
        plane, *_ = np.linalg.lstsq(terms[keep], values[keep], rcond=None)
        error = np.abs(values - terms @ plane).max(axis=1)
        keep = error <= max(3.0, 2.0 * float(np.median(error)))
        if keep.sum() < 16:
            break
    grid_y, grid_x = np.mgrid[0:height, 0:width]
    every = np.stack([np.ones_like(grid_x), grid_x / width - 0.5, grid_y / height - 0.5], axis=-1)
    return np.asarray(every @ plane, np.float32)


def _ink_against_ground(rgb: Pixels, where: Mask, *, reach: int) -> Mask:
    """Return the ink on an open page, whose ground is lit unevenly but is its lightest part."""
    quarter = (max(1, rgb.shape[1] // 4), max(1, rgb.shape[0] // 4))
    small = np.asarray(cv2.resize(rgb, quarter, interpolation=cv2.INTER_AREA), np.float32)
    valid = cv2.resize(cv2.erode(where, np.ones((5, 5), np.uint8)), quarter) > 250
    if not valid.any():
        return np.zeros(where.shape, np.uint8)
    light = np.where(valid, small.mean(axis=2), 0).astype(np.float32)
    kernel = np.ones((max(reach // 4, 3), max(reach // 4, 3)), np.uint8)
    # Closing wants the invalid rim not to pull the ground down: it starts from the dilation.
    closed = cv2.erode(
        cv2.dilate(light, kernel), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=255.0
    )
    known = valid & (light > 0.9 * closed)
    for tolerance in (0.08, 0.05):
        ground = _spread(small, known.astype(np.float32), start=3.0)
        ratio = small / np.maximum(ground, 1.0)
        known = valid & (np.abs(ratio - 1).max(axis=2) < tolerance)
    ground = _spread(small, known.astype(np.float32), start=3.0)
    full = (rgb.shape[1], rgb.shape[0])
    large = np.asarray(cv2.resize(ground, full, interpolation=cv2.INTER_LINEAR), np.float32)
    return _unlike(rgb, large, (where > 0).astype(np.float32)) & where


def _spread(image: Grey, known: Grey, *, start: float) -> Grey:
    """Fill what is not known from what is, the near before the far."""
    filled = np.zeros_like(image)
    left = np.ones(known.shape, bool)
    sigma = start
    while left.any() and sigma < 4 * max(known.shape):
        size = (0, 0)
        shrink = max(1, int(sigma // 3))
        area = (max(1, known.shape[1] // shrink), max(1, known.shape[0] // shrink))
        weight = cv2.GaussianBlur(
            cv2.resize(known, area, interpolation=cv2.INTER_AREA), size, sigma / shrink
        )
        total = cv2.GaussianBlur(
            cv2.resize(image * known[..., None], area, interpolation=cv2.INTER_AREA),
            size,
            sigma / shrink,
        )
        mean = total / np.maximum(weight, 1e-6)[..., None]
        full = (known.shape[1], known.shape[0])
        mean = cv2.resize(mean, full, interpolation=cv2.INTER_LINEAR)
        enough = left & (cv2.resize(weight, full, interpolation=cv2.INTER_LINEAR) > 0.08)
        filled[enough] = mean[enough]
        left &= ~enough
        sigma *= 2.5
    if left.any():
        filled[left] = mean[left]
    return filled


def _unlike(part: Pixels, ground: Grey, known: Grey) -> Mask:
    """Return where pixels differ from the ground by more than its own noise."""
    soft = cv2.GaussianBlur(part, (0, 0), 1.0).astype(np.float32)
    unlike = np.abs(soft / np.maximum(ground, 1.0) - 1).max(axis=2)
    sample = unlike[known > 0]
    noise = float(np.median(sample)) if sample.size else 0.0
    limit = min(max(0.03, 3.2 * noise), 0.12)
    return np.where(unlike > limit, 255, 0).astype(np.uint8)


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


def _is_placeholder(part: Pixels, area: int) -> bool:
    """Tell whether a region is a flat grey field, as "no image" is drawn, with a text at most."""
    height, width = part.shape[:2]
    if area < 0.9 * height * width or min(height, width) < 30:
        return False
    inner = part[4:-4, 4:-4].astype(np.float32)
    soft = cv2.blur(inner, (5, 5))
    middle = np.median(soft.reshape(-1, 3), axis=0)
    if float(np.ptp(middle)) > 14:
        return False
    unlike = np.abs(soft / np.maximum(middle, 1.0) - 1).max(axis=2)
    return float((unlike < 0.05).mean()) > 0.9
