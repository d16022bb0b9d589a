import numpy as np
import pytest

from sheetflow.samples.payloads import check_digit, new_payload, printed_digits
from sheetflow.samples.spec import SYMBOLOGIES


@pytest.mark.parametrize(
    "code", ["4006381333931", "73513537", "036000291452", "10012345678902"], ids=len
)
def test_check_digit_agrees_with_published_examples(code):
    assert check_digit(code[:-1]) == code[-1]


@pytest.mark.parametrize(
    ("symbology", "digits"), [("EAN13", 13), ("EAN8", 8), ("UPCA", 12), ("ITF", 14)]
)
def test_made_up_numbers_have_the_right_length_and_check_digit(symbology, digits):
    random = np.random.default_rng(4)
    for _ in range(50):
        text = new_payload(symbology, random, set())
        assert len(text) == digits
        assert check_digit(text[:-1]) == text[-1]


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
def test_no_payload_is_made_twice(symbology):
    random, taken = np.random.default_rng(4), set()
    made = [new_payload(symbology, random, taken) for _ in range(300)]
    assert len(set(made)) == 300
    assert taken == set(made)


@pytest.mark.parametrize(
    ("text", "symbology", "printed"),
    [
        ("4006381333931", "EAN13", "4 006381 333931"),
        ("73513537", "EAN8", "7351 3537"),
        ("036000291452", "UPCA", "0 36000 29145 2"),
        ("MG-20418", "CODE128", "MG-20418"),
    ],
)
def test_digits_are_grouped_as_on_a_package(text, symbology, printed):
    assert printed_digits(text, symbology) == printed
