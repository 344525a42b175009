"""The sentences of docs/availability.md about hours of a service and hours from a date on."""

from datetime import date, timedelta

import pytest

from zimun.domain.availability.opening_hours import Day, DayStatus, place_day, service_day
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.booking_errors import NotASlot
from zimun.domain.catalog.entries import Override, Place
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHoursPeriod, week_on
from zimun.domain.instant import HOUR

from .build import (
    ALL_DAY,
    MONDAY,
    NINE_TO_FIVE,
    World,
    catalog,
    every_day,
    location,
    member,
    organization,
    service,
    utc,
    world,
)
from .slot_facts import slot_at

TUESDAY, SUNDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=6)
EARLY, LATE = ((480, 600),), ((600, 720),)
EVENING = ((1200, 1440),)


def since(day: date, hours: tuple[tuple[int, int], ...]) -> WeeklyHoursPeriod:
    return WeeklyHoursPeriod(valid_from=day, weekly_hours=every_day(hours) if hours else {})


def starts(asked: World) -> list[str]:
    found = asked.search().slots(asked.first, asked.last)
    first = utc(f"{asked.first}T00:00")
    return [f"{(slot.start - first) // HOUR:02}" for slot in found]


def test_the_period_with_the_latest_valid_from_that_is_not_after_the_date_counts() -> None:
    usual, early, late = every_day(NINE_TO_FIVE), since(MONDAY, EARLY), since(SUNDAY, LATE)
    owner = member(weekly_hours=usual, weekly_hours_periods=(late, early))
    for day, expected in (
        (MONDAY - timedelta(days=1), usual),
        (MONDAY, every_day(EARLY)),
        (SUNDAY - timedelta(days=1), every_day(EARLY)),
        (SUNDAY, every_day(LATE)),
        (date(2030, 1, 1), every_day(LATE)),
    ):
        assert week_on(owner, day) == expected


def test_hours_from_a_date_on_are_those_of_organizations_locations_staff_and_services() -> None:
    offered = service(duration=HOUR, slot_step=HOUR, location_ids=("l_1",))
    new = (since(TUESDAY, LATE),)
    all_day = every_day(((0, 1440),))
    before, after = ["08", "09"], ["34", "35"]
    usual = {"weekly_hours": every_day(EARLY), "weekly_hours_periods": new}
    by_organization = world(
        offered, MONDAY, TUESDAY, locations=[location()], organization=organization(**usual)
    )
    by_location = world(offered, MONDAY, TUESDAY, locations=[location(**usual)])
    by_staff = world(
        service(duration=HOUR, slot_step=HOUR, staff_ids=("t_1",)),
        MONDAY,
        TUESDAY,
        staff=[member(**usual)],
    )
    by_service = world(
        service(duration=HOUR, slot_step=HOUR, **usual),
        MONDAY,
        TUESDAY,
        organization=organization(weekly_hours=all_day),
    )
    for asked in (by_organization, by_location, by_staff, by_service):
        assert starts(asked) == before + after


@pytest.mark.parametrize(
    ("until", "from_tuesday_on", "last"), [(ALL_DAY, LATE, "23:00"), (EVENING, ALL_DAY, "23:30")]
)
def test_appointment_past_midnight_needs_the_hours_that_count_from_the_next_date_on(
    until: Hours, from_tuesday_on: Hours, last: str
) -> None:
    ada = member(
        weekly_hours=every_day(until), weekly_hours_periods=(since(TUESDAY, from_tuesday_on),)
    )
    asked = world(service(duration=HOUR, staff_ids=("t_1",)), MONDAY, staff=[ada])
    assert asked.search().slots(MONDAY, MONDAY)[-1].start == utc(f"2026-01-05T{last}")


def test_hours_of_staff_from_a_date_on_count_on_every_later_date() -> None:
    ada = member(weekly_hours=every_day(EARLY), weekly_hours_periods=(since(TUESDAY, LATE),))
    given = service(duration=HOUR, slot_step=HOUR, staff_ids=("t_1",))
    ours = organization(weekly_hours=every_day(((420, 1080),)))
    asked = world(given, MONDAY, SUNDAY, organization=ours, staff=[ada])
    later = [f"{24 * day + hour}" for day in range(1, 7) for hour in (10, 11)]
    assert starts(asked) == ["08", "09", *later]


def test_hours_of_staff_from_a_date_on_are_nothing_to_a_service_without_staff() -> None:
    ada = member(weekly_hours={}, weekly_hours_periods=(since(TUESDAY, EARLY),))
    given = service(duration=HOUR, slot_step=HOUR)
    ours = organization(weekly_hours=every_day(LATE))
    asked = world(given, MONDAY, TUESDAY, organization=ours, staff=[ada])
    assert starts(asked) == ["10", "11", "34", "35"]


def test_a_period_without_hours_means_what_no_weekly_hours_mean() -> None:
    nothing = {"weekly_hours": every_day(EARLY), "weekly_hours_periods": (since(MONDAY, ()),)}
    place = Place("l_1", "UTC")
    ours = organization(weekly_hours=every_day(LATE))
    assert (
        place_day(catalog(organization=ours, locations=[location(**nothing)]), place, MONDAY).hours
        == LATE
    )
    always = catalog(organization=organization(**nothing), locations=[location()])
    assert place_day(always, place, MONDAY).hours == ((0, 1440),)
    nobody = world(service(staff_ids=("t_1",)), MONDAY, staff=[member(**nothing)])
    assert starts(nobody) == []
    given = service(duration=HOUR, slot_step=HOUR, **nothing)
    assert starts(world(given, MONDAY, organization=ours)) == ["10", "11"]


def test_a_service_is_given_within_its_hours_and_those_of_its_place() -> None:
    """Also where an override opens the place; steps count from when both are open."""
    given = service(duration=HOUR, slot_step=2 * HOUR, weekly_hours=every_day(((630, 900),)))
    ours = organization(weekly_hours=every_day(NINE_TO_FIVE))
    asked = world(given, MONDAY, organization=ours)
    assert [slot.start for slot in asked.search().slots(MONDAY, MONDAY)] == [
        utc(f"2026-01-05T{text}") for text in ("10:30", "12:30")
    ]
    opened = Override(owner_id="o_1", date=MONDAY, hours=((0, 660),))
    shorter = world(given, MONDAY, organization=ours, overrides=[opened])
    assert starts(shorter) == []
    half = world(service(slot_step=HOUR, weekly_hours=given.weekly_hours), MONDAY,
                 organization=ours, overrides=[opened])  # fmt: skip
    assert [slot.start for slot in half.search().slots(MONDAY, MONDAY)] == [utc("2026-01-05T10:30")]


def test_hours_of_a_service_are_read_on_the_clock_of_its_place() -> None:
    given = service(
        duration=HOUR, slot_step=HOUR, location_ids=("l_1",), weekly_hours={0: ((540, 600),)}
    )
    asked = world(given, MONDAY, locations=[location(time_zone="Asia/Tokyo")])
    assert [slot.start for slot in asked.search().slots(MONDAY, MONDAY)] == [
        utc("2026-01-05T00:00")
    ]


def test_a_date_on_which_service_and_place_share_no_time_is_closed_for_the_service() -> None:
    given = service(weekly_hours={0: EARLY})
    asked = world(given, MONDAY, TUESDAY, organization=organization(weekly_hours=every_day(EARLY)))
    search = asked.search()
    day = search.timetable.service_day
    assert day(given, asked.place, MONDAY).status is DayStatus.OPEN
    assert day(given, asked.place, TUESDAY).status is DayStatus.CLOSED
    assert asked.search().next_open_date(TUESDAY, SUNDAY) is None


def test_a_time_outside_the_hours_of_the_service_is_service_closed() -> None:
    given = service(weekly_hours={0: EARLY})
    asked = world(given, MONDAY, organization=organization(weekly_hours=every_day(NINE_TO_FIVE)))
    noon = utc("2026-01-05T12:00")
    with pytest.raises(NotASlot) as refused:
        slot_at(asked.search(), noon)
    assert refused.value.metadata["rule"] == "SERVICE_CLOSED"
    assert [one.rule for one in obstacles(asked.search(), utc("2026-01-05T20:00"))] == [
        "CLOSED",
        "SERVICE_CLOSED",
    ]


def test_each_weekday_of_a_staff_member_has_its_own_hours_where_the_place_is_always_open() -> None:
    hour = 60
    week = {day: ((day * hour, (day + 1) * hour),) for day in range(7)}
    offered = service(duration=HOUR, slot_step=HOUR, staff_ids=("t_1",))
    asked = world(offered, MONDAY, SUNDAY, staff=[member(weekly_hours=week)])
    assert starts(asked) == [f"{day * 24 + day:02}" for day in range(7)]


def test_date_of_a_service_is_that_of_its_place_unless_both_have_hours() -> None:
    place, own = Place("", "UTC"), service(weekly_hours=every_day(EARLY))
    as_written = Day(MONDAY, DayStatus.OPEN, "Fair", ((600, 720), (480, 540), (540, 570)))
    holiday = Day(MONDAY, DayStatus.HOLIDAY, "Epiphany", ())
    assert service_day(service(), place, as_written) is as_written
    assert service_day(own, place, holiday) is holiday
    shared = service_day(own, place, as_written)
    assert shared == Day(MONDAY, DayStatus.OPEN, "Fair", ((480, 570),))
