"""Every product that can be drawn, cut out from its ground and trimmed to what is visible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sheetflow.samples import furnishing, tableware, wear
from sheetflow.samples.canvas import Canvas
from sheetflow.samples.palette import Palette

# Less than this alpha does not show on paper: the last of a soft shadow's fringe.
_VISIBLE_ALPHA = 20
# Small products show their edges most; for large ones twice the size is smooth enough.
_SIDE_PX = 900


@dataclass(frozen=True)
class Product:
    """A thing to sell.

    Attributes:
        name: What the caption calls it.
        draw: Draws it onto an empty canvas in a palette's colours.
        coloured: Whether the palette decides how it looks, so that the caption names it.
    """

    name: str
    draw: Callable[[Canvas, Palette], None]
    coloured: bool = True

    def name_in(self, palette: Palette) -> str:
        """Return what the caption calls it in these colours."""
        return f"{self.name}, {palette.name}" if self.coloured else self.name


PRODUCTS = (
    Product("Stoneware mug", tableware.mug),
    Product("Table lamp", furnishing.lamp),
    Product("Running shoe", wear.shoe),
    Product("Fruit syrup", tableware.bottle),
    Product("Wall clock", furnishing.clock),
    Product("Star T-shirt", wear.shirt),
    Product("House plant", furnishing.plant),
    Product("Drinking flask", tableware.flask),
    Product("Day backpack", wear.backpack),
    Product("Armchair", furnishing.chair),
    Product("Teapot", tableware.teapot),
    Product("Headphones", wear.headphones),
    Product("Sketchbook", furnishing.book),
    Product("Saucepan", tableware.saucepan),
    Product("Beach ball", furnishing.beach_ball),
    Product("Umbrella", wear.umbrella),
    Product("Gift box", furnishing.parcel),
    Product("Wristwatch", wear.watch),
    Product("Oak board", tableware.board, coloured=False),
)


def draw_product(product: Product, palette: Palette, fit_px: tuple[int, int]) -> Image.Image:
    """Return a product as an RGBA image that just fits into `fit_px`, trimmed on all sides."""
    longer = max(fit_px)
    canvas = Canvas(max(min(3 * longer, _SIDE_PX), 2 * longer))
    product.draw(canvas, palette)
    cut = _trimmed(canvas.image)
    factor = min(fit_px[0] / cut.width, fit_px[1] / cut.height)
    size = (max(1, int(cut.width * factor)), max(1, int(cut.height * factor)))
    return cut.resize(size, Image.Resampling.HAMMING)


def _trimmed(image: Image.Image) -> Image.Image:
    alpha = np.asarray(image.getchannel("A"))
    rows, columns = (np.flatnonzero((alpha > _VISIBLE_ALPHA).any(axis)) for axis in (1, 0))
    return image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
