"""Caches of availability: bounded, and no owner is kept alive by its own."""

import gc
from dataclasses import replace
from datetime import timedelta
from weakref import ref

import pytest

from zimun.domain.availability import assignment, start_grid
from zimun.domain.availability import timetable as timetable_module
from zimun.domain.availability.assignment import Assignments
from zimun.domain.availability.obstacles import Rule
from zimun.domain.availability.presence import with_all_present
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.availability.start_grid import DateRangeGrid, Grid, IdsByFlags
from zimun.domain.availability.timetable import Timetable
from zimun.domain.caching import SizedCache, cached_method
from zimun.domain.catalog.entries import Override, Place
from zimun.domain.instant import DAY, HOUR

from .build import MONDAY, NINE, catalog, every_day, member, service, time_off, world

BOUND = 3


class Owner:
    """Counts the calls of a method with a cache."""

    def __init__(self, size: int) -> None:
        self.calls = 0
        self.doubled = cached_method(self._doubled, size)

    def _doubled(self, number: int) -> int:
        self.calls += 1
        return 2 * number


def test_cached_method_remembers_as_many_results_as_it_may() -> None:
    owner = Owner(2)
    assert [owner.doubled(n) for n in (1, 2, 1, 2)] == [2, 4, 2, 4]
    assert owner.calls == 2
    assert [owner.doubled(n) for n in (3, 2, 1)] == [6, 4, 2]
    assert owner.calls == 4


def test_owner_of_a_cached_method_is_freed_with_its_last_user() -> None:
    gc.disable()
    try:
        owner = Owner(2)
        owner.doubled(1)
        watched = ref(owner)
        del owner
        assert watched() is None
    finally:
        gc.enable()


def test_sized_cache_drops_all_before_it_would_exceed_its_size() -> None:
    cached: SizedCache[str, int] = SizedCache(10)
    cached.keep("a", 1, 4)
    cached.keep("b", 2, 6)
    assert cached == {"a": 1, "b": 2}
    cached.keep("c", 3, 11)
    assert cached == {"a": 1, "b": 2}, "what is too large alone drops nothing"
    cached.keep("c", 3, 1)
    assert cached == {"c": 3}
    cached.keep("d", 4, 9)
    assert cached == {"c": 3, "d": 4}


def test_sets_of_ids_are_cached_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_grid, "MAX_CACHED_ID_SETS", BOUND)
    cached = IdsByFlags(("t_1", "t_2", "t_3"))
    for n in range(8):
        flags = bytes([n >> 2 & 1, n >> 1 & 1, n & 1])
        assert cached[flags] == tuple(f"t_{k + 1}" for k in range(3) if flags[k])
        assert flags in cached
        assert len(cached) == min(n + 1, BOUND)


def test_assignments_are_cached_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "MAX_CACHED_ASSIGNMENTS", BOUND)
    cached = Assignments(service(resource_requirements=(("r_1", "r_2"),)), ("r_1", "r_2", "r_3"))
    for n in range(8):
        flags = bytes([n >> 2 & 1, n >> 1 & 1, n & 1])
        assert cached[flags] == (("r_1",) if flags[0] else ("r_2",) if flags[1] else None)
        assert flags in cached
        assert len(cached) == min(n + 1, BOUND)


def test_fewer_sets_are_cached_where_they_are_large() -> None:
    members = IdsByFlags([f"t_{n}" for n in range(500)])
    rooms = [f"r_{n}" for n in range(5000)]
    resources = Assignments(service(resource_requirements=(tuple(rooms[:2]),)), tuple(rooms))
    for cached, count, most in ((members, 500, 1 << 14), (resources, 5000, 1 << 17)):
        for n in range(200):
            cached[n.to_bytes(count)]
        assert most - count < len(cached) * count <= most


def test_overlapped_starts_are_cached_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_grid, "MAX_CACHED_OVERLAPS", BOUND)
    cached = start_grid._Overlaps([0, 10, 20], 0, 10)
    for n in range(8):
        assert cached[n, n + 1] == 1
        assert (n, n + 1) in cached
        assert len(cached) == min(n + 1, BOUND)


def test_grids_are_counted_and_dropped_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    cut, place = service(), Place("", "UTC")
    timetable = Timetable(catalog(cut))
    empty = timetable.size
    timetable.grid(cut, place, MONDAY)
    pattern = timetable.size - empty
    assert pattern >= 48 * timetable_module.START_BYTES
    timetable.range_grid(cut, place, MONDAY, MONDAY)
    one = timetable.size - empty - pattern
    assert one >= 48 * timetable_module.START_BYTES
    timetable.range_grid(cut, place, MONDAY.replace(day=6), MONDAY.replace(day=6))
    assert timetable.size - empty == pattern + 2 * one
    timetable.range_grid(cut, place, MONDAY, MONDAY)
    assert timetable.size - empty == pattern + 2 * one, "it was cached"
    monkeypatch.setattr(timetable_module, "MAX_GRID_BYTES", pattern + 2 * one)
    timetable.range_grid(cut, place, MONDAY.replace(day=7), MONDAY.replace(day=7))
    assert timetable.size - empty == one, "the others were dropped"
    for cached in (timetable.grid, timetable._pattern):
        assert cached.cache_info().currsize == 0
    assert timetable.range_grid.cache_info().currsize == 1


def test_patterns_are_counted_by_the_distinct_starts_of_staff_members() -> None:
    hours = [every_day(((540, 1020),)), every_day(((600, 1020),))]
    staff = [member(id=f"t_{n}", weekly_hours=hours[n % 2]) for n in range(4)]
    cut, place = service(staff_ids=tuple(one.id for one in staff)), Place("", "UTC")
    timetable = Timetable(catalog(cut, staff=staff))
    before = timetable.size
    timetable.grid(cut, place, MONDAY)
    starts = sum(len(starts) for starts in (range(16), range(14), range(16)))
    counted = timetable.size - before
    assert 0 < counted - starts * timetable_module.START_BYTES < 1000


def test_grids_that_are_of_one_date_alone_are_counted() -> None:
    staff, place = [member(weekly_hours=every_day(((540, 1020),)))], Place("", "UTC")
    cut = service(staff_ids=("t_1",))
    days = [MONDAY + timedelta(days=7 * n) for n in range(4)]
    changed = [
        Override(id=f"v_{day}", owner_id="t_1", date=day, hours=((600, 720),)) for day in days
    ]
    off = [time_off("t_1", NINE + 7 * DAY * n, NINE + 7 * DAY * n + HOUR) for n in range(4)]
    off = [replace(one, id=f"f_{n}") for n, one in enumerate(off)]
    for known in (
        catalog(cut, staff=staff, overrides=changed),
        catalog(cut, staff=staff, time_off=off),
    ):
        timetable = Timetable(known)
        timetable.grid(cut, place, days[0])
        sizes = [timetable.size]
        for day in days[1:]:
            timetable.grid(cut, place, day)
            sizes.append(timetable.size)
        assert sizes == sorted(set(sizes))


def test_hours_of_staff_members_are_counted() -> None:
    timetable = Timetable(
        catalog(staff=[member(weekly_hours=every_day(((540, 720), (780, 1020))))])
    )
    before = timetable.size
    timetable.staff_open("t_1", (NINE, NINE + 10 * DAY))
    assert timetable.size - before >= 20 * timetable_module.INTERVAL_BYTES
    timetable.forget_grids()
    assert timetable.size == before
    assert timetable.staff_open.cache_info().currsize == 0


def test_timetable_without_time_off_is_another_only_where_there_is_some() -> None:
    assert (plain := Timetable(catalog(service()))).without_time_off is plain
    off = Timetable(catalog(service(), time_off=[time_off("o_1", 0, HOUR)]))
    other = off.without_time_off
    assert other is off.without_time_off
    assert other is not off
    assert not other.time_off
    size = off.size
    other.range_grid(service(), Place("", "UTC"), MONDAY, MONDAY)
    assert off.size > size


def test_starts_of_a_search_are_explained_by_one_timetable_of_all_staff() -> None:
    cut = service(staff_ids=("t_1",))
    search = world(cut, MONDAY, staff=[member(active=False)]).search()
    other = with_all_present(search)
    assert [obstacle.rule for obstacle in obstacles(search, NINE)] == [Rule.STAFF_INACTIVE]
    assert with_all_present(search) is other
    assert other.timetable is not search.timetable
    assert other.timetable.grid.cache_info().currsize == 1


def test_range_of_dates_without_a_start_has_no_bits() -> None:
    grid = DateRangeGrid([Grid(0, (), ()), Grid(10, (0, 5), (3, 1)), Grid(20, (), ())], 0, 5)
    assert (grid.starts, grid.bounds, grid.on_duty) == ([10, 15], [0, 0, 2, 2], [3, 1])
    assert [grid.between(*part) for part in ((0, 99), (10, 15), (11, 15), (16, 10))] == [3, 1, 0, 0]


def test_dates_of_many_staff_members_are_one_grid_once_computed_unless_it_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight dates of 48 starts that lie in one range, as 8 January 2026 begins one."""
    monkeypatch.setattr(timetable_module, "MAX_NEW_STAFF_DAYS", 0)
    cut, place, first = service(), Place("", "UTC"), MONDAY.replace(day=8)
    timetable = Timetable(catalog(cut))

    def dates_of_grids() -> list[int]:
        last = first + timedelta(days=7)
        grids = timetable.range_grids(cut, place, first, last)
        return [len(grid.bounds) - 1 for grid in grids]

    assert dates_of_grids() == [1] * 8
    assert dates_of_grids() == [8]
    monkeypatch.setattr(timetable_module, "MAX_RANGE_CELLS", 8 * 48)
    assert dates_of_grids() == [8]
    monkeypatch.setattr(timetable_module, "MAX_RANGE_CELLS", 8 * 48 - 1)
    assert dates_of_grids() == [1] * 8


def test_ranges_of_dates_that_were_computed_are_remembered_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timetable_module, "MAX_CACHED_RANGES", BOUND)
    monkeypatch.setattr(timetable_module, "MAX_NEW_STAFF_DAYS", 0)
    cut, place = service(), Place("", "UTC")
    timetable = Timetable(catalog(cut))
    for n in range(8):
        day = MONDAY + timedelta(days=8 * n)
        for _ in range(2):
            assert [grid.bounds for grid in timetable.range_grids(cut, place, day, day)] == [
                [0, 48]
            ]
        assert len(timetable._cached_ranges) <= BOUND
