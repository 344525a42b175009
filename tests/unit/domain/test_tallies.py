"""When a limit is reached, by the two ways of asking and by a look at each booking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.tallies import LIMIT_REACH, Tally, limit_text, periods
from zimun.domain.catalog.booking_limit import (
    AppliedLimit,
    BookingLimit,
    LimitPeriod,
    LimitSubject,
)
from zimun.domain.instant import DAY, HOUR

from ...support.profiles import examples
from .build import NINE, utc
from .oracle import period_of
from .random_worlds import zones

YEAR_BEGINS = utc("2026-01-01T00:00")
"""A Thursday: here a day, a month and, some days later, a week begin."""

instants = st.builds(
    lambda days, hours: YEAR_BEGINS + days * DAY + hours * HOUR,
    st.integers(-32, 32) | st.sampled_from((-1, 0, 3, 4)),
    st.integers(0, 23),
)


def tally(period: LimitPeriod, most: int, zone: str, starts: list[int]) -> Tally:
    limit = BookingLimit(max_bookings=most, period=period, per=LimitSubject.SERVICE)
    return Tally(AppliedLimit(limit, "s_1", "s_1"), zone, sorted(starts))


@given(
    st.sampled_from([LimitPeriod.DAY, LimitPeriod.WEEK, LimitPeriod.MONTH]),
    st.integers(1, 3),
    zones,
    st.lists(instants, min_size=1, max_size=6),
    st.lists(instants, min_size=1, max_size=3),
)
@examples(200)
def test_limit_is_reached_in_each_period_with_so_many_bookings(
    period: LimitPeriod, most: int, zone: str, starts: list[int], asked: list[int]
) -> None:
    counted = tally(period, most, zone, starts)
    asked = sorted([*asked, *starts[:1]])
    full = [*counted.full((asked[0], asked[-1]))]
    for start in asked:
        own = period_of(period, zone, start)
        count = sum(period_of(period, zone, other) == own for other in starts)
        assert any(begin <= start < end for begin, end in full) == (count >= most)
        ends = counted.ends(start)
        assert bool(ends) == (count >= most)
        if ends:
            assert period_of(period, zone, ends - 1) == own
            assert period_of(period, zone, ends) != own


def test_limit_of_bookings_to_come_is_reached_until_one_of_so_many_has_started() -> None:
    starts = [NINE, NINE + HOUR, NINE + DAY]
    for most, ends in ((1, NINE + DAY), (2, NINE + HOUR), (3, NINE), (4, 0)):
        counted = tally(LimitPeriod.UPCOMING, most, "UTC", starts)
        assert counted.ends(NINE + 5 * DAY) == ends
        expected = [(NINE, NINE + 9)] if ends else []
        assert [*counted.full((NINE, NINE + 8))] == expected


def test_limit_of_a_date_that_a_clock_was_set_back_into_ends_with_its_last_hour() -> None:
    """St John's: the 7th's first minute (02:30Z) came an hour before the rest (03:30Z)."""
    counted = tally(LimitPeriod.DAY, 1, "America/St_Johns", [utc("2010-11-07T12:00")])
    for start in ("2010-11-07T02:30", "2010-11-07T12:00"):
        assert counted.ends(utc(start)) == utc("2010-11-08T03:30")


def test_periods_that_an_interval_may_touch_come_once_and_in_order() -> None:
    within = (utc("2026-01-31T12:00"), utc("2026-02-01T12:00"))
    january, february = (
        [(utc(f"2026-{month}-01T00:00"), utc(f"2026-{following}-01T00:00"))]
        for month, following in (("01", "02"), ("02", "03"))
    )
    assert [[*time] for time in periods("UTC", LimitPeriod.MONTH, within)] == [january, february]
    weeks = [*periods("UTC", LimitPeriod.WEEK, (utc("2026-01-07T12:00"), utc("2026-01-08T12:00")))]
    assert weeks == [((utc("2026-01-05T00:00"), utc("2026-01-12T00:00")),)]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_reach_of_a_daily_limit_has_all_of_the_dates_around_an_instant(zone: str) -> None:
    for hour in range(24):
        at = NINE + hour * HOUR
        for time in periods(zone, LimitPeriod.DAY, (at, at)):
            if time[0][0] <= at < time[-1][1]:
                assert at - LIMIT_REACH <= time[0][0]
                assert time[-1][1] <= at + LIMIT_REACH


@pytest.mark.parametrize(
    ("most", "period", "text"),
    [
        (1, "DAY", "Ada may have 1 booking in a day, and has them in this one"),
        (2, "WEEK", "Ada may have 2 bookings in a week, and has them in this one"),
        (1, "UPCOMING", "Ada may have 1 booking to come, and has them"),
    ],
)
def test_text_of_a_limit_has_its_number_and_its_period(most: int, period: str, text: str) -> None:
    limit = BookingLimit(max_bookings=most, period=LimitPeriod(period), per=LimitSubject.CUSTOMER)
    assert limit_text("Ada", limit) == text
