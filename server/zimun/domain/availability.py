"""What can be had: from the grid, the bookings and a service's rules to slots.

A start on the grid (`timetable`) is a *slot* when it also lies in the booking
window and somebody and everything needed is free. `Search` decides that;
everything that looks for slots or takes one goes through its `_offers`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import compress
from typing import NamedTuple

from zimun.domain.catalog import Place, Service
from zimun.domain.errors import NotASlot, OutsideBookingWindow, SlotUnavailable
from zimun.domain.instant import rfc3339
from zimun.domain.intervals import Interval, covers, merge
from zimun.domain.schedule import DayStatus, dates, local_date, segments
from zimun.domain.timetable import Grid, Timetable, dates_touching

_FLAGS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True, slots=True)
class Session:
    """One giving of a service at one time: its own allocation, shared by the seats sold in it."""

    session_id: str
    start: int
    end: int
    staff_id: str
    resource_ids: tuple[str, ...]
    location_id: str
    seats_taken: int


@dataclass(slots=True)
class Busy:
    """What is taken: per subject its disjoint intervals in order, and per start the group sessions.

    A subject is a staff member, a resource, or a service that needs neither.
    `run_out` are those that a hold still takes although its time is over.
    `starts` are when the bookings of staff members with a daily limit begin, in
    order, on every date of theirs. None of it ends by itself before
    `stands_until`.
    """

    taken: Mapping[str, Sequence[Interval]]
    sessions: Mapping[int, Sequence[Session]] = field(default_factory=dict)
    starts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    stands_until: int = 0
    run_out: Set[str] = frozenset()

    def of(self, subject: str) -> Sequence[Interval]:
        """What is taken of a subject."""
        return self.taken.get(subject, ())

    def overlapping(self, subject: str, wanted: Interval) -> list[Interval]:
        """What is taken of a subject within an interval."""
        return [
            (start, end) for start, end in self.of(subject) if start < wanted[1] and wanted[0] < end
        ]


class Slot(NamedTuple):
    """A time that can be held: who is free for it, and the most seats one hold can take.

    `resource_ids` are those that a new session would take, None where only
    sessions that already run have room; `joinable` are these.
    """

    start: int
    end: int
    staff_ids: tuple[str, ...]
    seats_left: int
    resource_ids: tuple[str, ...] | None
    joinable: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom and what a hold takes; `session_id` is set when it joins a session that runs already."""

    staff_id: str
    resource_ids: tuple[str, ...]
    session_id: str = ""

    def subjects(self, service: Service) -> tuple[str, ...]:
        """What is taken: the person and the things, or the service that needs neither."""
        return (*((self.staff_id,) if self.staff_id else ()), *self.resource_ids) or (service.id,)


@dataclass(frozen=True)
class Search:
    """One question about one service at one place: what is open, asked at the instant `now`.

    `staff_id` (empty: anybody) and `seats` narrow it; `busy` must cover the
    dates asked about.
    """

    timetable: Timetable
    service: Service
    place: Place
    busy: Busy
    now: int
    staff_id: str = ""
    seats: int = 1

    @property
    def opens(self) -> int:
        """The first instant at which a slot may start."""
        return self.now + self.service.lead_time

    @property
    def closes(self) -> int:
        """The last instant at which a slot may start."""
        return self.now + self.service.horizon

    def slots(self, first: date, last: date) -> list[Slot]:
        """Every slot of the place's dates from first to last, in time order."""
        grids = [self.timetable.grid(self.service, self.place, day) for day in dates(first, last)]
        return [slot for slot in self._offers(self._within_window(grids)) if slot]

    def nearest(self, wanted: int, count: int, first: date, last: date) -> list[Slot]:
        """The slots of the place's dates from first to last that start nearest to an instant.

        The nearest comes first, the earlier of two that are equally near. Only
        what lies around the instant is looked at, more of it where that does not do.
        """

        def distance(start: int) -> tuple[int, int]:
            return abs(start - wanted), start

        grids = [self.timetable.grid(self.service, self.place, day) for day in dates(first, last)]
        starts, on_duty = self._within_window(grids)
        middle, reach = bisect_left(starts, wanted), 2 * count
        while True:
            begin, end = max(middle - reach, 0), middle + reach
            offers = self._offers(Grid(starts[begin:end], on_duty[begin:end]))
            found = sorted(
                (slot for slot in offers if slot), key=lambda slot: distance(slot.start)
            )[:count]
            beyond = [*starts[begin - 1 : begin], *starts[end : end + 1]]
            if not beyond or (
                len(found) == count
                and distance(found[-1].start) < min(distance(start) for start in beyond)
            ):
                return found
            reach *= 4

    def slot_at(self, start: int) -> Slot:
        """The slot that starts then.

        Raises NotASlot off the grid, OutsideBookingWindow too near or too far,
        SlotUnavailable where the grid and the window allow it but not all that
        is needed is free.
        """
        day = local_date(self.place.time_zone, start)
        on_duty = self.timetable.grid(self.service, self.place, day).at(start) & self._wanted
        if not on_duty:
            raise self._why_off_grid(start, day)
        if start < self.opens:
            raise OutsideBookingWindow("LEAD_TIME", self.opens, self.closes)
        if start > self.closes:
            raise OutsideBookingWindow("HORIZON", self.opens, self.closes)
        [slot] = self._offers(Grid((start,), (on_duty,)))
        if slot:
            return slot
        raise SlotUnavailable(self.service.id)

    def room(self, slot: Slot) -> int:
        """For about how many holds a slot has room; never none, as it is offered."""
        return max(len(slot.staff_ids), slot.seats_left // self.seats)

    @cached_property
    def _wanted(self) -> int:
        """Those of the service's staff who will do, as bits."""
        staff_ids = self.service.staff_ids
        return 1 << staff_ids.index(self.staff_id) if self.staff_id in staff_ids else -1

    def _within_window(self, grids: Sequence[Grid]) -> Grid:
        """Grids as one, in time order and within the booking window.

        Dates are in time order but where a clock was set back over midnight.
        """
        starts = [start for grid in grids for start in grid.starts]
        on_duty = [who for grid in grids for who in grid.on_duty]
        if starts != sorted(starts):
            on_duty = [who for _, who in sorted(zip(starts, on_duty, strict=True))]
            starts.sort()
        begin, end = bisect_left(starts, self.opens), bisect_right(starts, self.closes)
        return Grid(starts[begin:end], on_duty[begin:end])

    def _offers(self, grid: Grid) -> Iterator[Slot | None]:
        """For each start on the grid and in the window its slot, or None where it cannot be had."""
        service, wanted = self.service, self._wanted
        taken = self._taken(grid.starts, service.staff_ids)
        self._mark_full_dates(grid.starts, taken)
        things = (service.id,) if service.needs_nothing else service.resource_ids
        used = self._taken(grid.starts, things)
        for start, on_duty, busy, in_use in zip(*grid, taken, used, strict=True):
            free = on_duty & wanted & ~busy
            resource_ids = self._resources(in_use) if free else None
            joinable = self._joinable(start, on_duty & wanted) if service.capacity > 1 else ()
            if resource_ids is None and not joinable:
                yield None
            else:
                yield self._slot(start, free, resource_ids, joinable)

    def _taken(self, starts: Sequence[int], subjects: Sequence[str]) -> list[int]:
        """For each start, which of the subjects are taken at some moment of it, as bits.

        An appointment that starts then overlaps what is taken from `begin` to
        `end` where it ends, buffer included, after the one and begins before the other.
        """
        taken, count = [0] * len(starts), len(starts)
        before, after = self.service.taken(0)
        for n, subject in enumerate(subjects):
            for begin, end in self.busy.of(subject):
                position = bisect_right(starts, begin - after)
                while position < count and starts[position] < end - before:
                    taken[position] |= 1 << n
                    position += 1
        return taken

    def _mark_full_dates(self, starts: Sequence[int], taken: list[int]) -> None:
        """Mark, as taken, whoever has as many bookings on a start's date as they take."""
        for n, staff_id in enumerate(self.service.staff_ids if self.busy.starts else ()):
            for full in self._full(staff_id, starts):
                for position in range(bisect_left(starts, full[0]), bisect_left(starts, full[1])):
                    taken[position] |= 1 << n

    def _full(self, staff_id: str, starts: Sequence[int]) -> Iterator[Interval]:
        """The dates on which a staff member begins no other booking, as intervals."""
        booked = self.busy.starts.get(staff_id)
        if not booked or not starts:
            return
        member = self.timetable.catalog.staff[staff_id]
        for day in dates_touching(member.time_zone, (starts[0], starts[-1])):
            shown = [(one.start, one.end) for one in segments(member.time_zone, day)]
            count = sum(
                bisect_left(booked, end) - bisect_left(booked, begin) for begin, end in shown
            )
            if 0 < member.daily_limit <= count:
                yield from shown

    @cached_property
    def _assignments(self) -> dict[int, tuple[str, ...] | None]:
        return {}

    def _resources(self, in_use: int) -> tuple[str, ...] | None:
        """One free resource for each requirement, all different; None where that cannot be.

        `in_use` are the taken ones, as bits; most starts have the same ones.
        """
        if in_use not in self._assignments:
            self._assignments[in_use] = self._assign(in_use)
        return self._assignments[in_use]

    def _assign(self, in_use: int) -> tuple[str, ...] | None:
        service = self.service
        if service.needs_nothing:
            return None if in_use else ()
        return self.assignment(
            {
                resource_id
                for n, resource_id in enumerate(service.resource_ids)
                if not in_use >> n & 1 and self._is_usable(resource_id)
            }
        )

    def assignment(self, usable: Set[str]) -> tuple[str, ...] | None:
        """One of the resources for each requirement, all different; None where that cannot be."""
        requirements = self.service.resource_requirements
        return match([[one for one in one_of if one in usable] for one_of in requirements])

    def _is_usable(self, resource_id: str) -> bool:
        """Whether a resource is there at all: active, and at this place."""
        resource = self.timetable.catalog.resources.get(resource_id)
        return bool(resource and resource.active and resource.is_at(self.place))

    def _joinable(self, start: int, on_duty: int) -> tuple[Session, ...]:
        room = self.service.capacity - self.seats
        able = self._names(on_duty) if self.service.staff_ids else ("",)
        return tuple(
            session
            for session in self.sessions_at(start)
            if session.seats_taken <= room and session.staff_id in able
        )

    def sessions_at(self, start: int) -> list[Session]:
        """The sessions that run at this place from then on, for as long as is asked for."""
        end = start + self.service.duration
        return [
            session
            for session in self.busy.sessions.get(start, ())
            if session.end == end and session.location_id == self.place.id
        ]

    @cached_property
    def _named(self) -> dict[int, tuple[str, ...]]:
        return {}

    def _names(self, bits: int) -> tuple[str, ...]:
        """The staff members that bits stand for; the same ones are asked for over and over."""
        if bits not in self._named:
            flags = f"{bits:b}"[::-1].encode().translate(_FLAGS)
            self._named[bits] = tuple(compress(self.service.staff_ids, flags))
        return self._named[bits]

    def _slot(
        self,
        start: int,
        free: int,
        resource_ids: tuple[str, ...] | None,
        joinable: tuple[Session, ...],
    ) -> Slot:
        end, capacity = start + self.service.duration, self.service.capacity
        if not joinable:
            return Slot(start, end, self._names(free), capacity, resource_ids)
        able = set(self._names(free) if resource_ids is not None else ())
        able.update([session.staff_id for session in joinable])
        left = [capacity - session.seats_taken for session in joinable]
        return Slot(
            start,
            end,
            tuple([staff_id for staff_id in self.service.staff_ids if staff_id in able]),
            capacity if resource_ids is not None else max(left),
            resource_ids,
            joinable,
        )

    def _why_off_grid(self, start: int, day: date) -> NotASlot:
        """Name the first rule that keeps the start off the grid."""
        service, when = self.service, rfc3339(start)
        if not service.active:
            return NotASlot("SERVICE_INACTIVE", f"service {service.id} cannot be booked")
        if not self.place_is_active:
            return NotASlot("LOCATION_INACTIVE", f"location {self.place.id} cannot be booked")
        found = self.timetable.day(self.place, day)
        if found.status is DayStatus.HOLIDAY:
            return NotASlot("HOLIDAY", f"{day} is a holiday: {found.note}", found.note)
        if not self.is_place_open(start):
            return NotASlot("CLOSED", f"the place is not open for all of {when}", found.note)
        if service.staff_ids and not any(self.works(one, start) for one in self.candidates):
            return NotASlot("STAFF_CLOSED", f"nobody who gives this service works at {when}")
        return NotASlot("NOT_ON_GRID", f"{when} is not a start time of service {service.id}")

    @property
    def place_is_active(self) -> bool:
        """Whether the place can be booked at all."""
        return not self.place.id or self.timetable.catalog.locations[self.place.id].active

    def is_place_open(self, start: int) -> bool:
        """Whether the place is open for all of an appointment."""
        length = (start, start + self.service.duration)
        return covers(merge(self.timetable.place_open(self.place, length)), length)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The staff members who could serve, were they there and free."""
        return (self.staff_id,) if self.staff_id else self.service.staff_ids

    def works(self, staff_id: str, start: int) -> bool:
        """Whether a staff member works, here, for all of an appointment."""
        length = (start, start + self.service.duration)
        return self.timetable.serves(staff_id, self.place) and covers(
            merge(self.timetable.staff_open(staff_id, length)), length
        )

    def is_full(self, staff_id: str, start: int) -> bool:
        """Whether a staff member has as many bookings on a start's date as they take."""
        return any(begin <= start < end for begin, end in self._full(staff_id, (start,)))


def choose(slot: Slot, load: Mapping[str, tuple[int, int]]) -> Choice:
    """Whom and what a hold of the slot takes.

    The fullest session with room, so that others stay whole; else a new one
    with the staff member who has the fewest bookings that day, then the one
    unused the longest, then the first by the service's list. `load` gives each
    free staff member's (bookings that day, instant of the last booking).
    """
    if slot.joinable:
        session = max(slot.joinable, key=lambda session: (session.seats_taken, session.session_id))
        return Choice(session.staff_id, session.resource_ids, session.session_id)
    assert slot.resource_ids is not None
    staff_id = min(slot.staff_ids, key=lambda staff_id: load.get(staff_id, (0, 0)), default="")
    return Choice(staff_id, slot.resource_ids)


def match(options: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Give each requirement one of its options, no option twice; None where that cannot be.

    Augmenting paths (Kuhn 1955): a requirement may push another to its next option.
    """
    holder: dict[str, int] = {}

    def place(requirement: int, tried: set[str]) -> bool:
        for option in options[requirement]:
            if option in tried:
                continue
            tried.add(option)
            if option not in holder or place(holder[option], tried):
                holder[option] = requirement
                return True
        return False

    if not all(place(requirement, set()) for requirement in range(len(options))):
        return None
    chosen = {requirement: option for option, requirement in holder.items()}
    return tuple(chosen[requirement] for requirement in range(len(options)))
