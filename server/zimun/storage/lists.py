"""Lists of reservations and of their changes, on a connection of either engine."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_

from zimun.booking.store import AppointmentFilter, HoldFilter, ReservationChange
from zimun.domain.ignored_rules import BookingRule, in_order
from zimun.domain.ledger.events import EventType
from zimun.domain.ledger.reservation import Reservation, State, as_of, contact_key
from zimun.storage import reservation_rows
from zimun.storage.schema import IS_APPOINTMENT, IS_HELD, IS_OF_HOLD, events, reservations

_APPOINTMENT_EVENTS = [kind.value for kind in EventType if kind.name.startswith("APPOINTMENT_")]

Condition = ColumnElement[bool]


def appointments(
    connection: Connection,
    org_id: str,
    criteria: AppointmentFilter,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Reservation]:
    """As `booking.store.LedgerStore.appointments`."""
    c = reservations.c
    query = select(reservations).where(c.org_id == org_id, IS_APPOINTMENT)
    query = query.where(*_appointment_conditions(org_id, criteria))
    key = tuple_(c.start_time, c.appointment_id)
    order: list[Any] = [c.start_time, c.appointment_id]
    if criteria.descending:
        order = [column.desc() for column in order]
    if after:
        query = query.where(key < tuple_(*after) if criteria.descending else key > tuple_(*after))
    rows = connection.execute(query.order_by(*order).limit(limit))
    return [reservation_rows.reservation(row) for row in rows]


def _appointment_conditions(org_id: str, criteria: AppointmentFilter) -> list[Condition]:
    c = reservations.c
    conditions = _equal(service_id=criteria.service_id, staff_id=criteria.staff_id)
    conditions += _equal(location_id=criteria.location_id, state=criteria.state)
    if criteria.start_from is not None:
        conditions.append(c.start_time >= criteria.start_from)
    if criteria.start_before is not None:
        conditions.append(c.start_time < criteria.start_before)
    if criteria.contact_email:
        conditions.append(c.contact_key == contact_key(criteria.contact_email))
    if criteria.resource_id:
        quoted = json.dumps(criteria.resource_id)
        conditions.append(func.replace(c.resource_ids, quoted, "") != c.resource_ids)
    if criteria.update_from is not None:
        conditions.append(c.update_time >= criteria.update_from)
        conditions.append(c.hold_id.in_(_changed_since(org_id, criteria.update_from)))
    return conditions


def _equal(**criteria: str | None) -> list[Condition]:
    return [reservations.c[name] == value for name, value in criteria.items() if value]


def _changed_since(org_id: str, instant: int) -> Any:
    """The holds that have an event since an instant, found from the newest event backwards."""
    c, older = events.c, events.alias("older")
    last_before = (
        select(older.c.seq)
        .where(older.c.org_id == org_id, older.c.time < instant)
        .order_by(older.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(c.hold_id).where(c.org_id == org_id, c.seq > func.coalesce(last_before, 0))


def holds(
    connection: Connection, org_id: str, criteria: HoldFilter, now: int, after: str, limit: int
) -> list[Reservation]:
    """As `booking.store.LedgerStore.holds`."""
    c = reservations.c
    query = select(reservations).where(c.org_id == org_id, c.hold_id > after)
    query = query.where(*_equal(service_id=criteria.service_id, staff_id=criteria.staff_id))
    query = query.where(*_equal(location_id=criteria.location_id), *_in_state(criteria.state, now))
    rows = connection.execute(query.order_by(c.hold_id).limit(limit))
    return [as_of(reservation_rows.reservation(row), now) for row in rows]


def _in_state(state: State | None, now: int) -> list[Any]:
    """What is true of holds that are in a state at `now`, recorded or not."""
    c = reservations.c
    match state:
        case None:
            return []
        case State.HELD:
            return [IS_HELD, c.expires_at > now]
        case State.EXPIRED:
            over = and_(c.state == State.HELD.value, c.expires_at <= now)
            return [or_(c.state == state, over)]
        case State.CONFIRMED:
            return [IS_APPOINTMENT]
    return [c.state == state]


def appointment_changes(
    connection: Connection, org_id: str, hold_id: str, revision: int, limit: int
) -> list[ReservationChange]:
    """As `booking.store.LedgerStore.appointment_changes`."""
    c = events.c
    rows = connection.execute(
        select(c.time, c.type, c.client_id, c.data)
        .where(c.org_id == org_id, c.hold_id == hold_id, IS_OF_HOLD, c.revision >= revision)
        .where(c.type.in_(_APPOINTMENT_EVENTS))
        .order_by(c.revision)
        .limit(limit)
    )
    changes = [
        ReservationChange(
            time, EventType(kind), client_id, *reservation_rows.reservation_of_event(data)
        )
        for time, kind, client_id, data in rows
    ]
    if changes and changes[0].type is EventType.APPOINTMENT_CONFIRMED:
        ignored = _ignored_by_hold(connection, org_id, hold_id)
        ignored = in_order((*ignored, *changes[0].ignored_rules))
        changes[0] = changes[0]._replace(ignored_rules=ignored)
    return changes


def _ignored_by_hold(connection: Connection, org_id: str, hold_id: str) -> Sequence[BookingRule]:
    """The rules that a hold set aside."""
    c = events.c
    created = select(c.data).where(c.org_id == org_id, c.hold_id == hold_id, IS_OF_HOLD)
    data = connection.execute(created.where(c.revision == 1)).scalar()
    return reservation_rows.reservation_of_event(data)[1] if data else ()
