"""Points, quads and boxes on a sheet: pixels, x to the right, y down, origin top left.

A quad is four points, the item's own top-left first, clockwise as the upright page shows it.
"""

from __future__ import annotations

Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
