from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray

from sheetflow.reading import Symbol
from sheetflow.symbologies import has_valid_check_digit
from sheetflow.vision import barcodes
from sheetflow.vision.barcodes import (
    BELIEVABLE,
    CERTAIN,
    canonical_payload,
    decode_label,
    decode_symbols,
)
from sheetflow.vision.geometry import Box, box_around, overlap, quad_angle

FORMATS = zxingcpp.BarcodeFormat


def printed(text: str, kind: zxingcpp.BarcodeFormat, scale: int = 3) -> NDArray[np.uint8]:
    """Return a code as luminance, with a quiet zone and 40 or so modules of height."""
    bars = np.asarray(zxingcpp.create_barcode(text, kind).to_image(scale=scale))
    return np.asarray(cv2.copyMakeBorder(bars, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255))


CODES = [
    ("EAN-13", FORMATS.EAN13, "4006381333931", "4006381333931"),
    ("EAN-8", FORMATS.EAN8, "96385074", "96385074"),
    ("UPC-A", FORMATS.UPCA, "036000291452", "036000291452"),
    ("Code 128", FORMATS.Code128, "GM-40302", "GM-40302"),
    ("Code 39", FORMATS.Code39, "RL8803", "RL8803"),
    ("ITF", FORMATS.ITF, "12345678901231", "12345678901231"),
    ("QR", FORMATS.QRCode, "https://shop.example/p/1", "https://shop.example/p/1"),
]


@pytest.mark.parametrize(("symbology", "kind", "text", "payload"), CODES)
@pytest.mark.parametrize("quarters", range(4))
def test_each_retail_code_is_read_however_it_is_turned(
    symbology: str, kind: zxingcpp.BarcodeFormat, text: str, payload: str, quarters: int
) -> None:
    page = np.rot90(printed(text, kind), -quarters).copy()
    (symbol,) = decode_symbols(page)
    assert (symbol.payload, symbol.symbology) == (payload, symbology)
    assert symbol.confidence >= CERTAIN
    assert round(quad_angle(symbol.quad) / 90) % 4 == quarters


@pytest.mark.parametrize(
    ("symbology", "kind"),
    [("DataMatrix", FORMATS.DataMatrix), ("PDF417", FORMATS.PDF417), ("Aztec", FORMATS.Aztec)],
)
def test_other_matrix_codes_are_read_on_request_only(
    symbology: str, kind: zxingcpp.BarcodeFormat
) -> None:
    page = printed("SKU-1", kind, scale=4)
    assert decode_label(page) == []
    (symbol,) = decode_label(page, symbologies=(symbology,))
    assert (symbol.payload, symbol.symbology) == ("SKU-1", symbology)


def test_a_quad_surrounds_its_code_on_a_larger_page() -> None:
    page = np.full((900, 1200), 255, np.uint8)
    code = printed("4006381333931", FORMATS.EAN13)
    page[200 : 200 + code.shape[0], 300 : 300 + code.shape[1]] = code
    (symbol,) = decode_symbols(page)
    ink = Box(340, 240, code.shape[1] - 80, code.shape[0] - 80)
    assert overlap(box_around(symbol.quad), ink) > 0.5


def test_symbols_come_from_top_to_bottom_then_left_to_right() -> None:
    first, second, third = (
        printed(text, FORMATS.QRCode, scale=4) for text in ("one", "two", "three")
    )
    above = np.hstack([first, second])
    below = np.full((third.shape[0], above.shape[1]), 255, np.uint8)
    below[:, : third.shape[1]] = third
    payloads = [symbol.payload for symbol in decode_symbols(np.vstack([above, below]))]
    assert payloads == ["one", "two", "three"]


def test_a_upc_a_has_one_spelling_whichever_name_it_was_read_under() -> None:
    assert canonical_payload("0036000291452", "EAN-13") == ("036000291452", "UPC-A")
    assert canonical_payload("036000291452", "UPC-A") == ("036000291452", "UPC-A")
    assert canonical_payload("4006381333931", "EAN-13") == ("4006381333931", "EAN-13")


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("01234505", "012000003455"),
        ("04252614", "042100005264"),
        ("01234531", "012300000451"),
        ("01234543", "012340000053"),
        ("01234565", "012345000065"),
    ],
)
def test_a_upc_e_is_spelled_as_the_upc_a_that_it_abbreviates(short: str, long: str) -> None:
    payload, symbology = canonical_payload(short, "UPC-E")
    assert symbology == "UPC-E"
    assert payload[:-1] == long[:-1]


def test_check_digits_are_checked() -> None:
    assert has_valid_check_digit("4006381333931")
    assert not has_valid_check_digit("4006381333932")
    assert not has_valid_check_digit("4006381333\uff131")


def test_a_qr_code_keeps_its_umlauts() -> None:
    (symbol,) = decode_label(printed("Größe 40", FORMATS.QRCode, scale=4))
    assert symbol.payload == "Größe 40"


def test_two_pairs_of_bars_are_no_short_itf() -> None:
    assert decode_label(printed("1234", FORMATS.ITF)) == []


def test_a_blurred_noisy_label_is_read_with_tries() -> None:
    page = printed("4006381333931", FORMATS.EAN13, scale=2)
    noise = np.random.default_rng(3).normal(0, 6, page.shape)
    worn = cv2.GaussianBlur(page, (0, 0), 0.9) * 0.5 + 60 + noise
    (symbol,) = decode_label(worn.clip(0, 255).astype(np.uint8))
    assert symbol.payload == "4006381333931"


@pytest.mark.parametrize("seed", range(4))
def test_a_qr_code_whose_modules_have_run_into_each_other_is_read_as_a_label(seed: int) -> None:
    sharp = printed("https://shop.example/p/062565", FORMATS.QRCode, scale=20)
    small = cv2.resize(sharp, None, fx=0.09, fy=0.09, interpolation=cv2.INTER_AREA)
    soft = 120 + 0.4 * cv2.GaussianBlur(small, (0, 0), 0.95).astype(np.float32)
    noisy = soft + np.random.default_rng(seed).normal(0, 2, soft.shape)
    label = noisy.clip(0, 255).astype(np.uint8)
    (symbol,) = decode_label(
        cv2.copyMakeBorder(label, 30, 30, 30, 30, cv2.BORDER_REPLICATE),
    )
    assert symbol.payload == "https://shop.example/p/062565"


def test_a_doubtful_read_of_the_ends_of_other_bars_is_dropped_and_others_are_kept() -> None:
    sure = Symbol("4006381333931", "EAN-13", Box(100, 100, 190, 43).quad(), confidence=0.99)
    ends = Symbol("145000007632", "UPC-E", Box(100, 146, 101, 0).quad(), confidence=0.7)
    away = replace(ends, quad=Box(100, 220, 101, 0).quad())
    assert barcodes._one_for_each_place([ends, sure]) == [sure]
    assert barcodes._one_for_each_place([away, sure]) == [sure, away]


def test_nothing_is_read_on_blank_or_tiny_images() -> None:
    for shape in ((1, 1), (5, 200), (200, 200)):
        blank = np.full(shape, 255, np.uint8)
        assert decode_label(blank) == []
        assert decode_symbols(blank) == []


def read_of(payload: str, symbology: str, engine: str, quality: int = 0) -> barcodes._Read:
    quad = Box(0, 0, 100, 40).quad()
    return barcodes._Read(Symbol(payload, symbology, quad), engine, quality)


def test_two_engines_that_agree_are_certain() -> None:
    reads = [
        read_of("4006381333931", "EAN-13", "zxing-cpp"),
        read_of("4006381333931", "EAN-13", "zbar", 30),
    ]
    (symbol,) = barcodes._agreed(reads)
    assert symbol.confidence >= CERTAIN


def test_an_ean_that_the_engines_read_differently_is_not_believed() -> None:
    reads = [
        read_of("4006381333931", "EAN-13", "zxing-cpp"),
        read_of("4006381333948", "EAN-13", "zbar", 30),
    ]
    (symbol,) = barcodes._agreed(reads)
    assert symbol.confidence < BELIEVABLE


def test_zbar_alone_is_believed_by_its_scan_lines() -> None:
    (good,) = barcodes._agreed([read_of("4006381333931", "EAN-13", "zbar", 40)])
    (poor,) = barcodes._agreed([read_of("4006381333931", "EAN-13", "zbar", 6)])
    assert good.confidence >= CERTAIN > BELIEVABLE > poor.confidence


def test_zbar_alone_is_doubted_on_texts_that_are_not_ascii() -> None:
    (symbol,) = barcodes._agreed([read_of("Gr\ufffdße", "QR", "zbar", 1)])
    assert BELIEVABLE <= symbol.confidence < CERTAIN


def test_zbar_gives_its_reads_where_pyzbar_stumbles_over_an_orientation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pyzbar.decode raises ValueError on orientations that it does not know; this door never asks.
    def stumble(_symbol: object) -> int:
        raise ValueError("4294967295 is not a valid ZBarOrientation")

    monkeypatch.setattr(barcodes.zbar, "zbar_symbol_get_orientation", stumble)
    reads = barcodes._zbar_reads(printed("abc", FORMATS.QRCode, scale=4), ("QR",))
    assert [read.symbol.payload for read in reads] == ["abc"]
