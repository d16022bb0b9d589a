"""The page's outline, where a single code tells little."""

import cv2
import numpy as np
import zxingcpp

from sheetflow.vision.barcodes import decode_symbols
from sheetflow.vision.geometry import Box, move_quad, quad_area, turning
from sheetflow.vision.images import SheetImage
from sheetflow.vision.page import are_straight, upright_page

_PAGE = np.array([(190, 120), (830, 200), (760, 980), (130, 900)], np.float32)


def _photograph() -> np.ndarray:
    """Return a page on a desk, in perspective, with one label that was stuck on askew."""
    page = np.full((800, 640), 235, np.uint8)
    bars = np.asarray(
        zxingcpp.create_barcode("4006381333931", zxingcpp.BarcodeFormat.EAN13).to_image(scale=2)
    )
    top, left = 500, 180
    page[top : top + bars.shape[0], left : left + bars.shape[1]] = bars
    askew = turning(0.8, (320, 560))[:2]
    page = cv2.warpAffine(page, askew, (640, 800), borderValue=235)
    corners = np.array([(0, 0), (639, 0), (639, 799), (0, 799)], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, _PAGE)
    desk = np.random.default_rng(2).normal(110, 6, (1100, 960)).clip(0, 255).astype(np.uint8)
    on_desk = cv2.warpPerspective(page, matrix, (960, 1100))
    inside = cv2.warpPerspective(np.full_like(page, 255), matrix, (960, 1100))
    return np.where(inside > 127, on_desk, desk)


def test_an_outline_that_is_plain_to_see_wins_over_the_lean_of_a_single_code() -> None:
    grey = _photograph()
    rgb = np.repeat(grey[..., None], 3, axis=2)
    symbols = decode_symbols(grey)
    assert len(symbols) == 1
    page = upright_page(SheetImage(rgb=rgb, luminance=grey), symbols)
    height, width = page.inside.shape
    quad = move_quad(Box(-0.5, -0.5, width, height).quad(), page.to_sheet)
    common, _ = cv2.intersectConvexConvex(np.asarray(quad, np.float32), _PAGE)
    joint = quad_area(quad) + cv2.contourArea(_PAGE) - common
    assert common / joint > 0.96


def test_where_light_falls_off_no_page_ends() -> None:
    shade = 232 + 18 * np.tanh((np.arange(900) - 360) / 120)
    grey = np.tile(shade, (1100, 1)).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    page = upright_page(SheetImage(rgb=rgb, luminance=grey), [])
    height, width = page.inside.shape
    quad = move_quad(Box(-0.5, -0.5, width, height).quad(), page.to_sheet)
    assert quad_area(quad) > 0.98 * grey.size


def test_a_page_is_straight_if_most_of_the_length_of_its_lines_is() -> None:
    rules, frames = [((60.0, 90.0), (1000.0, 90.5))], [((80.0, 100.0), (80.5, 900.0))]
    pots = [((300.0, 500.0 + 60 * index), (430.0, 497.0 + 60 * index)) for index in range(8)]
    assert are_straight(rules + pots, frames)
    assert not are_straight(pots, [])
    assert are_straight([], [])
