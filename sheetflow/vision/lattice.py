"""Find where the cells of an open page begin and end, along one axis at a time.

Pure: boxes in, borders out. The codes stand in rows and columns; borders run through the gaps
between them, where they cut the fewest pictures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.geometry import Box

_CLUSTER_GAP_PX = 28.0
_PHASES = 32


@dataclass(frozen=True)
class Axis:
    """The cells' borders along one axis: cell `i` lies between borders `i` and `i + 1`."""

    borders: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many cells there are."""
        return len(self.borders) - 1

    def index(self, position: float) -> int:
        """Return the cell that a position falls into: -1 or `count` outside of the grid."""
        return bisect_right(self.borders, position) - 1


def rows_and_columns(boxes: Sequence[Box]) -> tuple[list[float], list[float]]:
    """Return where the rows and the columns of boxes of one size begin."""
    rows = clusters([box.top for box in boxes], 0.5 * median(box.height for box in boxes))
    columns = clusters([box.left for box in boxes], 0.5 * median(box.width for box in boxes))
    return rows, columns


def axes_between(
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


def clusters(values: Sequence[float], gap: float) -> list[float]:
    """Return the medians of values that lie closer together than a gap, in order."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] < gap:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [median(group) for group in groups]


def nearest(places: Sequence[float], value: float) -> int:
    """Return the index of the place that a value is nearest to."""
    return min(range(len(places)), key=lambda i: abs(places[i] - value))


def with_gaps_filled(places: Sequence[float]) -> list[float]:
    """Fill in the places of a regular row that are missing between others."""
    if len(places) < 3:
        return list(places)
    pitch = min(high - low for low, high in pairwise(places))
    filled = [places[0]]
    for low, high in pairwise(places):
        steps = max(1, round((high - low) / pitch))
        filled += [low + (high - low) * step / steps for step in range(1, steps + 1)]
    return filled


def _place_lists(
    references: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[list[float]]:
    """Return what the places of the codes along one axis may be.

    Those that are seen, with gaps in a regular row filled in; and each with the first or the last
    left out, where a single code stands: it may be one in the header.
    """
    seen = clusters(references, _CLUSTER_GAP_PX)
    lists = [seen, with_gaps_filled(seen)]
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
    """Return from where to where the codes of each place reach; as is typical where none is."""
    reach = 0.3 * min(high - low for low, high in pairwise(places))
    relative = [
        (a - ref, b - ref)
        for ref, (a, b) in zip(references, spans, strict=True)
        if min(abs(ref - place) for place in places) < reach
    ] or [(-20.0, 20.0)]
    typical = (median(a for a, _ in relative), median(b for _, b in relative))
    extents = []
    for place in places:
        own = [
            span for ref, span in zip(references, spans, strict=True) if abs(ref - place) < reach
        ]
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
    places = clusters(values, _CLUSTER_GAP_PX)
    return sum(
        min(abs(value - places[nearest(places, value)]), 20.0) for value in values
    ) + 12.0 * len(places)


def _lattices(
    references: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float, int]]:
    """Return (first, pitch, count) of lattices that fit the references, the best few first."""
    places = clusters(references, _CLUSTER_GAP_PX)
    weights = [sum(abs(ref - place) < _CLUSTER_GAP_PX for ref in references) for place in places]
    shortest = 0.9 * median(b - a for a, b in spans)
    found: dict[tuple[int, int, int], tuple[float, tuple[float, float, int]]] = {}
    for place, count in zip(places, weights, strict=True):
        found[round(place), 0, 1] = (count - 0.5, (place, np.inf, 1))
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
