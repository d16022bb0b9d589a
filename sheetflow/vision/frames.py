"""Find the frames around a page's items: cells, cards, the fields of a table, or labels.

Pure: lines in, boxes out. Frames of one size that hold a code each are those of the items; what
breaks or touches the lines of some is mended from the grid that the others stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.geometry import Box, overlap
from sheetflow.vision.lattice import nearest, rows_and_columns, with_gaps_filled
from sheetflow.vision.lines import Lines

_FRAME_SIDE_PX = 24
_ROUND_CORNER_PX = 17
_SAME_SIZE = 0.07
_AS_WELL_DRAWN = 0.85
_BITTEN = 0.4
_ALL_AROUND = 0.95
_DRAWN_NEAR_PX = 7
_DRAWN_ON_PX = 3
_SAME_SIDE_PX = 3.0
_MOST_BEYOND = 6
_MOST_FOR_EACH_CODE = 6
_AS_LARGE_CROWD = 0.8
_INWARDS = (1, 1, -1, -1)  # left, top, right, bottom
_ACROSS: tuple[Callable[[Box], float], ...] = (
    lambda box: box.left,
    lambda box: box.centre[0],
    lambda box: box.right,
)
_DOWN: tuple[Callable[[Box], float], ...] = (
    lambda box: box.top,
    lambda box: box.centre[1],
    lambda box: box.bottom,
)


def find_frames(lines: Lines) -> list[Box]:
    """Return the rectangles that lines enclose: cells, cards, the fields of a table.

    Returns:
        The insides of the rectangles, largest first; those that hold one another too.
    """
    frames = _enclosed(lines)
    # Round corners leave gaps between the sides; longer sides would run into pictures elsewhere.
    longer = _enclosed(
        Lines(
            np.asarray(cv2.dilate(lines.across, np.ones((1, _ROUND_CORNER_PX))), np.uint8),
            np.asarray(cv2.dilate(lines.down, np.ones((_ROUND_CORNER_PX, 1))), np.uint8),
        )
    )
    return _without_twins(sorted(frames + longer, key=lambda box: -box.area))


def frames_of_items(frames: Sequence[Box], codes: Sequence[Box], lines: Lines) -> list[Box]:
    """Return the frames of one size that hold the codes, one each, gaps in their grid filled in.

    Args:
        frames: All rectangles on the page.
        codes: The boxes of the symbols.
        lines: The lines that the frames are made of, to find those that were not closed.

    Returns:
        The frames in reading order; none where no family of frames holds half of the codes.
    """
    rivals = []
    for family in _families(frames):
        holding = sum(any(frame.contains(code.centre) for code in codes) for frame in family)
        if 5 * holding >= max(1, len(codes)):
            whole = _completed(_with_frames_of_codes(_apart(family), codes, lines), codes, lines)
            if whole and len(_apart(whole)) == len(whole):  # what overlaps is no grid
                rivals.append(whole)
    # Near misses come of frames that were taken for larger ones, gaps between cards included.
    for reach in (_DRAWN_NEAR_PX, _DRAWN_ON_PX):
        rivals = _best_drawn(rivals, codes, lines, reach)
    # Of frames within frames, the outer ones hold the pictures too.
    whole = max(rivals, key=lambda rival: rival[0].area, default=[])
    held = sum(any(frame.contains(code.centre) for frame in whole) for code in codes)
    return whole if 2 * held >= len(codes) else []


def is_whole_grid(frames: Sequence[Box]) -> bool:
    """Tell whether frames of one size fill all places of their rows and columns."""
    if not frames:
        return False
    rows, columns = rows_and_columns(frames)
    return len(frames) == len(rows) * len(columns)


def _families(frames: Sequence[Box]) -> list[list[Box]]:
    """Return the frames of each size, those of one frame's size only once."""
    found: dict[frozenset[int], list[Box]] = {}
    for frame in frames:
        members = [i for i, other in enumerate(frames) if _is_like(other, frame)]
        found.setdefault(frozenset(members), [frames[i] for i in members])
    return list(found.values())


def _best_drawn(
    rivals: Sequence[list[Box]], codes: Sequence[Box], lines: Lines, reach: int
) -> list[list[Box]]:
    """Return the rivals that are drawn about as well as the best: frames with a code.

    Each is counted as far as lines show it. The upper edges of pictures in a row, and what stands
    in them, look like lines here and there, but not all around every cell.
    """
    drawn = [
        sum(
            _drawn(frame, lines, reach)
            for frame in frames
            if any(frame.contains(code.centre) for code in codes)
        )
        for frames in rivals
    ]
    most = max(drawn, default=0.0)
    return [rival for rival, its in zip(rivals, drawn, strict=True) if its > _AS_WELL_DRAWN * most]


def _enclosed(lines: Lines) -> list[Box]:
    """Return the boxes of what lines cut off from the rest, if it is a rectangle.

    Text that touches a frame, and looks like lines itself, bites pieces out of a rectangle; then
    all four sides have to be drawn.
    """
    free = np.asarray(cv2.bitwise_not(lines.across | lines.down), np.uint8)
    contours, tree = cv2.findContours(free, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    height, width = free.shape
    frames: list[Box] = []
    for contour, (_, _, _, parent) in zip(contours, tree[0] if contours else (), strict=True):
        if parent >= 0:  # a hole of what is free: the outside of a line, not its inside
            continue
        left, top, wide, high = cv2.boundingRect(contour)
        if min(wide, high) < _FRAME_SIDE_PX or (wide > 0.98 * width and high > 0.98 * height):
            continue
        box, share = Box(left, top, wide, high), cv2.contourArea(contour) / (wide * high)
        if share > 0.9 or (share > _BITTEN and _drawn(box, lines) > _ALL_AROUND):
            frames.append(box)
    return frames


def _without_twins(frames: Sequence[Box]) -> list[Box]:
    kept: list[Box] = []
    for frame in frames:
        if all(overlap(frame, other) < 0.85 for other in kept):
            kept.append(frame)
    return kept


def _is_like(first: Box, second: Box) -> bool:
    return (
        abs(first.width - second.width) <= _SAME_SIZE * second.width + 3
        and abs(first.height - second.height) <= _SAME_SIZE * second.height + 3
    )


def _apart(frames: Sequence[Box]) -> list[Box]:
    kept: list[Box] = []
    for frame in frames:
        if all(frame.share_inside(other) < 0.2 for other in kept):
            kept.append(frame)
    return kept


def _completed(frames: Sequence[Box], codes: Sequence[Box], lines: Lines) -> list[Box]:
    """Fit a grid to the frames, and return all its places, those beyond it if lines show them.

    A frame whose line is broken, or touched by a picture, is not closed and was not found; a
    place that is empty after all does no harm. No frames are returned where most would be empty.
    """
    rows, columns = rows_and_columns(frames)
    edges = np.array([(frame.left, frame.top, frame.right, frame.bottom) for frame in frames])
    whole: list[Box] = []
    rows, columns = with_gaps_filled(rows), with_gaps_filled(columns)
    if len(rows) * len(columns) > _MOST_FOR_EACH_CODE * max(len(codes), 4):
        return []  # rectangles in print, which make a grid of nearly nothing
    places = np.array(
        [(nearest(rows, frame.top), nearest(columns, frame.left)) for frame in frames]
    )
    models = [_plane(places, edges[:, side], inwards) for side, inwards in enumerate(_INWARDS)]
    beyond_rows, beyond_columns = (_MOST_BEYOND if len(lot) > 1 else 0 for lot in (rows, columns))
    page = Box(0, 0, lines.across.shape[1], lines.across.shape[0])
    for row, column in product(
        range(-beyond_rows, len(rows) + beyond_rows),
        range(-beyond_columns, len(columns) + beyond_columns),
    ):
        left, top, right, bottom = (
            float(constant + down * row + across * column) for constant, down, across in models
        )
        box = Box(left, top, right - left, bottom - top)
        beyond = not (0 <= row < len(rows) and 0 <= column < len(columns))
        if beyond and not page.contains(box.centre):
            continue
        holds = any(box.contains(code.centre) for code in codes)
        if not beyond or _drawn(box, lines) > (0.35 if holds else 0.8):
            whole.append(box)
    return whole


def _with_frames_of_codes(frames: Sequence[Box], codes: Sequence[Box], lines: Lines) -> list[Box]:
    """Add what is drawn around other codes as the frames are around theirs.

    Words as wide as a frame look like lines that part it, so that some may not have been found.
    """
    placed = [(frame, code) for frame in frames for code in codes if frame.contains(code.centre)]
    whole = list(frames)
    for code in codes:
        if not placed or any(frame.contains(code.centre) for frame in whole):
            continue
        lefts = [median(f.left - at(c) for f, c in placed) + at(code) for at in _ACROSS]
        tops = [median(f.top - at(c) for f, c in placed) + at(code) for at in _DOWN]
        width = median(frame.width for frame, _ in placed)
        height = median(frame.height for frame, _ in placed)
        boxes = [Box(left, top, width, height) for left, top in product(lefts, tops)]
        best = max(boxes, key=lambda box: _drawn(box, lines))
        if _drawn(best, lines) > _ALL_AROUND:
            whole.append(best)
    return _apart(whole)


def _plane(
    places: NDArray[np.int64], values: NDArray[np.float64], inwards: int
) -> tuple[float, float, float]:
    """Fit value = constant + down * row + across * column, frames that stick out left aside.

    Some may have been taken with the gap beside them: their sides lie that much farther out.
    """
    terms = np.column_stack([np.ones(len(places)), places]).astype(np.float64)
    keep = np.ones(len(values), bool)
    model = np.zeros(3)
    for turn in range(3):
        model = np.asarray(np.linalg.lstsq(terms[keep], values[keep], rcond=None)[0])
        error = values - terms @ model
        if turn == 0:
            error -= inwards * _innermost_crowd(inwards * error)
        error = np.abs(error)
        keep = error <= max(_SAME_SIDE_PX, 4 * float(np.percentile(error, 25)))
    return (float(model[0]), float(model[1]), float(model[2]))


def _innermost_crowd(values: NDArray[np.float64]) -> float:
    """Return the middle of the highest crowd of values among those of about the most members."""
    near = np.abs(values[:, None] - values[None, :]) <= _SAME_SIDE_PX
    members = near.sum(axis=1)
    inner = np.where(members > _AS_LARGE_CROWD * members.max(), values, -np.inf).argmax()
    return float(values[near[inner]].mean())


def _drawn(box: Box, lines: Lines, reach: int = _DRAWN_NEAR_PX) -> float:
    """Return how much of a box's outline, by its least drawn side, has lines within reach."""
    height, width = lines.across.shape
    left, right = max(int(box.left), 0), min(int(box.right), width)
    top, bottom = max(int(box.top), 0), min(int(box.bottom), height)
    if right - left < 4 or bottom - top < 4:
        return 0.0
    shares = [lines.share_of_row(int(y), left, right, reach) for y in (box.top, box.bottom)]
    shares += [lines.share_of_column(int(x), top, bottom, reach) for x in (box.left, box.right)]
    return min(shares)
