from __future__ import annotations

import hashlib
import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sheetflow.reading import Pair, SheetReading
from sheetflow.vision.crops import Crop, cut_pictures
from sheetflow.vision.geometry import Box, Quad, move_quad, turning
from sheetflow.vision.images import SheetImage


def sheet() -> SheetImage:
    """Grey paper with a picture of 120 by 80 at (100, 60): red left half, blue right half."""
    rgb = np.full((300, 400, 3), 230, np.uint8)
    rgb[60:140, 100:160] = (200, 20, 30)
    rgb[60:140, 160:220] = (20, 40, 190)
    return SheetImage.from_rgb(rgb)


PICTURE = Box(99.5, 59.5, 120, 80)


def reading(image: SheetImage, *quads: Quad) -> SheetReading:
    pairs = tuple(
        Pair(str(i), "EAN-13", 0, i, quad, Box(0, 0, 5, 5).quad(), 1.0)
        for i, quad in enumerate(quads)
    )
    return SheetReading(size_px=image.size_px, pairs=pairs)


def pixels(crop: Crop) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(crop.image_bytes)))


def looks_right(cut: NDArray[np.uint8]) -> bool:
    height, width = cut.shape[:2]
    left, right = cut[height // 2, width // 4], cut[height // 2, 3 * width // 4]
    return bool(
        np.allclose(left, (200, 20, 30), atol=12) and np.allclose(right, (20, 40, 190), atol=12)
    )


def test_an_upright_picture_is_cut_to_the_pixel() -> None:
    image = sheet()
    (crop,) = cut_pictures(image, reading(image, PICTURE.quad()))
    assert crop.size_px == (120, 80)
    assert crop.media_type == "image/jpeg"
    assert looks_right(pixels(crop))
    assert np.abs(pixels(crop)[[0, -1]].astype(int) - 230).min() > 20


@pytest.mark.parametrize("angle", [-30, 3, 7, 90, 180, 270])
def test_a_turned_picture_comes_out_upright(angle: float) -> None:
    image = sheet()
    matrix = turning(angle, (200, 150))
    turned = cv2.warpPerspective(image.rgb, matrix, (400, 300), borderValue=(230, 230, 230))
    quad = move_quad(PICTURE.quad(), matrix)
    page = SheetImage.from_rgb(np.asarray(turned, np.uint8))
    (crop,) = cut_pictures(page, reading(page, quad))
    assert crop.size_px == (120, 80)
    assert looks_right(pixels(crop))


def test_crops_come_in_the_order_of_the_pairs() -> None:
    image = sheet()
    halves = Box(99.5, 59.5, 60, 80).quad(), Box(159.5, 59.5, 60, 80).quad()
    red, blue = cut_pictures(image, reading(image, *halves))
    assert pixels(red).mean(axis=(0, 1)).argmax() == 0
    assert pixels(blue).mean(axis=(0, 1)).argmax() == 2


def test_the_digest_is_that_of_the_bytes_and_always_the_same() -> None:
    image = sheet()
    quads = PICTURE.quad(), move_quad(PICTURE.quad(), turning(4, (150, 100)))
    once, again = (cut_pictures(image, reading(image, *quads)) for _ in range(2))
    assert once == again
    assert all(crop.sha256 == hashlib.sha256(crop.image_bytes).hexdigest() for crop in once)


@pytest.mark.parametrize("angle", [0, 7, 90])
def test_a_margin_is_kept_on_every_side(angle: float) -> None:
    matrix = turning(angle, (200, 150))
    turned = cv2.warpPerspective(sheet().rgb, matrix, (400, 300), borderValue=(230, 230, 230))
    page = SheetImage.from_rgb(np.asarray(turned, np.uint8))
    (crop,) = cut_pictures(page, reading(page, move_quad(PICTURE.quad(), matrix)), margin=0.0625)
    assert crop.size_px == (130, 90)
    cut = pixels(crop)
    assert looks_right(cut[5:-5, 5:-5])
    for edge in (cut[1], cut[-2], cut[:, 1], cut[:, -2]):
        assert np.allclose(edge.mean(axis=0), 230, atol=3)


def test_perspective_is_taken_out_from_the_full_resolution_pixels() -> None:
    # A board of fields four pixels wide, photographed at an angle at twice its size.
    rows, columns = np.mgrid[:80, :120] // 4
    picture = np.stack(3 * [(rows + columns) % 2 * 200 + 20], -1).astype(np.uint8)
    seen = np.array([[60, 40], [320, 70], [300, 260], [40, 220]], np.float32)
    flat = np.array([[-0.5, -0.5], [119.5, -0.5], [119.5, 79.5], [-0.5, 79.5]], np.float32)
    photo = cv2.warpPerspective(
        picture,
        cv2.getPerspectiveTransform(flat, seen),
        (400, 300),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    page = SheetImage.from_rgb(np.asarray(photo, np.uint8))
    quad: Any = tuple((float(x), float(y)) for x, y in seen)
    (crop,) = cut_pictures(page, reading(page, quad))
    assert crop.size_px[0] > 2 * 120
    small = cv2.resize(pixels(crop), (120, 80), interpolation=cv2.INTER_AREA)
    middles = slice(2, None, 4)
    np.testing.assert_allclose(
        small[middles, middles].astype(int), picture[middles, middles], atol=40
    )


@pytest.mark.parametrize("box", [Box(-30, -30, 60, 60), Box(390, 290, 50, 50), Box(600, 600, 9, 9)])
def test_a_quad_beyond_the_sheet_still_gives_a_picture(box: Box) -> None:
    image = sheet()
    (crop,) = cut_pictures(image, reading(image, box.quad()))
    assert min(crop.size_px) >= 1


def test_no_pairs_give_no_crops() -> None:
    image = sheet()
    assert cut_pictures(image, reading(image)) == []
