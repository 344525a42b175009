"""Which times are slots by one rule at a time: hours, steps, buffers, window, requirements."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from zimun.domain.booking_errors import NotASlot, OutsideBookingWindow
from zimun.domain.catalog.entries import Override, SlotAlignment
from zimun.domain.catalog.weekly_hours import WeeklyHours
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, HOUR, MINUTE

from .build import (
    ALL_DAY,
    BACK_INTO_YESTERDAY,
    MONDAY,
    NINE,
    NINE_TO_FIVE,
    World,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    utc,
    world,
)
from .slot_facts import refusal, shown, slot_at, starts
from .test_availability import check_answers


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


def new_yorker_in_london(weekly_hours: WeeklyHours) -> World:
    """London is open 03:00-07:00, with steps of 45 minutes; in New York it is midnight at 05:00."""
    return world(
        service(slot_step=45 * MINUTE, staff_ids=("t_1",)),
        MONDAY,
        organization=organization(time_zone="Europe/London", weekly_hours=every_day(((180, 420),))),
        staff=[member(time_zone="America/New_York", weekly_hours=weekly_hours)],
    )


def test_a_persons_own_midnight_does_not_begin_the_steps_anew() -> None:
    asked = new_yorker_in_london(every_day(ALL_DAY))
    assert starts(asked) == ["03:00", "03:45", "04:30", "05:15", "06:00"]
    check_answers(replace(asked, tick=15 * MINUTE))


def test_a_break_at_a_persons_own_midnight_begins_the_steps_anew() -> None:
    """In New York she rests from 00:00 to 00:10, which is 05:00 to 05:10 in London."""
    asked = new_yorker_in_london(every_day(((10, 1440),)))
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


def test_a_refusal_of_a_time_outside_the_booking_window_has_the_window() -> None:
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


def test_a_refusal_has_the_note_of_the_override_that_closed_the_date() -> None:
    closed = Override(owner_id="o_1", date=MONDAY, note="Stocktaking")
    with pytest.raises(NotASlot) as refused:
        slot_at(world(service(), MONDAY, overrides=[closed]).search(), NINE)
    assert refused.value.metadata == {"rule": "CLOSED", "note": "Stocktaking"}


def test_a_service_without_staff_and_resources_is_sold_once() -> None:
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


def test_another_location_that_is_archived_changes_nothing() -> None:
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


def test_another_length_that_a_service_offers_has_slots_of_its_own() -> None:
    """Open 09:00-10:30; both lengths are asked of one timetable."""
    offered = service(duration_options=(HOUR, 90 * MINUTE))
    asked = world(offered, MONDAY, organization=organization(weekly_hours=every_day(((540, 630),))))
    search = asked.search()
    found = {
        length: [
            (shown(slot.start), slot.end - slot.start)
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


def test_a_longer_length_needs_its_staff_member_to_be_free_longer() -> None:
    offered = service(staff_ids=("t_1",), duration_options=(HOUR,))
    asked = world(offered, MONDAY, staff=[member()], taken=(("t_1", NINE, NINE + HOUR),))
    longer = replace(asked, service=offered.option(HOUR))
    half_past_eight = NINE - HOUR // 2
    assert refusal(asked.search(), half_past_eight) == ""
    assert refusal(longer.search(), half_past_eight) == "TAKEN"


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
