"""Apply decisions to a reading: what a person decided is done, and nothing else is touched.

Pure. Each decision finds its region by where it lies, on the reading that the person saw and on
any later one. One that fits no region any more, or another code than the person saw, is told as a
doubt and does nothing: it is never dropped in silence, and never lands on a neighbour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sheetflow.reading import Discard, Pair, Picture, SheetReading, Symbol, twice_on_sheet
from sheetflow.regions import NO_CODE, NO_PICTURE, Kind, Region, regions_of
from sheetflow.review.decisions import Action, Decision, Mark
from sheetflow.review.placing import Place, place_in_grid
from sheetflow.vision.geometry import Quad, box_around, overlap

_FITS = 0.5
_MARGIN = 0.15
NO_PAIR = "no pair is left on the sheet"


@dataclass(frozen=True)
class _Item:
    """A region while decisions are applied; `place` is its row and column, None if it is new."""

    region: Region
    place: Place | None = None

    @property
    def kind(self) -> Kind:
        return self.region.kind

    @property
    def symbol(self) -> Symbol | None:
        return self.region.symbol

    def as_pair(self, symbol: Symbol) -> _Item:
        if symbol.page != self.region.page:  # its bars stand nowhere on this page
            symbol = replace(symbol, quad=self.region.quad, page=self.region.page)
        region = replace(self.region, kind=Kind.PAIR, symbol=symbol, doubts=(), reason="")
        return replace(self, region=region)

    def as_picture(self) -> _Item:
        region = replace(self.region, kind=Kind.PICTURE, symbol=None, doubts=(NO_CODE,))
        return replace(self, region=region)

    def as_code(self, symbol: Symbol) -> _Item:
        kind, doubts = Kind.CODE, (NO_PICTURE,)
        region = replace(self.region, kind=kind, symbol=symbol, quad=symbol.quad, doubts=doubts)
        return _Item(region)

    def as_discard(self, quad: Quad, reason: str) -> _Item:
        number, page = self.region.number, self.region.page
        return _Item(Region(number, Kind.DISCARD, quad, reason=reason, page=page))


_Items = list[_Item]


def apply(reading: SheetReading, decisions: Sequence[Decision]) -> SheetReading:
    """Return the reading with the decisions carried out, in their order.

    Its doubts are those that are left over, and the decisions that fit nothing any more. They name
    regions by their numbers on the overlay of `reading`.

    Args:
        reading: What was read on the sheet, untouched by any earlier review.
        decisions: What a person decided, perhaps looking at an earlier reading of the same file.
    """
    if not decisions:
        return reading
    items = [
        _Item(region, place)
        for region, place in zip(regions_of(reading), _places(reading), strict=True)
    ]
    lapsed, settled = [], set[str]()
    for decision in decisions:
        if decision.action is Action.COMPLETE:
            settled.update(decision.settles)
            continue
        changed = _CARRIED_OUT[decision.action](items, decision)
        if changed is None:
            lapsed.append(f"a decision of the review fits nothing any more: {decision.told}")
        else:
            items = changed
    open_doubts = [doubt for doubt in reading.sheet_doubts if doubt not in settled]
    return _reading_of(reading, items, [*open_doubts, *lapsed])


def _places(reading: SheetReading) -> list[Place | None]:
    others = len(reading.unpaired_pictures) + len(reading.unpaired_symbols) + len(reading.discards)
    return [*((pair.row, pair.column) for pair in reading.pairs), *([None] * others)]


def _accept(items: _Items, decision: Decision) -> _Items | None:
    found = _find(items, decision.region, pictures=True)
    item = items[found] if found is not None else None
    if found is None or item is None or item.symbol is None:
        return None
    if item.kind is not Kind.PAIR or item.symbol.payload != decision.code:
        return None
    return _with(items, found, item.as_pair(item.symbol))


def _give_code(items: _Items, decision: Decision) -> _Items | None:
    found = _find(items, decision.region, pictures=True)
    if found is None:
        return None
    item = items[found]
    # A code that was typed in stands nowhere on the sheet that we know of, but at its picture.
    quad = item.symbol.quad if item.symbol is not None else item.region.quad
    return _with(
        items,
        found,
        item.as_pair(Symbol(decision.code, decision.symbology, quad, page=item.region.page)),
    )


def _assign(items: _Items, decision: Decision) -> _Items | None:
    to = _find(items, decision.region, pictures=True)
    source = _find(items, decision.partner, pictures=False)
    if to is None or source is None:
        return None
    item, owner = items[to], items[source]
    if owner.symbol is None or owner.symbol.payload != decision.code:
        return None
    paired = item.as_pair(owner.symbol)
    if to == source:
        return _with(items, to, paired)
    freed = [item.as_code(item.symbol)] if item.symbol is not None else []
    left = [owner.as_picture()] if owner.kind is Kind.PAIR else []
    return [
        *(
            new
            for index, other in enumerate(items)
            for new in ([paired] if index == to else left if index == source else [other])
        ),
        *freed,
    ]


def _discard(items: _Items, decision: Decision) -> _Items | None:
    mark, reason = decision.region, decision.reason
    is_code = mark is not None and mark.kind is Kind.CODE
    found = _find(items, mark, pictures=not is_code)
    if found is None or mark is None:
        return None
    item, symbol = items[found], items[found].symbol
    picture = item.as_discard(item.region.quad, reason)
    if symbol is None or item.kind is Kind.CODE:
        return _with(items, found, picture)
    code = item.as_discard(symbol.quad, reason)
    if is_code:
        return _with(items, found, item.as_picture(), code)
    return _with(items, found, picture, code if mark.kind is Kind.PAIR else item.as_code(symbol))


_CARRIED_OUT: dict[Action, Callable[[_Items, Decision], _Items | None]] = {
    Action.ACCEPT: _accept,
    Action.CODE: _give_code,
    Action.ASSIGN: _assign,
    Action.DISCARD: _discard,
}


def _with(items: _Items, index: int, *instead: _Item) -> _Items:
    return [*items[:index], *instead, *items[index + 1 :]]


def _find(items: _Items, mark: Mark | None, *, pictures: bool) -> int | None:
    """Return the index of the item whose picture, or whose code, lies where the mark says."""
    if mark is None:
        return None
    ranked = []
    for index, item in enumerate(items):
        quad = _picture_of(item) if pictures else item.symbol.quad if item.symbol else None
        if quad is not None and item.region.page == mark.page:
            # Of two in one place, what it was then is what it is now.
            ranked.append((_fit(quad, mark.quad), item.kind is mark.kind, -index))
    best = max(ranked, default=None)
    return -best[2] if best is not None and best[0] >= _FITS else None


def _picture_of(item: _Item) -> Quad | None:
    return None if item.kind is Kind.CODE else item.region.quad


def _fit(first: Quad, second: Quad) -> float:
    """Return how well two quads lie on each other, 0 to 1; also of a code one scan line high."""
    boxes = [box_around(quad) for quad in (first, second)]
    margin = _MARGIN * max(max(box.width, box.height) for box in boxes)
    return overlap(boxes[0].grown(margin), boxes[1].grown(margin))


def _reading_of(
    reading: SheetReading, items: Sequence[_Item], sheet_doubts: Iterable[str]
) -> SheetReading:
    ordered = _in_reading_order(items)
    codes = [item.symbol.payload for item in ordered if item.symbol is not None]
    times = Counter(codes)
    items = [
        *(_with_twice(item, times[item.symbol.payload]) for item in ordered if item.symbol),
        *(item for item in items if item.kind is not Kind.PAIR),
    ]
    of_sheet = (*sheet_doubts, *([] if ordered else [NO_PAIR]))
    return SheetReading(
        size_px=reading.size_px,
        pairs=tuple(_pair(item) for item in items if item.kind is Kind.PAIR),
        unpaired_pictures=tuple(
            Picture(it.region.quad, it.region.page) for it in items if it.kind is Kind.PICTURE
        ),
        unpaired_symbols=tuple(it.symbol for it in items if it.kind is Kind.CODE and it.symbol),
        discards=tuple(
            Discard(item.region.quad, item.region.reason, item.region.page)
            for item in items
            if item.kind is Kind.DISCARD
        ),
        doubts=(
            *(
                f"{item.region.label}: {doubt}"
                for item in sorted(items, key=lambda item: item.region.number)
                for doubt in item.region.doubts
            ),
            *of_sheet,
        ),
        sheet_doubts=of_sheet,
        page_sizes_px=reading.page_sizes_px,
    )


def _in_reading_order(items: Sequence[_Item]) -> list[_Item]:
    """Return the pairs; those that are new stand where the grid of the others has their place."""
    pages = sorted({item.region.page for item in items}, key=lambda page: page or 0)
    return [
        item
        for page in pages
        for item in _ordered_on_page([item for item in items if item.region.page == page])
    ]


def _ordered_on_page(items: Sequence[_Item]) -> list[_Item]:
    pairs = [item for item in items if item.kind is Kind.PAIR]
    ordered = [item for item in pairs if item.place is not None]
    known = [(item.region.quad, item.place) for item in ordered if item.place is not None]
    for item in pairs:
        if item.place is not None:
            continue
        place = place_in_grid(item.region.quad, known)
        later = (i for i, other in enumerate(ordered) if (other.place or place) > place)
        ordered.insert(next(later, len(ordered)), replace(item, place=place))
        known.append((item.region.quad, place))
    return ordered


def _with_twice(item: _Item, times: int) -> _Item:
    """Return a pair doubted for a code that stands on the sheet twice exactly if it does."""
    twice = twice_on_sheet(item.symbol.payload if item.symbol is not None else "")
    doubts = tuple(doubt for doubt in item.region.doubts if doubt != twice)
    doubts = (*doubts, twice) if times > 1 else doubts
    return replace(item, region=replace(item.region, doubts=doubts))


def _pair(item: _Item) -> Pair:
    symbol, (row, column) = item.symbol, item.place or (0, 0)
    if symbol is None:
        raise ValueError("a pair has a code")
    return Pair(
        code=symbol.payload,
        symbology=symbol.symbology,
        row=row,
        column=column,
        picture_quad=item.region.quad,
        symbol_quad=symbol.quad,
        confidence=symbol.confidence,
        doubts=item.region.doubts,
        page=item.region.page,
    )
