"""From open hours, bookings and a service's rules to slots; and why a time is not one.

A start is on the *grid* when the service may begin then as far as the catalogue
alone tells: active, place open, staff member open, on a step. A start on the
grid is a *slot* when it also lies in the booking window and somebody and
everything needed is free. `Search` decides that second part; everything that
looks for slots or takes one goes through its `_offer`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from zimun.domain.catalog import Catalog, Place, Service, SlotAlignment
from zimun.domain.errors import NotASlot, OutsideBookingWindow, SlotUnavailable
from zimun.domain.instant import HOUR, rfc3339
from zimun.domain.intervals import Interval, covers, intersect, merge
from zimun.domain.schedule import (
    Day,
    DayStatus,
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
    None of it ends by itself before `stands_until`.
    """

    taken: Mapping[str, Sequence[Interval]]
    sessions: Mapping[int, Sequence[Session]] = field(default_factory=dict)
    stands_until: int = 0

    def is_free(self, subject: str, wanted: Interval) -> bool:
        """Whether nothing of the subject's overlaps `wanted`."""
        return bool(self.free((subject,), wanted))

    def free(self, subjects: Iterable[str], wanted: Interval) -> tuple[str, ...]:
        """Those of the subjects of whose nothing overlaps `wanted`: the last that begins before
        its end has ended by its start. A search asks this of everybody at every start."""
        start, end = wanted[0], (wanted[1],)
        taken_of = self.taken.get
        return tuple(
            [
                subject
                for subject in subjects
                if not (taken := taken_of(subject))
                or not (following := bisect_left(taken, end))
                or taken[following - 1][1] <= start
            ]
        )


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


class Timetable:
    """The grid of a catalogue: which starts its hours and steps allow, whatever is booked.

    Answers depend on the catalogue alone, so they are worked out once and kept
    as long as its version is.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.day = lru_cache(maxsize=1 << 12)(self._day)
        self.starts = lru_cache(maxsize=1 << 12)(self._starts)
        self.staff_open = lru_cache(maxsize=1 << 14)(self._staff_open)

    def _day(self, place: Place, day: date) -> Day:
        return place_day(self.catalog, place, day)

    def _starts(self, service_id: str, place: Place, day: date) -> Mapping[int, tuple[str, ...]]:
        """The starts of one date of the place, in order, each with the staff members on duty.

        The staff of a service that needs none is the one empty id.
        """
        service = self.catalog.services[service_id]
        grid: dict[int, list[str]] = {}
        for staff_id in service.staff_ids or ("",):
            for start in self._staff_starts(service, place, day, staff_id):
                grid.setdefault(start, []).append(staff_id)
        return {start: tuple(grid[start]) for start in sorted(grid)}

    def _staff_starts(self, service: Service, place: Place, day: date, staff_id: str) -> set[int]:
        here = open_time(place.time_zone, day, self.day(place, day).hours)
        member = self.catalog.staff.get(staff_id)
        if not here or not service.active or (staff_id and not (member and member.active)):
            return set()
        reach = (here[0][0], here[-1][1] + service.duration)
        place_open = self.place_open(place, reach)
        staff_open = self.staff_open(staff_id, reach) if staff_id else place_open
        openings = intersect(here, staff_open) if staff_id else here
        both = intersect(merge(place_open), merge(staff_open))
        return {
            start
            for opening in openings
            for start in _steps(service, place, opening)
            if covers(both, (start, start + service.duration))
        }

    def place_open(self, place: Place, reach: Interval) -> list[Interval]:
        """When the place is open on every date that `reach` touches, each date by itself."""
        return sorted(
            interval
            for day in _dates_touching(place.time_zone, reach)
            for interval in open_time(place.time_zone, day, self.day(place, day).hours)
        )

    def _staff_open(self, staff_id: str, reach: Interval) -> list[Interval]:
        member = self.catalog.staff[staff_id]
        return sorted(
            interval
            for day in _dates_touching(member.time_zone, reach)
            for interval in open_time(member.time_zone, day, staff_hours(self.catalog, member, day))
        )


def _dates_touching(zone: str, interval: Interval) -> Iterator[date]:
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
        for day in _dates_touching(place.time_zone, opening)
        for segment in segments(place.time_zone, day)
        for start in _wall_steps(midnight(day), segment, opening, service.slot_step)
    )


def _wall_steps(wall: int, segment: Segment, opening: Interval, step: int) -> range:
    origin = wall - segment.offset
    begin = max(segment.start, opening[0])
    return range(begin + (origin - begin) % step, min(segment.end, opening[1]), step)


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
        opens, closes = self.opens, self.closes
        starts, service_id, place = self.timetable.starts, self.service.id, self.place
        found = [
            slot
            for day in dates(first, last)
            for start, on_duty in starts(service_id, place, day).items()
            if opens <= start <= closes and (slot := self._offer(start, on_duty))
        ]
        # Dates are in time order but where a clock was set back over midnight.
        found.sort(key=attrgetter("start"))
        return found

    def slot_at(self, start: int) -> Slot:
        """The slot that starts then.

        Raises NotASlot off the grid, OutsideBookingWindow too near or too far,
        SlotUnavailable where the grid and the window allow it but not all that
        is needed is free.
        """
        day = local_date(self.place.time_zone, start)
        on_duty = self._wanted(
            self.timetable.starts(self.service.id, self.place, day).get(start, ())
        )
        if not on_duty:
            raise self._why_off_grid(start, day)
        if start < self.opens:
            raise OutsideBookingWindow("LEAD_TIME", self.opens, self.closes)
        if start > self.closes:
            raise OutsideBookingWindow("HORIZON", self.opens, self.closes)
        if slot := self._offer(start, on_duty):
            return slot
        raise SlotUnavailable(self.service.id)

    def _wanted(self, staff_ids: tuple[str, ...]) -> tuple[str, ...]:
        if not self.staff_id:
            return staff_ids
        return (self.staff_id,) if self.staff_id in staff_ids else ()

    def _offer(self, start: int, on_duty: tuple[str, ...]) -> Slot | None:
        """The slot at a start on the grid and in the window, or None: what can be had, and when."""
        service = self.service
        wanted = (start - service.buffer_before, start + service.duration + service.buffer_after)
        on_duty = self._wanted(on_duty)
        free = self.busy.free(on_duty, wanted) if service.staff_ids else on_duty
        resource_ids = self._resources(wanted) if free else None
        joinable = self._joinable(start, on_duty) if service.capacity > 1 else ()
        if resource_ids is None and not joinable:
            return None
        return _slot(service, start, free, resource_ids, joinable)

    def _resources(self, wanted: Interval) -> tuple[str, ...] | None:
        """One free resource for each requirement, all different; None where that cannot be."""
        service = self.service
        if not service.resource_requirements:
            alone = not service.staff_ids and not self.busy.is_free(service.id, wanted)
            return None if alone else ()
        return match(
            [
                [resource_id for resource_id in one_of if self._is_usable(resource_id, wanted)]
                for one_of in service.resource_requirements
            ]
        )

    def _is_usable(self, resource_id: str, wanted: Interval) -> bool:
        resource = self.timetable.catalog.resources.get(resource_id)
        return bool(resource and resource.active) and self.busy.is_free(resource_id, wanted)

    def _joinable(self, start: int, on_duty: tuple[str, ...]) -> tuple[Session, ...]:
        room = self.service.capacity - self.seats
        return tuple(
            session
            for session in self.busy.sessions.get(start, ())
            if session.seats_taken <= room
            and session.end == start + self.service.duration
            and session.location_id == self.place.id
            and session.staff_id in on_duty
        )

    def _why_off_grid(self, start: int, day: date) -> NotASlot:
        """Name the first rule that keeps the start off the grid."""
        service, when = self.service, rfc3339(start)
        if not service.active:
            return NotASlot("SERVICE_INACTIVE", f"service {service.id} cannot be booked")
        found = self.timetable.day(self.place, day)
        if found.status is DayStatus.HOLIDAY:
            return NotASlot("HOLIDAY", f"{day} is a holiday: {found.note}", found.note)
        length = (start, start + service.duration)
        if not covers(merge(self.timetable.place_open(self.place, length)), length):
            return NotASlot("CLOSED", f"the place is not open for all of {when}", found.note)
        if service.staff_ids and not self._somebody_works(length):
            return NotASlot("STAFF_CLOSED", f"nobody who gives this service works at {when}")
        return NotASlot("NOT_ON_GRID", f"{when} is not a start time of service {service.id}")

    def _somebody_works(self, length: Interval) -> bool:
        staff = self.timetable.catalog.staff
        return any(
            (member := staff.get(staff_id))
            and member.active
            and covers(merge(self.timetable.staff_open(staff_id, length)), length)
            for staff_id in self._wanted(self.service.staff_ids)
        )


def _slot(
    service: Service,
    start: int,
    free: tuple[str, ...],
    resource_ids: tuple[str, ...] | None,
    joinable: tuple[Session, ...],
) -> Slot:
    if not joinable:
        staff_ids = free if service.staff_ids else ()
        return Slot(start, start + service.duration, staff_ids, service.capacity, resource_ids)
    able = set(free if resource_ids is not None else ())
    able.update([session.staff_id for session in joinable])
    left = [service.capacity - session.seats_taken for session in joinable]
    return Slot(
        start,
        start + service.duration,
        tuple([staff_id for staff_id in service.staff_ids if staff_id in able]),
        service.capacity if resource_ids is not None else max(left),
        resource_ids,
        joinable,
    )


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
