"""The row and column of a picture that a person has added, by where it stands among the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sheetflow.vision.geometry import Quad, quad_centre, quad_size

_PITCH = 1.25
"""From picture to picture, in pictures, where the sheet's own pairs do not show it."""

Place = tuple[int, int]


def place_in_grid(quad: Quad, known: Sequence[tuple[Quad, Place]]) -> Place:
    """Return (row, column) of a picture on the upright page, each 0 or more.

    Args:
        quad: The picture.
        known: Pictures whose places are known; three that do not stand in one line show the grid,
            however the sheet is turned.
    """
    x, y = quad_centre(quad)
    points = np.array([[*quad_centre(other), 1.0] for other, _ in known]).reshape(-1, 3)
    places = np.array([place for _, place in known], np.float64).reshape(-1, 2)
    if len(known) >= 3 and np.linalg.matrix_rank(points, tol=1.0) == 3:
        fitted = np.linalg.lstsq(points, places, rcond=None)[0]
        row, column = np.array([x, y, 1.0]) @ fitted
    elif known:
        nearest = int(np.argmin(np.hypot(points[:, 0] - x, points[:, 1] - y)))
        width, height = quad_size(known[nearest][0])
        row = places[nearest, 0] + (y - points[nearest, 1]) / (_PITCH * max(height, 1.0))
        column = places[nearest, 1] + (x - points[nearest, 0]) / (_PITCH * max(width, 1.0))
    else:
        row = column = 0.0
    return max(round(float(row)), 0), max(round(float(column)), 0)
