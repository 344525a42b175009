"""The walls of the schema: what comes past the locks and the search is refused by the database."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from zimun.booking.store import Store, Transaction
from zimun.domain.errors import Overloaded
from zimun.domain.reservation import EventType
from zimun.storage import dialect
from zimun.storage.migrate import SchemaTooNew, migrate
from zimun.storage.tables import metadata

from ..postgres import emptied, shared
from .desk import Engine, at, booked

_NOWHERE = Path()
"""Where there is no embedded file."""


def take(number: int, start: int, end: int, capacity: int = 1) -> Callable[[Transaction], None]:
    """Take Ada for a session of its own, whoever has her."""
    found = booked(number, start=start, end=end)

    def run(tx: Transaction) -> None:
        tx.add(EventType.HOLD_CREATED, found, "c_desk")
        tx.allocate(found, found.subjects, (start, end), start, capacity)

    return run


def join(number: int, seats: int) -> Callable[[Transaction], None]:
    """Take seats in the first session, whether or not there are any."""
    return lambda tx: tx.join(booked(number, session_id="x_1", seats=seats), 2)


async def refused(store: Store, run: Callable[[Transaction], None]) -> None:
    """The embedded engine refuses at once; the other one after it has tried again."""
    with pytest.raises((sqlite3.IntegrityError, Overloaded)):
        await store.write(run)


@pytest.mark.parametrize(
    ("start", "end"),
    [(at(9), at(11)), (at(9), at(10) + 1), (at(11) - 1, at(12)), (at(10) + 1, at(11) - 1)],
)
async def test_nobody_is_taken_twice_at_a_time(
    store: Store, engine: Engine, start: int, end: int
) -> None:
    await store.write(take(1, at(10), at(11)))
    before = engine.tables()
    await refused(store, take(2, start, end))
    assert engine.tables() == before


async def test_what_only_touches_is_no_overlap(store: Store, engine: Engine) -> None:
    for number, hour in enumerate((10, 9, 11), 1):
        await store.write(take(number, at(hour), at(hour + 1)))
    assert len(engine.tables()["allocations"]) == 3


async def test_a_session_has_no_more_seats_than_it_has(store: Store, engine: Engine) -> None:
    await store.write(take(1, at(10), at(11), capacity=2))
    await refused(store, join(2, seats=2))
    await store.write(join(2, seats=1))
    await refused(store, join(3, seats=1))
    [session] = engine.tables()["sessions"]
    assert (session["seats_taken"], session["capacity"]) == (2, 2)


async def test_a_revision_is_made_once(store: Store) -> None:
    await store.write(take(1, at(10), at(11)))
    await refused(store, lambda tx: tx.change(EventType.HOLD_EXTENDED, booked(1), booked(1), ""))


def _on_server(run: Callable[[Connection], Any]) -> Any:
    async def work() -> Any:
        engine = dialect.open_shared_engine(dialect.database_url(emptied(), _NOWHERE), 1)
        async with engine.begin() as connection:
            found = await connection.run_sync(run)
        await engine.dispose()
        return found

    return asyncio.run(work())


def test_alembic_finds_no_difference_on_the_server_either() -> None:
    found = _on_server(
        lambda connection: compare_metadata(MigrationContext.configure(connection), metadata)
    )
    assert found == []


def test_a_server_of_a_newer_schema_is_refused() -> None:
    server, _ = shared()
    name = server.create()
    url = dialect.database_url(server.url(name), _NOWHERE)
    migrate(url)
    server.execute(name, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(url)


def test_many_who_bring_the_schema_at_once_all_succeed() -> None:
    server, _ = shared()
    url = dialect.database_url(server.url(server.create()), _NOWHERE)

    async def all_at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(8)))

    asyncio.run(all_at_once())
