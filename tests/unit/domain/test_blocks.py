"""Blocks of allocations against plain lists of them."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.intervals import Interval
from zimun.domain.ledger.blocks import Block, block_numbers, block_of
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.loading import BLOCK, OPEN_BLOCK, Allocation

from ...support.profiles import examples

UNTIL = (5, 6, 7, FOREVER)


@dataclass(frozen=True)
class Booked:
    """Allocations of one subject in any order, and an interval."""

    allocations: list[Allocation]
    within: Interval


@st.composite
def booked(draw: st.DrawFn) -> Booked:
    """Disjoint allocations, some of which touch; their appointments start within their buffers."""
    edges = sorted(draw(st.lists(st.integers(0, 30), max_size=10, unique=True)))
    allocations = [
        Allocation(begin, end, draw(st.sampled_from(UNTIL)), draw(st.integers(begin, end - 1)), "x")
        for begin, end in pairwise(edges)
        if draw(st.booleans())
    ]
    begin, length = draw(st.integers(-2, 32)), draw(st.integers(1, 8))
    return Booked(draw(st.permutations(allocations)), (begin, begin + length))


def replacement(allocations: list[Allocation], draw: st.DataObject) -> Allocation:
    """A change of one of the allocations, its end, or one more before or after all."""
    if bool(allocations) and draw.draw(st.booleans()):
        changed = draw.draw(st.sampled_from(allocations))
        return changed._replace(until=draw.draw(st.sampled_from((0, *UNTIL))))
    begin = draw.draw(st.sampled_from((-10, 40)))
    return Allocation(begin, begin + 2, draw.draw(st.sampled_from(UNTIL)), begin + 1, "new")


@examples(500)
@given(booked())
def test_block_queries_answer_what_each_allocation_tells(given: Booked) -> None:
    block, (since, until) = block_of(given.allocations), given.within
    ordered = sorted(given.allocations)
    assert block.allocations == tuple(ordered)
    assert block.stands_until == min((one.until for one in ordered), default=FOREVER)
    assert block.overlapping(given.within) == tuple(
        one for one in ordered if one.busy_start < until and since < one.busy_end
    )
    assert block.beginning(given.within) == tuple(
        one for one in ordered if since <= one.busy_start < until
    )
    for now in range(4, 9):
        assert block.count_starts(given.within, now) == sum(
            since <= one.start < until and one.until > now for one in ordered
        )


@examples(300)
@given(booked(), st.data())
def test_block_after_changes_is_the_block_of_what_is_left(
    given: Booked, draw: st.DataObject
) -> None:
    block: Block = block_of(given.allocations)
    left = {(one.busy_start, one.session_id): one for one in given.allocations}
    for seq in range(1, 4):
        new = replacement(list(left.values()), draw)
        block = block.replaced(new, seq)
        left.pop((new.busy_start, new.session_id), None)
        if new.until:
            left[new.busy_start, new.session_id] = new
        assert block == block_of(left.values(), seq)


def test_block_loaded_at_no_number_has_number_0() -> None:
    assert block_of([]) == Block((), FOREVER, 0) == Block((), FOREVER)


@given(st.integers(-3 * BLOCK, 3 * BLOCK), st.integers(1, 2 * BLOCK))
def test_numbers_of_an_interval_are_those_of_the_blocks_that_it_overlaps(
    begin: int, length: int
) -> None:
    end = begin + length
    assert list(block_numbers(begin, end)) == [
        number for number in range(-9, 9) if number * BLOCK < end and begin < (number + 1) * BLOCK
    ]


def test_numbers_of_an_interval_at_the_edges_of_blocks_are_exact() -> None:
    assert list(block_numbers(0, BLOCK)) == [0]
    assert list(block_numbers(BLOCK - 1, BLOCK + 1)) == [0, 1]
    assert list(block_numbers(0, BLOCK + 1)) == [0, 1]
    assert list(block_numbers(2 * BLOCK, FOREVER)) == [OPEN_BLOCK]


def test_allocation_that_became_shorter_takes_the_place_of_the_earlier_one() -> None:
    earlier, shorter = (Allocation(10, end, FOREVER, 11, "x") for end in (20, 15))
    for before, after in ((earlier, shorter), (shorter, earlier)):
        assert block_of([before]).replaced(after, 1) == block_of([after], 1)


def test_start_of_a_hold_that_has_expired_is_not_counted() -> None:
    expired, kept = Allocation(0, 5, 3, 0, "x_1"), Allocation(10, 15, FOREVER, 10, "x_2")
    block = block_of([expired, kept])
    assert [block.count_starts((0, 11), now) for now in (2, 3)] == [2, 1]


def test_start_at_the_end_of_an_interval_is_not_in_it_whatever_has_expired() -> None:
    expired, kept = Allocation(0, 5, 3, 0, "x_1"), Allocation(10, 15, FOREVER, 10, "x_2")
    block = block_of([expired, kept])
    for now in (2, 3):
        assert [block.count_starts((5, end), now) for end in (10, 11)] == [0, 1]
