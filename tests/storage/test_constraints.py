"""The constraints of the schema: what rules and store let through is refused by the database."""

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from zimun.domain.errors import Overloaded
from zimun.storage.migrate import SchemaTooNew, migrate
from zimun.storage.postgresql import database as postgresql
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url
from zimun.stores import Stores

from ..support.postgres import emptied, shared
from .appending import KEY, begun, response
from .engines import Engine, Row
from .sample_catalog import ORG, at

_NOWHERE = Path()
"""Where there is no SQLite file."""

Run = Callable[[Connection], object]


def insert(table: str, row: Mapping[str, object]) -> Run:
    return lambda connection: connection.execute(metadata.tables[table].insert(), dict(row))


def update(table: str, where: Mapping[str, object], **values: object) -> Run:
    found = metadata.tables[table]
    conditions = [found.c[name] == value for name, value in where.items()]
    return lambda connection: connection.execute(found.update().where(*conditions).values(values))


async def refused(stores: Stores, engine: Engine, run: Run) -> None:
    """Assert that a constraint refuses a change, and that nothing of its transaction is there."""
    before = engine.tables()

    def write(connection: Connection) -> None:
        insert("installation", {"name": "mine", "value": b""})(connection)
        run(connection)

    attempt = getattr(stores.database, "attempt", stores.database.write)
    with pytest.raises((IntegrityError, Overloaded)) as caught:
        await attempt(write)
    overloaded = isinstance(caught.value, Overloaded)
    error = caught.value.__cause__ if overloaded else caught.value
    assert isinstance(error, IntegrityError)
    assert re.search("constraint|overlap|moves", str(error.orig))
    assert engine.tables() == before


@pytest.fixture
async def rows(stores: Stores, engine: Engine) -> Mapping[str, Row]:
    """One row of each table of bookings: Ada is taken from ten until half past."""
    script = begun()
    script.hold(1, capacity=3, seats=2)
    script.confirm(1)
    script.keep(KEY, response())
    await script.write(stores.ledgers)
    return {table: dict(found[-1]) for table, found in engine.tables().items() if found}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (at(9), at(11)),
        (at(9), at(10) + 1),
        (at(10), at(10, 30)),
        (at(10, 30) - 1, at(12)),
        (at(10) + 1, at(10, 30) - 1),
    ],
)
async def test_allocation_that_overlaps_another_of_its_subject_is_refused(
    stores: Stores, engine: Engine, rows: Mapping[str, Row], start: int, end: int
) -> None:
    row = rows["allocations"] | {"session_id": "x_2", "busy_start": start, "busy_end": end}
    await refused(stores, engine, insert("allocations", row))
    for other in ({"org_id": "o_other"}, {"subject": "t_ben"}):
        await stores.database.write(insert("allocations", row | other))


async def test_allocation_that_only_touches_others_is_none_that_overlaps(
    stores: Stores, engine: Engine, rows: Mapping[str, Row]
) -> None:
    for start, end in ((at(9), at(10)), (at(10, 30), at(11))):
        row = rows["allocations"] | {"session_id": "x_2", "busy_start": start, "busy_end": end}
        await stores.database.write(insert("allocations", row))
    assert len(engine.tables()["allocations"]) == 3


async def test_allocation_that_is_moved_over_another_is_refused(
    stores: Stores, engine: Engine, rows: Mapping[str, Row]
) -> None:
    later = {"session_id": "x_2", "busy_start": at(12), "busy_end": at(13)}
    await stores.database.write(insert("allocations", rows["allocations"] | later))
    where = {"org_id": ORG, "session_id": "x_2"}
    await refused(stores, engine, update("allocations", where, busy_start=at(10, 10)))
    await refused(stores, engine, update("allocations", {"org_id": ORG}, busy_end=at(12, 30)))
    await stores.database.write(update("allocations", where, expires_at=1))


@pytest.mark.parametrize("seats", [4, 5])
async def test_session_with_more_seats_taken_than_it_has_is_refused(
    stores: Stores, engine: Engine, rows: Mapping[str, Row], seats: int
) -> None:
    where = {"org_id": ORG, "session_id": "x_1"}
    await refused(stores, engine, update("sessions", where, seats_taken=seats))
    await refused(stores, engine, update("sessions", where, capacity=1))
    row = rows["sessions"] | {"session_id": "x_2", "seats_taken": seats}
    await refused(stores, engine, insert("sessions", row))
    await stores.database.write(update("sessions", where, seats_taken=3))


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("events", {"hold_id": "h_2"}),  # the number of an event
        ("events", {"seq": 99}),  # a reservation's revision
        ("reservations", {"appointment_id": "a_2"}),
        ("reservations", {"hold_id": "h_2"}),  # an appointment's id
        ("sessions", {"capacity": 9}),
        ("ledgers", {"seq": 99}),
        ("organizations", {"name": "Another"}),
        ("services", {"name": "Another"}),
        ("idempotency", {"response": b"another"}),
    ],
)
async def test_row_with_a_key_that_another_has_is_refused(
    stores: Stores, engine: Engine, rows: Mapping[str, Row], table: str, changes: Row
) -> None:
    row = rows[table] | changes
    binary = {"fingerprint": b"", "response": b""}
    row |= {name: value for name, value in binary.items() if name in row}
    await refused(stores, engine, insert(table, row))
    fresh = {"org_id": "o_other"}
    await stores.database.write(insert(table, row | fresh))


def _on_server(run: Callable[[Connection], Any]) -> Any:
    async def work() -> Any:
        engine = postgresql.open_engine(database_url(emptied(), _NOWHERE))
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


def test_server_of_a_newer_schema_is_refused() -> None:
    server, _ = shared()
    name = server.create()
    url = database_url(server.url(name), _NOWHERE)
    migrate(url)
    server.execute(name, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate(url)


def test_many_who_bring_the_schema_at_once_all_succeed() -> None:
    server, _ = shared()
    url = database_url(server.url(server.create()), _NOWHERE)

    async def all_at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(8)))

    asyncio.run(all_at_once())
