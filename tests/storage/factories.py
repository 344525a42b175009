"""Makes reservations, sessions and events of the salon, and appends events that no method makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import Decision
from zimun.domain.instant import MINUTE
from zimun.domain.ledger.events import Event, EventType, ReservationEvent, Session
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import LIVE, Reservation, State
from zimun.stores import Stores

from .sample_catalog import CUT, NOW, ORG, SAM, SERVICES, at


@dataclass(frozen=True)
class AddEvents:
    """The command to append these events; nothing checks them."""

    events: Sequence[Event]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision(self.events, None)


async def add_events(stores: Stores, *events: Event, org_id: str = ORG) -> None:
    """Append events to a ledger."""
    await stores.writer.run(org_id, AddEvents(events))


def make_hold(number: int = 1, **changes: Any) -> Reservation:
    """A hold of the salon as `booking.hold` would make it; `number` tells it from others."""
    plain = Reservation(
        org_id=ORG,
        hold_id=f"h_{number}",
        session_id=f"x_{number}",
        service_id=CUT.id,
        location_id="",
        staff_id="t_ada",
        resource_ids=(),
        seats=1,
        start=at(10),
        end=at(10, 30),
        state=State.HELD,
        expires_at=NOW + 10 * MINUTE,
        create_time=NOW,
        update_time=NOW,
    )
    return plain._replace(**changes)


def make_appointment(number: int = 1, **changes: Any) -> Reservation:
    """As `make_hold`, but confirmed."""
    confirmed = {"state": State.CONFIRMED, "appointment_id": f"a_{number}", "confirm_time": NOW}
    return make_hold(number, **{**confirmed, "contact": SAM, **changes})


def make_session(
    *members: Reservation, services: Mapping[str, Service] = SERVICES, **changes: Any
) -> Session:
    """The session of reservations that share one; those that are not live leave it."""
    first = members[0]
    service = services[first.service_id]
    session = Session(
        session_id=first.session_id,
        service_id=service.id,
        location_id=first.location_id,
        staff_id=first.staff_id,
        resource_ids=first.resource_ids,
        start=first.start,
        end=first.end,
        busy=(first.start - service.buffer_before, first.end + service.buffer_after),
        booked_at=first.create_time,
        capacity=service.capacity,
    ).with_members({})
    for member in members:
        if member.state in LIVE:
            session = session.joined_by(member)
    return session._replace(**changes)


_FIRST_TYPES = {
    State.HELD: EventType.HOLD_CREATED,
    State.RELEASED: EventType.HOLD_RELEASED,
    State.EXPIRED: EventType.HOLD_EXPIRED,
    State.CONFIRMED: EventType.APPOINTMENT_CONFIRMED,
    State.CANCELLED: EventType.APPOINTMENT_CANCELLED,
}


def make_event(
    reservation: Reservation, kind: EventType | None = None, client_id: str = ""
) -> ReservationEvent:
    """The event that makes a reservation what it is, alone in its session."""
    kind = kind or _FIRST_TYPES[reservation.state]
    return ReservationEvent(kind, client_id, reservation, (make_session(reservation),))
