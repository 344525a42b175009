"""Local hours to instants: against a walk through UTC, and against dates worked out by hand."""

import itertools
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zimun.domain.availability.opening_hours import (
    dates,
    local_date,
    local_rfc3339,
    midnight,
    open_time,
    segments,
)
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND, to_datetime

from ...support.profiles import examples
from . import oracle
from .build import ALL_DAY, BACK_INTO_YESTERDAY, CHANGES, utc
from .random_worlds import dates_of, hours, zones

NIGHT: Hours = ((0, 180),)
"""00:00 to 03:00."""

zoned_dates = zones.flatmap(lambda zone: st.tuples(st.just(zone), dates_of(zone)))


def open_utc(zone: str, day: date, hours: Hours) -> list[tuple[str, str]]:
    """The open time as it would be written by hand: 03-08T05:00 to 03-08T07:00."""
    return [
        (local_rfc3339("UTC", start)[5:16], local_rfc3339("UTC", end)[5:16])
        for start, end in open_time(zone, day, hours)
    ]


def minutes_of(zone: str, day: date, hours: Hours) -> set[int]:
    """The open minutes, having checked that they come as whole minutes, in order, none twice."""
    found = open_time(zone, day, hours)
    assert all(start < end and start % MINUTE == end % MINUTE == 0 for start, end in found)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(found))
    return {instant for start, end in found for instant in range(start, end, MINUTE)}


@examples(300)
@given(zoned_dates, hours())
@example(("America/St_Johns", BACK_INTO_YESTERDAY), ALL_DAY)
@example(("America/St_Johns", BACK_INTO_YESTERDAY - timedelta(days=1)), ALL_DAY)
@example(("America/St_Johns", date(2010, 3, 14)), ((0, 1), (61, 90)))
@example(("Pacific/Apia", date(2011, 12, 30)), ALL_DAY)
def test_open_is_when_the_wall_shows_the_date_and_a_time_within_its_hours(
    zoned: tuple[str, date], hours: Hours
) -> None:
    assert minutes_of(*zoned, hours) == oracle.open_minutes(*zoned, hours)


@pytest.mark.parametrize("zone", sorted(CHANGES))
def test_all_day_is_exact_on_every_date_around_a_change(zone: str) -> None:
    for change in CHANGES[zone]:
        for day in dates(change - timedelta(days=1), change + timedelta(days=1)):
            assert minutes_of(zone, day, ALL_DAY) == oracle.open_minutes(zone, day, ALL_DAY)


@examples(200)
@example(zoned=("America/St_Johns", date(1998, 10, 27)))
@given(zoned_dates)
def test_dates_share_no_instant_and_leave_none_out(zoned: tuple[str, date]) -> None:
    zone, day = zoned
    around = [
        (segment.start, segment.end)
        for near in dates(day - timedelta(days=3), day + timedelta(days=3))
        for segment in segments(zone, near)
    ]
    # The outermost dates may have minutes among those of dates that are not looked at.
    within = midnight(day) - 2 * DAY, midnight(day) + 2 * DAY
    ordered = [one for one in sorted(around) if within[0] <= one[0] < within[1]]
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ordered))


@examples(200)
@given(zoned_dates)
def test_a_segment_shows_one_date_at_one_offset(zoned: tuple[str, date]) -> None:
    zone, day = zoned
    for segment in segments(zone, day):
        for instant in (segment.start, segment.end - MINUTE):
            shown, since_midnight = oracle.wall(zone, instant)
            assert shown == day == local_date(zone, instant)
            assert instant + segment.offset == midnight(day) + since_midnight


def test_a_skipped_hour_is_never_open() -> None:
    """New York, 2026-03-08: 02:00 EST (07:00Z) is followed by 03:00 EDT."""
    day = date(2026, 3, 8)
    assert open_utc("America/New_York", day, ((120, 180),)) == []
    assert open_utc("America/New_York", day, ((90, 210),)) == [("03-08T06:30", "03-08T07:30")]
    assert open_utc("America/New_York", day, ALL_DAY) == [("03-08T05:00", "03-09T04:00")]


def test_a_repeated_hour_is_open_twice() -> None:
    """New York, 2026-11-01: 01:00-02:00 is shown at 05:00Z (EDT) and again at 06:00Z (EST)."""
    day = date(2026, 11, 1)
    assert open_utc("America/New_York", day, ((60, 90),)) == [
        ("11-01T05:00", "11-01T05:30"),
        ("11-01T06:00", "11-01T06:30"),
    ]
    assert open_utc("America/New_York", day, ((60, 120),)) == [("11-01T05:00", "11-01T07:00")]
    assert open_utc("America/New_York", day, ALL_DAY) == [("11-01T04:00", "11-02T05:00")]


def test_lord_howe_skips_and_repeats_half_an_hour() -> None:
    """+10:30 becomes +11 at 02:00 (2026-10-03T15:30Z), and +11 becomes +10:30 at 02:00
    (2026-04-04T15:00Z): the wall shows 01:30-02:00 at 14:30Z and again at 15:00Z."""
    zone = "Australia/Lord_Howe"
    assert open_utc(zone, date(2026, 10, 4), ((120, 150),)) == []
    assert open_utc(zone, date(2026, 10, 4), NIGHT) == [("10-03T13:30", "10-03T16:00")]
    assert open_utc(zone, date(2026, 4, 5), ((90, 100),)) == [
        ("04-04T14:30", "04-04T14:40"),
        ("04-04T15:00", "04-04T15:10"),
    ]


def test_a_date_that_apia_skipped_is_never_open_and_its_neighbours_are_whole() -> None:
    """2011-12-29 ended at -10 (10:00Z on the 30th), where 2011-12-31 began at +14."""
    zone = "Pacific/Apia"
    assert segments(zone, date(2011, 12, 30)) == ()
    assert open_utc(zone, date(2011, 12, 30), ALL_DAY) == []
    assert open_utc(zone, date(2011, 12, 29), ALL_DAY) == [("12-29T10:00", "12-30T10:00")]
    assert open_utc(zone, date(2011, 12, 31), ALL_DAY) == [("12-30T10:00", "12-31T10:00")]


def test_st_johns_showed_a_minute_of_tomorrow_and_went_back_into_yesterday() -> None:
    """2010-11-07, 00:01 at -2:30 (02:31Z) was followed by 23:01 of the 6th at -3:30, whose
    midnight came at 03:30Z: of the 7th, the wall had shown one minute before."""
    zone = "America/St_Johns"
    assert open_utc(zone, date(2010, 11, 6), ((1320, 1440),)) == [
        ("11-07T00:30", "11-07T02:30"),
        ("11-07T02:31", "11-07T03:30"),
    ]
    assert open_utc(zone, date(2010, 11, 7), ((0, 60),)) == [
        ("11-07T02:30", "11-07T02:31"),
        ("11-07T03:30", "11-07T04:30"),
    ]


def test_a_change_at_midnight_repeats_the_end_of_a_day_or_skips_its_beginning() -> None:
    """Beirut: 2026-03-29 begins at 01:00 (+3, 22:00Z), and the 24:00 of 2026-10-24 (+3, 21:00Z)
    is 23:00 once more, until 22:00Z."""
    zone = "Asia/Beirut"
    assert open_utc(zone, date(2026, 3, 29), ((0, 60),)) == []
    assert open_utc(zone, date(2026, 3, 29), ((0, 120),)) == [("03-28T22:00", "03-28T23:00")]
    assert open_utc(zone, date(2026, 10, 24), ((1380, 1440),)) == [("10-24T20:00", "10-24T22:00")]
    assert open_utc(zone, date(2026, 10, 25), ((0, 60),)) == [("10-24T22:00", "10-24T23:00")]


def test_troll_repeats_two_hours() -> None:
    """+2 becomes +0 at 03:00 (2026-10-25T01:00Z): 01:00-03:00 is shown twice."""
    assert open_utc("Antarctica/Troll", date(2026, 10, 25), ((60, 120),)) == [
        ("10-24T23:00", "10-25T00:00"),
        ("10-25T01:00", "10-25T02:00"),
    ]


def test_a_leap_day_is_a_day_like_others() -> None:
    """Kathmandu is at +5:45."""
    assert open_utc("Asia/Kathmandu", date(2024, 2, 29), ((540, 1440),)) == [
        ("02-29T03:15", "02-29T18:15")
    ]


def test_the_old_year_meets_the_new_at_local_midnight() -> None:
    """Kolkata is at +5:30: its 2026 begins at 18:30Z of 2025-12-31."""
    zone = "Asia/Kolkata"
    assert open_time(zone, date(2025, 12, 31), ((1380, 1440),)) == [
        (utc("2025-12-31T17:30"), utc("2025-12-31T18:30"))
    ]
    assert open_time(zone, date(2026, 1, 1), ((0, 30),)) == [
        (utc("2025-12-31T18:30"), utc("2025-12-31T19:00"))
    ]


def test_openings_that_touch_or_overlap_are_one() -> None:
    assert open_utc("UTC", date(2026, 1, 5), ((600, 660), (540, 600), (630, 700))) == [
        ("01-05T09:00", "01-05T11:40")
    ]


def test_no_hours_are_no_open_time() -> None:
    assert open_time("UTC", date(2026, 1, 5), ()) == []


def test_dates_include_both_ends_and_none_when_the_last_is_before_the_first() -> None:
    assert list(dates(date(2024, 2, 28), date(2024, 3, 1))) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
    assert list(dates(date(2024, 3, 1), date(2024, 2, 28))) == []


def test_local_time_carries_the_offset_of_its_instant() -> None:
    zone, noon = "America/New_York", utc("2026-03-08T12:00")
    assert local_rfc3339(zone, noon - 6 * HOUR) == "2026-03-08T01:00:00-05:00"
    assert local_rfc3339(zone, noon) == "2026-03-08T08:00:00-04:00"
    assert local_date(zone, noon - DAY // 2) == date(2026, 3, 7)


@examples(2000)
@given(
    zone=st.sampled_from(sorted(CHANGES)),
    days=st.integers(-2, 2),
    seconds=st.integers(0, 86_400),
    microseconds=st.sampled_from([0, 0, 0, 1, 500_000]),
    data=st.data(),
)
def test_wall_time_with_its_offset_is_that_of_the_standard_library(
    zone: str, days: int, seconds: int, microseconds: int, data: st.DataObject
) -> None:
    day = data.draw(st.sampled_from(CHANGES[zone]))
    begin = utc(f"{day}T00:00")
    instant = begin + days * DAY + seconds * SECOND + microseconds
    assert local_rfc3339(zone, instant) == (
        to_datetime(instant).astimezone(ZoneInfo(zone)).isoformat()
    )
