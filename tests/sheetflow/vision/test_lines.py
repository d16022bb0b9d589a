from __future__ import annotations

import numpy as np

from sheetflow.vision.geometry import Box
from sheetflow.vision.lines import find_lines


def test_a_hairline_is_found_at_any_height_of_the_page_and_in_both_directions() -> None:
    # Rows are looked at in bands; a line may run along the seam of two.
    for place in (20, 67, 68, 69, 131, 132, 180):
        page = np.full((200, 200, 3), 250, np.uint8)
        page[place] = 180
        lines = find_lines(page, [])
        rows = np.flatnonzero(lines.across[:, 40:160].all(axis=1))
        assert place in rows, place
        assert len(rows) <= 3, place
        assert not lines.down[:, 40:160].any(), place
        turned = find_lines(np.ascontiguousarray(page.transpose(1, 0, 2)), [])
        np.testing.assert_array_equal(turned.down, lines.across.T)


def test_the_bars_of_a_code_are_no_lines() -> None:
    page = np.full((200, 200, 3), 250, np.uint8)
    page[60:140, 50:150:4] = 20
    lines = find_lines(page, [Box(50, 60, 100, 80)])
    assert not lines.down.any()
