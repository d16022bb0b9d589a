"""Tell what is printed on an upright page from the paper or card that it is printed on.

Pure: arrays in, arrays out. The ground is lit unevenly, crossed by shadows, and shaded on cards; it
is what is flat and reaches the rim, and is filled in beneath the print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sheetflow.vision.geometry import Box
from sheetflow.vision.images import halved
from sheetflow.vision.lines import LINE_REACH_PX

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Grey = NDArray[np.float32]

_RIM_PX = 11
_NEAR_RIM_PX = 8
_LINE_PX = 4
_SMALL_SHARE = 0.1
_TREND_GRID = 24
_BARS_RIM_PX = 3
_PLATE_PX = 8
_PLATE_SHARE = 0.05
_QUIET_SHARE = 0.35
_FULL_SHARE = 0.8
_SEEN_SHARE = 0.04
_KNOWN_ENOUGH = 0.2
_COARSE_PX = 8.0
_SAME_SHADE = 0.04
_AS_LIGHT = 0.92
_OUTLINE_PX = 7
_BAND_ROWS = 32  # so few that what is made of them on the way stays in the processor's cache


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
        left, top, right, bottom = frame.grown(LINE_REACH_PX + 3).pixel_edges(rgb.shape)
        outside[top:bottom, left:right] = 0
    printed = _print_within(rgb, outside, codes, flat_below)
    reaches = [code.grown(_quiet_px(code) + _PLATE_PX) for code in codes]
    for frame in frames:
        left, top, right, bottom = frame.grown(-2).pixel_edges(rgb.shape)
        part = rgb[top:bottom, left:right]
        if min(part.shape[:2]) < 8:
            continue
        whole = np.zeros(part.shape[:2], np.uint8)
        whole[2:-2, 2:-2] = 255
        shifted = [
            Box(c.left - left, c.top - top, c.width, c.height)
            for c, reach in zip(codes, reaches, strict=True)
            if reach.common_area(frame)
        ]
        own = _print_within(part, whole, shifted, flat_below)
        printed.ink[top:bottom, left:right] = _without_rim(own.ink)
        printed.strength[top:bottom, left:right] = own.strength
    return printed


def _print_within(part: Pixels, where: Mask, codes: Sequence[Box], flat_below: float) -> Print:
    """Return the print of a page or of a frame, measured against the ground that reaches its rim.

    Args:
        part: uint8, (height, width, 3).
        where: uint8, (height, width), 255 where there is anything to be found.
        codes: The boxes of symbols, in pixels of `part`; those elsewhere do not matter.
        flat_below: The steepness under which the page counts as flat.
    """
    height, width = part.shape[:2]
    small = halved(part).astype(np.float32)
    valid = where[: height // 2 * 2 : 2, : width // 2 * 2 : 2] > 0
    flat = (valid & (_steepness(small, flat_below) < flat_below)).astype(np.uint8)
    for code in codes:
        left, top, right, bottom = (
            round(edge / 2) for edge in code.grown(8).pixel_edges(part.shape)
        )
        flat[top:bottom, left:right] = 0
    ground, known = _ground_of(small, flat, valid)
    large = np.asarray(cv2.resize(ground, (width, height)), np.float32)
    soft = np.asarray(cv2.GaussianBlur(part, (0, 0), 1.0), np.uint8)
    strength = difference(soft, large)
    _erase_plates(strength, soft, large, codes)
    limit = _noise_limit(strength, known)
    return Print(where * (strength > limit), strength)


def _erase_plates(strength: Grey, image: Pixels, ground: Grey, codes: Sequence[Box]) -> None:
    """Take codes, and the white grounds that they are printed on, off the print.

    On a shaded card a code has a ground of its own, which may touch the picture.
    """
    for code in codes:
        left, top, right, bottom = code.grown(_BARS_RIM_PX).pixel_edges(strength.shape)
        strength[top:bottom, left:right] = 0
        left, top, right, bottom = around = code.grown(_quiet_px(code)).pixel_edges(strength.shape)
        if left == right or top == bottom:  # it stands elsewhere
            continue
        light, paper = _darkest(image, around), _darkest(ground, around)
        near = np.zeros(light.shape, bool)
        x0, y0, x1, y1 = code.grown(_PLATE_PX).pixel_edges(strength.shape)
        near[y0 - top : y1 - top, x0 - left : x1 - left] = True
        lighter = light > 1.01 * paper
        seen = light[lighter & near]
        if seen.size < 0.1 * near.sum() or not seen.size:
            continue
        plate = lighter & (light < (1 + _PLATE_SHARE) * float(np.median(seen)))
        _, labels = cv2.connectedComponents(plate.astype(np.uint8), connectivity=4)
        whole = _pieces(labels, labels[near & plate])
        if code.area + whole.sum() > _FULL_SHARE * cv2.countNonZero(_box_of(whole)):
            # Its outline, if it has one, is none of the page's print either.
            kernel = np.ones((_OUTLINE_PX, _OUTLINE_PX), np.uint8)
            whole = np.asarray(cv2.dilate(_box_of(whole), kernel), np.uint8)
        strength[top:bottom, left:right][whole > 0] = 0


def _quiet_px(code: Box) -> float:
    """Return how far around a code its white ground is looked for."""
    return max(_QUIET_SHARE * max(code.width, code.height), 16.0)


def _pieces(labels: ArrayLike, chosen: ArrayLike) -> Mask:
    """Return 1 where a pixel's label is among those chosen."""
    labels = np.asarray(labels, np.int32)
    is_chosen = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    is_chosen[np.asarray(chosen, np.intp)] = 1
    return np.asarray(is_chosen[labels], np.uint8)


def _box_of(mask: Mask) -> Mask:
    """Return the mask of the smallest box around a mask."""
    left, top, width, height = cv2.boundingRect(mask)
    box = np.zeros_like(mask)
    box[top : top + height, left : left + width] = 1
    return box


def _darkest(image: Pixels | Grey, edges: tuple[int, int, int, int]) -> Grey:
    """Return the darkest channel of a part, (left, top, right, bottom)."""
    left, top, right, bottom = edges
    red, green, blue = cv2.split(image[top:bottom, left:right])
    return np.asarray(cv2.min(cv2.min(red, green), blue), np.float32)


def _flatness(rgb: Pixels, inside: Mask) -> float:
    """Return the steepness under which a page, at half its size, is flat but for its noise."""
    steepness = _steepness(halved(rgb).astype(np.float32), 1.0)
    height, width = steepness.shape
    valid = inside[: 2 * height : 2, : 2 * width : 2] > 0
    return 0.3 + 3.2 * float(np.percentile(steepness[valid], 25))


def _steepness(image: Grey, flat_below: float) -> Grey:
    """Return how fast an image changes, per pixel, more than all around: edges, not shades.

    The rim of a soft shadow is as steep as that of a pale product, but over a longer way.
    """
    channels = cv2.split(cv2.GaussianBlur(image, (0, 0), 1.0))
    grey = cv2.min(cv2.min(channels[0], channels[1]), channels[2])
    limit = 4 * flat_below
    slopes = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    across, down = (np.asarray(np.clip(slope, -limit, limit), np.float32) for slope in slopes)
    return np.asarray(
        cv2.magnitude(across - _blurred_widely(across), down - _blurred_widely(down)), np.float32
    )


def _blurred_widely(values: Grey) -> Grey:
    """Return values blurred over some twelve pixels; at half the size, which shows no more."""
    height, width = values.shape
    half = cv2.resize(
        values, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(cv2.GaussianBlur(half, (0, 0), 3), (width, height)), np.float32)


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
    if contact.max() == 0:  # a strip of desk runs all around
        contact = np.bincount(labels.ravel(), minlength=count)
        contact[0] = 0
    if contact.max() == 0:
        known = valid.astype(np.float32)
        seen = np.asarray(small * _in_each_channel(known), np.float32)
        return _spread(seen, known, start=max(height, width) / 16), known
    along_rim = np.flatnonzero(contact >= min(contact.max(), 0.08 * (height + width)))
    if contact.max() < _SEEN_SHARE * (height + width):
        along_rim = _lightest(small, labels, np.flatnonzero(contact))
    known = _pieces(labels, along_rim).astype(np.float32)
    start = max(3.0, min(height, width) / 40)
    like = difference(small, _filled(small, known, start=start)) < _SAME_SHADE
    known = (like & valid & ((flat > 0) | (known > 0))).astype(np.float32)
    return _filled(small, known, start=start), known


def _lightest(small: Grey, labels: ArrayLike, pieces: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the lightest of some pieces: where print leaves hardly any ground, that is lighter."""
    labels = np.asarray(labels, np.int32)
    shades = np.array([np.median(small[labels == piece]) for piece in pieces])
    return np.asarray(pieces[shades > _AS_LIGHT * shades.max()], np.intp)


def _filled(small: Grey, known: Grey, *, start: float) -> Grey:
    """Return the ground everywhere, from where it is known: its trend, and what departs from it."""
    height, width = known.shape
    places = np.flatnonzero(known > 0)
    if len(places) < 64:
        return _spread(np.asarray(small * _in_each_channel(known), np.float32), known, start=start)
    ys, xs = np.divmod(places[:: max(1, len(places) // 600)], width)
    rows = _bend_terms(xs / width - 0.5, ys / height - 0.5)
    # A little weight on the bends: where ground is known on one side only, it goes on straight.
    square = rows.T @ rows + np.diag([1e-6, 1e-6, 1e-6, 0.06, 0.06, 0.06]) * len(xs)
    model = np.linalg.solve(square, rows.T @ small[ys, xs].astype(np.float64))
    coarse = np.maximum(_trend_terms() @ model, 1.0).astype(np.float32)
    seen = np.asarray(cv2.copyTo(small, np.asarray(known > 0, np.uint8)), np.float32)
    if start > _COARSE_PX:  # so coarse a ground is the same at half the size
        half = (width // 2, height // 2)
        seen = np.asarray(cv2.resize(seen, half, interpolation=cv2.INTER_AREA), np.float32)
        known = np.asarray(cv2.resize(known, half, interpolation=cv2.INTER_AREA), np.float32)
        start /= 2
    trend = cv2.resize(coarse, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    flattened = np.asarray(cv2.divide(seen, trend), np.float32)
    ground = cv2.multiply(trend, _spread(flattened, known, start=start))
    if known.shape == (height, width):
        return np.asarray(ground, np.float32)
    return np.asarray(cv2.resize(ground, (width, height)), np.float32)


@cache
def _trend_terms() -> NDArray[np.float64]:
    grid = np.linspace(-0.5, 0.5, _TREND_GRID)
    return _bend_terms(*np.meshgrid(grid, grid))


def _bend_terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)


def _spread(seen: Grey, known: Grey, *, start: float) -> Grey:
    """Fill what is not known (0) from what is (1), the near before the far, by a pyramid.

    Each level is half the size of the one before, up to one that is known enough everywhere; going
    back, a pixel keeps its own mean as far as it is known and takes the rest from the level above.
    `start` is the finest level's grain.
    """
    height, width = known.shape
    shrink = max(1.0, start / 2)
    area = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    weights = [cv2.resize(known, area, interpolation=cv2.INTER_AREA)]
    totals = [cv2.resize(seen, area, interpolation=cv2.INTER_AREA)]
    while max(area) > 1 and weights[-1].min() < _KNOWN_ENOUGH:
        area = (max(1, area[0] // 2), max(1, area[1] // 2))
        weights.append(cv2.resize(weights[-1], area, interpolation=cv2.INTER_AREA))
        totals.append(
            cv2.resize(totals[-1], area, interpolation=cv2.INTER_AREA).reshape(*area[::-1], 3)
        )
    filled = np.asarray(totals[-1] / _in_each_channel(np.maximum(weights[-1], 1e-6)), np.float32)
    for weight, total in zip(reversed(weights[:-1]), reversed(totals[:-1]), strict=True):
        far = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        own = _in_each_channel(np.minimum(weight / _KNOWN_ENOUGH, 1.0))
        far = far.reshape(total.shape)
        mean = total / _in_each_channel(np.maximum(weight, 1e-6))
        filled = np.asarray(own * mean + (1 - own) * far, np.float32)
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        cv2.GaussianBlur(large, (0, 0), shrink / 2) if shrink > 2 else large, np.float32
    )


def _in_each_channel(values: Grey) -> Grey:
    """Return values, (height, width), three times: many times faster than NumPy's broadcasting."""
    return np.asarray(cv2.merge((values, values, values)), np.float32).reshape(*values.shape, 3)


def difference(image: Pixels | Grey, ground: Grey) -> Grey:
    """Return by which part of the ground the most different channel differs."""
    most = np.empty(image.shape[:2], np.float32)
    for top in range(0, len(image), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        seen = np.asarray(image[band], np.float32)
        ratio = cv2.divide(seen, np.maximum(ground[band], np.float32(1)))
        red, green, blue = cv2.split(np.abs(ratio - 1))
        most[band] = cv2.max(cv2.max(red, green), blue)
    return most


def _noise_limit(strength: Grey, known: Grey) -> float:
    """Return from which strength on print is more than the noise of its ground, known at half."""
    height, width = known.shape
    sample = strength[: 2 * height : 2, : 2 * width : 2][known > 0]
    noise = float(np.median(sample)) if sample.size else 0.0
    return min(max(0.03, 3.2 * noise), 0.12)


def _without_rim(ink: Mask) -> Mask:
    """Drop narrow or small pieces at the rim of a frame: remains of its line, or of a shade."""
    ink = _without_lines_at_rim(_without_lines_at_rim(ink).T).T
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    height, width = ink.shape
    largest = int(stats[1:, cv2.CC_STAT_AREA].max(initial=0))
    dropped: list[int] = []
    for index in range(1, count):
        left, top, wide, high, area = (int(value) for value in stats[index])
        at_side = left <= 2 or left + wide >= width - 2
        at_end = top <= 2 or top + high >= height - 2
        is_near = min(left, top, width - left - wide, height - top - high) <= _NEAR_RIM_PX
        is_narrow = (at_side and 3 * wide < high) or (at_end and 3 * high < wide)
        if is_narrow or (is_near and area < _SMALL_SHARE * largest):
            dropped.append(index)
    if dropped:
        ink[_pieces(labels, dropped) > 0] = 0
    return ink


def _without_lines_at_rim(ink: Mask) -> Mask:
    """Drop thin lines along the upper and the lower rim, which may run on from a picture."""
    ink = np.ascontiguousarray(ink)
    thick = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((_LINE_PX, 1), np.uint8))
    for rim in (slice(0, _NEAR_RIM_PX), slice(-_NEAR_RIM_PX, None)):
        ink[rim] = thick[rim]
    return ink
