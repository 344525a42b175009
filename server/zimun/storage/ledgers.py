"""Reading ledgers and writing catalogues, on a connection of either engine."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from secrets import token_bytes
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    case,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from zimun.booking.store import (
    Head,
    IdempotencyKey,
    LedgerRead,
    LedgerUpdate,
    ResponseKey,
    StoredResponse,
)
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.ledger.events import (
    CatalogValue,
    Event,
    EventType,
    OverrideDeleted,
    TimeOffDeleted,
)
from zimun.domain.ledger.loading import Loaded, Needs
from zimun.domain.ledger.reservation import State
from zimun.storage import catalog_rows, loading, reservation_rows, statements
from zimun.storage.schema import (
    IS_LIVE,
    IS_NAMED,
    IS_OF_HOLD,
    allocations,
    events,
    idempotency,
    installation,
    ledgers,
    locations,
    organizations,
    overrides,
    reservations,
    resources,
    services,
    sessions,
    staff,
    time_off,
)
from zimun.storage.statements import IS_RESPONSE, bound_key

_ENTRY_TABLES: Mapping[type, Table] = {
    Service: services,
    StaffMember: staff,
    Resource: resources,
    Location: locations,
}

MAX_CATCH_UP = 500
"""The most new events that are read; evolving a ledger by more takes longer than reading it
afresh."""

MAX_PRUNED_EVENTS = 5_000
"""Events after which a transaction that prunes deletes no further booking: callers wait for it."""

MAX_DROPPED = 1000
"""The most stored responses that one transaction deletes."""


def head(connection: Connection, org_id: str) -> Head | None:
    """The head of an organization's ledger; None where there is none."""
    head_rows = statements.HEAD.run(connection, {"org": org_id})
    return Head(*head_rows[0]) if head_rows else None


def read(connection: Connection, request: LedgerRead, may_take_long: bool = True) -> LedgerUpdate:
    """New events and what was requested; run it in a transaction that sees one snapshot.

    Raises TakesLong as `loading.load` does.
    """
    current = head(connection, request.org_id)
    if current is None:
        return LedgerUpdate(None, None, None, Loaded(Needs()), {})
    new: Sequence[Event] | None = ()
    if request.seq is None:
        new = None
    elif request.seq != current.seq:
        new = _events_since(connection, request, current)
    is_current = request.catalog_version == current.catalog_version
    return LedgerUpdate(
        current,
        new,
        None if is_current else catalog_rows.load_catalog(connection, request.org_id),
        loading.load(connection, request.org_id, request.needs, current.time, may_take_long),
        responses(connection, request.org_id, request.keys),
    )


def responses(
    connection: Connection, org_id: str, keys: Iterable[IdempotencyKey]
) -> dict[IdempotencyKey, StoredResponse]:
    """The responses kept under some keys."""
    responses_by_key = {}
    for key in keys:
        if response_rows := statements.RESPONSE.run(connection, {"org": org_id, **key._asdict()}):
            responses_by_key[key] = StoredResponse(*response_rows[0])
    return responses_by_key


def _events_since(
    connection: Connection, request: LedgerRead, current: Head
) -> Sequence[Event] | None:
    count = current.seq - (request.seq or 0)
    if count > MAX_CATCH_UP:
        return None
    parameters = {"org": request.org_id, "seq": request.seq}
    return whole_history(statements.EVENTS_SINCE.run(connection, parameters), count)


def whole_history(event_rows: Sequence[tuple[str, str, str]], count: int) -> Sequence[Event] | None:
    """So many events from their (type, client_id, data); None where some have been pruned."""
    if len(event_rows) != count or any(
        kind == EventType.HISTORY_PRUNED for kind, _, _ in event_rows
    ):
        return None
    return [reservation_rows.event(*row) for row in event_rows]


# The catalogue.


def put_catalog(connection: Connection, org_id: str, value: CatalogValue) -> None:
    """Insert a value of the catalogue, or replace the one of its key."""
    match value:
        case Organization():
            # Without a retention nothing is erased, and all of it is looked through again after.
            mark = {} if value.contact_retention else {"contacts_erased_until": 0}
            _put(connection, organizations, catalog_rows.organization_row(value) | mark)
        case Override():
            # An override may have another owner or date than the one of its id had.
            _delete_override(connection, org_id, value.id)
            _put(connection, overrides, catalog_rows.override_row(org_id, value))
        case OverrideDeleted():
            _delete_override(connection, org_id, value.override_id)
        case TimeOff():
            _put(connection, time_off, catalog_rows.time_off_row(org_id, value))
        case TimeOffDeleted():
            c = time_off.c
            is_entry = (c.org_id == org_id, c.id == value.time_off_id)
            connection.execute(delete(time_off).where(*is_entry))
        case _:
            _put(connection, _ENTRY_TABLES[type(value)], catalog_rows.entry_row(org_id, value))
            if isinstance(value, Service):
                raise_longest_span(connection, org_id, value.longest_span)


def raise_longest_span(connection: Connection, org_id: str, span: int) -> None:
    """Remember the longest time that anything takes its subjects."""
    c = organizations.c
    longest = case((c.longest_span < span, span), else_=c.longest_span)
    connection.execute(update(organizations).where(c.org_id == org_id).values(longest_span=longest))


def _delete_override(connection: Connection, org_id: str, override_id: str) -> None:
    c = overrides.c
    connection.execute(delete(overrides).where(c.org_id == org_id, c.id == override_id, IS_NAMED))


def _put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or replace the one of its key; key columns are not set again."""
    upsert: Any = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    key = [column.name for column in table.primary_key]
    statement = upsert(table).values(row)
    values = {name: statement.excluded[name] for name in row if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


# Deleting what is over.


def prune(connection: Connection, org_id: str, before: int, limit: int) -> int:
    """As `booking.store.LedgerStore.prune`; an event tells others to read afresh."""
    heads = ledgers.c
    moved = (
        update(ledgers)
        .where(heads.org_id == org_id)
        .values(seq=heads.seq + 1)
        .returning(heads.seq, heads.time)
    )
    seq, time = connection.execute(moved).one()
    prunable = _with_few_events(connection.execute(_prunable(org_id, before).limit(limit)).all())
    hold_ids, session_ids = [row[0] for row in prunable], [row[1] for row in prunable]
    for table, column, ids in (
        (reservations, "hold_id", hold_ids),
        (events, "hold_id", hold_ids),
        (allocations, "session_id", session_ids),
        (sessions, "session_id", session_ids),
    ):
        statement = delete(table).where(table.c.org_id == org_id, table.c[column].in_(ids))
        # Those of holds are found by a partial index, whose condition must be worded, too.
        connection.execute(statement.where(IS_OF_HOLD) if table is events else statement)
    connection.execute(
        insert(events).values(
            org_id=org_id,
            seq=seq,
            time=time,
            type=EventType.HISTORY_PRUNED.value,
            client_id="",
            hold_id="",
            revision=0,
            data=json.dumps({"before": before, "reservations": len(prunable)}),
        )
    )
    return len(prunable)


def has_prunable(connection: Connection, org_id: str, before: int) -> bool:
    """Whether `prune` would delete anything."""
    return connection.execute(_prunable(org_id, before).limit(1)).first() is not None


def _with_few_events(prunable: Sequence[Row[str, str, int]]) -> Sequence[Row[str, str, int]]:
    """The first of some bookings, at least one, that have no more than MAX_PRUNED_EVENTS."""
    events_so_far = accumulate(row.revision for row in prunable)
    few = sum(count <= MAX_PRUNED_EVENTS for count in events_so_far)
    return prunable[: max(few, 1)]


def _prunable(org_id: str, before: int) -> "Select[str, str, int]":
    """The (hold_id, session_id, revision) of bookings that may be pruned; a revision counts events.

    A hold whose expiry is not recorded needs its session, and so its session stays whole.
    """
    c, held = reservations.c, reservations.alias()
    has_hold = (
        select(held.c.hold_id)
        .where(held.c.org_id == org_id, held.c.session_id == c.session_id, IS_LIVE)
        .where(held.c.state == State.HELD.value)
        .exists()
    )
    is_ended = (c.org_id == org_id, c.end_time < before, c.state != State.HELD.value)
    return select(c.hold_id, c.session_id, c.revision).where(*is_ended, ~has_hold)


def expired_holds(
    connection: Connection, now: int, limit: int, others: Collection[str]
) -> list[tuple[str, str]]:
    """As `booking.store.LedgerStore.expired_holds`."""
    named = statements.padded(tuple(others)) if others else {}
    parameters = {"now": now, "limit": limit} | named
    return [
        (row[0], row[1]) for row in statements.expired_holds(len(named)).run(connection, parameters)
    ]


def responses_over(connection: Connection, now: int) -> list[ResponseKey]:
    """Kept responses whose lifetime is over, oldest first, at most MAX_DROPPED."""
    parameters = {"now": now, "limit": MAX_DROPPED}
    return [(*row,) for row in statements.EXPIRED_RESPONSES.run(connection, parameters)]


def drop_responses(connection: Connection, keys: Collection[ResponseKey], now: int) -> None:
    """Delete those of these responses whose lifetime is over."""
    drop = delete(idempotency).where(*IS_RESPONSE, idempotency.c.expires_at <= now)
    connection.execute(drop, [bound_key(key) for key in keys])


def write_probe(connection: Connection) -> None:
    """Change a row that means nothing, to learn whether the database can be written."""
    _put(connection, installation, {"name": "probe", "value": token_bytes(8)})


def organization_ids(connection: Connection) -> list[str]:
    """Every organization."""
    return list(connection.execute(select(ledgers.c.org_id)).scalars())
