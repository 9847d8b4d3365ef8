"""Names on a plot: none covers another, a point or a line, and none leaves the frame."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from unigen.report.figures.labels import Label, LabelBoard, subscripted

WIDTH, HEIGHT = 300, 200
places = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))


def box_of(label: Label) -> tuple[float, float, float, float]:
    x, y = label.middle
    half = 3.0 * len(label.text)  # narrower than any letter but an i
    return x - half, y - 9, x + half, y + 1


def overlap(one, other) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(st.lists(places, min_size=1, max_size=25, unique=True))
def test_names_lie_apart_and_inside(points):
    board = LabelBoard(WIDTH, HEIGHT)
    board.keep_points_free(points, 3.0)
    labels = [board.label("SrTi", point) for point in points]
    boxes = [box_of(label) for label in labels if label]
    assert len(boxes) + board.left_out == len(points)
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert not any(overlap(box, (x - 3, y - 3, x + 3, y + 3)) for box in boxes for x, y in points)
    assert all(left >= 0 and right <= WIDTH and top >= 0 and bottom <= HEIGHT for left, top, right, bottom in boxes)


def test_a_name_stands_where_it_is_wanted_if_there_is_room():
    board = LabelBoard(WIDTH, HEIGHT)
    for turn, side in ((0.0, 0), (0.5, 1)):
        left, _, right, _ = box_of(board.label("TiO", (150, 100), [turn]))
        assert (left > 150, right < 150)[side]


def test_a_line_is_kept_free_and_a_crowded_point_has_a_line_to_its_name():
    board = LabelBoard(WIDTH, HEIGHT)
    board.keep_line_free((0, 100), (WIDTH, 100))
    board.keep_points_free([(150, 104), (158, 104)])
    label = board.label("TiO", (150, 104))
    assert label.leader[0] == (150, 104)
    assert box_of(label)[1] > 100


def test_subscripts():
    assert subscripted("Li5Mn3O8") == "Li₅Mn₃O₈"
