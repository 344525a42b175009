"""The search for open slots: from the grid, the bookings and a service's rules to slots.

A start on the grid (`timetable`) is a *slot* when it also lies in the booking
window (`booking_window`), and a staff member and the resources that it needs
are free. `Search` decides that: `slots_by_day` for dates, `find_slot` for a single
start, as checks, holds and reschedules need it. Sets of starts are bits (`start_grid`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import reduce
from itertools import compress, pairwise
from operator import or_
from typing import NamedTuple

from zimun.domain.availability.assignment import assign
from zimun.domain.availability.booking_window import BookingWindow
from zimun.domain.availability.opening_hours import dates, is_shown_early, local_date
from zimun.domain.availability.roster import NO_STAFF, Roster
from zimun.domain.availability.single_start import on_duty_at
from zimun.domain.availability.slots import Busy, Session, Slot
from zimun.domain.availability.start_grid import (
    DateRangeGrid,
    SingleStartGrid,
    flags_of,
    overlapped_starts,
)
from zimun.domain.availability.tallies import Tally
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT, AppliedLimit
from zimun.domain.catalog.entries import Place, Service
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules
from zimun.domain.intervals import overlapping

ONE_DAY = timedelta(days=1)


class _FreeSubjects(NamedTuple):
    """For each staff member, and for each resource of the roster, the starts at which they are
    free, as bits.

    `session_starts` are the starts at which a session can begin if its resources can be assigned.
    """

    staff: Sequence[int]
    resources: Sequence[int]
    session_starts: int


@dataclass(eq=False, slots=True)
class Search:
    """A search for the open slots of one service at one place, as of the instant `now`.

    `staff_id` (empty: any) and `seats` narrow it; `busy` must cover the dates that are searched.
    `with_all_present` is the search by which its starts are explained (`presence`).
    Rules in `ignored` are not applied when a single start is checked (`find_slot`); a search of
    dates applies OPENING_HOURS and GRID always.
    """

    timetable: Timetable
    service: Service
    place: Place
    busy: Busy
    now: int
    staff_id: str = ""
    seats: int = 1
    ignored: IgnoredRules = NO_RULES
    window: BookingWindow = field(init=False)
    with_all_present: "Search | None" = field(init=False, default=None)
    _roster: Roster = field(init=False)
    _tallies: Mapping[str, Sequence[Tally]] = field(init=False)

    def __post_init__(self) -> None:
        self.window = BookingWindow.of(self.service, self.now, self.ignored)
        self._tallies = {} if BookingRule.LIMITS in self.ignored else self.busy.tallies
        self._roster = self.timetable.roster(self.service, self.place)

    @property
    def is_bookable(self) -> bool:
        """Whether the catalogue allows a slot on any date at all.

        It does not when the service, the place or all staff members who could serve
        are archived or elsewhere, or when the service's resources do not satisfy its
        requirements even while all are free. The last does not hold for a group
        service: its sessions can still be joined.
        """
        service, roster = self.service, self._roster
        served = any(self._is_requested(self._staff[n]) for n, _ in roster.members)
        if not service.active or not self.place_is_active or not served:
            return False
        return service.capacity > 1 or roster.is_equipped

    def next_open_date(self, first: date, last: date) -> date | None:
        """The first date from first to last on which the service is given; None if there is none
        or the search is not bookable."""
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
        begin, end = last + ONE_DAY, last
        if self.is_bookable:
            begin, end = self.window.dates(first, last)
        if first < begin:
            yield from ([] for _ in dates(first, min(last, begin - ONE_DAY)))
        for grid in self.timetable.range_grids(self.service, self.place, begin, end):
            yield from self._slots_of_range(grid, self.window.positions(grid.starts))
        if end < last:
            yield from ([] for _ in dates(max(begin, end + ONE_DAY), last))

    def find_slot(self, start: int) -> Slot | None:
        """The slot at a start; None where there is no slot."""
        on_duty = self._on_duty_at(start)
        if not any(on_duty) or start not in self.window:
            return None
        grid = SingleStartGrid(start, on_duty, *self.service.taken(0))
        return self._slot_of_single_start(grid)

    def is_taken(self, start: int) -> bool:
        """Whether a start that is not a slot would be a slot if nothing were booked."""
        return start in self.window and self._is_equipped(start) and any(self._on_duty_at(start))

    def can_keep(self, staff_id: str, resource_ids: Sequence[str], start: int) -> bool:
        """Whether the catalogue and the booking window allow a staff member (empty: none) and some
        resources to serve a start, whatever is booked."""
        on_duty = dict(zip(self._staff, self._on_duty_at(start), strict=False))
        if not on_duty.get(staff_id) or start not in self.window:
            return False
        return assign(self.service, self._without_time_off(start) & set(resource_ids)) is not None

    def _is_equipped(self, start: int) -> bool:
        """Whether the resources suffice at a start, as far as the catalogue tells."""
        if not self.timetable.time_off or not self._roster.is_equipped:
            return self._roster.is_equipped
        return assign(self.service, self._without_time_off(start)) is not None

    def _without_time_off(self, start: int) -> set[str]:
        """The resources of the place that have no time off during an appointment at a start."""
        time_off, time = self.timetable.time_off, (start, start + self.service.duration)
        return {
            resource_id
            for resource_id in self._roster.resource_ids
            if not overlapping(time_off[resource_id].intervals, time)
        }

    def _on_duty_at(self, start: int) -> Sequence[int]:
        """For each staff member 1 if they are requested and a start is on their grid, else 0."""
        if self.ignored:
            args = self.timetable, self.service, self.place, start, self.ignored
            return self._requested(on_duty_at(*args))
        day = local_date(self.place.time_zone, start)
        return self._requested(self.timetable.grid(self.service, self.place, day).at(start))

    def _slots_of_range(self, grid: DateRangeGrid, positions: range) -> Iterator[list[Slot]]:
        """The slots of each date of a grid, among the starts at these positions."""
        mask = (1 << positions.stop) - (1 << positions.start) if positions else 0
        if mask and CUSTOMER_SUBJECT in self._tallies:
            mask &= ~self._full(grid, CUSTOMER_SUBJECT)
        free_staff, free_resources, session_starts = self._free_subjects(grid, mask)
        joinable = self._joinable_starts(grid, mask)
        available = reduce(or_, [1 << position for position in joinable], session_starts)
        if not available:
            yield from ([] for _ in grid.bounds[1:])
            return
        count = len(grid.starts)
        flags, staff_flags = flags_of((available,), count), flags_of(free_staff, count)
        dates_positions = (
            compress(range(low, high), flags[low:high]) for low, high in pairwise(grid.bounds)
        )
        if joinable or free_resources:
            args = session_starts, staff_flags, flags_of(free_resources, count), joinable
            for positions_of_date in dates_positions:
                yield [*self._mixed_slots(grid, positions_of_date, *args)]
            return
        starts, duration, by_flags = grid.starts, self.service.duration, self._roster.staff_by_flags
        capacity = self.service.capacity
        for positions_of_date in dates_positions:
            yield [
                Slot(starts[p], starts[p] + duration, by_flags[staff_flags[p::count]], capacity, ())
                for p in positions_of_date
            ]

    def _mixed_slots(
        self,
        grid: DateRangeGrid,
        positions: Iterable[int],
        session_starts: int,
        staff_flags: bytes,
        resource_flags: bytes,
        joinable: Mapping[int, tuple[Session, ...]],
    ) -> Iterator[Slot]:
        """The slots of a service with resources, or with sessions that can be joined.

        `session_starts` are the starts at which a session can begin, as bits; the flags are
        those of free staff members and resources (`flags_of`).
        """
        count, duration, capacity = len(grid.starts), self.service.duration, self.service.capacity
        staff_by_flags, assignments = self._roster.staff_by_flags, self._roster.assignments
        for p in positions:
            start, staff_ids = grid.starts[p], staff_by_flags[staff_flags[p::count]]
            can_begin = session_starts >> p & 1
            resource_ids = assignments[resource_flags[p::count]] if can_begin else None
            if p in joinable:
                yield self._joinable_slot(start, staff_ids, resource_ids, joinable[p])
            elif resource_ids is not None:
                yield Slot(start, start + duration, staff_ids, capacity, resource_ids)

    def _slot_of_single_start(self, grid: SingleStartGrid) -> Slot | None:
        """The slot of a grid's only start; None where the start cannot be booked."""
        [start] = grid.starts
        if CUSTOMER_SUBJECT in self._tallies and self._full(grid, CUSTOMER_SUBJECT):
            return None
        free_staff, free_resources, can_begin = self._free_subjects(grid, 1)
        staff_ids = self._roster.staff_by_flags[bytes(free_staff)]
        resource_ids = self._roster.assignments[bytes(free_resources)] if can_begin else None
        for joinable in self._joinable_starts(grid, 1).values():
            return self._joinable_slot(start, staff_ids, resource_ids, joinable)
        if resource_ids is None:
            return None
        end = start + self.service.duration
        return Slot(start, end, staff_ids, self.service.capacity, resource_ids)

    def _free_subjects(self, grid: DateRangeGrid, mask: int) -> _FreeSubjects:
        """The free staff and resources at the starts of a mask."""
        staff = self._free_staff(grid, mask) if mask else []
        resource_ids = self._roster.resource_ids if any(staff) else ()
        resources = [mask & ~self._unavailable(grid, resource_id) for resource_id in resource_ids]
        if self._tallies:
            resources = [
                bits & ~self._full(grid, resource_id)
                for resource_id, bits in zip(resource_ids, resources, strict=True)
            ]
        session_starts = self._session_starts(grid, reduce(or_, staff, 0), resources)
        return _FreeSubjects(staff, resources, session_starts)

    def _requested(self, on_duty: Sequence[int]) -> Sequence[int]:
        """For each staff member their bits of `on_duty`; 0 if they are not requested."""
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
        """The starts at which a limit of a subject is reached, as bits."""
        within = (grid.starts[0], grid.starts[-1])
        full = (part for tally in self._tallies.get(subject, ()) for part in tally.full(within))
        return reduce(or_, [grid.between(*part) for part in full], 0)

    def _session_starts(
        self, grid: DateRangeGrid, starts: int, free_resources: Sequence[int]
    ) -> int:
        """Of the starts at which staff is free, those with a free resource for each requirement.

        Two requirements that only the same resource could satisfy are not
        recognized here, but when the resources are assigned.
        """
        if starts and self._tallies:
            starts &= ~self._full(grid, self.service.id)
        if not starts:
            return 0
        if self.service.needs_nothing:
            return starts & ~self._taken(grid, service_subject(self.service.id, self.place.id))
        for resource_ids in self.service.resource_requirements:
            free = zip(self._roster.resource_ids, free_resources, strict=True)
            options = [bits for resource_id, bits in free if resource_id in resource_ids]
            starts &= reduce(or_, options, 0)
        return starts

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
        staff_on_duty = set(compress(self._staff, on_duty))
        for session in self.sessions_at(grid.starts[position]):
            if session.seats_taken <= max_taken and session.staff_id in staff_on_duty:
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
        free_staff_ids: tuple[str, ...],
        resource_ids: tuple[str, ...] | None,
        joinable: tuple[Session, ...],
    ) -> Slot:
        """The slot of a start at which sessions can be joined."""
        capacity = self.service.capacity
        serving = {session.staff_id for session in joinable}
        serving.update(free_staff_ids if resource_ids is not None else ())
        left = [capacity - session.seats_taken for session in joinable]
        return Slot(
            start,
            start + self.service.duration,
            tuple([staff_id for staff_id in self.service.staff_ids if staff_id in serving]),
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
        """The requested staff member, or all of the service: whether they are free or not."""
        return (self.staff_id,) if self.staff_id else self.service.staff_ids

    def limits_reached(self, subject: str, start: int) -> Iterator[tuple[AppliedLimit, int]]:
        """The limits of a subject that are reached at a start, and the ends of their periods."""
        for tally in self._tallies.get(subject, ()):
            if ends := tally.ends(start):
                yield tally.applied, ends
