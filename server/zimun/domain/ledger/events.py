"""The events of an organization's ledger: what has happened, in the order of their numbers.

An event says all that follows from it: the reservation as the change left it,
and the sessions that the change made, changed or ended. So a ledger can be
brought up to date from events alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.catalog.subjects import taken_subjects
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.intervals import Interval
from zimun.domain.ledger.reservation import LIVE, Reservation, State

FOREVER = 1 << 62
"""The `until` of a session that only a cancellation ends."""

CatalogEntry = Service | StaffMember | Resource | Location


class EventType(StrEnum):
    """What an event records."""

    HOLD_CREATED = "HOLD_CREATED"
    HOLD_EXTENDED = "HOLD_EXTENDED"
    HOLD_RELEASED = "HOLD_RELEASED"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    APPOINTMENT_CONFIRMED = "APPOINTMENT_CONFIRMED"
    APPOINTMENT_RESCHEDULED = "APPOINTMENT_RESCHEDULED"
    APPOINTMENT_CANCELLED = "APPOINTMENT_CANCELLED"
    APPOINTMENT_UPDATED = "APPOINTMENT_UPDATED"
    APPOINTMENT_COMPLETED = "APPOINTMENT_COMPLETED"
    APPOINTMENT_NO_SHOW = "APPOINTMENT_NO_SHOW"
    APPOINTMENT_REOPENED = "APPOINTMENT_REOPENED"
    APPOINTMENT_CONTACT_ERASED = "APPOINTMENT_CONTACT_ERASED"
    ORGANIZATION_SET = "ORGANIZATION_SET"
    SERVICE_SET = "SERVICE_SET"
    STAFF_MEMBER_SET = "STAFF_MEMBER_SET"
    RESOURCE_SET = "RESOURCE_SET"
    LOCATION_SET = "LOCATION_SET"
    OVERRIDE_SET = "OVERRIDE_SET"
    OVERRIDE_DELETED = "OVERRIDE_DELETED"
    TIME_OFF_SET = "TIME_OFF_SET"
    TIME_OFF_DELETED = "TIME_OFF_DELETED"
    HISTORY_PRUNED = "HISTORY_PRUNED"


class Member(NamedTuple):
    """A reservation's part in a session: its seats, and the instant until which it keeps them.

    A hold that has expired stays a member until its expiry is recorded.
    """

    seats: int
    until: int


def member_of(reservation: Reservation) -> Member:
    """The part of a live reservation in its session."""
    held = reservation.state is State.HELD
    return Member(reservation.seats, reservation.expires_at if held else FOREVER)


class Session(NamedTuple):
    """A session: one giving of a service, with the subjects that it takes and its members.

    `busy` is its time with its buffers. It takes its subjects while now < `until`,
    which is 0 once the session has ended. `booked_at` is the instant of its first
    booking, or of its move to this time. `members` are its reservations by hold_id;
    None where they are not loaded.
    """

    session_id: str
    service_id: str
    location_id: str
    staff_id: str
    resource_ids: tuple[str, ...]
    start: int
    end: int
    busy: Interval
    booked_at: int
    capacity: int
    until: int = 0
    seats_taken: int = 0
    members: Mapping[str, Member] | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it takes."""
        return taken_subjects(self.service_id, self.location_id, self.staff_id, self.resource_ids)

    def with_members(self, members: Mapping[str, Member]) -> "Session":
        """The session with these reservations in it; it has ended where there are none."""
        if len(members) == 1:
            [member] = members.values()
            return self._replace(members=members, until=member.until, seats_taken=member.seats)
        return self._replace(
            members=members,
            until=max((member.until for member in members.values()), default=0),
            seats_taken=sum(member.seats for member in members.values()),
        )

    def joined_by(self, reservation: Reservation) -> "Session":
        """The session with a live reservation in it, new or as it has changed."""
        new_member = {reservation.hold_id: member_of(reservation)}
        return self.with_members({**(self.members or {}), **new_member})

    def left_by(self, hold_id: str) -> "Session":
        """The session without a reservation."""
        stay = {key: member for key, member in (self.members or {}).items() if key != hold_id}
        return self.with_members(stay)


class ReservationEvent(NamedTuple):
    """A change of a reservation, with the reservation and its sessions after the change.

    `sessions` are those that the change made, changed or ended. `client_id` is the
    client that requested it; empty for an expiry. `ignored_rules` are the rules that
    the request set aside.
    """

    type: EventType
    client_id: str
    reservation: Reservation
    sessions: Sequence[Session]
    ignored_rules: Sequence[BookingRule] = ()

    def members_after(self, session: Session, before: Mapping[str, Member]) -> dict[str, Member]:
        """The members of a session of this event, given its members before."""
        after, reservation = dict(before), self.reservation
        after.pop(reservation.hold_id, None)
        if reservation.session_id == session.session_id and reservation.state in LIVE:
            after[reservation.hold_id] = member_of(reservation)
        return after


@dataclass(frozen=True, slots=True)
class OverrideDeleted:
    """The deletion of an override."""

    override_id: str
    owner_id: str
    date: date


@dataclass(frozen=True, slots=True)
class TimeOffDeleted:
    """The deletion of time off."""

    time_off_id: str


CatalogValue = Organization | CatalogEntry | Override | OverrideDeleted | TimeOff | TimeOffDeleted


@dataclass(frozen=True, slots=True)
class CatalogEvent:
    """A change of the catalogue: the value as the change left it; None where it was not read."""

    client_id: str
    value: CatalogValue | None

    @property
    def type(self) -> EventType:
        """The type of the event, by the kind of its value."""
        return _TYPES_BY_VALUE[type(self.value)]


_TYPES_BY_VALUE: Mapping[type, EventType] = {
    Organization: EventType.ORGANIZATION_SET,
    Service: EventType.SERVICE_SET,
    StaffMember: EventType.STAFF_MEMBER_SET,
    Resource: EventType.RESOURCE_SET,
    Location: EventType.LOCATION_SET,
    Override: EventType.OVERRIDE_SET,
    OverrideDeleted: EventType.OVERRIDE_DELETED,
    TimeOff: EventType.TIME_OFF_SET,
    TimeOffDeleted: EventType.TIME_OFF_DELETED,
}

CATALOG_TYPES = frozenset(_TYPES_BY_VALUE.values())
"""The types of events about the catalogue."""

Event = ReservationEvent | CatalogEvent


def reservation_events(events: Sequence[Event]) -> Iterator[ReservationEvent]:
    """The events about reservations."""
    return (event for event in events if isinstance(event, ReservationEvent))
