"""Finds and erases contacts in reservations and events, on either engine.

Events are changed nowhere else: their personal data are emptied in place, and a new event
records it, in one transaction under the locked head. Where a contact has many events, the earlier
ones are emptied before, a few in each transaction, without that lock. This is safe as a reservation
is what its last event says, and the last event with the contact stays until the transaction under
the lock: an erasure that ends early is found again, and recorded then.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    bindparam,
    case,
    insert,
    select,
    update,
)

from zimun.domain.ledger.contacts import PERSONAL_FIELDS, erased
from zimun.domain.ledger.events import EventType, ReservationEvent
from zimun.domain.ledger.reservation import Reservation, State, contact_key
from zimun.storage import reservation_rows
from zimun.storage.schema import (
    IS_APPOINTMENT,
    IS_OF_HOLD,
    IS_UPDATE,
    events,
    ledgers,
    organizations,
    reservations,
)

_NO_CONTACT: Mapping[str, str] = {**dict.fromkeys(PERSONAL_FIELDS, ""), "metadata": "{}"}
"""The columns of personal data, without any."""

MAX_ROWS_READ = 100
"""Reservations whose events one statement finds, and events that one reads."""

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
    seqs = list(
        connection.execute(select(c.seq).where(*events_of_holds(org_id, hold_ids))).scalars()
    )
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


def events_of_holds(
    org_id: str, hold_ids: Collection[str]
) -> Sequence[ColumnElement[bool] | TextClause]:
    """The condition of the events of reservations; every revision is more than 0, and said to be
    so that SQLite prefers the index of revisions."""
    c = events.c
    return [c.org_id == org_id, IS_OF_HOLD, c.hold_id.in_(hold_ids), c.revision > 0]


class EventsOfContact(NamedTuple):
    """The numbers of the events that have a contact, as of the number `seq` of the ledger.

    `earlier` are emptied before; `events_left` are the others by reservation: all where they are
    few, else the last one of each, by which it is found again where an erasure ends early.
    """

    seq: int
    events_left: Mapping[str, Sequence[int]]
    earlier: Sequence[int]


def events_of_contact(
    connection: Connection, org_id: str, hold_ids: Collection[str], key: str
) -> EventsOfContact:
    """The events of reservations that have the contact of a key; an empty key is that of any."""
    heads = ledgers.c
    seq: int = connection.execute(select(heads.seq).where(heads.org_id == org_id)).scalar_one()
    by_hold: dict[str, list[int]] = {}
    for event_rows in _events_of(connection, org_id, hold_ids):
        for number, hold_id, data in event_rows:
            if _has(data, key):
                by_hold.setdefault(hold_id, []).append(number)
    if sum(map(len, by_hold.values())) <= MAX_EMPTIED:
        return EventsOfContact(seq, by_hold, [])
    last = {hold_id: max(numbers) for hold_id, numbers in by_hold.items()}
    earlier = [
        number
        for hold_id, numbers in by_hold.items()
        for number in numbers
        if number != last[hold_id]
    ]
    return EventsOfContact(seq, {hold_id: [number] for hold_id, number in last.items()}, earlier)


def _is_upcoming(now: int) -> ColumnElement[bool]:
    """Whether an appointment is yet to end."""
    c = reservations.c
    return (c.state == State.CONFIRMED.value) & (c.end_time > now)


def without_upcoming(
    connection: Connection, org_id: str, hold_ids: Collection[str], now: int
) -> Sequence[str]:
    """The reservations of some ids without those that are yet to end."""
    c = reservations.c
    query = select(c.hold_id).where(c.org_id == org_id, c.hold_id.in_(hold_ids), ~_is_upcoming(now))
    return list(connection.execute(query.order_by(c.hold_id)).scalars())


def upcoming(connection: Connection, org_id: str, key: str, now: int, limit: int) -> list[str]:
    """The ids of some appointments of a contact that are yet to end."""
    c = reservations.c
    query = select(c.appointment_id).where(c.org_id == org_id, IS_APPOINTMENT)
    query = query.where(c.contact_key == key, _is_upcoming(now))
    return list(connection.execute(query.order_by(c.start_time).limit(limit)).scalars())


def erase(
    connection: Connection,
    org_id: str,
    hold_ids: Collection[str],
    key: str,
    client_id: str,
    now: int,
    include_upcoming: bool,
    of_contact: EventsOfContact,
) -> None:
    """Erase a contact (empty: any) from reservations and their events; run it in a transaction.

    Of the events up to `of_contact.seq` those of `events_left` are emptied. The head is locked
    first, so that no other change of the organization comes between. Reservations from which
    another call has erased the contact meanwhile stay as they are.
    """
    heads = ledgers.c
    later = case((heads.time < now, now), else_=heads.time)
    lock = update(ledgers).where(heads.org_id == org_id).values(time=later)
    seq, time = connection.execute(lock.returning(heads.seq, heads.time)).one()
    before = _reservations(connection, org_id, hold_ids, None if include_upcoming else now)
    emptied = _empty_all(connection, org_id, {one.hold_id for one in before}, key, of_contact)
    pairs = [(reservation, erased(reservation, time, key)) for reservation in before]
    after = [new for old, new in pairs if old.hold_id in emptied or _is_emptied(old, new)]
    if not after:
        return
    _write_reservations(connection, org_id, after)
    _record(connection, org_id, seq, time, client_id, after)
    moved = update(ledgers).where(heads.org_id == org_id).values(seq=heads.seq + len(after))
    connection.execute(moved)


def _reservations(
    connection: Connection, org_id: str, hold_ids: Collection[str], over_at: int | None
) -> Sequence[Reservation]:
    """Reservations by their ids, in order; those alone that are over at an instant, if any."""
    c = reservations.c
    query = select(reservations).where(c.org_id == org_id, c.hold_id.in_(hold_ids))
    if over_at is not None:
        query = query.where(~_is_upcoming(over_at))
    return [*map(reservation_rows.reservation, connection.execute(query.order_by(c.hold_id)))]


def _is_emptied(before: Reservation, after: Reservation) -> bool:
    """Whether an erasure changes personal data of a reservation."""
    return (before.contact, before.cancel_reason) != (after.contact, after.cancel_reason)


def _empty_all(
    connection: Connection,
    org_id: str,
    hold_ids: Collection[str],
    key: str,
    of_contact: EventsOfContact,
) -> Set[str]:
    """Empty the events of reservations that are left, and newer ones; returns as `empty_events`."""
    newer = select(events.c.seq).where(
        *events_of_holds(org_id, hold_ids), events.c.seq > of_contact.seq
    )
    left = [number for hold_id in hold_ids for number in of_contact.events_left.get(hold_id, ())]
    return empty_events(connection, org_id, [*left, *connection.execute(newer).scalars()], key)


def empty_events(connection: Connection, org_id: str, seqs: Sequence[int], key: str) -> Set[str]:
    """Empty what events say of a contact, and return the ids of the reservations of those that
    had it; run it in a transaction."""
    c = events.c
    change = update(events).where(c.org_id == org_id, c.seq == bindparam("b_seq"))
    change = change.values(data=bindparam("b_data"))
    hold_ids: set[str] = set()
    for event_rows in _rows_of(connection, org_id, seqs):
        with_contact = [row for row in event_rows if _has(row[2], key)]
        values = [{"b_seq": seq, "b_data": _emptied(data)} for seq, _, data in with_contact]
        if values:
            connection.execute(change, values)
        hold_ids.update(hold_id for _, hold_id, _ in with_contact)
    return hold_ids


def _emptied(data: str) -> str:
    """The data of an event without personal data."""
    facts = json.loads(data)
    facts["reservation"] |= _NO_CONTACT
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
    connection: Connection, org_id: str, appointments: Ended, now: int, of_contact: EventsOfContact
) -> None:
    """Erase the contacts of appointments that `ended` returned; run it in a transaction."""
    erase(connection, org_id, appointments.hold_ids, "", "", now, False, of_contact)
    c, mark = organizations.c, appointments.mark
    later = case((c.contacts_erased_until < mark, mark), else_=c.contacts_erased_until)
    moved = update(organizations).where(c.org_id == org_id).values(contacts_erased_until=later)
    connection.execute(moved)
