"""Daily limits of staff members, by dates of their own zones."""

from dataclasses import replace

import pytest

from zimun.domain.instant import HOUR, MINUTE

from .build import (
    BACK_INTO_YESTERDAY,
    MONDAY,
    NINE,
    World,
    every_day,
    member,
    organization,
    service,
    utc,
    world,
)
from .slot_facts import refusal, slot_at, starts


def in_new_york(daily_limit: int, *begun: str) -> World:
    """A New Yorker (5 hours behind UTC) who serves from 04:00 to 06:00, and what she has begun."""
    return world(
        service(staff_ids=("t_1",)),
        MONDAY,
        organization=organization(weekly_hours=every_day(((240, 360),))),
        staff=[member(time_zone="America/New_York", daily_limit=daily_limit)],
        starts=tuple(("t_1", utc(start)) for start in begun),
    )


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        ("2026-01-04T04:59:59", ["04:00", "04:30", "05:00", "05:30"]),
        ("2026-01-04T05:00", ["05:00", "05:30"]),
        ("2026-01-05T04:59:59", ["05:00", "05:30"]),
        ("2026-01-05T05:00", ["04:00", "04:30"]),
        ("2026-01-06T04:59:59", ["04:00", "04:30"]),
        ("2026-01-06T05:00", ["04:00", "04:30", "05:00", "05:30"]),
    ],
)
def test_a_daily_limit_counts_the_bookings_that_begin_on_a_date_of_the_persons_own_zone(
    begun: str, expected: list[str]
) -> None:
    """Her 4th of January lasts from 05:00Z of the 4th to 05:00Z of the 5th."""
    asked = in_new_york(1, begun)
    assert starts(asked) == expected
    assert [refusal(asked.search(), utc(f"2026-01-05T{time}")) == "" for time in expected]


def test_a_daily_limit_of_two_is_reached_by_the_second_booking() -> None:
    morning, noon = "2026-01-04T14:00", "2026-01-04T17:00"
    all_ = ["04:00", "04:30", "05:00", "05:30"]
    assert starts(in_new_york(2, morning)) == all_
    assert starts(in_new_york(2, morning, noon)) == ["05:00", "05:30"]
    assert starts(in_new_york(3, morning, noon)) == all_


def test_the_date_that_a_clock_was_set_back_into_is_one_date_for_a_daily_limit() -> None:
    """St John's: the 7th's first minute (02:30Z), 59 of the 6th again, then (03:30Z) the 7th."""
    asked = world(
        service(duration=MINUTE, slot_step=MINUTE, staff_ids=("t_1",)),
        BACK_INTO_YESTERDAY,
        organization=organization(weekly_hours=every_day(((148, 214),))),
        staff=[member(time_zone="America/St_Johns", daily_limit=1)],
        starts=(("t_1", utc("2010-11-07T12:00")),),
    )
    found = [slot.start for slot in asked.search().slots(asked.first, asked.last)]
    begin = utc("2010-11-07T02:28")
    of_the_6th = [0, 1, *range(3, 62)]
    assert found == [begin + n * MINUTE for n in of_the_6th]


def test_who_has_reached_their_limit_is_passed_over_for_who_has_not() -> None:
    asked = world(
        service(staff_ids=("t_1", "t_2")),
        MONDAY,
        staff=[member(daily_limit=1), member(id="t_2", daily_limit=2)],
        starts=(("t_1", NINE - HOUR), ("t_2", NINE - HOUR)),
    )
    assert slot_at(asked.search(), NINE).staff_ids == ("t_2",)
    assert refusal(replace(asked, staff_id="t_1").search(), NINE) == "TAKEN"
