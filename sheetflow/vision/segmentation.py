"""Sort the connected pieces of print on an upright page: pictures, texts, placeholders.

Pure: arrays in, regions out. Absolute sizes are in pixels of a page 1,400 high or wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from sheetflow.vision.fields import field_around
from sheetflow.vision.geometry import Box
from sheetflow.vision.ground import Grey, Mask, Pixels, Print, difference

TEXT_HEIGHT_PX = 25.0
"""Captions, prices and digits are lower than this; 6 mm of an A4 page."""

_LETTER_HEIGHT_PX = 17.0
_TEXT_STROKE_PX = 3.3
_TO_DIGITS_PX = 7
_TO_PRICE_PX = 12
_SMALLEST_PART_PX = 7
_BLUR_SHARE = 0.45
_LEAST_FIELD = 0.45  # hardly darker than the paper, it is seen with holes
_WORD_HEIGHT_PX = 70.0
_IN_FIELD = 0.8
_STRONG = 0.4
_EDGE_PX = 3.0
_RIM_PX = 16
_EDGE_OF_PAGE_PX = 8
_LINES_SHARE = 0.1
_STEP_SHARE = 0.35
_STRIP_SHARE = 0.2
_RULE_SHARE = 0.5
_AROUND = 0.4  # a teapot with a code on it; a label's outline and digits have far less
_WIDER = 1.6
_RULE_HEIGHT_PX = 14
_BANNER = 4.0
_SET_HEIGHT_PX = 9.0
_LONGEST_SET = 10.0
_REPEATED = 0.92
_OF_A_PICTURE = 0.3


class Kind(Enum):
    """What a region shows."""

    PICTURE = "picture"
    TEXT = "text"
    PLACEHOLDER = "placeholder"


@dataclass(frozen=True)
class Region:
    """One connected piece of print.

    Attributes:
        box: Around it, in page pixels.
        area: Pixels that belong to it.
        kind: What it shows.
        stroke_px: From the middle of its thickest stroke to the edge.
        is_set: Whether it was told from a text by showing a thing several times.
    """

    box: Box
    area: int
    kind: Kind
    stroke_px: float = 0.0
    is_set: bool = False


def classify(
    rgb: Pixels, printed: Print, frames: Sequence[Box], codes: Sequence[Box]
) -> list[Region]:
    """Return the connected pieces of print with what each shows.

    Those of codes, and the lines of frames, are left out.
    """
    ink = printed.ink
    joined = np.asarray(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    depth = np.asarray(cv2.distanceTransform(joined, cv2.DIST_L2, 3), np.float32)
    strokes = np.zeros(count, np.float32)
    np.maximum.at(strokes, labels[ink > 0].astype(np.intp), depth[ink > 0])
    reaches = [code.grown(max(code.width, code.height) + _TO_PRICE_PX) for code in codes]
    regions: list[Region] = []
    for index in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[index])
        box = Box(left, top, width, height)
        if max(width, height) < _SMALLEST_PART_PX:
            continue
        near = [code for code, reach in zip(codes, reaches, strict=True) if box.common_area(reach)]
        if _belongs_to_code(box, area, near):
            continue
        if _is_desk(box, area, ink.shape, codes):
            continue
        if _is_outline(box, area, [*frames, *codes]):
            continue
        kind = Kind.PICTURE
        stroke = float(strokes[index])
        if (
            _is_text(box, stroke)
            or _is_written_on_code(box, stroke, near)
            or _is_rule(box, area, ink.shape[1])
        ):
            kind = Kind.TEXT
        elif _is_placeholder(rgb, box, area):
            kind = Kind.PLACEHOLDER
        elif lines := _lines_of_text(
            box, _own_ink(printed, np.asarray(labels, np.int32), index, box), stroke
        ) or _lines_of_label(
            box, _own_ink(printed, np.asarray(labels, np.int32), index, box, _STRONG), stroke, near
        ):
            # Two lines so close that blur, or what mends gaps in thin strokes, has joined them.
            regions += [Region(line, round(line.area), Kind.TEXT, stroke) for line in lines]
            continue
        regions.append(Region(_tightened(box, printed.strength), area, kind, stroke))
    regions = _with_fields(rgb, _with_whole_lines(regions, frames), frames, codes)
    regions = _with_sets(rgb, regions)
    return _without_margins(regions, codes, ink.shape[1])


def _with_fields(
    rgb: Pixels, regions: Sequence[Region], frames: Sequence[Box], codes: Sequence[Box]
) -> list[Region]:
    """Add the "no image" fields that are too faint to be print, and call their words texts.

    What holds a code, or reaches from side to side of a frame, is no such field.
    """
    heavy = [
        region.box
        for region in regions
        if region.box.height < _WORD_HEIGHT_PX
        and (region.kind is Kind.PICTURE or region.stroke_px > _TEXT_STROKE_PX)
    ]
    if not heavy:
        return list(regions)
    # A tint may be as light as the paper, and yet darker in one of the colours.
    shades = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), *cv2.split(rgb)]
    fields: list[Box] = []
    for words in heavy:
        found = (field_around(np.asarray(shade, np.uint8), words) for shade in shades)
        field = next(filter(None, found), None)
        if field is None or any(field.contains(box.centre) for box in (*codes, *fields)):
            continue
        around = [frame for frame in frames if frame.contains(field.centre)]
        if all(field.share_inside(frame.grown(-_EDGE_PX)) == 1 for frame in around):
            fields.append(field)
    return [
        *(
            replace(region, kind=Kind.TEXT)
            if any(region.box.share_inside(field) > _IN_FIELD for field in fields)
            else region
            for region in regions
        ),
        *(Region(field, round(field.area), Kind.PLACEHOLDER) for field in fields),
    ]


def _with_sets(rgb: Pixels, regions: Sequence[Region]) -> list[Region]:
    """Call what is as low as a line of text, and shows a thing several times, a picture: a set."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return [
        replace(region, kind=Kind.PICTURE, is_set=True)
        if region.kind is Kind.TEXT
        and region.stroke_px > _TEXT_STROKE_PX
        and _SET_HEIGHT_PX < region.box.height <= TEXT_HEIGHT_PX
        and 1.9 * region.box.height < region.box.width < _LONGEST_SET * region.box.height
        and _repeats(np.asarray(grey, np.float32), region.box)
        else region
        for region in regions
    ]


def _repeats(grey: Grey, box: Box) -> bool:
    """Tell whether a piece is alike after a third to half of its width, as three like things are.

    Source: measured on 3,076 low heavy pieces of 200 drawn sheets, sets came to .93 to 1.00, and
    words, prices and digits to .86 at most.
    """
    left, top, right, bottom = box.pixel_edges(grey.shape)
    part, width = grey[top:bottom, left:right], right - left
    likeness = 0.0
    for step in range(max(round(width / 3) - 1, 1), width // 2 + 2):
        before, after = part[:, :-step], part[:, step:]
        before, after = before - before.mean(), after - after.mean()
        size = float(np.linalg.norm(before) * np.linalg.norm(after))
        likeness = max(likeness, float((before * after).sum()) / max(size, 1e-6))
    return likeness > _REPEATED


def _without_margins(
    regions: Sequence[Region], codes: Sequence[Box], page_width: int
) -> list[Region]:
    """Call what stands beyond a rule across the page, where no code is, a text: header or footer.

    The rule has to leave pictures on the codes' side, or it is one between pictures and codes.
    """
    for rule in _rules(regions, page_width):
        for beyond in (_is_above, _is_below):
            if not codes or any(beyond(code, rule) for code in codes):
                continue
            kept = [region for region in regions if not beyond(region.box, rule)]
            if sum(region.kind is not Kind.TEXT for region in kept) >= len(codes) / 2:
                regions = [
                    replace(region, kind=Kind.TEXT) if beyond(region.box, rule) else region
                    for region in regions
                ]
    return list(regions)


def codes_in_margins(
    regions: Sequence[Region], codes: Sequence[Box], page_width: int
) -> frozenset[int]:
    """Return the codes of header and footer: alone beyond a rule, without anything like a picture.

    A rule may end beside such a code, at the height of its lower half.

    Returns:
        Their indices, which may be all that there are.
    """
    rules = _rules(regions, page_width)
    shown = [region.box for region in regions if region.kind is not Kind.TEXT]
    found: set[int] = set()
    for rule, beyond in product(rules, (_is_above, _is_below)):
        alone = [i for i, code in enumerate(codes) if beyond(_middle(code), rule)]
        pictures = [box for box in shown if not beyond(box, rule)]
        least = _OF_A_PICTURE * median(box.area for box in pictures) if pictures else 0.0
        has_picture = any(beyond(box, rule) and box.area > least for box in shown)
        if len(alone) == 1 and pictures and not has_picture:
            found.update(alone)
    return frozenset(found)


def _middle(box: Box) -> Box:
    return Box(*box.centre, 0.0, 0.0)


def _rules(regions: Sequence[Region], page_width: int) -> list[Box]:
    return [region.box for region in regions if _is_rule(region.box, region.area, page_width)]


def _is_rule(box: Box, area: int, page_width: int) -> bool:
    """Tell whether a piece is a rule across the page, maybe with a headline that it touches."""
    if box.width < _RULE_SHARE * page_width:
        return False
    is_touched = box.height < 2 * TEXT_HEIGHT_PX and area < _RULE_HEIGHT_PX * box.width
    return box.height < _RULE_HEIGHT_PX or is_touched


def _is_above(box: Box, rule: Box) -> bool:
    return box.bottom < rule.bottom


def _is_below(box: Box, rule: Box) -> bool:
    return box.top > rule.top


def _with_whole_lines(regions: Sequence[Region], frames: Sequence[Box]) -> list[Region]:
    """Call a piece a text that stands in line with one: a heavy word among the others.

    No line of text goes through a frame.
    """
    texts = [region.box for region in regions if region.kind is Kind.TEXT]

    def is_word(box: Box) -> bool:
        return any(_is_in_line(box, text) and not _is_parted(box, text, frames) for text in texts)

    return [
        replace(region, kind=Kind.TEXT)
        if region.kind is Kind.PICTURE and is_word(region.box)
        else region
        for region in regions
    ]


def _is_parted(box: Box, other: Box, frames: Sequence[Box]) -> bool:
    return any(frame.contains(box.centre) != frame.contains(other.centre) for frame in frames)


def _is_in_line(box: Box, text: Box) -> bool:
    common = min(box.bottom, text.bottom) - max(box.top, text.top)
    gap = max(text.left - box.right, box.left - text.right)
    return (
        box.height < 1.6 * TEXT_HEIGHT_PX
        and max(box.height, text.height) < 1.7 * min(box.height, text.height)
        and common > 0.6 * min(box.height, text.height)
        and gap < 1.2 * text.height
    )


def _is_desk(box: Box, area: int, shape: Sequence[int], codes: Sequence[Box]) -> bool:
    """Tell whether a piece is the page's rim, or the desk around it: large, and hardly filled.

    A dash of the rim is thin.
    The lines of a table are likewise; a product with a hole has more ink, and no code in the hole.
    """
    height, width = shape[:2]
    to_rim = min(box.left, box.top, width - box.right, height - box.bottom)
    if min(box.width, box.height) < _EDGE_OF_PAGE_PX and to_rim <= _RIM_PX:
        return True
    if area >= 0.4 * box.area:
        return False
    at_rim = to_rim < _RIM_PX
    if box.area > 0.3 * width * height:
        holds_code = any(box.contains(code.centre) for code in codes)
        return at_rim or holds_code or area < _LINES_SHARE * box.area
    is_long = box.width > 0.6 * width or box.height > 0.6 * height
    return at_rim and is_long and area < 0.2 * box.area


def _is_outline(box: Box, area: int, held: Sequence[Box]) -> bool:
    """Tell whether a piece is a mere line around a frame or a code."""
    is_thin = area < 2.5 * 2 * (box.width + box.height)
    return is_thin and any(
        box.contains(other.centre) and other.area > 0.02 * box.area for other in held
    )


def _tightened(box: Box, strength: Grey) -> Box:
    """Take off the sides that are no more than the blur of what stands next to them.

    A soft shadow fades over many pixels and stays; the blur of an edge fades over two.
    """
    left, top, right, bottom = box.pixel_edges(strength.shape)
    for _ in range(2):
        part = strength[top:bottom, left:right]
        if min(part.shape) < 8:
            break
        rows, columns = part.max(axis=1), part.max(axis=0)
        left += int(columns[0] < _BLUR_SHARE * columns[2])
        right -= int(columns[-1] < _BLUR_SHARE * columns[-3])
        top += int(rows[0] < _BLUR_SHARE * rows[2])
        bottom -= int(rows[-1] < _BLUR_SHARE * rows[-3])
    return Box(left, top, right - left, bottom - top)


def _is_text(box: Box, stroke_px: float) -> bool:
    """Tell whether a low piece is a word or a letter: flat, long, or of thin strokes."""
    if box.height <= _LETTER_HEIGHT_PX:
        return True
    is_long = box.width > 1.9 * box.height
    return box.height <= TEXT_HEIGHT_PX and (is_long or stroke_px <= _TEXT_STROKE_PX)


def _own_ink(
    printed: Print, labels: NDArray[np.int32], index: int, box: Box, strong: float = 0.0
) -> Mask:
    """Return the ink of one piece, or only what has at least a part of its greatest strength."""
    left, top, right, bottom = box.pixel_edges(labels.shape)
    part = np.s_[top:bottom, left:right]
    own = np.asarray(printed.ink[part] * (labels[part] == index), np.uint8)
    strength = printed.strength[part] * (own > 0)
    return np.asarray(own * (strength >= strong * strength.max()), np.uint8)


def _lines_of_label(box: Box, ink: Mask, stroke_px: float, codes: Sequence[Box]) -> list[Box]:
    """Return the lines of a piece right above or below a code, as `_lines_of_text` does."""
    is_at_code = any(
        max(box.top - code.bottom, code.top - box.bottom) < _TO_PRICE_PX
        and min(box.right, code.right) > max(box.left, code.left)
        for code in codes
    )
    return _lines_of_text(box, ink, stroke_px) if is_at_code else []


def _lines_of_text(box: Box, ink: Mask, stroke_px: float) -> list[Box]:
    """Return the lines of a piece that empty rows part into lines of text, and into nothing else.

    Args:
        box: The piece.
        ink: Its own ink, of the size of the box.
        stroke_px: Its thickest stroke.
    """
    if not TEXT_HEIGHT_PX < box.height <= 2 * TEXT_HEIGHT_PX + 2:
        return []
    edges = np.flatnonzero(np.diff(np.pad((ink > 0).any(axis=1), 1).astype(np.int8)))
    lines = []
    for first, end in edges.reshape(-1, 2).tolist():
        columns = np.flatnonzero(ink[first:end].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        lines.append(Box(box.left + left, box.top + first, right - left, end - first))
    is_text = len(lines) > 1 and all(_is_text(line, stroke_px) for line in lines)
    return lines if is_text else []


def _is_written_on_code(box: Box, stroke_px: float, codes: Sequence[Box]) -> bool:
    """Tell whether a piece is the lines of text right above or below a code's bars.

    One low line between the ends of the bars is text however heavy its strokes are.
    """
    if box.height <= TEXT_HEIGHT_PX and any(
        -_TO_DIGITS_PX < max(box.top - code.bottom, code.top - box.bottom) < _TO_PRICE_PX
        and code.left <= box.centre[0] <= code.right
        and box.width < code.width
        for code in codes
    ):
        return True
    if box.height > 2 * TEXT_HEIGHT_PX or stroke_px > 1.6 * _TEXT_STROKE_PX:
        return False
    return any(
        max(box.top - code.bottom, code.top - box.bottom) < _TO_DIGITS_PX
        and min(box.right, code.right) - max(box.left, code.left) > 0.5 * min(box.width, code.width)
        for code in codes
    )


def _belongs_to_code(box: Box, area: int, codes: Sequence[Box]) -> bool:
    """Tell whether a piece is a code: its bars, its white ground, or the digits that touch it.

    What is full of ink all around a code is the picture that this one is printed on.
    """
    for code in codes:
        # What is left of the white ground, between code and card, is a narrow strip.
        narrow = _STRIP_SHARE * min(code.width, code.height)
        near = code.grown(narrow + _TO_DIGITS_PX)
        if min(box.width, box.height) < narrow and box.share_inside(near) > 0.9:
            return True
        common = box.common_area(code)
        is_wider = common > 0.5 * code.area and box.area > _WIDER * code.area
        is_around = is_wider and area > _AROUND * (box.area - common)
        if common > 0.3 * min(box.area, code.area) and not is_around:
            beside, under = max(0.2 * code.width, 20.0), 34.0
            label = Box(
                code.left - beside,
                code.top - under,
                code.width + 2 * beside,
                code.height + 2 * under,
            )
            if box.share_inside(label) > 0.97:
                return True
    return False


def _is_placeholder(rgb: Pixels, box: Box, area: int) -> bool:
    """Tell whether a region is a flat, light grey field, as "no image" is drawn, text aside."""
    if area < _LEAST_FIELD * box.area or min(box.width, box.height) < 30:
        return False
    left, top, right, bottom = box.grown(-4).pixel_edges(rgb.shape)
    blurred = np.asarray(cv2.blur(rgb[top:bottom, left:right], (5, 5)), np.uint8)
    middle = _median_colour(blurred)
    beyond = box.grown(5).pixel_edges(rgb.shape)
    around = np.concatenate(
        [rgb[beyond[1], beyond[0] : beyond[2]], rgb[beyond[3] - 1, beyond[0] : beyond[2]]]
    )
    is_light = middle.mean() > 0.72 * np.median(around, axis=0).mean()
    is_grey = float(np.ptp(middle)) < 0.08 * float(middle.mean()) + 3
    if not (is_light and is_grey):
        return False
    # The text stands in the middle; all around it there is nothing.
    soft = blurred.astype(np.float32)
    rows, columns = soft.shape[:2]
    middle_part = np.s_[rows // 4 : rows - rows // 4, columns // 12 : columns - columns // 12]
    for shade in _shades(blurred, middle):
        flat = difference(soft, shade) < 0.045
        all_around = flat.copy()
        all_around[middle_part] = True
        if all_around.mean() > 0.95 and flat.mean() > 0.7:
            return True
    return box.width > _BANNER * box.height and _has_flat_ends(blurred)


def _has_flat_ends(blurred: Pixels) -> bool:
    """Tell whether a wide piece ends on both sides in one flat shade: its words may be higher."""
    rows, columns = blurred.shape[:2]
    ends = [blurred[:, : columns // 6], blurred[:, -(columns // 6) :]]
    inner = np.s_[rows * 3 // 10 : rows - rows * 3 // 10]
    shades = [_median_colour(end[inner]) for end in ends]
    is_flat = all(
        (difference(end, np.broadcast_to(shade, end.shape)) < 0.045)[inner].mean() > 0.95
        for end, shade in zip(ends, shades, strict=True)
    )
    return is_flat and float(np.abs(shades[0] - shades[1]).max()) < 0.15 * float(shades[0].mean())


def _shades(blurred: Pixels, middle: Grey) -> Iterator[Grey]:
    """Yield how a flat field may be lit: evenly across, or with the edge of a shadow through it.

    A round product is shaded in a curve, which is neither.
    """
    rows, columns = blurred.shape[:2]
    halves = (
        blurred[:, : columns // 2],
        blurred[:, columns // 2 :],
        blurred[: rows // 2],
        blurred[rows // 2 :],
    )
    west, east, north, south = map(_median_colour, halves)
    across, down = (
        np.linspace(-1, 1, columns)[None, :, None],
        np.linspace(-1, 1, rows)[:, None, None],
    )
    yield np.asarray(middle + across * (east - west) + down * (south - north), np.float32)
    soft = blurred.astype(np.float32)
    yield from _in_shadow(soft)
    for shade in _in_shadow(soft.transpose(1, 0, 2)):
        yield np.ascontiguousarray(shade.transpose(1, 0, 2))


def _in_shadow(soft: Grey) -> Iterator[Grey]:
    """Yield what a field looks like through which the edge of a shadow runs from rim to rim."""
    rows, columns = soft.shape[:2]
    rims = np.stack([np.median(soft[: rows // 4], axis=0), np.median(soft[-(rows // 4) :], axis=0)])
    # A shadow's edge is soft; stripes are not.
    smooth = cv2.GaussianBlur(np.asarray(rims, np.float32), (0, 0), columns / 20, sigmaY=0.01)
    if all(map(_is_one_step, smooth.mean(axis=2))):
        weight = np.clip((np.linspace(0, 1, rows) - 0.125) / 0.75, 0, 1)[:, None, None]
        yield np.asarray(smooth[0] * (1 - weight) + smooth[1] * weight, np.float32)


def _is_one_step(profile: Grey) -> bool:
    """Tell whether light goes from one level to another in one step, and not as around a can."""
    change = np.cumsum(np.abs(np.diff(profile)))
    begin, end = np.searchsorted(change, [0.15 * change[-1], 0.85 * change[-1]])
    is_one_way = abs(float(profile[-1] - profile[0])) > 0.8 * float(change[-1])
    return is_one_way and bool(end - begin < _STEP_SHARE * len(profile))


def _median_colour(image: Pixels) -> Grey:
    """Return the median of each channel, float32 (3,)."""
    channels = (np.asarray(channel, np.uint8) for channel in cv2.split(image))
    return np.array([_median(channel) for channel in channels], np.float32)


def _median(channel: Pixels) -> float:
    """Return the median of some bytes: counting them is five times as fast as sorting."""
    below = np.cumsum(cv2.calcHist([channel], [0], None, [256], [0, 256]))
    middle = (channel.size - 1) // 2, channel.size // 2
    return float(np.searchsorted(below, middle, side="right").mean())
