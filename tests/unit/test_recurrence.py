"""Recurrence rules: bounded, in wall time, and as dateutil finds them."""

import time
from calendar import isleap, monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from zimun.booking.recurrence import FREQUENCIES, MAX_OCCURRENCES, occurrences
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


@pytest.mark.parametrize(
    ("rule", "first", "second"),
    [
        ("YEARLY;BYDAY=-1MO", "2028-12-25", "2029-12-31"),
        ("YEARLY;BYDAY=-1SU", "2028-12-31", "2029-12-30"),
        ("YEARLY;BYDAY=-1MO", "2023-12-25", "2024-12-30"),
        ("YEARLY;BYDAY=-1SU", "2023-12-31", "2024-12-29"),
        ("MONTHLY;BYDAY=1WE", "2026-01-07", "2026-02-04"),
        ("MONTHLY;BYDAY=2TH", "2026-01-08", "2026-02-12"),
        ("MONTHLY;BYDAY=-1WE", "2026-02-25", "2026-03-25"),
        ("MONTHLY;BYDAY=-2SA", "2026-02-21", "2026-03-21"),
        ("DAILY;INTERVAL=1000", "2026-01-05", "2028-10-01"),
        ("DAILY", "9980-01-05", "9980-01-06"),
        ("MONTHLY;INTERVAL=5", "2026-11-05", "2027-04-05"),
        ("MONTHLY;INTERVAL=2", "2026-11-05", "2027-01-05"),
    ],
)
def test_first_two_dates_of_a_rule(rule: str, first: str, second: str) -> None:
    expected = [f"{first}T09:00", f"{second}T09:00"]
    assert starts(f"FREQ={rule};COUNT=2", expected[0]) == expected


@pytest.mark.parametrize(
    ("end", "count"),
    [
        ("UNTIL=20280930", 1000),
        ("COUNT=1000", 1000),
        ("UNTIL=20260106T080000Z", 2),
        ("UNTIL=20260106T075959Z", 1),
        ("UNTIL=20260106T090000", 2),
        ("UNTIL=20260106T085959", 1),
    ],
)
def test_rule_ends_with_the_last_start_that_its_end_allows(end: str, count: int) -> None:
    """It starts at 09:00 of Berlin, an hour before UTC."""
    assert len(starts(f"FREQ=DAILY;{end}", "2026-01-05T08:00", "Europe/Berlin")) == count


@pytest.mark.parametrize(("week_start", "days"), [("MO", (5, 10, 19, 24)), ("SU", (5, 17, 19, 31))])
def test_every_second_week_begins_on_the_week_start(week_start: str, days: Sequence[int]) -> None:
    """The example of RFC 5545, section 3.8.5.3."""
    rule = f"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST={week_start}"
    expected = [f"1997-08-{day:02}T09:00" for day in days]
    assert starts(rule, "1997-08-05T09:00") == expected


def test_year_may_have_53_of_a_weekday() -> None:
    assert starts("FREQ=YEARLY;BYDAY=53TH;COUNT=1", "2026-12-31T09:00") == ["2026-12-31T09:00"]


def test_rule_may_end_so_many_days_after_it_begins() -> None:
    assert len(starts("FREQ=YEARLY;UNTIL=20310109T090000", "2026-01-05T09:00")) == 6
    with pytest.raises(ValueError, match="within 1830 days"):
        starts("FREQ=YEARLY;UNTIL=20310109T090001", "2026-01-05T09:00")


@pytest.mark.parametrize(("microseconds", "last"), [(0, "20260106"), (-1, "20260105")])
def test_rule_ends_with_the_last_microsecond_of_its_last_date(microseconds: int, last: str) -> None:
    begin = utc("2026-01-05T00:00") + microseconds
    found = occurrences(f"FREQ=DAILY;UNTIL={last}", (begin, begin + HOUR), "UTC")
    assert [one[0] - begin for one in found] == [0, 24 * HOUR]


def test_rule_may_end_with_its_first_occurrence() -> None:
    for until in ("20260105", "20260105T090000", "20260105T090000Z"):
        assert starts(f"FREQ=DAILY;UNTIL={until}", "2026-01-05T09:00") == ["2026-01-05T09:00"]


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
    ("start", "end", "second"),
    [
        # 02:30-03:15: its start is 03:30 on 2026-03-29.
        (
            "2026-03-28T01:30",
            "2026-03-28T02:15",
            ("2026-03-29T01:30:00Z", "2026-03-29T02:15:00Z"),
        ),
        # 02:30-03:30: both are 03:30 on 2026-03-29.
        (
            "2026-03-28T01:30",
            "2026-03-28T02:30",
            ("2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"),
        ),
        # From the first 02:45 to the second 02:15 of 2026-10-25.
        (
            "2026-10-25T00:45",
            "2026-10-25T01:15",
            ("2026-10-26T01:45:00Z", "2026-10-26T02:15:00Z"),
        ),
    ],
)
def test_an_occurrence_that_would_end_before_it_starts_lasts_as_long_as_the_first(
    start: str, end: str, second: tuple[str, str]
) -> None:
    found = occurrences("FREQ=DAILY;COUNT=2", (utc(start), utc(end)), "Europe/Berlin")
    assert [(rfc3339(begin), rfc3339(end)) for begin, end in found[1:]] == [second]


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
        ("FREQ=DAILY;UNTIL=99860101", "UNTIL before the year 9986"),
        ("FREQ=DAILY;UNTIL=99851231", "within 1830 days"),
        ("FREQ=DAILY;UNTIL=00020101", "at start_time"),
        ("FREQ=DAILY;UNTIL=00011231", "UNTIL before"),
        ("FREQ=DAILY;UNTIL=20260104", "at start_time"),
        ("FREQ=DAILY;UNTIL=20301231", "at most 1000"),
        ("FREQ=YEARLY;UNTIL=20311231", "within 1830 days"),
        ("FREQ=YEARLY;COUNT=10", "within 1830 days"),
        ("FREQ=DAILY;COUNT=2;BYMONTH=2;BYMONTHDAY=30", "at start_time"),
        ("FREQ=WEEKLY;COUNT=2;BYDAY=TU", "at start_time"),
        ("FREQ=MONTHLY;COUNT=2;BYDAY=2MO", "at start_time"),
        ("FREQ=DAILY;COUNT=2;BYDAY=1MO", "MONTHLY or YEARLY"),
        ("FREQ=DAILY;COUNT=2;BYDAY=XX", "BYDAY such as"),
        ("FREQ=YEARLY;COUNT=2;BYDAY=54MO", "BYDAY such as"),
        ("FREQ=YEARLY;COUNT=2;BYDAY=MO,0MO", "BYDAY such as"),
        ("FREQ=YEARLY;COUNT=2;BYDAY=MO,-99SU;INTERVAL=3", "BYDAY such as"),
        ("FREQ=DAILY;COUNT=2;WKST=XX", "WKST of MO"),
        ("FREQ=DAILY;COUNT=2;BYMONTHDAY=5,x", "BYMONTHDAY of -31 to 31"),
        ("FREQ=DAILY;COUNT=2;BYMONTHDAY=5,0", "BYMONTHDAY of -31 to 31"),
        ("FREQ=MONTHLY;COUNT=2;BYMONTH=1,99;BYDAY=MO", "BYMONTH of 1 to 12"),
    ],
)
def test_a_rule_that_is_none_or_has_no_bounds_is_refused(rule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        starts(rule, "2026-01-05T09:00")


def test_a_recurrence_begins_in_a_year_that_leaves_room_for_it() -> None:
    with pytest.raises(ValueError, match="9980"):
        starts("FREQ=DAILY;COUNT=2", "9990-01-05T09:00")


def test_weekdays_of_all_weeks_and_of_one_may_stand_together() -> None:
    assert starts("FREQ=MONTHLY;BYDAY=MO,1TU;COUNT=4", "2026-01-05T09:00") == [
        f"2026-01-{day}T09:00" for day in ("05", "06", "12", "19")
    ]


def test_a_rule_without_another_date_takes_no_search_to_the_end_of_time() -> None:
    """The next one is on 2056-02-29."""
    began = time.process_time()
    for interval in (1, 3, 997):
        with pytest.raises(ValueError, match="within 1830 days"):
            starts(f"FREQ=DAILY;INTERVAL={interval};{RARE};COUNT=2", "2028-02-29T09:00")
    assert time.process_time() - began < 0.5


RARE = "BYMONTH=2;BYMONTHDAY=29;BYDAY=TU"


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, date]:
    """A rule without its end, and the first of its dates."""
    start = draw(st.dates(date(2026, 1, 1), date(2028, 12, 31)))
    frequency = draw(st.sampled_from(FREQUENCIES))
    named = draw(st.sets(st.sampled_from(["INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"])))
    may_count = frequency in ("MONTHLY", "YEARLY")
    number = draw(st.sampled_from(numbers(start, "BYMONTH" in named or frequency == "MONTHLY")))
    number = number if may_count and draw(st.booleans()) else ""
    length = monthrange(start.year, start.month)[1]
    month_day = draw(st.sampled_from([start.day, start.day - 1 - length]))
    values = {
        "INTERVAL": draw(st.sampled_from(["1", "2", "3", "4", "7", "365"])),
        "BYDAY": draw(several(WEEKDAYS, WEEKDAYS[start.weekday()], number)),
        "BYMONTHDAY": draw(several([*range(1, 32), *range(-31, 0)], month_day)),
        "BYMONTH": draw(several(range(1, 13), start.month)),
        "WKST": draw(st.sampled_from(WEEKDAYS)),
    }
    return ";".join([f"FREQ={frequency}", *(f"{name}={values[name]}" for name in named)]), start


def numbers(day: date, in_month: bool) -> list[str]:
    """Which of its weekday a date is, from the start and from the end of its month or year."""
    place, length = day.day, monthrange(day.year, day.month)[1]
    if not in_month:
        place, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
    from_start, from_end = (place + 6) // 7, (length - place) // 7 + 1
    return [f"{from_start}", f"+{from_start}", f"-{from_end}"]


def several(values: Sequence[object], one: object, prefix: str = "") -> st.SearchStrategy[str]:
    """A list of some values and one that is in it, as a part of a rule has it."""
    lists = st.sets(st.sampled_from(values), max_size=4)
    return lists.map(lambda some: ",".join(f"{prefix}{each}" for each in {one, *some}))


@examples(200)
@given(rules(), st.integers(1, 800), st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "UTC"]))
def test_occurrences_are_those_of_dateutil(drawn: tuple[str, date], days: int, zone: str) -> None:
    rule, start = drawn
    last = start + timedelta(days=days)
    noon = datetime.combine(start, clock(12))
    instant = from_datetime(noon.replace(tzinfo=ZoneInfo(zone)))
    first = instant, instant + HOUR
    found = occurrences(f"{rule};UNTIL={last:%Y%m%d}", first, zone)
    until = datetime.combine(last, clock(23, 59))
    expected = list(rrulestr(rule, dtstart=noon).replace(until=until))
    shown = [datetime.fromtimestamp(begin // 10**6, ZoneInfo(zone)) for begin, _ in found]
    assert [one.replace(tzinfo=None) for one in shown] == expected
    assert all(end - begin == HOUR for begin, end in found)
    assert len(found) <= MAX_OCCURRENCES


@examples(300)
@given(st.text("FREQINTVALCOUBYDMHWKS=;,+-0129", max_size=60), st.sampled_from(FREQUENCIES))
def test_invalid_rule_is_refused_with_a_message_of_zimun(text: str, frequency: str) -> None:
    for rule in (text, f"FREQ={frequency};COUNT=2;{text}", f"FREQ={frequency};BYMONTH=1,{text}"):
        refused = refusal(rule)
        assert refused is None or refused.startswith("must ")


def refusal(rule: str) -> str | None:
    """What is said of a rule that is refused; None of one that is accepted."""
    try:
        starts(rule, "2026-01-05T09:00")
    except ValueError as error:
        return str(error)
    return None
