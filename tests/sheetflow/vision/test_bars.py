from __future__ import annotations

import cv2
import numpy as np
import pytest

from sheetflow.vision.bars import are_bars, are_modules, is_blank, whole_bars
from sheetflow.vision.geometry import Box

CODE = Box(60, 50, 190, 60)


@pytest.fixture
def page() -> np.ndarray:
    """A noisy page with bars of 2 to 6 pixels, a text's line below them and a disc beside."""
    random = np.random.default_rng(3)
    grey = random.normal(225, 5, (200, 420))
    columns = np.repeat(random.integers(0, 2, 95), 2).astype(bool)
    grey[50:110, 60:250][:, columns] -= 170
    grey[116:126, 80:230] -= 150 * random.integers(0, 2, (10, 150))
    ys, xs = np.mgrid[:200, :420]
    disc = np.hypot(xs - 350, ys - 100) < 45
    grey[disc] = 90 + 0.8 * (xs[disc] - 305)
    return grey.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("is_upright", [True, False])
def test_three_rows_that_were_read_tell_where_all_bars_end(page, is_upright) -> None:
    read, whole = Box(60, 80, 190, 3), CODE
    if not is_upright:
        page, read, whole = page.T, Box(80, 60, 3, 190), Box(50, 60, 60, 190)
    found = whole_bars(np.ascontiguousarray(page), read, is_upright=is_upright)
    assert abs(found.left - whole.left) <= 2
    assert abs(found.top - whole.top) <= 2
    assert abs(found.right - whole.right) <= 2
    assert abs(found.bottom - whole.bottom) <= 2


def test_bars_are_told_from_pictures_and_from_plain_paper(page) -> None:
    assert are_bars(page, CODE.grown(4))
    assert are_bars(np.ascontiguousarray(page.T), Box(48, 56, 64, 198))
    assert not are_bars(page, Box(300, 50, 100, 100))
    assert not are_bars(page, Box(260, 150, 100, 40))


def test_modules_are_told_from_pictures(page) -> None:
    random = np.random.default_rng(4)
    code = np.kron(random.integers(0, 2, (29, 29)), np.ones((3, 3)))
    page[105:192, 10:97] = 40 + 180 * code
    soft = cv2.GaussianBlur(page, (0, 0), 1.2)
    for grey in (page, soft):
        assert are_modules(grey, Box(10, 105, 87, 87))
        assert not are_modules(grey, Box(300, 50, 100, 100))


def test_noisy_paper_is_blank_and_bars_are_not(page) -> None:
    assert is_blank(page, Box(10, 5, 200, 40))
    assert is_blank(page, Box(500, 5, 200, 40))
    assert not is_blank(page, CODE.grown(30))
