from __future__ import annotations

import json
from dataclasses import replace

from sheetflow.overlays import pages_to_look_at
from sheetflow.reading import BLANK, SheetReading, joined, twice_on_sheet
from sheetflow.records import bounding_box
from sheetflow.regions import Kind, regions_of
from tests.sheetflow.review.readings import code, grid

EMPTY = SheetReading((90, 120), doubts=(BLANK,), sheet_doubts=(BLANK,))


def other(reading: SheetReading, by: int) -> SheetReading:
    """The same page with other codes."""
    number = {code(index): code(index + by) for index in range(40)}
    return replace(
        reading,
        pairs=tuple(replace(pair, code=number[pair.code]) for pair in reading.pairs),
        unpaired_symbols=tuple(
            replace(symbol, payload=number[symbol.payload]) for symbol in reading.unpaired_symbols
        ),
    )


def test_one_page_is_the_sheet() -> None:
    reading = grid(without_code=(1,))
    assert joined([reading]) == reading
    assert [region.page for region in regions_of(reading)] == [None] * len(regions_of(reading))
    assert regions_of(reading)[0].label == "pair 1"


def test_everything_on_several_pages_knows_its_page() -> None:
    first = grid(without_code=(1,))
    second = other(grid(without_picture=(2,), sheet_doubts=("something is odd",)), 20)
    reading = joined([first, EMPTY, second])
    assert reading.page_sizes_px == (first.size_px, (90, 120), second.size_px)
    assert [pair.page for pair in reading.pairs] == [1] * 11 + [3] * 11
    pages = {kind: {it.page for it in regions_of(reading) if it.kind is kind} for kind in Kind}
    assert pages == {Kind.PAIR: {1, 3}, Kind.PICTURE: {1}, Kind.CODE: {3}, Kind.DISCARD: {1, 3}}
    assert regions_of(reading)[0].label == "pair 1 on page 1"
    assert reading.sheet_doubts == ("page 3: something is odd",)
    assert [doubt.partition(": ")[0] for doubt in reading.doubts] == ["page 1", "page 3", "page 3"]
    assert len({region.number for region in regions_of(reading)}) == len(regions_of(reading))
    assert pages_to_look_at(reading) == [1, 3]
    assert SheetReading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


def test_an_empty_page_is_a_doubt_only_where_no_page_shows_a_pair() -> None:
    assert not joined([grid(), EMPTY]).needs_review
    assert joined([EMPTY, EMPTY]).needs_review
    assert pages_to_look_at(joined([grid(), EMPTY])) == [1, 2]


def test_a_code_on_two_pages_stands_on_the_sheet_twice() -> None:
    second = replace(other(grid(), 20), pairs=(grid().pairs[3],))
    reading = joined([grid(), second])
    doubted = [(pair.page, pair.code) for pair in reading.pairs if pair.doubts]
    assert doubted == [(1, code(3)), (2, code(3))]
    assert reading.doubts == (twice_on_sheet(code(3)),)
    assert len(reading.certain_pairs) == 11


def test_boxes_are_in_pixels_of_their_page() -> None:
    reading = joined([grid(), other(grid(), 20)])
    first, second = reading.pairs[0], reading.pairs[12]
    assert bounding_box(first.picture_quad) == bounding_box(second.picture_quad)
    assert (first.page, second.page) == (1, 2)
