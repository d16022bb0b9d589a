"""Colours with names, so that a caption can say what its picture shows."""

from __future__ import annotations

from dataclasses import dataclass

from sheetflow.samples.canvas import Colour


@dataclass(frozen=True)
class Palette:
    """The colours of one product.

    Attributes:
        name: What the caption calls it.
        main: The body's colour.
        accent: Of handles, soles, bands and patterns.
    """

    name: str
    main: Colour
    accent: Colour


PALETTES = (
    Palette("teal", (22, 128, 126), (240, 178, 82)),
    Palette("brick red", (186, 62, 48), (246, 214, 170)),
    Palette("navy", (38, 66, 122), (226, 116, 74)),
    Palette("mustard", (216, 158, 36), (74, 64, 84)),
    Palette("sage", (118, 150, 112), (236, 214, 160)),
    Palette("plum", (112, 50, 98), (232, 168, 176)),
    Palette("sky blue", (74, 146, 202), (246, 206, 92)),
    Palette("coral", (232, 106, 88), (52, 92, 110)),
    Palette("charcoal", (66, 72, 82), (228, 152, 58)),
    Palette("olive", (122, 122, 48), (238, 196, 128)),
    Palette("forest", (36, 96, 66), (224, 186, 96)),
    Palette("terracotta", (200, 106, 66), (44, 84, 92)),
    Palette("lilac", (148, 126, 190), (250, 214, 120)),
    Palette("copper", (184, 110, 70), (62, 56, 60)),
)
