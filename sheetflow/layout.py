"""Find the grid of an upright page: which cell each code and each picture stands in.

Pure: boxes in, cells out. Frames say where the cells are, if there are any. Without them the codes
do: they stand on a lattice, and its cells are shifted until they cut as few pictures as possible
and as many as possible hold a code and a picture. A cell whose code is missing is found all the
same, so that its picture is never given to a neighbour.
"""

# LEAD'S NOTE TO THE RECOGNITION ENGINEER (remove these lines once read): our own sheets
# (`python -c "from sheetflow.samples.catalogue import draw_samples"`; run /tmp/w/venv/bin/python
# /tmp/w/set.py and /tmp/w/try.py) come from ANOTHER generator and are clean, all codes decode, yet
# many are not paired ("the picture has no readable code") and 03-collection.webp was even accepted
# unflagged with 4 of its 8 pairs. Pairing must generalise: make these 100 % right and unflagged
# (script/run and the flow tests need it by 19:15), and flag whenever decoded codes are unexplained.

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sheetflow.geometry import Box
from sheetflow.segmentation import Lines

_SAME_SIZE = 0.07
_CLUSTER_GAP_PX = 28.0
_PHASES = 32
_CLEAR_LEAD = 0.35


@dataclass(frozen=True)
class Cell:
    """One place of the grid; row and column count from 0 at the page's top left."""

    row: int
    column: int
    box: Box


@dataclass(frozen=True)
class Axis:
    """The cells' borders along one axis, in order: cell `i` lies between borders `i` and `i + 1`."""

    borders: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.borders) - 1

    def index(self, position: float) -> int:
        """Return the cell that a position falls into: -1 or `count` outside of the grid."""
        return bisect_right(self.borders, position) - 1


@dataclass(frozen=True)
class Grid:
    """What the cells of an open page are, and how sure that is.

    Attributes:
        cells: In reading order, those without a code too.
        is_ambiguous: Whether another grid, with other pairs, would fit as well.
    """

    cells: tuple[Cell, ...]
    is_ambiguous: bool = False


def frames_of_items(frames: Sequence[Box], codes: Sequence[Box], lines: Lines) -> list[Box]:
    """Return the frames of one size that hold the codes, one each, gaps in their grid filled in.

    Args:
        frames: All rectangles on the page.
        codes: The boxes of the symbols.
        lines: The lines that the frames are made of, to find those that were not closed.

    Returns:
        The frames in reading order; none where no family of frames holds half of the codes.
    """
    best: list[Box] = []
    best_score = (0, 0.0)
    for frame in frames:
        family = [other for other in frames if _is_like(other, frame)]
        holding = sum(any(other.contains(code.centre) for code in codes) for other in family)
        score = (holding, frame.area)
        if score > best_score:
            best, best_score = family, score
    if 5 * best_score[0] < max(1, len(codes)):
        return []
    whole = _completed(_apart(best), codes, lines)
    held = sum(any(frame.contains(code.centre) for frame in whole) for code in codes)
    return whole if 2 * held >= len(codes) else []


def cells_from_frames(frames: Sequence[Box]) -> list[Cell]:
    """Number frames by row and column."""
    columns = _clusters([frame.left for frame in frames], _gap(frames, "width"))
    rows = _clusters([frame.top for frame in frames], _gap(frames, "height"))
    cells = [
        Cell(_nearest(rows, frame.top), _nearest(columns, frame.left), frame) for frame in frames
    ]
    return sorted(cells, key=lambda cell: (cell.row, cell.column))


def cells_from_anchors(anchors: Sequence[Box], pictures: Sequence[Box], page: Box) -> Grid:
    """Infer the grid from where the codes stand.

    Args:
        anchors: The boxes of codes, or of the frames around labels.
        pictures: The boxes of whatever may be a picture.
        page: The box of the page.
    """
    if not anchors:
        return Grid(())
    pictures = _of_some_size(pictures)
    across, down = _axes(anchors, pictures, "x", page), _axes(anchors, pictures, "y", page)
    ranked = sorted(
        (
            (_fitness(anchors, pictures, columns, rows) - 1.5 * (cut_x + cut_y), columns, rows)
            for (cut_x, columns), (cut_y, rows) in product(across, down)
        ),
        key=lambda item: -item[0],
    )
    score, columns, rows = ranked[0]
    pairs = _pairs_of(anchors, pictures, columns, rows)
    rivals = [
        _pairs_of(anchors, pictures, *grid)
        for rival_score, *grid in ranked[1:]
        if rival_score > score - _CLEAR_LEAD
    ]
    cells = tuple(
        Cell(row, column, Box(left, top, right - left, bottom - top).intersection(page))
        for row, (top, bottom) in enumerate(pairwise(rows.borders))
        for column, (left, right) in enumerate(pairwise(columns.borders))
    )
    return Grid(cells, is_ambiguous=any(rival != pairs for rival in rivals))


def _of_some_size(pictures: Sequence[Box]) -> list[Box]:
    """Leave out words and specks: what is far smaller than most."""
    if not pictures:
        return []
    typical = median(sorted(box.area for box in pictures)[len(pictures) // 2 :])
    return [box for box in pictures if box.area > 0.1 * typical]


def _is_like(first: Box, second: Box) -> bool:
    return (
        abs(first.width - second.width) <= _SAME_SIZE * second.width + 3
        and abs(first.height - second.height) <= _SAME_SIZE * second.height + 3
    )


def _apart(frames: Sequence[Box]) -> list[Box]:
    kept: list[Box] = []
    for frame in frames:
        if all(frame.share_inside(other) < 0.2 for other in kept):
            kept.append(frame)
    return kept


def _gap(frames: Sequence[Box], side: str) -> float:
    return 0.5 * median(getattr(frame, side) for frame in frames)


def _completed(frames: Sequence[Box], codes: Sequence[Box], lines: Lines) -> list[Box]:
    """Fit a grid to the frames, and return all its places, those beyond it if lines show them.

    A frame whose line is broken, or touched by a picture, is not closed and was not found; a
    place that is empty after all does no harm.
    """
    columns = _clusters([frame.left for frame in frames], _gap(frames, "width"))
    rows = _clusters([frame.top for frame in frames], _gap(frames, "height"))
    edges = np.array([(frame.left, frame.top, frame.right, frame.bottom) for frame in frames])
    whole: list[Box] = []
    rows, columns = _all_places(rows), _all_places(columns)
    places = np.array(
        [(_nearest(rows, frame.top), _nearest(columns, frame.left)) for frame in frames]
    )
    models = [_plane(places, edges[:, side]) for side in range(4)]
    beyond_rows, beyond_columns = (1 if len(places) > 1 else 0 for places in (rows, columns))
    for row, column in product(
        range(-beyond_rows, len(rows) + beyond_rows),
        range(-beyond_columns, len(columns) + beyond_columns),
    ):
        left, top, right, bottom = (
            float(constant + down * row + across * column) for constant, down, across in models
        )
        box = Box(left, top, right - left, bottom - top)
        beyond = row in (-1, len(rows)) or column in (-1, len(columns))
        holds = any(box.contains(code.centre) for code in codes)
        if not beyond or _drawn(box, lines) > (0.35 if holds else 0.8):
            whole.append(box)
    return whole


def _all_places(places: Sequence[float]) -> list[float]:
    """Fill in the places of a regular row that are missing between others."""
    if len(places) < 3:
        return list(places)
    pitch = min(high - low for low, high in pairwise(places))
    filled = [places[0]]
    for low, high in pairwise(places):
        steps = max(1, round((high - low) / pitch))
        filled += [low + (high - low) * step / steps for step in range(1, steps + 1)]
    return filled


def _plane(places: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Fit value = constant + down * row + across * column, frames that stick out left aside."""
    terms = np.column_stack([np.ones(len(places)), places]).astype(np.float64)
    keep = np.ones(len(values), bool)
    model = np.zeros(3)
    for _ in range(3):
        model = np.linalg.lstsq(terms[keep], values[keep], rcond=None)[0]
        error = np.abs(values - terms @ model)
        keep = error <= max(3.0, 2 * float(np.median(error)))
    return (float(model[0]), float(model[1]), float(model[2]))


def _drawn(box: Box, lines: Lines) -> float:
    """Return how much of a box's outline, by its least drawn side, is on lines."""
    height, width = lines.across.shape
    left, right = max(int(box.left), 0), min(int(box.right), width)
    top, bottom = max(int(box.top), 0), min(int(box.bottom), height)
    if right - left < 4 or bottom - top < 4:
        return 0.0
    shares = [
        lines.across[max(int(y) - 7, 0) : int(y) + 8, left:right].max(axis=0, initial=0).mean()
        for y in (box.top, box.bottom)
    ]
    shares += [
        lines.down[top:bottom, max(int(x) - 7, 0) : int(x) + 8].max(axis=1, initial=0).mean()
        for x in (box.left, box.right)
    ]
    return float(min(shares)) / 255


def _clusters(values: Sequence[float], gap: float) -> list[float]:
    """Return the medians of values that lie closer together than a gap, in order."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] < gap:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [median(group) for group in groups]


def _nearest(places: Sequence[float], value: float) -> int:
    return min(range(len(places)), key=lambda i: abs(places[i] - value))


def _axes(
    anchors: Sequence[Box], pictures: Sequence[Box], axis: str, page: Box
) -> list[tuple[float, Axis]]:
    """Return what the borders along one axis may be, each with its cost of cut pictures."""
    low, high = _sides(axis)
    spans = [(low(box), high(box)) for box in anchors]
    shown = [(low(box), high(box)) for box in pictures]
    references = _tightest(spans)
    found: list[tuple[float, Axis]] = []
    for places in _place_lists(references, spans):
        if len(places) == 1:
            found.append((0.0, Axis((low(page), high(page) + 1))))
        else:
            found += _borders(_extents(places, references, spans), shown)
    return found


def _place_lists(
    references: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """Return what the places of the codes along one axis may be.

    Those that are seen, with gaps in a regular row filled in; and each with the first or the last
    left out, where a single code stands: it may be one in the header.
    """
    seen = _clusters(references, _CLUSTER_GAP_PX)
    lists = [seen, _all_places(seen)]
    lists += [
        [first + step * pitch for step in range(count)] if count > 1 else [first]
        for first, pitch, count in _lattices(references, spans)
    ]
    for places in list(lists):
        for rest in (places[1:], places[:-1]):
            lost = sum(
                min(abs(ref - place) for place in places)
                < (min(abs(ref - place) for place in rest) if rest else 0)
                for ref in references
            )
            if rest and lost == 1:
                lists.append(rest)
    unique = {tuple(round(place / 6) for place in places): places for places in lists}
    return list(unique.values())


def _extents(
    places: Sequence[float], references: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return from where to where the codes of each place reach; the typical, where there is none."""
    reach = 0.3 * min(high - low for low, high in pairwise(places))
    relative = [
        (a - ref, b - ref)
        for ref, (a, b) in zip(references, spans, strict=True)
        if min(abs(ref - place) for place in places) < reach
    ] or [(-20.0, 20.0)]
    typical = (median(a for a, _ in relative), median(b for _, b in relative))
    extents = []
    for place in places:
        own = [span for ref, span in zip(references, spans, strict=True) if abs(ref - place) < reach]
        own = own or [(place + typical[0], place + typical[1])]
        extents.append((min(a for a, _ in own), max(b for _, b in own)))
    return extents


def _sides(axis: str) -> tuple[Callable[[Box], float], Callable[[Box], float]]:
    if axis == "x":
        return (lambda box: box.left), (lambda box: box.right)
    return (lambda box: box.top), (lambda box: box.bottom)


def _tightest(spans: Sequence[tuple[float, float]]) -> list[float]:
    """Return each span's start or middle, whichever lines up better with the others."""
    starts = [a for a, _ in spans]
    middles = [(a + b) / 2 for a, b in spans]
    return min((starts, middles), key=_looseness)


def _looseness(values: Sequence[float]) -> float:
    places = _clusters(values, _CLUSTER_GAP_PX)
    return sum(
        min(abs(value - places[_nearest(places, value)]), 20.0) for value in values
    ) + 12.0 * len(places)


def _lattices(
    references: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float, int]]:
    """Return (first, pitch, count) of lattices that fit the references, the best few first."""
    places = _clusters(references, _CLUSTER_GAP_PX)
    weights = [sum(abs(ref - place) < _CLUSTER_GAP_PX for ref in references) for place in places]
    shortest = 0.9 * median(b - a for a, b in spans)
    found: dict[tuple[int, int, int], tuple[float, tuple[float, float, int]]] = {}
    for place, weight in zip(places, weights, strict=True):
        found[round(place), 0, 1] = (weight - 0.5, (place, np.inf, 1))
    for (i, low), (j, high) in combinations(enumerate(places), 2):
        for steps in range(1, min(j - i, 1) + 3):
            pitch = (high - low) / steps
            if pitch < max(shortest, 40.0):
                break
            lattice, weight = _fitted(places, weights, low, pitch)
            key = (round(lattice[0] / 8), round(lattice[1] / 8), lattice[2])
            holes = lattice[2] - sum(
                _residual(place, lattice[0], lattice[1]) < 0.06 for place in places
            )
            score = weight - 0.6 * holes
            if key not in found or found[key][0] < score:
                found[key] = (score, lattice)
    ranked = sorted(found.values(), key=lambda item: -item[0])
    return [lattice for score, lattice in ranked[:4] if score > ranked[0][0] - 3]


def _fitted(
    places: Sequence[float], weights: Sequence[int], low: float, pitch: float
) -> tuple[tuple[float, float, int], float]:
    """Fit first and pitch to the places near a lattice, and count the codes on it."""
    inliers = [
        (round((place - low) / pitch), place, weight)
        for place, weight in zip(places, weights, strict=True)
        if _residual(place, low, pitch) < 0.06
    ]
    steps = [step for step, _, _ in inliers]
    if len(set(steps)) > 1:
        pitch, low = (
            float(value)
            for value in np.polyfit(
                steps, [place for _, place, _ in inliers], 1, w=[weight for _, _, weight in inliers]
            )
        )
    first = low + min(steps) * pitch
    return (first, pitch, max(steps) - min(steps) + 1), float(
        sum(weight for _, _, weight in inliers)
    )


def _residual(place: float, first: float, pitch: float) -> float:
    """Return how far, in parts of the pitch, a place lies from the lattice."""
    if np.isinf(pitch):
        return 0.0 if abs(place - first) < _CLUSTER_GAP_PX else 1.0
    steps = (place - first) / pitch
    return abs(steps - round(steps))


def _borders(
    extents: Sequence[tuple[float, float]], pictures: Sequence[tuple[float, float]]
) -> list[tuple[float, Axis]]:
    """Return the least cutting borders: the middle of each stretch of shares of the gaps.

    All gaps between the codes are divided by the same share, as the labels stand on the same side
    of all pictures.
    """
    gap = median(after[0] - before[1] for before, after in pairwise(extents))
    axes = []
    for share in np.linspace(0.02, 0.98, _PHASES):
        inner = [before[1] + share * (after[0] - before[1]) for before, after in pairwise(extents)]
        first, last = extents[0][0] - (1 - share) * gap, extents[-1][1] + share * gap
        axes.append(Axis(tuple(float(border) for border in (first, *inner, last))))
    costs = np.array([_cut(pictures, axis) for axis in axes])
    return [(float(costs[i]), axes[i]) for i in _valleys(costs)]


def _valleys(costs: NDArray[np.float64]) -> list[int]:
    """Return the middle of the lowest part of each stretch of low costs."""
    found: list[int] = []
    begin: int | None = None
    for i, is_good in enumerate([*(costs <= costs.min() + 0.3), False]):
        if is_good and begin is None:
            begin = i
        elif not is_good and begin is not None:
            stretch = costs[begin:i]
            flat = np.flatnonzero(stretch <= stretch.min() + 1e-9) + begin
            found.append(int(flat[len(flat) // 2]))
            begin = None
    return found


def _cut(spans: Sequence[tuple[float, float]], axis: Axis) -> float:
    """Return how much is cut off spans by borders, in whole spans."""
    total = 0.0
    for low, high in spans:
        cuts = [border for border in axis.borders if low < border < high]
        total += max((min(cut - low, high - cut) / (high - low) for cut in cuts), default=0.0)
    return total


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
    """Return which codes share a cell with which pictures, by their indices."""
    coded, shown = _places(anchors, columns, rows), _places(pictures, columns, rows)
    return frozenset(
        (i, j)
        for i, place in enumerate(coded)
        for j, other in enumerate(shown)
        if place is not None and place == other
    )


def _fitness(anchors: Sequence[Box], pictures: Sequence[Box], columns: Axis, rows: Axis) -> float:
    """Return how well a grid explains a page, in cells.

    Cells that hold a code and a picture count for it; cells with one of them alone, codes that
    share a cell, that borders cut or that have none, and pictures outside count against it. Of
    equals, the one is preferred whose codes are nearer to their pictures.
    """
    coded, shown = _places(anchors, columns, rows), _places(pictures, columns, rows)
    with_code, with_picture = set(coded) - {None}, set(shown) - {None}
    whole = with_code & with_picture
    crowded = len(anchors) - len(with_code) - 0.25 * coded.count(None)
    split = sum(
        columns.index(box.left + 1) != columns.index(box.right - 1)
        or rows.index(box.top + 1) != rows.index(box.bottom - 1)
        for box in anchors
    )
    return (
        len(whole)
        - 0.4 * len(with_code ^ with_picture)
        - 0.4 * crowded
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
    """Return the gaps from codes to the nearest picture in their cells, summed, in code widths."""
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
        total += min(min(gaps, default=0.0) / max(anchor.width, anchor.height), 1.0)
    return total
