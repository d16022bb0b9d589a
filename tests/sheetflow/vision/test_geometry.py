from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sheetflow.vision.geometry import (
    Box,
    Quad,
    angle_difference,
    homography_between,
    inverse,
    is_axis_aligned,
    move_points,
    move_quad,
    overlap,
    quad_angle,
    quad_area,
    quad_size,
    scaling,
    turn_quad,
    turning,
    union_of,
)

lengths = st.floats(1, 500)
places = st.floats(-500, 500)
boxes = st.builds(Box, places, places, lengths, lengths)
angles = st.floats(-179, 179)


@st.composite
def quads(draw: st.DrawFn) -> Quad:
    box = draw(boxes)
    shake = st.floats(-0.2, 0.2)
    a, b, c, d = (
        (x + draw(shake) * box.width, y + draw(shake) * box.height) for x, y in box.quad()
    )
    return (a, b, c, d)


def close(first: Quad, second: Quad, tolerance: float = 1e-3) -> bool:
    pairs = zip(first, second, strict=True)
    return all(abs(x - u) + abs(y - v) < tolerance for (x, y), (u, v) in pairs)


@given(quads(), quads())
def test_a_homography_takes_each_corner_to_its_own(source: Quad, target: Quad) -> None:
    assert close(move_quad(source, homography_between(source, target)), target)


@given(quads(), quads())
def test_a_homography_and_its_inverse_undo_each_other(source: Quad, target: Quad) -> None:
    matrix = homography_between(source, target)
    assert close(move_quad(move_quad(source, matrix), inverse(matrix)), source, 0.01)


def test_corners_on_one_line_make_no_homography() -> None:
    flat: Quad = ((0, 0), (1, 0), (2, 0), (3, 0))
    with pytest.raises(ValueError, match="no homography"):
        homography_between(flat, Box(0, 0, 1, 1).quad())


@given(boxes, angles)
def test_a_turned_box_keeps_its_size_and_tells_its_angle(box: Box, angle: float) -> None:
    quad = move_quad(box.quad(), turning(angle, box.centre))
    assert quad_size(quad) == pytest.approx((box.width, box.height))
    assert quad_area(quad) == pytest.approx(box.area)
    assert angle_difference(quad_angle(quad), angle) == pytest.approx(0, abs=1e-3)


@given(boxes, st.integers(-8, 8))
def test_naming_corners_anew_turns_by_quarters(box: Box, quarters: int) -> None:
    turned = turn_quad(box.quad(), quarters)
    assert angle_difference(quad_angle(turned), 90 * quarters) == pytest.approx(0, abs=1e-6)
    assert turn_quad(turned, -quarters) == box.quad()


@given(boxes)
def test_only_a_quad_that_starts_top_left_counts_as_upright(box: Box) -> None:
    assume(min(box.width, box.height) > 2)
    assert is_axis_aligned(box.quad())
    assert not is_axis_aligned(turn_quad(box.quad(), 1))


@given(boxes, boxes)
def test_overlap_is_the_same_both_ways_and_at_most_one(first: Box, second: Box) -> None:
    assert overlap(first, second) == pytest.approx(overlap(second, first))
    assert 0 <= overlap(first, second) <= 1 + 1e-9
    assert overlap(first, first) == pytest.approx(1)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_a_union_holds_all_its_boxes(several: list[Box]) -> None:
    whole = union_of(several).grown(1e-6)
    assert all(whole.contains(corner) for box in several for corner in box.quad())


@given(boxes, st.floats(0, 50))
def test_growing_and_shrinking_undo_each_other(box: Box, margin: float) -> None:
    again = box.grown(margin).grown(-margin)
    assert again.quad() == tuple(pytest.approx(corner, abs=1e-6) for corner in box.quad())


def test_scaling_keeps_pixel_centres_on_pixel_centres() -> None:
    # Two by two pixels become one: its centre, 0, was between theirs, 0 and 1.
    assert move_points([(0.5, 0.5)], scaling(0.5)) == [(0.0, 0.0)]


def test_pixel_edges_never_leave_the_image() -> None:
    assert Box(-50, -9, 20, 4).pixel_edges((30, 40)) == (0, 0, 0, 0)
    assert Box(35, 28, 20, 20).pixel_edges((30, 40)) == (35, 28, 40, 30)


def test_angles_fold_into_half_a_period_around_zero() -> None:
    assert angle_difference(359, 1) == -2
    assert angle_difference(91, 0, period=90) == 1
