from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sheetflow.vision.frames import find_frames, frames_of_items
from sheetflow.vision.geometry import Box, overlap
from sheetflow.vision.ground import find_print
from sheetflow.vision.lines import find_lines
from sheetflow.vision.segmentation import Kind, Region, classify, codes_in_margins

Pixels = NDArray[np.uint8]

CODE = Box(150, 420, 180, 60)


def paper(shade: int = 245, noise: float = 1.5) -> Pixels:
    grain = np.random.default_rng(5).normal(shade, noise, (1000, 1400, 3))
    return np.asarray(grain.clip(0, 255), np.uint8)


def fill(page: Pixels, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box.pixel_edges(page.shape)
    page[top:bottom, left:right] = colour


def outline(page: Pixels, box: Box, shade: int = 190) -> None:
    left, top, right, bottom = box.pixel_edges(page.shape)
    cv2.rectangle(page, (left, top), (right, bottom), (shade, shade, shade), 2)


def bars(page: Pixels, box: Box) -> None:
    random = np.random.default_rng(2)
    left, top, right, bottom = box.pixel_edges(page.shape)
    columns = np.repeat(random.integers(0, 2, (right - left) // 2 + 1) * 255, 2)[: right - left]
    page[top:bottom, left:right] = columns[None, :, None]


def regions_of(page: Pixels, codes: list[Box], frames: list[Box] | None = None) -> list[Region]:
    inside = np.full(page.shape[:2], 255, np.uint8)
    return classify(page, find_print(page, inside, frames or [], codes), frames or [], codes)


def pictures_of(page: Pixels, codes: list[Box], frames: list[Box] | None = None) -> list[Box]:
    return [r.box for r in regions_of(page, codes, frames) if r.kind is Kind.PICTURE]


def test_a_picture_is_found_tight_and_its_code_is_not_one() -> None:
    page = paper()
    picture = Box(160, 200, 160, 190)
    fill(page, picture, (40, 90, 160))
    bars(page, CODE)
    (found,) = pictures_of(page, [CODE])
    assert overlap(found, picture) > 0.95


def test_a_pale_picture_on_shaded_paper_is_found_whole() -> None:
    page = paper(noise=2.0)
    picture = Box(600, 300, 200, 160)
    fill(page, picture, (232, 222, 206))
    light = np.linspace(1.0, 0.55, page.shape[1])[None, :, None]
    page = np.asarray(page * light, np.uint8)
    (found,) = pictures_of(page, [])
    assert overlap(found, picture) > 0.9


def test_words_are_texts_not_pictures() -> None:
    page = paper()
    for row in range(4):
        place = (200, 300 + 60 * row)
        cv2.putText(
            page, "Bread knife 12,50 EUR", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1
        )
    kinds = {region.kind for region in regions_of(page, [])}
    assert kinds == {Kind.TEXT}


def test_two_lines_of_text_that_nearly_touch_are_texts_and_no_picture() -> None:
    page = paper()
    fill(page, Box(100, 100, 150, 120), (40, 90, 160))
    fill(page, Box(100, 300, 160, 11), (60, 60, 60))
    fill(page, Box(100, 316, 60, 14), (40, 60, 140))
    bars(page, Box(400, 200, 150, 60))
    assert pictures_of(page, [Box(400, 200, 150, 60)]) == [Box(100, 100, 150, 120)]


def test_a_flat_grey_field_with_a_word_is_a_placeholder_and_a_round_product_is_not() -> None:
    page = paper()
    field = Box(100, 100, 300, 200)
    fill(page, field, (212, 212, 212))
    cv2.putText(page, "no image", (190, 205), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (150, 150, 150), 2)
    curve = 225 - 45 * np.linspace(-1, 1, 220) ** 2
    page[500:700, 100:320] = curve[None, :, None]
    kinds = {region.kind for region in regions_of(page, []) if region.box.area > 10_000}
    assert kinds == {Kind.PLACEHOLDER, Kind.PICTURE}


def test_frames_are_found_also_where_corners_are_round() -> None:
    page = paper()
    sharp, round_ = Box(100, 100, 300, 400), Box(500, 100, 300, 400)
    outline(page, sharp)
    left, top, right, bottom = (int(edge) for edge in (500, 100, 800, 500))
    for start, end in (
        ((left + 9, top), (right - 9, top)),
        ((left + 9, bottom), (right - 9, bottom)),
        ((left, top + 9), (left, bottom - 9)),
        ((right, top + 9), (right, bottom - 9)),
    ):
        cv2.line(page, start, end, (190, 190, 190), 2)
    frames = find_frames(find_lines(page, []))
    for wanted in (sharp, round_):
        assert any(overlap(frame, wanted) > 0.9 for frame in frames)


def test_a_soft_shadow_across_a_page_is_no_print() -> None:
    page = paper()
    ramp = np.clip((np.arange(1400) - 650) / 120, 0, 1)
    page = np.asarray(page * (1 - 0.3 * ramp)[None, :, None], np.uint8)
    assert pictures_of(page, []) == []


@pytest.mark.parametrize("shade", [230, 200])
def test_on_a_shaded_card_only_the_picture_is_print(shade: int) -> None:
    page = paper()
    frame, picture = Box(100, 100, 320, 420), Box(160, 140, 150, 170)
    fill(page, frame, (shade, shade, shade))
    outline(page, frame, shade - 40)
    fill(page, picture, (90, 40, 120))
    (found,) = pictures_of(page, [], [frame.grown(-4)])
    assert overlap(found, picture) > 0.95


def test_a_code_elsewhere_leaves_the_ground_of_a_frame_alone() -> None:
    page = paper()
    frame, picture = Box(700, 500, 320, 420), Box(760, 540, 150, 170)
    outline(page, frame)
    fill(page, picture, (90, 40, 120))
    (found,) = pictures_of(page, [Box(40, 40, 100, 40)], [frame.grown(-4)])
    assert overlap(found, picture) > 0.95


def test_a_frame_with_a_broken_line_is_found_from_its_neighbours() -> None:
    page = paper()
    boxes = [Box(80 + 320 * i, 80 + 300 * j, 280, 260) for i in range(4) for j in range(3)]
    codes = [Box(box.left + 60, box.top + 200, 150, 40) for box in boxes]
    for box, code in zip(boxes, codes, strict=True):
        outline(page, box)
        bars(page, code)
    fill(page, Box(80 + 320, 80 + 300 + 60, 10, 180), (245, 245, 245))
    lines = find_lines(page, codes)
    frames = frames_of_items(find_frames(lines), codes, lines)
    assert len(frames) == len(boxes)
    assert all(any(overlap(frame, box) > 0.9 for frame in frames) for box in boxes)


def test_a_field_hardly_darker_than_paper_is_a_placeholder_by_its_edges() -> None:
    page = paper(noise=2.0)
    field = Box(400, 300, 240, 180)
    fill(page, field, (240, 240, 241))
    word = ("no image", (470, 400), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (90, 90, 90), 4)
    cv2.putText(page, *word)
    (found,) = [region for region in regions_of(page, []) if region.kind is Kind.PLACEHOLDER]
    assert overlap(found.box, field) > 0.9
    assert pictures_of(page, []) == []


def test_a_field_as_light_as_the_paper_is_a_placeholder_by_its_tint() -> None:
    page = paper(noise=2.0, shade=222)
    field = Box(400, 300, 240, 180)
    fill(page, field, (216, 221, 230))
    cv2.putText(page, "no image", (470, 400), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (90, 90, 90), 4)
    (found,) = [region for region in regions_of(page, []) if region.kind is Kind.PLACEHOLDER]
    assert overlap(found.box, field) > 0.9


def test_a_picture_that_hardly_exceeds_the_code_printed_on_it_is_a_picture() -> None:
    page = paper()
    picture, code = Box(400, 300, 140, 100), Box(412, 330, 116, 40)
    fill(page, picture, (150, 120, 90))
    fill(page, code.grown(5), (250, 250, 250))
    bars(page, code)
    (found,) = pictures_of(page, [code])
    assert overlap(found, picture) > 0.95


def test_a_thing_with_a_hole_is_a_picture_however_large_and_a_line_around_the_page_is_none() -> (
    None
):
    page = paper()
    cv2.ellipse(page, (700, 500), (480, 380), 0, 0, 360, (60, 60, 60), 40)
    outline(page, Box(60, 40, 1280, 920), shade=90)
    (found,) = pictures_of(page, [])
    assert overlap(found, Box(200, 100, 1000, 800)) > 0.95
    bars(page, Box(600, 450, 180, 60))  # a code in the hole: it is a frame of the page
    assert pictures_of(page, [Box(600, 450, 180, 60)]) == []


@pytest.mark.parametrize(
    ("shades", "kind"),
    [
        (np.tanh(np.linspace(-7, 9, 300)), Kind.PLACEHOLDER),  # the edge of a shadow
        (np.sin(np.linspace(0, 40, 300)), Kind.PICTURE),  # stripes
    ],
)
def test_a_grey_field_may_lie_half_in_a_shadow_and_has_no_stripes(
    shades: NDArray[np.float64], kind: Kind
) -> None:
    page = paper()
    page[200:420, 400:700] = (195 - 18 * shades).astype(np.uint8)[None, :, None]
    cv2.putText(page, "no image", (480, 320), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (120, 120, 120), 3)
    (found,) = [region for region in regions_of(page, []) if region.kind is not Kind.TEXT]
    assert found.kind is kind


def test_words_on_bare_paper_or_off_the_middle_of_a_field_make_no_placeholder() -> None:
    page = paper(noise=2.0)
    fill(page, Box(400, 300, 240, 180), (240, 240, 241))
    for place in ((470, 345), (900, 400)):
        cv2.putText(page, "no image", place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, (90, 90, 90), 4)
    assert all(region.kind is Kind.TEXT for region in regions_of(page, []))


def test_a_heavy_line_and_a_strip_of_ground_beside_a_code_are_no_pictures() -> None:
    page = paper()
    bars(page, CODE)
    cv2.putText(page, "12,50", (205, 505), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 9)
    fill(page, Box(CODE.right + 6, CODE.top, 9, CODE.height), (225, 225, 225))
    assert pictures_of(page, [CODE]) == []


@pytest.mark.parametrize(("right", "pictures"), [(400, 1), (480, 0)])
def test_a_piece_beyond_a_frame_is_no_word_of_the_line_inside_of_it(
    right: int, pictures: int
) -> None:
    page = paper()
    frame = Box(100, 100, right - 100, 200)
    outline(page, frame)
    fill(page, Box(320, 200, 70, 18), (60, 60, 60))
    fill(page, Box(410, 196, 34, 28), (40, 90, 160))
    assert len(pictures_of(page, [], [frame])) == pictures


def test_a_low_set_of_like_things_is_a_picture_and_a_low_line_of_text_is_none() -> None:
    page = paper()
    for x in (400, 432, 464):
        cv2.ellipse(page, (x, 300), (15, 9), 0, 0, 360, (40, 110, 60), -1)
        cv2.rectangle(page, (x - 3, 291), (x + 3, 297), (200, 170, 40), -1)
    fill(page, Box(400, 298, 64, 4), (40, 110, 60))
    cv2.putText(page, "$ 12.50", (400, 420), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 6)
    (found,) = pictures_of(page, [])
    assert overlap(found, Box(385, 291, 95, 19)) > 0.9


def test_words_higher_than_their_field_leave_it_a_placeholder() -> None:
    page = paper()
    fill(page, Box(200, 300, 900, 70), (200, 200, 204))
    cv2.putText(page, "no image", (480, 368), cv2.FONT_HERSHEY_SIMPLEX, 3.2, (110, 110, 116), 9)
    (found,) = [region for region in regions_of(page, []) if region.kind is not Kind.TEXT]
    assert found.kind is Kind.PLACEHOLDER


def test_a_headline_that_touches_its_rule_is_no_picture() -> None:
    page = paper()
    cv2.putText(page, "Atelier", (250, 122), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (150, 90, 40), 5)
    fill(page, Box(200, 120, 1000, 5), (150, 90, 40))
    picture = Box(600, 400, 200, 180)
    fill(page, picture, (40, 90, 160))
    (found,) = pictures_of(page, [])
    assert overlap(found, picture) > 0.95


def test_the_picture_below_a_code_that_is_printed_on_it_is_no_part_of_that_code() -> None:
    page = paper()
    code = Box(408, 320, 44, 15)
    fill(page, Box(406, 290, 48, 24), (190, 180, 150))
    fill(page, Box(400, 325, 60, 38), (190, 180, 150))
    fill(page, code.grown(4), (250, 250, 250))
    bars(page, code)
    found = max(pictures_of(page, [code]), key=lambda box: box.bottom)
    assert found.bottom == pytest.approx(363, abs=2)
    assert found.width == pytest.approx(60, abs=3)


def test_a_code_alone_beyond_a_rule_is_a_headers_unless_a_picture_is_with_it() -> None:
    rule = Region(Box(60, 110, 700, 6), 4000, Kind.TEXT)
    codes = [Box(850, 60, 60, 60), Box(100, 500, 60, 60), Box(500, 500, 60, 60)]
    pictures = [Region(Box(x, 300, 160, 160), 25_000, Kind.PICTURE) for x in (60, 460)]
    assert codes_in_margins([rule, *pictures], codes, 1000) == {0}
    above = Region(Box(300, 10, 120, 90), 10_000, Kind.PICTURE)
    assert codes_in_margins([rule, above, *pictures], codes, 1000) == frozenset()
    assert codes_in_margins([rule, *pictures], codes[:1], 1000) == {0}


def test_a_dash_of_the_edge_of_a_scanned_page_is_no_picture() -> None:
    page = paper()
    picture = Box(600, 400, 200, 180)
    fill(page, picture, (40, 90, 160))
    fill(page, Box(1384, 420, 3, 60), (90, 90, 90))
    (found,) = pictures_of(page, [])
    assert overlap(found, picture) > 0.95


def test_digits_and_price_that_blur_has_joined_below_a_code_are_texts() -> None:
    page = paper()
    fill(page, Box(150, 484, 70, 9), (110, 110, 110))
    fill(page, Box(150, 497, 45, 13), (70, 130, 100))
    bars(page, CODE)
    page = np.asarray(cv2.GaussianBlur(page, (0, 0), 2.2), np.uint8)
    assert pictures_of(page, [CODE]) == []


def test_a_small_picture_on_which_a_code_is_printed_is_no_rest_of_a_label() -> None:
    page = paper()
    cv2.ellipse(page, (300, 300), (36, 26), 0, 0, 360, (190, 150, 60), -1)
    fill(page, Box(282, 292, 40, 16), (255, 255, 255))
    code = Box(284, 294, 36, 12)
    bars(page, code)
    (found,) = pictures_of(page, [code])
    assert overlap(found, Box(264, 274, 73, 53)) > 0.8
