"""What a store of ledgers reads, asked for in few words and compared with a `Script`."""

from collections.abc import Sequence
from typing import Any

import pytest

from zimun.booking.reader import Query, Reader
from zimun.booking.store import Head, IdempotencyKey, LedgerRead, LedgerStore, LedgerUpdate
from zimun.domain.ledger.blocks import block_of
from zimun.domain.ledger.events import CatalogEvent, Event
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs

from .appending import UNKNOWN, Script, by_id
from .engines import Tables
from .ledger_check import reservations_of
from .sample_catalog import ORG


async def read_one(
    store: LedgerStore,
    org_id: str = ORG,
    seq: int | None = None,
    version: int | None = None,
    needs: Needs | None = None,
    keys: Sequence[IdempotencyKey] = (),
) -> LedgerUpdate:
    """What is read of one organization."""
    asked = LedgerRead(org_id, seq, version, needs or Needs(), keys)
    [update] = await store.read([asked])
    return update


async def loaded(store: LedgerStore, needs: Needs, org_id: str = ORG) -> Ledger:
    """A ledger that has loaded what is named, and nothing else."""
    update = await read_one(store, org_id, needs=needs)
    assert update.head
    assert update.loaded.needs == needs
    return Ledger(org_id, *update.head).with_loaded(update.loaded)


def recorded_queries(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The organizations of the queries that the reader gets from now on, one for each query."""
    org_ids: list[str] = []
    query = reader.query

    async def recorded(org_id: str, ask: Query[Any]) -> Any:
        org_ids.append(org_id)
        return await query(org_id, ask)

    monkeypatch.setattr(reader, "query", recorded)
    return org_ids


def as_read(event: Event) -> Event:
    """Of a change of the catalogue, only that it was one; of sessions, not the members."""
    if isinstance(event, CatalogEvent):
        return CatalogEvent(event.client_id, None)
    return event._replace(sessions=[one._replace(members=None) for one in event.sessions])


async def check_store(store: LedgerStore, script: Script) -> None:
    """Assert that everything reads as the script's model says."""
    model = script.model
    head = Head(model.seq, model.time, model.catalog_version)
    assert await store.heads([model.org_id]) == {model.org_id: head}
    for seq in {0, model.seq // 2, model.seq - 1, model.seq}:
        update = await read_one(store, model.org_id, seq, model.catalog_version)
        assert update.head == head
        assert update.catalog is None
        assert update.events is not None
        assert [*update.events] == [as_read(event) for event in model.events[seq:]]
    await check_loaded(store, script)
    keys = [*model.responses, IdempotencyKey("c", "m", UNKNOWN)]
    for seq_known in (None, model.seq):
        update = await read_one(store, model.org_id, seq_known, model.catalog_version, keys=keys)
        assert update.responses == model.responses


async def check_loaded(store: LedgerStore, script: Script) -> None:
    """Assert that everything that can be loaded is as the script's model says."""
    model, needs = script.model, script.model.needs()
    update = await read_one(store, model.org_id, needs=needs)
    assert update.head
    ledger = Ledger(model.org_id, *update.head).with_loaded(update.loaded)
    for key in needs.blocks:
        assert ledger.blocks.get(key) == block_of(model.block(key), ledger.seq), key
    for key in needs.group_blocks:
        group = ledger.group_blocks.get(key)
        assert group is not None
        assert len(group) == len(set(group))
        assert set(group) == model.group_block(key), key
    assert by_id(update.loaded.sessions) == by_id(model.sessions.values())
    assert {one.hold_id: one for one in update.loaded.reservations} == model.reservations
    for hold_id, reservation in model.reservations.items():
        assert repr(ledger.reservation(hold_id)) == repr(reservation)
        if reservation.appointment_id:
            assert ledger.appointment(reservation.appointment_id) == reservation
    for staff_id in needs.staff_ids:
        assert ledger.last_booked.get(staff_id) == model.last_booked(staff_id), staff_id


def check_tables(tables: Tables, *scripts: Script) -> None:
    """Assert that the rows are those of these organizations, and no others."""
    assert reservations_of(tables) == {
        hold_id: one for script in scripts for hold_id, one in script.model.reservations.items()
    }
    assert {row["org_id"]: row["seq"] for row in tables["ledgers"]} == {
        script.model.org_id: script.model.seq for script in scripts
    }
    for script in scripts:
        model = script.model
        rows = [row for row in tables["events"] if row["org_id"] == model.org_id]
        rows.sort(key=lambda row: int(row["seq"]))
        assert [row["seq"] for row in rows] == [*range(1, model.seq + 1)]
        assert [row["type"] for row in rows] == [event.type for event in model.events]
        live = [
            (session_id, session.seats_taken, session.capacity)
            for session_id, session in model.sessions.items()
            if session.capacity > 1
        ]
        found = [
            (row["session_id"], row["seats_taken"], row["capacity"])
            for row in tables["sessions"]
            if row["org_id"] == model.org_id
        ]
        assert sorted(found) == sorted(live)


def all_rows(tables: Tables) -> list[tuple[str, str, str]]:
    """Every row of every organization's table: the table, the organization, all of the row."""
    return [
        (table, str(row["org_id"]), repr(sorted(row.items())))
        for table, found in tables.items()
        for row in found
        if "org_id" in row
    ]
