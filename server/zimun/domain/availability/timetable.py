"""The grids of a service: the starts that the catalogue allows, whatever is booked.

A start is on the *grid* of a date when the service is active, place and staff
member are open for all of it, and it lies on a step. Grids are cached by service, place and date.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

from zimun.domain.availability.opening_hours import (
    Day,
    DayStatus,
    dates,
    open_time,
    place_day,
    service_day,
    service_hours,
    staff_hours,
    weekly,
)
from zimun.domain.availability.opening_steps import MAX_OPENING, Opening, opening_starts, united
from zimun.domain.availability.roster import NO_STAFF, roster_of
from zimun.domain.availability.start_grid import (
    NO_STARTS,
    DateRangeGrid,
    Grid,
    available_starts,
)
from zimun.domain.availability.zone_dates import ZoneDates, date_ranges, dates_touching, zone_dates
from zimun.domain.caching import cached_method
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Place, Service, SlotAlignment
from zimun.domain.catalog.time_off import TimeOffIndex, closing_note
from zimun.domain.catalog.weekly_hours import Hours, week_on
from zimun.domain.intervals import Interval, merge

MAX_NEW_STAFF_DAYS = 400
"""The most dates times staff members whose grids are computed in one step."""

MAX_RANGE_CELLS = 1 << 16
"""The most starts times staff members of one DateRangeGrid of more than `MAX_NEW_STAFF_DAYS`."""

MAX_GRID_BYTES = 32 << 20
"""The most bytes of what a Timetable caches: grids, their patterns and hours of staff members."""

START_BYTES, STAFF_BYTES = 40, 36
"""Bytes of a grid for each start, and for each staff member beside a bit for each start."""

INTERVAL_BYTES = 136
"""Bytes of an interval in a list."""

MAX_CACHED_RANGES = 1 << 12
"""The most date ranges that a Timetable remembers as computed."""


class _Pattern(NamedTuple):
    """A grid relative to the first moment at which the place is open.

    `starts_of` has the starts of each of the service's staff members.
    """

    grid: Grid
    starts_of: Sequence[Sequence[int]]


class Timetable:
    """The grids of a catalogue.

    They depend on the catalogue alone, so they are computed once for each version
    of it. Dates on which the same hours apply at the same offsets share one pattern.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.time_off = TimeOffIndex(catalog.time_off.values(), catalog.organization.id)
        self.regular_day = cached_method(self._regular_day, 1 << 12)
        self.day = cached_method(self._day, 1 << 12) if self.time_off else self.regular_day
        self.open_on = cached_method(self._open_on, 1 << 12)
        self.given_on = cached_method(self._given_on, 1 << 12)
        self.service_day = cached_method(self._service_day, 1 << 12)
        self.grid = cached_method(self._grid, 1 << 12)
        self.range_grid = cached_method(self._range_grid, 1 << 10)
        self.staff_open = cached_method(self._staff_open, 1 << 14)
        self.roster = lru_cache(1 << 9)(partial(roster_of, catalog))
        self._pattern = cached_method(self._find_pattern, 1 << 8)
        self._cached_ranges: set[tuple[Service, Place, date, date]] = set()
        self._grid_bytes = 0
        self._without_time_off: Timetable | None = None

    @property
    def size(self) -> int:
        """About how many bytes the catalogue and the cached grids take in memory."""
        other = self._without_time_off
        return self.catalog.size + self._grid_bytes + (other._grid_bytes if other else 0)

    @property
    def without_time_off(self) -> "Timetable":
        """The timetable as if nothing had time off, cached; the same object where nothing has."""
        if not self.time_off:
            return self
        if self._without_time_off is None:
            self._without_time_off = Timetable(replace(self.catalog, time_off={}))
        return self._without_time_off

    def _count(self, starts: int, staff: int) -> None:
        """Count a grid that is to be cached."""
        self._count_bytes(starts * START_BYTES + staff * (STAFF_BYTES + starts // 8))

    def _count_bytes(self, size: int) -> None:
        """Count what is to be cached; first drops all else beyond MAX_GRID_BYTES."""
        if self._grid_bytes + size > MAX_GRID_BYTES:
            self.forget_grids()
        self._grid_bytes += size

    def forget_grids(self) -> None:
        """Drop all cached grids, and what they were computed from."""
        for cached in (self.grid, self.range_grid, self._pattern, self.staff_open):
            cached.cache_clear()
        self._grid_bytes = 0

    def _regular_day(self, place: Place, day: date) -> Day:
        return place_day(self.catalog, place, day)

    def _day(self, place: Place, day: date) -> Day:
        """A date of a place; closed where all of its hours are time off."""
        return self._closed_if_off(self.regular_day(place, day), place, self.open_on(place, day))

    def _closed_if_off(self, shown: Day, place: Place, open_time: Sequence[Interval]) -> Day:
        """The date as given, but closed where time off of the place covers all open time."""
        if not open_time:
            return shown
        time_off = self.time_off.of_place(place.id, (open_time[0][0], open_time[-1][1]))
        note = closing_note(open_time, time_off)
        return shown if note is None else Day(shown.date, DayStatus.CLOSED, note, ())

    def range_grids(
        self, service: Service, place: Place, first: date, last: date
    ) -> Iterator[DateRangeGrid]:
        """The grids of the dates from first to last, as few as can each be used in milliseconds.

        With many staff members each date is a grid of its own the first time.
        """
        for begin, end in date_ranges(place.time_zone, first, last):
            if self._is_quick(service, place, begin, end):
                yield self.range_grid(service, place, begin, end)
            else:
                yield from (self.range_grid(service, place, day, day) for day in dates(begin, end))

    def _is_quick(self, service: Service, place: Place, first: date, last: date) -> bool:
        """Whether one grid of the dates is quick: it has few cells, or is not too large and its
        dates have been computed before."""
        staff, days = len(service.staff_ids or NO_STAFF), (last - first).days + 1
        if staff * days <= MAX_NEW_STAFF_DAYS:
            return True
        key = (service, place, first, last)
        if key in self._cached_ranges:
            grids = [self.grid(service, place, day) for day in dates(first, last)]
            return sum(len(grid.steps) for grid in grids) * staff <= MAX_RANGE_CELLS
        if len(self._cached_ranges) >= MAX_CACHED_RANGES:
            self._cached_ranges.clear()
        self._cached_ranges.add(key)
        return False

    def _range_grid(self, service: Service, place: Place, first: date, last: date) -> DateRangeGrid:
        """The grid of one of the `date_ranges`."""
        grids = [self.grid(service, place, day) for day in dates(first, last)]
        grid = DateRangeGrid(grids, *service.taken(0))
        self._count(len(grid.starts), len(grid.on_duty))
        return grid

    def _grid(self, service: Service, place: Place, day: date) -> Grid:
        """The grid of one date of the place."""
        on_date = self._open_for_service(service, place, day) if service.active else ()
        roster = self.roster(service, place) if on_date else None
        if not roster or not roster.members:
            return NO_STARTS
        begin, end = on_date[0][0], on_date[-1][1] + service.duration
        openings = self._openings(service, place, begin, end)
        reach = (openings[0][0], end)
        opening = Opening(
            _shift(on_date, -begin),
            _shift(openings, -begin),
            self._midnights(service, place, (begin, end)),
        )
        around = [tuple(dates_touching(zone, reach)) for zone in roster.zones]
        zones = tuple(
            zone_dates(zone, days, begin) for zone, days in zip(roster.zones, around, strict=True)
        )
        relative = self._relative_grid(service, place, opening, around, zones)
        return self._available(service, place, relative._replace(begin=begin))

    def _available(self, service: Service, place: Place, grid: Grid) -> Grid:
        """The grid of a date without the starts that time off forbids."""
        if not self.time_off or not grid.steps:
            return grid
        reach = grid.begin + grid.steps[0], grid.begin + grid.steps[-1] + service.duration
        closed = self.time_off.of_place(place.id, reach).intervals
        staff = [self.time_off[staff_id].intervals for staff_id in service.staff_ids or NO_STAFF]
        available = available_starts(grid, service.duration, closed, staff)
        if available is not grid:
            self._count(len(grid.steps), len(grid.on_duty))
        return available

    def _openings(self, service: Service, place: Place, begin: int, end: int) -> Sequence[Interval]:
        """The open time from `begin` to `end`; openings that touch are one.

        The first opening is whole, from its own beginning, where steps count from it.
        """
        first, openings = begin, merge(self.service_open(service, place, (begin, end)))
        runs_on = any(since < begin < until for since, until in openings)
        if runs_on and service.slot_alignment is SlotAlignment.OPENING:
            first = begin - MAX_OPENING
            openings = merge(self.service_open(service, place, (first, end)))
        return [(max(since, first), until) for since, until in openings if until > begin]

    def _relative_grid(
        self,
        service: Service,
        place: Place,
        opening: Opening,
        around: Sequence[Sequence[date]],
        zones: tuple[ZoneDates, ...],
    ) -> Grid:
        """The grid relative to the opening's beginning, staff members' overrides included."""
        roster = self.roster(service, place)
        valid_from, changed_later = self._last_new_week(around)
        pattern = self._pattern(service, place, opening, zones, valid_from)
        overridden = {
            *changed_later,
            *(
                owner_id
                for days in around
                for day in days
                for owner_id in self._overridden.get(day, ())
            ),
        }
        changed = [
            (n, member) for n, member in roster.members if member and member.id in overridden
        ]
        if not changed:
            return pattern.grid
        starts_of = list(pattern.starts_of)
        for n, member in changed:
            zone = roster.zones.index(member.time_zone)
            hours = [staff_hours(self.catalog, member, day) for day in around[zone]]
            starts_of[n] = opening_starts(service, opening, zones[zone].open(hours))
        grid = united(starts_of)
        self._count(len(grid.steps), len(grid.on_duty))
        return grid

    def _last_new_week(self, around: Sequence[Sequence[date]]) -> tuple[date, Sequence[str]]:
        """The date of the last change of weekly hours up to the first of some dates, and the staff
        members whose weekly hours change on later dates of these."""
        if not self._new_weeks or not around:
            return date.min, ()
        first, last = min(days[0] for days in around), max(days[-1] for days in around)
        valid_from = max((day for day in self._new_weeks if day <= first), default=date.min)
        later = [
            staff_id
            for day in self._new_weeks
            if first < day <= last
            for staff_id in self._new_weeks[day]
        ]
        return valid_from, later

    @cached_property
    def _new_weeks(self) -> Mapping[date, Sequence[str]]:
        """The staff members whose weekly hours change on a date, by that date."""
        owners: dict[date, list[str]] = {}
        for member in self.catalog.staff.values():
            for period in member.weekly_hours_periods:
                owners.setdefault(period.valid_from, []).append(member.id)
        return owners

    def _find_pattern(
        self,
        service: Service,
        place: Place,
        opening: Opening,
        zones: tuple[ZoneDates, ...],
        valid_from: date,
    ) -> _Pattern:
        """The grid of every date with this opening and these dates around it, by the weekly hours
        that are valid from a date on; overrides and later weekly hours are not in it."""
        roster = self.roster(service, place)
        starts_of: list[Sequence[int]] = [()] * len(service.staff_ids or NO_STAFF)
        patterns: dict[tuple[str, tuple[Hours, ...]], Sequence[int]] = {}
        for n, member in roster.members:
            if not member:
                starts_of[n] = opening_starts(service, opening, None)
                continue
            zone = zones[roster.zones.index(member.time_zone)]
            week = week_on(member, valid_from)
            hours = tuple(weekly(week, zone.weekday + day) for day in range(zone.days))
            key = (member.time_zone, hours)
            if key not in patterns:
                patterns[key] = opening_starts(service, opening, zone.open(hours))
            starts_of[n] = patterns[key]
        grid = united(starts_of)
        self._count_bytes(START_BYTES * sum(map(len, patterns.values())))
        self._count(len(grid.steps), len(grid.on_duty))
        return _Pattern(grid, starts_of)

    @cached_property
    def _overridden(self) -> Mapping[date, Sequence[str]]:
        """The owners with an override, by its date."""
        owners: dict[date, list[str]] = {}
        for owner_id, day in self.catalog.overrides:
            owners.setdefault(day, []).append(owner_id)
        return owners

    def _midnights(
        self, service: Service, place: Place, reach: Interval
    ) -> tuple[tuple[int, int, int], ...]:
        if service.slot_alignment is SlotAlignment.OPENING:
            return ()
        days = tuple(dates_touching(place.time_zone, reach))
        return tuple(shown[1:] for shown in zone_dates(place.time_zone, days, reach[0]).shown)

    def _open_for_service(self, service: Service, place: Place, day: date) -> Sequence[Interval]:
        """When a service is given on a date: the place is open, within the service's hours."""
        return self.given_on(service, place, day) if service.has_hours else self.open_on(place, day)

    def _service_day(self, service: Service, place: Place, day: date) -> Day:
        """The status and the hours of a date for a service; closed where time off of the place
        covers all of the service's hours."""
        shown = service_day(service, place, self.day(place, day))
        if not self.time_off or not service.has_hours or not shown.hours:
            return shown
        return self._closed_if_off(shown, place, self.given_on(service, place, day))

    def service_open(self, service: Service, place: Place, reach: Interval) -> list[Interval]:
        """When a service is given on every date that `reach` touches, each date by itself."""
        return _open_on_dates(
            place.time_zone, reach, partial(self._open_for_service, service, place)
        )

    def service_hours(self, service: Service, place: Place, reach: Interval) -> list[Interval]:
        """The service's own hours on every date that `reach` touches, each date by itself."""
        zone = place.time_zone
        return _open_on_dates(
            zone, reach, lambda day: open_time(zone, day, service_hours(service, day))
        )

    def place_open(self, place: Place, reach: Interval) -> list[Interval]:
        """When the place is open on every date that `reach` touches, each date by itself."""
        return _open_on_dates(place.time_zone, reach, partial(self.open_on, place))

    def _given_on(self, service: Service, place: Place, day: date) -> Sequence[Interval]:
        given = service_day(service, place, self.regular_day(place, day))
        return open_time(place.time_zone, day, given.hours)

    def _open_on(self, place: Place, day: date) -> Sequence[Interval]:
        """When the place is open on a date, time off or not."""
        return open_time(place.time_zone, day, self.regular_day(place, day).hours)

    def _staff_open(self, staff_id: str, reach: Interval) -> list[Interval]:
        """When a staff member works on every date that `reach` touches, each date by itself."""
        catalog, member = self.catalog, self.catalog.staff[staff_id]
        zone = member.time_zone
        intervals = _open_on_dates(
            zone, reach, lambda day: open_time(zone, day, staff_hours(catalog, member, day))
        )
        self._count_bytes((1 + len(intervals)) * INTERVAL_BYTES)
        return intervals


def _open_on_dates(
    zone: str, reach: Interval, open_on: Callable[[date], Iterable[Interval]]
) -> list[Interval]:
    """The open time of every date of a zone that an interval touches, each date by itself."""
    return sorted(interval for day in dates_touching(zone, reach) for interval in open_on(day))


def _shift(intervals: Iterable[Interval], by: int) -> tuple[Interval, ...]:
    return tuple([(start + by, end + by) for start, end in intervals])
