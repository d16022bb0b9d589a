"""Find the fields that stand where a picture is missing: words in the middle of a faint shade.

Pure. Such a field may be hardly darker than the paper; its edges show in the mean of many pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.geometry import Box

Grey = NDArray[np.uint8]

_LEAST_STEP = 0.01
_REACH_PX = 320
_LEAST_SIDE_PX = 30
_CLEAR_PX = 5
_STEP_PX = 10
_NEAR_PX = 48
_SAME_EDGE_PX = 6.0
_CENTRED = 0.35  # words below an icon stand lower
_INSIDE = 0.9


def field_around(grey: Grey, words: Box) -> Box | None:
    """Return the flat field, darker than the paper, in the middle of which words stand, if any.

    Args:
        grey: uint8, (height, width), an upright page.
        words: The box of one or more words.
    """
    left, top, right, bottom = words.pixel_edges(grey.shape)
    if right - left < 4 or bottom - top < 4:
        return None
    column = grey[:, left:right]
    up = _way_out(column[max(top - _REACH_PX, 0) : max(top - 2, 0)][::-1])
    if up is None or up < 2 * _CLEAR_PX:
        return None
    down = _way_out(column[bottom + 2 : bottom + _REACH_PX])
    if down is None or abs(up - down) > _CENTRED * (up + down) + 2:
        return None
    upper, lower = top - 2 - up, bottom + 2 + down
    middle = (left + right) // 2
    above, below = grey[upper + _CLEAR_PX : top - 2], grey[bottom + 2 : lower - _CLEAR_PX]
    west, east = (_same_way_out(above, below, middle, step) for step in (-1, 1))
    if west is None or east is None:
        return None
    field = Box(middle - west, upper, west + east, lower - upper)
    is_large = min(field.width, field.height) >= _LEAST_SIDE_PX and field.area > 2 * words.area
    return field if is_large and words.share_inside(field) > _INSIDE else None


def _same_way_out(above: Grey, below: Grey, middle: int, step: int) -> int | None:
    """Return how far from the middle two bands of rows both grow lighter; None if they do not."""
    first, second = (_way_out(band[:, middle::step][:, :_REACH_PX].T) for band in (above, below))
    if first is None or second is None or abs(first - second) > _SAME_EDGE_PX:
        return None
    return first


def _way_out(band: Grey) -> int | None:
    """Return after how many rows of a band it grows lighter at one step; None if it does not.

    Whatever else is met before, a darker thing or a brighter one that ends, is no edge of a field.
    """
    if len(band) < 2 * _STEP_PX or not band.size:
        return None
    # Most often something dark stands near, and the rest need not be looked at.
    if (near := _first_steps(band[:_NEAR_PX])) is not None and near[1][0] < 0:
        return None
    whole = _first_steps(band)
    if whole is None or whole[1][0] < 0:
        return None
    first, steps = whole
    return first + int(steps.argmax()) + _STEP_PX // 2


def _first_steps(band: Grey) -> tuple[int, NDArray[np.float64]] | None:
    """Return the first row at which a band grows lighter or darker, and by how much from there."""
    sums = np.concatenate([[0.0], np.cumsum(np.median(band, axis=1))])
    half = _STEP_PX // 2
    means = (sums[half:] - sums[:-half]) / half
    rise = (means[half:] - means[:-half]) / np.maximum(means[:-half], 1.0)
    steep = np.flatnonzero(np.abs(rise) > _LEAST_STEP)
    if not len(steep):
        return None
    first = int(steep[0])
    return first, rise[first : first + half]
