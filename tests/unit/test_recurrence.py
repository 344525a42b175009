"""Recurrence rules: bounded, in wall time, and as a walk from date to date finds them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.booking.recurrence import MAX_OCCURRENCES, occurrences
from zimun.domain.instant import HOUR, from_datetime, rfc3339

from ..support.profiles import examples
from .domain.build import utc

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def starts(rule: str, start: str, zone: str = "UTC", length: int = HOUR) -> list[str]:
    first = utc(start)
    return [rfc3339(begin)[:-4] for begin, _ in occurrences(rule, (first, first + length), zone)]


def test_a_rule_recurs_until_its_count_or_its_end() -> None:
    assert starts("FREQ=WEEKLY;COUNT=3", "2026-01-05T09:00") == [
        "2026-01-05T09:00",
        "2026-01-12T09:00",
        "2026-01-19T09:00",
    ]
    weekly = "FREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=2;UNTIL="
    expected = ["2026-01-05T09:00", "2026-01-07T09:00", "2026-01-19T09:00"]
    for until in ("20260120", "20260119T090000", "20260119T090000Z"):
        assert starts(weekly + until, "2026-01-05T09:00") == expected
    assert starts(weekly + "20260119T085959Z", "2026-01-05T09:00") == expected[:2]


def test_days_of_months_and_of_years_recur() -> None:
    assert starts("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", "2026-01-30T09:00") == [
        "2026-01-30T09:00",
        "2026-02-27T09:00",
    ]
    assert starts("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=2", "2026-01-31T09:00")[1] == "2026-03-31T09:00"
    assert starts("FREQ=YEARLY;BYDAY=1MO;COUNT=2", "2026-01-05T09:00")[1] == "2027-01-04T09:00"


def test_wall_time_recurs_through_a_change_of_clocks() -> None:
    """Berlin is set forward on 2026-03-29 at 01:00Z: 22:00-06:00 is an hour shorter then."""
    first = utc("2026-03-27T21:00"), utc("2026-03-28T05:00")
    found = occurrences("FREQ=DAILY;COUNT=3", first, "Europe/Berlin")
    assert [(rfc3339(begin), rfc3339(end)) for begin, end in found[1:]] == [
        ("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),
        ("2026-03-29T20:00:00Z", "2026-03-30T04:00:00Z"),
    ]


def test_a_wall_time_that_the_clock_skips_is_read_by_the_offset_before_it() -> None:
    """02:30 in New York on 2026-03-08 does not exist: 03:30 EDT (RFC 5545, 3.3.5)."""
    found = starts("FREQ=DAILY;COUNT=2", "2026-03-07T07:30", "America/New_York", 2 * HOUR)
    assert found[1] == "2026-03-08T07:30"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=SECONDLY;COUNT=3", "FREQ of DAILY"),
        ("FREQ=HOURLY;COUNT=3", "FREQ of DAILY"),
        ("COUNT=3", "FREQ of DAILY"),
        ("FREQ=DAILY", "either COUNT or UNTIL"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260201", "either COUNT or UNTIL"),
        ("FREQ=DAILY;COUNT=1001", "COUNT of 1 to 1000"),
        ("FREQ=DAILY;COUNT=0", "COUNT of 1 to 1000"),
        ("FREQ=DAILY;COUNT=99999999999", "COUNT of 1 to 1000"),
        ("FREQ=DAILY;COUNT=2;INTERVAL=1001", "INTERVAL of 1 to 1000"),
        ("FREQ=DAILY;COUNT=2;BYHOUR=1", "nothing else"),
        ("FREQ=YEARLY;COUNT=2;BYEASTER=1", "nothing else"),
        ("FREQ=DAILY;COUNT=2;COUNT=3", "once at the most"),
        ("freq=daily;count=2", "nothing else"),
        ("FREQ=DAILY;COUNT=2;", "nothing else"),
        ("RRULE:FREQ=DAILY;COUNT=2", "nothing else"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL such as"),
        ("FREQ=DAILY;UNTIL=99991231", "UNTIL before"),
        ("FREQ=DAILY;UNTIL=20260104", "at start_time"),
        ("FREQ=DAILY;UNTIL=20301231", "at most 1000"),
        ("FREQ=YEARLY;UNTIL=20311231", "within 1830 days"),
        ("FREQ=YEARLY;COUNT=10", "within 1830 days"),
        ("FREQ=DAILY;COUNT=2;BYMONTH=2;BYMONTHDAY=30", "at start_time"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=TU", "at start_time"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=2MO", "at start_time"),
        ("FREQ=DAILY;COUNT=2;BYDAY=1MO", "MONTHLY or YEARLY"),
        ("FREQ=DAILY;COUNT=2;BYDAY=XX", "BYDAY such as"),
        ("FREQ=DAILY;COUNT=2;WKST=XX", "RFC 5545"),
        ("FREQ=DAILY;COUNT=2;BYMONTHDAY=5,x", "RFC 5545"),
    ],
)
def test_a_rule_that_is_none_or_has_no_bounds_is_refused(rule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        starts(rule, "2026-01-05T09:00")


def test_a_recurrence_begins_in_a_year_that_leaves_room_for_it() -> None:
    with pytest.raises(ValueError, match="9980"):
        starts("FREQ=DAILY;COUNT=2", "9990-01-05T09:00")


def matches(parts: Mapping[str, str], start: date, day: date) -> bool:
    """Whether a date is one of a rule's that begins on another, as RFC 5545 has its table."""
    every = int(parts["INTERVAL"])
    monday, first_monday = (one - timedelta(days=one.weekday()) for one in (day, start))
    months = (day.year - start.year) * 12 + day.month - start.month
    periods = {
        "DAILY": (day - start).days,
        "WEEKLY": (monday - first_monday).days // 7,
        "MONTHLY": months,
        "YEARLY": day.year - start.year,
    }
    frequency = parts["FREQ"]
    if periods[frequency] % every:
        return False
    weekdays = parts.get("BYDAY", "")
    if weekdays and WEEKDAYS[day.weekday()] not in weekdays:
        return False
    if "BYMONTHDAY" in parts and f"{day.day}" not in parts["BYMONTHDAY"].split(","):
        return False
    if "BYMONTH" in parts and f"{day.month}" not in parts["BYMONTH"].split(","):
        return False
    said = {"BYDAY", "BYMONTHDAY", "BYMONTH"} & parts.keys()
    if frequency == "WEEKLY" and not said - {"BYMONTH"}:
        return day.weekday() == start.weekday()
    if frequency in ("MONTHLY", "YEARLY") and not said & {"BYDAY", "BYMONTHDAY"}:
        is_month = frequency == "MONTHLY" or "BYMONTH" in parts or day.month == start.month
        return is_month and day.day == start.day
    return True


@st.composite
def rules(draw: st.DrawFn) -> tuple[dict[str, str], date]:
    start = draw(st.dates(date(2026, 1, 1), date(2028, 12, 31)))
    parts = {
        "FREQ": draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])),
        "INTERVAL": f"{draw(st.integers(1, 4))}",
    }
    if draw(st.booleans()):
        others = draw(st.sets(st.sampled_from(WEEKDAYS), max_size=3))
        parts["BYDAY"] = ",".join(sorted({WEEKDAYS[start.weekday()], *others}))
    if parts["FREQ"] != "WEEKLY" and draw(st.booleans()):
        days = {start.day, *draw(st.sets(st.integers(1, 31), max_size=3))}
        parts["BYMONTHDAY"] = ",".join(map(str, sorted(days)))
    if draw(st.booleans()):
        months = {start.month, *draw(st.sets(st.integers(1, 12), max_size=3))}
        parts["BYMONTH"] = ",".join(map(str, sorted(months)))
    return parts, start


@examples(200)
@given(rules(), st.integers(1, 800), st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"]))
def test_occurrences_are_those_of_a_walk_over_all_dates(
    drawn: tuple[dict[str, str], date], days: int, zone: str
) -> None:
    parts, start = drawn
    last = start + timedelta(days=days)
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    noon = datetime(start.year, start.month, start.day, 12, tzinfo=ZoneInfo(zone))
    first = from_datetime(noon), from_datetime(noon) + HOUR
    found = occurrences(f"{rule};UNTIL={last:%Y%m%d}", first, zone)
    expected = [
        day for n in range(days + 1) if matches(parts, start, day := start + timedelta(days=n))
    ]
    shown = [datetime.fromtimestamp(begin // 10**6, ZoneInfo(zone)) for begin, _ in found]
    assert [one.date() for one in shown] == expected
    assert {(one.hour, one.minute) for one in shown} == {(12, 0)}
    assert all(end - begin == HOUR for begin, end in found)
    assert len(found) <= MAX_OCCURRENCES
