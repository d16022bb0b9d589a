from __future__ import annotations

import numpy as np

from sheetflow.vision.ground import difference


def test_the_difference_is_that_of_the_most_different_channel_whatever_the_height() -> None:
    image, ground = np.random.default_rng(1).uniform(0, 255, (2, 71, 9, 3)).astype(np.float32)
    ground[5, 5] = 0  # as dark as nothing on paper: no division by it
    expected = np.abs(image / np.maximum(ground, 1) - 1).max(axis=2)
    np.testing.assert_allclose(difference(image, ground), expected, rtol=1e-6)
