"""Whose word counts about a date: overrides, holidays and weeks of places and people."""

from datetime import date
from itertools import product

import pytest

from zimun.domain.availability.opening_hours import Day, DayStatus, place_day, staff_hours
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Override, Place

from .build import (
    ALL_DAY,
    NINE_TO_FIVE,
    catalog,
    every_day,
    location,
    member,
    organization,
)

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
LOCATION, NOWHERE = Place("l_1", "UTC"), Place("", "UTC")

OPEN_BY_LOCATION = Override(owner_id="l_1", date=MONDAY, hours=((60, 120),), note="location")
OPEN_BY_ORGANIZATION = Override(owner_id="o_1", date=MONDAY, hours=((120, 180),), note="all")
LOCATION_WEEK = every_day(((180, 240),))
ORGANIZATION_WEEK = every_day(((240, 300),))

ANSWERS = (
    Day(MONDAY, DayStatus.OPEN, "location", ((60, 120),)),
    Day(MONDAY, DayStatus.OPEN, "all", ((120, 180),)),
    Day(MONDAY, DayStatus.HOLIDAY, "Epiphany", ()),
    Day(MONDAY, DayStatus.OPEN, "", ((180, 240),)),
    Day(MONDAY, DayStatus.OPEN, "", ((240, 300),)),
    Day(MONDAY, DayStatus.OPEN, "", ALL_DAY),
)
"""What each rule says when it is the first to speak, in their order."""


def speaking(rules: tuple[bool, ...]) -> Catalog:
    """A catalogue in which the chosen of the five rules speak."""
    location_override, organization_override, holiday, location_week, organization_week = rules
    overrides = [OPEN_BY_LOCATION] * location_override + [
        OPEN_BY_ORGANIZATION
    ] * organization_override
    return catalog(
        organization=organization(weekly_hours=ORGANIZATION_WEEK if organization_week else {}),
        locations=[location(weekly_hours=LOCATION_WEEK if location_week else {})],
        overrides=overrides,
        holidays={MONDAY: "Epiphany"} if holiday else {},
    )


@pytest.mark.parametrize("rules", list(product([False, True], repeat=5)))
def test_the_first_rule_that_speaks_decides_for_a_location(rules: tuple[bool, ...]) -> None:
    first = rules.index(True) if any(rules) else 5
    assert place_day(speaking(rules), LOCATION, MONDAY) == ANSWERS[first]


@pytest.mark.parametrize("rules", list(product([False, True], repeat=5)))
def test_a_location_has_no_say_where_the_organization_is_the_place(
    rules: tuple[bool, ...],
) -> None:
    own = (False, rules[1], rules[2], False, rules[4])
    first = own.index(True) if any(own) else 5
    assert place_day(speaking(rules), NOWHERE, MONDAY) == ANSWERS[first]


def test_an_override_without_hours_closes_the_date_with_its_note() -> None:
    closed = Override(owner_id="l_1", date=MONDAY, note="Stocktaking")
    known = catalog(locations=[location()], overrides=[closed, OPEN_BY_ORGANIZATION])
    assert place_day(known, LOCATION, MONDAY) == Day(MONDAY, DayStatus.CLOSED, "Stocktaking", ())


def test_an_override_is_of_its_own_date_and_owner_only() -> None:
    elsewhere = Override(owner_id="l_2", date=TUESDAY, note="moved")
    known = catalog(
        locations=[location(weekly_hours=LOCATION_WEEK)], overrides=[OPEN_BY_LOCATION, elsewhere]
    )
    assert place_day(known, LOCATION, TUESDAY).hours == LOCATION_WEEK[1]


def test_a_holiday_closes_its_own_date_only() -> None:
    known = catalog(holidays={MONDAY: "Epiphany"})
    assert place_day(known, NOWHERE, MONDAY).status is DayStatus.HOLIDAY
    assert place_day(known, NOWHERE, TUESDAY) == Day(TUESDAY, DayStatus.OPEN, "", ALL_DAY)


def test_a_weekday_that_a_week_does_not_name_is_closed_and_asks_no_further() -> None:
    known = catalog(
        organization=organization(weekly_hours=ORGANIZATION_WEEK),
        locations=[location(weekly_hours={0: NINE_TO_FIVE})],
    )
    assert place_day(known, LOCATION, MONDAY).hours == NINE_TO_FIVE
    assert place_day(known, LOCATION, TUESDAY) == Day(TUESDAY, DayStatus.CLOSED, "", ())


def test_weekdays_count_from_monday() -> None:
    known = catalog(organization=organization(weekly_hours={n: ((n, n + 1),) for n in range(7)}))
    week = [date(2026, 1, 5 + n) for n in range(7)]
    assert [place_day(known, NOWHERE, day).hours[0][0] for day in week] == list(range(7))


def test_place_without_any_hours_is_open_on_each_weekday() -> None:
    week = [date(2026, 1, 5 + n) for n in range(7)]
    assert {place_day(catalog(), NOWHERE, day).hours for day in week} == {ALL_DAY}


def test_a_skipped_date_is_closed_whatever_speaks() -> None:
    skipped = date(2011, 12, 30)
    known = catalog(
        overrides=[Override(owner_id="o_1", date=skipped, hours=ALL_DAY, note="Party")],
        holidays={skipped: "Holiday"},
    )
    found = place_day(known, Place("", "Pacific/Apia"), skipped)
    assert (found.status, found.hours) == (DayStatus.CLOSED, ())
    assert found.note == "Pacific/Apia skipped this date"


def test_a_staff_member_works_as_their_week_says() -> None:
    ada = member(weekly_hours={0: NINE_TO_FIVE})
    assert staff_hours(catalog(staff=[ada]), ada, MONDAY) == NINE_TO_FIVE
    assert staff_hours(catalog(staff=[ada]), ada, TUESDAY) == ()


@pytest.mark.parametrize("hours", [(), ((0, 60),)])
def test_a_staff_override_replaces_the_whole_day(hours: tuple[tuple[int, int], ...]) -> None:
    ada = member(weekly_hours=every_day(NINE_TO_FIVE))
    known = catalog(staff=[ada], overrides=[Override(owner_id="t_1", date=MONDAY, hours=hours)])
    assert staff_hours(known, ada, MONDAY) == hours
    assert staff_hours(known, ada, TUESDAY) == NINE_TO_FIVE


def test_a_staff_member_with_no_week_is_closed_until_an_override_opens_a_date() -> None:
    ada = member(weekly_hours={})
    known = catalog(
        organization=organization(weekly_hours=ORGANIZATION_WEEK),
        staff=[ada],
        overrides=[Override(owner_id="t_1", date=MONDAY, hours=NINE_TO_FIVE)],
    )
    assert staff_hours(known, ada, TUESDAY) == ()
    assert staff_hours(known, ada, MONDAY) == NINE_TO_FIVE


def test_holidays_and_the_organizations_overrides_are_not_the_staffs() -> None:
    ada = member(weekly_hours=every_day(NINE_TO_FIVE))
    known = catalog(staff=[ada], overrides=[OPEN_BY_ORGANIZATION], holidays={MONDAY: "Epiphany"})
    assert staff_hours(known, ada, MONDAY) == NINE_TO_FIVE
