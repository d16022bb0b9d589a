"""Draw a reading onto its sheet, so that a person sees at a glance what was believed.

Every region bears its number (see `regions`), by which a person can name it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.reading import SheetReading
from sheetflow.regions import Kind, Region, regions_of, shown_regions, usual_side
from sheetflow.vision.geometry import (
    Point,
    Quad,
    box_around,
    move_quad,
    quad_centre,
    scaling,
)
from sheetflow.vision.images import SheetImage, encode_jpeg, encode_png

Colour = tuple[int, int, int]

_CERTAIN: Colour = (0, 140, 60)
_DOUBTED: Colour = (225, 120, 0)
_UNPAIRED: Colour = (205, 30, 45)
_DISCARDED: Colour = (150, 150, 150)
_WHITE: Colour = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALLER_PX = (1600, 1300, 1000, 750, 500)
_JPEG_QUALITY = 80


def draw_overlay(
    image: SheetImage, reading: SheetReading, *, page: int | None = None, max_side_px: int = 1600
) -> bytes:
    """Return a PNG of the sheet with boxes, links, numbers and codes drawn on it.

    Pairs are green, those with doubts orange, what stayed unpaired red, discards thin grey.

    Args:
        image: The page that was read.
        reading: What was read on its sheet.
        page: Which page it is; None where the sheet has one.
        max_side_px: The longer side of the PNG; a smaller sheet keeps its size.
    """
    return encode_png(_painted(image, reading, page, max_side_px))


def draw_small_overlay(
    image: SheetImage, reading: SheetReading, *, page: int | None = None, max_bytes: int
) -> bytes:
    """Return the same as a JPEG, as large as `max_bytes` allow, at least 500 px on its side."""
    encoded = b""
    for max_side_px in _SMALLER_PX:
        encoded = encode_jpeg(_painted(image, reading, page, max_side_px), quality=_JPEG_QUALITY)
        if len(encoded) <= max_bytes:
            break
    return encoded


def _painted(
    image: SheetImage, reading: SheetReading, page: int | None, max_side_px: int
) -> NDArray[np.uint8]:
    factor = min(1.0, max_side_px / max(image.size_px))
    size = tuple(max(1, round(side * factor)) for side in image.size_px)
    shrunk = cv2.resize(image.rgb, (size[0], size[1]), interpolation=cv2.INTER_AREA)
    # A paler sheet lets the lines stand out, whatever its pictures show.
    canvas = cv2.addWeighted(shrunk, 0.75, np.full_like(shrunk, 255), 0.25, 0)
    painter = _Painter(np.asarray(canvas, np.uint8), factor, usual_side(reading) * factor)
    regions = [region for region in regions_of(reading) if region.page == page]
    numbered = set(shown_regions(reading))
    for region in sorted(regions, key=lambda region: region.kind is not Kind.DISCARD):
        match region.kind:
            case Kind.DISCARD:
                painter.outline(region.quad, _DISCARDED, thin=True)
                if region in numbered:
                    painter.number(region, _DISCARDED)
            case Kind.PAIR:
                painter.pair(region)
            case Kind.PICTURE:
                painter.outline(region.quad, _UNPAIRED)
                painter.text("no code", quad_centre(region.quad), _UNPAIRED)
                painter.number(region, _UNPAIRED)
            case Kind.CODE:
                painter.outline(region.quad, _UNPAIRED)
                code = region.symbol.payload if region.symbol is not None else ""
                painter.text(f"{code}: no picture", quad_centre(region.quad), _UNPAIRED)
                painter.number(region, _UNPAIRED)
    return painter.canvas


class _Painter:
    """Draws in sheet coordinates on a canvas of another size; `side_px` is a picture's on it."""

    def __init__(self, canvas: NDArray[np.uint8], factor: float, side_px: float) -> None:
        self.canvas = canvas
        self._matrix = scaling(factor)
        # Many small pictures want thin lines and small letters, or they cover what they show.
        self._line = int(np.clip(round(side_px / 50), 2, 4))
        self._scale = float(np.clip(side_px / 250, 0.36, max(0.36, max(canvas.shape) / 3200)))

    def pair(self, region: Region) -> None:
        colour = _DOUBTED if region.doubts else _CERTAIN
        symbol = region.symbol
        self.outline(region.quad, colour)
        if symbol is not None:
            self.outline(symbol.quad, colour)
            ends = [self._at(quad_centre(quad)) for quad in (region.quad, symbol.quad)]
            cv2.line(self.canvas, ends[0], ends[1], colour, self._line, cv2.LINE_AA)
            box = box_around(region.quad)
            self.text(symbol.payload, (box.centre[0], box.bottom), colour)
        self.number(region, colour)

    def outline(self, quad: Quad, colour: Colour, *, thin: bool = False) -> None:
        points = np.round(np.asarray(move_quad(quad, self._matrix))).astype(np.int32)
        if thin:
            cv2.polylines(self.canvas, [points], True, colour, 1)
        else:
            cv2.polylines(self.canvas, [points], True, colour, self._line, cv2.LINE_AA)

    def number(self, region: Region, colour: Colour) -> None:
        """Write a region's number on a plate of its colour, across its top left corner."""
        text, scale = str(region.number), 1.4 * self._scale
        (width, height), _ = cv2.getTextSize(text, _FONT, scale, 2)
        pad = max(3, height // 3)
        box = box_around(move_quad(region.quad, self._matrix))
        wide, high = width + 2 * pad, height + 2 * pad
        left = self._clipped(box.left - wide / 2, wide, self.canvas.shape[1])
        top = self._clipped(box.top - high / 2, high, self.canvas.shape[0])
        cv2.rectangle(self.canvas, (left, top), (left + wide, top + high), colour, -1)
        at = (left + pad, top + pad + height)
        cv2.putText(self.canvas, text, at, _FONT, scale, _WHITE, 2, cv2.LINE_AA)

    def text(self, text: str, centre: Point, colour: Colour) -> None:
        """Write on a white plate in the middle of a thing; OpenCV's font knows ASCII alone."""
        text = text.encode("ascii", "replace").decode()
        text = text if len(text) <= 28 else f"{text[:25]}..."
        (width, height), base = cv2.getTextSize(text, _FONT, self._scale, 1)
        x, y = self._at(centre)
        y += height // 2
        left = self._clipped(x - width // 2, width, self.canvas.shape[1])
        corner, opposite = (left - 2, y - height - 3), (left + width + 2, y + base)
        cv2.rectangle(self.canvas, corner, opposite, _WHITE, -1)
        cv2.putText(self.canvas, text, (left, y), _FONT, self._scale, colour, 1, cv2.LINE_AA)

    def _clipped(self, start: float, extent: int, room: int) -> int:
        return int(np.clip(round(start), 0, max(room - extent, 0)))

    def _at(self, point: Point) -> tuple[int, int]:
        (x, y), *_ = move_quad((point, point, point, point), self._matrix)
        return (round(x), round(y))
