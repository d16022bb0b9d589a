"""Frames of items: closed by lines, or by the edge of a shade."""

import numpy as np
import pytest

from sheetflow.vision.frames import find_frames, frames_of_items, is_whole_grid
from sheetflow.vision.geometry import Box, overlap
from sheetflow.vision.lines import Lines, find_lines, find_steps

_CARDS = [Box(x, y, 200, 160) for y in (40, 240, 440) for x in (40, 280)]
_CODES = [Box(card.left + 20, card.bottom - 50, 80, 30) for card in _CARDS]


def _page(*, shade: float) -> np.ndarray:
    page = np.full((640, 520), 220.0)
    for card in _CARDS:
        left, top, right, bottom = card.pixel_edges(page.shape)
        page[top:bottom, left:right] *= shade
    page += np.random.default_rng(1).normal(0, 2, page.shape)
    return np.repeat(np.clip(page, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_cards_without_a_border_are_found_by_their_shade() -> None:
    page = _page(shade=0.95)
    lines = find_lines(page, _CODES)
    assert frames_of_items(find_frames(lines), _CODES, lines) == []
    edges = lines | find_steps(page, _CODES)
    frames = frames_of_items(find_frames(edges), _CODES, edges)
    assert len(frames) == len(_CARDS)
    for frame, card in zip(frames, _CARDS, strict=True):
        assert frame.share_inside(card.grown(4)) == pytest.approx(1)
        assert card.grown(-8).share_inside(frame) == pytest.approx(1)


def test_bare_paper_has_no_steps() -> None:
    steps = find_steps(_page(shade=1.0), _CODES)
    assert not steps.across.any()
    assert not steps.down.any()


def test_a_grid_with_a_place_left_out_is_not_whole() -> None:
    assert is_whole_grid(_CARDS)
    assert not is_whole_grid(_CARDS[:-1])
    assert not is_whole_grid([])


def _drawn_lines(frames: list[Box], shape: tuple[int, int]) -> Lines:
    across, down = np.zeros((2, *shape), np.uint8)
    for frame in frames:
        left, top, right, bottom = frame.pixel_edges(shape)
        for y in (top - 3, bottom):
            across[y : y + 3, left - 3 : right + 3] = 255
        for x in (left - 3, right):
            down[top - 3 : bottom + 3, x : x + 3] = 255
    return Lines(across, down)


def test_rows_of_frames_that_were_not_closed_are_found_where_lines_and_codes_are() -> None:
    rows = [Box(60, y, 500, 120) for y in range(40, 900, 123)]
    codes = [Box(row.left + 30, row.top + 40, 80, 30) for row in rows]
    found = frames_of_items(rows[:3], codes, _drawn_lines(rows, (1060, 620)))
    assert len(found) == len(rows) == 7
    assert all(overlap(frame, row) > 0.95 for frame, row in zip(found, rows, strict=True))


def test_cards_taken_with_the_gaps_between_them_do_not_widen_the_others() -> None:
    cards = [Box(x, y, 126, 159) for y in range(60, 760, 172) for x in range(60, 690, 139)]
    codes = [Box(card.left + 40, card.bottom - 40, 46, 30) for card in cards]
    taken = []  # where a border is broken, with the gap beside it, on this side or that
    for i, card in enumerate(cards):
        left, top = card.left - 13 * (i % 3 == 0), card.top - 13 * (i % 3 == 1)
        taken.append(Box(left, top, card.right - left, card.bottom - top))
    found = frames_of_items(taken, codes, _drawn_lines(cards, (920, 800)))
    assert len(found) == len(cards)
    for frame, card in zip(found, cards, strict=True):
        assert overlap(frame, card) > 0.97


def test_frames_that_words_part_are_found_from_the_few_that_are_whole() -> None:
    labels = [Box(x, y, 116, 240) for y in range(40, 1200, 300) for x in (60, 360, 660)]
    codes = [Box(label.left + 10, label.top + 90, 90, 40) for label in labels]
    lines = _drawn_lines(labels, (1300, 900))
    parts = []
    for label in labels[:3] + labels[6:9]:  # the captions and digits of two rows reach across
        top, bottom = int(label.top) + 80, int(label.top) + 140
        for y in (top, bottom):
            lines.across[y : y + 3, int(label.left) : int(label.right)] = 255
        parts.append(Box(label.left, top + 3, label.width, bottom - top - 3))
    found = frames_of_items([*labels[3:6], *labels[9:], *parts], codes, lines)
    assert len(found) == len(labels)
    assert all(overlap(frame, label) > 0.95 for frame, label in zip(found, labels, strict=True))


def test_rectangles_in_print_whose_grid_would_be_nearly_empty_are_no_frames() -> None:
    boxes = [Box(x, y, 41, 44) for x, y in ((60, 60), (110, 60), (60, 112), (900, 700), (750, 500))]
    codes = [Box(box.left + 5, box.top + 10, 30, 20) for box in boxes]
    assert frames_of_items(boxes, codes, _drawn_lines(boxes, (1000, 1000))) == []
