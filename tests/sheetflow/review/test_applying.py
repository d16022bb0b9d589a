from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sheetflow.reading import SheetReading, joined
from sheetflow.regions import Kind, regions_of
from sheetflow.review.applying import apply
from sheetflow.review.decisions import Action, Decision, Mark, Review, Verdict
from sheetflow.vision.geometry import Quad, box_around
from tests.sheetflow.review.readings import bars, code, grid, picture


def mark(reading: SheetReading, number: int) -> Mark:
    return Mark.of(regions_of(reading)[number - 1])


def accept(reading: SheetReading, number: int) -> Decision:
    return Decision(Action.ACCEPT, mark(reading, number), code=reading.pairs[number - 1].code)


def mark_of_code(reading: SheetReading, number: int) -> Mark:
    region = regions_of(reading)[number - 1]
    return Mark(region.kind, number, region.symbol.quad)


def assign(reading: SheetReading, number: int, source: int) -> Decision:
    symbol = regions_of(reading)[source - 1].symbol
    partner = mark_of_code(reading, source)
    return Decision(Action.ASSIGN, mark(reading, number), partner, symbol.payload, "EAN-13")


def test_an_accepted_pair_stays_as_it_was_and_is_doubted_no_more() -> None:
    reading = grid(doubted=(5,))
    reviewed = apply(reading, [accept(reading, 6)])
    assert reviewed.doubts == ()
    assert reviewed.pairs[5] == replace(reading.pairs[5], doubts=())
    assert reviewed.pairs[:5] + reviewed.pairs[6:] == reading.pairs[:5] + reading.pairs[6:]


def test_a_typed_code_makes_a_pair_at_its_place_in_the_grid() -> None:
    reading = grid(without_code=(6,))
    typed = Decision(Action.CODE, mark(reading, 12), code=code(77), symbology="EAN-13")
    reviewed = apply(reading, [typed])
    assert [pair.code for pair in reviewed.pairs] == [
        code(77 if index == 6 else index) for index in range(12)
    ]
    new = reviewed.pairs[6]
    assert (new.row, new.column, new.picture_quad) == (1, 2, picture(1, 2))
    assert reviewed.doubts == reviewed.unpaired_pictures == ()


def two_pages() -> SheetReading:
    """Two pages alike but for their codes, and each lacks one, at the same place."""
    pages = [grid(without_code=(6,)), grid(without_code=(6,))]
    renamed = [
        replace(pair, code=code(int(pair.row * 4 + 40 + pair.column))) for pair in pages[1].pairs
    ]
    return joined([pages[0], replace(pages[1], pairs=tuple(renamed))])


def test_a_decision_about_one_page_leaves_the_same_place_on_another_alone() -> None:
    reading = two_pages()
    lonely = next(it for it in regions_of(reading) if it.kind is Kind.PICTURE and it.page == 2)
    typed = Decision(Action.CODE, Mark.of(lonely), code=code(77), symbology="EAN-13")
    reviewed = apply(reading, [typed])
    (new,) = [pair for pair in reviewed.pairs if pair.code == code(77)]
    assert (new.page, new.picture_quad) == (2, lonely.quad)
    assert (new.row, new.column) == divmod(6, 4)
    assert [pair.page for pair in reviewed.pairs] == [1] * 11 + [2] * 12
    assert [picture.page for picture in reviewed.unpaired_pictures] == [1]
    assert reviewed.doubts == (
        f"{regions_of(reading)[22].label}: the picture has no readable code",
    )
    assert reviewed.page_sizes_px == reading.page_sizes_px
    kept = Review("1", "now", "Ada", Verdict.SETTLED, (typed,))
    assert Review.from_json(kept.to_json()).decisions == (typed,)


def test_a_code_of_another_page_stands_where_its_picture_does() -> None:
    reading = two_pages()
    lonely = next(it for it in regions_of(reading) if it.kind is Kind.PICTURE and it.page == 2)
    owner = regions_of(reading)[0]
    partner = Mark(owner.kind, owner.number, owner.symbol.quad, owner.page)
    given = Decision(Action.ASSIGN, Mark.of(lonely), partner, owner.symbol.payload, "EAN-13")
    reviewed = apply(reading, [given])
    (pair,) = [pair for pair in reviewed.pairs if pair.code == owner.symbol.payload]
    assert (pair.page, pair.symbol_quad) == (2, lonely.quad)
    assert {picture.page for picture in reviewed.unpaired_pictures} == {1}


def test_a_corrected_code_keeps_its_picture_and_its_place() -> None:
    reading = grid(doubted=(2,))
    typed = Decision(Action.CODE, mark(reading, 3), code=code(88), symbology="EAN-13")
    changed = apply(reading, [typed]).pairs[2]
    assert changed == replace(reading.pairs[2], code=code(88), doubts=(), confidence=1.0)


def test_two_codes_that_were_swapped_are_swapped_back() -> None:
    reading = grid(doubted=(0, 1))
    reviewed = apply(reading, [assign(reading, 1, 2), assign(reading, 2, 1)])
    assert [pair.code for pair in reviewed.pairs[:3]] == [code(1), code(0), code(2)]
    assert [pair.picture_quad for pair in reviewed.pairs[:2]] == [picture(0, 0), picture(0, 1)]
    assert reviewed.doubts == ()


def test_a_picture_taken_from_a_pair_leaves_its_code_in_doubt() -> None:
    reading = grid(without_picture=(3,))
    reviewed = apply(reading, [assign(reading, 1, 12)])
    assert reviewed.pairs[0].code == code(3)
    assert [symbol.payload for symbol in reviewed.unpaired_symbols] == [code(0)]
    assert "the code has no picture" in reviewed.doubts[0]


def test_what_was_discarded_wrongly_can_be_a_picture_all_the_same() -> None:
    reading = grid(without_picture=(0,))
    reading = replace(
        reading,
        discards=(replace(reading.discards[0], quad=picture(0, 0), reason="a placeholder"),),
    )
    reviewed = apply(reading, [assign(reading, 13, 12)])
    assert reviewed.doubts == reviewed.discards == ()
    assert (reviewed.pairs[0].row, reviewed.pairs[0].column) == (0, 0)


def test_a_discarded_pair_gives_up_picture_and_code() -> None:
    reading = grid(doubted=(4,))
    reviewed = apply(reading, [Decision(Action.DISCARD, mark(reading, 5), reason="a logo")])
    assert code(4) not in {pair.code for pair in reviewed.pairs}
    gone = {discard.quad: discard.reason for discard in reviewed.discards}
    assert gone[picture(1, 0)] == gone[bars(1, 0)] == "a logo"


def test_a_code_twice_is_doubted_until_one_of_the_two_is_gone() -> None:
    reading = grid(twice=(1, 7))
    both = apply(reading, [accept(reading, 2), accept(reading, 8)])
    assert len(both.doubts) == 2
    one = apply(
        reading, [accept(reading, 2), Decision(Action.DISCARD, mark(reading, 8), reason="again")]
    )
    assert one.doubts == ()


def test_a_sheet_without_a_pair_stays_in_doubt() -> None:
    reading = grid(1, 1, doubted=(0,))
    reviewed = apply(reading, [Decision(Action.DISCARD, mark(reading, 1), reason="a logo")])
    assert reviewed.doubts == ("no pair is left on the sheet",)


def test_only_the_doubts_that_the_person_saw_are_settled_for_the_sheet_as_a_whole() -> None:
    reading = grid(sheet_doubts=("pictures stand outside of the grid: 1",))
    complete = Decision(Action.COMPLETE, settles=reading.sheet_doubts)
    assert apply(reading, [complete]).doubts == ()
    later = grid(sheet_doubts=("11 pairs were found, 12 are expected",))
    assert apply(later, [complete]).doubts == later.sheet_doubts


def test_a_decision_that_fits_nothing_is_told() -> None:
    reading = grid(without_code=(6,))
    typed = Decision(Action.CODE, mark(reading, 12), code=code(77), symbology="EAN-13")
    elsewhere = grid(1, 4)
    (doubt,) = apply(elsewhere, [typed]).doubts
    assert "fits nothing any more" in doubt
    assert code(77) in doubt


def test_an_accepted_pair_that_now_reads_otherwise_is_not_accepted() -> None:
    reading = grid(doubted=(5,))
    other = replace(reading.pairs[5], code=code(99))
    later = replace(reading, pairs=(*reading.pairs[:5], other, *reading.pairs[6:]))
    doubts = apply(later, [accept(reading, 6)]).doubts
    assert any("fits nothing any more" in doubt for doubt in doubts)
    assert any("read with doubt" in doubt for doubt in doubts)


def test_a_review_comes_back_from_json_as_it_was() -> None:
    reading = grid(without_picture=(3,), doubted=(1,))
    decisions = (accept(reading, 2), assign(reading, 1, 12), Decision(Action.COMPLETE))
    review = Review("a", "2026-11-01T10:00:00.000+00:00", "Ada", Verdict.SETTLED, decisions)
    assert Review.from_json(review.to_json()) == review


OUTCOMES = ("as it is", "no code", "no picture", "doubted")


@st.composite
def readings(draw: st.DrawFn) -> SheetReading:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    fates = draw(
        st.lists(st.sampled_from(OUTCOMES), min_size=rows * columns, max_size=rows * columns)
    )
    at = {fate: tuple(i for i, own in enumerate(fates) if own == fate) for fate in OUTCOMES}
    return grid(
        rows,
        columns,
        without_code=at["no code"],
        without_picture=at["no picture"],
        doubted=at["doubted"],
    )


@st.composite
def decisions_about(draw: st.DrawFn, reading: SheetReading) -> list[Decision]:
    """Decisions about some regions, at most one each."""
    regions = regions_of(reading)
    symbols = [region.number for region in regions if region.symbol is not None]
    decisions = []
    for region in regions:
        match draw(st.integers(0, 5)):
            case 1 if region.kind is Kind.PAIR:
                decisions.append(accept(reading, region.number))
            case 2 if region.kind is not Kind.CODE:
                typed = code(1000 + region.number)
                decisions.append(Decision(Action.CODE, Mark.of(region), None, typed, "EAN-13"))
            case 3 if symbols and region.kind is not Kind.CODE:
                source = symbols.pop(draw(st.integers(0, len(symbols) - 1)))
                decisions.append(assign(reading, region.number, source))
            case 4:
                decisions.append(Decision(Action.DISCARD, Mark.of(region), reason="not sold"))
    return decisions


def shown(reading: SheetReading) -> Counter[Quad]:
    """Every picture and discard on a sheet, wherever it stands in the reading, by its quad."""
    quads = [pair.picture_quad for pair in reading.pairs]
    quads += [
        *(it.quad for it in reading.unpaired_pictures),
        *(discard.quad for discard in reading.discards),
    ]
    return Counter(quads)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_decisions_never_lose_or_shift_what_they_do_not_speak_of(data: st.DataObject) -> None:
    reading = data.draw(readings())
    decisions = data.draw(decisions_about(reading))
    reviewed = apply(reading, decisions)
    spoken = {mark.quad for d in decisions for mark in (d.region, d.partner) if mark is not None}
    untouched = [
        pair for pair in reading.pairs if not {pair.picture_quad, pair.symbol_quad} & spoken
    ]
    assert [pair for pair in reviewed.pairs if pair in untouched] == untouched
    pictures = [picture for pair in reviewed.pairs for picture in [pair.picture_quad]]
    assert len(set(pictures)) == len(pictures)
    assert set(shown(reading)) <= set(shown(reviewed)), "a picture has vanished"
    before = {pair.symbol_quad for pair in reading.pairs}
    before |= {symbol.quad for symbol in reading.unpaired_symbols}
    typed = {d.region.quad for d in decisions if d.action is Action.CODE and d.region}
    after = {pair.symbol_quad for pair in reviewed.pairs}
    after |= {symbol.quad for symbol in reviewed.unpaired_symbols}
    after |= {discard.quad for discard in reviewed.discards}
    assert before <= after | typed, "a code has vanished"


def jittered(quad: Quad, dice: Random) -> Quad:
    """The quad as another version may find it: a few pixels off at each corner."""
    a, b, c, d = ((x + dice.randint(-5, 5), y + dice.randint(-5, 5)) for x, y in quad)
    return (a, b, c, d)


def reread(reading: SheetReading, dice: Random) -> SheetReading:
    """The same sheet read by another version: every quad a little off."""
    return replace(
        reading,
        pairs=tuple(
            replace(
                pair,
                picture_quad=jittered(pair.picture_quad, dice),
                symbol_quad=jittered(pair.symbol_quad, dice),
            )
            for pair in reading.pairs
        ),
        unpaired_pictures=tuple(
            replace(picture, quad=jittered(picture.quad, dice))
            for picture in reading.unpaired_pictures
        ),
        unpaired_symbols=tuple(
            replace(symbol, quad=jittered(symbol.quad, dice)) for symbol in reading.unpaired_symbols
        ),
        discards=tuple(
            replace(discard, quad=jittered(discard.quad, dice)) for discard in reading.discards
        ),
    )


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(0, 2**32))
def test_decisions_survive_a_new_reading_with_other_corners(data: st.DataObject, seed: int) -> None:
    reading = data.draw(readings())
    decisions = data.draw(decisions_about(reading))
    first, second = apply(reading, decisions), apply(reread(reading, Random(seed)), decisions)
    assert first.doubts == second.doubts
    # Row and column of a picture that is new between two rows are a guess; what it shows is not.
    ones, others = (sorted(it.pairs, key=lambda pair: pair.code) for it in (first, second))
    for one, other in zip(ones, others, strict=True):
        assert one.code == other.code
        assert box_around(one.picture_quad).contains(box_around(other.picture_quad).centre)
