"""Natural irregularity: smooth random fields and skylines, sums of finer and finer octaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def clouds(
    size: tuple[int, int],
    random: np.random.Generator,
    *,
    octaves: int = 4,
    stretch: float = 1.0,
    cells: int = 4,
) -> NDArray[np.float32]:
    """Return a `(height, width)` field from 0 to 1.

    Args:
        size: (width, height).
        random: Where it comes from.
        octaves: How many finer fields are added.
        stretch: How much longer its features are across than down.
        cells: Features across the shorter side, in the coarsest octave.
    """
    total = np.zeros(size[::-1], np.float32)
    for octave in range(octaves):
        fineness = cells * 2**octave / min(size)
        grid = (
            max(2, round(size[1] * fineness * stretch**0.5)),
            max(2, round(size[0] * fineness / stretch**0.5)),
        )
        coarse = Image.fromarray(random.random(grid, dtype=np.float32))
        total += np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) / 2**octave
    total -= total.min()
    total /= max(float(total.max()), 1e-6)
    return total


def ridge(width: int, random: np.random.Generator, *, octaves: int = 6) -> NDArray[np.float64]:
    """Return a skyline: heights from 0 to 1 for each of `width` columns."""
    columns = np.linspace(0, 1, width)
    total = np.zeros(width)
    for octave in range(octaves):
        knots = 3 * 2**octave + 1
        heights = random.random(knots)
        total += _eased(columns, heights) / 2**octave
    total -= total.min()
    total /= max(float(total.max()), 1e-6)
    return total


def _eased(columns: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    place = columns * (len(heights) - 1)
    left = np.minimum(place.astype(int), len(heights) - 2)
    share = place - left
    share = share * share * (3 - 2 * share)
    eased: NDArray[np.float64] = heights[left] * (1 - share) + heights[left + 1] * share
    return eased
