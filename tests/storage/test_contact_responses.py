"""Stored responses that show an erased contact: found by it, emptied within the time of a call."""

import asyncio
import pickle
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from zimun.booking import contacts
from zimun.booking.store import LedgerRead, ShownContact
from zimun.domain.instant import DAY
from zimun.domain.ledger.reservation import Contact, contact_key
from zimun.storage import contact_responses
from zimun.storage.ledger_queries import LedgerQueries
from zimun.storage.schema import UNREAD_CONTACT, idempotency
from zimun.stores import Stores

from ..support.postgres import SET_UP
from .appending import KEY, begun, response
from .booking_client import BookingClient, decode_reservation
from .engines import Engine
from .interrupted import Interrupted
from .sample_catalog import NOW, ORG, SAM, at

EVE = Contact(name="Eve", email="eve@example.com")
SAM_KEY, EVE_KEY = contact_key(SAM.email), contact_key(EVE.email)


def shown_contact(_: str, stored: bytes) -> ShownContact | None:
    """The contact that a response of a `BookingClient` shows."""
    reservation = decode_reservation(stored)
    key = contact_key(reservation.contact.email)
    emptied = pickle.dumps(reservation._replace(contact=Contact()))
    return ShownContact(key, reservation.hold_id, reservation.revision, emptied) if key else None


async def erase(client: BookingClient, store: Any = None) -> bool:
    """Erase Sam; returns whether nothing is left."""
    stores = client.stores
    return await contacts.erase_contact(
        store or stores.ledgers, stores.reader, client.caller, SAM.email, True, shown_contact
    )


async def confirm(client: BookingClient, start: int, contact: Contact, *keys: str) -> None:
    """An appointment whose confirmation has a stored response for each of some keys."""
    held = await client.hold(start)
    confirmations = [client.confirm(held.hold_id, contact, key) for key in keys]
    await asyncio.gather(*confirmations)


def stored_contacts(engine: Engine) -> list[tuple[str, ShownContact | None]]:
    """The contact_key of each stored response, and the contact that it shows."""
    rows = engine.tables()["idempotency"]
    return [(str(row["contact_key"]), shown_contact("", bytes_of(row["response"]))) for row in rows]


def bytes_of(value: bytes | str) -> bytes:
    """The bytes of a column, which PostgreSQL writes in hexadecimal where rows are read as JSON."""
    return value if isinstance(value, bytes) else bytes.fromhex(value.removeprefix("\\x"))


def count_contacts(engine: Engine) -> Counter[tuple[str, str]]:
    """How many stored responses there are of each contact_key and key of the shown contact."""
    found = stored_contacts(engine)
    return Counter((key, shown.contact_key if shown else "") for key, shown in found)


def events_with_contact(engine: Engine) -> set[tuple[str, int]]:
    """The (hold_id, revision) of the events that have Sam's contact."""
    rows = [row for row in engine.tables()["events"] if SAM.email in row["data"]]
    return {(row["hold_id"], row["revision"]) for row in rows}


async def mark_unread(stores: Stores) -> None:
    """Make all stored responses those of a server of an earlier version."""
    unread = update(idempotency).values(contact_key=UNREAD_CONTACT).prefix_with(SET_UP)
    await stores.database.write(lambda tx: tx.execute(unread.where(idempotency.c.org_id == ORG)))


@pytest.mark.parametrize(("stored_as", "count", "calls"), [(SAM_KEY, 25, 3), ("?", 200, 21)])
async def test_erasure_among_many_stored_responses_says_that_it_is_to_be_called_again(
    client: BookingClient,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    stored_as: str,
    count: int,
    calls: int,
) -> None:
    monkeypatch.setattr(contact_responses, "MAX_RESPONSES", 10)
    monkeypatch.setattr(contacts, "MAX_SECONDS", -1.0)
    await confirm(client, at(9), SAM, *(f"{n}" for n in range(0, 200, 8)))
    await confirm(client, at(12), EVE, *(f"{n}" for n in range(200) if n % 8))
    if stored_as == UNREAD_CONTACT:
        await mark_unread(client.stores)
    left, is_complete = [count], False
    while not is_complete:
        is_complete = await erase(client)
        left.append(sum(key == stored_as for key, _ in stored_contacts(engine)))
    assert left == [max(0, count - 10 * n) for n in range(calls + 1)]
    assert count_contacts(engine) == {("", ""): 25, (EVE_KEY, EVE_KEY): 175}
    assert events_with_contact(engine) == set()


async def test_erasure_reads_no_stored_response_of_another_contact(
    client: BookingClient, statements: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_responses, "MAX_RESPONSES", 10)
    await confirm(client, at(9), SAM, "1", "2")
    await confirm(client, at(12), EVE, *(f"eve {n}" for n in range(50)))
    read: list[ShownContact | None] = []

    def read_contact(method: str, stored: bytes) -> ShownContact | None:
        read.append(shown_contact(method, stored))
        return read[-1]

    statements.clear()
    assert await client.stores.ledgers.empty_responses(ORG, SAM_KEY, read_contact, 0.0)
    assert [shown.contact_key for shown in read if shown] == [SAM_KEY, SAM_KEY]
    assert len([sql for sql, _ in statements if "FROM idempotency" in sql]) == 2


@pytest.mark.parametrize("scan", range(1, 5))
async def test_what_is_stored_while_a_contact_is_erased_shows_it_only_where_an_event_does(
    client: BookingClient, engine: Engine, scan: int
) -> None:
    held = await client.hold(at(9))
    await client.confirm(held.hold_id, SAM, "first")
    scans = 0

    async def book_and_repeat() -> None:
        nonlocal scans
        scans += 1
        if scans == scan:
            await client.confirm(held.hold_id, SAM, "repeated")
            await confirm(client, at(12), SAM, "new")

    queries = LedgerQueries(Interrupted(client.stores.database, book_and_repeat))
    assert await erase(client, queries)
    assert scans == 4
    assert len(stored_contacts(engine)) == 3
    shown = [one for _, one in stored_contacts(engine) if one]
    assert {(one.hold_id, one.revision) for one in shown} == events_with_contact(engine)
    assert await erase(client)
    assert count_contacts(engine) == {("", ""): 3}
    assert events_with_contact(engine) == set()


async def test_erasures_of_a_contact_at_the_same_time_leave_nothing_of_it(
    client: BookingClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_responses, "MAX_RESPONSES", 2)
    await confirm(client, at(9), SAM, *map(str, range(9)))
    assert await asyncio.gather(*(erase(client) for _ in range(3))) == [True] * 3
    assert count_contacts(engine) == {("", ""): 9}


async def test_stored_response_of_an_earlier_server_keeps_the_contact_of_another(
    client: BookingClient, engine: Engine
) -> None:
    await client.hold_bytes(at(10), key="held")
    await confirm(client, at(9), EVE, "eve")
    await mark_unread(client.stores)
    assert await erase(client)
    assert count_contacts(engine) == {("", ""): 1, (EVE_KEY, EVE_KEY): 1}


async def test_response_of_a_key_that_is_used_again_meanwhile_stays(
    stores: Stores, engine: Engine
) -> None:
    keys = [KEY, KEY._replace(key="later")]
    script = begun()
    script.keep(keys[0], replace(response(b"Sam", NOW + DAY), contact_key=SAM_KEY))
    script.keep(keys[1], replace(response(b"Sam, too", NOW + 2 * DAY), contact_key=SAM_KEY))
    await script.write(stores.ledgers)
    scans = 0

    async def use_again() -> None:
        nonlocal scans
        scans += 1
        if scans != 2:
            return
        await stores.ledgers.drop_responses(NOW + DAY)
        script.hold(1)
        script.keep(KEY, response(b"Another", NOW + 2 * DAY))
        await script.write(stores.ledgers)

    queries = LedgerQueries(Interrupted(stores.database, use_again))
    erased = ShownContact(SAM_KEY, "h_1", 1, b"Erased")
    assert await queries.empty_responses(ORG, SAM_KEY, lambda *_: erased, 0.0)
    [after] = await stores.ledgers.read([LedgerRead(ORG, keys=keys)])
    assert [after.responses[key].response for key in keys] == [b"Another", b"Erased"]
    assert scans == 2, "fewer than were asked for are the last"


async def test_events_of_a_page_of_responses_are_read_by_one_statement(
    client: BookingClient, statements: list[tuple[str, str]]
) -> None:
    for hour in (9, 10, 11):
        await confirm(client, at(hour), SAM, f"{hour} once", f"{hour} twice")
    statements.clear()
    assert await client.stores.ledgers.empty_responses(ORG, SAM_KEY, shown_contact, 0.0)
    assert len([sql for sql, _ in statements if "FROM events" in sql]) == 1
    assert not [sql for sql, _ in statements if sql.startswith("UPDATE")], "they have Sam's events"
