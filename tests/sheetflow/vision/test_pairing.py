from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetflow.vision.geometry import Box
from sheetflow.vision.layout import Cell, Grid, cells_from_anchors, cells_from_frames
from sheetflow.vision.pairing import Item, pair_pictures
from sheetflow.vision.segmentation import Kind, Region

PAGE = Box(0, 0, 1000, 1400)
SIDES = ("below", "above", "left", "right")


def picture(box: Box) -> Region:
    return Region(box, int(box.area), Kind.PICTURE)


class Sheet:
    """A drawn grid of boxes: a picture of 100 by 90 and a code of 90 by 40 in each cell."""

    def __init__(self, rows: int, columns: int, side: str) -> None:
        self.rows, self.columns, self.side = rows, columns, side
        self.pictures = [self._shift(p, self._picture()) for p in self._origins()]
        self.codes = [self._shift(p, self._code()) for p in self._origins()]

    def _origins(self) -> list[tuple[float, float]]:
        return [
            (60 + 230 * column, 120 + 160 * row)
            for row in range(self.rows)
            for column in range(self.columns)
        ]

    def _picture(self) -> Box:
        return {
            "below": Box(40, 5, 100, 80),
            "above": Box(40, 60, 100, 80),
            "right": Box(5, 30, 100, 90),
            "left": Box(105, 30, 100, 90),
        }[self.side]

    def _code(self) -> Box:
        return {
            "below": Box(45, 95, 90, 40),
            "above": Box(45, 5, 90, 40),
            "right": Box(112, 10, 90, 40),
            "left": Box(5, 10, 90, 40),
        }[self.side]

    @staticmethod
    def _shift(place: tuple[float, float], box: Box) -> Box:
        return Box(box.left + place[0], box.top + place[1], box.width, box.height)


def pair(
    sheet: Sheet, no_code: set[int], no_picture: set[int]
) -> tuple[Grid, list[Item], list[int]]:
    """Return the grid, the items, and which cell each remaining code belongs to."""
    kept = [i for i in range(len(sheet.codes)) if i not in no_code]
    codes = [sheet.codes[i] for i in kept]
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i not in no_picture]
    grid = cells_from_anchors(codes, [region.box for region in regions], PAGE)
    items, _ = pair_pictures(grid.cells, codes, regions)
    return grid, items, kept


@pytest.mark.parametrize("side", SIDES)
def test_every_code_of_a_full_grid_gets_its_own_picture(side: str) -> None:
    sheet = Sheet(4, 3, side)
    grid, items, kept = pair(sheet, set(), set())
    assert not grid.is_ambiguous
    assert len(items) == 12
    for item in items:
        assert item.code is not None
        assert item.picture == sheet.pictures[kept[item.code]]


@settings(deadline=None)
@given(st.sampled_from(SIDES), st.data())
def test_what_is_missing_never_shifts_its_neighbours(side: str, data: st.DataObject) -> None:
    sheet = Sheet(data.draw(st.integers(4, 6)), data.draw(st.integers(3, 4)), side)
    cells = range(len(sheet.codes))
    no_code = data.draw(st.sets(st.sampled_from(cells), max_size=2))
    no_picture = data.draw(st.sets(st.sampled_from(cells), max_size=1))
    grid, items, kept = pair(sheet, no_code, no_picture)
    for item in items:
        if item.code is not None and item.picture is not None and not grid.is_ambiguous:
            assert item.picture == sheet.pictures[kept[item.code]]


def test_a_picture_without_a_code_and_a_code_without_a_picture_stay_alone() -> None:
    sheet = Sheet(4, 3, "below")
    _, items, _ = pair(sheet, {4}, {7})
    assert items[4].code is None
    assert items[4].picture == sheet.pictures[4]
    assert items[7].code is not None
    assert items[7].picture is None


def test_a_product_in_loose_parts_is_one_picture() -> None:
    sheet = Sheet(3, 3, "below")
    whole = sheet.pictures[4]
    left = Box(whole.left, whole.top, 40, whole.height)
    right = Box(whole.right - 40, whole.top + 20, 40, whole.height - 20)
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 4]
    regions += [picture(left), picture(right)]
    grid = cells_from_anchors(sheet.codes, [region.box for region in regions], PAGE)
    items, _ = pair_pictures(grid.cells, sheet.codes, regions)
    assert items[4].picture == whole


def test_a_code_in_the_header_is_outside_of_the_grid() -> None:
    sheet = Sheet(4, 3, "below")
    codes = [*sheet.codes, Box(780, 20, 90, 40)]
    grid = cells_from_anchors(codes, sheet.pictures, PAGE)
    items, _ = pair_pictures(grid.cells, codes, [picture(box) for box in sheet.pictures])
    assert len(items) == 12
    assert all(item.code != 12 for item in items)


def test_a_code_on_a_picture_is_a_decoy_and_the_label_keeps_the_pair() -> None:
    sheet = Sheet(3, 3, "below")
    on_picture = Box(sheet.pictures[4].left + 20, sheet.pictures[4].top + 10, 60, 25)
    codes = [*sheet.codes, on_picture]
    frames = [Box(60 + 230 * c, 115 + 160 * r, 210, 150) for r in range(3) for c in range(3)]
    cells = cells_from_frames(frames)
    items, layout = pair_pictures(cells, codes, [picture(box) for box in sheet.pictures])
    assert layout is not None
    assert layout.side == "below"
    assert items[4].code == 4
    assert items[4].decoys == (9,)


def test_a_picture_with_only_a_code_printed_on_it_has_no_code() -> None:
    sheet = Sheet(3, 3, "below")
    codes = [code for i, code in enumerate(sheet.codes) if i != 4]
    codes.append(Box(sheet.pictures[4].left + 20, sheet.pictures[4].top + 10, 60, 25))
    frames = [Box(60 + 230 * c, 115 + 160 * r, 210, 150) for r in range(3) for c in range(3)]
    items, _ = pair_pictures(
        cells_from_frames(frames), codes, [picture(box) for box in sheet.pictures]
    )
    assert items[4].code is None
    assert items[4].picture == sheet.pictures[4]


def test_a_placeholder_is_no_picture() -> None:
    sheet = Sheet(3, 3, "below")
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 4]
    field = sheet.pictures[4]
    regions.append(Region(field, int(field.area), Kind.PLACEHOLDER))
    grid = cells_from_anchors(sheet.codes, [region.box for region in regions], PAGE)
    items, _ = pair_pictures(grid.cells, sheet.codes, regions)
    assert items[4].picture is None
    assert items[4].placeholder == field


def test_a_sheet_of_one_cell_is_a_pair() -> None:
    codes, region = [Box(400, 900, 200, 60)], picture(Box(300, 300, 400, 500))
    grid = cells_from_anchors(codes, [region.box], PAGE)
    (item,), _ = pair_pictures(grid.cells, codes, [region])
    assert (item.code, item.picture) == (0, region.box)


def test_a_picture_that_runs_over_its_code_is_doubted() -> None:
    codes = [Box(400, 900, 200, 60)]
    region = picture(Box(300, 300, 400, 700))
    grid = cells_from_anchors(codes, [region.box], PAGE)
    (item,), _ = pair_pictures(grid.cells, codes, [region])
    assert item.doubts


def test_without_codes_there_is_no_grid() -> None:
    assert cells_from_anchors([], [Box(0, 0, 10, 10)], PAGE).cells == ()


@pytest.mark.parametrize(
    ("known", "shown_with_codes"),
    [
        ({"side": "below"}, {(0, 0), (1, 1)}),
        ({"side": "above"}, {(0, 1), (1, 2)}),
    ],
)
def test_a_known_side_settles_what_the_sheet_leaves_open(known, shown_with_codes) -> None:
    # Codes halfway between pictures, one picture more than codes.
    pictures = [Box(100 + 300 * x, 100 + 200 * y, 140, 100) for x in (0, 1) for y in (0, 1, 2)]
    codes = [Box(110 + 300 * x, 230 + 200 * y, 120, 40) for x in (0, 1) for y in (0, 1)]
    page = Box(0, 0, 640, 740)
    assert cells_from_anchors(codes, pictures, page).is_ambiguous
    grid = cells_from_anchors(codes, pictures, page, **known)
    assert not grid.is_ambiguous
    for code, shown in shown_with_codes:
        assert any(
            cell.box.contains(codes[code].centre) and cell.box.contains(pictures[shown].centre)
            for cell in grid.cells
        )


def test_a_known_size_is_preferred_to_what_seems_likelier() -> None:
    sheet = Sheet(3, 2, "below")
    header = [*sheet.codes, Box(300, 20, 90, 40)]
    for size in [(3, 2), (4, 2)]:
        grid = cells_from_anchors(header, sheet.pictures, PAGE, size=size)
        assert grid.size == size


def test_a_code_unlike_the_others_above_the_grid_makes_no_row() -> None:
    sheet = Sheet(3, 2, "below")
    header = [*sheet.codes, Box(700, 20, 60, 60)]
    assert cells_from_anchors(header, sheet.pictures, PAGE).size == (3, 2)


def test_codes_below_and_aside_of_their_pictures_keep_all_parts_of_a_wide_one() -> None:
    codes = [Box(200, 150 + 200 * row, 180, 40) for row in range(4)]
    narrow = [picture(Box(40, 40 + 200 * row, 90, 100)) for row in range(3)]
    parts = [picture(Box(40 + 110 * part, 640, 100, 100)) for part in range(3)]
    cells = [Cell(row, 0, Box(0, 200 * row, 400, 200)) for row in range(4)]
    items, layout = pair_pictures(cells, codes, [*narrow, *parts])
    assert layout is not None
    assert layout.side == "below"
    assert items[3].picture == Box(40, 640, 320, 100)


def test_what_is_left_out_beside_the_code_and_as_large_as_the_picture_is_doubted() -> None:
    codes = [Box(200, 150 + 200 * row, 180, 40) for row in range(4)]
    regions = [picture(Box(220, 40 + 200 * row, 90, 100)) for row in range(4)]
    beside = picture(Box(20, 560, 90, 38))
    cells = [Cell(row, 0, Box(0, 200 * row, 400, 200)) for row in range(4)]
    items, _ = pair_pictures(cells, codes, [*regions, beside])
    assert [bool(item.doubts) for item in items] == [False, False, True, False]


def test_a_second_code_beside_the_pictures_own_is_doubted() -> None:
    codes = [Box(200, 150 + 200 * row, 180, 40) for row in range(3)]
    regions = [picture(Box(220, 40 + 200 * row, 90, 100)) for row in range(3)]
    stray = Box(10, 260, 170, 40)
    cells = [Cell(row, 0, Box(0, 200 * row, 400, 200)) for row in range(3)]
    items, _ = pair_pictures(cells, [*codes, stray], regions)
    assert [item.code for item in items] == [0, 1, 2]
    assert [bool(item.doubts) for item in items] == [False, True, False]


@pytest.mark.parametrize("side", ["left", "right"])
def test_low_lines_above_and_below_pictures_beside_their_codes_are_no_part_of_them(
    side: str,
) -> None:
    sheet = Sheet(2, 2, side)
    lines = [picture(Box(box.left, box.bottom + 10, 60, 18)) for box in sheet.pictures]
    regions = [*map(picture, sheet.pictures), *lines]
    grid = cells_from_anchors(sheet.codes, [region.box for region in regions], PAGE)
    items, _ = pair_pictures(grid.cells, sheet.codes, regions)
    assert [item.picture for item in items] == sheet.pictures


def test_a_line_with_a_speck_that_is_much_nearer_to_the_code_is_no_part_of_the_picture() -> None:
    cells = [Cell(0, column, Box(300 * column, 0, 300, 600)) for column in range(2)]
    codes = [Box(300 * column + 150, 500, 60, 60) for column in range(2)]
    shown = [Box(300 * column + 20, 100, 200, 150) for column in range(2)]
    line = picture(Box(20, 462, 110, 36))
    items, _ = pair_pictures(cells, codes, [*map(picture, shown), line])
    assert [item.picture for item in items] == shown
    assert not any(item.doubts for item in items)


def test_thin_lines_as_of_the_edge_of_the_page_are_no_pictures_of_a_grid() -> None:
    labels = [Box(100, top, 880, 150) for top in (550, 1110)]
    shown = [Box(left, 255, 264, 208) for left in (132, 417, 701)] + [Box(283, 777, 533, 287)]
    edge = [Box(x, top, 3, 40) for x in (19, 1077) for top in range(120, 1250, 55)]
    grid = cells_from_anchors(labels, [*shown, *edge], Box(0, 0, 1100, 1400))
    assert not grid.is_ambiguous
    assert [cell.box.contains(labels[i].centre) for i, cell in enumerate(grid.cells)] == [True] * 2
    assert all(grid.cells[0].box.contains(box.centre) for box in shown[:3])
    assert grid.cells[1].box.contains(shown[3].centre)


def test_a_headline_that_would_be_the_only_picture_is_doubted() -> None:
    cells = [Cell(0, 0, PAGE)]
    items, _ = pair_pictures(cells, [Box(100, 600, 120, 50)], [picture(Box(80, 60, 180, 30))])
    assert items[0].doubts


@pytest.mark.parametrize(("shift", "doubted"), [(0, False), (30, True)])
def test_three_like_things_at_even_distances_are_a_set_and_others_are_doubted(
    shift: int, doubted: bool
) -> None:
    sheet = Sheet(3, 2, "below")
    left, top = sheet.pictures[3].left, sheet.pictures[3].top
    things = [picture(Box(left + x, top, 20, 30)) for x in (0, 40 + shift, 80)]
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 3]
    cells = [
        Cell(row, column, Box(60 + 230 * column, 120 + 160 * row, 230, 160))
        for row in range(3)
        for column in range(2)
    ]
    items, _ = pair_pictures(cells, sheet.codes, [*regions, *things])
    assert items[3].picture == Box(left, top, 100, 30)
    assert bool(items[3].doubts) == doubted


def test_words_between_the_parts_of_a_picture_are_doubted_also_where_the_side_is_known() -> None:
    page = Box(0, 0, 600, 900)
    codes = [Box(200, 50, 160, 60), Box(200, 700, 160, 60)]
    words = Region(Box(220, 325, 110, 14), 900, Kind.TEXT)
    boxes = [Box(120, 130, 320, 180), Box(190, 350, 190, 60), Box(120, 440, 320, 180)]
    regions = [*map(picture, boxes), words, picture(Box(120, 780, 320, 100))]
    cells = [Cell(0, 0, Box(0, 0, 600, 660)), Cell(1, 0, Box(0, 660, page.width, 240))]
    items, _ = pair_pictures(cells, codes, regions, side="above")
    assert items[0].doubts
    assert not items[1].doubts


def test_a_picture_far_larger_than_all_others_is_doubted() -> None:
    sheet = Sheet(3, 2, "below")
    sheet.pictures[3] = Box(60, 290, 400, 78)
    regions = [picture(box) for box in sheet.pictures]
    cells = [
        Cell(row, column, Box(60 + 230 * column, 120 + 160 * row, 230, 160))
        for row in range(3)
        for column in range(2)
    ]
    items, _ = pair_pictures(cells, sheet.codes, regions)
    assert [bool(item.doubts) for item in items].count(True) == 1


def cells_of(sheet: Sheet) -> list[Cell]:
    return [
        Cell(row, column, Box(60 + 230 * column, 120 + 160 * row, 230, 160))
        for row in range(sheet.rows)
        for column in range(sheet.columns)
    ]


def test_what_is_far_larger_and_does_not_fill_its_box_is_no_field() -> None:
    sheet = Sheet(3, 2, "below")
    sheet.pictures[3] = Box(60, 290, 400, 78)
    regions = [picture(box) for box in sheet.pictures]
    regions[3] = Region(sheet.pictures[3], round(0.6 * sheet.pictures[3].area), Kind.PICTURE)
    items, _ = pair_pictures(cells_of(sheet), sheet.codes, regions)
    assert not any(item.doubts for item in items)


def test_what_a_decoy_cuts_off_belongs_to_the_picture_and_the_lines_of_a_second_label_do_not() -> (
    None
):
    sheet = Sheet(3, 2, "below")
    whole = sheet.pictures[3]
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 3]
    upper = Region(Box(whole.left + 20, whole.top, 60, 10), 500, Kind.TEXT)
    lower = Region(Box(whole.left + 20, whole.top + 40, 60, 10), 500, Kind.TEXT)
    decoy = Box(whole.left + 10, whole.top + 16, 80, 16)
    items, _ = pair_pictures(cells_of(sheet), [*sheet.codes, decoy], [*regions, upper, lower])
    assert items[3].picture == Box(whole.left + 20, whole.top, 60, 50)
    assert items[3].decoys == (6,)
    assert not items[3].doubts
    second = Box(whole.left + 10, whole.top + 10, sheet.codes[0].width, sheet.codes[0].height)
    lines = [
        Region(Box(second.left, second.top - 10, 60, 8), 300, Kind.TEXT),
        Region(Box(second.left, second.bottom + 2, 60, 8), 300, Kind.TEXT),
    ]
    items, _ = pair_pictures(cells_of(sheet), [*sheet.codes, second], [*regions, *lines])
    assert items[3].picture is None


def test_of_low_pieces_those_in_line_with_the_other_pictures_are_the_picture() -> None:
    sheet = Sheet(3, 2, "below")
    middle = sheet.pictures[3].centre
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 3]
    low = [
        Region(Box(middle[0] - 45, middle[1] - 8, 40, 16), 500, Kind.TEXT, 6.0),
        Region(Box(middle[0] + 5, middle[1] - 8, 40, 16), 500, Kind.TEXT, 6.0),
    ]
    price = Region(Box(middle[0] - 45, middle[1] + 25, 60, 16), 500, Kind.TEXT, 6.0)
    items, _ = pair_pictures(cells_of(sheet), sheet.codes, [*regions, *low, price])
    assert items[3].picture == Box(middle[0] - 45, middle[1] - 8, 90, 16)


def test_cells_of_one_code_tell_the_layout_and_a_code_of_the_header_in_a_cell_does_not() -> None:
    cells = [Cell(0, 0, Box(0, 0, 500, 800)), Cell(0, 1, Box(500, 0, 500, 800))]
    codes = [Box(880, 40, 60, 60), Box(40, 380, 120, 50), Box(540, 380, 120, 50)]
    pictures = [picture(Box(220, 300, 250, 200)), picture(Box(720, 200, 250, 420))]
    items, layout = pair_pictures(cells, codes, pictures)
    assert layout is not None
    assert layout.side == "left"
    assert [item.code for item in items] == [1, 2]
    assert all(item.picture is not None for item in items)


def test_small_things_side_by_side_are_a_set_that_has_a_row_of_the_grid() -> None:
    sheet = Sheet(3, 2, "above")
    last = sheet.pictures[4]
    things = [Box(last.left + x, last.top, 26, 24) for x in (0, 32, 64)]
    shown = [*sheet.pictures[:4], *things]
    grid = cells_from_anchors(sheet.codes[:5], shown, PAGE)
    assert grid.size == (3, 2)
    assert not grid.is_ambiguous


def test_a_larger_code_at_the_pitch_of_a_column_is_no_headers() -> None:
    codes = [Box(300, 40, 56, 56), *(Box(310, y, 36, 36) for y in (350, 650, 950))]
    pictures = [Box(280, y, 100, 120) for y in (120, 410, 710)]
    grid = cells_from_anchors(codes, pictures, PAGE)
    assert not grid.is_ambiguous
    for cell, code, shown in zip(grid.cells, codes, pictures, strict=False):
        assert cell.box.contains(code.centre)
        assert cell.box.contains(shown.centre)


def test_a_low_piece_where_other_cells_have_a_price_is_no_picture() -> None:
    sheet = Sheet(3, 2, "below")
    low = [Box(code.left, code.top - 92, 38, 20) for code in sheet.codes]
    kinds = [Kind.TEXT, Kind.TEXT, Kind.PICTURE, Kind.PICTURE, Kind.TEXT, Kind.TEXT]
    regions = [picture(box) for i, box in enumerate(sheet.pictures) if i != 3]
    prices = [Region(box, 600, kind, 9.0) for box, kind in zip(low, kinds, strict=True)]
    items, _ = pair_pictures(cells_of(sheet), sheet.codes, [*regions, *prices])
    assert items[3].picture is None
    assert items[2].picture == sheet.pictures[2]
    alone = [region for i, region in enumerate(prices) if i in (2, 3)]
    items, _ = pair_pictures(cells_of(sheet), sheet.codes, [*regions, *alone])
    assert items[3].picture == low[3]


def test_a_set_that_the_border_of_a_cell_parts_is_one_picture() -> None:
    cells = [Cell(0, column, Box(200.0 * column, 0, 200, 200)) for column in range(2)]
    codes = [Box(50, 20, 40, 40), Box(250, 20, 40, 40)]
    things = [Box(80 + 55 * i, 100, 50, 40) for i in range(3)]
    items, _ = pair_pictures(cells, codes, [picture(box) for box in things])
    assert [item.picture for item in items] == [Box(80, 100, 160, 40), None]


def test_like_pictures_in_neighbouring_cells_are_no_set() -> None:
    cells = [Cell(0, column, Box(60.0 * column, 0, 60, 200)) for column in range(3)]
    codes = [Box(10 + 60 * column, 20, 40, 40) for column in range(3)]
    things = [Box(5 + 60 * column, 100, 50, 40) for column in range(3)]
    items, _ = pair_pictures(cells, codes, [picture(box) for box in things])
    assert [item.picture for item in items] == things
