"""Find the grid of an upright page: which cell each code and each picture stands in.

Pure: boxes in, cells out. Frames say where the cells are, if there are any. Without them the codes
do: they stand in rows and columns, and the borders between these are put where as many cells as
possible hold a code and a picture. A cell whose code is missing is found all the same, so that its
picture is never given to a neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from statistics import median

import numpy as np

from sheetflow.vision.geometry import Box, side_of, union_of
from sheetflow.vision.lattice import Axis, axes_between, nearest, rows_and_columns

_CLEAR_LEAD = 0.35
_SAME_SIZE = 0.3
_SAME_COLUMN_PX = 20.0
_SAME_STEP = 0.1
_LINE_PX = 5.0


@dataclass(frozen=True)
class Cell:
    """One place of the grid; row and column count from 0 at the page's top left."""

    row: int
    column: int
    box: Box


@dataclass(frozen=True)
class Grid:
    """What the cells of an open page are, and how sure that is.

    Attributes:
        cells: In reading order, those without a code too.
        is_ambiguous: Whether another grid, with other pairs, would fit as well.
    """

    cells: tuple[Cell, ...]
    is_ambiguous: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns); (0, 0) without cells."""
        rows = max((cell.row for cell in self.cells), default=-1) + 1
        return rows, max((cell.column for cell in self.cells), default=-1) + 1


def cells_from_frames(frames: Sequence[Box]) -> list[Cell]:
    """Number frames by row and column."""
    rows, columns = rows_and_columns(frames)
    cells = [
        Cell(nearest(rows, frame.top), nearest(columns, frame.left), frame) for frame in frames
    ]
    return sorted(cells, key=lambda cell: (cell.row, cell.column))


def cells_from_anchors(
    anchors: Sequence[Box],
    pictures: Sequence[Box],
    page: Box,
    *,
    size: tuple[int, int] | None = None,
    side: str | None = None,
) -> Grid:
    """Infer the grid from where the codes stand.

    Args:
        anchors: The boxes of codes, or of the frames around labels.
        pictures: The boxes of whatever may be a picture.
        page: The box of the page.
        size: How many (rows, columns) there are, if the caller knows.
        side: Where labels stand, if the caller knows. Of all likely grids only those count that
            are as the caller knows, if there are any.
    """
    if not anchors:
        return Grid(())
    pictures = _of_some_size(pictures)
    across, down = (
        axes_between(anchors, pictures, "x", page),
        axes_between(anchors, pictures, "y", page),
    )
    ranked = sorted(
        (
            (_fitness(anchors, pictures, columns, rows) - 1.5 * (cut_x + cut_y), columns, rows)
            for (cut_x, columns), (cut_y, rows) in product(across, down)
        ),
        key=lambda item: -item[0],
    )
    # What the caller knows decides among what is likely, and never makes a sheet fit.
    least = ranked[0][0] - 1 - 0.1 * len(anchors)
    likely = [grid for grid in ranked if grid[0] > least]
    if size is not None:
        likely = [grid for grid in likely if (grid[2].count, grid[1].count) == size]
    if side is not None:
        likely = [grid for grid in likely if _stands(side, anchors, pictures, grid[1], grid[2])]
    ranked = likely if likely and (size or side) else ranked
    score, columns, rows = ranked[0]
    pairs = _pairs_of(anchors, pictures, columns, rows)
    rivals = [
        _pairs_of(anchors, pictures, *grid)
        for rival_score, *grid in ranked[1:]
        if rival_score > score - _CLEAR_LEAD
    ]
    if size is None:
        rows = _without_strays(rows, anchors, pictures)
        turned = (list(map(_turned, boxes)) for boxes in (anchors, pictures))
        columns = _without_strays(columns, *turned)
    cells = tuple(
        Cell(row, column, Box(left, top, right - left, bottom - top).intersection(page))
        for row, (top, bottom) in enumerate(pairwise(rows.borders))
        for column, (left, right) in enumerate(pairwise(columns.borders))
    )
    return Grid(cells, is_ambiguous=any(not rival <= pairs for rival in rivals))


def _without_strays(rows: Axis, anchors: Sequence[Box], pictures: Sequence[Box]) -> Axis:
    """Leave out a first or last row of a single code, unlike the others: that of a header."""
    for edge, rest in ((0, rows.borders[1:]), (rows.count - 1, rows.borders[:-1])):
        here = [box for box in anchors if rows.index(box.centre[1]) == edge]
        others = [box for box in anchors if rows.index(box.centre[1]) != edge]
        is_empty = all(rows.index(box.centre[1]) != edge for box in pictures)
        if len(here) != 1 or not others or not is_empty:
            continue
        # A few codes do not tell much about sizes.
        is_usual = _is_kin if len(others) > 2 else _is_in_column
        if not any(is_usual(here[0], box) for box in others) and not _is_next(here[0], others):
            return Axis(rest)
    return rows


def _is_next(code: Box, others: Sequence[Box]) -> bool:
    """Tell whether a code stands in the column of others, as far from them as they from each other.

    A longer text makes a larger code.
    """
    column = sorted(
        (other.centre[1] for other in others if _is_in_column(code, other)),
        key=lambda y: abs(y - code.centre[1]),
    )
    if len(column) < 3:
        return False
    steps = [abs(far - near) for near, far in pairwise([code.centre[1], *column])]
    return abs(steps[0] - median(steps[1:])) < _SAME_STEP * steps[0]


def _turned(box: Box) -> Box:
    """Return the box with rows for columns."""
    return Box(box.top, box.left, box.height, box.width)


def _is_kin(code: Box, other: Box) -> bool:
    """Tell whether codes are of one size, and stand in one column."""
    is_like = all(
        abs(own - its) < _SAME_SIZE * its
        for own, its in ((code.width, other.width), (code.height, other.height))
    )
    return is_like and _is_in_column(code, other)


def _is_in_column(code: Box, other: Box) -> bool:
    aside = (code.left - other.left, code.centre[0] - other.centre[0], code.right - other.right)
    return min(map(abs, aside)) < _SAME_COLUMN_PX


def _of_some_size(pictures: Sequence[Box]) -> list[Box]:
    """Leave out lines, words and specks: what is thin, or far smaller than most.

    Of small things, three or more of one size in a row are a set, and one picture.
    """
    pictures = [box for box in pictures if min(box.width, box.height) > _LINE_PX]
    if not pictures:
        return []
    least = 0.1 * median(sorted(box.area for box in pictures)[len(pictures) // 2 :])
    large = [box for box in pictures if box.area > least]
    small = [box for box in pictures if box.area <= least]
    sets = (union_of(small[index] for index in row) for row in like_things(small))
    return [*large, *(box for box in sets if box.area > least)]


def like_things(things: Sequence[Box]) -> list[list[int]]:
    """Return the indices of three or more like things that stand side by side, left to right."""
    rows: list[list[int]] = []
    for index in sorted(range(len(things)), key=lambda index: things[index].left):
        for row in rows:
            if _is_like_and_beside(things[index], things[row[-1]]):
                row.append(index)
                break
        else:
            rows.append([index])
    return [row for row in rows if len(row) > 2]


def _is_like_and_beside(box: Box, before: Box) -> bool:
    is_like = all(
        abs(own - its) < 0.5 * _SAME_SIZE * its
        for own, its in ((box.width, before.width), (box.height, before.height))
    )
    is_beside = abs(box.centre[1] - before.centre[1]) < 0.5 * _SAME_SIZE * box.height
    return is_like and is_beside and box.left - before.right < box.width


def _places(boxes: Sequence[Box], columns: Axis, rows: Axis) -> list[tuple[int, int] | None]:
    """Return the (row, column) that each box's middle falls into, None outside of the grid."""
    found: list[tuple[int, int] | None] = []
    for box in boxes:
        column, row = columns.index(box.centre[0]), rows.index(box.centre[1])
        inside = 0 <= row < rows.count and 0 <= column < columns.count
        found.append((row, column) if inside else None)
    return found


def _pairs_of(
    anchors: Sequence[Box], pictures: Sequence[Box], columns: Axis, rows: Axis
) -> frozenset[tuple[int, int]]:
    """Return which codes share a cell with which picture, the largest in it, by their indices."""
    coded, shown = _places(anchors, columns, rows), _places(pictures, columns, rows)
    largest: dict[tuple[int, int], int] = {}
    for j, place in enumerate(shown):
        if place is not None and (
            place not in largest or pictures[j].area > pictures[largest[place]].area
        ):
            largest[place] = j
    return frozenset(
        (i, largest[place])
        for i, place in enumerate(coded)
        if place is not None and place in largest
    )


def _stands(
    side: str, anchors: Sequence[Box], pictures: Sequence[Box], columns: Axis, rows: Axis
) -> bool:
    """Tell whether in most cells of a grid the label stands on one side of the picture."""
    pairs = _pairs_of(anchors, pictures, columns, rows)
    return 2 * sum(side_of(anchors[i], pictures[j]) == side for i, j in pairs) > len(pairs)


def _fitness(anchors: Sequence[Box], pictures: Sequence[Box], columns: Axis, rows: Axis) -> float:
    """Return how well a grid explains a page, in cells.

    Cells that hold a code and a picture count for it. Against it count cells with one of them or
    none, codes or pictures that share a cell, that borders cut or that have no cell, and uneven
    cells. Of equals, the one is preferred whose codes are nearer to their pictures.
    """
    coded, shown = _places(anchors, columns, rows), _places(pictures, columns, rows)
    with_code, with_picture = set(coded) - {None}, set(shown) - {None}
    whole = with_code & with_picture
    outside = coded.count(None)
    crowded = len(anchors) - outside - len(with_code)
    empty = columns.count * rows.count - len(with_code | with_picture)
    split = sum(
        columns.index(box.left + 1) != columns.index(box.right - 1)
        or rows.index(box.top + 1) != rows.index(box.bottom - 1)
        for box in anchors
    )
    return (
        len(whole)
        - 0.4 * len(with_code ^ with_picture)
        - crowded
        - 0.3 * outside
        - 0.15 * empty
        - 0.25 * (len(pictures) - shown.count(None) - len(with_picture))
        - _irregularity(columns)
        - _irregularity(rows)
        - 0.25 * shown.count(None)
        - split
        - 0.3 * _distance(anchors, pictures, coded, shown)
    )


def _irregularity(axis: Axis) -> float:
    """Return how unlike the cells' sizes are: a code in the header makes a row of its own."""
    sizes = np.diff(axis.borders)
    return float(sizes.std() / sizes.mean()) if axis.count > 1 else 0.0


def _distance(
    anchors: Sequence[Box],
    pictures: Sequence[Box],
    coded: Sequence[tuple[int, int] | None],
    shown: Sequence[tuple[int, int] | None],
) -> float:
    """Return how far codes stand from the nearest picture in their cells, summed.

    Of a gap as wide as the code it is .75, of a far wider one not much more.
    """
    total = 0.0
    for anchor, place in zip(anchors, coded, strict=True):
        gaps = [
            max(
                picture.left - anchor.right,
                anchor.left - picture.right,
                picture.top - anchor.bottom,
                anchor.top - picture.bottom,
                0.0,
            )
            for picture, other in zip(pictures, shown, strict=True)
            if place is not None and place == other
        ]
        gap = min(gaps, default=0.0) / max(anchor.width, anchor.height)
        total += 1.5 * gap / (1 + gap)
    return total
