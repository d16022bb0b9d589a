"""Bars that spell other digits than engines read from them."""

import numpy as np
import pytest
import zxingcpp

from sheetflow.vision.modules import other_digits

_PX = 4
_QUIET = 10 * _PX


def _profile(digits: str) -> np.ndarray:
    """Return how light a blurred, noisy line through a code's bars is."""
    kinds = {8: zxingcpp.BarcodeFormat.EAN8, 13: zxingcpp.BarcodeFormat.EAN13}
    kind = kinds.get(len(digits), zxingcpp.BarcodeFormat.UPCA)
    row = np.asarray(zxingcpp.create_barcode(digits, kind).to_image(scale=_PX))[20].astype(float)
    bars = np.flatnonzero(row < 128)
    row = np.pad(row[bars[0] : bars[-1] + 1], _QUIET, constant_values=255)
    row = np.convolve(row, np.ones(5) / 5, "same")
    return row * 0.7 + np.random.default_rng(3).normal(40, 12, row.shape)


def _other(printed: str, read: str, *, off: float = 0.0) -> str | None:
    profile = _profile(printed)
    return other_digits(profile, _QUIET + off, len(profile) - _QUIET + off, read)


@pytest.mark.parametrize("digits", ["4006381333931", "023942431015", "12345670"])
@pytest.mark.parametrize("off", [0.0, 3.0])
def test_bars_do_not_contradict_what_they_spell(digits: str, off: float) -> None:
    assert _other(digits, digits, off=off) is None


def test_bars_name_the_printed_number_where_both_engines_read_another() -> None:
    assert _other("023942431015", "9074932437075") == "0023942431015"
    assert _other("12345670", "72345672") == "12345670"


def test_bars_that_spell_nothing_contradict_nothing() -> None:
    noise = np.random.default_rng(4).normal(128, 40, 460)
    assert other_digits(noise, _QUIET, 420, "4006381333931") is None
