"""`zimun migrate --distribute`: what it asks a PostgreSQL with Citus to do.

There is no Citus here: its two functions are stood in for by ones that write
down what they were called with, so these tests say nothing about Citus itself.
"""

import asyncio
from pathlib import Path

import pytest

from zimun.storage.distribute import NotDistributable, distribute
from zimun.storage.migrate import migrate
from zimun.storage.tables import metadata
from zimun.storage.urls import database_url

from ..postgres import shared

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
