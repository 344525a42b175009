"""Golden answers: whole lists of slots, worked out by hand from what the IANA time zones say.

Property tests compare the search with an oracle; both ask the same zoneinfo, and
may misread a rule alike. Here every answer was written down first. A docstring
gives the offsets on both sides of a change, the UTC instant of the change, and
so the open time in UTC; a row gives a start in UTC and what the wall of the
place shows then. Where governments change their minds, the date is a past one.

The file is long for one idea: each test is a table of answers, and the tables share the few
helpers below.
"""

from calendar import FRIDAY, MONDAY, SATURDAY, SUNDAY, THURSDAY, TUESDAY, WEDNESDAY
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from zimun.domain.availability.opening_hours import local_rfc3339
from zimun.domain.catalog.entries import Organization, Override, Service, SlotAlignment
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.instant import DAY, HOUR, MINUTE, rfc3339

from .build import ALL_DAY, World, every_day, member, organization, service, utc, world
from .slot_facts import slot_at


def at(*openings: str) -> Hours:
    """`22:00-24:00` and the like as minutes since midnight."""
    return tuple((_minutes(text[:5]), _minutes(text[6:])) for text in openings)


def _minutes(wall: str) -> int:
    return int(wall[:2]) * 60 + int(wall[3:])


def lasting(minutes: int, step: int, **changes: Any) -> Service:
    """A service of so many minutes, with a start every so many."""
    return service(duration=minutes * MINUTE, slot_step=step * MINUTE, **changes)


def on_the_wall(minutes: int, step: int) -> Service:
    """One whose steps count from midnight on the wall, not from the opening."""
    return lasting(minutes, step, slot_alignment=SlotAlignment.HOUR)


def open_daily(zone: str, *openings: str) -> Organization:
    return organization(time_zone=zone, weekly_hours=every_day(at(*openings)))


def open_on(zone: str, week: Mapping[int, Hours]) -> Organization:
    return organization(time_zone=zone, weekly_hours=week)


def answer(asked: World) -> list[str]:
    """Every slot as `start in UTC = start on the wall`; each lasts its length and can be taken."""
    search = asked.search()
    found = search.slots(asked.first, asked.last)
    for slot in found:
        assert slot.end - slot.start == asked.service.duration
        assert slot_at(search, slot.start) == slot
    zone = asked.place.time_zone
    return [f"{rfc3339(slot.start)} = {local_rfc3339(zone, slot.start)}" for slot in found]


def test_berlin_in_spring_is_never_open_from_two_to_three() -> None:
    """+1 until 2026-03-29T01:00Z (02:00), then +2 (03:00).

    Open 01:00-04:00: 01:00-02:00 at +1 is 00:00Z-01:00Z, 03:00-04:00 at +2 is 01:00Z-02:00Z.
    """
    asked = world(
        lasting(30, 30),
        date(2026, 3, 29),
        organization=open_daily("Europe/Berlin", "01:00-04:00"),
    )
    assert answer(asked) == [
        "2026-03-29T00:00:00Z = 2026-03-29T01:00:00+01:00",
        "2026-03-29T00:30:00Z = 2026-03-29T01:30:00+01:00",
        "2026-03-29T01:00:00Z = 2026-03-29T03:00:00+02:00",
        "2026-03-29T01:30:00Z = 2026-03-29T03:30:00+02:00",
    ]


def test_an_hour_across_the_gap_of_berlin_ends_two_hours_later_on_the_wall() -> None:
    """+1 until 2026-03-29T01:00Z (02:00), then +2 (03:00).

    Open 01:00-03:30: 01:00-02:00 at +1 is 00:00Z-01:00Z, 03:00-03:30 at +2 is 01:00Z-01:30Z.
    The last hour that fits is 00:30Z-01:30Z, on the wall 01:30 to 03:30.
    """
    asked = world(
        lasting(60, 30),
        date(2026, 3, 29),
        organization=open_daily("Europe/Berlin", "01:00-03:30"),
    )
    assert answer(asked) == [
        "2026-03-29T00:00:00Z = 2026-03-29T01:00:00+01:00",
        "2026-03-29T00:30:00Z = 2026-03-29T01:30:00+01:00",
    ]


def test_hours_that_begin_in_the_gap_of_new_york_begin_where_it_ends() -> None:
    """-5 until 2026-03-08T07:00Z (02:00), then -4 (03:00).

    Open 02:30-04:00: 02:30-03:00 is never shown, 03:00-04:00 at -4 is 07:00Z-08:00Z, and
    steps of 40 minutes count from 07:00Z: 07:00Z, 07:40Z.
    """
    asked = world(
        lasting(20, 40),
        date(2026, 3, 8),
        organization=open_daily("America/New_York", "02:30-04:00"),
    )
    assert answer(asked) == [
        "2026-03-08T07:00:00Z = 2026-03-08T03:00:00-04:00",
        "2026-03-08T07:40:00Z = 2026-03-08T03:40:00-04:00",
    ]


def test_a_break_within_the_gap_of_new_york_interrupts_nothing() -> None:
    """-5 until 2026-03-08T07:00Z (02:00), then -4 (03:00).

    Open 01:30-02:30 and 02:45-03:15: 01:30-02:00 at -5 is 06:30Z-07:00Z, 03:00-03:15 at -4 is
    07:00Z-07:15Z, and the break between them (02:30-02:45) is never shown. Half an hour fits at
    06:30Z and 06:45Z; at 07:00Z it would last until 07:30Z.
    """
    asked = world(
        lasting(30, 15),
        date(2026, 3, 8),
        organization=open_daily("America/New_York", "01:30-02:30", "02:45-03:15"),
    )
    assert answer(asked) == [
        "2026-03-08T06:30:00Z = 2026-03-08T01:30:00-05:00",
        "2026-03-08T06:45:00Z = 2026-03-08T01:45:00-05:00",
    ]


def test_berlin_in_autumn_opens_again_at_the_second_two_o_clock() -> None:
    """+2 until 2026-10-25T01:00Z (03:00), then +1 (02:00).

    Open 01:30-02:30: at +2 that is 23:30Z-00:30Z, at +1 its 02:00-02:30 is 01:00Z-01:30Z. Steps
    of 20 minutes from 23:30Z: 23:30Z, 23:50Z, 00:10Z; from 01:00Z: 01:00Z, as 01:20Z would last
    until 01:40Z.
    """
    asked = world(
        lasting(20, 20),
        date(2026, 10, 25),
        organization=open_daily("Europe/Berlin", "01:30-02:30"),
    )
    assert answer(asked) == [
        "2026-10-24T23:30:00Z = 2026-10-25T01:30:00+02:00",
        "2026-10-24T23:50:00Z = 2026-10-25T01:50:00+02:00",
        "2026-10-25T00:10:00Z = 2026-10-25T02:10:00+02:00",
        "2026-10-25T01:00:00Z = 2026-10-25T02:00:00+01:00",
    ]


def test_new_york_in_autumn_offers_one_o_clock_twice() -> None:
    """-4 until 2026-11-01T06:00Z (02:00), then -5 (01:00).

    Open 01:00-02:00: at -4 that is 05:00Z-06:00Z, at -5 it is 06:00Z-07:00Z.
    """
    asked = world(
        lasting(60, 60),
        date(2026, 11, 1),
        organization=open_daily("America/New_York", "01:00-02:00"),
    )
    assert answer(asked) == [
        "2026-11-01T05:00:00Z = 2026-11-01T01:00:00-04:00",
        "2026-11-01T06:00:00Z = 2026-11-01T01:00:00-05:00",
    ]


def test_two_and_a_half_hours_fit_into_two_hours_that_hold_the_repeat_of_new_york() -> None:
    """-4 until 2026-11-01T06:00Z (02:00), then -5 (01:00).

    Open 00:30-02:30: 00:30-02:00 at -4 is 04:30Z-06:00Z, 01:00-02:30 at -5 is 06:00Z-07:30Z:
    three hours. 04:30Z lasts until 07:00Z, 05:00Z until 07:30Z.
    """
    asked = world(
        lasting(150, 30),
        date(2026, 11, 1),
        organization=open_daily("America/New_York", "00:30-02:30"),
    )
    assert answer(asked) == [
        "2026-11-01T04:30:00Z = 2026-11-01T00:30:00-04:00",
        "2026-11-01T05:00:00Z = 2026-11-01T01:00:00-04:00",
    ]


def test_steps_on_the_wall_of_kathmandu_meet_its_full_hours() -> None:
    """+5:45 all year, so 09:00 is 03:15Z.

    Open 08:50-09:50; multiples of 20 minutes on the wall: 09:00 (03:15Z), 09:20 (03:35Z); 09:40
    is too late for half an hour. In UTC, none of them is a multiple of 20 minutes.
    """
    asked = world(
        on_the_wall(30, 20),
        date(2026, 1, 5),
        organization=open_daily("Asia/Kathmandu", "08:50-09:50"),
    )
    assert answer(asked) == [
        "2026-01-05T03:15:00Z = 2026-01-05T09:00:00+05:45",
        "2026-01-05T03:35:00Z = 2026-01-05T09:20:00+05:45",
    ]


def test_kathmandu_skipped_a_quarter_of_an_hour_on_new_year_of_1986() -> None:
    """+5:30 until 1985-12-31T18:30Z (00:00 of 1986-01-01), then +5:45 (00:15).

    Open 00:00-01:00: 00:15-01:00 at +5:45 is 18:30Z-19:15Z; steps of 30 minutes count from 18:30Z.
    """
    asked = world(
        lasting(15, 30),
        date(1986, 1, 1),
        organization=open_daily("Asia/Kathmandu", "00:00-01:00"),
    )
    assert answer(asked) == [
        "1985-12-31T18:30:00Z = 1986-01-01T00:15:00+05:45",
        "1985-12-31T19:00:00Z = 1986-01-01T00:45:00+05:45",
    ]


def test_a_full_hour_of_kolkata_is_half_past_in_utc() -> None:
    """+5:30 all year, so 10:00 is 04:30Z.

    Open 09:15-10:15; the one full hour on the wall is 10:00, and a quarter of an hour fits.
    """
    asked = world(
        on_the_wall(15, 60),
        date(2026, 1, 5),
        organization=open_daily("Asia/Kolkata", "09:15-10:15"),
    )
    assert answer(asked) == ["2026-01-05T04:30:00Z = 2026-01-05T10:00:00+05:30"]


def test_the_leap_day_has_its_own_weekday_and_runs_into_the_first_of_march() -> None:
    """Kolkata, +5:30; 2028-02-29 is a Tuesday, so 2028-02-28 a Monday and 2028-03-01 a Wednesday.

    Open Tuesday 23:00-24:00 (17:30Z-18:30Z) and Wednesday 00:00-01:00 (18:30Z-19:30Z). 90 minutes
    fit at 17:30Z and, over midnight, at 18:00Z; at 18:30Z they would last until 20:00Z.
    """
    asked = world(
        lasting(90, 30),
        date(2028, 2, 28),
        date(2028, 3, 1),
        organization=open_on(
            "Asia/Kolkata", {TUESDAY: at("23:00-24:00"), WEDNESDAY: at("00:00-01:00")}
        ),
    )
    assert answer(asked) == [
        "2028-02-29T17:30:00Z = 2028-02-29T23:00:00+05:30",
        "2028-02-29T18:00:00Z = 2028-02-29T23:30:00+05:30",
    ]


def test_hours_on_both_sides_of_midnight_are_one_opening_whose_steps_run_on() -> None:
    """Kathmandu, +5:45; 2026-01-05 is a Monday.

    Open Monday 22:00-24:00 (16:15Z-18:15Z) and Tuesday 00:00-02:00 (18:15Z-20:15Z). Steps of 45
    minutes: Monday 22:00, 22:45, 23:30 (an hour lasts past midnight), Tuesday 00:15, 01:00; at
    01:45 (20:00Z) an hour no longer fits.
    """
    asked = world(
        lasting(60, 45),
        date(2026, 1, 5),
        date(2026, 1, 6),
        organization=open_on(
            "Asia/Kathmandu", {MONDAY: at("22:00-24:00"), TUESDAY: at("00:00-02:00")}
        ),
    )
    assert answer(asked) == [
        "2026-01-05T16:15:00Z = 2026-01-05T22:00:00+05:45",
        "2026-01-05T17:00:00Z = 2026-01-05T22:45:00+05:45",
        "2026-01-05T17:45:00Z = 2026-01-05T23:30:00+05:45",
        "2026-01-05T18:30:00Z = 2026-01-06T00:15:00+05:45",
        "2026-01-05T19:15:00Z = 2026-01-06T01:00:00+05:45",
    ]


def test_a_friday_night_runs_on_into_saturday_whichever_date_is_asked_about() -> None:
    """UTC; 2026-01-09 is a Friday. Open Friday 22:30-24:00 and Saturday 00:00-02:00, 50 minutes."""
    asked = world(
        lasting(50, 50),
        date(2026, 1, 10),
        organization=open_on("UTC", {FRIDAY: at("22:30-24:00"), SATURDAY: at("00:00-02:00")}),
    )
    saturday = [
        "2026-01-10T00:10:00Z = 2026-01-10T00:10:00+00:00",
        "2026-01-10T01:00:00Z = 2026-01-10T01:00:00+00:00",
    ]
    assert answer(asked) == saturday
    assert answer(replace(asked, first=date(2026, 1, 9))) == [
        "2026-01-09T22:30:00Z = 2026-01-09T22:30:00+00:00",
        "2026-01-09T23:20:00Z = 2026-01-09T23:20:00+00:00",
        *saturday,
    ]


@pytest.mark.parametrize(
    ("closed", "expected"),
    [(7, "06:00"), (8, "02:00"), (9, "00:00")],
)
def test_an_opening_of_eight_days_counts_from_each_midnight(closed: int, expected: str) -> None:
    """UTC, open around the clock but for one date; steps of ten hours.

    On the seventh date after it the opening has lasted six days, 144 hours: the next step is at
    06:00. On the ninth it has lasted eight.
    """
    after = date(2026, 1, 20)
    asked = world(
        lasting(60, 600),
        after,
        organization=open_daily("UTC", "00:00-24:00"),
        overrides=[Override(owner_id="o_1", date=after - timedelta(days=closed))],
    )
    assert answer(asked)[0].endswith(f"2026-01-20T{expected}:00+00:00")


def test_chatham_in_spring_goes_on_counting_on_the_wall() -> None:
    """+12:45 until 2026-09-26T14:00Z (02:45 of the 27th), then +13:45 (03:45).

    Open 02:00-04:30: 02:00-02:45 is 13:15Z-14:00Z, 03:45-04:30 is 14:00Z-14:45Z. Multiples of 45
    minutes on the wall: 02:15 (13:30Z), 03:00 is skipped, 03:45 (14:00Z), 04:30 is closed.
    """
    asked = world(
        on_the_wall(30, 45),
        date(2026, 9, 27),
        organization=open_daily("Pacific/Chatham", "02:00-04:30"),
    )
    assert answer(asked) == [
        "2026-09-26T13:30:00Z = 2026-09-27T02:15:00+12:45",
        "2026-09-26T14:00:00Z = 2026-09-27T03:45:00+13:45",
    ]


def test_chatham_in_autumn_has_three_o_clock_twice() -> None:
    """+13:45 until 2026-04-04T14:00Z (03:45 of the 5th), then +12:45 (02:45).

    Open 02:30-04:00: 02:30-03:45 at +13:45 is 12:45Z-14:00Z, 02:45-04:00 at +12:45 is
    14:00Z-15:15Z. Full hours on the wall: 03:00 (13:15Z), and 03:00 again (14:15Z).
    """
    asked = world(
        on_the_wall(60, 60),
        date(2026, 4, 5),
        organization=open_daily("Pacific/Chatham", "02:30-04:00"),
    )
    assert answer(asked) == [
        "2026-04-04T13:15:00Z = 2026-04-05T03:00:00+13:45",
        "2026-04-04T14:15:00Z = 2026-04-05T03:00:00+12:45",
    ]


def test_lord_howe_in_spring_skips_half_an_hour_that_an_appointment_may_span() -> None:
    """+10:30 until 2026-10-03T15:30Z (02:00 of the 4th), then +11 (02:30).

    Open 01:30-03:00: 01:30-02:00 is 15:00Z-15:30Z, 02:30-03:00 is 15:30Z-16:00Z. 15:15Z lasts
    until 15:45Z, on the wall 01:45 to 02:45.
    """
    asked = world(
        lasting(30, 15),
        date(2026, 10, 4),
        organization=open_daily("Australia/Lord_Howe", "01:30-03:00"),
    )
    assert answer(asked) == [
        "2026-10-03T15:00:00Z = 2026-10-04T01:30:00+10:30",
        "2026-10-03T15:15:00Z = 2026-10-04T01:45:00+10:30",
        "2026-10-03T15:30:00Z = 2026-10-04T02:30:00+11:00",
    ]


def test_full_hours_of_lord_howe_in_spring_are_ninety_minutes_apart() -> None:
    """+10:30 until 2026-10-03T15:30Z (02:00 of the 4th), then +11 (02:30).

    Open 01:00-04:00; full hours on the wall: 01:00 at +10:30 (14:30Z), 02:00 is skipped, 03:00 at
    +11 (16:00Z).
    """
    asked = world(
        on_the_wall(30, 60),
        date(2026, 10, 4),
        organization=open_daily("Australia/Lord_Howe", "01:00-04:00"),
    )
    assert answer(asked) == [
        "2026-10-03T14:30:00Z = 2026-10-04T01:00:00+10:30",
        "2026-10-03T16:00:00Z = 2026-10-04T03:00:00+11:00",
    ]


def test_lord_howe_in_autumn_repeats_half_an_hour_that_an_appointment_may_span() -> None:
    """+11 until 2026-04-04T15:00Z (02:00 of the 5th), then +10:30 (01:30).

    Open 01:00-02:15: 01:00-02:00 at +11 is 14:00Z-15:00Z, 01:30-02:15 at +10:30 is 15:00Z-15:45Z.
    45 minutes from 14:30Z last until 15:15Z, on the wall 01:30 to 01:45; the last are from 15:00Z.
    """
    asked = world(
        lasting(45, 30),
        date(2026, 4, 5),
        organization=open_daily("Australia/Lord_Howe", "01:00-02:15"),
    )
    assert answer(asked) == [
        "2026-04-04T14:00:00Z = 2026-04-05T01:00:00+11:00",
        "2026-04-04T14:30:00Z = 2026-04-05T01:30:00+11:00",
        "2026-04-04T15:00:00Z = 2026-04-05T01:30:00+10:30",
    ]


def test_apia_has_slots_on_both_sides_of_the_date_that_it_skipped() -> None:
    """-10 until 2011-12-30T10:00Z (24:00 of the 29th), then +14 (00:00 of the 31st).

    Open 09:00-10:00: on the 29th at -10 that is 12-29T19:00Z-20:00Z, on the 31st at +14 it is
    12-30T19:00Z-20:00Z.
    """
    asked = world(
        lasting(30, 30),
        date(2011, 12, 29),
        date(2011, 12, 31),
        organization=open_daily("Pacific/Apia", "09:00-10:00"),
    )
    assert answer(asked) == [
        "2011-12-29T19:00:00Z = 2011-12-29T09:00:00-10:00",
        "2011-12-29T19:30:00Z = 2011-12-29T09:30:00-10:00",
        "2011-12-30T19:00:00Z = 2011-12-31T09:00:00+14:00",
        "2011-12-30T19:30:00Z = 2011-12-31T09:30:00+14:00",
    ]


def test_apia_has_no_slot_on_the_date_that_it_skipped() -> None:
    """-10 until 2011-12-30T10:00Z (24:00 of the 29th), then +14 (00:00 of the 31st).

    No instant shows the 30th, a Friday, though all of every Friday is open.
    """
    asked = world(
        lasting(30, 30),
        date(2011, 12, 30),
        organization=open_on("Pacific/Apia", {FRIDAY: ALL_DAY}),
    )
    assert answer(asked) == []


def test_an_appointment_of_apia_lasts_from_the_29th_into_the_31st() -> None:
    """-10 until 2011-12-30T10:00Z (24:00 of the 29th), then +14 (00:00 of the 31st).

    Open Thursday (the 29th) 22:00-24:00, which is 08:00Z-10:00Z, and Saturday (the 31st)
    00:00-02:00, which is 10:00Z-12:00Z. Three hours fit at 08:00Z, 08:30Z and 09:00Z.
    """
    asked = world(
        lasting(180, 30),
        date(2011, 12, 29),
        date(2011, 12, 31),
        organization=open_on(
            "Pacific/Apia", {THURSDAY: at("22:00-24:00"), SATURDAY: at("00:00-02:00")}
        ),
    )
    assert answer(asked) == [
        "2011-12-30T08:00:00Z = 2011-12-29T22:00:00-10:00",
        "2011-12-30T08:30:00Z = 2011-12-29T22:30:00-10:00",
        "2011-12-30T09:00:00Z = 2011-12-29T23:00:00-10:00",
    ]


def test_the_year_begins_in_kiritimati_while_utc_has_fourteen_hours_to_go() -> None:
    """+14 all year; 2025-12-31 is a Wednesday.

    Open Wednesday 23:00-24:00 (09:00Z-10:00Z of the 31st) and Thursday 00:00-01:00 (10:00Z-11:00Z
    of the 31st). An hour fits at 09:00Z, over midnight at 09:30Z, and at 10:00Z, in 2026.
    """
    asked = world(
        lasting(60, 30),
        date(2025, 12, 31),
        date(2026, 1, 1),
        organization=open_on(
            "Pacific/Kiritimati", {WEDNESDAY: at("23:00-24:00"), THURSDAY: at("00:00-01:00")}
        ),
    )
    assert answer(asked) == [
        "2025-12-31T09:00:00Z = 2025-12-31T23:00:00+14:00",
        "2025-12-31T09:30:00Z = 2025-12-31T23:30:00+14:00",
        "2025-12-31T10:00:00Z = 2026-01-01T00:00:00+14:00",
    ]


def test_the_year_ends_in_the_marquesas_when_utc_has_the_next_one() -> None:
    """-9:30 all year.

    Open 23:00-24:00 of 2025-12-31, which is 08:30Z-09:30Z of 2026-01-01.
    """
    asked = world(
        lasting(30, 30),
        date(2025, 12, 31),
        organization=open_daily("Pacific/Marquesas", "23:00-24:00"),
    )
    assert answer(asked) == [
        "2026-01-01T08:30:00Z = 2025-12-31T23:00:00-09:30",
        "2026-01-01T09:00:00Z = 2025-12-31T23:30:00-09:30",
    ]


def test_a_sunday_of_sao_paulo_begins_at_one_and_follows_saturday_without_a_break() -> None:
    """-3 until 2018-11-04T03:00Z (24:00 of Saturday the 3rd), then -2 (01:00 of Sunday the 4th).

    Open Saturday 23:00-24:00 (02:00Z-03:00Z) and Sunday 00:00-02:00, of which 01:00-02:00 is shown
    (03:00Z-04:00Z). 45 minutes fit at 02:00Z, over the change at 02:30Z, and at 03:00Z, but not
    at 03:30Z.
    """
    asked = world(
        lasting(45, 30),
        date(2018, 11, 3),
        date(2018, 11, 4),
        organization=open_on(
            "America/Sao_Paulo", {SATURDAY: at("23:00-24:00"), SUNDAY: at("00:00-02:00")}
        ),
    )
    assert answer(asked) == [
        "2018-11-04T02:00:00Z = 2018-11-03T23:00:00-03:00",
        "2018-11-04T02:30:00Z = 2018-11-03T23:30:00-03:00",
        "2018-11-04T03:00:00Z = 2018-11-04T01:00:00-02:00",
    ]


def test_the_last_hour_of_a_saturday_of_sao_paulo_came_twice() -> None:
    """-2 until 2018-02-18T02:00Z (24:00 of Saturday the 17th), then -3 (23:00, still Saturday).

    Open Saturday 23:00-24:00: at -2 that is 01:00Z-02:00Z, at -3 it is 02:00Z-03:00Z.
    """
    asked = world(
        lasting(60, 60),
        date(2018, 2, 17),
        date(2018, 2, 18),
        organization=open_on("America/Sao_Paulo", {SATURDAY: at("23:00-24:00")}),
    )
    assert answer(asked) == [
        "2018-02-18T01:00:00Z = 2018-02-17T23:00:00-02:00",
        "2018-02-18T02:00:00Z = 2018-02-17T23:00:00-03:00",
    ]


def test_steps_of_beirut_count_from_a_midnight_that_the_wall_never_showed() -> None:
    """+2 until 2024-03-30T22:00Z (24:00 of the 30th), then +3 (01:00 of the 31st).

    Open 00:00-04:00: 01:00-04:00 at +3 is 22:00Z-01:00Z. Multiples of 90 minutes on the wall:
    00:00 is skipped, 01:30 (22:30Z), 03:00 (00:00Z).
    """
    asked = world(
        on_the_wall(60, 90),
        date(2024, 3, 31),
        organization=open_daily("Asia/Beirut", "00:00-04:00"),
    )
    assert answer(asked) == [
        "2024-03-30T22:30:00Z = 2024-03-31T01:30:00+03:00",
        "2024-03-31T00:00:00Z = 2024-03-31T03:00:00+03:00",
    ]


def test_a_saturday_of_beirut_repeats_its_last_hour_before_sunday_begins() -> None:
    """+3 until 2024-10-26T21:00Z (24:00 of Saturday the 26th), then +2 (23:00, still Saturday).

    Open Saturday 22:30-24:00, at +3 19:30Z-21:00Z, and its 23:00-24:00 again, at +2 21:00Z-22:00Z;
    Sunday 00:00-00:30 is 22:00Z-22:30Z. An hour fits every hour from 19:30Z, the last, at 21:30Z,
    into Sunday; on Sunday itself none fits.
    """
    asked = world(
        lasting(60, 60),
        date(2024, 10, 26),
        date(2024, 10, 27),
        organization=open_on(
            "Asia/Beirut", {SATURDAY: at("22:30-24:00"), SUNDAY: at("00:00-00:30")}
        ),
    )
    assert answer(asked) == [
        "2024-10-26T19:30:00Z = 2024-10-26T22:30:00+03:00",
        "2024-10-26T20:30:00Z = 2024-10-26T23:30:00+03:00",
        "2024-10-26T21:30:00Z = 2024-10-26T23:30:00+02:00",
    ]


def test_casablanca_repeats_an_hour_before_ramadan() -> None:
    """+1 until 2025-02-23T02:00Z (03:00), then +0 (02:00): Ramadan began on 2025-03-02.

    Open 01:30-03:30: 01:30-03:00 at +1 is 00:30Z-02:00Z, 02:00-03:30 at +0 is 02:00Z-03:30Z.
    """
    asked = world(
        lasting(60, 60),
        date(2025, 2, 23),
        organization=open_daily("Africa/Casablanca", "01:30-03:30"),
    )
    assert answer(asked) == [
        "2025-02-23T00:30:00Z = 2025-02-23T01:30:00+01:00",
        "2025-02-23T01:30:00Z = 2025-02-23T02:30:00+01:00",
        "2025-02-23T02:30:00Z = 2025-02-23T02:30:00+00:00",
    ]


def test_casablanca_skips_an_hour_after_ramadan() -> None:
    """+0 until 2025-04-06T02:00Z (02:00), then +1 (03:00).

    Open 01:30-03:30: 01:30-02:00 at +0 is 01:30Z-02:00Z, 03:00-03:30 at +1 is 02:00Z-02:30Z.
    """
    asked = world(
        lasting(30, 30),
        date(2025, 4, 6),
        organization=open_daily("Africa/Casablanca", "01:30-03:30"),
    )
    assert answer(asked) == [
        "2025-04-06T01:30:00Z = 2025-04-06T01:30:00+00:00",
        "2025-04-06T02:00:00Z = 2025-04-06T03:00:00+01:00",
    ]


def test_the_repeat_of_st_johns_parts_the_hours_that_it_holds() -> None:
    """-2:30 until 2026-11-01T04:30Z (02:00), then -3:30 (01:00).

    Open 01:15-02:00: at -2:30 that is 03:45Z-04:30Z, at -3:30 it is 04:45Z-05:30Z. Between the
    two the wall shows 01:00-01:15, which is closed, so half an hour from 04:15Z does not fit.
    """
    asked = world(
        lasting(30, 15),
        date(2026, 11, 1),
        organization=open_daily("America/St_Johns", "01:15-02:00"),
    )
    assert answer(asked) == [
        "2026-11-01T03:45:00Z = 2026-11-01T01:15:00-02:30",
        "2026-11-01T04:00:00Z = 2026-11-01T01:30:00-02:30",
        "2026-11-01T04:45:00Z = 2026-11-01T01:15:00-03:30",
        "2026-11-01T05:00:00Z = 2026-11-01T01:30:00-03:30",
    ]


def test_st_johns_in_the_spring_of_2010_showed_one_minute_of_its_first_hour() -> None:
    """-3:30 until 2010-03-14T03:31Z (00:01), then -2:30 (01:01).

    Open 00:00-01:30: 00:00-00:01 at -3:30 is 03:30Z-03:31Z, 01:01-01:30 at -2:30 is 03:31Z-04:00Z.
    """
    asked = world(
        lasting(10, 10),
        date(2010, 3, 14),
        organization=open_daily("America/St_Johns", "00:00-01:30"),
    )
    assert answer(asked) == [
        "2010-03-14T03:30:00Z = 2010-03-14T00:00:00-03:30",
        "2010-03-14T03:40:00Z = 2010-03-14T01:10:00-02:30",
        "2010-03-14T03:50:00Z = 2010-03-14T01:20:00-02:30",
    ]


def test_st_johns_in_the_autumn_of_2010_went_from_sunday_back_into_saturday() -> None:
    """-2:30 until 2010-11-07T02:31Z (00:01 of Sunday), then -3:30 (23:01 of Saturday the 6th).

    Open Saturday 23:00-24:00 and Sunday 00:00-00:30. In order of UTC: Saturday 01:30Z-02:30Z,
    Sunday 02:30Z-02:31Z, Saturday 02:31Z-03:30Z, Sunday 03:30Z-04:00Z: four openings that touch
    are one, and its half hours run on.
    """
    asked = world(
        lasting(30, 30),
        date(2010, 11, 6),
        date(2010, 11, 7),
        organization=open_on(
            "America/St_Johns", {SATURDAY: at("23:00-24:00"), SUNDAY: at("00:00-00:30")}
        ),
    )
    assert answer(asked) == [
        "2010-11-07T01:30:00Z = 2010-11-06T23:00:00-02:30",
        "2010-11-07T02:00:00Z = 2010-11-06T23:30:00-02:30",
        "2010-11-07T02:30:00Z = 2010-11-07T00:00:00-02:30",
        "2010-11-07T03:00:00Z = 2010-11-06T23:30:00-03:30",
        "2010-11-07T03:30:00Z = 2010-11-07T00:00:00-03:30",
    ]


def test_troll_repeats_two_hours_at_once() -> None:
    """+2 until 2025-10-26T01:00Z (03:00), then +0 (01:00).

    Open 01:00-03:00: at +2 that is 23:00Z-01:00Z, at +0 it is 01:00Z-03:00Z. Two hours fit at
    23:00Z, at 00:00Z (on the wall 02:00 to 02:00) and at 01:00Z.
    """
    asked = world(
        lasting(120, 60),
        date(2025, 10, 26),
        organization=open_daily("Antarctica/Troll", "01:00-03:00"),
    )
    assert answer(asked) == [
        "2025-10-25T23:00:00Z = 2025-10-26T01:00:00+02:00",
        "2025-10-26T00:00:00Z = 2025-10-26T02:00:00+02:00",
        "2025-10-26T01:00:00Z = 2025-10-26T01:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(
            # The 7th: New York opens at 14:00Z. The 8th, after its change: at 13:00Z.
            date(2026, 3, 7),
            date(2026, 3, 8),
            [
                "2026-03-07T14:00:00Z = 2026-03-07T14:00:00+00:00",
                "2026-03-07T14:30:00Z = 2026-03-07T14:30:00+00:00",
                "2026-03-08T13:00:00Z = 2026-03-08T13:00:00+00:00",
                "2026-03-08T13:30:00Z = 2026-03-08T13:30:00+00:00",
                "2026-03-08T14:00:00Z = 2026-03-08T14:00:00+00:00",
                "2026-03-08T14:30:00Z = 2026-03-08T14:30:00+00:00",
            ],
            id="new_york_changes",
        ),
        pytest.param(
            # The 28th: London closes at 15:00Z. The 29th, after its change: at 14:00Z.
            date(2026, 3, 28),
            date(2026, 3, 29),
            [
                "2026-03-28T13:00:00Z = 2026-03-28T13:00:00+00:00",
                "2026-03-28T13:30:00Z = 2026-03-28T13:30:00+00:00",
                "2026-03-28T14:00:00Z = 2026-03-28T14:00:00+00:00",
                "2026-03-28T14:30:00Z = 2026-03-28T14:30:00+00:00",
                "2026-03-29T13:00:00Z = 2026-03-29T14:00:00+01:00",
                "2026-03-29T13:30:00Z = 2026-03-29T14:30:00+01:00",
            ],
            id="london_changes",
        ),
    ],
)
def test_a_new_yorker_has_two_hours_for_london_only_between_the_two_changes(
    first: date, last: date, expected: list[str]
) -> None:
    """London is open 13:00-15:00; the staff member works 09:00-17:00 in New York.

    New York: -5 until 2026-03-08T07:00Z, then -4, so 09:00 is 14:00Z, then 13:00Z. London: +0
    until 2026-03-29T01:00Z, then +1, so 13:00-15:00 is 13:00Z-15:00Z, then 12:00Z-14:00Z. Both are
    open 14:00Z-15:00Z until the 7th, 13:00Z-15:00Z from the 8th, 13:00Z-14:00Z from the 29th on.
    """
    asked = world(
        lasting(30, 30, staff_ids=("t_1",)),
        first,
        last,
        organization=open_daily("Europe/London", "13:00-15:00"),
        staff=[member(time_zone="America/New_York", weekly_hours=every_day(at("09:00-17:00")))],
    )
    assert answer(asked) == expected


def test_a_monday_of_pago_pago_is_still_on_when_wednesday_begins_in_kiritimati() -> None:
    """The staff member at -11 works Monday 23:00-24:00, which is 2026-01-06T10:00Z-11:00Z.

    The place at +14 is open Wednesdays only: 2026-01-07, 00:00 there, is 2026-01-06T10:00Z.
    """
    asked = world(
        lasting(30, 30, staff_ids=("t_1",)),
        date(2026, 1, 5),
        date(2026, 1, 11),
        organization=open_on("Pacific/Kiritimati", {WEDNESDAY: ALL_DAY}),
        staff=[member(time_zone="Pacific/Pago_Pago", weekly_hours={MONDAY: at("23:00-24:00")})],
    )
    assert answer(asked) == [
        "2026-01-06T10:00:00Z = 2026-01-07T00:00:00+14:00",
        "2026-01-06T10:30:00Z = 2026-01-07T00:30:00+14:00",
    ]


def test_a_buffer_before_is_real_time_across_the_gap_of_berlin() -> None:
    """+1 until 2026-03-29T01:00Z (02:00), then +2 (03:00).

    Open 01:00-05:00: 01:00-02:00 at +1 is 00:00Z-01:00Z, 03:00-05:00 at +2 is 01:00Z-03:00Z. Busy
    00:00Z-00:30Z and 03:00Z-04:00Z. An hour before must be free, so a start is at 01:30Z (03:30)
    or later, though the wall shows 03:00 an hour and a half after 01:30; half an hour of service
    and as much after it end by 03:00Z, so a start is at 02:00Z or sooner.
    """
    asked = world(
        lasting(30, 30, buffer_before=HOUR, buffer_after=30 * MINUTE, staff_ids=("t_1",)),
        date(2026, 3, 29),
        organization=open_daily("Europe/Berlin", "01:00-05:00"),
        staff=[member(time_zone="Europe/Berlin")],
        taken=(
            ("t_1", utc("2026-03-29T00:00"), utc("2026-03-29T00:30")),
            ("t_1", utc("2026-03-29T03:00"), utc("2026-03-29T04:00")),
        ),
    )
    assert answer(asked) == [
        "2026-03-29T01:30:00Z = 2026-03-29T03:30:00+02:00",
        "2026-03-29T02:00:00Z = 2026-03-29T04:00:00+02:00",
    ]


def test_a_buffer_before_is_real_time_across_the_repeat_of_new_york() -> None:
    """-4 until 2026-11-01T06:00Z (02:00), then -5 (01:00).

    Open 00:00-03:00: 00:00-02:00 at -4 is 04:00Z-06:00Z, 01:00-03:00 at -5 is 06:00Z-08:00Z. Busy
    the first 01:00-02:00, 05:00Z-06:00Z. An hour fits before that at 04:00Z, the hour of buffer
    lying in closed time; and after it, with an hour of buffer from 06:00Z, at 07:00Z.
    """
    asked = world(
        lasting(60, 30, buffer_before=HOUR, staff_ids=("t_1",)),
        date(2026, 11, 1),
        organization=open_daily("America/New_York", "00:00-03:00"),
        staff=[member(time_zone="America/New_York")],
        taken=(("t_1", utc("2026-11-01T05:00"), utc("2026-11-01T06:00")),),
    )
    assert answer(asked) == [
        "2026-11-01T04:00:00Z = 2026-11-01T00:00:00-04:00",
        "2026-11-01T07:00:00Z = 2026-11-01T02:00:00-05:00",
    ]


def test_a_day_of_notice_is_24_hours_though_the_date_of_berlin_has_23() -> None:
    """+1 until 2026-03-29T01:00Z, then +2.

    Asked on the 28th at 12:00Z (13:00), 24 hours ahead is the 29th at 12:00Z (14:00). Open
    13:00-15:00, which is 11:00Z-13:00Z: 12:00Z and 12:30Z are left.
    """
    asked = world(
        lasting(30, 30, lead_time=DAY),
        date(2026, 3, 29),
        organization=open_daily("Europe/Berlin", "13:00-15:00"),
        now=utc("2026-03-28T12:00"),
    )
    assert answer(asked) == [
        "2026-03-29T12:00:00Z = 2026-03-29T14:00:00+02:00",
        "2026-03-29T12:30:00Z = 2026-03-29T14:30:00+02:00",
    ]


def test_26_hours_end_an_hour_later_on_the_wall_over_the_spring_change() -> None:
    """Berlin: +1 until 2026-03-29T01:00Z, then +2; the 28th is a Saturday.

    Open all of Saturday, from 03-27T23:00Z, and Sunday, until 03-29T22:00Z: 47 hours, so 26 hours
    start at 03-28T20:00Z at the latest. Steps of 11 hours on Saturday: 00:00 (23:00Z), 11:00
    (10:00Z), and 22:00 (21:00Z), which would do on any other weekend.
    """
    asked = world(
        lasting(26 * 60, 11 * 60),
        date(2026, 3, 28),
        date(2026, 3, 29),
        organization=open_on("Europe/Berlin", {SATURDAY: ALL_DAY, SUNDAY: ALL_DAY}),
    )
    assert answer(asked) == [
        "2026-03-27T23:00:00Z = 2026-03-28T00:00:00+01:00",
        "2026-03-28T10:00:00Z = 2026-03-28T11:00:00+01:00",
    ]


def test_26_hours_end_an_hour_sooner_on_the_wall_over_the_autumn_change() -> None:
    """Berlin: +2 until 2026-10-25T01:00Z, then +1; the 24th is a Saturday.

    Open all of Saturday, from 10-23T22:00Z, and Sunday, until 10-25T23:00Z: 49 hours, so 26 hours
    start at 10-24T21:00Z at the latest. Steps of 23 hours on Saturday: 00:00 (22:00Z) and 23:00
    (21:00Z), which would not do on any other weekend.
    """
    asked = world(
        lasting(26 * 60, 23 * 60),
        date(2026, 10, 24),
        date(2026, 10, 25),
        organization=open_on("Europe/Berlin", {SATURDAY: ALL_DAY, SUNDAY: ALL_DAY}),
    )
    assert answer(asked) == [
        "2026-10-23T22:00:00Z = 2026-10-24T00:00:00+02:00",
        "2026-10-24T21:00:00Z = 2026-10-24T23:00:00+02:00",
    ]


def test_26_hours_over_the_spring_change_may_touch_three_dates() -> None:
    """Berlin: +1 until 2026-03-29T01:00Z, then +2; the 28th is a Saturday.

    Open all of Saturday, from 03-27T23:00Z, Sunday, and Monday 00:00-01:00, until 03-29T23:00Z:
    48 hours, so 26 hours start at 03-28T21:00Z at the latest. Steps of 11 hours on Saturday:
    00:00 (23:00Z), 11:00 (10:00Z), and 22:00 (21:00Z), which lasts until Monday 01:00; on Sunday
    and Monday none fits.
    """
    asked = world(
        lasting(26 * 60, 11 * 60),
        date(2026, 3, 28),
        date(2026, 3, 30),
        organization=open_on(
            "Europe/Berlin", {SATURDAY: ALL_DAY, SUNDAY: ALL_DAY, MONDAY: at("00:00-01:00")}
        ),
    )
    assert answer(asked) == [
        "2026-03-27T23:00:00Z = 2026-03-28T00:00:00+01:00",
        "2026-03-28T10:00:00Z = 2026-03-28T11:00:00+01:00",
        "2026-03-28T21:00:00Z = 2026-03-28T22:00:00+01:00",
    ]
