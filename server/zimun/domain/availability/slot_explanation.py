"""Why a start is no slot: every rule that it breaks, as obstacles, the most important first.

Each rule is checked by itself, as if all others were met. The first obstacle is the
reason for which a hold is refused (`slot_refusal`). First come the rules by which the
start is *never* a slot, then the booking window, then what is *taken*. Staff members
have no obstacles where one of them could serve, resources none where they suffice, and
neither has any where a session can be joined.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from zimun.domain.availability.assignment import unmet
from zimun.domain.availability.obstacles import (
    RULES_SET_ASIDE,
    TAKEN_RULES,
    Obstacle,
    Rule,
)
from zimun.domain.availability.opening_hours import DayStatus, local_date, local_rfc3339
from zimun.domain.availability.presence import with_all_present
from zimun.domain.availability.roster import NO_STAFF
from zimun.domain.availability.single_start import (
    is_between_steps,
    is_place_open,
    is_within_hours,
    works,
)
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Session
from zimun.domain.availability.tallies import limit_text
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT
from zimun.domain.catalog.entries import Entry, Resource, SlotAlignment, StaffMember
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.catalog.time_off import OwnerTimeOff
from zimun.domain.instant import MINUTE
from zimun.domain.intervals import overlapping


def obstacles(search: Search, start: int) -> list[Obstacle]:
    """Every obstacle of a start that is no slot, each once."""
    return list(dict.fromkeys(_Explanation(search, start).obstacles()))


def first_obstacle(search: Search, start: int) -> Obstacle:
    """The first obstacle of a start that is no slot."""
    return next(_Explanation(search, start).obstacles())


def first_time_off(search: Search, staff_id: str, start: int) -> Obstacle:
    """The first time off of the place or of a staff member (empty: none), where there is any."""
    return next(_Explanation(search, start).time_off_of(staff_id))


class _ResourceObstacles(NamedTuple):
    """The obstacles of resources: `absent` are those that stay whatever is booked."""

    absent: Sequence[Obstacle] = ()
    all: Sequence[Obstacle] = ()


class _Explanation:
    """The obstacles of one start; each set of them is computed when it is first needed."""

    def __init__(self, search: Search, start: int) -> None:
        self.start, self.service, self.place = start, search.service, search.place
        self.catalog, self.time_off = search.timetable.catalog, search.timetable.time_off
        self.candidates = search.candidates or NO_STAFF
        # Archived and elsewhere are rules of their own, and so is time off.
        self.search = with_all_present(search)
        self.taken = self.service.taken(start)
        self.when = self._local_time(start)
        set_aside = (RULES_SET_ASIDE.get(ignored, ()) for ignored in search.ignored)
        self.ignored = set(chain.from_iterable(set_aside))

    def obstacles(self) -> Iterator[Obstacle]:
        yield from self._service()
        yield from self._not_ignored(self._place())
        yield from self._not_ignored(self._service_steps())
        never = all(self.off_duty.values())
        if never:
            yield from self._staff_in_order()
        resources = self._resources()
        yield from resources.absent
        yield from self._booking_window()
        yield from self.customer_limits
        if self.is_joinable or self._can_begin([*resources.absent, *resources.all]):
            return
        yield from self._seats(self.full_sessions)
        yield from self.service_limits
        if not never and all(self.staff_obstacles.values()):
            yield from self._staff_in_order()
        # The staff and resources of a full session are no obstacles: its seats are.
        subjects_of_full = {self.service.id} if self.full_sessions else set()
        subjects_of_full.update(*(session.resource_ids for session in self.full_sessions))
        for obstacle in resources.all:
            if obstacle.rule not in TAKEN_RULES or obstacle.subject_id not in subjects_of_full:
                yield obstacle

    # The service, the place and the booking window.

    def _service(self) -> Iterator[Obstacle]:
        if not self.service.active:
            yield self._obstacle(Rule.SERVICE_INACTIVE, self.service, "is archived")

    def _place(self) -> Iterator[Obstacle]:
        location, where = self.catalog.locations.get(self.place.id), self._place_entry
        day = self.search.timetable.day(self.place, self._date)
        if location and not location.active:
            yield self._obstacle(Rule.LOCATION_INACTIVE, location, "is archived")
        if day.status is DayStatus.HOLIDAY:
            message = f"is closed on {day.date}, a public holiday: {day.note}"
            yield self._obstacle(Rule.HOLIDAY, where, message, day.note)
        elif not is_place_open(self.search.timetable, self.service, self.place, self.start):
            message = f"is not open for all of the {self._length} from {self.when} on"
            yield self._obstacle(Rule.CLOSED, where, message, day.note)
        yield from self._time_off_of_place()
        if not is_within_hours(self.search.timetable, self.service, self.place, self.start):
            message = f"is not given for all of the {self._length} from {self.when} on"
            yield self._obstacle(Rule.SERVICE_CLOSED, self.service, message)

    def _service_steps(self) -> Iterator[Obstacle]:
        """NOT_ON_GRID of the service, where its steps are no staff member's own."""
        if (self._is_by_hour or not self.service.staff_ids) and self._is_between_steps(""):
            yield self._obstacle(Rule.NOT_ON_GRID, self.service, f"does not start at {self.when}")

    @property
    def _is_by_hour(self) -> bool:
        return self.service.slot_alignment is SlotAlignment.HOUR

    def _booking_window(self) -> Iterator[Obstacle]:
        if self.start < self.search.window.earliest:
            earliest = self._local_time(self.search.window.earliest)
            message = f"can be booked from {earliest} on: it needs more notice"
            yield self._obstacle(Rule.LEAD_TIME, self.service, message)
        if self.start > self.search.window.latest:
            latest = self._local_time(self.search.window.latest)
            message = f"can be booked until {latest}: that is too far ahead"
            yield self._obstacle(Rule.HORIZON, self.service, message)

    # Sessions that run at this start.

    @cached_property
    def _sessions(self) -> Mapping[str, Sequence[Session]]:
        """The sessions that begin at this start, by each staff member who could serve."""
        sessions = self.search.sessions_at(self.start) if self.service.capacity > 1 else ()
        return {
            staff_id: [session for session in sessions if session.staff_id == staff_id]
            for staff_id in self.candidates
        }

    def _has_free_seats(self, session: Session) -> bool:
        return session.seats_taken + self.search.seats <= self.service.capacity

    @cached_property
    def is_joinable(self) -> bool:
        """Whether a session could be joined, place and time aside."""
        return any(
            any(map(self._has_free_seats, sessions)) and not self.off_duty[staff_id]
            for staff_id, sessions in self._sessions.items()
        )

    @cached_property
    def full_sessions(self) -> Sequence[Session]:
        """The sessions that could be joined if they had enough free seats."""
        return [
            session
            for staff_id, sessions in self._sessions.items()
            for session in sessions
            if not self._has_free_seats(session) and not self.off_duty[staff_id]
        ]

    def _seats(self, sessions: Iterable[Session]) -> Iterator[Obstacle]:
        for session in sessions:
            left = max(self.service.capacity - session.seats_taken, 0)
            message = f"has {left} of {self.service.capacity} seats left at {self.when}"
            if session.staff_id:
                message = f"with {self.catalog.staff[session.staff_id].name} {message}"
            obstacle = self._obstacle(Rule.SEATS_TAKEN, self.service, message)
            yield replace(obstacle, staff_id=session.staff_id)

    # Staff members.

    def _staff_in_order(self) -> Iterator[Obstacle]:
        """The obstacles of all staff members; those of busy staff members on duty come first."""
        ordered = sorted(self.candidates, key=lambda staff_id: bool(self.off_duty[staff_id]))
        return (obstacle for staff_id in ordered for obstacle in self.staff_obstacles[staff_id])

    @cached_property
    def off_duty(self) -> Mapping[str, Sequence[Obstacle]]:
        """The obstacles of each staff member that stay whatever is booked."""
        return {
            staff_id: [*self._not_ignored(self._off_duty(staff_id))] if staff_id else []
            for staff_id in self.candidates
        }

    def _off_duty(self, staff_id: str) -> Iterator[Obstacle]:
        member = self.catalog.staff.get(staff_id)
        if member is None:
            message = f"there is no staff member {staff_id}"
            yield Obstacle(rule=Rule.STAFF_CLOSED, message=message, subject_id=staff_id)
            return
        if not member.active:
            yield self._obstacle(Rule.STAFF_INACTIVE, member, "is archived")
        if not member.works_at(self.place):
            yield self._obstacle(Rule.STAFF_ELSEWHERE, member, "does not work at this location")
        if not works(self.search.timetable, self.service, member.id, self.start):
            message = f"does not work for all of the {self._length} from {self.when} on"
            yield self._obstacle(Rule.STAFF_CLOSED, member, message, self._note(member))
        yield from self._time_off(Rule.STAFF_TIME_OFF, member, self.time_off[member.id])
        if not self._is_by_hour and self._is_between_steps(member.id):
            message = f"gives no {self.service.name} that starts at {self.when}"
            yield self._obstacle(Rule.NOT_ON_GRID, member, message)

    @cached_property
    def staff_obstacles(self) -> Mapping[str, Sequence[Obstacle]]:
        """All obstacles of each staff member."""
        return {
            staff_id: [*self.off_duty[staff_id], *self._not_ignored(self._booked(staff_id))]
            if staff_id
            else []
            for staff_id in self.candidates
        }

    def _booked(self, staff_id: str) -> Iterator[Obstacle]:
        """The obstacles of a staff member's bookings; of the service's sessions only full seats."""
        if sessions := self._sessions[staff_id]:
            if not any(map(self._has_free_seats, sessions)):
                yield from self._seats(sessions)
            return
        member = self.catalog.staff.get(staff_id)
        if member is None:
            return
        yield from self._limits(staff_id, member.name)
        yield from self._busy(Rule.STAFF_BUSY, member, staff_id)

    def _can_begin(self, lacking: Sequence[Obstacle]) -> bool:
        """Whether a new session could begin, given what resources lack."""
        has_staff = not all(self.staff_obstacles[staff_id] for staff_id in self._without_session)
        return has_staff and not lacking and not self.service_limits

    @property
    def _without_session(self) -> Sequence[str]:
        """The staff members who give no session of the service at this start."""
        sessions = self._sessions
        return [staff_id for staff_id in self.candidates if not (staff_id and sessions[staff_id])]

    # Resources.

    def _resources(self) -> _ResourceObstacles:
        """The obstacles of the resources of a new session."""
        if self.is_joinable or not self._without_session:
            return _ResourceObstacles()
        if self.service.needs_nothing:
            subject = service_subject(self.service.id, self.place.id)
            busy = self._busy(Rule.SERVICE_BUSY, self.service, subject)
            return _ResourceObstacles(all=list(busy))
        entries = self.catalog.resources
        resources = [entries[resource_id] for resource_id in self.service.resource_ids]
        absent = {resource.id: list(self._absent(resource)) for resource in resources}
        by_resource = {
            resource.id: [
                *absent[resource.id],
                *self._limits(resource.id, resource.name),
                *self._busy(Rule.RESOURCE_BUSY, resource, resource.id),
            ]
            for resource in sorted(resources, key=lambda resource: bool(absent[resource.id]))
        }
        present = {resource_id for resource_id in absent if not absent[resource_id]}
        free = {resource_id for resource_id in by_resource if not by_resource[resource_id]}
        missing = list(self._missing(by_resource, free))
        if self.full_sessions:
            return _ResourceObstacles(all=missing)
        return _ResourceObstacles(list(self._missing(by_resource, present)), missing)

    def _absent(self, resource: Resource) -> Iterator[Obstacle]:
        if not resource.active:
            yield self._obstacle(Rule.RESOURCE_INACTIVE, resource, "is archived")
        if not resource.is_at(self.place):
            yield self._obstacle(Rule.RESOURCE_ELSEWHERE, resource, "is at another location")
        yield from self._time_off(Rule.RESOURCE_TIME_OFF, resource, self.time_off[resource.id])

    def _missing(
        self, by_resource: Mapping[str, Sequence[Obstacle]], usable: Set[str]
    ) -> Iterator[Obstacle]:
        """The obstacles of the resources that would help where the usable resources do not
        suffice."""
        requirements = self.service.resource_requirements
        options = [list(filter(usable.__contains__, one_of)) for one_of in requirements]
        left = unmet(options)
        helping = {resource_id for n in left for resource_id in requirements[n]} - usable
        for resource_id, missing in by_resource.items():
            if resource_id in helping:
                yield from missing
        if any(options[n] for n in left):
            message = "has requirements that only the same resource could satisfy"
            yield self._obstacle(Rule.RESOURCES_SHARED, self.service, message)

    # Limits of bookings.

    @cached_property
    def customer_limits(self) -> Sequence[Obstacle]:
        """The obstacles of limits of the customer whose appointment is moved."""
        return list(self._limits(CUSTOMER_SUBJECT, "this customer"))

    @cached_property
    def service_limits(self) -> Sequence[Obstacle]:
        """The obstacles of limits of the service's sessions."""
        return list(self._limits(self.service.id, self.service.name))

    def _limits(self, subject: str, name: str) -> Iterator[Obstacle]:
        for applied, ends in self.search.limits_reached(subject, self.start):
            if applied.is_daily_limit:
                maximum = applied.limit.max_bookings
                message = f"{name} takes {maximum} bookings a day and has them on this one"
                yield Obstacle(rule=Rule.STAFF_DAILY_LIMIT, message=message, subject_id=subject)
            else:
                yield Obstacle(
                    rule=Rule.LIMIT_REACHED,
                    message=limit_text(name, applied.limit),
                    subject_id=subject,
                    limit=applied,
                    limit_ends=ends,
                )

    def time_off_of(self, staff_id: str) -> Iterator[Obstacle]:
        """Time off of the place, then of a staff member (empty: none)."""
        yield from self._time_off_of_place()
        if member := self.catalog.staff.get(staff_id):
            yield from self._time_off(Rule.STAFF_TIME_OFF, member, self.time_off[staff_id])

    # What they have in common.

    @property
    def _place_entry(self) -> Entry:
        """The location, or the organization where the service has none."""
        return self.catalog.locations.get(self.place.id) or self.catalog.organization

    def _time_off_of_place(self) -> Iterator[Obstacle]:
        time = self.start, self.start + self.service.duration
        time_off = self.time_off.of_place(self.place.id, time)
        return self._time_off(Rule.TIME_OFF, self._place_entry, time_off)

    def _time_off(self, rule: Rule, entry: Entry, time_off: OwnerTimeOff) -> Iterator[Obstacle]:
        time = self.start, self.start + self.service.duration
        for (begin, end), entry_time_off in time_off.overlapping(time):
            message = f"has time off from {self._local_time(begin)} to {self._local_time(end)}"
            obstacle = self._obstacle(rule, entry, message, entry_time_off.note)
            yield replace(obstacle, busy=(begin, end))

    def _busy(self, rule: Rule, entry: Entry, subject: str) -> Iterator[Obstacle]:
        for begin, end in overlapping(self.search.busy.taken.get(subject, ()), self.taken):
            message = (
                f"{entry.name} is taken from {self._local_time(begin)} to {self._local_time(end)}"
            )
            yield Obstacle(rule=rule, message=message, subject_id=entry.id, busy=(begin, end))

    def _not_ignored(self, obstacles: Iterable[Obstacle]) -> Iterator[Obstacle]:
        """The obstacles of rules that are not set aside."""
        return (obstacle for obstacle in obstacles if obstacle.rule not in self.ignored)

    def _is_between_steps(self, staff_id: str) -> bool:
        timetable = self.search.timetable
        return is_between_steps(timetable, self.service, self.place, staff_id, self.start)

    @cached_property
    def _date(self) -> date:
        return local_date(self.place.time_zone, self.start)

    @property
    def _length(self) -> str:
        return f"{self.service.duration // MINUTE} minutes"

    def _note(self, member: StaffMember) -> str:
        day = local_date(member.time_zone, self.start)
        override = self.catalog.overrides.get((member.id, day))
        return override.note if override else ""

    def _obstacle(self, rule: Rule, entry: Entry, message: str, note: str = "") -> Obstacle:
        return Obstacle(
            rule=rule, message=f"{entry.name} {message}", subject_id=entry.id, note=note
        )

    def _local_time(self, instant: int) -> str:
        """Wall time of the place in a message: 2026-02-20 10:00 in Europe/Berlin."""
        wall_time = local_rfc3339(self.place.time_zone, instant)[:16].replace("T", " ")
        return f"{wall_time} in {self.place.time_zone}"
