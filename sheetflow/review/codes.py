"""A code that a person types in: checked by the rules of its kind, and spelled as a read one is."""

from __future__ import annotations

import re
from collections.abc import Callable

from sheetflow import symbologies
from sheetflow.symbologies import SYMBOLOGIES, has_valid_check_digit
from sheetflow.vision.barcodes import canonical_payload

_LONGEST = 4296  # what the largest QR code holds
_CODE_39 = re.compile(r"[0-9A-Z\-. $/+%]+")


class CodeRefused(ValueError):
    """A code that cannot be; the text says why, and what would do."""


def checked_code(text: str, symbology: str | None = None) -> tuple[str, str]:
    """Return (code, symbology) as records spell them.

    Args:
        text: What was typed; blanks around it, and between the digits of a retail code, are not
            part of it.
        symbology: Its kind, in any spelling; None to tell it from the digits, which only retail
            codes allow.

    Raises:
        CodeRefused: It is empty, its check digit is wrong, its kind cannot have it or is unknown.
    """
    text = text.strip()
    if not text:
        raise CodeRefused("the code is empty: type what is printed under the bars")
    if len(text) > _LONGEST:
        raise CodeRefused(f"the code has {len(text)} characters, more than any code can hold")
    digits = re.sub(r"[ \-]", "", text)
    if symbology is None or not symbology.strip():
        return _told_by_its_digits(text, digits)
    kind = named_symbology(symbology)
    spelled = digits if kind in _RULES else text
    problem = _RULES.get(kind, _OTHERS.get(kind, _any_text))(spelled)
    if problem:
        raise CodeRefused(f"{text} is no {kind}: {problem}")
    return canonical_payload(spelled, kind)


def named_symbology(name: str) -> str:
    """Return the kind that is meant, in our spelling.

    Raises:
        CodeRefused: There is no such kind.
    """
    try:
        return symbologies.named_symbology(name)
    except symbologies.UnknownSymbology as error:
        raise CodeRefused(str(error)) from error


def _told_by_its_digits(text: str, digits: str) -> tuple[str, str]:
    kind = {8: "EAN-8", 12: "UPC-A", 13: "EAN-13", 14: "ITF"}.get(len(digits))
    if kind is None or not (digits.isascii() and digits.isdigit()):
        raise CodeRefused(
            f"{text} does not tell its kind: name that too, one of {', '.join(SYMBOLOGIES)}"
        )
    problem = _RULES[kind](digits)
    if problem:
        raise CodeRefused(
            f"{text} is no {kind}: {problem}; if it is of another kind, name that too"
        )
    return canonical_payload(digits, kind)


def _gtin(*lengths: int) -> Callable[[str], str]:
    def problem(digits: str) -> str:
        if not (digits.isascii() and digits.isdigit()) or len(digits) not in lengths:
            return f"that has {' or '.join(map(str, lengths))} digits"
        if not has_valid_check_digit(digits):
            return f"its check digit is wrong; {digits[:-1]} would end with {_check_digit(digits)}"
        return ""

    return problem


def _check_digit(digits: str) -> str:
    return next(d for d in "0123456789" if has_valid_check_digit(digits[:-1] + d))


def _upc_e(digits: str) -> str:
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in (8, 12):
        return "that has 8 digits, or the 12 of the UPC-A that it stands for"
    whole = canonical_payload(digits, "UPC-E")[0]
    return "" if has_valid_check_digit(whole) else "its check digit is wrong"


def _itf(digits: str) -> str:
    if not (digits.isascii() and digits.isdigit()) or len(digits) % 2 or len(digits) < 6:
        return "that has an even number of digits, 6 or more"
    return _gtin(14)(digits) if len(digits) == 14 else ""


def _upc_a(digits: str) -> str:
    problem = _gtin(12, 13)(digits)
    return problem or ("" if len(digits) == 12 or digits[0] == "0" else "that has 12 digits")


def _code_39(text: str) -> str:
    return "" if _CODE_39.fullmatch(text) else "that has capitals, digits and - . $ / + % alone"


def _code_128(text: str) -> str:
    return "" if text.isascii() else "that has characters of ASCII alone"


def _any_text(_text: str) -> str:
    return ""


_RULES: dict[str, Callable[[str], str]] = {
    "EAN-13": _gtin(13),
    "EAN-8": _gtin(8),
    "UPC-A": _upc_a,
    "UPC-E": _upc_e,
    "ITF": _itf,
}
_OTHERS: dict[str, Callable[[str], str]] = {"Code 39": _code_39, "Code 128": _code_128}
