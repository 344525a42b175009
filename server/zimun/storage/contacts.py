"""Finds and erases contacts in reservations, events and stored responses, on either engine.

Events are changed nowhere else: their personal data are emptied in place, and a new event
records it.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    bindparam,
    case,
    insert,
    select,
    tuple_,
    update,
)

from zimun.booking.store import ResponseWithoutContact
from zimun.domain.ledger.contacts import PERSONAL_FIELDS, erased, is_upcoming
from zimun.domain.ledger.events import EventType, ReservationEvent
from zimun.domain.ledger.reservation import Reservation, State, contact_key
from zimun.storage import reservation_rows
from zimun.storage.schema import (
    IS_APPOINTMENT,
    IS_OF_HOLD,
    IS_UPDATE,
    events,
    idempotency,
    ledgers,
    organizations,
    reservations,
)
from zimun.storage.statements import IS_RESPONSE, bound_key

_NO_CONTACT: Mapping[str, str] = {**dict.fromkeys(PERSONAL_FIELDS, ""), "metadata": "{}"}
"""The columns of personal data, without any."""

MAX_ROWS_READ = 100
"""Reservations whose events one statement finds, events that one reads, and stored responses."""

MAX_EMPTIED = 200
"""The most events that are emptied together with their reservations."""

EventRow = tuple[int, str, str]
"""The seq, hold_id and data of an event."""


def holds_of(connection: Connection, org_id: str, key: str, first: str, limit: int) -> list[str]:
    """The ids of the reservations that a contact has, or has had, from `first` on, in order, at
    most `limit`."""
    c = reservations.c
    of_contact = select(c.hold_id).where(c.org_id == org_id, IS_APPOINTMENT, c.contact_key == key)
    # A comparison of the id in SQL would make SQLite go through all reservations from there on.
    hold_ids = {hold_id for hold_id in connection.execute(of_contact).scalars() if hold_id >= first}
    others = [hold_id for hold_id in _updated(connection, org_id, first) if hold_id not in hold_ids]
    for begin in range(0, len(others), MAX_ROWS_READ):
        if sum(hold_id < others[begin] for hold_id in hold_ids) >= limit:
            break
        for event_rows in _events_of(connection, org_id, others[begin : begin + MAX_ROWS_READ]):
            hold_ids.update(hold_id for _, hold_id, data in event_rows if _has(data, key))
    return sorted(hold_ids)[:limit]


def _updated(connection: Connection, org_id: str, first: str) -> Sequence[str]:
    """Appointments whose contact may have changed, from the id `first` on, in order."""
    c = events.c
    updated = select(c.hold_id).where(c.org_id == org_id, IS_UPDATE, c.hold_id >= first)
    return sorted(connection.execute(updated.distinct()).scalars())


def _has(data: str, key: str) -> bool:
    """Whether the data of an event have the contact of a key; an empty key is that of any."""
    reservation = json.loads(data)["reservation"]
    if key:
        return contact_key(reservation["contact_email"]) == key
    return any(reservation[name] != nothing for name, nothing in _NO_CONTACT.items())


def _events_of(
    connection: Connection, org_id: str, hold_ids: Collection[str]
) -> Iterator[Sequence[EventRow]]:
    """The events of reservations, a few of them in memory at a time: an appointment may have any
    number of changes, each with much metadata."""
    c = events.c
    seqs = list(connection.execute(select(c.seq).where(*_of_holds(org_id, hold_ids))).scalars())
    return _rows_of(connection, org_id, seqs)


def _rows_of(
    connection: Connection, org_id: str, seqs: Sequence[int]
) -> Iterator[Sequence[EventRow]]:
    """The events of some numbers."""
    c = events.c
    for begin in range(0, len(seqs), MAX_ROWS_READ):
        is_in_chunk = c.seq.in_(seqs[begin : begin + MAX_ROWS_READ])
        query = select(c.seq, c.hold_id, c.data).where(c.org_id == org_id, is_in_chunk)
        yield [(row[0], row[1], row[2]) for row in connection.execute(query)]


def _of_holds(org_id: str, hold_ids: Collection[str]) -> Sequence[ColumnElement[bool] | TextClause]:
    """The condition of the events of reservations; every revision is more than 0, and said to be
    so that SQLite prefers the index of revisions."""
    c = events.c
    return [c.org_id == org_id, IS_OF_HOLD, c.hold_id.in_(hold_ids), c.revision > 0]


class EventsOfContact(NamedTuple):
    """The numbers of the events that have a contact, as of the number `seq` of the ledger.

    `earlier` are emptied before; `left` are the others by reservation: all where they are few, else
    the last one of each, by which it is found again where an erasure ends early.
    """

    seq: int
    left: Mapping[str, Sequence[int]]
    earlier: Sequence[int]


def events_of_contact(
    connection: Connection, org_id: str, hold_ids: Collection[str], key: str
) -> EventsOfContact:
    """The events of reservations that have the contact of a key; an empty key is that of any."""
    heads = ledgers.c
    seq: int = connection.execute(select(heads.seq).where(heads.org_id == org_id)).scalar_one()
    numbers: dict[str, list[int]] = {}
    for event_rows in _events_of(connection, org_id, hold_ids):
        for number, hold_id, data in event_rows:
            if _has(data, key):
                numbers.setdefault(hold_id, []).append(number)
    if sum(map(len, numbers.values())) <= MAX_EMPTIED:
        return EventsOfContact(seq, numbers, [])
    left = {hold_id: [max(some)] for hold_id, some in numbers.items()}
    earlier = [
        number for hold_id, some in numbers.items() for number in some if [number] != left[hold_id]
    ]
    return EventsOfContact(seq, left, earlier)


def without_upcoming(
    connection: Connection, org_id: str, hold_ids: Collection[str], now: int
) -> Sequence[str]:
    """The reservations of some ids without those that are yet to end."""
    c = reservations.c
    over = (c.state != State.CONFIRMED.value) | (c.end_time <= now)
    query = select(c.hold_id).where(c.org_id == org_id, c.hold_id.in_(hold_ids), over)
    return list(connection.execute(query.order_by(c.hold_id)).scalars())


def upcoming(connection: Connection, org_id: str, key: str, now: int, limit: int) -> list[str]:
    """The ids of some appointments of a contact that are yet to end."""
    c = reservations.c
    query = select(c.appointment_id).where(c.org_id == org_id, IS_APPOINTMENT)
    query = query.where(c.contact_key == key, c.state == State.CONFIRMED.value, c.end_time > now)
    return list(connection.execute(query.order_by(c.start_time).limit(limit)).scalars())


def erase(
    connection: Connection,
    org_id: str,
    hold_ids: Collection[str],
    key: str,
    client_id: str,
    now: int,
    include_upcoming: bool,
    found: EventsOfContact,
) -> None:
    """Erase a contact (empty: any) from reservations and their events; run it in a transaction.

    Of the events up to `found.seq` those that are `left` are emptied. The head
    is locked first, so that no other change of the organization comes between.
    """
    heads = ledgers.c
    later = case((heads.time < now, now), else_=heads.time)
    lock = update(ledgers).where(heads.org_id == org_id).values(time=later)
    seq, time = connection.execute(lock.returning(heads.seq, heads.time)).one()
    c = reservations.c
    query = select(reservations).where(c.org_id == org_id, c.hold_id.in_(hold_ids))
    before = [
        reservation_rows.reservation(row) for row in connection.execute(query.order_by(c.hold_id))
    ]
    if not include_upcoming:
        before = [reservation for reservation in before if not is_upcoming(reservation, now)]
    if not before:
        return
    after = [erased(reservation, time, key) for reservation in before]
    erased_ids = {reservation.hold_id for reservation in before}
    newer = select(events.c.seq).where(*_of_holds(org_id, erased_ids), events.c.seq > found.seq)
    left = [number for hold_id in erased_ids for number in found.left.get(hold_id, ())]
    seqs = [*left, *connection.execute(newer).scalars()]
    empty_events(connection, org_id, seqs, key)
    _write_reservations(connection, org_id, after)
    _record(connection, org_id, seq, time, client_id, after)
    moved = update(ledgers).where(heads.org_id == org_id).values(seq=heads.seq + len(after))
    connection.execute(moved)


def empty_events(connection: Connection, org_id: str, seqs: Sequence[int], key: str) -> None:
    """Empty what events say of a contact; run it in a transaction."""
    c = events.c
    change = update(events).where(c.org_id == org_id, c.seq == bindparam("b_seq"))
    change = change.values(data=bindparam("b_data"))
    for event_rows in _rows_of(connection, org_id, seqs):
        emptied = [(seq, _without_contact(data, key)) for seq, _, data in event_rows]
        values = [{"b_seq": seq, "b_data": data} for seq, data in emptied if data]
        if values:
            connection.execute(change, values)


def _without_contact(data: str, key: str) -> str | None:
    """The data of an event without a contact (of an empty key: any); None without that contact."""
    facts = json.loads(data)
    reservation = facts["reservation"]
    if key not in ("", contact_key(reservation["contact_email"])):
        return None
    reservation |= _NO_CONTACT
    return json.dumps(facts)


def _write_reservations(connection: Connection, org_id: str, after: Sequence[Reservation]) -> None:
    names = (*_NO_CONTACT, "contact_key", "revision", "update_time")
    c = reservations.c
    change = update(reservations).where(c.org_id == org_id, c.hold_id == bindparam("b_hold_id"))
    change = change.values({name: bindparam(f"b_{name}") for name in names})
    rows = map(reservation_rows.reservation_values, after)
    values = [{f"b_{name}": row[name] for name in ("hold_id", *names)} for row in rows]
    connection.execute(change, values)


def _record(
    connection: Connection,
    org_id: str,
    seq: int,
    time: int,
    client_id: str,
    after: Sequence[Reservation],
) -> None:
    """Add an event for each reservation; its sessions stay as they are."""
    kind = EventType.APPOINTMENT_CONTACT_ERASED
    connection.execute(
        insert(events),
        [
            {
                "org_id": org_id,
                "seq": number,
                "time": time,
                "type": kind.value,
                "client_id": client_id,
                "hold_id": reservation.hold_id,
                "revision": reservation.revision,
                "data": reservation_rows.event_json(
                    ReservationEvent(kind, client_id, reservation, ())
                ),
            }
            for number, reservation in enumerate(after, seq + 1)
        ],
    )


# Stored responses.


class ResponseRow(NamedTuple):
    """A response stored for an Idempotency-Key."""

    client_id: str
    method: str
    key: str
    response: bytes


def responses_after(
    connection: Connection, org_id: str, after: ResponseRow | None
) -> list[ResponseRow]:
    """The next MAX_ROWS_READ stored responses of an organization, in order of their keys."""
    c = idempotency.c
    order = (c.client_id, c.method, c.key)
    query = select(*order, c.response).where(c.org_id == org_id)
    if after:
        query = query.where(tuple_(*order) > tuple_(*after[:3]))
    rows = connection.execute(query.order_by(*order).limit(MAX_ROWS_READ))
    return [ResponseRow(*row) for row in rows]


def replace_responses(
    connection: Connection,
    org_id: str,
    changes: Sequence[tuple[ResponseRow, ResponseWithoutContact]],
) -> None:
    """Replace stored responses that are still as they were read, and whose events have no contact
    any more; run it in a transaction.

    A key that has expired may have been used again meanwhile, with another response. An
    appointment that was booked while its contact was erased has its contact still.
    """
    is_unchanged = idempotency.c.response == bindparam("b_before")
    change = update(idempotency).where(*IS_RESPONSE, is_unchanged)
    values = [
        {**bound_key((org_id, *before[:3])), "b_before": before.response, "b_new": new.response}
        for before, new in changes
        if not _has_contact(connection, org_id, new.hold_id, new.revision)
    ]
    if values:
        connection.execute(change.values(response=bindparam("b_new")), values)


def _has_contact(connection: Connection, org_id: str, hold_id: str, revision: int) -> bool:
    """Whether the event of a revision has a contact."""
    c = events.c
    query = select(c.data).where(*_of_holds(org_id, [hold_id]), c.revision == revision)
    data = connection.execute(query).scalar()
    return bool(data and json.loads(data)["reservation"]["contact_email"])


# The retention of organizations.


def with_retention(connection: Connection, after: str, limit: int) -> list[str]:
    """Organizations after an id that keep contacts for a time only, in order."""
    c = organizations.c
    query = select(c.org_id).where(c.contact_retention > 0, c.org_id > after)
    return list(connection.execute(query.order_by(c.org_id).limit(limit)).scalars())


class Ended(NamedTuple):
    """Appointments whose contacts are to be erased; what began until `mark` then has none.

    The mark stays a longest appointment behind, as one that began earlier may end later.
    """

    hold_ids: Sequence[str]
    mark: int


def ended(connection: Connection, org_id: str, now: int, limit: int) -> Ended | None:
    """Appointments of an organization whose retention is over, in order; None without any."""
    o, c = organizations.c, reservations.c
    settings = select(o.contact_retention, o.contacts_erased_until, o.longest_span)
    row = connection.execute(settings.where(o.org_id == org_id)).one()
    if not row.contact_retention:
        return None
    until = now - row.contact_retention
    query = (
        select(c.hold_id, c.start_time)
        .where(c.org_id == org_id, IS_APPOINTMENT, c.start_time <= until)
        .where(c.start_time > row.contacts_erased_until)
        .where(c.contact_key != "", c.end_time <= until)
        .order_by(c.start_time, c.appointment_id)
        .limit(limit)
    )
    appointments = connection.execute(query).all()
    if not appointments:
        return None
    return Ended(
        [hold_id for hold_id, _ in appointments], appointments[-1].start_time - row.longest_span - 1
    )


def erase_ended(
    connection: Connection, org_id: str, appointments: Ended, now: int, found: EventsOfContact
) -> None:
    """Erase the contacts of appointments that `ended` returned; run it in a transaction."""
    erase(connection, org_id, appointments.hold_ids, "", "", now, False, found)
    c, mark = organizations.c, appointments.mark
    later = case((c.contacts_erased_until < mark, mark), else_=c.contacts_erased_until)
    moved = update(organizations).where(c.org_id == org_id).values(contacts_erased_until=later)
    connection.execute(moved)
