"""Pages in a worker: a share of them a call, in order, and none left out."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from sheetflow import pages
from sheetflow.custody.files import digest_bytes
from sheetflow.errors import DigestMismatch, TooManyPages
from sheetflow.pages import PagesDone, ProcessingLimits, cut_pages, read_pages
from sheetflow.processing import _all_pages
from sheetflow.reading import joined
from sheetflow.sheets import Sheet
from sheetflow.vision.recognition import RecognitionSettings
from tests.documents import tiff

LIMITS = ProcessingLimits(max_pixels=10**7, max_file_bytes=10**8, max_symbols=50)


@pytest.fixture
def sheet(tmp_path: Path, drawn) -> Sheet:
    """Three pages; the second is empty."""
    images = [Image.open(io.BytesIO(drawn(seed)[0])).convert("RGB") for seed in (1, 2)]
    images.insert(1, Image.new("RGB", (300, 400), "white"))
    data = tiff([(image, {}) for image in images])
    path = tmp_path / "three.tif"
    path.write_bytes(data)
    return Sheet(path.name, digest_bytes(data), path)


@pytest.mark.parametrize("bound", ["_SHARE_S", "_SHARE_BYTES", None])
def test_pages_are_the_same_in_one_call_or_in_many(sheet: Sheet, drawn, monkeypatch, bound) -> None:
    if bound:
        monkeypatch.setattr(pages, bound, 0)
    calls: list[PagesDone] = []

    def read(first: int) -> PagesDone:
        done = read_pages(sheet, first, recognition=RecognitionSettings(), limits=LIMITS)
        calls.append(done)
        return done

    works = _all_pages(read)
    reading = joined([work.reading for work in works])
    # A share of no bytes ends with the first page that has crops.
    assert len(calls) == {"_SHARE_S": 3, "_SHARE_BYTES": 2, None: 1}[bound]
    codes = [[item["code"]["text"] for item in drawn(seed)[1]["items"]] for seed in (1, 2)]
    assert [(pair.page, pair.code) for pair in reading.pairs] == [
        (page, code) for page, of_page in zip((1, 3), codes, strict=True) for code in of_page
    ]
    assert not reading.needs_review
    crops = [crop for work in works for crop in work.crops]
    again = _all_pages(lambda first: cut_pages(sheet, first, reading=reading, limits=LIMITS))
    assert [crop for work in again for crop in work.crops] == crops
    assert len(crops) == len(reading.pairs)


def test_a_file_of_too_many_pages_or_other_bytes_is_not_read(sheet: Sheet) -> None:
    known = RecognitionSettings()
    few = ProcessingLimits(max_pixels=10**7, max_file_bytes=10**8, max_symbols=50, max_pages=2)
    with pytest.raises(TooManyPages):
        read_pages(sheet, 1, recognition=known, limits=few)
    sheet.path.write_bytes(sheet.path.read_bytes() + b"1")
    with pytest.raises(DigestMismatch):
        read_pages(sheet, 1, recognition=known, limits=LIMITS)
