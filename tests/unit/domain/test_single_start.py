"""The rules of hours and steps for one start, each by itself, on small examples."""

from dataclasses import replace
from datetime import date

import pytest

from zimun.domain.availability.single_start import time_of_day
from zimun.domain.booking_errors import NotASlot
from zimun.domain.catalog.entries import Override, Place, SlotAlignment
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.instant import HOUR, MINUTE

from .build import (
    MONDAY,
    NINE,
    NINE_TO_FIVE,
    World,
    every_day,
    location,
    member,
    organization,
    service,
    utc,
    world,
)
from .slot_facts import slot_at

CUT = service(duration=HOUR, slot_step=HOUR)
STAFFED = replace(CUT, staff_ids=("t_1",))
SALON = organization(weekly_hours=every_day(NINE_TO_FIVE))
NIGHT = NINE - 2 * HOUR


def is_slot(asked: World, start: int, *ignored: BookingRule) -> bool:
    return replace(asked.search(), ignored=frozenset(ignored)).find_slot(start) is not None


BY_PLACE = world(CUT, MONDAY, organization=SALON)
BY_SERVICE = world(replace(CUT, weekly_hours=every_day(NINE_TO_FIVE)), MONDAY)
BY_STAFF = world(STAFFED, MONDAY, staff=[member(weekly_hours=every_day(NINE_TO_FIVE))])


@pytest.mark.parametrize("asked", [BY_PLACE, BY_SERVICE, BY_STAFF], ids=["place", "own", "staff"])
def test_start_outside_the_hours_is_a_slot_where_they_are_set_aside_alone(asked: World) -> None:
    assert is_slot(asked, NINE)
    assert is_slot(asked, NINE, BookingRule.GRID)
    for start in (NIGHT, NINE - MINUTE, NINE + 8 * HOUR):
        assert not is_slot(asked, start)
        assert not is_slot(asked, start, BookingRule.LEAD_TIME, BookingRule.LIMITS)
        assert not is_slot(asked, start, BookingRule.GRID)
        assert is_slot(asked, start, BookingRule.OPENING_HOURS)
        assert is_slot(asked, start, BookingRule.OPENING_HOURS, BookingRule.GRID)


@pytest.mark.parametrize("asked", [BY_PLACE, BY_SERVICE, BY_STAFF], ids=["place", "own", "staff"])
def test_start_between_two_steps_is_a_slot_where_the_grid_is_set_aside(asked: World) -> None:
    for start in (NINE + 1, NINE + 30 * MINUTE):
        assert not is_slot(asked, start)
        assert not is_slot(asked, start, BookingRule.OPENING_HOURS)
        assert is_slot(asked, start, BookingRule.GRID)


@pytest.mark.parametrize("active", [True, False])
def test_location_has_slots_while_it_is_active_whatever_is_set_aside(active: bool) -> None:
    given = replace(CUT, location_ids=("l_1",))
    asked = world(given, MONDAY, locations=[location(active=active)])
    for rules in ((), (BookingRule.LIMITS,), tuple(BookingRule)):
        assert is_slot(asked, NINE, *rules) is active


def test_start_is_on_the_steps_of_one_staff_member_and_not_of_another() -> None:
    half_past = ((570, 1020),)
    staff = [
        member(id="t_2", weekly_hours=every_day(half_past)),
        member(weekly_hours=every_day(NINE_TO_FIVE)),
    ]
    asked = world(replace(CUT, staff_ids=("t_1", "t_2")), MONDAY, staff=staff)
    for start, staff_id in ((NINE + HOUR, "t_1"), (NINE + 90 * MINUTE, "t_2")):
        search = replace(asked.search(), ignored=frozenset({BookingRule.LIMITS}))
        found = search.find_slot(start)
        assert found
        assert found.staff_ids == (staff_id,)


def test_step_on_the_wall_is_exact() -> None:
    asked = world(replace(CUT, slot_alignment=SlotAlignment.HOUR), MONDAY)
    assert slot_at(asked.search(), NINE).start == NINE
    assert is_slot(asked, NINE, BookingRule.LIMITS)
    for start in (NINE + 1, NINE - 1, NINE + 30 * MINUTE):
        with pytest.raises(NotASlot) as refused:
            slot_at(asked.search(), start)
        assert refused.value.metadata == {"rule": "NOT_ON_GRID"}
        assert not is_slot(asked, start, BookingRule.LIMITS)


@pytest.mark.parametrize(
    ("instant", "minutes"),
    [
        ("2026-10-24T22:00", 0),
        ("2026-10-25T00:59", 179),
        ("2026-10-25T01:00", 120),
        ("2026-10-25T22:59", 1439),
        ("2026-10-25T23:00", 0),
        ("2026-03-29T00:59", 119),
        ("2026-03-29T01:00", 180),
    ],
)
def test_time_of_day_is_what_the_wall_clock_shows_through_a_change(
    instant: str, minutes: int
) -> None:
    assert time_of_day(Place("", "Europe/Berlin"), utc(instant)) == minutes * MINUTE


def test_hours_may_go_on_past_midnight_by_those_of_the_next_date() -> None:
    closed = Override(owner_id="o_1", date=date(2026, 1, 6))
    start = utc("2026-01-05T23:30")
    rules = (BookingRule.GRID,)
    assert is_slot(world(CUT, MONDAY), start, *rules)
    assert not is_slot(world(CUT, MONDAY, overrides=[closed]), start, *rules)
    assert is_slot(world(CUT, MONDAY, overrides=[closed]), start - HOUR // 2, *rules)
