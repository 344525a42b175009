"""Replaces stored responses that show an erased contact, on either engine."""

import json
from collections.abc import Sequence, Set
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, tuple_, update

from zimun.booking.store import ResponseWithoutContact
from zimun.storage.contacts import events_of_holds
from zimun.storage.schema import events, idempotency
from zimun.storage.statements import IS_RESPONSE, bound_key

MAX_RESPONSES = 100
"""Stored responses that one statement reads."""


class ResponseRow(NamedTuple):
    """A response stored for an Idempotency-Key."""

    client_id: str
    method: str
    key: str
    response: bytes


def responses_after(
    connection: Connection, org_id: str, after: ResponseRow | None
) -> list[ResponseRow]:
    """The next MAX_RESPONSES stored responses of an organization, in order of their keys."""
    c = idempotency.c
    order = (c.client_id, c.method, c.key)
    query = select(*order, c.response).where(c.org_id == org_id)
    if after:
        query = query.where(tuple_(*order) > tuple_(*after[:3]))
    rows = connection.execute(query.order_by(*order).limit(MAX_RESPONSES))
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
    kept = _with_contact(connection, org_id, [new for _, new in changes])
    values = [
        {**bound_key((org_id, *before[:3])), "b_before": before.response, "b_new": new.response}
        for before, new in changes
        if (new.hold_id, new.revision) not in kept
    ]
    if values:
        connection.execute(change.values(response=bindparam("b_new")), values)


def _with_contact(
    connection: Connection, org_id: str, responses: Sequence[ResponseWithoutContact]
) -> Set[tuple[str, int]]:
    """The (hold_id, revision) of events that have a contact, those of responses among them."""
    c = events.c
    hold_ids = {response.hold_id for response in responses}
    is_revision = c.revision.in_({response.revision for response in responses})
    query = select(c.hold_id, c.revision, c.data).where(
        *events_of_holds(org_id, hold_ids), is_revision
    )
    return {
        (hold_id, revision)
        for hold_id, revision, data in connection.execute(query)
        if json.loads(data)["reservation"]["contact_email"]
    }
