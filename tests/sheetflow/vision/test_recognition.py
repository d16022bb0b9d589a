from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray

from sheetflow.reading import SheetReading
from sheetflow.vision import recognition
from sheetflow.vision.barcodes import decode_symbols
from sheetflow.vision.geometry import Box, Quad, box_around, move_quad, overlap, turning
from sheetflow.vision.images import SheetImage
from sheetflow.vision.recognition import RecognitionSettings, read_sheet

Pixels = NDArray[np.uint8]
CELL_W, CELL_H = 400, 330
WIDTH, HEIGHT = 1400, 1900


def code_of(index: int) -> str:
    body = f"400638{index:06d}"
    weighted = sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(body))
    return f"{body}{-weighted % 10}"


@dataclass
class Drawn:
    """A drawn sheet and its truth: the cells' codes and picture boxes, by index."""

    rows: int = 4
    columns: int = 3
    side: str = "below"
    framed: bool = False
    no_code: set[int] = field(default_factory=set)
    no_picture: set[int] = field(default_factory=set)
    twins: set[int] = field(default_factory=set)
    header_code: bool = False
    boxes: dict[int, Box] = field(default_factory=dict)

    def image(self) -> Pixels:
        page = np.full((HEIGHT, WIDTH, 3), 250, np.uint8)
        cv2.putText(page, "Price list 2026", (80, 110), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20,) * 3, 2)
        if self.header_code:
            self._print_code(page, "LIST-1656", 1000, 30)
        for index in range(self.rows * self.columns):
            self._cell(page, index)
        return page

    def _cell(self, page: Pixels, index: int) -> None:
        left = 80 + (CELL_W + 20) * (index % self.columns)
        top = 170 + (CELL_H + 20) * (index // self.columns)
        if self.framed:
            corner = (left + CELL_W, top + CELL_H)
            cv2.rectangle(page, (left, top), corner, (120, 120, 120), 3)
        (px, py), (cx, cy) = {
            "below": ((110, 20), (60, 215)),
            "above": ((110, 130), (60, 15)),
            "right": ((15, 60), (175, 40)),
            "left": ((240, 60), (20, 40)),
        }[self.side]
        if index not in self.no_picture:
            self._picture(page, index, left + px, top + py)
        if index not in self.no_code:
            text = code_of(0 if index in self.twins else index)
            self._print_code(page, text, left + cx, top + cy)

    def _picture(self, page: Pixels, index: int, left: int, top: int) -> None:
        width, height = 150 - 7 * (index % 3), 180 - 11 * (index % 4)
        self.boxes[index] = Box(left - 0.5, top - 0.5, width, height)
        hue = np.uint8([[[(index * 29) % 180, 170, 150]]])
        page[top : top + height, left : left + width] = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0]
        cv2.circle(page, (left + width // 2, top + height // 2), 35, (240, 220, 40), -1)

    def _print_code(self, page: Pixels, text: str, left: int, top: int) -> None:
        kind = zxingcpp.BarcodeFormat.EAN13 if text.isdigit() else zxingcpp.BarcodeFormat.Code128
        bars = np.asarray(zxingcpp.create_barcode(text, kind).to_image(scale=2))[20:90]
        bars = bars[:, np.flatnonzero(bars.min(axis=0) < 128)[0] :]
        page[top : top + bars.shape[0], left : left + bars.shape[1]] = bars[..., None]

    def read(self) -> SheetReading:
        return read_sheet(SheetImage.from_rgb(self.image()))


def check(drawn: Drawn, reading: SheetReading, matrix: NDArray[np.float64] | None = None) -> None:
    """Assert that each complete cell is a pair with its own picture, and nothing else is."""
    whole = [i for i in drawn.boxes if i not in drawn.no_code]
    assert len(reading.pairs) == len(whole)
    for pair in reading.pairs:
        index = next(i for i in whole if code_of(i) == pair.code)
        quad: Quad = drawn.boxes[index].quad()
        quad = move_quad(quad, matrix) if matrix is not None else quad
        assert overlap(box_around(quad), box_around(pair.picture_quad)) > 0.85
        assert (pair.row, pair.column) == divmod(index, drawn.columns)


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("side", ["below", "above", "left", "right"])
def test_a_full_sheet_is_read_without_a_doubt(side: str, framed: bool) -> None:
    drawn = Drawn(side=side, framed=framed)
    reading = drawn.read()
    check(drawn, reading)
    assert not reading.needs_review


@pytest.mark.parametrize("framed", [False, True])
def test_what_is_missing_shifts_nothing_and_is_named(framed: bool) -> None:
    drawn = Drawn(framed=framed, no_code={4}, no_picture={7})
    reading = drawn.read()
    check(drawn, reading)
    assert len(reading.unpaired_pictures) == 1
    assert [symbol.payload for symbol in reading.unpaired_symbols] == [code_of(7)]
    assert any("row 2, column 2" in doubt for doubt in reading.doubts)
    assert any(code_of(7) in doubt for doubt in reading.doubts)
    assert len(reading.certain_pairs) == 10


def test_a_code_that_stands_twice_is_doubted_on_both_pairs_and_no_other() -> None:
    reading = Drawn(twins={5}).read()
    doubted = [pair for pair in reading.pairs if pair.doubts]
    assert [pair.code for pair in doubted] == [code_of(0)] * 2
    assert len(reading.certain_pairs) == 10


def test_a_code_in_the_header_is_a_discard_without_a_doubt() -> None:
    drawn = Drawn(header_code=True)
    reading = drawn.read()
    check(drawn, reading)
    assert not reading.needs_review
    assert any("outside of the grid" in discard.reason for discard in reading.discards)


@pytest.mark.parametrize("angle", [-4.0, 2.5, 90.0, 180.0, 270.0])
def test_skew_and_quarter_turns_are_taken_out(angle: float) -> None:
    drawn = Drawn(framed=True)
    page = drawn.image()
    side = 2400
    matrix = turning(angle, (side / 2, side / 2)) @ np.array(
        [[1, 0, (side - WIDTH) / 2], [0, 1, (side - HEIGHT) / 2], [0, 0, 1]]
    )
    turned = cv2.warpPerspective(page, matrix, (side, side), borderValue=(250, 250, 250))
    check(drawn, read_sheet(SheetImage.from_rgb(np.asarray(turned, np.uint8))), matrix)


def test_a_photograph_of_a_sheet_on_a_desk_is_read() -> None:
    drawn = Drawn()
    corners = np.float32([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
    seen = np.float32([[180, 210], [1560, 140], [1640, 2120], [120, 2060]])
    matrix = np.asarray(cv2.getPerspectiveTransform(corners, seen), np.float64)
    desk = np.random.default_rng(4).normal((96, 70, 48), 5, (2250, 1800, 3)).clip(0, 255)
    photo = cv2.warpPerspective(
        drawn.image(),
        matrix,
        (1800, 2250),
        desk.astype(np.uint8),
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    check(drawn, read_sheet(SheetImage.from_rgb(np.asarray(photo, np.uint8))), matrix)


def test_a_sheet_of_one_cell_is_read() -> None:
    drawn = Drawn(rows=1, columns=1)
    check(drawn, drawn.read())


def test_a_code_in_the_header_above_the_only_cell_is_no_doubt() -> None:
    page = np.full((1400, 1000, 3), 250, np.uint8)
    cv2.rectangle(page, (60, 130), (940, 290), (120, 120, 120), 2)
    page[310:1280, 60:920] = (150, 140, 90)
    cv2.circle(page, (490, 790), 300, (70, 90, 60), -1)
    label = np.asarray(
        zxingcpp.create_barcode(code_of(1), zxingcpp.BarcodeFormat.EAN13).to_image(scale=2)
    )[20:90]
    page[200:270, 400 : 400 + label.shape[1]] = label[..., None]
    qr = zxingcpp.create_barcode("CATALOGUE-7", zxingcpp.BarcodeFormat.QRCode).to_image(scale=3)
    qr = np.asarray(qr)
    page[30 : 30 + qr.shape[0], 850 : 850 + qr.shape[1]] = qr[..., None]
    reading = read_sheet(SheetImage.from_rgb(page))
    assert [pair.code for pair in reading.pairs] == [code_of(1)]
    assert reading.doubts == ()


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (40, 40), (1200, 900)])
def test_a_sheet_that_shows_nothing_has_no_pair_and_says_so(shape: tuple[int, int]) -> None:
    reading = read_sheet(SheetImage.from_rgb(np.full((*shape, 3), 255, np.uint8)))
    assert reading.pairs == ()
    assert reading.needs_review


def test_bare_paper_is_told_from_a_dark_page_that_shows_nothing() -> None:
    for level, told in ((250, "the sheet shows nothing"), (0, "no pair was found on the sheet")):
        reading = read_sheet(SheetImage.from_rgb(np.full((900, 700, 3), level, np.uint8)))
        assert reading.sheet_doubts == (told,)


def test_another_number_of_pairs_than_expected_is_a_doubt() -> None:
    image = SheetImage.from_rgb(Drawn().image())
    assert not read_sheet(image, RecognitionSettings(expected_pairs=12)).needs_review
    assert read_sheet(image, RecognitionSettings(expected_pairs=13)).needs_review


@pytest.mark.parametrize("framed", [False, True])
def test_what_a_caller_knows_is_held_against_the_sheet(framed: bool) -> None:
    image = SheetImage.from_rgb(Drawn(framed=framed).image())
    known = RecognitionSettings(grid=(4, 3), label_side="below", expected_pairs=12)
    assert not read_sheet(image, known).needs_review
    other_grid = read_sheet(image, replace(known, grid=(6, 2)))
    assert other_grid.sheet_doubts == ("the grid has 4 x 3 rows and columns, 6 x 2 are expected",)
    assert len(other_grid.pairs) == 12
    other_side = read_sheet(image, replace(known, label_side="above", expected_pairs=None))
    assert not other_side.certain_pairs
    assert any(
        "labels seem to stand below their pictures, not above them" in doubt
        for doubt in other_side.sheet_doubts
    )


def test_only_the_wanted_symbologies_are_read() -> None:
    image = SheetImage.from_rgb(Drawn().image())
    assert read_sheet(image, RecognitionSettings(symbologies=("QR",))).pairs == ()


def test_the_same_sheet_gives_the_same_reading_also_in_threads() -> None:
    image = SheetImage.from_rgb(Drawn(framed=True, no_code={2}).image())
    with ThreadPoolExecutor(3) as pool:
        once, *others = pool.map(read_sheet, [image] * 3)
    assert all(other == once for other in others)
    assert SheetReading.from_json(once.to_json()) == once
    assert replace(once, doubts=()) != once


def test_a_heavy_title_over_a_rule_belongs_to_no_picture() -> None:
    page = Drawn(rows=1, columns=1).image()
    page[:150] = 250
    cv2.putText(page, "NORTHGATE", (190, 80), cv2.FONT_HERSHEY_DUPLEX, 2.2, (200, 40, 30), 9)
    cv2.line(page, (60, 120), (WIDTH - 60, 120), (200, 40, 30), 4)
    drawn = Drawn(rows=1, columns=1)
    drawn.image()
    check(drawn, read_sheet(SheetImage.from_rgb(page)))


def test_edges_that_line_up_in_pictures_are_no_frames() -> None:
    drawn = Drawn(framed=True)
    page = drawn.image()
    for box in drawn.boxes.values():
        left, top, right, bottom = box.pixel_edges(page.shape)
        page[top:bottom, left - 90 : right + 90] = (190, 180, 160)
        page[bottom - 70 : bottom, left - 90 : right + 90] = (120, 100, 80)
        page[bottom - 70 : bottom - 66, left - 90 : right + 90] = (60, 50, 40)
    reading = read_sheet(SheetImage.from_rgb(page))
    assert len(reading.pairs) == 12
    for pair in reading.pairs:
        index = pair.row * drawn.columns + pair.column
        box = drawn.boxes[index]
        wide = Box(box.left - 90, box.top, box.width + 180, box.height)
        assert overlap(wide, box_around(pair.picture_quad)) > 0.85


def test_several_pictures_beside_the_only_code_are_doubted() -> None:
    drawn = Drawn(no_code={1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
    assert drawn.read().needs_review


def test_the_edge_of_the_page_on_a_scan_is_no_frame_around_all_codes() -> None:
    sheet = Drawn(rows=2, columns=3)
    page = sheet.image()
    scan = np.full((HEIGHT + 60, WIDTH + 60, 3), 236, np.uint8)
    scan[30:-30, 30:-30] = page
    reading = read_sheet(SheetImage.from_rgb(scan))
    assert len(reading.pairs) == 6
    assert not reading.doubts


def test_matrix_codes_that_were_missed_are_found_by_the_size_of_one_that_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = np.full((1200, 1000, 3), 250, np.uint8)
    for index in range(6):
        left, top = 80 + 300 * (index % 3), 80 + 520 * (index // 3)
        page[top : top + 220, left : left + 180] = (40 + 30 * index, 90, 160)
        code = zxingcpp.create_barcode(
            f"https://shop.example/p/{index}", zxingcpp.BarcodeFormat.QRCode
        )
        modules = np.asarray(code.to_image(scale=4))
        height, width = modules.shape
        page[top + 240 : top + 240 + height, left : left + width] = modules[..., None]
    monkeypatch.setattr(recognition, "decode_symbols", lambda *a, **k: decode_symbols(*a, **k)[:1])
    reading = read_sheet(SheetImage.from_rgb(page))
    assert sorted(pair.code[-1] for pair in reading.pairs) == list("012345")
    assert not reading.doubts


def test_a_small_code_on_a_picture_that_it_parts_makes_no_row_of_the_grid() -> None:
    drawn = Drawn(rows=4, columns=1, side="below")
    page = drawn.image()
    box = drawn.boxes[2]
    bars = np.asarray(
        zxingcpp.create_barcode("LOT748", zxingcpp.BarcodeFormat.Code128).to_image(scale=1)
    )[10:30]
    left, top = int(box.left) + 10, int(box.top) + 80
    page[top - 5 : top + 25, left - 8 : left + bars.shape[1] + 8] = 255
    page[top : top + bars.shape[0], left : left + bars.shape[1]] = bars[..., None]
    check(drawn, read_sheet(SheetImage.from_rgb(page)))


def test_a_large_thing_outside_of_the_frames_makes_no_labels_of_them() -> None:
    drawn = Drawn(rows=3, framed=True)
    page = drawn.image()
    cv2.circle(page, (700, 1530), 290, (60, 90, 70), -1)
    check(drawn, read_sheet(SheetImage.from_rgb(page)))


def test_a_page_on_a_desk_hardly_darker_is_brought_upright() -> None:
    drawn = Drawn(rows=4)
    corners = np.array([(160, 120), (1730, 60), (1850, 2190), (70, 2280)], np.float32)
    source = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32)
    matrix = cv2.getPerspectiveTransform(source, corners)
    desk = np.full((2400, 1950, 3), 236, np.uint8)
    page = cv2.warpPerspective(
        drawn.image(), matrix, (1950, 2400), dst=desk, borderMode=cv2.BORDER_TRANSPARENT
    )
    light = np.linspace(1.0, 0.8, 1950)[None, :, None]
    reading = read_sheet(SheetImage.from_rgb(np.asarray(page * light, np.uint8)))
    check(drawn, reading, np.asarray(matrix, np.float64))


def test_a_headers_code_that_is_the_only_one_is_doubted() -> None:
    drawn = Drawn(rows=1, columns=1, no_code={0}, header_code=True)
    page = drawn.image()
    cv2.line(page, (60, 135), (1340, 135), (60, 60, 60), 4)
    reading = read_sheet(SheetImage.from_rgb(page))
    assert any("header or footer" in doubt for doubt in reading.sheet_doubts)


@pytest.mark.parametrize("is_label", [True, False])
def test_a_code_in_line_beyond_the_grid_is_listed_if_it_has_the_words_of_a_label(
    is_label: bool,
) -> None:
    drawn = Drawn(rows=4, columns=1, side="left", no_picture={0})
    page = drawn.image()
    for index in range(0 if is_label else 1, 4):
        top = 210 + (CELL_H + 20) * index
        for words, baseline in (("Kettle, red", top - 10), ("$ 12.50", top + 95)):
            place = (110, baseline)
            cv2.putText(page, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (60,) * 3, 1)
    reading = read_sheet(SheetImage.from_rgb(page))
    listed = {symbol.payload for symbol in reading.unpaired_symbols}
    discards = [discard.reason for discard in reading.discards]
    assert listed == ({code_of(0)} if is_label else set())
    assert ("a code outside of the grid" in discards) is not is_label
    assert any(code_of(0) in doubt for doubt in reading.doubts)
    assert len(reading.pairs) == 3
