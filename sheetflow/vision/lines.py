"""Find the thin dark lines of an upright page: frames of cells, borders of cards, rules of tables.

And the steps where a shade begins, as that of a card whose border was lost to blur.

Pure: arrays in, masks and points out. Absolute sizes are in pixels of a page 1,400 high or wide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.geometry import Box, Point

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Grey = NDArray[np.float32]

LINE_REACH_PX = 4
"""How far from a line the paper beside it is looked at; lines are thinner than that."""

_LEAST_STEP = 0.012
_MOST = 0.6
_BAND_ROWS = 64  # so few that what is made of them on the way stays in the processor's cache


@dataclass(frozen=True, eq=False)
class Lines:
    """Where thin dark lines run, uint8 0 or 255, (height, width) of the page each.

    Attributes:
        across: Those that run along rows.
        down: Those that run along columns.
    """

    across: Mask
    down: Mask
    _near: dict[int, tuple[Mask, Mask]] = field(default_factory=dict, init=False, repr=False)

    def __or__(self, other: Lines) -> Lines:
        """Return the lines of both."""
        return Lines(self.across | other.across, self.down | other.down)

    def share_of_row(self, y: int, left: int, right: int, reach: int) -> float:
        """Return for which part of a row, from left to right, a line across is within reach."""
        return _share(self._within(reach)[0], y + reach, left, right)

    def share_of_column(self, x: int, top: int, bottom: int, reach: int) -> float:
        """Return for which part of a column, from top to bottom, a line down is within reach."""
        return _share(self._within(reach)[1], x + reach, top, bottom)

    def _within(self, reach: int) -> tuple[Mask, Mask]:
        """Return what is near lines across and, turned, near those down, from -reach on."""
        if reach not in self._near:
            self._near[reach] = (
                _thickened(self.across, reach),
                _thickened(np.asarray(cv2.transpose(self.down), np.uint8), reach),
            )
        return self._near[reach]


def find_lines(rgb: Pixels, codes: Sequence[Box]) -> Lines:
    """Return the thin dark lines on a page.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        codes: The boxes of the symbols on the page, whose bars are no lines.
    """
    return _both_ways(_lines_along_rows, rgb, codes)


def find_steps(rgb: Pixels, codes: Sequence[Box]) -> Lines:
    """Return the straight edges on a page, from one shade to another.

    Args:
        rgb: uint8, (height, width, 3), an upright page.
        codes: The boxes of the symbols on the page, whose bars are no edges.
    """
    return _both_ways(_steps_along_rows, rgb, codes)


def segments_across(mask: Mask, *, shortest_px: int) -> list[tuple[Point, Point]]:
    """Return the ends, left and right, of long lines in a mask of lines that run along rows."""
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[Point, Point]] = []
    for contour, (_, _, _, parent) in zip(contours, tree[0] if contours else (), strict=True):
        left, top, wide, high = cv2.boundingRect(contour)
        if parent >= 0 or wide < shortest_px or high > 0.2 * wide:
            continue
        _, labels = cv2.connectedComponents(mask[top : top + high, left : left + wide])
        x, y = contour[0, 0]
        piece = labels == labels[y - top, x - left]
        counts = piece.sum(axis=0)
        if counts.max() > 9:  # a knot of lines, not one
            continue
        middles = (piece * np.arange(high)[:, None]).sum(axis=0) / np.maximum(counts, 1)
        columns = np.arange(wide) - (wide - 1) / 2
        slope = float(columns @ middles / (columns @ columns))
        start = float(middles.mean()) - slope * (wide - 1) / 2
        if np.abs(middles - start - slope * np.arange(wide)).mean() < 1.0:
            found.append(((left, top + start), (left + wide, top + start + slope * wide)))
    return sorted(found)


def _thickened(mask: Mask, reach: int) -> Mask:
    """Return a mask of lines along rows with `reach` rows more on both sides of each."""
    padded = cv2.copyMakeBorder(mask, reach, reach, 0, 0, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.dilate(padded, np.ones((2 * reach + 1, 1), np.uint8)), np.uint8)


def _share(near: Mask, row: int, first: int, end: int) -> float:
    if not 0 <= row < len(near):
        return 0.0
    return int(np.count_nonzero(near[row, first:end])) / (end - first)


def _both_ways(along_rows: Callable[[Grey], Mask], rgb: Pixels, codes: Sequence[Box]) -> Lines:
    """Return what is found along the rows and the columns of a page whose codes are painted out."""
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    for code in codes:
        _paint_out(grey, code)
    turned = np.asarray(cv2.transpose(grey), np.float32)
    return Lines(along_rows(grey), np.asarray(cv2.transpose(along_rows(turned)), np.uint8))


def _lines_along_rows(grey: Grey) -> Mask:
    """Return thin dark lines that run along rows, uint8 0 or 255.

    A pixel votes for one when it is darker than what lies above and below. Votes are counted along
    the row, so that a stroke of a letter, dark as it may be, is no line.
    """
    reach, span = LINE_REACH_PX, 25
    even = np.asarray(cv2.blur(grey, (7, 1), borderType=cv2.BORDER_REPLICATE), np.float32)
    # A clean export shows lines that are paler than the noise of a scan.
    sample = even[:, ::4]
    some, above = sample[::4], sample[np.arange(0, len(even), 4) - reach]
    noise = float(np.median(np.abs(above - some) / np.maximum(some, 1.0)))
    limit = min(max(8 * noise, 0.01), 0.025)
    votes = np.zeros(even.shape, np.uint8)
    for top in range(reach, len(even) - reach, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, len(even) - reach)
        row = even[top:bottom]
        lighter = cv2.min(even[top - reach : bottom - reach], even[top + reach : bottom + reach])
        votes[top:bottom] = (lighter - row) / np.maximum(row, 1.0) > limit
    # A line that is a little crooked changes rows on its way.
    votes = np.asarray(cv2.dilate(votes, np.ones((3, 1), np.uint8)), np.uint8)
    mask = _where_most_vote(votes, span)
    # Bridge what dust, a caption or a fold has broken.
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, 41), np.uint8)), np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, 15), np.uint8)), np.uint8)
    # The ends, where fewer than half of the votes lie on one side, grow back to the corner.
    return np.asarray(cv2.dilate(mask, np.ones((1, 13), np.uint8)), np.uint8)


def _where_most_vote(votes: Mask, span: int) -> Mask:
    """Return 255 where there is a vote (1) and most along the row around it are votes too."""
    count = cv2.boxFilter(votes, -1, (span, 1), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(255 * votes * (count > int(_MOST * span)), np.uint8)


def _steps_along_rows(grey: Grey) -> Mask:
    """Return the edges that run along rows, uint8 0 or 255.

    A pixel votes for one where the difference between what lies above and below is largest; votes
    are counted along the row, over a longer way than for lines, as a step is fainter.
    """
    reach, span = LINE_REACH_PX, 41
    even = np.asarray(cv2.blur(grey, (13, 5), borderType=cv2.BORDER_REPLICATE), np.float32)
    rise = np.zeros_like(even)
    above, below = even[: -2 * reach], even[2 * reach :]
    rise[reach:-reach] = cv2.absdiff(above, below) / np.maximum(even[reach:-reach], 1.0)
    rise[: 2 * reach] = 0
    rise[-2 * reach :] = 0
    limit = max(_LEAST_STEP, 3.5 * float(np.median(rise[::4, ::4])))
    steepest = cv2.dilate(rise, np.ones((5, 1), np.uint8))
    votes = ((rise >= steepest) & (rise > limit)).astype(np.uint8)
    votes = np.asarray(cv2.dilate(votes, np.ones((3, 1), np.uint8)), np.uint8)
    mask = _where_most_vote(votes, span)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((1, 41), np.uint8)), np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, 25), np.uint8)), np.uint8)
    return np.asarray(cv2.dilate(mask, np.ones((1, 21), np.uint8)), np.uint8)


def _paint_out(grey: Grey, code: Box) -> None:
    """Fill a code's box with what stands around it."""
    left, top, right, bottom = code.grown(2).pixel_edges(grey.shape)
    left_, top_, right_, bottom_ = code.grown(6).pixel_edges(grey.shape)
    rim = np.ones((bottom_ - top_, right_ - left_), bool)
    rim[top - top_ : bottom - top_, left - left_ : right - left_] = False
    if rim.any():
        grey[top:bottom, left:right] = np.median(grey[top_:bottom_, left_:right_][rim])
