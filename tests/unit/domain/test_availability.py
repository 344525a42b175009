"""Which times are slots, and why others are not: random worlds against the oracle."""

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.nearest_slots import nearest
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Slot
from zimun.domain.booking_errors import NotASlot
from zimun.domain.instant import MINUTE

from ...support.profiles import examples
from .build import BACK_INTO_YESTERDAY, World, organization, service, world
from .oracle import Oracle
from .oracle_obstacles import refusal_of
from .random_worlds import worlds
from .slot_facts import facts, refusal, slot_at

T = TypeVar("T")


def check_resources(asked: World, slot: Slot) -> None:
    """The resources of a slot answer their requirements, differ, are there, active and free."""
    if slot.resource_ids is None:
        return
    requirements = asked.service.resource_requirements
    assert len(slot.resource_ids) == len(set(slot.resource_ids)) == len(requirements)
    begin, end = slot.start - asked.service.buffer_before, slot.end + asked.service.buffer_after
    for chosen, one_of in zip(slot.resource_ids, requirements, strict=True):
        assert chosen in one_of
        assert asked.catalog.resources[chosen].active
        assert asked.catalog.resources[chosen].location_id in ("", asked.place.id)
        assert not any(
            subject == chosen and since < end and begin < until
            for subject, since, until in asked.taken
        )


def check_answers(asked: World) -> None:
    """`slots` and `find_slot` answer every tick of the dates as the oracle does."""
    oracle, search = Oracle(asked), asked.search()
    assert asked.catalog.services[asked.service.id].option(asked.service.duration) == asked.service
    expected = {instant: refusal_of(oracle, instant) for instant in oracle.instants()}
    slots = list(search.slots(asked.first, asked.last))
    assert [slot.start for slot in slots] == [
        instant for instant, rule in expected.items() if not rule
    ]
    for slot in slots:
        assert slot.end - slot.start == asked.service.duration
        assert facts(slot) == oracle.facts(slot.start)
        assert slot_at(search, slot.start) == slot
        check_resources(asked, slot)
    assert {instant: refusal(search, instant) for instant in expected} == expected
    check_nearest(asked, search, slots)


def check_nearest(asked: World, search: Search, slots: list[Slot]) -> None:
    """The nearest are the first of all slots in order of distance, the earlier before the later."""
    around = [slot.start for slot in slots[:: max(len(slots) // 3, 1)]] or [search.window.earliest]
    for wanted in (around[0] - 1, *around, around[-1] + 7 * MINUTE):
        ordered = sorted(slots, key=lambda slot: (abs(slot.start - wanted), slot.start))
        for count in (1, 3):
            assert nearest(search, wanted, count, asked.first, asked.last) == ordered[:count]


@examples(2000)
@given(worlds())
def test_a_time_is_a_slot_exactly_when_every_rule_by_itself_allows_it(asked: World) -> None:
    check_answers(asked)


@examples(60)
@given(worlds("America/St_Johns", BACK_INTO_YESTERDAY))
def test_slots_are_exact_where_a_minute_of_tomorrow_comes_before_the_rest_of_today(
    asked: World,
) -> None:
    check_answers(asked)


def test_slots_come_in_time_order_though_the_dates_of_st_johns_did_not() -> None:
    """23:01-24:00 of the 6th came (02:31Z) after the first minute of the 7th (02:30Z)."""
    check_answers(
        world(
            service(duration=MINUTE, slot_step=MINUTE),
            BACK_INTO_YESTERDAY - timedelta(days=1),
            BACK_INTO_YESTERDAY,
            organization=organization(
                time_zone="America/St_Johns",
                weekly_hours={5: ((1380, 1440),), 6: ((0, 60),)},
            ),
        )
    )


@examples(150)
@given(worlds(), st.integers(0, 2**12))
def test_one_more_booking_never_adds_a_slot_nor_anybody_to_one(asked: World, kept: int) -> None:
    """Of a service with one seat; a group's booking opens a session that others can join."""
    lone = replace(asked, service=replace(asked.service, capacity=1), sessions=(), seats=1)
    fewer = replace(lone, taken=_some(lone.taken, kept), starts=_some(lone.starts, kept))
    able = {slot.start: set(slot.staff_ids) for slot in fewer.search().slots(lone.first, lone.last)}
    for slot in lone.search().slots(lone.first, lone.last):
        assert able[slot.start] >= set(slot.staff_ids)


def _some(values: tuple[T, ...], kept: int) -> tuple[T, ...]:
    return tuple(value for n, value in enumerate(values) if kept >> n & 1)


@examples(150)
@given(worlds())
def test_a_search_over_two_dates_finds_what_the_searches_of_each_find(asked: World) -> None:
    search, (one, other) = asked.search(), (asked.first, asked.first + timedelta(days=1))
    each = [*search.slots(one, one), *search.slots(other, other)]
    assert search.slots(one, other) == sorted(each, key=lambda slot: slot.start)


@examples(150)
@given(worlds())
def test_whoever_is_asked_for_has_the_slots_at_which_anybody_would_find_them(asked: World) -> None:
    anybody = replace(asked, staff_id="").search().slots(asked.first, asked.last)
    for staff_id in asked.service.staff_ids:
        found = replace(asked, staff_id=staff_id).search().slots(asked.first, asked.last)
        assert [slot.start for slot in found] == [
            slot.start for slot in anybody if staff_id in slot.staff_ids
        ]
        assert all(slot.staff_ids == (staff_id,) for slot in found)


@examples(100)
@given(worlds(), st.sampled_from([-1, 1, 30_000_000]))
def test_an_instant_beside_a_slot_is_not_on_the_grid(asked: World, beside: int) -> None:
    search = asked.search()
    for slot in search.slots(asked.first, asked.last):
        with pytest.raises(NotASlot):
            slot_at(search, slot.start + beside)
