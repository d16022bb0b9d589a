"""A transparent square to draw one product on, and the paints that make it look solid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from sheetflow.samples.shapes import Shape
from sheetflow.vision.geometry import Point

Colour = tuple[int, int, int]
Window = tuple[int, int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a colour between two, `share` of the way to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lit(colour: Colour, light: float) -> Colour:
    """Return a colour in more light (above 0, up to 1) or less (below 0, down to -1)."""
    return mix(colour, WHITE, light) if light >= 0 else mix(colour, BLACK, -light)


@dataclass(frozen=True)
class Paint:
    """A run of colours over a shape's own bounding box.

    Attributes:
        stops: (place 0 to 1, colour), in order of place.
        direction: Left to right, top to bottom, or out from a focus.
        focus: Where "round" starts, as shares of the box.
    """

    stops: tuple[tuple[float, Colour], ...]
    direction: Literal["across", "down", "round"] = "across"
    focus: Point = (0.34, 0.28)

    def render(self, size: tuple[int, int]) -> Image.Image:
        """Return the paint as an RGB image of a size."""
        if self.direction == "round":
            return self._round().resize(size, Image.Resampling.BICUBIC)
        ramp = self._ramp(np.linspace(0, 1, 256))
        strip = ramp[np.newaxis] if self.direction == "across" else ramp[:, np.newaxis]
        return Image.fromarray(strip).resize(size, Image.Resampling.BILINEAR)

    def _ramp(self, places: np.ndarray) -> np.ndarray:
        at = [place for place, _ in self.stops]
        channels = [
            np.interp(places, at, [colour[channel] for _, colour in self.stops])
            for channel in range(3)
        ]
        return np.stack(channels, axis=-1).round().astype(np.uint8)

    def _round(self) -> Image.Image:
        grid = np.linspace(0, 1, 96)
        away = np.hypot(grid[np.newaxis] - self.focus[0], grid[:, np.newaxis] - self.focus[1])
        return Image.fromarray(self._ramp(away))


def across(*stops: tuple[float, Colour]) -> Paint:
    """Return a paint that runs from left to right."""
    return Paint(stops)


def down(first: Colour, last: Colour) -> Paint:
    """Return a paint that runs from top to bottom."""
    return Paint(((0.0, first), (1.0, last)), "down")


def cylinder(colour: Colour, *, gloss: float = 0.45) -> Paint:
    """Return the light on an upright round body, lit from the left."""
    return Paint(
        (
            (0.0, lit(colour, -0.42)),
            (0.1, lit(colour, -0.12)),
            (0.26, lit(colour, gloss)),
            (0.42, lit(colour, 0.06)),
            (0.7, lit(colour, -0.16)),
            (0.92, lit(colour, -0.48)),
            (1.0, lit(colour, -0.36)),
        )
    )


def ball(colour: Colour, *, gloss: float = 0.6) -> Paint:
    """Return the light on a ball, lit from above on the left."""
    return Paint(
        (
            (0.0, lit(colour, gloss)),
            (0.18, lit(colour, gloss * 0.35)),
            (0.42, colour),
            (0.72, lit(colour, -0.34)),
            (1.0, lit(colour, -0.6)),
        ),
        "round",
    )


class Canvas:
    """A square of 100 by 100 units, transparent at first.

    Args:
        side_px: Pixels along an edge; draw at two or more times the final size, then shrink.
    """

    def __init__(self, side_px: int) -> None:
        self.image = Image.new("RGBA", (side_px, side_px))
        self._unit = side_px / 100

    def fill(
        self,
        shape: Sequence[Point],
        paint: Paint | Colour,
        *,
        opacity: float = 1.0,
        soft: float = 0.0,
        within: Sequence[Point] | None = None,
    ) -> None:
        """Fill a shape.

        Args:
            shape: Its outline.
            paint: What to fill it with.
            opacity: 0 to 1.
            soft: Blur of its edge, in units.
            within: Another outline that cuts it off.
        """
        reach = soft * 3 * self._unit
        window = self._window(shape, reach)
        if window is None:
            return
        mask = self._mask(shape, window)
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft * self._unit))
        self._lay(mask, window, paint, opacity, within)

    def stroke(
        self,
        points: Sequence[Point],
        width: float,
        paint: Paint | Colour,
        *,
        opacity: float = 1.0,
        within: Sequence[Point] | None = None,
    ) -> None:
        """Draw a line with round ends through the points, `width` units wide."""
        radius = width * self._unit / 2
        window = self._window(points, radius)
        if window is None:
            return
        mask = Image.new("L", (window[2] - window[0], window[3] - window[1]))
        draw = ImageDraw.Draw(mask)
        pixels = self._pixels(points, window)
        draw.line(pixels, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        self._lay(mask, window, paint, opacity, within)

    def glint(self, shape: Shape, *, opacity: float = 0.4, soft: float = 1.2) -> None:
        """Lay a soft white reflection over a shape."""
        self.fill(shape, WHITE, opacity=opacity, soft=soft)

    def _lay(
        self,
        mask: Image.Image,
        window: Window,
        paint: Paint | Colour,
        opacity: float,
        within: Sequence[Point] | None,
    ) -> None:
        if within is not None:
            mask = ImageChops.multiply(mask, self._mask(within, window))
        if opacity < 1:
            mask = mask.point([round(level * opacity) for level in range(256)])
        if isinstance(paint, Paint):
            filling = paint.render(mask.size)
        else:
            filling = Image.new("RGB", mask.size, paint)
        filling.putalpha(mask)
        self.image.alpha_composite(filling, window[:2])

    def _window(self, shape: Sequence[Point], reach_px: float) -> Window | None:
        """Return the part of the canvas that a shape can touch, None if it lies outside."""
        xs, ys = zip(*shape, strict=True)
        left, top = (math.floor(min(values) * self._unit - reach_px) for values in (xs, ys))
        right, bottom = (math.ceil(max(values) * self._unit + reach_px) + 1 for values in (xs, ys))
        side = self.image.width
        window = (max(left, 0), max(top, 0), min(right, side), min(bottom, side))
        return window if window[0] < window[2] and window[1] < window[3] else None

    def _mask(self, shape: Sequence[Point], window: Window) -> Image.Image:
        mask = Image.new("L", (window[2] - window[0], window[3] - window[1]))
        ImageDraw.Draw(mask).polygon(self._pixels(shape, window), fill=255)
        return mask

    def _pixels(self, points: Sequence[Point], window: Window) -> list[Point]:
        return [(x * self._unit - window[0], y * self._unit - window[1]) for x, y in points]
