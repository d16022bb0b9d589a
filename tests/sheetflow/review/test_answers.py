from __future__ import annotations

import pickle

import pytest

from sheetflow.review.answers import AnswerRefused, Answers, decided
from sheetflow.review.applying import apply
from tests.sheetflow.review.readings import code, grid


def settled(reading, **said):
    """The codes of the sheet after an answer, in order."""
    reviewed = apply(reading, decided(reading, Answers(**said), sheet="a.png"))
    assert reviewed.doubts == ()
    return [pair.code for pair in reviewed.pairs]


def refused(reading, **said) -> str:
    with pytest.raises(AnswerRefused) as caught:
        decided(reading, Answers(**said), sheet="a.png")
    return str(caught.value)


ALL = [code(index) for index in range(12)]


def test_every_doubtful_pair_is_accepted_at_once() -> None:
    assert settled(grid(doubted=(1, 5)), accept_all=True) == ALL


def test_a_picture_gets_the_code_that_was_typed_in() -> None:
    assert settled(grid(without_code=(6,)), codes={12: (code(6), None)}) == ALL


def test_a_picture_gets_a_code_of_the_sheet() -> None:
    reading = grid(without_code=(6,), without_picture=(7,))
    codes = settled(reading, assign={11: 12})
    assert codes == [*ALL[:6], code(7), *ALL[8:]]


def test_a_code_typed_off_the_sheet_is_that_code() -> None:
    reading = grid(without_code=(6,), without_picture=(7,))
    assert settled(reading, codes={11: (code(7), None)}) == [*ALL[:6], code(7), *ALL[8:]]


def test_a_complete_sheet_leaves_out_what_has_no_partner() -> None:
    reading = grid(without_code=(6,), without_picture=(7,), sheet_doubts=("11 are expected",))
    reviewed = apply(reading, decided(reading, Answers(complete=True), sheet="a.png"))
    assert len(reviewed.pairs) == 10
    assert reviewed.doubts == ()
    assert sum("left out" in discard.reason for discard in reviewed.discards) == 2


def test_what_is_left_open_is_told_with_its_number() -> None:
    reading = grid(doubted=(1,), without_code=(6,), sheet_doubts=("11 are expected",))
    told = refused(reading, accept=(2,))
    assert "still open: picture 12: the picture has no readable code" in told
    assert "still open: 11 are expected (say that it is complete, if it is)" in told
    assert "pair 2" not in told


def test_a_code_twice_is_refused_even_if_both_are_accepted() -> None:
    reading = grid(twice=(1, 7))
    assert "stands on the sheet more than once" in refused(reading, accept_all=True)
    assert settled(reading, accept=(2,), discard={8: "shown again"}) == [*ALL[:7], *ALL[8:]]


def test_a_typed_code_that_another_picture_has_is_refused() -> None:
    told = refused(grid(without_code=(6,)), codes={12: (code(3), None)})
    assert "pair 4: the code" in told
    assert "more than once" in told


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"accept": (99,)}, "there is no region 99"),
        ({"codes": {12: ("", None)}}, "picture 12: the code is empty"),
        ({"codes": {12: ("4006381333932", None)}}, "check digit is wrong"),
        ({"codes": {12: (code(77), None)}, "discard": {12: ""}}, "decided about twice"),
        ({"accept": (12,)}, "picture 12 is no pair"),
        ({"discard": {13: ""}}, "discarded already"),
        ({"assign": {12: 13}}, "13 has no code"),
        ({"assign": {12: 1, 2: 1}}, "code 1 is given to 2 pictures"),
        ({}, "still open"),
    ],
)
def test_a_wrong_answer_says_what_is_wrong(said, why) -> None:
    assert why in refused(grid(without_code=(6,)), **said)


def test_everything_that_is_wrong_is_told_at_once_and_names_the_sheet() -> None:
    told = refused(grid(without_code=(6,)), accept=(99,), codes={12: ("12", "EAN-13")})
    assert told.startswith("a.png: ")
    assert "no region 99" in told
    assert "13 digits" in told


def test_a_sheet_without_a_pair_cannot_be_complete() -> None:
    reading = grid(1, 1, without_code=(0,), sheet_doubts=("no pair was found on the sheet",))
    assert "reject the sheet" in refused(reading, complete=True)


def test_answers_are_read_from_json_and_other_shapes_are_refused() -> None:
    value = {"codes": {"3": "123", "4": ["ABC", "Code 39"]}, "discard": {"5": "a logo"}}
    expected = Answers(codes={3: ("123", None), 4: ("ABC", "Code 39")}, discard={5: "a logo"})
    assert Answers.from_json(value) == expected
    for wrong in ({"acept": [1]}, {"codes": [1]}, {"accept": ["x"]}, {"codes": {"1": [1, 2, 3]}}):
        with pytest.raises(ValueError):  # noqa: PT011 - any text will do
            Answers.from_json(wrong)


def test_a_refusal_travels_between_processes() -> None:
    error = AnswerRefused(["one", "two"], sheet="a.png")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
