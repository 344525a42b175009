"""Searches of many dates: against those of each date, of each start and the oracle."""

import random
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import available_timezones
from zoneinfo._zoneinfo import ZoneInfo as PythonZoneInfo  # type: ignore[import-not-found]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability import start_grid
from zimun.domain.availability import timetable as timetable_module
from zimun.domain.availability.nearest_slots import nearest
from zimun.domain.availability.opening_hours import dates, local_date
from zimun.domain.availability.slot_explanation import slot_at
from zimun.domain.availability.slots import Session
from zimun.domain.availability.timetable import MAX_NEW_STAFF_DAYS, Timetable
from zimun.domain.availability.zone_dates import date_ranges
from zimun.domain.catalog.entries import Override, Resource, SlotAlignment, StaffMember
from zimun.domain.instant import DAY, HOUR, MINUTE

from ...support.profiles import examples
from .build import (
    ALL_DAY,
    BACK_INTO_YESTERDAY,
    CHANGES,
    NINE_TO_FIVE,
    World,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
    session,
    utc,
    world,
    worlds,
    zones,
)
from .oracle import Oracle
from .oracle_obstacles import refusal_of
from .test_availability import facts, refusal

MONDAY = date(2026, 1, 5)
NINE = utc("2026-01-05T09:00")
WEEKS = timedelta(days=27)


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


class _Clinic:
    """A random organization with many people, rooms and bookings, asked about four weeks."""

    def __init__(self, seed: int, zone: str) -> None:
        self.random = random.Random(seed)
        self.zone = zone
        self.first = self.random.choice(CHANGES[zone]) - timedelta(days=self.random.randint(0, 27))
        self.last = self.first + WEEKS
        self.noon = utc(f"{self.first}T12:00")

    def world(self) -> World:
        staff = [self._member(n) for n in range(self.random.choice([0, 1, 12, 60]))]
        rooms = [self._room(n) for n in range(self.random.choice([0, 3, 8]))]
        length = self.random.choice([15, 30, 60])
        offered = service(
            duration=length * MINUTE,
            slot_step=self.random.choice([15, 20, 60]) * MINUTE,
            slot_alignment=self.random.choice([*SlotAlignment]),
            buffer_before=self.random.choice([0, 0, 10]) * MINUTE,
            buffer_after=self.random.choice([0, 5]) * MINUTE,
            lead_time=self.random.choice([0, HOUR, 3 * DAY]),
            horizon=self.random.choice([12, 400]) * DAY,
            capacity=self.random.choice([1, 1, 4]),
            staff_ids=tuple(one.id for one in staff),
            resource_requirements=tuple(self._requirement(rooms) for _ in rooms[:2]),
            location_ids=("l_1",),
        )
        return world(
            offered,
            self.first,
            self.last,
            now=self.noon - self.random.choice([0, 3]) * DAY,
            organization=organization(time_zone="UTC", holiday_region="DE"),
            locations=[location(time_zone=self.zone, weekly_hours=self._week())],
            staff=staff,
            resources=rooms,
            overrides=[self._override(one.id) for one in staff for _ in range(2)]
            + [self._override(self.random.choice(["o_1", "l_1"])) for _ in range(3)],
            holidays={self.first + timedelta(days=self.random.randint(0, 27)): "Holiday"},
            taken=tuple(self._taken(offered.subjects("l_1"))),
            sessions=tuple(self._sessions(offered.staff_ids, length * MINUTE)),
            starts=tuple(
                (one.id, self._instant(5)) for one in staff if one.daily_limit for _ in range(40)
            ),
            staff_id=self.random.choice(["", "", "", *(one.id for one in staff[:1])]),
            seats=self.random.choice([1, offered.capacity]),
        )

    def _instant(self, tick: int) -> int:
        return self.noon + self.random.randint(-12 * 60 // tick, 28 * 1440 // tick) * tick * MINUTE

    def _hours(self) -> tuple[tuple[int, int], ...]:
        start = self.random.choice([0, 480, 540, 545])
        return self.random.choice(
            [
                ((start, 1020),),
                ((start, 720), (750, 1080)),
                ((1200, 1440), (0, 120)),
                ALL_DAY,
                ALL_DAY,
                (),
            ]
        )

    def _week(self) -> dict[int, tuple[tuple[int, int], ...]]:
        usual = self._hours()
        return {day: self.random.choice([usual, usual, self._hours()]) for day in range(7)}

    def _member(self, number: int) -> StaffMember:
        return member(
            id=f"t_{number}",
            active=self.random.random() < 0.9,
            time_zone=self.random.choice([self.zone, self.zone, "Europe/Berlin", "Asia/Kolkata"]),
            weekly_hours=self._week(),
            daily_limit=self.random.choice([0, 0, 2]),
            location_ids=self.random.choice([(), (), ("l_1",), ("l_2",)]),
        )

    def _room(self, number: int) -> Resource:
        return resource(
            id=f"r_{number}",
            active=self.random.random() < 0.9,
            location_id=self.random.choice(["", "l_1", "l_1", "l_2"]),
        )

    def _requirement(self, rooms: list[Resource]) -> tuple[str, ...]:
        return tuple(one.id for one in self.random.sample(rooms, self.random.randint(1, 3)))

    def _override(self, owner_id: str) -> Override:
        day = self.first + timedelta(days=self.random.randint(-1, 28))
        return Override(owner_id=owner_id, date=day, hours=self._hours())

    def _taken(self, subjects: tuple[str, ...]) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        for subject in subjects:
            edges = sorted({self._instant(5) for _ in range(self.random.choice([0, 20, 160]))})
            for start, end in zip(edges[::2], edges[1::2], strict=False):
                found.append((subject, start, min(end, start + 90 * MINUTE)))
        return found

    def _sessions(self, staff_ids: tuple[str, ...], length: int) -> list[Session]:
        return [
            session(
                session_id=f"x_{n}",
                start=start,
                end=start + length,
                staff_id=self.random.choice(staff_ids or ("",)),
                location_id="l_1",
                seats_taken=self.random.randint(1, 4),
            )
            for n, start in enumerate(self._instant(60) for _ in range(60))
        ]


def clinics() -> st.SearchStrategy[World]:
    return st.builds(lambda seed, zone: _Clinic(seed, zone).world(), st.integers(0, 2**32), zones)


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
        patch.setattr(start_grid, "MAX_CACHED_NAMES", 2)
        assert asked.search().slots(asked.first, asked.last) == expected


@examples(100)
@given(worlds())
def test_a_search_that_is_not_bookable_has_no_slots_and_its_place_opens_on_no_date(
    asked: World,
) -> None:
    search = asked.search()
    slots = search.slots(asked.first, asked.last)
    assert search.is_bookable or not slots
    opened = search.next_open_date(asked.first, asked.last)
    zone = asked.place.time_zone
    assert not slots or (opened and opened <= local_date(zone, slots[0].start))
    assert opened is None or search.is_bookable


ROOM = service(resource_requirements=(("r_1",),), location_ids=("l_1",))
TAUGHT = service(staff_ids=("t_1", "t_2"), location_ids=("l_1",))
BOTH = [member(), member(id="t_2")]
HERE = [location(), location(id="l_2")]


@pytest.mark.parametrize(
    "asked",
    [
        world(service(active=False), MONDAY),
        world(service(location_ids=("l_1",)), MONDAY, locations=[location(active=False)]),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(active=False)]),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(location_id="l_2")]),
        world(service(resource_requirements=(("r_1",), ("r_1",))), MONDAY, resources=[resource()]),
        world(TAUGHT, MONDAY, locations=HERE, staff=[replace(one, active=False) for one in BOTH]),
        world(
            TAUGHT,
            MONDAY,
            locations=HERE,
            staff=[replace(one, location_ids=("l_2",)) for one in BOTH],
        ),
        world(
            TAUGHT, MONDAY, locations=HERE, staff=[member(active=False), BOTH[1]], staff_id="t_1"
        ),
    ],
)
def test_what_is_archived_or_elsewhere_makes_a_search_unbookable_and_builds_no_grid(
    asked: World,
) -> None:
    search = asked.search()
    assert not search.is_bookable
    assert list(search.slots_by_day(MONDAY, MONDAY + WEEKS)) == [[]] * 28
    assert search.next_open_date(MONDAY, MONDAY + WEEKS) is None
    assert search.timetable.grid.cache_info().misses == 0


@pytest.mark.parametrize(
    "asked",
    [
        world(service(), MONDAY),
        world(ROOM, MONDAY, locations=HERE, resources=[resource(location_id="l_1")]),
        world(TAUGHT, MONDAY, locations=HERE, staff=[member(active=False), BOTH[1]]),
        world(TAUGHT, MONDAY, locations=HERE, staff=BOTH, staff_id="t_2"),
    ],
)
def test_one_who_serves_and_what_is_needed_make_a_search_bookable(asked: World) -> None:
    assert asked.search().is_bookable
    assert asked.search().slots(MONDAY, MONDAY)


def test_a_session_can_be_joined_though_its_room_is_archived_since() -> None:
    running = session(start=NINE, end=NINE + HOUR // 2, location_id="l_1", resource_ids=("r_1",))
    asked = world(
        replace(ROOM, capacity=3),
        MONDAY,
        locations=HERE,
        resources=[resource(active=False)],
        sessions=(running,),
    )
    assert asked.search().is_bookable
    by_day = list(asked.search().slots_by_day(MONDAY, MONDAY + WEEKS))
    assert [[slot.joinable for slot in slots] for slots in by_day] == [[(running,)]] + [[]] * 27


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


def test_the_next_open_date_is_the_first_with_hours() -> None:
    open_days = [Override(owner_id="o_1", date=date(2026, 6, 1), hours=NINE_TO_FIVE)]
    asked = world(
        service(),
        MONDAY,
        organization=organization(weekly_hours={6: NINE_TO_FIVE}),
        overrides=[*open_days, Override(owner_id="o_1", date=date(2026, 1, 11))],
    )
    search = asked.search()
    assert search.next_open_date(MONDAY, date(2026, 1, 17)) is None
    assert search.next_open_date(MONDAY, date(2026, 1, 18)) == date(2026, 1, 18)
    assert search.next_open_date(date(2026, 6, 1), date(2027, 1, 1)) == date(2026, 6, 1)
    assert search.next_open_date(date(2026, 6, 2), date(2027, 1, 1)) == date(2026, 6, 7)


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


@pytest.mark.parametrize("people", [1, 50, 200, 300, 700])
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


def test_full_days_of_everybody_leave_no_slot_but_of_who_is_free() -> None:
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
