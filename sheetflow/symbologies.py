"""The kinds of code: their names, and what people call them. Light, for settings and forms."""

from __future__ import annotations

import re

SYMBOLOGIES = (
    "EAN-13",
    "EAN-8",
    "UPC-A",
    "UPC-E",
    "ITF",
    "Code 128",
    "Code 39",
    "QR",
    "DataMatrix",
    "PDF417",
    "Aztec",
)
"""The kinds that a code may have, as `Symbol.symbology` spells them."""

RETAIL_SYMBOLOGIES = ("EAN-13", "EAN-8", "UPC-A", "UPC-E", "Code 128", "Code 39", "ITF", "QR")
"""What is looked for unless the caller says otherwise."""

_ALIASES = {"itf14": "ITF", "gtin13": "EAN-13"}


class UnknownSymbology(ValueError):
    """There is no such kind of code; the text says which there are."""


def named_symbology(name: str) -> str:
    """Return the kind that is meant, in our spelling.

    Raises:
        UnknownSymbology: There is no such kind.
    """
    plain = _plain(name)
    known = {_plain(symbology): symbology for symbology in SYMBOLOGIES} | _ALIASES
    if plain not in known:
        kinds = ", ".join(SYMBOLOGIES)
        raise UnknownSymbology(f"there is no kind of code {name!r}: it is one of {kinds}")
    return known[plain]


def has_valid_check_digit(digits: str) -> bool:
    """Tell whether the last digit of a GTIN (8, 12, 13 or 14 digits) is the check digit."""
    if not (digits.isascii() and digits.isdigit()):
        return False
    weighted = sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(reversed(digits)))
    return weighted % 10 == 0


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
