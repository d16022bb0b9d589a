from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sheetflow.reading import Discard, Pair, Picture, SheetReading, Symbol
from sheetflow.vision.geometry import Box
from sheetflow.vision.images import SheetImage
from sheetflow.vision.overlay import draw_overlay

GREEN, ORANGE, RED, GREY = (0, 140, 60), (225, 120, 0), (205, 30, 45), (150, 150, 150)


def sheet(width: int = 600, height: int = 400) -> SheetImage:
    return SheetImage.from_rgb(np.full((height, width, 3), 255, np.uint8))


def drawn(image: SheetImage, reading: SheetReading, max_side_px: int = 1600) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(draw_overlay(image, reading, max_side_px=max_side_px))))


def shows(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(axis=2) < 4).any())


def pair(*doubts: str) -> Pair:
    quads = Box(50, 50, 120, 120).quad(), Box(50, 190, 120, 40).quad()
    return Pair("4006381333931", "EAN-13", 0, 0, *quads, 1.0, doubts)


def test_each_outcome_has_its_colour() -> None:
    image, stray = sheet(), Box(350, 60, 80, 60).quad()
    readings = {
        GREEN: SheetReading((600, 400), pairs=(pair(),)),
        ORANGE: SheetReading((600, 400), pairs=(pair("read with doubt"),)),
        RED: SheetReading((600, 400), unpaired_pictures=(Picture(stray),)),
        GREY: SheetReading((600, 400), discards=(Discard(stray, "a logo"),)),
    }
    for colour, reading in readings.items():
        picture = drawn(image, reading)
        assert [other for other in readings if shows(picture, other)] == [colour]


def test_an_unpaired_symbol_is_drawn_with_its_text_even_if_it_is_not_ascii() -> None:
    symbol = Symbol("Größe \u4e2d", "QR", Box(100, 100, 60, 60).quad())
    assert shows(drawn(sheet(), SheetReading((600, 400), unpaired_symbols=(symbol,))), RED)


def test_a_large_sheet_is_shrunk_and_a_small_one_keeps_its_size() -> None:
    assert drawn(sheet(3000, 2000), SheetReading((3000, 2000)), 1000).shape == (667, 1000, 3)
    assert drawn(sheet(60, 40), SheetReading((60, 40))).shape == (40, 60, 3)


def test_the_sheet_itself_is_left_as_it_was() -> None:
    image = sheet()
    before = image.rgb.copy()
    draw_overlay(image, SheetReading((600, 400), pairs=(pair(),)))
    np.testing.assert_array_equal(image.rgb, before)
