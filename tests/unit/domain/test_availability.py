"""Which times are slots, and why others are not: against the oracle, and by hand."""

from dataclasses import replace
from datetime import date, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.nearest_slots import nearest
from zimun.domain.availability.slot_explanation import slot_at
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Slot
from zimun.domain.booking_errors import (
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    SlotUnavailable,
)
from zimun.domain.catalog.entries import Override, Place, SlotAlignment
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, HOUR, MINUTE

from ...support.profiles import examples
from .build import (
    ALL_DAY,
    BACK_INTO_YESTERDAY,
    NINE_TO_FIVE,
    World,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    session,
    utc,
    world,
    worlds,
)
from .oracle import Facts, Oracle
from .oracle_obstacles import refusal_of

T = TypeVar("T")

MONDAY = date(2026, 1, 5)
NINE = utc("2026-01-05T09:00")


def facts(slot: Slot) -> Facts:
    return Facts(
        staff_ids=slot.staff_ids,
        seats_left=slot.seats_left,
        is_new=slot.resource_ids is not None,
        joinable=frozenset(slot.joinable),
    )


def refusal(search: Search, start: int) -> str:
    """The rule that slot_at names; empty for a slot."""
    try:
        slot_at(search, start)
    except (NotASlot, OutsideBookingWindow) as refused:
        return refused.metadata["rule"]
    except SlotUnavailable:
        return "TAKEN"
    except LimitReached as reached:
        return reached.reason
    return ""


def starts(asked: World) -> list[str]:
    """The UTC wall times of the slots, as 01-05T09:00."""
    found = asked.search().slots(asked.first, asked.last)
    return [f"{_shown(slot.start)}" for slot in found]


def _shown(instant: int) -> str:
    minutes = (instant - utc("2026-01-05T00:00")) // MINUTE
    return f"{minutes // 60:02}:{minutes % 60:02}"


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
    """`slots` and `slot_at` answer every tick of the dates as the oracle does."""
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
    around = [slot.start for slot in slots[:: max(len(slots) // 3, 1)]] or [search.opens]
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


def test_the_length_of_an_appointment_fits_into_the_hours_to_the_last_minute() -> None:
    asked = world(
        service(duration=90 * MINUTE, slot_step=60 * MINUTE),
        MONDAY,
        organization=organization(weekly_hours=every_day(((540, 690), (720, 809)))),
    )
    assert starts(asked) == ["09:00", "10:00"]


def test_a_gap_in_the_hours_cannot_be_worked_through() -> None:
    asked = world(
        service(duration=HOUR),
        MONDAY,
        organization=organization(weekly_hours=every_day(((540, 600), (601, 700)))),
    )
    assert starts(asked) == ["09:00", "10:01", "10:31"]


def test_an_appointment_may_last_past_midnight_into_hours_that_follow() -> None:
    late = {0: ((1380, 1440),), 1: ((0, 30),)}
    given = service(duration=HOUR, slot_step=15 * MINUTE)
    asked = world(given, MONDAY, organization=organization(weekly_hours=late))
    assert starts(asked) == ["23:00", "23:15", "23:30"]
    assert starts(replace(asked, first=date(2026, 1, 6), last=date(2026, 1, 6))) == []


def test_steps_count_from_the_moment_at_which_place_and_person_are_both_open() -> None:
    asked = world(
        service(slot_step=HOUR, staff_ids=("t_1",)),
        MONDAY,
        organization=organization(weekly_hours=every_day(((540, 720),))),
        staff=[member(weekly_hours=every_day(((560, 1020),)))],
    )
    assert starts(asked) == ["09:20", "10:20", "11:20"]


def test_a_persons_own_midnight_does_not_begin_the_steps_anew() -> None:
    """London is open 03:00-07:00; in New York it is midnight at 05:00, and she works on."""
    asked = world(
        service(slot_step=45 * MINUTE, staff_ids=("t_1",)),
        MONDAY,
        organization=organization(time_zone="Europe/London", weekly_hours=every_day(((180, 420),))),
        staff=[member(time_zone="America/New_York")],
    )
    assert starts(asked) == ["03:00", "03:45", "04:30", "05:15", "06:00"]
    check_answers(replace(asked, tick=15 * MINUTE))


def test_a_break_at_a_persons_own_midnight_begins_the_steps_anew() -> None:
    """In New York she rests from 00:00 to 00:10, which is 05:00 to 05:10 in London."""
    asked = world(
        service(slot_step=45 * MINUTE, staff_ids=("t_1",)),
        MONDAY,
        organization=organization(time_zone="Europe/London", weekly_hours=every_day(((180, 420),))),
        staff=[member(time_zone="America/New_York", weekly_hours=every_day(((10, 1440),)))],
    )
    assert starts(asked) == ["03:00", "03:45", "04:30", "05:10", "05:55"]


def test_the_midnight_of_the_place_begins_the_steps_anew() -> None:
    """A grid belongs to one date of the place, though both are open throughout."""
    asked = world(
        service(slot_step=7 * HOUR, staff_ids=("t_1",)),
        MONDAY,
        MONDAY + timedelta(days=1),
        staff=[member(time_zone="America/New_York")],
    )
    one = ["00:00", "07:00", "14:00", "21:00"]
    assert starts(asked) == [*one, "24:00", "31:00", "38:00", "45:00"]


def test_steps_on_the_hour_count_from_midnight_on_the_wall_of_the_place() -> None:
    """Kathmandu is at +5:45: 09:00 there is 03:15 UTC."""
    asked = world(
        service(slot_step=HOUR, slot_alignment=SlotAlignment.HOUR),
        MONDAY,
        organization=organization(
            time_zone="Asia/Kathmandu", weekly_hours=every_day(((535, 700),))
        ),
    )
    assert starts(asked) == ["03:15", "04:15", "05:15"]


def test_a_repeated_hour_is_offered_twice_and_a_skipped_one_never() -> None:
    """Berlin shows 02:00-03:00 twice on 2026-10-25 (00:00Z, 01:00Z), not at all on 2026-03-29."""
    night = organization(time_zone="Europe/Berlin", weekly_hours=every_day(((120, 180),)))
    autumn = world(service(), date(2026, 10, 25), organization=night)
    assert [slot.start for slot in autumn.search().slots(autumn.first, autumn.last)] == [
        utc(f"2026-10-25T{time}") for time in ("00:00", "00:30", "01:00", "01:30")
    ]
    spring = world(service(), date(2026, 3, 29), organization=night)
    assert list(spring.search().slots(spring.first, spring.last)) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, 0, ["09:00", "09:30", "11:00"]),
        (30, 0, ["09:00", "09:30"]),
        (0, 30, ["09:00", "11:00"]),
        (29, 1, ["09:00"]),
    ],
)
def test_buffers_need_to_be_free_but_not_open(before: int, after: int, expected: list[str]) -> None:
    asked = world(
        service(buffer_before=before * MINUTE, buffer_after=after * MINUTE, staff_ids=("t_1",)),
        MONDAY,
        organization=organization(weekly_hours=every_day(((540, 690),))),
        staff=[member()],
        taken=(("t_1", NINE + HOUR, NINE + 2 * HOUR),),
    )
    assert starts(asked) == expected


def test_the_booking_window_is_closed_at_both_ends() -> None:
    given = service(lead_time=HOUR, horizon=2 * HOUR)
    asked = world(given, MONDAY, now=NINE)
    assert starts(asked) == ["10:00", "10:30", "11:00"]
    assert starts(replace(asked, now=NINE + 1)) == ["10:30", "11:00"]
    assert starts(replace(asked, now=NINE - 1)) == ["10:00", "10:30"]


def test_a_time_outside_the_window_is_told_the_window() -> None:
    search = world(service(lead_time=HOUR, horizon=2 * HOUR), MONDAY, now=NINE).search()
    window = {"opens": "2026-01-05T10:00:00Z", "closes": "2026-01-05T11:00:00Z"}
    with pytest.raises(OutsideBookingWindow) as early:
        slot_at(search, NINE + HOUR // 2)
    assert early.value.metadata == {"rule": "LEAD_TIME", **window}
    within = world(service(lead_time=HOUR, horizon=2 * HOUR), MONDAY, now=NINE - 999_999).search()
    with pytest.raises(OutsideBookingWindow, match="from 2026-01-05T10:00:00Z to 2026-01-05T10:59"):
        slot_at(within, NINE + HOUR // 2)
    with pytest.raises(OutsideBookingWindow) as late:
        slot_at(search, NINE + 5 * HOUR // 2)
    assert late.value.metadata == {"rule": "HORIZON", **window}


def test_a_holiday_is_named_and_an_override_opens_it() -> None:
    asked = world(service(), MONDAY, holidays={MONDAY: "Epiphany"})
    with pytest.raises(NotASlot) as closed:
        slot_at(asked.search(), NINE)
    assert closed.value.metadata == {"rule": "HOLIDAY", "note": "Epiphany"}
    override = Override(owner_id="o_1", date=MONDAY, hours=((540, 600),))
    opened = world(service(), MONDAY, holidays={MONDAY: "Epiphany"}, overrides=[override])
    assert starts(opened) == ["09:00", "09:30"]


def test_the_note_of_the_override_that_closed_a_date_is_told() -> None:
    closed = Override(owner_id="o_1", date=MONDAY, note="Stocktaking")
    with pytest.raises(NotASlot) as refused:
        slot_at(world(service(), MONDAY, overrides=[closed]).search(), NINE)
    assert refused.value.metadata == {"rule": "CLOSED", "note": "Stocktaking"}


def test_a_service_that_needs_nobody_and_nothing_is_sold_once() -> None:
    asked = world(service(), MONDAY, taken=(("s_1@", NINE, NINE + HOUR),))
    assert refusal(asked.search(), NINE) == refusal(asked.search(), NINE + HOUR // 2) == "TAKEN"
    assert refusal(asked.search(), NINE + HOUR) == ""


def test_a_person_who_is_asked_for_must_be_free_themselves() -> None:
    asked = world(
        service(staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(), member(id="t_2")],
        taken=(("t_1", NINE, NINE + HOUR),),
    )
    assert slot_at(asked.search(), NINE).staff_ids == ("t_2",)
    assert refusal(replace(asked, staff_id="t_1").search(), NINE) == "TAKEN"
    assert slot_at(replace(asked, staff_id="t_2").search(), NINE).staff_ids == ("t_2",)


def test_one_resource_cannot_answer_two_requirements() -> None:
    two = service(resource_requirements=(("r_1", "r_2"), ("r_1",)))
    asked = world(two, MONDAY, resources=[resource(), resource(id="r_2")])
    assert slot_at(asked.search(), NINE).resource_ids == ("r_2", "r_1")
    one = world(two, MONDAY, resources=[resource(), resource(id="r_2", active=False)])
    assert refusal(one.search(), NINE) == "RESOURCE_INACTIVE"


def test_a_running_session_with_room_can_be_joined_though_its_people_are_busy() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", seats_taken=2)
    asked = world(
        service(capacity=4, staff_ids=("t_1",)),
        MONDAY,
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
        seats=2,
    )
    slot = slot_at(asked.search(), NINE)
    assert (slot.staff_ids, slot.seats_left, slot.resource_ids) == (("t_1",), 2, None)
    assert slot.joinable == (running,)
    assert refusal(replace(asked, seats=3).search(), NINE) == "TAKEN"


def test_a_location_that_cannot_be_booked_now_has_no_slots() -> None:
    """Location.active, in location.proto: whether it can be booked now."""
    asked = world(service(location_ids=("l_1",)), MONDAY, locations=[location(active=False)])
    assert starts(asked) == []
    assert refusal(asked.search(), NINE) == "LOCATION_INACTIVE"


def test_an_archived_location_is_named_before_a_holiday_and_after_an_archived_service() -> None:
    given, holidays = service(location_ids=("l_1",)), {MONDAY: "Epiphany"}
    closed = world(given, MONDAY, locations=[location(active=False)], holidays=holidays)
    assert refusal(closed.search(), NINE) == "LOCATION_INACTIVE"
    archived = replace(closed, service=replace(given, active=False))
    assert refusal(archived.search(), NINE) == "SERVICE_INACTIVE"
    open_ = world(given, MONDAY, locations=[location()], holidays=holidays)
    assert refusal(open_.search(), NINE) == "HOLIDAY"


def test_another_location_that_is_archived_is_nobodys_concern() -> None:
    both = [location(), location(id="l_2", active=False)]
    given = service(location_ids=("l_1", "l_2"))
    assert refusal(world(given, MONDAY, locations=both).search(), NINE) == ""
    assert refusal(world(service(), MONDAY, locations=both).search(), NINE) == ""


@pytest.mark.parametrize(
    ("place", "works_at", "expected"),
    [
        ("l_1", (), ""),
        ("l_1", ("l_1",), ""),
        ("l_1", ("l_2", "l_1"), ""),
        ("l_1", ("l_2",), "STAFF_ELSEWHERE"),
        ("", (), ""),
        ("", ("l_1",), "STAFF_ELSEWHERE"),
    ],
)
def test_a_person_serves_at_their_locations_and_where_they_have_none_everywhere(
    place: str, works_at: tuple[str, ...], expected: str
) -> None:
    """The organization itself (no location) is not one of a person's locations."""
    asked = world(
        service(staff_ids=("t_1",), location_ids=(place,) if place else ()),
        MONDAY,
        locations=[location(), location(id="l_2")],
        staff=[member(location_ids=works_at)],
    )
    assert refusal(asked.search(), NINE) == expected


@pytest.mark.parametrize(
    ("place", "is_at", "expected"),
    [
        ("l_1", "", ""),
        ("l_1", "l_1", ""),
        ("l_1", "l_2", "RESOURCE_ELSEWHERE"),
        ("", "", ""),
        ("", "l_1", "RESOURCE_ELSEWHERE"),
    ],
)
def test_a_thing_serves_at_its_location_and_where_it_has_none_everywhere(
    place: str, is_at: str, expected: str
) -> None:
    asked = world(
        service(resource_requirements=(("r_1",),), location_ids=(place,) if place else ()),
        MONDAY,
        locations=[location(), location(id="l_2")],
        resources=[resource(location_id=is_at)],
    )
    assert refusal(asked.search(), NINE) == expected


def test_requirements_that_share_things_need_as_many_free_as_there_are_requirements() -> None:
    """Any of three rooms, and one of two of them: with one left of each it must be two rooms."""
    given = service(resource_requirements=(("r_1", "r_2", "r_3"), ("r_2", "r_3")))
    asked = world(
        given,
        MONDAY,
        resources=[resource(id=f"r_{n}") for n in (1, 2, 3)],
        taken=(("r_1", NINE, NINE + HOUR), ("r_2", NINE + HOUR // 2, NINE + HOUR)),
    )
    assert slot_at(asked.search(), NINE).resource_ids in {("r_2", "r_3"), ("r_3", "r_2")}
    assert refusal(asked.search(), NINE + HOUR // 2) == "TAKEN"
    assert refusal(asked.search(), NINE + HOUR) == ""


def in_new_york(daily_limit: int, *begun: str) -> World:
    """A New Yorker (5 hours behind UTC) who serves from 04:00 to 06:00, and what she has begun."""
    return world(
        service(staff_ids=("t_1",)),
        MONDAY,
        organization=organization(weekly_hours=every_day(((240, 360),))),
        staff=[member(time_zone="America/New_York", daily_limit=daily_limit)],
        starts=tuple(("t_1", utc(start)) for start in begun),
    )


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("2026-01-04T04:59:59", ["04:00", "04:30", "05:00", "05:30"]),
        ("2026-01-04T05:00", ["05:00", "05:30"]),
        ("2026-01-05T04:59:59", ["05:00", "05:30"]),
        ("2026-01-05T05:00", ["04:00", "04:30"]),
        ("2026-01-06T04:59:59", ["04:00", "04:30"]),
        ("2026-01-06T05:00", ["04:00", "04:30", "05:00", "05:30"]),
    ],
)
def test_a_daily_limit_counts_the_bookings_that_begin_on_a_date_of_the_persons_own_zone(
    begun: str, expected: list[str]
) -> None:
    """Her 4th of January lasts from 05:00Z of the 4th to 05:00Z of the 5th."""
    asked = in_new_york(1, begun)
    assert starts(asked) == expected
    assert [refusal(asked.search(), utc(f"2026-01-05T{time}")) == "" for time in expected]


def test_a_daily_limit_of_two_is_reached_by_the_second_booking() -> None:
    morning, noon = "2026-01-04T14:00", "2026-01-04T17:00"
    all_ = ["04:00", "04:30", "05:00", "05:30"]
    assert starts(in_new_york(2, morning)) == all_
    assert starts(in_new_york(2, morning, noon)) == ["05:00", "05:30"]
    assert starts(in_new_york(3, morning, noon)) == all_


def test_the_date_that_a_clock_was_set_back_into_is_one_date_for_a_daily_limit() -> None:
    """St John's: the 7th's first minute (02:30Z), 59 of the 6th again, then (03:30Z) the 7th."""
    asked = world(
        service(duration=MINUTE, slot_step=MINUTE, staff_ids=("t_1",)),
        BACK_INTO_YESTERDAY,
        organization=organization(weekly_hours=every_day(((148, 214),))),
        staff=[member(time_zone="America/St_Johns", daily_limit=1)],
        starts=(("t_1", utc("2010-11-07T12:00")),),
    )
    found = [slot.start for slot in asked.search().slots(asked.first, asked.last)]
    begin = utc("2010-11-07T02:28")
    of_the_6th = [0, 1, *range(3, 62)]
    assert found == [begin + n * MINUTE for n in of_the_6th]


def test_who_has_reached_their_limit_is_passed_over_for_who_has_not() -> None:
    asked = world(
        service(staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(daily_limit=1), member(id="t_2", daily_limit=2)],
        starts=(("t_1", NINE - HOUR), ("t_2", NINE - HOUR)),
    )
    assert slot_at(asked.search(), NINE).staff_ids == ("t_2",)
    assert refusal(replace(asked, staff_id="t_1").search(), NINE) == "TAKEN"


def test_a_session_can_be_joined_though_its_person_begins_nothing_else_that_day() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", seats_taken=2)
    asked = world(
        service(capacity=3, staff_ids=("t_1",)),
        MONDAY,
        staff=[member(daily_limit=1)],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
        starts=(("t_1", NINE),),
    )
    assert slot_at(asked.search(), NINE).joinable == (running,)
    assert starts(asked) == ["09:00"]


def test_another_length_that_a_service_offers_has_slots_of_its_own() -> None:
    """Open 09:00-10:30; both lengths are asked of one timetable."""
    offered = service(duration_options=(HOUR, 90 * MINUTE))
    asked = world(offered, MONDAY, organization=organization(weekly_hours=every_day(((540, 630),))))
    search = asked.search()
    found = {
        length: [
            (_shown(slot.start), slot.end - slot.start)
            for slot in replace(search, service=offered.option(length)).slots(MONDAY, MONDAY)
        ]
        for length in (HOUR // 2, HOUR, 90 * MINUTE)
    }
    assert found == {
        HOUR // 2: [(start, HOUR // 2) for start in ("09:00", "09:30", "10:00")],
        HOUR: [("09:00", HOUR), ("09:30", HOUR)],
        90 * MINUTE: [("09:00", 90 * MINUTE)],
    }


def test_a_length_that_a_service_does_not_offer_cannot_be_asked_for() -> None:
    offered = service(duration_options=(HOUR,))
    assert offered.option(HOUR // 2) is offered
    with pytest.raises(InvalidRequest) as refused:
        offered.option(HOUR + MINUTE)
    assert list(refused.value.violations) == ["duration"]


def test_a_longer_length_needs_more_of_whoever_serves_it() -> None:
    offered = service(staff_ids=("t_1",), duration_options=(HOUR,))
    asked = world(offered, MONDAY, staff=[member()], taken=(("t_1", NINE, NINE + HOUR),))
    longer = replace(asked, service=offered.option(HOUR))
    half_past_eight = NINE - HOUR // 2
    assert refusal(asked.search(), half_past_eight) == ""
    assert refusal(longer.search(), half_past_eight) == "TAKEN"


def test_a_session_of_another_length_cannot_be_joined() -> None:
    running = session(start=NINE, end=NINE + HOUR, staff_id="t_1")
    offered = service(capacity=3, staff_ids=("t_1",), duration_options=(HOUR,))
    asked = world(
        offered,
        MONDAY,
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR),),
        sessions=(running,),
    )
    assert refusal(asked.search(), NINE) == "TAKEN"
    longer = replace(asked, service=offered.option(HOUR))
    assert slot_at(longer.search(), NINE).joinable == (running,)


def test_a_session_at_another_location_cannot_be_joined_and_keeps_its_person_busy() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", location_id="l_2")
    asked = world(
        service(capacity=3, staff_ids=("t_1",), location_ids=("l_1", "l_2")),
        MONDAY,
        locations=[location(), location(id="l_2")],
        staff=[member()],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
    )
    assert refusal(asked.search(), NINE) == "TAKEN"
    there = replace(asked, place=Place("l_2", "UTC"))
    assert slot_at(there.search(), NINE).joinable == (running,)


def test_a_session_without_a_person_is_not_joined_by_who_asks_for_one() -> None:
    """It was sold when the service needed nobody; she who is asked for is off, he is not."""
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="")
    asked = world(
        service(capacity=3, staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(weekly_hours={}), member(id="t_2")],
        sessions=(running,),
        staff_id="t_1",
    )
    assert starts(asked) == []
    assert refusal(asked.search(), NINE) == "STAFF_CLOSED"


def test_a_person_that_the_catalogue_does_not_know_works_never() -> None:
    asked = world(service(staff_ids=("t_9",)), MONDAY)
    assert starts(asked) == []
    assert refusal(asked.search(), NINE) == "STAFF_CLOSED"


@pytest.mark.parametrize("length", [1, 30])
def test_a_start_just_before_st_johns_goes_back_into_yesterday_is_a_slot(length: int) -> None:
    """2010-11-07, 00:00 at -2:30 is 02:30Z; all day long it is open, so any length fits."""
    asked = world(
        service(duration=length * MINUTE, slot_step=MINUTE),
        BACK_INTO_YESTERDAY,
        organization=organization(time_zone="America/St_Johns", weekly_hours=every_day(ALL_DAY)),
    )
    start = utc("2010-11-07T02:30")
    assert slot_at(asked.search(), start).end == start + length * MINUTE


def test_a_person_in_st_johns_serves_a_place_elsewhere_throughout_the_change() -> None:
    """Open all day on both sides; the appointment begins in the one minute of the 7th."""
    start = utc("2010-11-07T02:30")
    asked = world(
        service(duration=30 * MINUTE, slot_step=30 * MINUTE, staff_ids=("t_1",)),
        BACK_INTO_YESTERDAY,
        organization=organization(weekly_hours={6: ((150, 180),)}),
        staff=[member(time_zone="America/St_Johns")],
    )
    assert [slot.start for slot in asked.search().slots(asked.first, asked.last)] == [start]


def test_the_horizon_of_days_does_not_change_what_a_date_offers() -> None:
    whole_day = world(service(), MONDAY, organization=organization(weekly_hours={0: NINE_TO_FIVE}))
    week = replace(whole_day, last=date(2026, 1, 11))
    assert len(starts(whole_day)) == 16
    assert starts(week) == starts(whole_day)
    assert starts(replace(whole_day, now=NINE - 400 * DAY)) == []
