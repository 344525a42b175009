"""Why a time cannot be had: everything that stands in its way, in words and by rule.

The answer itself comes from `Search.slot_at`; this names, of the same facts,
each that would have to be otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from zimun.domain.catalog import Entry
from zimun.domain.instant import MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.opening_hours import DayStatus, local_date, local_rfc3339
from zimun.domain.slot_search import Search
from zimun.domain.slots import Session
from zimun.domain.subjects import service_subject


class Rule(StrEnum):
    """What can stand in the way; `zimun.v1.Obstacle.Rule` says what each means."""

    SERVICE_INACTIVE = "SERVICE_INACTIVE"
    LOCATION_INACTIVE = "LOCATION_INACTIVE"
    HOLIDAY = "HOLIDAY"
    CLOSED = "CLOSED"
    NOT_ON_GRID = "NOT_ON_GRID"
    LEAD_TIME = "LEAD_TIME"
    HORIZON = "HORIZON"
    STAFF_INACTIVE = "STAFF_INACTIVE"
    STAFF_ELSEWHERE = "STAFF_ELSEWHERE"
    STAFF_CLOSED = "STAFF_CLOSED"
    STAFF_BUSY = "STAFF_BUSY"
    STAFF_DAILY_LIMIT = "STAFF_DAILY_LIMIT"
    RESOURCE_INACTIVE = "RESOURCE_INACTIVE"
    RESOURCE_ELSEWHERE = "RESOURCE_ELSEWHERE"
    RESOURCE_BUSY = "RESOURCE_BUSY"
    RESOURCES_SHARED = "RESOURCES_SHARED"
    SERVICE_BUSY = "SERVICE_BUSY"
    SEATS_TAKEN = "SEATS_TAKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing that stands in the way of a time.

    `subject_id` is the service, location, staff member or resource that it is
    about; `busy` is when it is taken, buffers included.
    """

    rule: Rule
    message: str
    subject_id: str
    note: str = ""
    busy: Interval | None = None


_TAKEN = (Rule.STAFF_BUSY, Rule.RESOURCE_BUSY, Rule.SERVICE_BUSY)


def obstacles(search: Search, start: int) -> list[Obstacle]:
    """Everything that stands in the way of a start that is no slot.

    First what concerns the service and the place, then each staff member and
    each resource. Of people nothing is said where one could serve, of things
    nothing where they suffice.
    """
    return list(_Explanation(search, start).obstacles())


class _Explanation:
    def __init__(self, search: Search, start: int) -> None:
        self.search, self.start = search, start
        self.service, self.place = search.service, search.place
        self.catalog = search.timetable.catalog
        self.wanted = self.service.taken(start)
        self.when = self._wall(start)
        self.subject = service_subject(self.service.id, self.place.id)

    def obstacles(self) -> Iterator[Obstacle]:
        closed = [*self._service(), *self._place()]
        yield from closed
        yield from self._window()
        sessions = [one for one in self._running() if self._could_be_joined(one)]
        for session in sessions:
            yield from self._seats(session)
        # What a session that runs takes itself is not what is missing.
        own = {one for session in sessions for one in (session.staff_id, *session.resource_ids)}
        own |= {self.service.id} if sessions else set()
        for obstacle in (*self._staff(closed != []), *self._things()):
            if obstacle.rule not in _TAKEN or obstacle.subject_id not in own:
                yield obstacle

    def _service(self) -> Iterator[Obstacle]:
        if not self.service.active:
            yield self._of(Rule.SERVICE_INACTIVE, self.service, "is archived")

    def _place(self) -> Iterator[Obstacle]:
        location = self.catalog.locations.get(self.place.id)
        where: Entry = location or self.catalog.organization
        found = self.search.timetable.day(self.place, local_date(self.place.time_zone, self.start))
        if location and not location.active:
            yield self._of(Rule.LOCATION_INACTIVE, location, "is archived")
        elif found.status is DayStatus.HOLIDAY:
            told = f"is closed on {found.date}, a public holiday: {found.note}"
            yield self._of(Rule.HOLIDAY, where, told, found.note)
        elif not self.search.is_place_open(self.start):
            told = f"is not open for all of the {self._length} from {self.when} on"
            yield self._of(Rule.CLOSED, where, told, found.note)

    def _window(self) -> Iterator[Obstacle]:
        if self.start < self.search.opens:
            told = f"can be booked from {self._wall(self.search.opens)} on: it needs more notice"
            yield self._of(Rule.LEAD_TIME, self.service, told)
        if self.start > self.search.closes:
            told = f"can be booked until {self._wall(self.search.closes)}: that is too far ahead"
            yield self._of(Rule.HORIZON, self.service, told)

    def _running(self) -> Sequence[Session]:
        return self.search.sessions_at(self.start) if self.service.capacity > 1 else ()

    def _could_be_joined(self, session: Session) -> bool:
        """Whether it would serve, had it the seats: its staff member is requested and on duty."""
        if not self.service.staff_ids:
            return session.staff_id == "" and any(self._on_duty)
        wanted = session.staff_id in self.search.candidates
        return wanted and self._is_on_duty(session.staff_id)

    def _is_on_duty(self, staff_id: str) -> bool:
        on_duty = self._on_duty
        return bool(on_duty and on_duty[self.service.staff_ids.index(staff_id)])

    def _seats(self, session: Session) -> Iterator[Obstacle]:
        left = max(self.service.capacity - session.seats_taken, 0)
        if left < self.search.seats:
            told = f"has {left} of {self.service.capacity} seats left at {self.when}"
            yield self._of(Rule.SEATS_TAKEN, self.service, told)

    def _staff(self, closed: bool) -> Iterator[Obstacle]:
        """Each staff member who could serve were it not for something; none where one can."""
        if not self.service.staff_ids:
            if not closed and not any(self._on_duty):
                yield self._of(Rule.NOT_ON_GRID, self.service, f"does not start at {self.when}")
            return
        each = [list(self._member(staff_id, closed)) for staff_id in self.search.candidates]
        if all(each):
            yield from (obstacle for found in each for obstacle in found)

    def _member(self, staff_id: str, closed: bool) -> Iterator[Obstacle]:
        member = self.catalog.staff[staff_id]
        if not member.active:
            yield self._of(Rule.STAFF_INACTIVE, member, "is archived")
            return
        if not member.works_at(self.place):
            yield self._of(Rule.STAFF_ELSEWHERE, member, "does not work at this location")
        elif not self.search.works(staff_id, self.start):
            note = self._note(staff_id, member.time_zone)
            told = f"does not work for all of the {self._length} from {self.when} on"
            yield self._of(Rule.STAFF_CLOSED, member, told, note)
        elif not closed and not self._is_on_duty(staff_id):
            told = f"gives no {self.service.name} that starts at {self.when}"
            yield self._of(Rule.NOT_ON_GRID, member, told)
        if self.search.is_full(staff_id, self.start):
            told = f"takes {member.daily_limit} bookings a day and has them on this one"
            yield self._of(Rule.STAFF_DAILY_LIMIT, member, told)
        yield from self._busy(Rule.STAFF_BUSY, member)

    def _things(self) -> Iterator[Obstacle]:
        service, usable = self.service, set[str]()
        if service.needs_nothing:
            yield from self._busy(Rule.SERVICE_BUSY, service, self.subject)
        found: list[Obstacle] = []
        for resource_id in service.resource_ids:
            unusable = list(self._thing(resource_id))
            found += unusable
            usable |= set() if unusable else {resource_id}
        if self.search.assignment(usable) is not None:
            return
        yield from found
        if all(usable.intersection(one_of) for one_of in service.resource_requirements):
            told = "has requirements that only the same resource could satisfy"
            yield self._of(Rule.RESOURCES_SHARED, service, told)

    def _thing(self, resource_id: str) -> Iterator[Obstacle]:
        resource = self.catalog.resources[resource_id]
        if not resource.active:
            yield self._of(Rule.RESOURCE_INACTIVE, resource, "is archived")
            return
        if not resource.is_at(self.place):
            yield self._of(Rule.RESOURCE_ELSEWHERE, resource, "is at another location")
        yield from self._busy(Rule.RESOURCE_BUSY, resource)

    def _busy(self, rule: Rule, entry: Entry, subject: str = "") -> Iterator[Obstacle]:
        for begin, end in self.search.busy.overlapping(subject or entry.id, self.wanted):
            told = f"{entry.name} is taken from {self._wall(begin)} to {self._wall(end)}"
            yield Obstacle(rule=rule, message=told, subject_id=entry.id, busy=(begin, end))

    @property
    def _on_duty(self) -> Sequence[int]:
        day = local_date(self.place.time_zone, self.start)
        return self.search.timetable.grid(self.service, self.place, day).at(self.start)

    @property
    def _length(self) -> str:
        return f"{self.service.duration // MINUTE} minutes"

    def _note(self, owner_id: str, zone: str) -> str:
        override = self.catalog.overrides.get((owner_id, local_date(zone, self.start)))
        return override.note if override else ""

    def _of(self, rule: Rule, entry: Entry, told: str, note: str = "") -> Obstacle:
        return Obstacle(rule=rule, message=f"{entry.name} {told}", subject_id=entry.id, note=note)

    def _wall(self, instant: int) -> str:
        """Wall time of the place, as people write it: 2026-02-20 10:00 in Europe/Berlin."""
        shown = local_rfc3339(self.place.time_zone, instant)[:16].replace("T", " ")
        return f"{shown} in {self.place.time_zone}"
