"""What a drawn sheet really shows, as plain values that go into `truth.json`.

Coordinates are pixels of the image as displayed, after EXIF. A quad is four points, the item's own
top-left first, clockwise as the upright page shows it; a box is [x0, y0, x1, y1] around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NotRequired, TypedDict

from sheetflow.vision.geometry import Point

Rect = tuple[float, float, float, float]
Project = Callable[[Point], Point]


class Place(TypedDict):
    """Where something stands."""

    quad: list[list[float]]
    box: list[float]


class CodeTruth(Place):
    """A code that names its cell's picture; `symbology` as in `spec.SYMBOLOGIES`."""

    text: str
    symbology: str
    module_px: float


class PictureTruth(Place):
    """A picture: "cutout" or "bleed", of one or more parts."""

    kind: str
    parts: int


class ItemTruth(TypedDict):
    """A cell that is not empty; `index` counts them in reading order."""

    index: int
    row: int
    col: int
    code: CodeTruth | None
    label: Place | None
    picture: PictureTruth | None


class JunkTruth(Place):
    """Something printed that is neither code nor picture."""

    kind: str


class DecoyTruth(Place):
    """A readable code that names no picture."""

    kind: str
    text: str
    symbology: str


class SheetTruth(TypedDict):
    """Everything on one sheet; `page` counts from 1 where a file has several."""

    file: str
    page: NotRequired[int]
    level: str
    size: list[int]
    stored_size: list[int]
    exif_orientation: int
    mode: str
    spec: dict[str, Any]
    items: list[ItemTruth]
    junk: list[JunkTruth]
    decoys: list[DecoyTruth]


def place(rect: Rect, project: Project) -> Place:
    """Return where a rectangle (left, top, right, bottom) of the page came to stand."""
    left, top, right, bottom = rect
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    quad = [[round(x, 1), round(y, 1)] for x, y in map(project, corners)]
    xs, ys = zip(*quad, strict=True)
    return {"quad": quad, "box": [min(xs), min(ys), max(xs), max(ys)]}


def union(rects: list[Rect]) -> Rect:
    """Return the smallest rectangle around all."""
    lefts, tops, rights, bottoms = zip(*rects, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
