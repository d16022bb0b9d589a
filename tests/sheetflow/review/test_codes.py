from __future__ import annotations

import pytest

from sheetflow.review.codes import CodeRefused, checked_code


@pytest.mark.parametrize(
    ("typed", "kind", "spelled"),
    [
        ("4006381333931", None, ("4006381333931", "EAN-13")),
        (" 4 006381 333931 ", None, ("4006381333931", "EAN-13")),
        ("0036000291452", None, ("036000291452", "UPC-A")),
        ("0036000291452", "EAN-13", ("036000291452", "UPC-A")),
        ("036000291452", None, ("036000291452", "UPC-A")),
        ("04252614", "upc-e", ("042100005264", "UPC-E")),
        ("73513537", None, ("73513537", "EAN-8")),
        ("15400141288763", None, ("15400141288763", "ITF")),
        ("15400141288763", "ITF-14", ("15400141288763", "ITF")),
        ("123456", "itf", ("123456", "ITF")),
        ("ABC-42", "code39", ("ABC-42", "Code 39")),
        ("abc-42", "Code 128", ("abc-42", "Code 128")),
        ("Größe 42", "qr", ("Größe 42", "QR")),
    ],
)
def test_a_typed_code_is_spelled_as_a_read_one(typed, kind, spelled) -> None:
    assert checked_code(typed, kind) == spelled


@pytest.mark.parametrize(
    ("typed", "kind", "why"),
    [
        ("  ", None, "empty"),
        ("4006381333932", None, "would end with 1"),
        ("4006381333932", "EAN-13", "check digit"),
        ("036000291453", "UPC-A", "check digit"),
        ("04252615", "UPC-E", "check digit"),
        ("15400141288764", "ITF", "check digit"),
        ("12345", "ITF", "even number"),
        ("400638133393", "EAN-13", "13 digits"),
        ("abc", "Code 39", "capitals"),
        ("Größe", "Code 128", "ASCII"),
        ("ABC-42", None, "does not tell its kind"),
        ("4006381333931", "EAN-99", "no kind of code"),
    ],
)
def test_a_code_that_cannot_be_is_refused_with_what_would_do(typed, kind, why) -> None:
    with pytest.raises(CodeRefused, match=why):
        checked_code(typed, kind)
