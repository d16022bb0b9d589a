"""Tell what looks like a code on an upright page, and find how far the bars of a linear one reach.

Pure. An engine reports the scan lines that it read, which may be three pixels of a code that is
sixty high; what stands above and below are the same bars.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.geometry import Box

Pixels = NDArray[np.uint8]

_SAME_BARS = 0.55
_REACH_SHARE = 1.0
_MISSES = 2
_LEAST_SIDES_PX = (8, 40)
_ONE_WAY = 0.6
_LEAST_SWINGS = 16
_LEAST_CONTRAST = 0.1
_LEAST_CHANGES = 0.07
_LEAST_MODULES = 8
_LEAST_PRINT = 20.0  # grey levels


def whole_bars(grey: Pixels, read: Box, *, is_upright: bool = True) -> Box:
    """Return the box of all of a code's bars.

    Args:
        grey: uint8, (height, width), the page.
        read: The box of the part that was read.
        is_upright: Whether the bars run along columns, or along rows.
    """
    if not is_upright:
        turned = Box(read.top, read.left, read.height, read.width)
        whole = whole_bars(np.ascontiguousarray(grey.T), turned)
        return Box(whole.top, whole.left, whole.height, whole.width)
    left, top, right, bottom = read.pixel_edges(grey.shape)
    if right - left < 16:
        return read
    middle = min(max((top + bottom) // 2, 1), grey.shape[0] - 2)
    bars = _centred(grey[middle - 1 : middle + 2, left:right].mean(axis=0, keepdims=True))[0]
    reach = round(_REACH_SHARE * read.width)
    first = _last_alike(grey[max(middle - reach, 0) : middle, left:right][::-1], bars)
    last = _last_alike(grey[middle + 1 : middle + 1 + reach, left:right], bars)
    whole_top, whole_bottom = min(read.top, middle - first), max(read.bottom, middle + 1 + last)
    return Box(read.left, whole_top, read.width, whole_bottom - whole_top)


def are_bars(grey: Pixels, box: Box) -> bool:
    """Tell whether a piece of the page looks like the bars of a linear code.

    It changes along one axis almost alone, and many times.
    """
    left, top, right, bottom = box.pixel_edges(grey.shape)
    piece = grey[top:bottom, left:right]
    if min(piece.shape) < _LEAST_SIDES_PX[0] or max(piece.shape) < _LEAST_SIDES_PX[1]:
        return False
    across, down = (
        float((cv2.Sobel(piece, cv2.CV_32F, *order) ** 2).sum()) for order in ((1, 0), (0, 1))
    )
    if abs(across - down) < _ONE_WAY * (across + down):
        return False
    profile = piece.mean(axis=0 if across > down else 1)
    even = cv2.blur(profile.reshape(1, -1), (31, 1))[0]
    swings = np.count_nonzero(np.diff(profile > even))
    return bool(swings > _LEAST_SWINGS and profile.std() > _LEAST_CONTRAST * profile.mean())


def are_modules(grey: Pixels, box: Box) -> bool:
    """Tell whether a piece of the page may be a matrix code: it changes often along both axes.

    Source: measured on 3,211 matrix codes of 820 drawn sheets, neighbouring pixels differ by .088
    or more of the contrast; in three of four pictures of a code's size by less than .055.
    """
    left, top, right, bottom = box.pixel_edges(grey.shape)
    piece = grey[top:bottom, left:right].astype(np.float32)
    if min(piece.shape) < 2:
        return False
    contrast = max(_contrast(piece), 1.0)
    changes = min(float(np.abs(np.diff(piece, axis=axis)).mean()) for axis in (0, 1)) / contrast
    return bool(changes > min(_LEAST_CHANGES, _LEAST_MODULES / max(piece.shape)))


def is_blank(grey: Pixels, box: Box) -> bool:
    """Tell whether nothing is printed in a place, or nothing that stands out of the noise."""
    left, top, right, bottom = box.pixel_edges(grey.shape)
    piece = grey[top:bottom, left:right]
    soft = np.asarray(cv2.blur(piece, (3, 3)) if piece.size else piece, np.uint8)
    return not piece.size or _contrast(soft) < _LEAST_PRINT


def _contrast(piece: NDArray[np.uint8] | NDArray[np.float32]) -> float:
    dark, light = np.percentile(piece, (2, 98))
    return float(light - dark)


def _last_alike(rows: Pixels, bars: NDArray[np.float32]) -> int:
    """Return how many rows, from the first on, show the same bars."""
    alike = _centred(rows) @ bars > _SAME_BARS
    misses = np.flatnonzero(~alike)
    for miss in misses:  # a scratch is not the end
        if not alike[miss + 1 : miss + 1 + _MISSES].any():
            return int(miss)
    return len(rows)


def _centred(rows: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each row without its mean, of length 1."""
    values = rows.astype(np.float32)
    values = values - values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-3), np.float32)
