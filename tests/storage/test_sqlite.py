"""SQLite: reads beside the writer, several processes on a file, a file that cannot be read."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from zimun.booking.store import AppointmentFilter, LedgerRead
from zimun.clock import ManualClock
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.errors import Overloaded
from zimun.storage import ledgers
from zimun.storage.sqlite import database as sqlite
from zimun.stores import Stores

from .booking_client import BookingClient
from .engines import SqliteEngine
from .ledger_check import check_ledger
from .sample_catalog import CUT, NOW, ORG, at, create_salon, put_catalog
from .sqlite_commands import (
    DEADLINE,
    AddLocation,
    begin,
    committed,
    list_appointments,
    locked,
    outcomes_of,
    run_ready,
    write_probe,
)


async def test_another_process_that_writes_delays_a_command_and_no_read(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    await sqlite_stores.writer.run(ORG, AddLocation("l_before"))
    client = BookingClient(sqlite_stores, ManualClock(NOW))
    assert len(await client.slots(CUT.id)) == 48
    with locked(sqlite_engine) as other:
        [task] = begin(sqlite_stores, AddLocation("l_delayed"))
        await run_ready()
        other.execute("INSERT INTO installation VALUES ('theirs', x'00')")
        for _ in range(20):
            assert {*(await sqlite_stores.reader.catalog(ORG)).locations} == {"l_before"}
            assert len(await client.slots(CUT.id)) == 48
            assert await sqlite_stores.ledgers.heads([ORG])
            assert (
                await sqlite_stores.ledgers.appointments(ORG, AppointmentFilter(), None, 10) == []
            )
        assert not task.done()
    assert await task == "l_delayed"
    assert committed(sqlite_engine) == {"l_before", "l_delayed"}


async def test_read_sees_one_snapshot_while_another_process_commits(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    def read(connection: Connection) -> tuple[list[str], list[str]]:
        before = ledgers.organization_ids(connection)
        with closing(sqlite3.connect(sqlite_engine.path, timeout=DEADLINE)) as other:
            other.execute("INSERT INTO ledgers VALUES ('o_later', 0, 1, 0)")
            other.commit()
        return before, ledgers.organization_ids(connection)

    assert await sqlite_stores.database.read(read) == ([ORG], [ORG])
    assert sorted(await sqlite_stores.ledgers.organization_ids()) == ["o_later", ORG]


async def test_many_lists_at_once_are_all_answered(sqlite_stores: Stores) -> None:
    assert await asyncio.gather(*(list_appointments(sqlite_stores) for _ in range(60))) == [[]] * 60


@pytest.mark.parametrize("way", ["read", "write"])
async def test_function_that_raises_does_no_harm_to_those_that_come_after(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores, way: str
) -> None:
    run = getattr(sqlite_stores.database, way)

    def fail(connection: Connection) -> None:
        if way == "write":
            ledgers.write_probe(connection)
        raise LookupError("mine")

    before = sqlite_engine.tables()
    for _ in range(20):
        with pytest.raises(LookupError, match="mine"):
            await run(fail)
    assert sqlite_engine.tables() == before
    assert await run(ledgers.organization_ids) == [ORG]
    await sqlite_stores.writer.run(ORG, AddLocation("l_after"))
    assert committed(sqlite_engine) == {"l_after"}


async def test_a_write_within_a_read_is_refused(
    sqlite_engine: SqliteEngine, sqlite_stores: Stores
) -> None:
    before = sqlite_engine.tables()
    with pytest.raises(Overloaded):
        await sqlite_stores.database.read(ledgers.write_probe)
    assert sqlite_engine.tables() == before
    await write_probe(sqlite_stores)


async def test_two_servers_on_one_file_see_each_others_catalogue_changes_at_once(
    sqlite_engine: SqliteEngine,
) -> None:
    async with sqlite_engine.open() as first, sqlite_engine.open() as second:
        await create_salon(first)
        for number in range(10):
            for one, other in ((first, second), (second, first)):
                wanted = f"{number} {one is first}"
                await put_catalog(one, replace(CUT, name=wanted))
                for stores in (other, one):
                    catalog = await stores.reader.catalog(ORG)
                    assert catalog.entry(Service, CUT.id).name == wanted
                    seen: list[str] = []
                    await stores.writer.run(ORG, AddLocation("l_1", _note_name(seen)))
                    assert seen[-1:] == [wanted]


def _note_name(seen: list[str]) -> Callable[[Catalog], object]:
    return lambda catalog: seen.append(catalog.entry(Service, CUT.id).name)


async def test_another_process_that_does_not_stop_writing_overloads_the_store_until_it_does(
    sqlite_engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        client = BookingClient(stores, ManualClock(NOW))
        with locked(sqlite_engine):
            tasks = begin(stores, *(AddLocation(f"l_{n}") for n in range(5)))
            for outcome in await outcomes_of(tasks):
                assert isinstance(outcome, Overloaded)
            with pytest.raises(Overloaded):
                await client.hold(at(10))
            with pytest.raises(Overloaded):
                await stores.ledgers.probe()
            assert (await stores.ledgers.heads([ORG]))[ORG].seq > 0
            assert len(await client.slots(CUT.id)) == 48
        assert committed(sqlite_engine) == set()
        assert not (await stores.reader.catalog(ORG)).locations
        assert await stores.writer.run(ORG, AddLocation("l_after")) == "l_after"
        assert (await client.hold(at(10))).start == at(10)
        await stores.ledgers.probe()
    assert committed(sqlite_engine) == {"l_after"}
    check_ledger(sqlite_engine.tables(), NOW)


READS: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "heads": lambda stores: stores.ledgers.heads([ORG]),
    "read": lambda stores: stores.ledgers.read([LedgerRead(ORG)]),
    "organization_ids": lambda stores: stores.ledgers.organization_ids(),
    "catalog": lambda stores: stores.reader.catalog(ORG),
    "command": lambda stores: stores.writer.run(ORG, AddLocation("l_1")),
}


@pytest.mark.parametrize("what", READS)
async def test_store_that_cannot_be_read_is_overloaded_and_serves_again_when_it_can(
    sqlite_engine: SqliteEngine, what: str
) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
        with closing(sqlite3.connect(sqlite_engine.path)) as connection:
            connection.execute("ALTER TABLE ledgers RENAME TO gone")
        for _ in range(2):
            with pytest.raises(Overloaded):
                await READS[what](stores)
        with closing(sqlite3.connect(sqlite_engine.path)) as connection:
            connection.execute("ALTER TABLE gone RENAME TO ledgers")
        assert await READS[what](stores)
        assert await stores.writer.run(ORG, AddLocation("l_after")) == "l_after"
