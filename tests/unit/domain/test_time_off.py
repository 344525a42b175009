"""Time off beside steps, buffers and midnights; against the oracle in test_availability."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from zimun.domain import intervals
from zimun.domain.availability.opening_hours import DayStatus
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Place
from zimun.domain.catalog.time_off import TimeOff, TimeOffIndex, closing_note
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.intervals import Interval

from ...support.profiles import examples
from .build import (
    MONDAY,
    NINE,
    catalog,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    time_off,
    utc,
    world,
)
from .slot_facts import refusal, starts

NINE_TO_TWO = organization(weekly_hours=every_day(((540, 840),)))


def test_steps_count_as_if_time_off_were_not_there() -> None:
    off = [time_off("o_1", NINE + 40 * MINUTE, NINE + 70 * MINUTE)]
    asked = world(service(duration=HOUR), MONDAY, organization=NINE_TO_TWO, time_off=off)
    assert starts(asked) == ["10:30", "11:00", "11:30", "12:00", "12:30", "13:00"]


def test_buffers_may_lie_in_time_off() -> None:
    off = [time_off("t_1", NINE + HOUR, NINE + 2 * HOUR)]
    given = service(
        duration=HOUR,
        slot_step=HOUR,
        buffer_before=HOUR,
        buffer_after=HOUR,
        staff_ids=("t_1",),
    )
    asked = world(given, MONDAY, organization=NINE_TO_TWO, staff=[member()], time_off=off)
    assert starts(asked) == ["09:00", "11:00", "12:00", "13:00"]


def test_of_two_resources_the_other_serves_while_one_has_time_off() -> None:
    off = [time_off("r_1", NINE, NINE + 2 * HOUR)]
    given = service(duration=HOUR, slot_step=HOUR, resource_requirements=(("r_1", "r_2"),))
    things = [resource(), resource(id="r_2")]
    asked = world(given, MONDAY, organization=NINE_TO_TWO, resources=things, time_off=off)
    slots = asked.search().slots(MONDAY, MONDAY)
    assert [slot.resource_ids for slot in slots] == [("r_2",)] * 2 + [("r_1",)] * 3


def test_start_is_taken_only_where_a_resource_without_time_off_could_serve() -> None:
    """The first has time off from half past nine on, the second is taken."""
    off = [time_off("r_1", NINE + HOUR // 2, NINE + 2 * HOUR)]
    things = [resource(), resource(id="r_2")]
    for one_of, expected in ((("r_1",), "RESOURCE_TIME_OFF"), (("r_1", "r_2"), "TAKEN")):
        given = service(duration=HOUR, resource_requirements=(one_of,))
        taken = (("r_2", NINE, NINE + HOUR),)
        asked = world(given, MONDAY, resources=things, time_off=off, taken=taken)
        assert refusal(asked.search(), NINE) == expected
        assert refusal(asked.search(), NINE - HOUR // 2) == ""


def test_time_off_over_many_days_takes_whole_dates_and_parts_of_others() -> None:
    off = [time_off("l_1", NINE + 3 * HOUR, NINE + 2 * DAY + HOUR)]
    known = catalog(organization=NINE_TO_TWO, locations=[location()], time_off=off)
    timetable, place = Timetable(known), Place("l_1", "UTC")
    days = [timetable.day(place, date(2026, 1, day)) for day in (5, 6, 7)]
    assert [(day.status, day.note) for day in days] == [
        (DayStatus.OPEN, ""),
        (DayStatus.CLOSED, "Training"),
        (DayStatus.OPEN, ""),
    ]
    assert timetable.day(Place("", "UTC"), date(2026, 1, 6)).status is DayStatus.OPEN


def test_openings_on_both_sides_of_a_date_of_time_off_are_one_opening() -> None:
    """Open round the clock, steps of 50 minutes run on through the date that is off."""
    off = [time_off("o_1", utc("2026-01-06T00:00"), utc("2026-01-07T00:00"))]
    given = service(duration=10 * MINUTE, slot_step=50 * MINUTE)
    week = organization(weekly_hours={0: ((0, 1440),), 1: ((0, 1440),), 2: ((0, 1440),)})
    last = date(2026, 1, 7)
    with_it = world(given, MONDAY, last, organization=week, time_off=off)
    without = world(given, MONDAY, last, organization=week)
    assert len(starts(with_it)) < len(starts(without))
    first = with_it.search().slots(last, last)[0]
    assert (first.start - utc("2026-01-05T00:00")) % (50 * MINUTE) == 0


owners = st.sampled_from(["o_1", "l_1", "l_2", "t_1"])
spans = st.tuples(st.integers(0, 40), st.integers(1, 12))


@examples(300)
@given(st.lists(st.tuples(owners, spans), max_size=8), spans)
def test_what_overlaps_an_interval_is_all_that_does(
    drawn: list[tuple[str, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    entries = [
        TimeOff(id=f"f_{n}", owner_id=owner_id, start=start, end=start + length)
        for n, (owner_id, (start, length)) in enumerate(drawn)
    ]
    index, within = TimeOffIndex(entries, "o_1"), (asked[0], asked[0] + asked[1])

    def overlapping(*owner_ids: str) -> list[TimeOff]:
        return [one for one in entries if one.owner_id in owner_ids and _meet(one, within)]

    for owner_id in ("o_1", "l_1", "t_1", "t_9"):
        found = [one for _, one in index[owner_id].overlapping(within)]
        assert sorted(one.id for one in found) == sorted(one.id for one in overlapping(owner_id))
        assert bool(intervals.overlapping(index[owner_id].intervals, within)) == bool(found)
    found = [one for _, one in index.of_place("l_1", within).occurrences]
    expected = overlapping("o_1", "l_1")
    assert sorted(one.id for one in found) == sorted(one.id for one in expected)
    assert [one.start for one in found] == sorted(one.start for one in found)


def _meet(one: TimeOff, within: Interval) -> bool:
    return one.start < within[1] and within[0] < one.end


def test_date_without_open_time_left_has_the_first_note_of_its_time_off() -> None:
    open_time = [(10, 20), (30, 40)]
    early, late = time_off("o_1", 0, 25, note=""), time_off("o_1", 25, 50, note="Training")
    earliest = time_off("o_1", 0, 12, note="Fair")

    def note(*entries: TimeOff) -> str | None:
        return closing_note(open_time, TimeOffIndex(entries, "o_1")["o_1"])

    assert note() is None
    assert note(early) is None
    assert note(late) is None
    assert note(late, early) == "Training"
    assert note(late, early, earliest) == "Fair"
    assert note(replace(early, end=50)) == ""
    assert note(time_off("o_1", 10, 20), time_off("o_1", 30, 40)) == "Training"
    assert note(time_off("o_1", 10, 20), time_off("o_1", 31, 40)) is None
    before = time_off("o_1", 0, 10, note="Before")
    after = time_off("o_1", 40, 50, note="After")
    assert note(before, after, time_off("o_1", 10, 40, note="During")) == "During"
    assert closing_note([], TimeOffIndex([late], "o_1")["o_1"]) is None


def test_time_off_that_recurs_has_the_intervals_of_its_occurrences() -> None:
    once = time_off("o_1", 0, 5)
    assert once.intervals == ((0, 5),)
    again = replace(once, occurrences=((0, 5), (10, 15)), revision=3)
    assert again.intervals == ((0, 5), (10, 15))
    assert again.etag != once.etag
    index = TimeOffIndex([again], "o_1")
    assert [interval for interval, _ in index["o_1"].overlapping((4, 11))] == [(0, 5), (10, 15)]
    assert [interval for interval, _ in index["o_1"].overlapping((5, 10))] == []
