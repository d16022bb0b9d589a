"""Give each code its picture, cell by cell, by the one rule that the whole sheet follows.

Pure: cells, codes and regions in, items out. Nothing is ever matched across the border of a cell,
so a missing code or picture cannot shift its neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot
from statistics import median

from sheetflow.vision.geometry import Box, Point, gaps_between, union_of
from sheetflow.vision.layout import Cell, like_things
from sheetflow.vision.segmentation import TEXT_HEIGHT_PX, Kind, Region

_OUT_OF_PLACE_PX = 30.0
_IN_LINE_PX = 8.0
_TOUCH_PX = 6.0
_LABEL_REACH_PX = 60.0
_LABEL_GAP_PX = 8.0
_MUCH_NEARER = 0.25
_THICK_PX = 4.0
_LEAST_SIZE = 0.03
_ON_PICTURE = 0.5
_LIKE = 0.3
_SCRAP = 0.2
_HEADLINE_PX = 60.0
_LEAST_WORD_PX = 8.0
_FAR_LARGER = 3.0
_FULL = 0.95
_GROUND_PX = 12.0
# Source: measured on 53 sheets, in pictures of products in loose parts the widest gap was .23 of
# the shorter side, and more than .3 of the box was ink; several things taken for one picture had
# .15 to .44 of ink, and gaps of .21 to .99.
_WIDEST_GAP = 0.25
_LEAST_INK = 0.2
_ALIKE = 0.3


@dataclass(frozen=True)
class Item:
    """What one cell shows.

    Attributes:
        cell: Where it is.
        code: Index of its code, or None.
        picture: The box around all parts of its picture, or None.
        placeholder: The "no image" field in a picture's stead, or None.
        decoys: Indices of other codes in the cell.
        doubts: Why a person should look at it.
    """

    cell: Cell
    code: int | None
    picture: Box | None
    placeholder: Box | None = None
    decoys: tuple[int, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The rule of a sheet: where, from a code, its picture is found.

    Attributes:
        side: "below", "above", "left" or "right": where labels stand, seen from the picture.
        offset: From a code's centre to its picture's, the median of the sheet, in page pixels.
        place: Where a cell's code stands, as a box measured from the cell's top left, likewise.
        votes: How many pairs the rule was seen on.
        seen: The side that most pairs show; another than `side` where the caller knows better.
    """

    side: str
    offset: Point
    place: Box
    votes: int
    seen: str

    def displacement(self, code: Box, cell: Box) -> float:
        """Return how far a code stands from its place, whichever way codes are aligned."""
        own = Box(code.left - cell.left, code.top - cell.top, code.width, code.height)
        place = self.place
        aside = (own.left - place.left, own.centre[0] - place.centre[0], own.right - place.right)
        down = (own.top - place.top, own.centre[1] - place.centre[1], own.bottom - place.bottom)
        return hypot(min(map(abs, aside)), min(map(abs, down)))


def pair_pictures(
    cells: Sequence[Cell],
    codes: Sequence[Box],
    regions: Sequence[Region],
    *,
    side: str | None = None,
) -> tuple[list[Item], Layout | None]:
    """Find each cell's code and picture.

    Args:
        cells: The grid; cells do not overlap.
        codes: The boxes of the symbols.
        regions: What is printed on the page.
        side: Where labels stand, if the caller knows.

    Returns:
        An item for each cell, in the order of `cells`, and the layout that they follow, None
        where no cell shows both a code and a picture.
    """
    regions = _with_whole_sets(cells, _without_common_lines(cells, regions))
    regions = _of_some_size(cells, regions)
    found = [_first_look(cell, codes, regions) for cell in cells]
    layout = _voted_layout(cells, found, codes, side)
    if layout is None:
        return [_item(cell, codes, regions, None) for cell in cells], None
    items = [_item(cell, codes, regions, layout) for cell in cells]
    return _doubting_giants(_doubting_scraps(items, codes, regions), regions), layout


def _doubting_scraps(
    items: Sequence[Item], codes: Sequence[Box], regions: Sequence[Region]
) -> list[Item]:
    """Doubt what is far smaller than the sheet's other pictures and close to its code."""
    areas = [item.picture.area for item in items if item.picture is not None]
    least = _SCRAP * median(areas) if areas else 0.0
    sets = [region.box for region in regions if region.is_set]

    def is_scrap(picture: Box, code: Box) -> bool:
        reach = TEXT_HEIGHT_PX if picture.height < 2 * TEXT_HEIGHT_PX else _LABEL_GAP_PX
        return picture.area < least and _gap(picture, code) < reach and picture not in sets

    return [
        replace(item, doubts=(*item.doubts, "what was taken for the picture may be its label's"))
        if item.picture is not None
        and item.code is not None
        and is_scrap(item.picture, codes[item.code])
        else item
        for item in items
    ]


def _doubting_giants(items: Sequence[Item], regions: Sequence[Region]) -> list[Item]:
    """Doubt what is far wider or higher than all of the sheet's other pictures: a field, a rule.

    Those fill their box, or are thin; a bottle and a set of things are neither.
    """
    shown = [item.picture for item in items if item.picture is not None]

    def is_field(picture: Box) -> bool:
        ink = sum(
            region.area
            for region in regions
            if region.kind is Kind.PICTURE and picture.contains(region.box.centre)
        )
        return ink > _FULL * picture.area or min(picture.width, picture.height) < TEXT_HEIGHT_PX

    def is_giant(picture: Box) -> bool:
        others = [other for other in shown if other is not picture]
        return (
            len(others) > 1
            and (
                picture.width > _FAR_LARGER * max(other.width for other in others)
                or picture.height > _FAR_LARGER * max(other.height for other in others)
            )
            and is_field(picture)
        )

    return [
        replace(item, doubts=(*item.doubts, "what was taken for the picture is far larger"))
        if item.picture is not None and item.code is not None and is_giant(item.picture)
        else item
        for item in items
    ]


def _without_common_lines(cells: Sequence[Cell], regions: Sequence[Region]) -> list[Region]:
    """Call a low piece a text that stands where most other cells have a line of text: a price."""
    lines = {cell: _lines(cell, regions) for cell in cells}

    def is_common(region: Region) -> bool:
        home = next((cell for cell in cells if cell.box.contains(region.box.centre)), None)
        if home is None or len(cells) < 3:
            return False
        own = _within(region.box, home)
        others = [
            any(_is_same_line(own, line) for line in lines[cell]) for cell in cells if cell != home
        ]
        return 2 * sum(others) > len(others)

    return [
        replace(region, kind=Kind.TEXT)
        if region.kind is Kind.PICTURE
        and region.box.height <= TEXT_HEIGHT_PX
        and not region.is_set
        and is_common(region)
        else region
        for region in regions
    ]


def _with_whole_sets(cells: Sequence[Cell], regions: Sequence[Region]) -> list[Region]:
    """Make one picture of a set that the border of a cell parts, most of it in one cell."""
    regions = list(regions)
    pictures = [region for region in regions if region.kind is Kind.PICTURE]
    for row in like_things([picture.box for picture in pictures]):
        parts = [pictures[index] for index in row]
        homes = Counter(
            cell for cell in cells for part in parts if cell.box.contains(part.box.centre)
        )
        counts = [count for _, count in homes.most_common()]
        if len(counts) > 1 and 2 * sum(counts[1:]) <= counts[0] and _are_set(parts):
            whole = union_of(part.box for part in parts)
            area = sum(part.area for part in parts)
            stroke = max(part.stroke_px for part in parts)
            regions = [region for region in regions if region not in parts]
            regions.append(Region(whole, area, Kind.PICTURE, stroke, is_set=True))
    return regions


def _lines(cell: Cell, regions: Sequence[Region]) -> list[Box]:
    """Return, measured from the cell, its texts and what is as low as a text beside its picture."""
    inside = [region for region in regions if cell.box.contains(region.box.centre)]
    has_picture = any(
        region.kind is Kind.PICTURE and region.box.height > TEXT_HEIGHT_PX for region in inside
    )
    return [
        _within(region.box, cell)
        for region in inside
        if region.kind is Kind.TEXT
        or (has_picture and region.box.height <= TEXT_HEIGHT_PX and not region.is_set)
    ]


def _within(box: Box, cell: Cell) -> Box:
    return Box(box.left - cell.box.left, box.top - cell.box.top, box.width, box.height)


def _is_same_line(box: Box, line: Box) -> bool:
    aside = min(abs(box.left - line.left), abs(box.centre[0] - line.centre[0]))
    is_there = max(aside, abs(box.top - line.top)) < _IN_LINE_PX
    return is_there and abs(box.height - line.height) < _LIKE * line.height


def _of_some_size(cells: Sequence[Cell], regions: Sequence[Region]) -> list[Region]:
    """Leave out what is far too small for a picture, beside those of the other cells."""
    largest = [max((part.box.area for part in _parts(cell, regions)), default=0) for cell in cells]
    least = _LEAST_SIZE * median(largest) if largest else 0.0
    return [
        region for region in regions if region.kind is not Kind.PICTURE or region.box.area >= least
    ]


def _first_look(
    cell: Cell, codes: Sequence[Box], regions: Sequence[Region]
) -> tuple[list[int], Box | None]:
    inside = [i for i, code in enumerate(codes) if cell.box.contains(code.centre)]
    boxes = [part.box for part in _parts(cell, regions)]
    largest = max((box.area for box in boxes), default=0.0)
    alike = [box for box in boxes if box.area > _ALIKE * largest]
    return inside, union_of(alike) if alike else None


def _parts(cell: Cell, regions: Sequence[Region]) -> list[Region]:
    return [
        region
        for region in regions
        if region.kind is Kind.PICTURE and cell.box.contains(region.box.centre)
    ]


def _voted_layout(
    cells: Sequence[Cell],
    found: Sequence[tuple[list[int], Box | None]],
    codes: Sequence[Box],
    side: str | None,
) -> Layout | None:
    """Return the layout that most cells with one code and a picture agree on."""
    own = [
        (inside, picture, cell.box)
        for cell, (inside, picture) in zip(cells, found, strict=True)
        if inside
    ]
    # Which one of several codes is the label's is told by the layout, and does not tell it.
    clear = [look for look in own if len(look[0]) == 1]
    if any(picture is not None for _, picture, _ in clear):
        own = clear
    votes = [(inside[0], picture) for inside, picture, _ in own if picture is not None]
    if not votes:
        return None
    gaps = [gaps_between(codes[code], picture) for code, picture in votes]
    seen = _side(gaps)
    side = side or seen
    agreeing = [
        vote for vote, its in zip(votes, gaps, strict=True) if its[side] > -_TOUCH_PX
    ] or votes
    dx = median(picture.centre[0] - codes[code].centre[0] for code, picture in agreeing)
    dy = median(picture.centre[1] - codes[code].centre[1] for code, picture in agreeing)
    placed = [(codes[inside[0]], cell) for inside, _, cell in own]
    place = Box(
        median(code.left - cell.left for code, cell in placed),
        median(code.top - cell.top for code, cell in placed),
        median(code.width for code, _ in placed),
        median(code.height for code, _ in placed),
    )
    agreeing_cells = sum(
        picture is not None
        and any(gaps_between(codes[i], picture)[side] > -_TOUCH_PX for i in inside)
        for inside, picture in found
    )
    return Layout(side, (dx, dy), place, max(agreeing_cells, len(agreeing)), seen)


def _side(gaps: Sequence[Mapping[str, float]]) -> str:
    """Return on which side of pictures labels stand: where most have a gap, and the widest.

    A code may stand to the right of most pictures and yet below all of them.
    """
    return max(
        gaps[0],
        key=lambda name: (
            sum(its[name] > -_TOUCH_PX for its in gaps),
            median(its[name] for its in gaps),
        ),
    )


def _item(
    cell: Cell, codes: Sequence[Box], regions: Sequence[Region], layout: Layout | None
) -> Item:
    inside = [i for i, code in enumerate(codes) if cell.box.contains(code.centre)]
    parts = _parts(cell, regions)
    code = _label_code(cell, inside, codes, parts, layout)
    decoys = tuple(i for i in inside if i != code)
    others: list[Region] = []
    if layout is not None:
        place = layout.place
        expected = Box(
            cell.box.left + place.left, cell.box.top + place.top, place.width, place.height
        )
        label = codes[code] if code is not None else expected
        parts = [part for part in parts if _is_on_picture_side(part.box, label, layout)]
        # A caption that blurs into the code reaches across its edge; pictures stay clear of it.
        parts = [part for part in parts if _is_clear_of(part.box, label, layout)] or parts
        parts = [part for part in parts if not _is_line_between(part.box, label, parts, layout)]
        others = [part for part in _parts(cell, regions) if part not in parts]
    is_small = False
    if not parts and code is not None and layout is not None:
        parts = _small_parts(cell, codes[code], regions, layout)
        is_small = bool(parts) and not _are_alike(parts)
    covers = [codes[i] for i in decoys if not _is_usual(i, codes)]  # a usual one is a label's
    if code is not None and layout is not None:
        parts = _with_covered_parts(parts, covers, codes[code], cell, regions, layout)
    parts = _without_specks(parts) if parts else []
    picture = union_of(part.box for part in parts) if parts else None
    placeholders = [
        region.box
        for region in regions
        if region.kind is Kind.PLACEHOLDER and cell.box.contains(region.box.centre)
    ]
    if picture is not None:
        placeholders = [box for box in placeholders if box.area > picture.area]
        picture = None if placeholders else picture
    placeholder = max(placeholders, key=lambda box: box.area, default=None)
    doubts = _doubts(cell, codes, code, picture, layout)
    if code is not None and picture is not None:
        if any(_is_rival(i, codes, picture) for i in decoys):
            doubts += ("another code stands beside this one",)
        if is_small or (layout is not None and layout.votes < 2 and _may_be_words(picture)):
            doubts += ("what was taken for the picture is as low as a line of text",)
        if _is_scattered(parts, layout, covers) or _holds_words(picture, parts, regions):
            doubts += ("what was taken for the picture may be several things",)
        if any(_is_beside(other.box, picture, codes[code]) for other in others):
            doubts += ("something else stands beside the code that may belong to the picture",)
    return Item(cell, code, picture, placeholder, decoys, doubts)


def _may_be_words(picture: Box) -> bool:
    """Tell whether a picture has the shape of a headline."""
    return picture.height < _HEADLINE_PX and picture.width > 2 * picture.height


def _is_scattered(
    parts: Sequence[Region], layout: Layout | None, covers: Sequence[Box] = ()
) -> bool:
    """Tell whether parts may be several pictures, or words, instead of one picture.

    Decoys, with their white ground, cover some of it.
    A sheet's only code tells no layout, so that any two things of one size may be two pictures. On
    others, three or more of one size at even distances are a set.
    """
    if len(parts) < 2:
        return False
    if layout is None or layout.votes < 2:
        areas = sorted(part.box.area for part in parts)
        if areas[-2] > _ALIKE * areas[-1]:
            return True
    elif _are_set(parts):
        return False
    around = _around(parts)
    covering = [cover.grown(_GROUND_PX).intersection(around) for cover in covers]
    covering = [cover for cover in covering if cover.area]
    boxes = [*(part.box for part in parts), *covering]
    ink = sum(part.area for part in parts) + sum(cover.area for cover in covering)
    return (
        _widest_gap(boxes) > _WIDEST_GAP * min(around.width, around.height)
        or ink < _LEAST_INK * around.area
    )


def _are_set(parts: Sequence[Region]) -> bool:
    """Tell whether three parts or more, of one size, stand in a row at even distances."""
    if len(parts) < 3 or not _are_alike(parts):
        return False
    row = sorted((part.box for part in parts), key=lambda box: box.centre)
    steps = [
        (after.centre[0] - before.centre[0], after.centre[1] - before.centre[1])
        for before, after in pairwise(row)
    ]
    uneven = max(hypot(x - steps[0][0], y - steps[0][1]) for x, y in steps)
    return uneven < 0.1 * hypot(*steps[0])


def _holds_words(picture: Box, parts: Sequence[Region], regions: Sequence[Region]) -> bool:
    """Tell whether words stand between the parts of a picture: two cells that were not told apart.

    A spoilt code may bridge the gap from one picture to the next.
    """
    return len(parts) > 1 and any(
        region.kind is Kind.TEXT
        and region.box.height > _LEAST_WORD_PX
        and region.box.width > 2 * region.box.height
        and region.box.share_inside(picture) == 1
        and not any(region.box.common_area(part.box) for part in parts)
        for region in regions
    )


def _is_rival(index: int, codes: Sequence[Box], picture: Box) -> bool:
    """Tell whether another code in a cell may be its own: of a usual size, not on the picture."""
    return codes[index].share_inside(picture) < _ON_PICTURE and _is_usual(index, codes)


def _is_usual(index: int, codes: Sequence[Box]) -> bool:
    """Tell whether a code is of the size of another one."""
    code = codes[index]
    return any(
        abs(code.width - other.width) < _LIKE * other.width
        and abs(code.height - other.height) < _LIKE * other.height
        for other in codes
        if other is not code
    )


def _is_beside(other: Box, picture: Box, code: Box) -> bool:
    """Tell whether something as large as the picture was left out for being on the code's side."""
    label = code.grown(max(1.5 * min(code.width, code.height), _LABEL_REACH_PX))
    is_label = other.share_inside(label) > 0.5
    return other.area > _ALIKE * picture.area and not is_label


def _widest_gap(boxes: Sequence[Box]) -> float:
    """Return the widest gap that has to be bridged to make one piece of boxes."""
    joined, apart, widest = [boxes[0]], list(boxes[1:]), 0.0
    while apart:
        gap, nearest = min(
            (min(_gap(box, other) for other in joined), i) for i, box in enumerate(apart)
        )
        widest = max(widest, gap)
        joined.append(apart.pop(nearest))
    return widest


def _gap(first: Box, second: Box) -> float:
    return max(
        first.left - second.right,
        second.left - first.right,
        first.top - second.bottom,
        second.top - first.bottom,
        0.0,
    )


def _doubts(
    cell: Cell, codes: Sequence[Box], code: int | None, picture: Box | None, layout: Layout | None
) -> tuple[str, ...]:
    """Return what is odd about a pair: a picture that was not told from its label, a stray code."""
    if code is None or picture is None:
        return ()
    doubts = []
    if codes[code].share_inside(picture) > 0.15:
        doubts.append("the picture could not be told from its label")
    if (
        layout is not None
        and layout.displacement(codes[code], cell.box) > _OUT_OF_PLACE_PX
        and not _is_in_line(codes[code], codes)
    ):
        doubts.append("the code stands elsewhere than those of other pictures")
    return tuple(doubts)


def _is_in_line(code: Box, codes: Sequence[Box]) -> bool:
    """Tell whether a code lines up with another one in its row and with another in its column."""
    others = [other for other in codes if other is not code]
    return any(_apart(code, other, "x") < _IN_LINE_PX for other in others) and any(
        _apart(code, other, "y") < _IN_LINE_PX for other in others
    )


def _apart(first: Box, second: Box, axis: str) -> float:
    """Return how far starts, middles or ends along an axis lie apart, whichever are nearest."""
    if axis == "x":
        ends = ((first.left, second.left), (first.right, second.right))
    else:
        ends = ((first.top, second.top), (first.bottom, second.bottom))
    (a, b), (c, d) = ends
    return min(abs(a - b), abs(c - d), abs(a + c - b - d) / 2)


def _label_code(
    cell: Cell,
    inside: Sequence[int],
    codes: Sequence[Box],
    parts: Sequence[Region],
    layout: Layout | None,
) -> int | None:
    """Return the cell's own code: the one at its place, and none that is printed on a picture."""

    def strangeness(index: int) -> float:
        return layout.displacement(codes[index], cell.box) if layout is not None else 0.0

    def is_printed_on_picture(index: int) -> bool:
        return any(
            codes[index].share_inside(part.box) > 0.8 and part.box.area > 1.5 * codes[index].area
            for part in parts
        )

    if not inside:
        return None
    best = min(inside, key=lambda index: (strangeness(index), index))
    if strangeness(best) > _OUT_OF_PLACE_PX and is_printed_on_picture(best):
        return None
    return best


def _is_on_picture_side(part: Box, label: Box, layout: Layout) -> bool:
    """Tell whether a part lies, by its middle, beyond the edge of the code that faces pictures."""
    x, y = part.centre
    return {
        "below": y < label.top,
        "above": y > label.bottom,
        "right": x < label.left,
        "left": x > label.right,
    }[layout.side]


def _is_clear_of(part: Box, label: Box, layout: Layout) -> bool:
    """Tell whether a part ends before the code begins."""
    return {
        "below": part.bottom < label.top + _TOUCH_PX,
        "above": part.top > label.bottom - _TOUCH_PX,
        "right": part.right < label.left + _TOUCH_PX,
        "left": part.left > label.right - _TOUCH_PX,
    }[layout.side]


def _small_parts(cell: Cell, code: Box, regions: Sequence[Region], layout: Layout) -> list[Region]:
    """Return pieces low enough for text that stand where the sheet's other pictures do."""
    x, y = (own + away for own, away in zip(code.centre, layout.offset, strict=True))
    pieces = [
        region
        for region in regions
        if region.kind is Kind.TEXT
        and cell.box.contains(region.box.centre)
        and _is_on_picture_side(region.box, code, layout)
        and region.stroke_px > _THICK_PX
    ]
    there = [piece.box for piece in pieces if piece.box.grown(_TOUCH_PX).contains((x, y))]
    if not there:
        # Of a set, the place may lie between two things.
        return pieces if pieces and _around(pieces).grown(_TOUCH_PX).contains((x, y)) else []
    # A price may be as heavy; what stands in line belongs together.
    row = union_of(there)
    return [piece for piece in pieces if row.top <= piece.box.centre[1] <= row.bottom]


def _around(parts: Sequence[Region]) -> Box:
    return union_of(part.box for part in parts)


def _with_covered_parts(
    parts: Sequence[Region],
    covers: Sequence[Box],
    label: Box,
    cell: Cell,
    regions: Sequence[Region],
    layout: Layout,
) -> list[Region]:
    """Add what a decoy on the picture, with its white ground, has cut off: pieces on two sides."""
    parts = list(parts)
    for cover in covers:
        near = cover.grown(_GROUND_PX)
        pieces = [
            region
            for region in regions
            if region.kind is not Kind.PLACEHOLDER
            and near.common_area(region.box)
            and cover.left < region.box.centre[0] < cover.right
            and cell.box.contains(region.box.centre)
            and _is_on_picture_side(region.box, label, layout)
        ]
        above = any(piece.box.centre[1] < cover.centre[1] for piece in pieces)
        below = any(piece.box.centre[1] > cover.centre[1] for piece in pieces)
        if above and below:
            parts += [piece for piece in pieces if piece not in parts]
    return parts


def _are_alike(parts: Sequence[Region]) -> bool:
    """Tell whether parts are several of one size, as a set's are and words are not."""
    widths, heights = [part.box.width for part in parts], [part.box.height for part in parts]
    return len(parts) > 1 and all(max(sides) < 1.15 * min(sides) for sides in (widths, heights))


def _is_line_between(part: Box, label: Box, parts: Sequence[Region], layout: Layout) -> bool:
    """Tell whether a part is low enough for text, and lies between code and picture.

    Where labels stand beside pictures, their lines may also run on above or below these.
    """
    largest = max((other.box for other in parts), key=lambda box: box.area)
    if layout.side in ("left", "right"):
        is_low = part.height <= TEXT_HEIGHT_PX and part.area < _ALIKE * largest.area
        away = max(part.top - largest.bottom, largest.top - part.bottom)
        return is_low and away > _LABEL_GAP_PX
    # What touches the code are its digits, maybe with a price below; what is much nearer to it than
    # to the picture may be a line with a speck of dust.
    to_label = gaps_between(label, part)[layout.side]
    to_picture = gaps_between(part, largest)[layout.side]
    is_near = _gap(part, label) < _LABEL_GAP_PX or to_label < _MUCH_NEARER * to_picture
    highest = (2 if is_near else 1) * TEXT_HEIGHT_PX
    if part.height > highest or part.area > _ALIKE * largest.area:
        return False
    return {
        "below": largest.bottom < part.top < label.top,
        "above": label.bottom < part.bottom < largest.top,
    }[layout.side]


def _without_specks(parts: Sequence[Region]) -> list[Region]:
    """Leave out dust: what is tiny beside the largest part."""
    largest = max(part.box.area for part in parts)
    return [part for part in parts if part.box.area > 0.015 * largest]
