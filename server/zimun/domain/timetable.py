"""When a service may begin as far as the catalogue alone tells, whatever is booked.

A start is on the *grid* of a date when the service is active, place and staff
member are open for all of it, and it lies on a step.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from zimun.domain.catalog import Catalog, Place, Service, SlotAlignment, StaffMember
from zimun.domain.instant import HOUR
from zimun.domain.intervals import Interval, covers, intersect, merge
from zimun.domain.schedule import (
    Day,
    Segment,
    dates,
    local_date,
    midnight,
    open_time,
    place_day,
    segments,
    staff_hours,
)

SET_BACK = 4 * HOUR
"""More than any clock has been set back at once since 1970."""

NOBODY = ("",)
"""The staff of a service that needs none: the one empty id."""


class Grid(NamedTuple):
    """The starts of a date in order, and beside each who is on duty then.

    People are bits: bit n stands for the n-th of the service's staff, bit 0 for
    nobody where it needs none.
    """

    starts: Sequence[int]
    on_duty: Sequence[int]

    def at(self, start: int) -> int:
        """Who is on duty at a start; 0 off the grid."""
        n = bisect_left(self.starts, start)
        return self.on_duty[n] if n < len(self.starts) and self.starts[n] == start else 0


class Timetable:
    """The grids of a catalogue.

    They depend on the catalogue alone, so they are worked out once and kept as
    long as its version is.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.day = lru_cache(maxsize=1 << 12)(self._day)
        self.grid = lru_cache(maxsize=1 << 12)(self._grid)
        self.staff_open = lru_cache(maxsize=1 << 14)(self._staff_open)

    def _day(self, place: Place, day: date) -> Day:
        return place_day(self.catalog, place, day)

    def _grid(self, service: Service, place: Place, day: date) -> Grid:
        """The grid of one date of the place."""
        on_duty: dict[int, int] = {}
        for n, staff_id in enumerate(service.staff_ids or NOBODY):
            for start in self._staff_starts(service, place, day, staff_id):
                on_duty[start] = on_duty.get(start, 0) | 1 << n
        starts = sorted(on_duty)
        return Grid(starts, [on_duty[start] for start in starts])

    def _staff_starts(self, service: Service, place: Place, day: date, staff_id: str) -> set[int]:
        here = open_time(place.time_zone, day, self.day(place, day).hours)
        if not here or not service.active or not self.serves(staff_id, place):
            return set()
        reach = (here[0][0], here[-1][1] + service.duration)
        place_open = self.place_open(place, reach)
        staff_open = self.staff_open(staff_id, reach) if staff_id else place_open
        openings = intersect(here, merge(staff_open)) if staff_id else here
        both = intersect(merge(place_open), merge(staff_open))
        return {
            start
            for opening in openings
            for start in _steps(service, place, opening)
            if covers(both, (start, start + service.duration))
        }

    def serves(self, staff_id: str, place: Place) -> bool:
        """Whether a staff member is there at all, active and of this place; nobody always is."""
        member = self.catalog.staff.get(staff_id)
        return not staff_id or bool(member and member.active and member.works_at(place))

    def place_open(self, place: Place, reach: Interval) -> list[Interval]:
        """When the place is open on every date that `reach` touches, each date by itself."""
        return sorted(
            interval
            for day in dates_touching(place.time_zone, reach)
            for interval in open_time(place.time_zone, day, self.day(place, day).hours)
        )

    def _staff_open(self, staff_id: str, reach: Interval) -> list[Interval]:
        """When a staff member works on every date that `reach` touches, each date by itself."""
        member: StaffMember = self.catalog.staff[staff_id]
        return sorted(
            interval
            for day in dates_touching(member.time_zone, reach)
            for interval in open_time(member.time_zone, day, staff_hours(self.catalog, member, day))
        )


def dates_touching(zone: str, interval: Interval) -> Iterator[date]:
    """The dates that a wall clock may show within an interval.

    A little more on both sides: where a clock was set back over midnight (St
    John's, until 2010), tomorrow's date had a minute before the rest of today.
    """
    return dates(local_date(zone, interval[0] - SET_BACK), local_date(zone, interval[1] + SET_BACK))


def _steps(service: Service, place: Place, opening: Interval) -> Iterable[int]:
    """The starts within an opening: steps from its beginning, or from midnight on the wall."""
    if service.slot_alignment is SlotAlignment.OPENING:
        return range(*opening, service.slot_step)
    return (
        start
        for day in dates_touching(place.time_zone, opening)
        for segment in segments(place.time_zone, day)
        for start in _wall_steps(midnight(day), segment, opening, service.slot_step)
    )


def _wall_steps(wall: int, segment: Segment, opening: Interval, step: int) -> range:
    origin = wall - segment.offset
    begin = max(segment.start, opening[0])
    return range(begin + (origin - begin) % step, min(segment.end, opening[1]), step)
