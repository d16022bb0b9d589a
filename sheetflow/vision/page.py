"""Find the page on a sheet and bring it upright: outline, perspective, skew and quarter turns.

Pure: pixels and symbols in, an `UprightPage` out. Everything after it works on the upright page,
at one size, and takes its results back to the sheet through one homography.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.reading import Symbol
from sheetflow.vision.geometry import (
    Box,
    Homography,
    Point,
    Quad,
    angle_difference,
    box_around,
    homography_between,
    inverse,
    move_points,
    move_quad,
    quad_angle,
    quad_area,
    quad_centre,
    quad_size,
    scaling,
    turn_quad,
    turning,
)
from sheetflow.vision.images import SheetImage, halved

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]

WORK_SIDE_PX = 1400
"""Longer side of the upright page. A printed hairline is still a pixel wide at this size, and an
A4 page is segmented in a fifth of a second."""

_OUTLINE_SIDE_PX = 700
_LEAST_GAIN = 0.1  # degrees
_STRAIGHT_DEG = 0.5
_STRAIGHT_LINE_DEG = 0.12
_LEAST_BAND_PX = 4
_FINE = 8
_SAME_BARS = 0.6
_MATRIX = frozenset({"QR", "DataMatrix", "Aztec"})
_LEVEL_SHARES = (0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
_OUTLINE_BONUS = 0.3  # degrees: an outline also takes out what perspective the bars do not show

_STABLE_BONUS = 0.7  # degrees, by a single direction: a mere skew always fits that
_SAME_OUTLINE = 0.9
_LIKE_A_QUAD = 0.94
_BLURRED_PX = 3.0
_PLACES = 60
_BESIDE_PX = 5
_MOSTLY = 0.6
_NEARLY_ALL = 0.9
_FAINT_STEP = 0.03
_LIKE_OTHER_SIDES = 0.35


@dataclass(frozen=True)
class _Direction:
    centre: Point
    angle: float
    weight: float


@dataclass(frozen=True, eq=False)
class UprightPage:
    """The page as a reader holds it, scaled down.

    Attributes:
        rgb: uint8, (height, width, 3).
        inside: uint8, (height, width): 255 where the sheet has pixels of the page.
        to_page: 3x3, takes pixels of the sheet to pixels of the page.
        to_sheet: 3x3, its inverse.
    """

    rgb: Pixels
    inside: Mask
    to_page: Homography
    to_sheet: Homography


def upright_page(image: SheetImage, symbols: Sequence[Symbol]) -> UprightPage:
    """Take skew, perspective and quarter turns out of a sheet.

    Several outlines are tried, with the mere skew among them; the one under which the bars of the
    symbols stand straightest wins. One that is seen at several levels of light is likelier the
    page's, and needs to be less straight, most of all where few bars tell. The quarter turn
    follows the direction in which the symbols read; a sheet without any keeps the one it has.

    Source: zxing-cpp snaps the corners of linear codes to the scan line, measured 0 degrees on
    pages skewed by up to 0.8, so directions are taken from the bars' own edges.
    """
    directions = _directions(image, symbols)
    small, factor = _shrunk(image, _OUTLINE_SIDE_PX)
    back = scaling(1 / factor)
    outlines = [
        quad
        for outline in _page_outlines(small)
        if _holds(quad := move_quad(outline, back), [symbol.quad for symbol in symbols])
    ]
    plain = _skewed_frame(image.size_px, directions)
    few = _STABLE_BONUS / max(len(directions), 1) ** 0.5

    def cost(quad: Quad) -> float:
        stable = few if _is_stable(quad, outlines) else 0.0
        return _crookedness(quad, directions) - _OUTLINE_BONUS - stable

    quad = min(outlines, key=cost, default=plain)
    if outlines and _crookedness(plain, directions) < cost(quad):
        quad = plain
    return _warped(image, turn_quad(quad, _quarter_turns(quad, symbols)))


def are_straight(
    across: Sequence[tuple[Point, Point]], down: Sequence[tuple[Point, Point]]
) -> bool:
    """Tell whether most of the length of a page's lines runs along rows and columns already.

    Edges in pictures and shadows, near the codes of a sheet of few, may lean all the same.
    """
    ends = np.asarray([*across, *(((y0, x0), (y1, x1)) for (x0, y0), (x1, y1) in down)], np.float64)
    if not len(ends):
        return True
    along, aside = (ends[:, 1] - ends[:, 0]).T
    is_straight = np.abs(aside) < np.deg2rad(_STRAIGHT_LINE_DEG) * np.abs(along)
    lengths = np.hypot(along, aside)
    return bool(lengths[is_straight].sum() > lengths.sum() / 2)


def straightened(
    image: SheetImage,
    page: UprightPage,
    symbols: Sequence[Symbol],
    across: Sequence[tuple[Point, Point]],
    down: Sequence[tuple[Point, Point]],
) -> UprightPage:
    """Return the page with what lean its own lines still show taken out.

    Where the outline of the page is hidden, this is what takes the perspective out.

    Args:
        image: The sheet.
        page: The page so far.
        symbols: What was read on it, quads in its pixels.
        across: Ends of lines that ought to run along rows, in page pixels.
        down: Ends of lines that ought to run along columns.
    """
    if len(across) + len(down) < 4:
        return page
    height, width = page.inside.shape
    change, gain = _straightening(across, down, (width, height))
    if gain < _LEAST_GAIN:
        return page
    corners = Box(-0.5, -0.5, width, height).quad()
    moved = move_quad(corners, change)
    if max(abs(x - u) + abs(y - v) for (x, y), (u, v) in zip(corners, moved, strict=True)) < 2.5:
        return page
    before = move_quad(corners, page.to_sheet)
    after = move_quad(box_around(moved).quad(), page.to_sheet @ inverse(change))
    directions = _directions(image, symbols)
    if _crookedness(after, directions) > _crookedness(before, directions) + _STRAIGHT_DEG / 4:
        return page  # the symbols disagree: those lines belong to a picture
    return _warped(image, after)


def page_within(
    image: SheetImage, page: UprightPage, ink: Mask, box: Box, symbols: Sequence[Symbol]
) -> UprightPage | None:
    """Return the page that a piece of print turned out to be, or None if it has no four sides.

    A desk that is hardly darker than the page shows no outline, and is taken for the paper then.

    Args:
        image: The sheet.
        page: The page so far, with some of the desk.
        ink: uint8, (height, width) of that page, 255 where there is print.
        box: Around the piece.
        symbols: What was read on it, quads in pixels of the sheet.
    """
    left, top, right, bottom = box.pixel_edges(ink.shape)
    contours, _ = cv2.findContours(
        ink[top:bottom, left:right], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(left, top)
    )
    contour = max(contours, key=cv2.contourArea)
    hull = np.asarray(cv2.convexHull(contour), np.int32)
    quad = _four_corners(hull)
    if quad is None or float(cv2.contourArea(hull)) < _LIKE_A_QUAD * quad_area(quad):
        return None
    points = contour.reshape(-1, 2).astype(np.float32)
    quad = move_quad(_along_sides(quad, points, inward_px=_BLURRED_PX), page.to_sheet)
    return _warped(image, turn_quad(quad, _quarter_turns(quad, symbols)))


def _straightening(
    across: Sequence[tuple[Point, Point]],
    down: Sequence[tuple[Point, Point]],
    size: tuple[int, int],
) -> tuple[Homography, float]:
    """Return the mildest homography that brings lines onto the axes, by least squares.

    Also returns the gain: how many degrees the typical line leans now, less half as much again
    as it would lean then; 0 where most lines would not stand straight, or the page be torn.

    It has two shears and two perspectives: x' = (x + a y) / w, y' = (b x + y) / w with
    w = 1 + c x + d y, all in parts of the page. Lines that do not follow are left out.
    """
    scale = float(max(size))
    centre = np.array([size[0] / 2, size[1] / 2])
    ends = (np.asarray([*across, *down], np.float64).reshape(-1, 2, 2) - centre) / scale
    is_down = np.arange(len(ends)) >= len(across)
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)

    def leans(values: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = values
        x, y = ends[..., 0], ends[..., 1]
        w = 1 + c * x + d * y
        u, v = (x + a * y) / w, (b * x + y) / w
        du, dv = u[:, 1] - u[:, 0], v[:, 1] - v[:, 0]
        along, aside = np.where(is_down, (dv, du), (du, dv))
        return np.asarray(aside / np.where(np.abs(along) < 1e-6, 1e-6, along), np.float64)

    values, weights = np.zeros(4), np.sqrt(lengths)
    for _ in range(8):
        lean = leans(values)
        slopes = np.stack(
            [(leans(values + step) - lean) / 1e-5 for step in np.eye(4) * 1e-5], axis=1
        )
        # Perspective is believed only as far as the lines demand it.
        rows = np.vstack([slopes * weights[:, None], np.diag([1e-3, 1e-3, 3e-2, 3e-2])])
        values = (
            values + np.linalg.lstsq(rows, np.append(-lean * weights, np.zeros(4)), rcond=None)[0]
        )
        error = np.abs(leans(values))
        weights = np.sqrt(lengths) / (1 + (error / max(3 * float(np.median(error)), 2e-3)) ** 2)
    a, b, c, d = values
    unit = np.array(
        [[1 / scale, 0, -centre[0] / scale], [0, 1 / scale, -centre[1] / scale], [0, 0, 1]]
    )
    change = np.array([[1, a, 0], [b, 1, 0], [c, d, 1]])
    straight = np.abs(leans(values)) < np.deg2rad(_STRAIGHT_DEG)
    support = float(lengths[straight].sum() / lengths.sum())
    before, after = (_typical(leans(at), lengths) for at in (np.zeros(4), values))
    is_mild = max(abs(a), abs(b)) < 0.12 and max(abs(c), abs(d)) < 0.3
    gain = before - 1.5 * after if is_mild and support > 0.6 else 0.0
    return inverse(unit) @ change @ unit, gain


def _typical(leans: NDArray[np.float64], lengths: NDArray[np.float64]) -> float:
    """Return the median lean, in degrees, over the length of all lines."""
    order = np.argsort(np.abs(leans))
    middle = np.searchsorted(np.cumsum(lengths[order]), lengths.sum() / 2)
    return float(np.degrees(np.abs(leans[order][min(int(middle), len(leans) - 1)])))


def _shrunk(image: SheetImage, side_px: int) -> tuple[Pixels, float]:
    rgb = image.rgb
    factor = min(1.0, side_px / max(rgb.shape[:2]))
    if factor == 1.0:
        return rgb, factor
    size = (max(1, round(rgb.shape[1] * factor)), max(1, round(rgb.shape[0] * factor)))
    while min(rgb.shape[:2]) >= 4 and rgb.shape[1] >= 2 * size[0] and rgb.shape[0] >= 2 * size[1]:
        rgb = image.half if rgb is image.rgb else halved(rgb)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8), factor


def _page_outlines(small: Pixels) -> list[Quad]:
    """Return what may be the page's corners; none where it fills the sheet."""
    height, width = small.shape[:2]
    soft = np.asarray(cv2.GaussianBlur(small, (0, 0), 1), np.uint8)
    quads = []
    for mask in _page_masks(small):
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if not contours:
            continue
        contour = max(contours, key=cv2.contourArea)
        hull = np.asarray(cv2.convexHull(contour), np.int32)
        quad = _four_corners(hull)
        if quad is not None:
            # A pixel further in, so that no strip of the desk runs along the page.
            quad = _along_sides(quad, contour.reshape(-1, 2).astype(np.float32), inward_px=1.0)
        if quad is None:
            continue
        share = quad_area(quad) / (height * width)
        is_like = float(cv2.contourArea(hull)) / quad_area(quad) > _LIKE_A_QUAD
        if 0.15 < share < 0.985 and is_like and _is_edged(_steps(soft, quad), share):
            quads.append(quad)
    return quads


def _is_edged(steps: Sequence[float], share: float) -> bool:
    """Tell whether all sides of an outline show an edge: else light falls off there, no page ends.

    A lid may be as white as the page, but then it is so on all sides, or a narrow strip.

    Args:
        steps: By how much light changes at each side that is on the sheet.
        share: How much of the sheet is within.
    """
    if not steps:
        return True
    is_seen = share > _NEARLY_ALL or min(steps) > _FAINT_STEP
    return is_seen and min(steps) > _LIKE_OTHER_SIDES * median(steps)


def _steps(soft: Pixels, quad: Quad) -> list[float]:
    """Return the logarithms of light inside over light outside, of the most different channel.

    Those of sides that mostly lie beyond the image are left out.
    """
    height, width = soft.shape[:2]
    steps = []
    for start, end in zip(quad, quad[1:] + quad[:1], strict=True):
        side = np.subtract(end, start)
        inward = np.array([-side[1], side[0]]) / max(float(np.hypot(*side)), 1.0)
        along = np.add(start, np.linspace(0.08, 0.92, _PLACES)[:, None] * side)
        outer = np.round(along - _BESIDE_PX * inward).astype(int)
        inner = np.round(along + _BESIDE_PX * inward).astype(int)
        there = ((outer >= 0) & (outer < (width, height))).all(axis=1)
        there &= ((inner >= 0) & (inner < (width, height))).all(axis=1)
        if there.mean() < _MOSTLY:
            continue
        inside, outside = (
            soft[points[there, 1], points[there, 0]].astype(np.float64) + 1
            for points in (inner, outer)
        )
        steps.append(float(np.abs(np.log(np.median(inside / outside, axis=0))).max()))
    return steps


def _page_masks(small: Pixels) -> list[Mask]:
    """Return masks in which the page, lighter or less coloured than the rest, may be one piece."""
    soft = cv2.GaussianBlur(small, (0, 0), 2)
    light = np.asarray(cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY), np.uint8)
    red, green, blue = cv2.split(soft)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    colour = cv2.subtract(most, least)
    level, _ = cv2.threshold(light, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, pale = cv2.threshold(colour, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    masks = [
        cv2.threshold(light, level * share, 255, cv2.THRESH_BINARY)[1] for share in _LEVEL_SHARES
    ]
    masks.append(pale)
    # Full-bleed pictures and codes at the rim bite into the page; closing mends it.
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (9, 9))
    return [np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.uint8) for mask in masks]


def _four_corners(hull: NDArray[np.int32]) -> Quad | None:
    length = cv2.arcLength(hull, True)
    for tolerance in (0.01, 0.02, 0.03, 0.05):
        corners = cv2.approxPolyDP(hull, tolerance * length, True).reshape(-1, 2)
        if len(corners) == 4:
            return _ordered([(float(x), float(y)) for x, y in corners])
    return None


def _along_sides(quad: Quad, contour: NDArray[np.float32], *, inward_px: float) -> Quad:
    """Return the quad whose sides run along the contour, where that is straight.

    The hull's own corners are off by a pixel or two, which is half a degree.
    """
    lines = []
    for start, end in zip(quad, quad[1:] + quad[:1], strict=True):
        side = np.subtract(end, start).astype(np.float64)
        length = float(np.hypot(*side))
        from_start = contour - start
        along = from_start @ side / length**2
        aside = from_start @ np.array([-side[1], side[0]]) / length
        near = contour[(along > 0.06) & (along < 0.94) & (np.abs(aside) < 0.02 * length + 2)]
        if len(near) < 0.5 * length:
            return quad
        dx, dy, x, y = (float(v) for v in cv2.fitLine(near, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel())
        x, y = x - inward_px * side[1] / length, y + inward_px * side[0] / length
        lines.append(np.cross([x, y, 1.0], [x + dx, y + dy, 1.0]))
    corners = [np.cross(lines[i - 1], lines[i]) for i in range(4)]
    if any(abs(corner[2]) < 1e-9 for corner in corners):
        return quad
    a, b, c, d = ((float(x / w), float(y / w)) for x, y, w in corners)
    return a, b, c, d


def _ordered(corners: list[tuple[float, float]]) -> Quad:
    """Return four corners clockwise on the screen, the one nearest the origin first."""
    cx, cy = sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4
    a, b, c, d = sorted(corners, key=lambda p: float(np.arctan2(p[1] - cy, p[0] - cx)))
    quad: Quad = (a, b, c, d)
    return turn_quad(quad, -min(range(4), key=lambda i: sum(quad[i])))


def _holds(quad: Quad, symbol_quads: Sequence[Quad]) -> bool:
    contour = np.asarray(quad, np.float32)
    return all(
        cv2.pointPolygonTest(contour, quad_centre(symbol), False) > 0 for symbol in symbol_quads
    )


def _is_stable(quad: Quad, outlines: Sequence[Quad]) -> bool:
    """Tell whether an outline is seen more than once."""
    return any(
        other is not quad and _quad_overlap(quad, other) > _SAME_OUTLINE for other in outlines
    )


def _quad_overlap(first: Quad, second: Quad) -> float:
    """Return intersection over union of two convex quads, 0 to 1."""
    corners = (np.asarray(first, np.float32), np.asarray(second, np.float32))
    common, _ = cv2.intersectConvexConvex(*corners)
    joint = quad_area(first) + quad_area(second) - common
    return float(common / joint) if joint > 0 else 0.0


def _directions(image: SheetImage, symbols: Sequence[Symbol]) -> list[_Direction]:
    return [
        direction for symbol in symbols for direction in _edge_directions(image.luminance, symbol)
    ]


def _edge_directions(luminance: Pixels, symbol: Symbol) -> list[_Direction]:
    """Return where a symbol stands and how its edges run, in degrees.

    A linear code has one direction, that of its bars; a matrix code has two, of its corners.
    """
    centre, (width, height) = quad_centre(symbol.quad), quad_size(symbol.quad)
    if symbol.symbology in _MATRIX:
        upright = turn_quad(symbol.quad, 1)
        return [
            _Direction(centre, quad_angle(symbol.quad), width),
            _Direction(centre, quad_angle(upright), height),
        ]
    box = box_around(symbol.quad).grown(-2)
    left, top, right, bottom = box.pixel_edges(luminance.shape)
    crop = luminance[top:bottom, left:right]
    if crop.size == 0 or min(crop.shape) < 8:
        return []
    if max(crop.shape) > 800:
        crop = np.asarray(cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    across, down = cv2.Sobel(crop, cv2.CV_32F, 1, 0), cv2.Sobel(crop, cv2.CV_32F, 0, 1)
    twice = np.arctan2(2 * float((across * down).sum()), float((across**2 - down**2).sum()))
    rough = float(np.degrees(twice)) / 2 + 90
    return [_Direction(centre, _lean_of_bars(luminance, centre, (width, height), rough), width)]


def _lean_of_bars(
    luminance: Pixels, centre: Point, size: tuple[float, float], rough: float
) -> float:
    """Return the direction of a code's bars, by how far their lower ends lie beside the upper.

    Gradients, which give the rough direction, are drawn towards the axes by noise: of 5.4
    degrees they saw 3.9.
    """
    width, height = (max(1, round(side * 0.9)) for side in size)
    third = height // 3
    if third < _LEAST_BAND_PX:
        return rough
    radians = np.deg2rad(rough - 90)
    cos, sin = float(np.cos(radians)), float(np.sin(radians))
    shift = (
        centre[0] - cos * width / 2 + sin * height / 2,
        centre[1] - sin * width / 2 - cos * height / 2,
    )
    upright = cv2.warpAffine(
        luminance,
        np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    bands = np.stack([upright[:third].mean(axis=0), upright[-third:].mean(axis=0)])
    fine = cv2.resize(bands.astype(np.float32), (_FINE * width, 2), interpolation=cv2.INTER_LINEAR)
    reach = round(_FINE * (0.12 * height + 2))
    if fine.shape[1] < 6 * reach:
        return rough
    match = cv2.matchTemplate(fine[:1], fine[1:, reach:-reach], cv2.TM_CCOEFF_NORMED)[0]
    if match.max() < _SAME_BARS:
        return rough
    aside = (reach - int(match.argmax())) / _FINE
    return rough - float(np.degrees(np.arctan2(aside, height - third)))


def _crookedness(quad: Quad, directions: Sequence[_Direction]) -> float:
    """Return by how many degrees, in the mean, symbols lean when `quad` is made a rectangle."""
    if not directions:
        return 0.0
    width, height = quad_size(quad)
    matrix = homography_between(quad, Box(0, 0, width, height).quad())
    total = 0.0
    for direction in directions:
        (x, y), radians = direction.centre, np.deg2rad(direction.angle)
        ahead = (x + 50 * float(np.cos(radians)), y + 50 * float(np.sin(radians)))
        (x0, y0), (x1, y1) = move_points([(x, y), ahead], matrix)
        lean = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
        total += abs(angle_difference(lean, 0.0, period=90.0))
    return total / len(directions)


def _skewed_frame(size_px: tuple[int, int], directions: Sequence[_Direction]) -> Quad:
    """Return the sheet's own corners, or a frame turned with its symbols around all of it."""
    corners = Box(-0.5, -0.5, *size_px).quad()
    if not directions:
        return corners
    folded = np.exp(4j * np.deg2rad([direction.angle for direction in directions]))
    weights = [direction.weight for direction in directions]
    skew = float(np.degrees(np.angle(np.dot(folded, weights))) / 4)
    if abs(skew) < 0.1:
        return corners
    turn = turning(-skew, (0.0, 0.0))
    around = box_around(move_quad(corners, turn)).quad()
    return move_quad(around, inverse(turn))


def _quarter_turns(quad: Quad, symbols: Sequence[Symbol]) -> int:
    """Return by how many quarters, clockwise, the page stands turned, by the symbols' vote."""
    votes = np.zeros(4)
    upright = quad_angle(quad)
    for symbol in symbols:
        turn = angle_difference(quad_angle(symbol.quad), upright)
        votes[round(turn / 90) % 4] += symbol.confidence
    return int(votes.argmax())


def _warped(image: SheetImage, quad: Quad) -> UprightPage:
    width, height = quad_size(quad)
    factor = min(1.0, WORK_SIDE_PX / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    to_page = homography_between(quad, Box(-0.5, -0.5, *size).quad())
    reduced, small_factor = _shrunk(image, round(max(image.size_px) * factor))
    matrix = to_page @ inverse(scaling(small_factor))
    warped = cv2.warpPerspective(reduced, matrix, size, flags=cv2.INTER_LINEAR)
    full = np.full(reduced.shape[:2], 255, np.uint8)
    inside = cv2.warpPerspective(full, matrix, size, flags=cv2.INTER_NEAREST)
    return UprightPage(
        rgb=np.asarray(warped, np.uint8),
        inside=np.asarray(inside, np.uint8),
        to_page=to_page,
        to_sheet=inverse(to_page),
    )
