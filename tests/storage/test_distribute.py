"""`zimun migrate --distribute`: what it asks a PostgreSQL with Citus to do.

There is no Citus here: its two functions are stood in for by ones that write
down what they were called with, so these tests say nothing about Citus itself.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zimun.booking.catalog import CreateOrganization
from zimun.booking.change_request import new_id
from zimun.booking.reader import Reader
from zimun.booking.writer import Writer
from zimun.clock import ManualClock
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.commands import Hold
from zimun.storage.distribute import NotDistributable, distribute
from zimun.storage.migrate import migrate
from zimun.storage.postgresql.database import PostgresqlDatabase
from zimun.storage.postgresql.ledger_store import PostgresqlLedgers
from zimun.storage.schema import metadata
from zimun.storage.urls import database_url

from ..support.postgres import emptied, shared
from .sample_catalog import KIOSK, NOW, SALON, at, salon_entries

CITUS = """
CREATE TABLE pg_dist_partition (logicalrelid text, how text);
CREATE FUNCTION create_distributed_table(name text, col text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO pg_dist_partition VALUES (name, 'by ' || col) $$;
CREATE FUNCTION create_reference_table(name text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO pg_dist_partition VALUES (name, 'on every node') $$;
"""


@pytest.fixture
def name() -> str:
    """A migrated database of its own."""
    server, _ = shared()
    made = server.create()
    migrate(database_url(server.url(made), Path()))
    return made


def run(name: str) -> list[tuple[str, str]]:
    server, _ = shared()
    url = database_url(server.url(name), Path())
    return [(table.name, table.how) for table in asyncio.run(distribute(url))]


def test_distribute_without_the_extension_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(NotDistributable, match=r"^the extension citus is not installed"):
        run(name)


def test_distribute_of_a_sqlite_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotDistributable, match=r"^only a PostgreSQL database"):
        asyncio.run(distribute(database_url("", tmp_path)))


def test_distribute_puts_every_table_by_organization_or_on_every_node(name: str) -> None:
    server, _ = shared()
    server.execute(name, CITUS)
    done = dict(run(name))
    assert done.keys() == {*metadata.tables, "alembic_version"}
    on_every_node = {table for table, how in done.items() if how == "on every node"}
    assert on_every_node == {"alembic_version", "clients", "installation", "signing_keys"}
    asked = server.value(
        name, "SELECT json_object_agg(logicalrelid, how)::text FROM pg_dist_partition"
    )
    assert '"reservations" : "by org_id"' in asked


def test_distribute_again_does_what_a_migration_has_added(name: str) -> None:
    server, _ = shared()
    server.execute(name, CITUS)
    run(name)
    assert run(name) == []
    server.execute(name, "DELETE FROM pg_dist_partition WHERE logicalrelid = 'events'")
    assert run(name) == [("events", "by org_id")]


async def test_groups_on_distributed_tables_are_of_one_organization_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each statement that writes says its organization's id as a value, and no other's."""
    sent: list[tuple[str, object]] = []
    fetch = PostgresqlDatabase.fetch

    async def recorded(self: PostgresqlDatabase, sql: str, *parameters: object) -> Sequence[Any]:
        if sql.startswith("WITH locked"):
            sent.append((sql, parameters[0]))
        return await fetch(self, sql, *parameters)

    monkeypatch.setattr(PostgresqlDatabase, "fetch", recorded)
    monkeypatch.setattr(PostgresqlLedgers, "lanes", 1)
    org_ids = [f"o_distributed_{n}" for n in range(3)]
    url = database_url(emptied(), Path())
    async with PostgresqlDatabase(url) as database:
        ledgers, clock = PostgresqlLedgers(database, is_distributed=True), ManualClock(NOW)
        reader = Reader(ledgers, clock)
        async with Writer(ledgers, reader, clock) as writer:
            for org_id in org_ids:
                organization = replace(SALON, id=org_id)
                creation = CreateOrganization(organization, salon_entries())
                assert await writer.run(org_id, creation, creates=True)
            held = await asyncio.gather(
                *(
                    writer.run(
                        org_ids[n % 3],
                        Hold(
                            SlotRequest(service_id=KIOSK.id),
                            at(8) + n // 3 * KIOSK.duration,
                            new_id("h"),
                            new_id("x"),
                        ),
                    )
                    for n in range(30)
                )
            )
    assert [one.org_id for one in held] == [org_ids[n % 3] for n in range(30)]
    assert {org_id for _, org_id in sent} == set(org_ids)
    assert all("ANY" not in sql for sql, _ in sent)
    assert len(sent) < 30
