"""The picture of one cell: which product or photo, in which colours, and how it is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from sheetflow.samples.canvas import Paint, down, lit, mix
from sheetflow.samples.palette import PALETTES, Palette
from sheetflow.samples.photos import PHOTOS, draw_photo
from sheetflow.samples.products import PRODUCTS, Product, draw_product
from sheetflow.samples.spec import PictureStyle

Kind = Literal["cutout", "bleed"]


@dataclass(frozen=True)
class Picture:
    """A drawn picture, trimmed to what is visible.

    Attributes:
        image: RGBA.
        kind: A cut-out product, or a photo that fills its rectangle.
        name: What its caption calls it.
        parts: How many loose parts it has.
    """

    image: Image.Image
    kind: Kind
    name: str
    parts: int = 1


class PictureDealer:
    """Deals a sheet's pictures: no subject comes again before all have been shown.

    Args:
        style: Which kinds to deal.
        random: Where the choices come from.
    """

    def __init__(self, style: PictureStyle, random: np.random.Generator) -> None:
        self._style = style
        self._random = random
        self._dealt = 0
        self._products = [PRODUCTS[number] for number in random.permutation(len(PRODUCTS))]
        self._photos = [PHOTOS[number] for number in random.permutation(len(PHOTOS))]
        self._palettes = [PALETTES[number] for number in random.permutation(len(PALETTES))]

    def deal(
        self, fit_px: tuple[int, int], *, is_pale: bool = False, is_loose: bool = False
    ) -> Picture:
        """Return the next picture, as large as fits."""
        number = self._dealt
        self._dealt += 1
        palette = self._palettes[number % len(self._palettes)]
        product = self._products[number % len(self._products)]
        if is_loose:
            return Picture(_loose_parts(product, palette, fit_px), "cutout", "Set of three", 3)
        if is_pale:
            image = draw_product(product, _pale(palette), fit_px)
            return Picture(image, "cutout", product.name_in(palette))
        if self._style == "cutout" or (self._style == "mixed" and number % 2):
            image = draw_product(product, palette, fit_px)
            return Picture(image, "cutout", product.name_in(palette))
        size = _photo_size(fit_px)
        if number % 4 == 0 or (self._style == "bleed" and number % 2):
            still = _still_life(product, palette, size)
            return Picture(still.convert("RGBA"), "bleed", product.name_in(palette))
        photo = self._photos[number // 2 % len(self._photos)]
        drawn = draw_photo(photo, palette, size, self._random)
        return Picture(drawn.convert("RGBA"), "bleed", photo.name)


def _photo_size(fit_px: tuple[int, int]) -> tuple[int, int]:
    width, height = fit_px
    return min(width, round(height * 1.5)), min(height, round(width * 1.25))


def _pale(palette: Palette) -> Palette:
    """Return the same colours, nearly white."""
    return replace(palette, main=lit(palette.main, 0.86), accent=lit(palette.accent, 0.7))


def _loose_parts(product: Product, palette: Palette, fit_px: tuple[int, int]) -> Image.Image:
    """Return three of a product side by side, on transparent ground."""
    gap = max(2, fit_px[0] // 40)
    part = draw_product(product, palette, ((fit_px[0] - 2 * gap) // 3, fit_px[1]))
    row = Image.new("RGBA", (3 * part.width + 2 * gap, part.height))
    for number in range(3):
        row.paste(part, (number * (part.width + gap), 0))
    return row


def _still_life(product: Product, palette: Palette, size: tuple[int, int]) -> Image.Image:
    """Return a photo of a product on a table before a wall."""
    wall = mix(palette.accent, (150, 160, 166), 0.55)
    table = lit(mix(palette.accent, (126, 92, 66), 0.7), 0.05)
    light = ((0.0, lit(wall, 0.26)), (0.45, wall), (1.1, lit(wall, -0.4)))
    photo = Paint(light, "round").render(size)
    horizon = round(size[1] * 0.7)
    front = down(lit(table, -0.22), lit(table, 0.12)).render((size[0], size[1] - horizon))
    photo.paste(front, (0, horizon))
    edge = max(1, size[1] // 60)
    photo = photo.filter(ImageFilter.GaussianBlur(edge))
    cut = draw_product(product, palette, (round(size[0] * 0.8), round(size[1] * 0.76)))
    place = ((size[0] - cut.width) // 2, round(size[1] * 0.9) - cut.height)
    photo.paste(cut, place, cut)
    return photo
