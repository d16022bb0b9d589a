"""Printed text: lines that fit their room, in the type that comes with Pillow."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from sheetflow.samples.canvas import Colour
from sheetflow.samples.layout import PxBox

INK: Colour = (38, 40, 46)
GREY: Colour = (118, 122, 130)
_SMALLEST_PX = 8


class Line:
    """A line of text that is as large as asked, or as fits.

    Args:
        text: What it says.
        size_px: Type size.
        colour: Of the ink.
        width_px: Room that it has to fit into, by smaller type.
        bold: Whether its strokes are thickened.
    """

    def __init__(
        self, text: str, size_px: int, colour: Colour, *, width_px: int, bold: bool = False
    ) -> None:
        self._text = text
        self._colour = colour
        self._stroke = max(1, round(size_px / 48)) if bold and size_px >= 28 else 0
        size_px = max(size_px, _SMALLEST_PX)
        self._bounds = self._measure(size_px)
        while self.width > width_px and size_px > _SMALLEST_PX:
            size_px = max(_SMALLEST_PX, min(size_px - 1, size_px * width_px // self.width))
            self._bounds = self._measure(size_px)

    @property
    def width(self) -> int:
        """Width of the ink in pixels."""
        return self._bounds[2] - self._bounds[0]

    @property
    def height(self) -> int:
        """Height of the ink in pixels."""
        return self._bounds[3] - self._bounds[1]

    def print_at(self, page: Image.Image, left: int, top: int) -> PxBox:
        """Print with the ink's top left corner here; return the ink's box."""
        ImageDraw.Draw(page).text(
            (left - self._bounds[0], top - self._bounds[1]),
            self._text,
            font=self._font,
            fill=self._colour,
            stroke_width=self._stroke,
            stroke_fill=self._colour,
        )
        return left, top, left + self.width, top + self.height

    def _measure(self, size_px: int) -> PxBox:
        self._font = _type(size_px)
        left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
            (0, 0), self._text, font=self._font, stroke_width=self._stroke
        )
        return int(left), int(top), int(right), int(bottom)


@lru_cache(maxsize=64)
def _type(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
