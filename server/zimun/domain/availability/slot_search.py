"""The search for open slots: from the grid, the bookings and a service's rules to slots.

A start on the grid (`timetable`) is a *slot* when it also lies in the booking
window, and a staff member and the resources that it needs are free. `Search`
decides that; every search, check, hold and reschedule goes through its
`_slots_of_range`, where sets of starts are bits and several dates are one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import reduce
from itertools import compress, pairwise
from operator import or_
from typing import NamedTuple

from zimun.domain.availability.assignment import assign
from zimun.domain.availability.opening_hours import dates, is_shown_early, local_date
from zimun.domain.availability.roster import NO_STAFF, Roster
from zimun.domain.availability.single_start import on_duty_at
from zimun.domain.availability.slots import Busy, Session, Slot
from zimun.domain.availability.start_grid import (
    DateRangeGrid,
    SingleStartGrid,
    overlapped_starts,
    transpose,
)
from zimun.domain.availability.tallies import Tally
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT, AppliedLimit
from zimun.domain.catalog.entries import Place, Service
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules
from zimun.domain.instant import DAY, SECOND
from zimun.domain.intervals import Interval, overlapping

ONE_DAY = timedelta(days=1)

LAST_START = 253_370_764_800 * SECOND - 1
"""The last instant of the year 9998, where no horizon counts."""

_EPOCH = date(1970, 1, 1).toordinal()


class _Free(NamedTuple):
    """Which starts each staff member and each resource of the roster is free at, as bits.

    At the starts in `new` a session can begin, as far as its resources can be assigned.
    """

    staff: Sequence[int]
    resources: Sequence[int]
    new: int


@dataclass(eq=False, slots=True)
class Search:
    """A search for the open slots of one service at one place, as of the instant `now`.

    `staff_id` (empty: any) and `seats` narrow it; `busy` must cover the dates that are searched.
    `ignored` rules count for no single start (`find_slot`).
    """

    timetable: Timetable
    service: Service
    place: Place
    busy: Busy
    now: int
    staff_id: str = ""
    seats: int = 1
    ignored: IgnoredRules = NO_RULES
    _roster: Roster = field(init=False)
    _tallies: Mapping[str, Sequence[Tally]] = field(init=False)

    def __post_init__(self) -> None:
        self._tallies = {} if BookingRule.LIMITS in self.ignored else self.busy.tallies
        self._roster = self.timetable.roster(self.service, self.place)

    @property
    def opens(self) -> int:
        """The first instant at which a slot may start."""
        ignored = BookingRule.LEAD_TIME in self.ignored
        return self.now if ignored else self.now + self.service.lead_time

    @property
    def closes(self) -> int:
        """The last instant at which a slot may start."""
        ignored = BookingRule.HORIZON in self.ignored
        return LAST_START if ignored else self.now + self.service.horizon

    @property
    def is_bookable(self) -> bool:
        """Whether any date can have a slot at all, as far as the catalogue tells.

        None can when the service, the place or all staff members who could serve
        are archived or elsewhere, or when its resources do not satisfy its
        requirements even while all are free. A group service is exempt from the
        last: sessions that run already can still be joined.
        """
        service, roster = self.service, self._roster
        served = any(self._is_requested(self._staff[n]) for n, _ in roster.members)
        if not service.active or not self.place_is_active or not served:
            return False
        return service.capacity > 1 or roster.is_equipped

    def next_open_date(self, first: date, last: date) -> date | None:
        """The first date from first to last on which the service is given; None without any.

        There is none either when the search is not bookable.
        """
        if not self.is_bookable:
            return None
        service_day, service, place = self.timetable.service_day, self.service, self.place
        days = dates(first, last)
        return next((day for day in days if service_day(service, place, day).hours), None)

    def slots(self, first: date, last: date) -> list[Slot]:
        """Every slot of the place's dates from first to last, in time order."""
        all_slots = [slot for slots in self.slots_by_day(first, last) for slot in slots]
        if any(is_shown_early(self.place.time_zone, day) for day in dates(first + ONE_DAY, last)):
            all_slots.sort(key=lambda slot: slot.start)
        return all_slots

    def slots_by_day(self, first: date, last: date) -> Iterator[list[Slot]]:
        """The slots of each of the place's dates from first to last, date by date.

        Each step takes a few milliseconds at most, so that a caller can do
        other work between them.
        """
        begin, end = self._dates_within_window(first, last)
        if first < begin:
            yield from ([] for _ in dates(first, min(last, begin - ONE_DAY)))
        for grid in self.timetable.range_grids(self.service, self.place, begin, end):
            yield from self._slots_of_range(grid, self._within_window(grid))
        if end < last:
            yield from ([] for _ in dates(max(begin, end + ONE_DAY), last))

    def find_slot(self, start: int) -> Slot | None:
        """The slot that starts then, if there is one."""
        on_duty = self._on_duty_at(start)
        if not any(on_duty) or not self.opens <= start <= self.closes:
            return None
        grid = SingleStartGrid(start, on_duty, *self.service.taken(0))
        return self._slot_of_single_start(grid)

    def is_taken(self, start: int) -> bool:
        """Whether a start that is no slot would be one if nothing were booked."""
        within_window = self.opens <= start <= self.closes
        return within_window and self._is_equipped(start) and any(self._on_duty_at(start))

    def can_keep(self, staff_id: str, resource_ids: Sequence[str], start: int) -> bool:
        """Whether a staff member (empty: none) and some resources can serve a start of the
        booking window, as far as the catalogue tells."""
        on_duty = dict(zip(self._staff, self._on_duty_at(start), strict=False))
        if not on_duty.get(staff_id) or not self.opens <= start <= self.closes:
            return False
        return assign(self.service, self._usable(start) & set(resource_ids)) is not None

    def bookable(self, within: Interval) -> Interval:
        """The part of an interval that the booking window leaves; empty where it ends first."""
        return max(within[0], self.opens), min(within[1], self.closes + 1)

    def _is_equipped(self, start: int) -> bool:
        """Whether the resources suffice at a start, as far as the catalogue tells."""
        if not self.timetable.time_off or not self._roster.is_equipped:
            return self._roster.is_equipped
        return assign(self.service, self._usable(start)) is not None

    def _usable(self, start: int) -> set[str]:
        """The resources of the place that have no time off within an appointment."""
        time_off, length = self.timetable.time_off, (start, start + self.service.duration)
        there = self._roster.resource_ids
        return {
            resource_id
            for resource_id in there
            if not overlapping(time_off[resource_id].intervals, length)
        }

    def _on_duty_at(self, start: int) -> Sequence[int]:
        """For each staff member whether a start is on the grid with them, if they are requested."""
        if self.ignored:
            args = self.timetable, self.service, self.place, start, self.ignored
            return self._requested(on_duty_at(*args))
        day = local_date(self.place.time_zone, start)
        return self._requested(self.timetable.grid(self.service, self.place, day).at(start))

    def _dates_within_window(self, first: date, last: date) -> tuple[date, date]:
        """The dates that can have a start within the booking window; last before first for none."""
        if not self.is_bookable:
            return last + ONE_DAY, last
        # The date of a zone differs from that of UTC by one at most.
        earliest = date.fromordinal(_EPOCH + self.opens // DAY - 1)
        latest = date.fromordinal(_EPOCH + self.closes // DAY + 1)
        return max(first, earliest), min(last, latest)

    def _within_window(self, grid: DateRangeGrid) -> range:
        """The positions of the starts within the booking window."""
        return range(bisect_left(grid.starts, self.opens), bisect_right(grid.starts, self.closes))

    def _slots_of_range(self, grid: DateRangeGrid, positions: range) -> Iterator[list[Slot]]:
        """The slots of each date of a grid, of the starts at the positions alone."""
        mask = (1 << positions.stop) - (1 << positions.start) if positions else 0
        if mask and CUSTOMER_SUBJECT in self._tallies:
            mask &= ~self._full(grid, CUSTOMER_SUBJECT)
        free, resources, new = self._free(grid, mask)
        joinable = self._joinable_starts(grid, mask)
        available = reduce(or_, [1 << position for position in joinable], new)
        if not available:
            yield from ([] for _ in grid.bounds[1:])
            return
        count = len(grid.starts)
        flags, staff = transpose((available,), count), transpose(free, count)
        dates_positions = (
            compress(range(low, high), flags[low:high]) for low, high in pairwise(grid.bounds)
        )
        if joinable or resources:
            able = transpose(resources, count)
            for positions_of_date in dates_positions:
                yield [*self._mixed_slots(grid, positions_of_date, new, staff, able, joinable)]
            return
        starts, duration, names = grid.starts, self.service.duration, self._roster.names
        capacity = self.service.capacity
        for positions_of_date in dates_positions:
            yield [
                Slot(starts[p], starts[p] + duration, names[staff[p::count]], capacity, ())
                for p in positions_of_date
            ]

    def _mixed_slots(
        self,
        grid: DateRangeGrid,
        positions: Iterable[int],
        new: int,
        staff: bytes,
        resources: bytes,
        joinable: Mapping[int, tuple[Session, ...]],
    ) -> Iterator[Slot]:
        """The slots of a service with resources, or with sessions that can be joined.

        `new` has the starts at which a session may begin, as bits; `staff` and
        `resources` have, transposed, the free ones.
        """
        count, duration, capacity = len(grid.starts), self.service.duration, self.service.capacity
        names, assignments = self._roster.names, self._roster.assignments
        for p in positions:
            start, staff_ids = grid.starts[p], names[staff[p::count]]
            resource_ids = assignments[resources[p::count]] if new >> p & 1 else None
            if p in joinable:
                yield self._joinable_slot(start, staff_ids, resource_ids, joinable[p])
            elif resource_ids is not None:
                yield Slot(start, start + duration, staff_ids, capacity, resource_ids)

    def _slot_of_single_start(self, grid: SingleStartGrid) -> Slot | None:
        """The slot of the one start of a grid; None where it cannot be had."""
        [start] = grid.starts
        if CUSTOMER_SUBJECT in self._tallies and self._full(grid, CUSTOMER_SUBJECT):
            return None
        free, resources, new = self._free(grid, 1)
        staff_ids = self._roster.names[bytes(free)]
        resource_ids = self._roster.assignments[bytes(resources)] if new else None
        for joinable in self._joinable_starts(grid, 1).values():
            return self._joinable_slot(start, staff_ids, resource_ids, joinable)
        if resource_ids is None:
            return None
        end = start + self.service.duration
        return Slot(start, end, staff_ids, self.service.capacity, resource_ids)

    def _free(self, grid: DateRangeGrid, mask: int) -> _Free:
        """The free staff and resources at the starts of a mask."""
        staff = self._free_staff(grid, mask) if mask else []
        resource_ids = self._roster.resource_ids if any(staff) else ()
        resources = [mask & ~self._unavailable(grid, resource_id) for resource_id in resource_ids]
        if self._tallies:
            resources = [
                bits & ~self._full(grid, resource_id)
                for resource_id, bits in zip(resource_ids, resources, strict=True)
            ]
        return _Free(staff, resources, self._new_starts(grid, reduce(or_, staff, 0), resources))

    def _requested(self, on_duty: Sequence[int]) -> Sequence[int]:
        """For each staff member the starts at which they are on duty, if they are requested."""
        if self._is_requested(""):
            return on_duty
        each = zip(self._staff, on_duty, strict=False)
        return [starts if self._is_requested(staff_id) else 0 for staff_id, starts in each]

    @property
    def _staff(self) -> tuple[str, ...]:
        return self.service.staff_ids or NO_STAFF

    def _is_requested(self, staff_id: str) -> bool:
        """Whether a staff member of the service is the requested one, or none is requested."""
        return self.staff_id in ("", staff_id) or self.staff_id not in self.service.staff_ids

    def _free_staff(self, grid: DateRangeGrid, mask: int) -> list[int]:
        """For each staff member, at which of the starts of a mask they are free, as bits."""
        taken = self.busy.taken
        free: list[int] = []
        for staff_id, on_duty in zip(self._staff, self._requested(grid.on_duty), strict=False):
            bits = on_duty & mask
            if bits and (intervals := taken.get(staff_id)):
                bits &= ~grid.overlapping(intervals)
            free.append(bits)
        if tallies := self._tallies:
            for n, staff_id in enumerate(self._staff):
                if free[n] and staff_id in tallies:
                    free[n] &= ~self._full(grid, staff_id)
        return free

    def _taken(self, grid: DateRangeGrid, subject: str) -> int:
        """At which starts a subject is taken, as bits."""
        intervals = self.busy.taken.get(subject)
        return grid.overlapping(intervals) if intervals else 0

    def _unavailable(self, grid: DateRangeGrid, resource_id: str) -> int:
        """At which starts a resource is taken or has time off, as bits."""
        taken = self._taken(grid, resource_id)
        if resource_id not in self.timetable.time_off:
            return taken
        off = self.timetable.time_off[resource_id].intervals
        return taken | overlapped_starts(grid.starts, self.service.duration, off)

    def _full(self, grid: DateRangeGrid, subject: str) -> int:
        """The starts at which a limit of a subject lets no other booking begin, as bits."""
        within = (grid.starts[0], grid.starts[-1])
        full = (part for tally in self._tallies.get(subject, ()) for part in tally.full(within))
        return reduce(or_, [grid.between(*part) for part in full], 0)

    def _new_starts(self, grid: DateRangeGrid, free: int, resources: Sequence[int]) -> int:
        """The starts at which staff and for each requirement a resource are free, as bits.

        Two requirements that only the same resource could satisfy are not
        recognized here, but when the resources are assigned.
        """
        if free and self._tallies:
            free &= ~self._full(grid, self.service.id)
        if not free:
            return 0
        if self.service.needs_nothing:
            return free & ~self._taken(grid, service_subject(self.service.id, self.place.id))
        for one_of in self.service.resource_requirements:
            usable = zip(self._roster.resource_ids, resources, strict=True)
            free &= reduce(or_, [bits for resource_id, bits in usable if resource_id in one_of], 0)
        return free

    def _joinable_starts(self, grid: DateRangeGrid, mask: int) -> Mapping[int, tuple[Session, ...]]:
        """The sessions that can be joined at the starts of a mask, by their position."""
        if self.service.capacity == 1 or not self.busy.sessions:
            return {}
        joinable = {
            position: tuple(self._joinable(grid, position))
            for position, start in enumerate(grid.starts)
            if start in self.busy.sessions and mask >> position & 1
        }
        return {position: sessions for position, sessions in joinable.items() if sessions}

    def _joinable(self, grid: DateRangeGrid, position: int) -> Iterator[Session]:
        max_taken = self.service.capacity - self.seats
        on_duty = [starts >> position & 1 for starts in self._requested(grid.on_duty)]
        able = set(compress(self._staff, on_duty))
        for session in self.sessions_at(grid.starts[position]):
            if session.seats_taken <= max_taken and session.staff_id in able:
                yield session

    def sessions_at(self, start: int) -> list[Session]:
        """The sessions of the service at this place that begin at a start and have its duration."""
        end = start + self.service.duration
        return [
            session
            for session in self.busy.sessions.get(start, ())
            if session.end == end and session.location_id == self.place.id
        ]

    def _joinable_slot(
        self,
        start: int,
        free: tuple[str, ...],
        resource_ids: tuple[str, ...] | None,
        joinable: tuple[Session, ...],
    ) -> Slot:
        """The slot of a start at which sessions run that can be joined."""
        capacity = self.service.capacity
        able = {session.staff_id for session in joinable}
        able.update(free if resource_ids is not None else ())
        left = [capacity - session.seats_taken for session in joinable]
        return Slot(
            start,
            start + self.service.duration,
            tuple([staff_id for staff_id in self.service.staff_ids if staff_id in able]),
            capacity if resource_ids is not None else max(left),
            resource_ids,
            joinable,
        )

    @property
    def place_is_active(self) -> bool:
        """Whether the place can be booked at all."""
        return not self.place.id or self.timetable.catalog.locations[self.place.id].active

    @property
    def candidates(self) -> tuple[str, ...]:
        """The staff members who could serve if they worked then and were free."""
        return (self.staff_id,) if self.staff_id else self.service.staff_ids

    def limits_reached(self, subject: str, start: int) -> Iterator[tuple[AppliedLimit, int]]:
        """The limits of a subject by which no other booking may begin then, and their ends."""
        for tally in self._tallies.get(subject, ()):
            if ends := tally.ends(start):
                yield tally.applied, ends
