"""Distributing the tables over the nodes of a PostgreSQL with the Citus extension.

What belongs to an organization is distributed by its id, so that all rows of
one organization are on one node, and its transactions, too. What belongs to
none is a reference table: the same on every node.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import URL, Connection, text

from zimun.storage.postgresql import database as postgresql
from zimun.storage.schema import clients, metadata
from zimun.storage.urls import is_postgresql


class NotDistributable(Exception):
    """The database cannot be distributed; the message says why, in one line."""


class DistributedTable(NamedTuple):
    """A table, and how its rows lie on the nodes: `by org_id`, or `on every node`."""

    name: str
    how: str


async def distribute(url: URL) -> Sequence[DistributedTable]:
    """Distribute the tables that are not distributed yet, and return which these were.

    Run it after every migration, while no server writes. Raises NotDistributable.
    """
    if not is_postgresql(url):
        raise NotDistributable("only a PostgreSQL database can be distributed")
    engine = postgresql.open_engine(url, timeouts=postgresql.NO_TIMEOUTS)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_distribute)
    finally:
        await engine.dispose()


def _distribute(connection: Connection) -> Sequence[DistributedTable]:
    if not has_extension(connection):
        raise NotDistributable("the extension citus is not installed in this database")
    distributed = distributed_tables(connection)
    newly_distributed = []
    for table in metadata.sorted_tables:
        if table.name in distributed:
            continue
        if "org_id" in table.columns and table is not clients:
            _call(connection, "create_distributed_table(:name, 'org_id')", table.name)
            newly_distributed.append(DistributedTable(table.name, "by org_id"))
        else:
            newly_distributed.append(_on_every_node(connection, table.name))
    if "alembic_version" not in distributed:
        newly_distributed.append(_on_every_node(connection, "alembic_version"))
    return newly_distributed


def has_extension(connection: Connection) -> bool:
    """Whether the functions of Citus are there."""
    query = text("SELECT to_regproc('create_distributed_table') IS NOT NULL")
    return bool(connection.execute(query).scalar_one())


def distributed_tables(connection: Connection) -> set[str]:
    """The names of the tables that are distributed, or on every node."""
    query = text("SELECT logicalrelid::text FROM pg_dist_partition")
    return set(connection.execute(query).scalars())


def is_distributed(connection: Connection) -> bool:
    """Whether the ledgers are distributed."""
    return has_extension(connection) and "ledgers" in distributed_tables(connection)


def _on_every_node(connection: Connection, name: str) -> DistributedTable:
    _call(connection, "create_reference_table(:name)", name)
    return DistributedTable(name, "on every node")


def _call(connection: Connection, function: str, name: str) -> None:
    connection.execute(text(f"SELECT {function}"), {"name": name})
