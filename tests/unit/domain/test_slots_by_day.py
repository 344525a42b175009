"""Searches of many dates: against those of each date, of each start and the oracle."""

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones
from zoneinfo._zoneinfo import ZoneInfo as PythonZoneInfo  # type: ignore[import-not-found]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability import start_grid
from zimun.domain.availability import timetable as timetable_module
from zimun.domain.availability.nearest_slots import nearest
from zimun.domain.availability.opening_hours import dates, local_date
from zimun.domain.availability.timetable import MAX_NEW_STAFF_DAYS, Timetable
from zimun.domain.availability.zone_dates import date_ranges
from zimun.domain.catalog.entries import Override
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime

from ...support.profiles import examples
from .build import (
    ALL_DAY,
    BACK_INTO_YESTERDAY,
    MONDAY,
    NINE,
    NINE_TO_FIVE,
    World,
    every_day,
    member,
    organization,
    service,
    utc,
    world,
)
from .clinics import WEEKS, clinics
from .oracle import Oracle
from .oracle_obstacles import refusal_of
from .random_worlds import worlds
from .slot_facts import facts, refusal, slot_at


def check_days(asked: World) -> None:
    """A search of all dates answers as those of each date by itself, and in time order."""
    days = list(dates(asked.first, asked.last))
    by_day = list(asked.search().slots_by_day(asked.first, asked.last))
    assert by_day == [asked.search().slots(day, day) for day in days]
    zone = asked.place.time_zone
    for day, slots in zip(days, by_day, strict=True):
        assert all(local_date(zone, slot.start) == day for slot in slots)
    together = sorted((slot for slots in by_day for slot in slots), key=lambda slot: slot.start)
    assert asked.search().slots(asked.first, asked.last) == together


@examples(300)
@given(worlds(), st.integers(0, 12), st.integers(0, 12))
def test_slots_by_day_of_many_dates_are_those_of_each_date(
    asked: World, before: int, after: int
) -> None:
    first, last = asked.first - timedelta(days=before), asked.last + timedelta(days=after)
    check_days(replace(asked, first=first, last=last))


@examples(40)
@given(worlds("America/St_Johns", BACK_INTO_YESTERDAY), st.integers(0, 6))
def test_slots_by_day_are_exact_where_a_date_is_shown_before_the_end_of_the_one_before(
    asked: World, around: int
) -> None:
    days = timedelta(days=around)
    check_days(replace(asked, first=asked.first - days, last=asked.last + days))


def test_bookings_around_a_date_that_is_shown_early_take_exactly_their_starts() -> None:
    """St John's again, open all day: bookings in the 7th's first minute, and on both sides."""
    asked = world(
        service(duration=MINUTE, slot_step=MINUTE),
        BACK_INTO_YESTERDAY - timedelta(days=2),
        BACK_INTO_YESTERDAY + timedelta(days=2),
        organization=organization(time_zone="America/St_Johns", weekly_hours=every_day(ALL_DAY)),
        taken=(
            ("s_1@", utc("2010-11-07T01:00"), utc("2010-11-07T02:29")),
            ("s_1@", utc("2010-11-07T02:35"), utc("2010-11-07T03:35")),
        ),
    )
    check_days(asked)
    starts = [slot.start for slot in asked.search().slots(asked.first, asked.last)]
    assert len(starts) == 5 * 24 * 60 + 60 - 89 - 60
    assert utc("2010-11-07T02:30") in starts


@examples(60)
@given(clinics(), st.randoms(use_true_random=False))
def test_four_weeks_of_many_people_have_the_slots_that_each_start_and_the_oracle_tell(
    asked: World, chosen: random.Random
) -> None:
    check_days(asked)
    search, oracle = asked.search(), Oracle(asked)
    slots = {slot.start: slot for slot in search.slots(asked.first, asked.last)}
    grid = [
        start
        for day in dates(asked.first, asked.last)
        for start in search.timetable.grid(asked.service, asked.place, day).starts
    ]
    for start in chosen.sample(grid, min(len(grid), 20)):
        rule = refusal(search, start)
        assert refusal_of(oracle, start) == rule
        assert (start in slots) == (rule == "")
        if not rule:
            assert slot_at(search, start) == slots[start]
            assert facts(slots[start]) == oracle.facts(start)
    for wanted in chosen.sample(grid, min(len(grid), 2)):
        ordered = sorted(slots.values(), key=lambda slot: (abs(slot.start - wanted), slot.start))
        assert nearest(search, wanted, 5, asked.first, asked.last) == ordered[:5]


@examples(60)
@given(clinics())
def test_grids_of_dates_that_share_a_pattern_are_those_worked_out_anew(asked: World) -> None:
    shared = Timetable(asked.catalog)
    for day in dates(asked.first, asked.last):
        anew = Timetable(asked.catalog)
        grid = anew.grid(asked.service, asked.place, day)
        assert shared.grid(asked.service, asked.place, day) == grid


@examples(20)
@given(clinics())
def test_caches_that_are_cleared_over_and_over_change_no_answer(asked: World) -> None:
    expected = asked.search().slots(asked.first, asked.last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start_grid, "MAX_CACHED_OVERLAPS", 2)
        patch.setattr(start_grid, "MAX_CACHED_ID_SETS", 2)
        assert asked.search().slots(asked.first, asked.last) == expected


def test_the_nearest_slots_of_no_dates_are_none() -> None:
    search = world(service(), MONDAY).search()
    assert nearest(search, NINE, 3, MONDAY, MONDAY - timedelta(days=1)) == []
    assert len(nearest(search, NINE, 3, MONDAY, MONDAY)) == 3


@pytest.mark.parametrize(
    ("wanted", "week", "expected"),
    [
        ("2026-01-05T23:30", {0: ((480, 540),), 1: ((0, 60),)}, ["01-06T00:00", "01-06T00:30"]),
        (
            "2026-01-06T00:30",
            {0: ((1380, 1440),), 1: ((1200, 1260),)},
            ["01-05T23:30", "01-05T23:00"],
        ),
    ],
)
def test_the_nearest_slots_are_of_the_next_date_or_the_one_before_where_these_are_nearer(
    wanted: str, week: dict[int, tuple[tuple[int, int], ...]], expected: list[str]
) -> None:
    asked = world(service(), MONDAY, organization=organization(weekly_hours=week))
    found = nearest(asked.search(), utc(wanted), 2, MONDAY, MONDAY + WEEKS)
    assert [slot.start for slot in found] == [utc(f"2026-{start}") for start in expected]


@pytest.mark.parametrize(
    ("wanted", "hours", "expected"),
    [
        ("12-31T01:00", {29: (1380, 1440), 31: (300, 360)}, "12-29T23:00"),
        ("12-29T23:00", {29: (1140, 1200), 31: (60, 120)}, "12-31T01:00"),
    ],
)
def test_the_nearest_slot_may_be_beyond_a_date_that_the_zone_skipped(
    wanted: str, hours: dict[int, tuple[int, int]], expected: str
) -> None:
    """Apia had no 30th; beyond it the slot is two hours away, on this side four."""
    zone = ZoneInfo("Pacific/Apia")

    def instant(text: str) -> int:
        return from_datetime(datetime.fromisoformat(f"2011-{text}").replace(tzinfo=zone))

    overrides = [
        Override(owner_id="o_1", date=date(2011, 12, day), hours=(opening,))
        for day, opening in hours.items()
    ]
    first, last = date(2011, 12, 20), date(2012, 1, 9)
    asked = world(
        service(duration=HOUR),
        first,
        last,
        organization=organization(time_zone="Pacific/Apia", weekly_hours={0: ()}),
        overrides=overrides,
    )
    [found] = nearest(asked.search(), instant(wanted), 1, first, last)
    assert found.start == instant(expected)


def test_dates_outside_the_booking_window_are_yielded_empty_and_build_no_grid() -> None:
    asked = world(service(lead_time=3 * DAY, horizon=5 * DAY), MONDAY, now=NINE)
    search = asked.search()
    by_day = list(search.slots_by_day(MONDAY - WEEKS, MONDAY + WEEKS))
    with_slots = [n for n, slots in enumerate(by_day) if slots]
    assert (len(by_day), with_slots) == (55, [30, 31, 32])
    assert search.timetable.grid.cache_info().misses <= 7
    for away in (90, -90):
        first = MONDAY + timedelta(days=away)
        assert list(search.slots_by_day(first, first + WEEKS)) == [[]] * 28


@pytest.mark.parametrize("people", [1, 50, 57, 200, 300, 700])
def test_a_step_builds_grids_of_few_dates_the_fewer_the_more_people(people: int) -> None:
    staff = [member(id=f"t_{n}") for n in range(people)]
    given_ = service(slot_step=6 * HOUR, staff_ids=tuple(one.id for one in staff))
    search = world(given_, MONDAY, staff=staff).search()
    built = search.timetable.grid.cache_info
    steps = search.slots_by_day(MONDAY, MONDAY + WEEKS)
    before = built().misses
    for slots in steps:
        assert len(slots) == 4
        added, before = built().misses - before, built().misses
        assert added == 1 or added * people <= MAX_NEW_STAFF_DAYS


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_date_ranges_of_different_questions_cover_all_dates_and_begin_alike(zone: str) -> None:
    last = BACK_INTO_YESTERDAY + WEEKS
    begins = {first for first, _ in date_ranges(zone, BACK_INTO_YESTERDAY - WEEKS, last)}
    for n in range(40):
        day = BACK_INTO_YESTERDAY - timedelta(days=n - 20)
        ranges = list(date_ranges(zone, day, last))
        assert {first for first, _ in ranges[1:]} <= begins
        covered = [one for first, last in ranges for one in dates(first, last)]
        assert covered == list(dates(day, last))
        is_within = any(first < BACK_INTO_YESTERDAY <= last for first, last in ranges)
        assert not is_within or zone == "UTC"
    assert (BACK_INTO_YESTERDAY in begins) == (zone != "UTC")


@examples(20)
@given(clinics())
def test_a_search_that_is_repeated_with_the_same_timetable_has_the_same_slots(
    asked: World,
) -> None:
    """Of many people only the first one goes date by date."""
    first = asked.search()
    again = replace(asked.search(), timetable=first.timetable)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timetable_module, "MAX_CACHED_RANGES", 3)
        expected = first.slots(asked.first, asked.last)
        for _ in range(2):
            assert again.slots(asked.first, asked.last) == expected


def test_no_zone_changes_its_offset_twice_within_a_day() -> None:
    """`schedule` compares offsets day by day."""
    for name in sorted(available_timezones()):
        zone = PythonZoneInfo(name)
        last_change, offset = -(1 << 60), None
        for instant, info in zip(zone._trans_utc, zone._ttinfos, strict=True):
            if instant >= 0 and info.utcoff != offset:
                assert instant - last_change > 48 * 3600, name
                last_change = instant
            offset = info.utcoff


def test_full_days_of_all_staff_members_leave_no_slot_but_those_of_a_free_one() -> None:
    """Ten people, each with all but one of fourteen days taken."""
    days = list(dates(MONDAY, MONDAY + timedelta(days=13)))
    taken = tuple(
        (f"t_{n}", NINE + day * DAY - 9 * HOUR, NINE + day * DAY + 15 * HOUR)
        for n in range(10)
        for day in range(14)
        if day != n
    )
    asked = world(
        service(staff_ids=tuple(f"t_{n}" for n in range(10)), slot_step=12 * HOUR),
        MONDAY,
        days[-1],
        organization=organization(weekly_hours=every_day(NINE_TO_FIVE)),
        staff=[member(id=f"t_{n}") for n in range(10)],
        taken=taken,
    )
    by_day = list(asked.search().slots_by_day(days[0], days[-1]))
    free = [[slot.staff_ids for slot in slots] for slots in by_day]
    assert free == [[(f"t_{n}",)] for n in range(10)] + [[]] * 4
