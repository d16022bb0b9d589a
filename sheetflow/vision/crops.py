"""Cut the pictures out of a sheet: upright, tight, from its full-resolution pixels.

A picture that stands upright is a plain slice, so that its pixels are the sheet's own; any other
is turned and its perspective taken out by one resampling. The encoding is settled in
docs/decisions/0003-crop-format.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.reading import SheetReading
from sheetflow.vision.geometry import (
    Box,
    Quad,
    box_around,
    homography_between,
    is_axis_aligned,
    quad_size,
)
from sheetflow.vision.images import SheetImage, encode_jpeg

_STRAIGHT_PX = 1.5


@dataclass(frozen=True)
class Crop:
    """One picture, ready to be stored.

    Attributes:
        image_bytes: The encoded picture; the same sheet and quad always give the same bytes.
        media_type: What `image_bytes` is.
        sha256: Of `image_bytes`, in hexadecimal.
        size_px: (width, height).
    """

    image_bytes: bytes
    media_type: str
    sha256: str
    size_px: tuple[int, int]


def cut_pictures(
    image: SheetImage, reading: SheetReading, *, margin: float = 0.0, page: int | None = None
) -> list[Crop]:
    """Cut out the picture of each pair on a page, in the order of `reading.pairs`.

    Args:
        image: The page that was read.
        reading: What was read on it.
        margin: How much of the picture's surroundings to keep on each side, as a part of its
            shorter side.
        page: Which page it is, as the pairs name it.
    """
    return [_crop(image, pair.picture_quad, margin) for pair in reading.pairs if pair.page == page]


def _crop(image: SheetImage, quad: Quad, margin: float) -> Crop:
    pixels = _cut_out(image.rgb, quad, round(margin * min(quad_size(quad))))
    encoded = encode_jpeg(pixels)
    return Crop(
        image_bytes=encoded,
        media_type="image/jpeg",
        sha256=hashlib.sha256(encoded).hexdigest(),
        size_px=(pixels.shape[1], pixels.shape[0]),
    )


def _cut_out(rgb: NDArray[np.uint8], quad: Quad, margin_px: int) -> NDArray[np.uint8]:
    """Return what a quad shows, uint8 (height, width, 3); at least one pixel of it.

    Quads are in pixel centres: a picture of columns 10 to 19 runs from 9.5 to 19.5.
    """
    if is_axis_aligned(quad, tolerance_px=_STRAIGHT_PX):
        rows, columns = rgb.shape[:2]
        box = box_around(quad).grown(margin_px)
        left = min(max(floor(box.left + 0.75), 0), columns - 1)
        top = min(max(floor(box.top + 0.75), 0), rows - 1)
        right = min(max(ceil(box.right + 0.25), left + 1), columns)
        bottom = min(max(ceil(box.bottom + 0.25), top + 1), rows)
        return np.ascontiguousarray(rgb[top:bottom, left:right])
    width, height = (max(1, round(side)) for side in quad_size(quad))
    target = Box(margin_px - 0.5, margin_px - 0.5, width, height).quad()
    size = (width + 2 * margin_px, height + 2 * margin_px)
    matrix = homography_between(quad, target)
    cut = cv2.warpPerspective(
        rgb, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)
