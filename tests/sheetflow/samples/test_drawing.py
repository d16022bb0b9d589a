"""Drawn sheets are held against an independent reading: zxing-cpp and the pixels themselves."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import save_sheet
from sheetflow.samples.page import HEADER_CODE_TEXT
from sheetflow.samples.spec import MODES_OF_FORMAT, SYMBOLOGIES, SheetSpec

SMALL = SheetSpec(page="A5", rows=2, columns=2, dpi=120)


def small(**settings):
    return SheetSpec(**{"page": "A5", "rows": 2, "columns": 2, "dpi": 120, **settings})


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
def test_every_symbology_reads_back_at_its_place(symbology, assert_codes_read):
    drawn = draw_sheet(small(symbologies=(symbology,), page="A4"))
    assert len(drawn.truth["items"]) == 4
    assert_codes_read(*drawn)


@pytest.mark.parametrize("frame", ["none", "cell", "card", "shade", "label"])
@pytest.mark.parametrize("side", ["below", "above", "right", "left"])
def test_every_layout_keeps_codes_and_pictures_apart(side, frame, assert_codes_read):
    spec = small(label_side=side, frame=frame, symbologies=("EAN8", "QR"), pictures="mixed")
    image, truth = draw_sheet(spec)
    assert_codes_read(image, truth)
    for item in truth["items"]:
        code, picture = item["code"]["box"], item["picture"]["box"]
        label = item["label"]["box"]
        assert {
            "below": picture[3] < code[1],
            "above": code[3] < picture[1],
            "right": picture[2] < code[0],
            "left": code[2] < picture[0],
        }[side]
        assert label[0] <= code[0]
        assert label[1] <= code[1]
        assert label[2] >= code[2]
        assert label[3] >= code[3]


def test_each_codes_own_picture_is_the_nearest():
    for side in ("below", "above", "right", "left"):
        spec = SheetSpec(rows=4, columns=2, dpi=120, label_side=side, symbologies=("EAN13", "QR"))
        truth = draw_sheet(spec).truth
        boxes = np.array([item["picture"]["box"] for item in truth["items"]])
        for item in truth["items"]:
            x0, y0, x1, y1 = item["code"]["box"]
            apart_x = np.maximum(0, np.maximum(boxes[:, 0] - x1, x0 - boxes[:, 2]))
            apart_y = np.maximum(0, np.maximum(boxes[:, 1] - y1, y0 - boxes[:, 3]))
            assert np.hypot(apart_x, apart_y).argmin() == item["index"]


@pytest.mark.parametrize("style", ["cutout", "bleed", "mixed"])
def test_a_pictures_box_is_tight_around_what_shows(style):
    spec = small(page="A4", pictures=style, header=False, footer=False)
    image, truth = draw_sheet(spec)
    dark = np.asarray(image.convert("L")) < 250
    for item in truth["items"]:
        left, top, right, bottom = (int(edge) for edge in item["picture"]["box"])
        reach = 8  # pixels; less than the gap to the label
        around = dark[top - reach : bottom + reach, left - reach : right + reach]
        rows, columns = np.flatnonzero(around.any(1)), np.flatnonzero(around.any(0))
        seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        wanted = (reach, reach, reach + right - left, reach + bottom - top)
        assert np.abs(np.subtract(seen, wanted)).max() <= 3


def test_a_codes_box_is_its_bars_to_the_pixel():
    image, truth = draw_sheet(SMALL)
    dark = np.asarray(image.convert("L")) < 128
    for item in truth["items"]:
        left, top, right, bottom = (int(edge) for edge in item["code"]["box"])
        assert dark[top:bottom, left].all()
        assert dark[top:bottom, right - 1].all()
        assert not dark[top:bottom, left - 8 : left].any()
        assert not dark[top:bottom, right : right + 8].any()
        assert (right - left) % item["code"]["module_px"] == 0


def test_pale_loose_and_coded_pictures_are_in_the_truth(assert_codes_read):
    cells = {"pale": frozenset({0}), "loose": frozenset({1}), "coded_pictures": frozenset({2})}
    drawn = draw_sheet(small(page="A4", dpi=150, align="left", uneven=0.3, **cells))
    assert_codes_read(*drawn)
    assert [item["picture"]["parts"] for item in drawn.truth["items"]] == [1, 3, 1, 1]
    assert [decoy["kind"] for decoy in drawn.truth["decoys"]] == ["picture"]


@pytest.mark.parametrize("skew_deg", [-3.0, 0.7])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_and_skewed_sheets_keep_their_truth(turn, skew_deg, assert_codes_read):
    spec = small(page="A4", turn=turn, skew_deg=skew_deg, symbologies=("EAN13", "QR"))
    assert_codes_read(*draw_sheet(spec))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_quad_starts_at_the_items_own_top_left(turn):
    truth = draw_sheet(small(turn=turn)).truth
    first, second, *_ = truth["items"][0]["code"]["quad"]
    step = (np.sign(second[0] - first[0]), np.sign(second[1] - first[1]))
    assert step == {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[turn]


@pytest.mark.parametrize("scale", [0.75, 1.5])
def test_a_scaled_sheet_keeps_its_truth(scale, assert_codes_read):
    spec = small(page="A4", scale=scale, dpi=220)
    image, truth = draw_sheet(spec)
    assert image.size == tuple(round(edge * scale) for edge in spec.page_size_px)
    assert_codes_read(image, truth)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_by_a_reader(tmp_path, orientation, assert_codes_read):
    spec = small(exif_orientation=orientation, file_format="JPEG", symbologies=("QR",))
    drawn = draw_sheet(spec)
    truth = drawn.truth
    with Image.open(save_sheet(tmp_path, drawn, spec)) as stored:
        assert stored.getexif().get(0x0112, 1) == orientation
        assert list(stored.size) == truth["stored_size"]
        assert list(ImageOps.exif_transpose(stored).size) == truth["size"]
        assert_codes_read(stored, truth)


@pytest.mark.parametrize(
    ("file_format", "mode"),
    [(name, mode) for name, modes in MODES_OF_FORMAT.items() for mode in modes],
)
def test_every_mode_of_every_format_survives_the_file(
    tmp_path, file_format, mode, assert_codes_read
):
    # WebP drops an alpha channel that hides nothing.
    clear = mode == "RGBA"
    spec = small(mode=mode, transparent_paper=clear, file_format=file_format, exif_orientation=6)
    drawn = draw_sheet(spec)
    path = save_sheet(tmp_path, drawn, spec)
    assert path.name == drawn.truth["file"]
    with Image.open(path) as stored:
        assert stored.format == file_format
        assert stored.mode == mode
        assert_codes_read(stored, drawn.truth)


def test_transparent_paper_reads_on_white(assert_codes_read):
    image, truth = draw_sheet(small(mode="RGBA", transparent_paper=True))
    assert image.getpixel((0, 0))[3] == 0
    assert_codes_read(image, truth)


def test_noise_and_blur_leave_the_codes_readable_and_the_truth_alone(assert_codes_read):
    plain = draw_sheet(small(page="A4"))
    rough = draw_sheet(small(page="A4", noise=6, blur_px=0.6, paper=235))
    assert rough.truth["items"] == plain.truth["items"]
    assert_codes_read(*rough)


def test_missing_codes_are_in_neither_picture_nor_truth(assert_codes_read):
    image, truth = draw_sheet(small(missing_codes=frozenset({1})))
    assert truth["items"][1]["code"] is None
    assert truth["items"][1]["picture"] is not None
    assert_codes_read(image, truth)


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
def test_nobody_reads_a_scribbled_code(symbology, assert_codes_read):
    spec = small(page="A4", symbologies=(symbology,), scribbled_codes=frozenset({0, 2, 3}))
    image, truth = draw_sheet(spec)
    assert [item["code"] is None for item in truth["items"]] == [True, False, True, True]
    assert_codes_read(image, truth)


@pytest.mark.parametrize("placeholders", [False, True])
def test_missing_pictures_leave_paper_or_a_placeholder(placeholders, assert_codes_read):
    spec = small(missing_pictures=frozenset({2}), placeholders=placeholders)
    image, truth = draw_sheet(spec)
    assert [item["picture"] is None for item in truth["items"]] == [False, False, True, False]
    boxes = [junk["box"] for junk in truth["junk"] if junk["kind"] == "placeholder"]
    assert len(boxes) == placeholders
    assert_codes_read(image, truth)


def test_empty_cells_show_nothing_and_are_no_items(assert_codes_read):
    image, truth = draw_sheet(small(empty_cells=frozenset({1})))
    assert [(item["index"], item["row"], item["col"]) for item in truth["items"]] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 1, 1),
    ]
    assert_codes_read(image, truth)


def test_duplicates_show_one_code_twice(assert_codes_read):
    image, truth = draw_sheet(small(duplicates=((0, 3),)))
    texts = [item["code"]["text"] for item in truth["items"]]
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3
    assert_codes_read(image, truth)


def test_a_header_code_is_a_readable_decoy(assert_codes_read):
    image, truth = draw_sheet(small(page="A4", header_code=True))
    assert [decoy["text"] for decoy in truth["decoys"]] == [HEADER_CODE_TEXT]
    assert_codes_read(image, truth)


def test_badges_and_texts_are_listed_as_junk():
    truth = draw_sheet(small(badges=frozenset({0, 3}))).truth
    kinds = [junk["kind"] for junk in truth["junk"]]
    assert kinds.count("badge") == 2
    assert kinds.count("caption") == kinds.count("price") == 4
    assert {"header", "footer"} <= set(kinds)


def test_given_payloads_are_printed_in_cell_order(assert_codes_read):
    payloads = ("A-1", "A-2", "A-3", "A-4")
    image, truth = draw_sheet(small(symbologies=("CODE128",), payloads=payloads))
    assert tuple(item["code"]["text"] for item in truth["items"]) == payloads
    assert_codes_read(image, truth)


def test_the_same_spec_gives_the_same_sheet_and_another_seed_another():
    spec = small(pictures="mixed", noise=2.0)
    first, again, other = draw_sheet(spec), draw_sheet(spec), draw_sheet(small(seed=2))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.truth == again.truth
    texts = [{item["code"]["text"] for item in drawn.truth["items"]} for drawn in (first, other)]
    assert not texts[0] & texts[1]
