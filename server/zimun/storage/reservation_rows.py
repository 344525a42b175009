"""Rows of reservations and events to domain values and back; nothing here decides."""

import json
from collections import namedtuple
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from zimun.domain.ignored_rules import BookingRule
from zimun.domain.ledger.events import (
    CATALOG_TYPES,
    CatalogEvent,
    Event,
    EventType,
    ReservationEvent,
    Session,
)
from zimun.domain.ledger.reservation import Contact, Reservation, State, contact_key
from zimun.storage.schema import reservations

_ReservationRow: Any = namedtuple(  # type: ignore[misc]  # its fields are the columns
    "_ReservationRow", [column.name for column in reservations.columns]
)


RESERVATION_COLUMNS = tuple(column.name for column in reservations.columns)


def reservation(values: Sequence[Any]) -> Reservation:
    """From the columns of `reservations`, in their order."""
    row: Any = _ReservationRow._make(values)
    return Reservation(
        org_id=row.org_id,
        hold_id=row.hold_id,
        session_id=row.session_id,
        service_id=row.service_id,
        location_id=row.location_id,
        staff_id=row.staff_id,
        resource_ids=tuple(json.loads(row.resource_ids)),
        seats=row.seats,
        start=row.start_time,
        end=row.end_time,
        state=State(row.state),
        expires_at=row.expires_at,
        create_time=row.create_time,
        update_time=row.update_time,
        revision=row.revision,
        appointment_id=row.appointment_id,
        confirm_time=row.confirm_time,
        contact=Contact(
            name=row.contact_name,
            email=row.contact_email,
            phone=row.contact_phone,
            notes=row.notes,
            metadata=json.loads(row.metadata),
        ),
        cancel_reason=row.cancel_reason,
        outcome_time=row.outcome_time,
    )


def reservation_row(reservation: Reservation) -> tuple[Any, ...]:
    """The columns of `reservations`, in their order."""
    contact, resource_ids = reservation.contact, reservation.resource_ids
    return (
        reservation.org_id,
        reservation.hold_id,
        reservation.appointment_id,
        reservation.session_id,
        reservation.service_id,
        reservation.location_id,
        reservation.staff_id,
        json.dumps(resource_ids) if resource_ids else "[]",
        reservation.seats,
        reservation.start,
        reservation.end,
        reservation.state.value,
        reservation.expires_at,
        reservation.create_time,
        reservation.update_time,
        reservation.confirm_time,
        reservation.revision,
        contact.name,
        contact.email,
        contact.phone,
        contact.notes,
        json.dumps(dict(contact.metadata)) if contact.metadata else "{}",
        reservation.cancel_reason,
        reservation.outcome_time,
        contact_key(contact.email),
    )


def reservation_values(reservation: Reservation) -> dict[str, Any]:
    """The values of `reservations` by column."""
    return dict(zip(RESERVATION_COLUMNS, reservation_row(reservation), strict=True))


def event_json(event: ReservationEvent) -> str:
    """An event as JSON, which `event` reads."""
    row = reservation_values(event.reservation)
    del row["contact_key"]
    facts = {
        "reservation": row,
        "sessions": [_session_facts(session) for session in event.sessions],
    }
    if event.ignored_rules:
        facts["ignored_rules"] = list(event.ignored_rules)
    return json.dumps(facts)


_SESSION_FACTS = (
    "session_id",
    "service_id",
    "location_id",
    "staff_id",
    "resource_ids",
    "start",
    "end",
    "busy",
    "booked_at",
    "capacity",
    "until",
    "seats_taken",
)

_session_values = attrgetter(*_SESSION_FACTS)


def _session_facts(session: Session) -> dict[str, Any]:
    return dict(zip(_SESSION_FACTS, _session_values(session), strict=True))


def event(kind: str, client_id: str, data: str) -> Event:
    """An event as `event_json` wrote it; of the catalogue's, only that it was one."""
    if kind in CATALOG_TYPES:
        return CatalogEvent(client_id, None)
    fields = json.loads(data)
    return ReservationEvent(
        EventType(kind),
        client_id,
        _reservation_of(fields["reservation"]),
        [_session(facts) for facts in fields["sessions"]],
        _ignored_rules(fields),
    )


def _ignored_rules(fields: Mapping[str, Any]) -> tuple[BookingRule, ...]:
    return tuple(map(BookingRule, fields.get("ignored_rules", ())))


def reservation_of_event(data: str) -> tuple[Reservation, tuple[BookingRule, ...]]:
    """The reservation as the event with these data left it, and the rules that it set aside."""
    fields = json.loads(data)
    return _reservation_of(fields["reservation"]), _ignored_rules(fields)


_LATER_COLUMNS = {"outcome_time": 0, "contact_key": ""}
"""Columns that events do not have, or those of earlier versions do not, with their values then."""


def _reservation_of(columns: Mapping[str, Any]) -> Reservation:
    values = {**_LATER_COLUMNS, **columns}
    return reservation([values[name] for name in RESERVATION_COLUMNS])


def _session(facts: dict[str, Any]) -> Session:
    return Session(
        **facts | {"resource_ids": tuple(facts["resource_ids"]), "busy": tuple(facts["busy"])}
    )
