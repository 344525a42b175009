"""Empties stored responses that show an erased contact, on either engine.

A response is found by the contact that it shows, which is stored beside it, and no longer once it
is emptied: so an erasure that ends early goes on with the rest.
"""

import json
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, tuple_, update

from zimun.booking.store import IdempotencyKey, ShownContact
from zimun.storage.contacts import events_of_holds
from zimun.storage.schema import HAS_CONTACT, events, idempotency
from zimun.storage.statements import IS_RESPONSE, bound_key

MAX_RESPONSES = 100
"""Stored responses that one statement reads."""

FIRST = IdempotencyKey("", "", "")
"""Before the key of any stored response."""


class ResponseRow(NamedTuple):
    """A response stored for an Idempotency-Key."""

    key: IdempotencyKey
    response: bytes
    contact_key: str


def responses_of(
    connection: Connection, org_id: str, contact: str, after: IdempotencyKey
) -> list[ResponseRow]:
    """The next MAX_RESPONSES stored responses with a contact_key, in order of their keys.

    There is always a key to begin after, without which SQLite would go through all responses.
    """
    c = idempotency.c
    order = (c.client_id, c.method, c.key)
    query = select(*order, c.response, c.contact_key).where(c.org_id == org_id)
    query = query.where(HAS_CONTACT, c.contact_key == contact, tuple_(*order) > tuple_(*after))
    rows = connection.execute(query.order_by(*order).limit(MAX_RESPONSES))
    return [ResponseRow(IdempotencyKey(*row[:3]), *row[3:]) for row in rows]


def empty_responses(
    connection: Connection,
    org_id: str,
    contact: str,
    responses: Sequence[tuple[ResponseRow, ShownContact | None]],
) -> None:
    """Empty those stored responses that show a contact and whose events have none any more, and
    store which contact the others show; run it in a transaction.

    A response stays where it is not as it was read: a key that has expired may have been used
    again meanwhile. An appointment that was booked while its contact was erased has its contact
    still.
    """
    of_contact = [shown for _, shown in responses if shown and shown.contact_key == contact]
    kept = _with_contact(connection, org_id, of_contact)
    is_unchanged = idempotency.c.response == bindparam("b_before")
    change = update(idempotency).where(*IS_RESPONSE, is_unchanged)
    change = change.values(response=bindparam("b_response"), contact_key=bindparam("b_contact"))
    values = [
        {**bound_key((org_id, *row.key)), "b_before": row.response, **after}
        for row, shown in responses
        if (after := _after(row, shown, contact, kept))
    ]
    if values:
        connection.execute(change, values)


def _after(
    row: ResponseRow, shown: ShownContact | None, contact: str, kept: Set[tuple[str, int]]
) -> Mapping[str, object]:
    """The new values of a stored response; none where it stays as it is."""
    if shown and shown.contact_key == contact and (shown.hold_id, shown.revision) not in kept:
        return {"b_response": shown.emptied, "b_contact": ""}
    key = shown.contact_key if shown else ""
    return {} if key == row.contact_key else {"b_response": row.response, "b_contact": key}


def _with_contact(
    connection: Connection, org_id: str, shown: Sequence[ShownContact]
) -> Set[tuple[str, int]]:
    """The (hold_id, revision) of events that have a contact, those that responses show among
    them."""
    if not shown:
        return frozenset()
    c = events.c
    hold_ids = {one.hold_id for one in shown}
    is_revision = c.revision.in_({one.revision for one in shown})
    query = select(c.hold_id, c.revision, c.data).where(
        *events_of_holds(org_id, hold_ids), is_revision
    )
    return {
        (hold_id, revision)
        for hold_id, revision, data in connection.execute(query)
        if json.loads(data)["reservation"]["contact_email"]
    }
