"""Why a time cannot be had, one obstacle at a time, worked out by hand."""

from dataclasses import replace

import pytest

from zimun.domain.availability.obstacles import Rule
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.booking_errors import NotASlot
from zimun.domain.catalog.entries import Override, SlotAlignment
from zimun.domain.instant import DAY, HOUR, MINUTE

from .build import (
    MONDAY,
    NINE,
    TEN,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    utc,
    world,
)
from .slot_facts import slot_at, why

NOON = NINE + 3 * HOUR


def test_an_archived_service_is_named() -> None:
    assert why(world(service(active=False), MONDAY)) == [("SERVICE_INACTIVE", "s_1")]


def test_an_archived_location_is_closed_only_outside_its_hours() -> None:
    closed = location(active=False, weekly_hours=every_day(((540, 720),)))
    asked = world(service(location_ids=("l_1",)), MONDAY, locations=[closed])
    assert why(asked) == [("LOCATION_INACTIVE", "l_1")]
    assert why(asked, NOON) == [("LOCATION_INACTIVE", "l_1"), ("CLOSED", "l_1")]
    assert why(asked, NINE + MINUTE) == [("LOCATION_INACTIVE", "l_1"), ("NOT_ON_GRID", "s_1")]


def test_an_archived_location_is_named_beside_a_holiday() -> None:
    closed = location(active=False)
    asked = world(
        service(location_ids=("l_1",)), MONDAY, locations=[closed], holidays={MONDAY: "Epiphany"}
    )
    assert why(asked) == [("LOCATION_INACTIVE", "l_1"), ("HOLIDAY", "l_1")]


@pytest.mark.parametrize("alignment", SlotAlignment)
def test_a_time_between_two_steps_is_named_beside_what_else_there_is(
    alignment: SlotAlignment,
) -> None:
    """Too late for her and for the place, of an archived service: from 11:40 until 12:10."""
    asked = world(
        service(active=False, staff_ids=("t_1",), slot_alignment=alignment),
        MONDAY,
        organization=organization(weekly_hours=every_day(((540, 720),))),
        staff=[member(weekly_hours=every_day(((540, 720),)))],
    )
    by_the_hour = alignment is SlotAlignment.HOUR
    step = ("NOT_ON_GRID", "s_1" if by_the_hour else "t_1")
    closed = [("SERVICE_INACTIVE", "s_1"), ("CLOSED", "o_1")]
    staff = [("STAFF_CLOSED", "t_1")]
    start = NOON - 20 * MINUTE
    assert why(asked, start) == [*closed, *([step, *staff] if by_the_hour else [*staff, step])]
    after = NOON + 40 * MINUTE
    assert why(asked, after) == [*closed, *([step, *staff] if by_the_hour else staff)]


def test_a_service_that_ends_after_her_hours_is_refused_with_its_length() -> None:
    asked = world(
        service(staff_ids=("t_1",)),
        MONDAY,
        staff=[member(weekly_hours=every_day(((540, 715),)))],
    )
    with pytest.raises(NotASlot) as refused:
        slot_at(asked.search(), NOON - 30 * MINUTE)
    assert refused.value.metadata == {"rule": "STAFF_CLOSED"}
    assert str(refused.value) == (
        "Ada does not work for all of the 30 minutes from 2026-01-05 11:30 in UTC on"
    )


def test_an_archived_service_and_an_archived_location_are_both_named() -> None:
    given = service(active=False, location_ids=("l_1",))
    asked = world(given, MONDAY, locations=[location(active=False)])
    assert why(asked) == [("SERVICE_INACTIVE", "s_1"), ("LOCATION_INACTIVE", "l_1")]


def test_a_holiday_is_named_with_its_name() -> None:
    asked = world(service(), MONDAY, holidays={MONDAY: "Epiphany"})
    [holiday] = obstacles(asked.search(), NINE)
    assert (holiday.rule, holiday.subject_id, holiday.note) == (Rule.HOLIDAY, "o_1", "Epiphany")
    assert holiday.message == "Salon is closed on 2026-01-05, a public holiday: Epiphany"


def test_a_place_that_is_closed_is_named_with_the_note_of_the_override_that_closes_it() -> None:
    stocktaking = Override(owner_id="o_1", date=MONDAY, hours=((600, 720),), note="Stocktaking")
    asked = world(
        service(location_ids=("l_1",)), MONDAY, locations=[location()], overrides=[stocktaking]
    )
    [closed] = obstacles(asked.search(), NINE)
    assert (closed.rule, closed.subject_id, closed.note) == (Rule.CLOSED, "l_1", "Stocktaking")


def test_a_place_that_closes_before_the_end_is_closed() -> None:
    asked = world(service(), MONDAY, organization=organization(weekly_hours={0: ((540, 569),)}))
    assert why(asked) == [("CLOSED", "o_1")]


def test_a_time_between_two_steps_is_named_of_a_service_without_staff() -> None:
    assert why(world(service(), MONDAY), NINE + MINUTE) == [("NOT_ON_GRID", "s_1")]


def test_a_time_between_two_steps_is_named_of_each_staff_member_as_their_steps_differ() -> None:
    asked = world(
        service(staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(), member(id="t_2", weekly_hours=every_day(((550, 720),)))],
    )
    assert why(asked, NINE + 20 * MINUTE) == [("NOT_ON_GRID", "t_1"), ("NOT_ON_GRID", "t_2")]


def test_too_little_notice_is_named_with_the_wall_time_from_which_on_it_is_enough() -> None:
    asked = world(
        service(lead_time=HOUR),
        MONDAY,
        now=NINE,
        organization=organization(time_zone="Europe/Berlin"),
    )
    [early] = obstacles(asked.search(), NINE)
    assert (early.rule, early.subject_id) == (Rule.LEAD_TIME, "s_1")
    assert "2026-01-05 11:00 in Europe/Berlin" in early.message


def test_too_far_ahead_is_named() -> None:
    asked = world(service(horizon=HOUR), MONDAY, now=NINE - HOUR - 1)
    assert why(asked) == [("HORIZON", "s_1")]
    assert why(replace(asked, now=NINE - HOUR), TEN) == [("HORIZON", "s_1")]


def test_booking_window_is_no_obstacle_at_its_first_and_last_instant() -> None:
    """From an hour to an hour ahead: nine is both, and it is taken."""
    asked = world(
        service(staff_ids=("t_1",), lead_time=HOUR, horizon=HOUR),
        MONDAY,
        now=NINE - HOUR,
        staff=[member()],
        taken=(("t_1", NINE, TEN),),
    )
    assert why(asked) == [("STAFF_BUSY", "t_1")]


def test_an_archived_person_is_named_with_all_else_of_them() -> None:
    archived = member(active=False, location_ids=("l_2",), weekly_hours={})
    asked = world(
        service(staff_ids=("t_1",)), MONDAY, staff=[archived], taken=(("t_1", NINE, TEN),)
    )
    rules = ["STAFF_INACTIVE", "STAFF_ELSEWHERE", "STAFF_CLOSED", "STAFF_BUSY"]
    assert why(asked) == [(rule, "t_1") for rule in rules]


def test_a_person_who_works_at_other_locations_is_named_and_whether_they_are_taken() -> None:
    asked = world(
        service(staff_ids=("t_1",), location_ids=("l_1",)),
        MONDAY,
        locations=[location(), location(id="l_2")],
        staff=[member(location_ids=("l_2",))],
        taken=(("t_1", NINE, TEN),),
    )
    assert why(asked) == [("STAFF_ELSEWHERE", "t_1"), ("STAFF_BUSY", "t_1")]


def test_a_person_who_does_not_work_then_is_named_with_the_note_of_their_own_date() -> None:
    """In Auckland (13 hours ahead) it is 22:00 of the 5th, and on the 5th she is off."""
    off = Override(owner_id="t_1", date=MONDAY, note="Day off")
    asked = world(
        service(staff_ids=("t_1",)),
        MONDAY,
        staff=[member(time_zone="Pacific/Auckland")],
        overrides=[off],
    )
    [closed] = obstacles(asked.search(), NINE)
    assert (closed.rule, closed.subject_id, closed.note) == (Rule.STAFF_CLOSED, "t_1", "Day off")
    assert why(asked, NOON) == []


def test_a_person_who_is_taken_is_named_with_every_interval_that_overlaps() -> None:
    asked = world(
        service(staff_ids=("t_1",), buffer_before=10 * MINUTE, buffer_after=10 * MINUTE),
        MONDAY,
        staff=[member()],
        taken=(
            ("t_1", NINE - HOUR, NINE - 10 * MINUTE),
            ("t_1", NINE - 10 * MINUTE, NINE),
            ("t_1", NINE + 39 * MINUTE, TEN),
            ("t_1", TEN, TEN + HOUR),
        ),
    )
    found = obstacles(asked.search(), NINE)
    assert [(one.rule, one.busy) for one in found] == [
        (Rule.STAFF_BUSY, (NINE - 10 * MINUTE, NINE)),
        (Rule.STAFF_BUSY, (NINE + 39 * MINUTE, TEN)),
    ]
    assert (
        found[0].message == "Ada is taken from 2026-01-05 08:50 in UTC to 2026-01-05 09:00 in UTC"
    )


def test_a_person_who_has_reached_their_limit_is_named_on_the_date_of_their_own_zone() -> None:
    """In New York the 4th lasts until 05:00Z of the 5th."""
    asked = world(
        service(staff_ids=("t_1",)),
        MONDAY,
        staff=[member(time_zone="America/New_York", daily_limit=2)],
        starts=(("t_1", utc("2026-01-04T05:00")), ("t_1", utc("2026-01-05T04:59"))),
    )
    assert why(asked, utc("2026-01-05T04:30")) == [("STAFF_DAILY_LIMIT", "t_1")]
    assert slot_at(asked.search(), utc("2026-01-05T05:00"))


def test_a_person_who_is_taken_and_has_reached_their_limit_is_named_with_both() -> None:
    asked = world(
        service(staff_ids=("t_1",)),
        MONDAY,
        staff=[member(daily_limit=1)],
        taken=(("t_1", NINE, TEN),),
        starts=(("t_1", NINE),),
    )
    assert why(asked) == [("STAFF_DAILY_LIMIT", "t_1"), ("STAFF_BUSY", "t_1")]


def test_of_people_nothing_is_said_where_one_could_serve() -> None:
    asked = world(
        service(staff_ids=("t_1", "t_2"), resource_requirements=(("r_1",),)),
        MONDAY,
        staff=[member(), member(id="t_2")],
        resources=[resource()],
        taken=(("t_1", NINE, TEN), ("r_1", NINE, TEN)),
    )
    assert why(asked) == [("RESOURCE_BUSY", "r_1")]
    named = replace(asked, staff_id="t_1")
    assert why(named) == [("STAFF_BUSY", "t_1"), ("RESOURCE_BUSY", "r_1")]


def test_each_staff_member_is_named_with_their_own_obstacles_where_none_could_serve() -> None:
    asked = world(
        service(staff_ids=("t_2", "t_3", "t_1")),
        MONDAY,
        staff=[member(), member(id="t_2", active=False), member(id="t_3", weekly_hours={})],
        taken=(("t_1", NINE, TEN),),
    )
    assert why(asked) == [("STAFF_BUSY", "t_1"), ("STAFF_INACTIVE", "t_2"), ("STAFF_CLOSED", "t_3")]


def test_an_archived_thing_is_named_with_all_else_of_it() -> None:
    asked = world(
        service(resource_requirements=(("r_1",),)),
        MONDAY,
        resources=[resource(active=False, location_id="l_2")],
        locations=[location(id="l_2")],
        taken=(("r_1", NINE, TEN),),
    )
    rules = ["RESOURCE_INACTIVE", "RESOURCE_ELSEWHERE", "RESOURCE_BUSY"]
    assert why(asked) == [(rule, "r_1") for rule in rules]


def test_of_a_requirement_that_is_met_no_thing_is_named() -> None:
    asked = world(
        service(resource_requirements=(("r_1",), ("r_2", "r_3"))),
        MONDAY,
        resources=[resource(), resource(id="r_2"), resource(id="r_3")],
        taken=(("r_1", NINE, TEN), ("r_2", NINE, TEN)),
    )
    assert why(asked) == [("RESOURCE_BUSY", "r_1")]


def test_what_can_never_be_had_comes_before_notice_and_what_is_taken() -> None:
    asked = world(
        service(
            staff_ids=("t_1",), resource_requirements=(("r_1",), ("r_2",)), lead_time=365 * DAY
        ),
        MONDAY,
        staff=[member()],
        resources=[resource(), resource(id="r_2", active=False)],
        taken=(("r_1", NINE, TEN), ("t_1", NINE, TEN)),
    )
    assert why(asked) == [
        ("RESOURCE_INACTIVE", "r_2"),
        ("LEAD_TIME", "s_1"),
        ("STAFF_BUSY", "t_1"),
        ("RESOURCE_BUSY", "r_1"),
    ]
    with pytest.raises(NotASlot, match="Chair is archived"):
        slot_at(asked.search(), NINE)


def test_a_thing_at_another_location_is_named() -> None:
    asked = world(
        service(resource_requirements=(("r_1",),), location_ids=("l_1",)),
        MONDAY,
        locations=[location(), location(id="l_2")],
        resources=[resource(location_id="l_2")],
    )
    assert why(asked) == [("RESOURCE_ELSEWHERE", "r_1")]


def test_of_things_nothing_is_said_where_they_suffice() -> None:
    asked = world(
        service(staff_ids=("t_1",), resource_requirements=(("r_1", "r_2"),)),
        MONDAY,
        staff=[member()],
        resources=[resource(), resource(id="r_2")],
        taken=(("t_1", NINE, TEN), ("r_1", NINE, TEN)),
    )
    assert why(asked) == [("STAFF_BUSY", "t_1")]


def test_two_requirements_that_need_the_same_thing_are_named_and_why_no_other_will_do() -> None:
    """Each of them has a room that is free; it is the same one."""
    asked = world(
        service(resource_requirements=(("r_1", "r_2"), ("r_2",))),
        MONDAY,
        resources=[resource(), resource(id="r_2")],
        taken=(("r_1", NINE, TEN),),
    )
    assert why(asked) == [("RESOURCE_BUSY", "r_1"), ("RESOURCES_SHARED", "s_1")]


def test_two_requirements_of_one_thing_are_shared_though_it_is_free() -> None:
    asked = world(
        service(resource_requirements=(("r_1",), ("r_1",))), MONDAY, resources=[resource()]
    )
    assert why(asked) == [("RESOURCES_SHARED", "s_1")]


def test_a_service_without_staff_and_resources_is_named_when_it_is_taken() -> None:
    asked = world(service(), MONDAY, taken=(("s_1@", NINE, TEN),))
    [busy] = obstacles(asked.search(), NINE)
    assert (busy.rule, busy.subject_id, busy.busy) == (Rule.SERVICE_BUSY, "s_1", (NINE, TEN))


def test_nothing_stands_in_the_way_of_a_slot() -> None:
    asked = world(service(staff_ids=("t_1",)), MONDAY, staff=[member()])
    assert slot_at(asked.search(), NINE)
    assert why(asked) == []


@pytest.mark.parametrize("length", [30, 60])
def test_the_length_that_is_asked_for_is_the_one_that_is_explained(length: int) -> None:
    """Taken from 09:40 on: half an hour at nine would be free, an hour is not."""
    offered = service(staff_ids=("t_1",), duration_options=(HOUR,))
    busy = ("t_1", NINE + 40 * MINUTE, TEN)
    asked = world(offered, MONDAY, staff=[member()], taken=(busy,))
    asked = replace(asked, service=offered.option(length * MINUTE))
    assert why(asked) == ([("STAFF_BUSY", "t_1")] if length == 60 else [])
