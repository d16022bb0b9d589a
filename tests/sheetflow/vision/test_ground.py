from __future__ import annotations

import numpy as np

from sheetflow.vision.geometry import Box
from sheetflow.vision.ground import difference, find_print


def test_the_difference_is_that_of_the_most_different_channel_whatever_the_height() -> None:
    image, ground = np.random.default_rng(1).uniform(0, 255, (2, 71, 9, 3)).astype(np.float32)
    ground[5, 5] = 0  # as dark as nothing on paper: no division by it
    expected = np.abs(image / np.maximum(ground, 1) - 1).max(axis=2)
    np.testing.assert_allclose(difference(image, ground), expected, rtol=1e-6)


def test_of_a_card_that_print_leaves_hardly_any_of_the_lightest_is_the_ground() -> None:
    random = np.random.default_rng(3)
    page = random.normal(200, 2, (400, 400, 3))
    card, code = Box(100, 100, 128, 160), Box(108, 214, 112, 34)
    stones = random.uniform(60, 120, (20, 20)).repeat(12, axis=0).repeat(12, axis=1)
    page[104:198, 102:226] = stones[:94, :124, None]
    page[210:262, 102:226] = 230
    inside = np.full(page.shape[:2], 255, np.uint8)
    printed = find_print(page.astype(np.uint8), inside, [card], [code])
    assert printed.ink[108:194, 108:220].mean() > 0.9 * 255
