"""Points, quads and boxes on a sheet: pixels, x to the right, y down, origin top left.

A quad is four points, the item's own top-left first, clockwise as the upright page shows it.
A box is an upright rectangle, (left, top, width, height). Angles are in degrees, clockwise as
seen on the screen, because y points down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import atan2, degrees, hypot
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
Homography = NDArray[np.float64]


class Box(NamedTuple):
    """An upright rectangle.

    Attributes:
        left: Smallest x.
        top: Smallest y.
        width: Extent in x, never negative.
        height: Extent in y, never negative.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Largest x."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Largest y."""
        return self.top + self.height

    @property
    def centre(self) -> Point:
        """The middle."""
        return (self.left + self.width / 2, self.top + self.height / 2)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def contains(self, point: Point) -> bool:
        """Tell whether a point lies inside or on the edge."""
        x, y = point
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def grown(self, margin: float) -> Box:
        """Return the box with a margin on every side; a negative one shrinks it, at most to 0."""
        width = max(self.width + 2 * margin, 0.0)
        height = max(self.height + 2 * margin, 0.0)
        x, y = self.centre
        return Box(x - width / 2, y - height / 2, width, height)

    def intersection(self, other: Box) -> Box:
        """Return the common part, of no area where there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, max(right - left, 0.0), max(bottom - top, 0.0))

    def common_area(self, other: Box) -> float:
        """Return the area of the common part."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0.0

    def share_inside(self, other: Box) -> float:
        """Return how much of this box, 0 to 1, lies inside the other."""
        return self.common_area(other) / self.area if self.area else 0.0

    def pixel_edges(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """Return (left, top, right, bottom) in whole pixels, clipped to (height, width)."""
        left, right = (min(max(round(x), 0), shape[1]) for x in (self.left, self.right))
        top, bottom = (min(max(round(y), 0), shape[0]) for y in (self.top, self.bottom))
        return left, top, right, bottom

    def quad(self) -> Quad:
        """Return the corners, top-left first, clockwise."""
        return (
            (self.left, self.top),
            (self.right, self.top),
            (self.right, self.bottom),
            (self.left, self.bottom),
        )


def union_of(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around at least one box."""
    boxes = list(boxes)
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    return Box(left, top, right - left, bottom - top)


def box_around(points: Sequence[Point]) -> Box:
    """Return the smallest box around at least one point."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def overlap(first: Box, second: Box) -> float:
    """Return intersection over union, 0 to 1."""
    common = first.common_area(second)
    joint = first.area + second.area - common
    return common / joint if joint else 0.0


def quad_area(quad: Quad) -> float:
    """Return the area by the shoelace rule; positive when the quad runs clockwise on the screen."""
    return 0.5 * sum(
        x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(quad, quad[1:] + quad[:1], strict=True)
    )


def quad_centre(quad: Quad) -> Point:
    """Return the mean of the corners."""
    return (sum(x for x, _ in quad) / 4, sum(y for _, y in quad) / 4)


def quad_size(quad: Quad) -> tuple[float, float]:
    """Return (width, height): the means of the two opposite sides each."""
    a, b, c, d = quad
    return ((_length(a, b) + _length(d, c)) / 2, (_length(a, d) + _length(b, c)) / 2)


def quad_angle(quad: Quad) -> float:
    """Return the direction of the top edge, in (-180, 180]; 0 for an upright item."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad
    return degrees(atan2(by - ay + cy - dy, bx - ax + cx - dx))


def is_axis_aligned(quad: Quad, *, tolerance_px: float = 1.0) -> bool:
    """Tell whether a quad is an upright box, its own top-left being the box's, to a tolerance."""
    upright = box_around(quad).quad()
    return all(
        _length(corner, other) <= tolerance_px for corner, other in zip(quad, upright, strict=True)
    )


def turn_quad(quad: Quad, quarters: int) -> Quad:
    """Return the same corners named anew, as if the item had been turned clockwise by quarters."""
    first = quarters % 4
    a, b, c, d = quad[first:] + quad[:first]
    return (a, b, c, d)


def angle_difference(first: float, second: float, *, period: float = 360.0) -> float:
    """Return first - second folded into [-period/2, period/2)."""
    return (first - second + period / 2) % period - period / 2


def homography_between(source: Quad, target: Quad) -> Homography:
    """Return the 3x3 matrix (float64) that takes each corner of one quad to the other's.

    Raises:
        ValueError: If a quad has three corners on one line, or corners that coincide.
    """
    rows: list[list[float]] = []
    values: list[float] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        values += [u, v]
    try:
        solution = np.linalg.solve(np.asarray(rows, np.float64), np.asarray(values, np.float64))
    except np.linalg.LinAlgError as error:
        raise ValueError(f"no homography between {source} and {target}") from error
    return np.append(solution, 1.0).reshape(3, 3)


def inverse(homography: Homography) -> Homography:
    """Return the matrix that takes points back."""
    return np.asarray(np.linalg.inv(homography), np.float64)


def scaling(factor: float) -> Homography:
    """Return the 3x3 matrix that takes pixels of an image to those of the resized one.

    Both images have their pixel centres at whole numbers, hence the shift by half a pixel.
    """
    shift = (factor - 1) / 2
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]], np.float64)


def turning(angle: float, centre: Point) -> Homography:
    """Return the 3x3 matrix that turns clockwise about a point, by degrees."""
    radians = np.deg2rad(angle)
    cos, sin = float(np.cos(radians)), float(np.sin(radians))
    x, y = centre
    return np.array(
        [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y], [0, 0, 1]],
        np.float64,
    )


def move_points(points: Sequence[Point], homography: Homography) -> list[Point]:
    """Return where a homography takes each point."""
    array = np.column_stack([np.asarray(points, np.float64), np.ones(len(points))]) @ homography.T
    return [(float(x / w), float(y / w)) for x, y, w in array]


def move_quad(quad: Quad, homography: Homography) -> Quad:
    """Return where a homography takes a quad; the order of its corners stays."""
    a, b, c, d = move_points(quad, homography)
    return (a, b, c, d)


def _length(first: Point, second: Point) -> float:
    return hypot(first[0] - second[0], first[1] - second[1])


def gaps_between(code: Box, picture: Box) -> dict[str, float]:
    """Return the gap between code and picture, by the side of the picture that the code is on."""
    return {
        "below": code.top - picture.bottom,
        "above": picture.top - code.bottom,
        "right": code.left - picture.right,
        "left": picture.left - code.right,
    }


def side_of(code: Box, picture: Box) -> str:
    """Return on which side of the picture its label stands, by the widest gap between them."""
    gaps = gaps_between(code, picture)
    return max(gaps, key=lambda name: gaps[name])
