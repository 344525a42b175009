"""The sentences of docs/availability.md that no other test shows."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from zimun.domain.availability.assignment import choose
from zimun.domain.availability.opening_hours import DayStatus, place_day
from zimun.domain.catalog.entries import Override, Place, Service, SlotAlignment
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.instant import DAY, HOUR, MINUTE

from .build import (
    MONDAY,
    NINE,
    NINE_TO_FIVE,
    World,
    catalog,
    every_day,
    location,
    member,
    organization,
    service,
    session,
    utc,
    world,
)
from .slot_facts import slot_at

CLOSED, SHORT, LONG = (), ((600, 660),), ((540, 1080),)


def starts(asked: World) -> list[str]:
    return [
        f"{slot.start // HOUR % 24:02}" for slot in asked.search().slots(asked.first, asked.last)
    ]


def test_the_first_of_the_rules_that_speak_of_a_date_decides() -> None:
    """Location's override, organization's override, holiday, location's week, organization's."""
    place = Place("l_1", "UTC")
    usual = organization(weekly_hours=every_day(SHORT))
    bare, own = location(), location(weekly_hours=every_day(LONG))
    of_location = Override(owner_id="l_1", date=MONDAY, hours=((0, 60),), note="Here")
    of_organization = Override(owner_id="o_1", date=MONDAY, hours=((60, 120),), note="All")
    holiday = {MONDAY: "Epiphany"}
    for where, overrides, holidays, expected in (
        (own, [of_location, of_organization], holiday, (DayStatus.OPEN, "Here", ((0, 60),))),
        (own, [of_organization], holiday, (DayStatus.OPEN, "All", ((60, 120),))),
        (own, [], holiday, (DayStatus.HOLIDAY, "Epiphany", ())),
        (own, [], {}, (DayStatus.OPEN, "", LONG)),
        (bare, [], {}, (DayStatus.OPEN, "", SHORT)),
    ):
        known = catalog(
            organization=usual, locations=[where], overrides=overrides, holidays=holidays
        )
        day = place_day(known, place, MONDAY)
        assert (day.status, day.note, day.hours) == expected
    never_said = catalog(locations=[bare])
    assert place_day(never_said, place, MONDAY).hours == ((0, 1440),)


@pytest.mark.parametrize(
    ("location_region", "categories", "note"),
    [
        ("", (), "of the organization"),
        ("", ("public",), "of the organization"),
        ("US", (), "of the location"),
        ("US", ("bank",), "of its category"),
        ("NONE", (), ""),
        ("FR", (), ""),
    ],
)
def test_a_location_with_a_region_has_its_own_holidays_and_any_other_the_organizations(
    location_region: str, categories: tuple[str, ...], note: str
) -> None:
    known = catalog(
        organization=organization(holiday_region="DE", holiday_categories=("catholic",)),
        locations=[location(holiday_region=location_region, holiday_categories=categories)],
        regional={
            HolidayCalendar("DE", ("catholic",)): {MONDAY: "of the organization"},
            HolidayCalendar("US"): {MONDAY: "of the location"},
            HolidayCalendar("US", ("bank",)): {MONDAY: "of its category"},
        },
    )
    status = DayStatus.HOLIDAY if note else DayStatus.OPEN
    day = place_day(known, Place("l_1", "UTC"), MONDAY)
    assert (day.status, day.note) == (status, note)
    assert place_day(known, Place("", "UTC"), MONDAY).note == "of the organization"


def test_an_override_of_the_organization_holds_on_the_date_of_each_locations_own_clock() -> None:
    """In Auckland the 5th begins at 11:00Z of the 4th."""
    closed = Override(owner_id="o_1", date=MONDAY)
    asked = world(
        service(duration=HOUR, slot_step=HOUR, location_ids=("l_1",)),
        MONDAY - timedelta(days=1),
        MONDAY,
        locations=[location(time_zone="Pacific/Auckland")],
        overrides=[closed],
    )
    slots = asked.search().slots(asked.first, asked.last)
    assert slots[-1].start == utc("2026-01-04T10:00")
    assert len(slots) == 24


def test_staff_members_work_on_a_holiday_on_which_the_place_opens() -> None:
    opened = Override(owner_id="o_1", date=MONDAY, hours=((600, 660),))
    for overrides, expected in (([], []), ([opened], ["10"])):
        asked = world(
            service(duration=HOUR, slot_step=HOUR, staff_ids=("t_1",)),
            MONDAY,
            staff=[member(weekly_hours=every_day(NINE_TO_FIVE))],
            overrides=overrides,
            holidays={MONDAY: "Epiphany"},
        )
        assert starts(asked) == expected


def test_a_date_whose_hours_the_clock_skips_reads_closed() -> None:
    """Berlin, 2026-03-29: from 02:00 the clock goes to 03:00."""
    sunday = date(2026, 3, 29)
    known = catalog(
        organization=organization(time_zone="Europe/Berlin", weekly_hours=every_day(((120, 180),)))
    )
    place = Place("", "Europe/Berlin")
    assert place_day(known, place, sunday).status is DayStatus.CLOSED
    assert place_day(known, place, sunday + timedelta(days=1)).status is DayStatus.OPEN
    skipped = Override(owner_id="o_1", date=sunday, hours=((120, 180),), note="Night shift")
    known = catalog(organization=known.organization, overrides=[skipped])
    day = place_day(known, place, sunday)
    assert (day.status, day.note) == (DayStatus.CLOSED, "Night shift")


@pytest.mark.parametrize(
    ("alignment", "expected"),
    [(SlotAlignment.OPENING, ["23", "01", "03"]), (SlotAlignment.HOUR, ["23", "02"])],
)
def test_steps_from_an_opening_are_elapsed_time_and_those_on_the_wall_are_not(
    alignment: SlotAlignment, expected: list[str]
) -> None:
    """Berlin, the same night: open from midnight (23:00Z) to six, steps of two hours."""
    sunday = date(2026, 3, 29)
    asked = world(
        service(duration=HOUR, slot_step=2 * HOUR, slot_alignment=alignment),
        sunday,
        organization=organization(time_zone="Europe/Berlin", weekly_hours=every_day(((0, 360),))),
    )
    assert starts(asked) == expected


@pytest.mark.parametrize(("duration", "step"), [(45 * MINUTE, 45 * MINUTE), (2 * DAY, DAY)])
def test_the_step_of_a_new_service_is_its_duration_but_a_day_at_the_most(
    duration: int, step: int
) -> None:
    assert catalog().defaults(Service, {"duration": duration})["slot_step"] == step


@pytest.mark.parametrize("staff_ids", [(), ("t_1",)])
def test_between_two_bookings_lie_the_buffers_of_both(staff_ids: tuple[str, ...]) -> None:
    """Nine to ten is booked with ten minutes before and twenty after it."""
    given = service(
        duration=HOUR,
        slot_step=10 * MINUTE,
        buffer_before=10 * MINUTE,
        buffer_after=20 * MINUTE,
        staff_ids=staff_ids,
    )
    subject = "t_1" if staff_ids else "s_1@"
    taken = ((subject, *given.taken(NINE)),)
    asked = world(given, MONDAY, staff=[member()], taken=taken)
    slots = {slot.start for slot in asked.search().slots(MONDAY, MONDAY)}
    gap = 30 * MINUTE
    assert {NINE - HOUR - gap, NINE + HOUR + gap} <= slots
    assert not {start for start in slots if NINE - HOUR - gap < start < NINE + HOUR + gap}


def test_a_second_session_begins_only_where_the_first_has_no_room_for_all_seats() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1", seats_taken=2)
    asked = world(
        service(capacity=3, staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(), member(id="t_2")],
        taken=(("t_1", NINE, NINE + HOUR // 2),),
        sessions=(running,),
    )
    for seats, staff_id, expected in ((1, "", "x_1"), (2, "", ""), (1, "t_2", "")):
        search = replace(asked, seats=seats, staff_id=staff_id).search()
        choice = choose(slot_at(search, NINE), {})
        assert choice.session_id == expected
        assert choice.staff_id == ("t_1" if expected else "t_2")


def test_joining_asks_neither_for_buffers_nor_for_the_daily_limit() -> None:
    """She gives the session, has another booking right after it, and one a day is her limit."""
    running = session(start=NINE, end=NINE + HOUR // 2, staff_id="t_1")
    asked = world(
        service(capacity=3, staff_ids=("t_1",), buffer_after=HOUR),
        MONDAY,
        staff=[member(daily_limit=1)],
        taken=(("t_1", NINE, NINE + HOUR // 2), ("t_1", NINE + HOUR // 2, NINE + HOUR)),
        sessions=(running,),
        starts=(("t_1", NINE),),
    )
    assert slot_at(asked.search(), NINE).joinable == (running,)
