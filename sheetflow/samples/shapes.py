"""Outlines of drawn products: lists of points on a square of 100 by 100 units, y down."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sheetflow.vision.geometry import Point

Shape = list[Point]


def ellipse(
    x: float, y: float, rx: float, ry: float, *, start_deg: float = 0, end_deg: float = 360
) -> Shape:
    """Return an ellipse around (x, y), or its arc, clockwise from three o'clock."""
    steps = 96
    angles = (
        math.radians(start_deg + (end_deg - start_deg) * step / steps) for step in range(steps + 1)
    )
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


def box(left: float, top: float, right: float, bottom: float, *, radius: float = 0) -> Shape:
    """Return a rectangle with rounded corners."""
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    centres = (
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    )
    return [
        point
        for x, y, angle in centres
        for point in ellipse(x, y, radius, radius, start_deg=angle, end_deg=angle + 90)[::8]
    ]


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 10) -> Shape:
    """Return a curve through the points (a Catmull-Rom spline)."""
    count = len(points)
    spans = count if closed else count - 1
    curve: Shape = []
    for span in range(spans):
        four = [points[_neighbour(span + offset, count, closed)] for offset in (-1, 0, 1, 2)]
        curve.extend(_spline(four, step / steps) for step in range(steps))
    if not closed:
        curve.append(points[-1])
    return curve


def mirrored(right_half: Sequence[Point], *, axis: float = 50) -> Shape:
    """Return a symmetrical outline from its right half, given from top to bottom."""
    return [*right_half, *((2 * axis - x, y) for x, y in reversed(right_half))]


def lathe(profile: Sequence[Point], *, axis: float = 50, sag: float = 0.12) -> Shape:
    """Return the outline of a turned body from points (half width, y), top to bottom.

    Args:
        profile: Half widths at heights, joined by a curve.
        axis: x of the middle.
        sag: How far the bottom edge bulges, as a share of its half width.
    """
    right = smooth([(axis + half, y) for half, y in profile], closed=False)
    half, bottom = profile[-1]
    rim = ellipse(axis, bottom, half, half * sag, start_deg=0, end_deg=180)
    left = [(2 * axis - x, y) for x, y in reversed(right)]
    return [*right, *rim, *left]


def star(x: float, y: float, outer: float, inner: float, *, points: int) -> Shape:
    """Return a star around (x, y)."""
    return [
        (
            x + (outer, inner)[step % 2] * math.sin(math.pi * step / points),
            y - (outer, inner)[step % 2] * math.cos(math.pi * step / points),
        )
        for step in range(2 * points)
    ]


def moved(shape: Sequence[Point], dx: float, dy: float) -> Shape:
    """Return a shape shifted."""
    return [(x + dx, y + dy) for x, y in shape]


def turned(shape: Sequence[Point], angle_deg: float, *, x: float, y: float) -> Shape:
    """Return a shape turned clockwise around (x, y)."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return [
        (x + (px - x) * cos - (py - y) * sin, y + (px - x) * sin + (py - y) * cos)
        for px, py in shape
    ]


def _neighbour(index: int, count: int, closed: bool) -> int:
    return index % count if closed else min(max(index, 0), count - 1)


def _spline(four: Sequence[Point], t: float) -> Point:
    weights = (
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1,
        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    )
    return (
        sum(weight * point[0] for weight, point in zip(weights, four, strict=True)),
        sum(weight * point[1] for weight, point in zip(weights, four, strict=True)),
    )
