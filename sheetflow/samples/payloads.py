"""Texts for drawn codes: valid, unlike each other, and nobody's real article."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

_STEMS = ("MG", "TX", "LM", "KT", "HB", "RV", "SN", "PW", "GD", "FX")


def check_digit(digits: str) -> str:
    """Return the modulo-10 check digit of a GTIN without its last digit.

    Source: GS1 General Specifications, 7.9: weights 3 and 1 by turns, 3 for the last digit.
    """
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def new_payload(symbology: str, random: np.random.Generator, taken: set[str]) -> str:
    """Return a valid text for a symbology that is not in `taken`, and add it there."""
    while (text := _MAKERS[symbology](random)) in taken:
        continue
    taken.add(text)
    return text


def printed_digits(text: str, symbology: str) -> str:
    """Return a code's text as printed below the bars, grouped as on a package."""
    if symbology == "EAN13":
        return f"{text[0]} {text[1:7]} {text[7:]}"
    if symbology == "EAN8":
        return f"{text[:4]} {text[4:]}"
    if symbology == "UPCA":
        return f"{text[0]} {text[1:6]} {text[6:11]} {text[11]}"
    return text


def _gtin(prefix: str, digits: int, random: np.random.Generator) -> str:
    body = prefix + _number(digits - len(prefix) - 1, random)
    return body + check_digit(body)


def _number(digits: int, random: np.random.Generator) -> str:
    return "".join(str(digit) for digit in random.integers(0, 10, digits))


def _article(random: np.random.Generator) -> str:
    return f"{_STEMS[random.integers(len(_STEMS))]}-{_number(5, random)}"


# Source: GS1 General Specifications, 1.4.2 and 2.1.11: these prefixes are for numbers that are
# used inside one company, so no drawn code can be taken for a real article.
_MAKERS: Mapping[str, Callable[[np.random.Generator], str]] = {
    "EAN13": lambda random: _gtin("24", 13, random),
    "EAN8": lambda random: _gtin("2", 8, random),
    "UPCA": lambda random: _gtin("4", 12, random),
    "ITF": lambda random: _gtin("124", 14, random),
    "CODE128": _article,
    "CODE39": lambda random: _article(random).replace("-", ""),
    "QR": lambda random: f"https://shop.example/p/{_number(6, random)}",
}
