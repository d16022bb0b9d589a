"""The captured sheets of the recognition benchmark: their truth holds, and they come again."""

from __future__ import annotations

import zxingcpp

from benchmarks.levels import sheets_at
from sheetflow.vision.geometry import box_around, quad_centre
from sheetflow.vision.images import load_image


def test_the_codes_of_a_captured_sheet_stand_where_its_truth_says():
    data, truth, _ = next(sheets_at("office", 3))
    image = load_image(data, sheet=truth["file"])
    assert list(image.size_px) == truth["size"]
    found = [
        (read.text, quad_centre(tuple((corner.x, corner.y) for corner in corners(read.position))))
        for read in zxingcpp.read_barcodes(image.luminance)
    ]
    codes = [item["code"] for item in truth["items"] if item["code"]]
    # One plain pass does not read every code; none that it reads may stand elsewhere.
    read = [code for code in codes if code["text"] in {text for text, _ in found}]
    assert len(read) > len(codes) / 2
    for code in read:
        box = box_around(code["quad"])
        assert any(text == code["text"] and box.contains(at) for text, at in found)


def corners(position):
    return position.top_left, position.top_right, position.bottom_right, position.bottom_left


def test_the_same_seed_gives_the_same_files():
    assert next(sheets_at("scan", 3))[0] == next(sheets_at("scan", 3))[0]
