"""What is known of the sheets, as settings: one spelling for each, and clear refusals."""

from __future__ import annotations

import pytest

from sheetflow.errors import ConfigurationError
from sheetflow.settings import load_settings
from sheetflow.vision.recognition import RecognitionSettings


def test_unset_they_leave_everything_open() -> None:
    assert RecognitionSettings.of(load_settings()) == RecognitionSettings()


def test_every_usual_spelling_is_understood(monkeypatch) -> None:
    monkeypatch.setenv("SHEETFLOW_GRID", " 4 X 3")
    monkeypatch.setenv("SHEETFLOW_LABEL_SIDE", "left")
    monkeypatch.setenv("SHEETFLOW_SYMBOLOGIES", "ean13, code-128,QR ,, EAN-13")
    monkeypatch.setenv("SHEETFLOW_EXPECTED_PAIRS", "12")
    assert RecognitionSettings.of(load_settings()) == RecognitionSettings(
        symbologies=("EAN-13", "Code 128", "QR"),
        grid=(4, 3),
        label_side="left",
        expected_pairs=12,
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"grid": "12"}, "SHEETFLOW_GRID: a grid is ROWSxCOLUMNS, such as 4x3"),
        ({"grid": "0x3"}, "SHEETFLOW_GRID"),
        ({"label_side": "under"}, "SHEETFLOW_LABEL_SIDE: Input should be 'any', 'below'"),
        ({"symbologies": "EAN-13, EAN-14"}, "SHEETFLOW_SYMBOLOGIES: there is no kind.*EAN-14"),
        ({"symbologies": " , "}, "SHEETFLOW_SYMBOLOGIES: name at least one"),
        ({"grid": "2x2", "expected_pairs": 5}, "EXPECTED_PAIRS: a grid of 2x2 cannot hold 5"),
        ({"crop_margin_percent": 60}, "SHEETFLOW_CROP_MARGIN_PERCENT"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        load_settings(**wrong)
