"""Sets of intervals against sets of small integers."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.intervals import Interval, covers, intersect, merge, overlapping

from ...support.profiles import examples

any_intervals = st.lists(st.tuples(st.integers(-12, 12), st.integers(-12, 12)), max_size=8)


@st.composite
def sorted_sets(draw: st.DrawFn) -> list[Interval]:
    """Disjoint intervals in order, some of which touch."""
    edges = sorted(draw(st.lists(st.integers(-12, 12), max_size=10, unique=True)))
    pairs = list(itertools.pairwise(edges))
    return [pair for pair in pairs if draw(st.booleans())]


def points(intervals: list[Interval]) -> set[int]:
    return {point for start, end in intervals for point in range(start, end)}


@examples(500)
@given(any_intervals)
def test_a_union_has_the_points_of_all_and_no_two_parts_that_touch(
    intervals: list[Interval],
) -> None:
    merged = merge(intervals)
    assert points(merged) == points(intervals)
    assert all(start < end for start, end in merged)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(merged))


@examples(500)
@given(sorted_sets(), sorted_sets())
def test_what_two_sets_share_is_what_each_pair_of_parts_shares(
    left: list[Interval], right: list[Interval]
) -> None:
    shared = intersect(left, right)
    pairs = [(max(a, c), min(b, d)) for a, b in left for c, d in right]
    assert shared == sorted((start, end) for start, end in pairs if start < end)
    assert points(shared) == points(left) & points(right)


@examples(500)
@given(sorted_sets(), st.integers(-12, 12), st.integers(1, 6))
def test_overlapping_parts_are_those_that_share_a_point(
    intervals: list[Interval], start: int, length: int
) -> None:
    within = (start, start + length)
    shared = [part for part in intervals if points([part]) & points([within])]
    assert [*overlapping(intervals, within)] == shared


@examples(500)
@given(sorted_sets(), st.integers(-12, 12), st.integers(1, 6))
def test_a_set_covers_what_lies_wholly_in_one_of_its_parts(
    intervals: list[Interval], start: int, length: int
) -> None:
    wanted = (start, start + length)
    inside = any(points([wanted]) <= points([part]) for part in intervals)
    assert covers(intervals, wanted) == inside


@examples(500)
@given(any_intervals, st.integers(-12, 12), st.integers(1, 6))
def test_a_merged_set_covers_exactly_what_its_points_include(
    intervals: list[Interval], start: int, length: int
) -> None:
    wanted = (start, start + length)
    assert covers(merge(intervals), wanted) == (points([wanted]) <= points(intervals))


def test_parts_that_touch_become_one_in_a_union_and_stay_two_in_an_intersection() -> None:
    touching = [(0, 3), (3, 6)]
    assert merge(touching) == [(0, 6)]
    assert intersect(touching, [(1, 5)]) == [(1, 3), (3, 5)]


def test_an_interval_within_a_later_one_leaves_its_end() -> None:
    assert merge([(0, 1), (2, 10), (3, 4)]) == [(0, 1), (2, 10)]
