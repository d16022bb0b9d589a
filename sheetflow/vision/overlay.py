"""Draw a reading onto its sheet, so that a person sees at a glance what was believed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.reading import Pair, SheetReading
from sheetflow.vision.geometry import Point, Quad, move_quad, quad_centre, scaling
from sheetflow.vision.images import SheetImage, encode_png

Colour = tuple[int, int, int]

_CERTAIN: Colour = (0, 140, 60)
_DOUBTED: Colour = (225, 120, 0)
_UNPAIRED: Colour = (205, 30, 45)
_DISCARDED: Colour = (150, 150, 150)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: SheetImage, reading: SheetReading, *, max_side_px: int = 1600) -> bytes:
    """Return a PNG of the sheet with boxes, links and codes drawn on it.

    Pairs are green, those with doubts orange, what stayed unpaired red, discards thin grey.

    Args:
        image: The sheet that was read.
        reading: What was read on it.
        max_side_px: The longer side of the PNG; a smaller sheet keeps its size.
    """
    factor = min(1.0, max_side_px / max(image.size_px))
    size = tuple(max(1, round(side * factor)) for side in image.size_px)
    shrunk = cv2.resize(image.rgb, (size[0], size[1]), interpolation=cv2.INTER_AREA)
    # A paler sheet lets the lines stand out, whatever its pictures show.
    canvas = cv2.addWeighted(shrunk, 0.75, np.full_like(shrunk, 255), 0.25, 0)
    painter = _Painter(np.asarray(canvas, np.uint8), factor)
    for discard in reading.discards:
        painter.outline(discard.quad, _DISCARDED, thin=True)
    for pair in reading.pairs:
        painter.pair(pair)
    for quad in reading.unpaired_pictures:
        painter.outline(quad, _UNPAIRED)
        painter.text("no code", quad_centre(quad), _UNPAIRED)
    for symbol in reading.unpaired_symbols:
        painter.outline(symbol.quad, _UNPAIRED)
        painter.text(f"{symbol.payload}: no picture", quad_centre(symbol.quad), _UNPAIRED)
    return encode_png(painter.canvas)


class _Painter:
    """Draws in sheet coordinates on a canvas of another size."""

    def __init__(self, canvas: NDArray[np.uint8], factor: float) -> None:
        self.canvas = canvas
        self._matrix = scaling(factor)
        self._factor = factor
        self._line = max(2, round(max(canvas.shape) / 600))

    def pair(self, pair: Pair) -> None:
        colour = _DOUBTED if pair.doubts else _CERTAIN
        self.outline(pair.picture_quad, colour)
        self.outline(pair.symbol_quad, colour)
        ends = [self._at(quad_centre(quad)) for quad in (pair.picture_quad, pair.symbol_quad)]
        cv2.line(self.canvas, ends[0], ends[1], colour, self._line, cv2.LINE_AA)
        cv2.circle(self.canvas, ends[0], 2 * self._line, colour, -1, cv2.LINE_AA)
        self.text(pair.code, quad_centre(pair.picture_quad), colour)

    def outline(self, quad: Quad, colour: Colour, *, thin: bool = False) -> None:
        points = np.round(np.asarray(move_quad(quad, self._matrix))).astype(np.int32)
        if thin:
            cv2.polylines(self.canvas, [points], True, colour, 1)
        else:
            cv2.polylines(self.canvas, [points], True, colour, self._line, cv2.LINE_AA)

    def text(self, text: str, centre: Point, colour: Colour) -> None:
        """Write on a white plate in the middle of a thing; OpenCV's font knows ASCII alone."""
        text = text.encode("ascii", "replace").decode()
        text = text if len(text) <= 28 else f"{text[:25]}..."
        scale = max(0.32, max(self.canvas.shape) / 3600)
        (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
        x, y = self._at(centre)
        left = int(np.clip(x - width // 2, 0, max(self.canvas.shape[1] - width, 0)))
        corner, opposite = (left - 2, y - height - 3), (left + width + 2, y + base)
        cv2.rectangle(self.canvas, corner, opposite, (255, 255, 255), -1)
        cv2.putText(self.canvas, text, (left, y), _FONT, scale, colour, 1, cv2.LINE_AA)

    def _at(self, point: Point) -> tuple[int, int]:
        (x, y), *_ = move_quad((point, point, point, point), self._matrix)
        return (round(x), round(y))
