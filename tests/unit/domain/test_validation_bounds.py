"""Bounds of what catalogue entries may have: dates, time off, limits of bookings, prices."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.entries import Entry, Override
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHoursPeriod
from zimun.domain.catalog_validation import MAX_LENGTHS, check
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND

from . import build
from .build import MONDAY, NINE, organization, resource, service
from .test_catalog_validation import KNOWN, MAKES, PRICE, override, violations

HOURED = tuple(make for make in MAKES if make is not resource)


def wrong(entry: Entry | Override | TimeOff) -> dict[str, str]:
    return violations(lambda: check(entry, KNOWN))


def test_lengths_of_a_service_have_the_documented_limits() -> None:
    days = {field: limit // DAY for field, limit in MAX_LENGTHS.items()}
    assert days == {
        "duration": 31,
        "buffer_before": 7,
        "buffer_after": 7,
        "slot_step": 1,
        "lead_time": 366,
        "horizon": 1096,
        "cancellation_cutoff": 366,
        "reschedule_cutoff": 366,
    }


@pytest.mark.parametrize(
    ("days", "is_right"), [(-1, False), (0, True), (1, True), (365, True), (366, False)]
)
def test_override_is_of_1_to_366_dates(days: int, is_right: bool) -> None:
    told = wrong(override(last=MONDAY + timedelta(days=days)))
    assert told == ({} if is_right else {"last_date": "must make 1 to 366 dates"})


def test_override_of_each_date_has_the_keys_of_its_owner() -> None:
    several = override(last=MONDAY + timedelta(days=2))
    assert several.keys == [("o_1", date(2026, 1, day)) for day in (5, 6, 7)]
    assert override().keys == [("o_1", MONDAY)]


@pytest.mark.parametrize("owner_id", ["o_1", "l_2", "t_2", "r_2"])
def test_time_off_is_of_an_organization_location_staff_member_or_resource(owner_id: str) -> None:
    assert wrong(build.time_off(owner_id, NINE, NINE + HOUR)) == {}


@pytest.mark.parametrize("owner_id", ["", "o_2", "l_9", "t_9", "r_9", "s_1"])
def test_time_off_of_anything_else_is_refused(owner_id: str) -> None:
    told = f"{owner_id} is no organization, location, staff member or resource"
    assert wrong(build.time_off(owner_id, NINE, NINE + HOUR)) == {"owner_id": told}


@pytest.mark.parametrize(
    ("length", "is_right"),
    [(-1, False), (0, False), (1, True), (1096 * DAY, True), (1096 * DAY + 1, False)],
)
def test_time_off_is_longer_than_nothing_and_not_longer_than_three_years(
    length: int, is_right: bool
) -> None:
    told = "must be later than start_time, by 1096 days at the most"
    found = wrong(build.time_off("t_1", NINE, NINE + length))
    assert found == ({} if is_right else {"end_time": told})


def limit(most: int, period: str = "DAY", per: str = "SERVICE") -> BookingLimit:
    return BookingLimit(max_bookings=most, period=LimitPeriod(period), per=LimitSubject(per))


@pytest.mark.parametrize("make", [organization, service])
@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ([limit(1), limit(100_000, "WEEK"), limit(3, "DAY", "CUSTOMER")], ""),
        ([limit(2), limit(0, "WEEK")], "max_bookings must be 1 to 100000"),
        ([limit(100_001), limit(2, "WEEK")], "max_bookings must be 1 to 100000"),
        ([limit(1), limit(2)], "each period has one limit for each kind of subject"),
        (
            [limit(0), limit(2)],
            "each period has one limit for each kind of subject; max_bookings must be 1 to 100000",
        ),
    ],
)
def test_limits_of_bookings_are_bounded_and_differ(
    make: Any, limits: Sequence[BookingLimit], told: str
) -> None:
    found = wrong(make(booking_limits=tuple(limits)))
    assert found == ({"booking_limits": told} if told else {})


@pytest.mark.parametrize(
    ("retention", "is_right"),
    [(0, True), (DAY, True), (HOUR, False), (-DAY, False), (DAY + SECOND, False)],
)
def test_contacts_are_kept_for_whole_days(retention: int, is_right: bool) -> None:
    found = wrong(organization(contact_retention=retention))
    assert found == ({} if is_right else {"contact_retention": "must be a number of days"})


@pytest.mark.parametrize("make", HOURED)
def test_weekly_hours_from_a_date_on_are_checked_as_others_and_begin_on_different_dates(
    make: Any,
) -> None:
    def told(*periods: WeeklyHoursPeriod) -> dict[str, str]:
        return wrong(make(weekly_hours_periods=periods))

    good = WeeklyHoursPeriod(valid_from=MONDAY, weekly_hours={6: ((540, 600),)})
    later = WeeklyHoursPeriod(valid_from=date(2026, 1, 6), weekly_hours={0: ()})
    bad = WeeklyHoursPeriod(valid_from=date(2026, 1, 7), weekly_hours={6: ((600, 540),)})
    assert told(good, later) == {}
    ends = "Sunday 10:00-09:00 ends before it begins"
    assert told(good, bad) == {"weekly_hours_periods": ends}
    assert told(good, good) == {"weekly_hours_periods": "must be valid from different dates"}


@pytest.mark.parametrize(
    ("units", "nanos", "is_right"),
    [
        (0, 0, True),
        (0, -5, True),
        (0, 999_999_999, True),
        (30, 1_000_000_000, False),
        (0, -1_000_000_000, False),
        (-3, -1, True),
        (-1, 1, False),
        (1, -1, False),
    ],
)
def test_nanos_of_a_price_are_a_part_of_one_unit_of_the_same_sign(
    units: int, nanos: int, is_right: bool
) -> None:
    told = "nanos must be a part of one unit, of the same sign as units"
    found = wrong(service(price={**PRICE, "units": units, "nanos": nanos}))
    assert found == ({} if is_right else {"price": told})


def test_currency_is_named_before_the_nanos() -> None:
    told = "currency_code must be three letters, as ISO 4217 has it"
    assert wrong(service(price={"currency_code": "e", "units": 1, "nanos": -1})) == {"price": told}


@pytest.mark.parametrize(
    ("lead_time", "horizon", "fields"),
    [
        (MINUTE, MINUTE, []),
        (2 * MINUTE, MINUTE, ["lead_time"]),
        (2 * MINUTE, 0, ["horizon"]),
    ],
)
def test_lead_time_is_compared_with_a_horizon_that_is_one(
    lead_time: int, horizon: int, fields: list[str]
) -> None:
    assert list(wrong(service(lead_time=lead_time, horizon=horizon))) == fields
