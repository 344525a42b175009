"""Inspection of a database: version, settings, schema, clock and keys. It changes nothing."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import URL, Connection, func, inspect, select

from zimun.domain.instant import SECOND
from zimun.storage.clock_offset import read_clock_offset
from zimun.storage.migrate import current_revision, newest_revision
from zimun.storage.postgresql import database as postgresql
from zimun.storage.schema import ledgers, signing_keys
from zimun.storage.sqlite import database as sqlite
from zimun.storage.urls import is_postgresql

DURABLE: Mapping[str, tuple[str, ...]] = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}
"""Settings of PostgreSQL, with their good values, on which the durability of changes depends."""

WRITABLE: Mapping[str, tuple[str, ...]] = {
    "default_transaction_read_only": ("off",),
    "in_recovery": ("off",),
}
"""Settings, with the values that a server needs to write."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`settings` are those of DURABLE and WRITABLE, and `max_connections`; none for a file.

    `revision` is the schema's, None in an empty database; `ahead` is by how many seconds the
    database's clock is ahead of the machine's; `ledger_ahead` the same of the latest decision, on
    the booking clock, which is `booking_ahead`; `key_times` are instants of publication.
    """

    engine: str
    version: str
    settings: Mapping[str, str]
    revision: str | None
    newest_revision: str
    ahead: float
    ledger_ahead: float
    booking_ahead: float
    key_times: tuple[int, ...]


async def examine(url: URL) -> Inspection:
    """Inspect a database; raises what its driver raises."""
    if is_postgresql(url):
        engine = postgresql.open_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(_examine)
        finally:
            await engine.dispose()
    return await asyncio.to_thread(_examine_file, url)


def _examine_file(url: URL) -> Inspection:
    engine = sqlite.open_engine(url, read_only=True)
    try:
        with engine.connect() as connection:
            return _examine(connection)
    finally:
        engine.dispose()


def _examine(connection: Connection) -> Inspection:
    tables = inspect(connection).get_table_names()
    now = time.time()
    is_server = connection.dialect.name == "postgresql"
    offset = read_clock_offset(connection) if "installation" in tables else 0
    latest = connection.scalar(select(func.max(ledgers.c.time))) if "ledgers" in tables else None
    published = select(signing_keys.c.create_time)
    keys = connection.scalars(published) if "signing_keys" in tables else ()
    return Inspection(
        engine="PostgreSQL" if is_server else "SQLite",
        version=".".join(str(part) for part in connection.dialect.server_version_info or ()),
        settings=_settings(connection) if is_server else {},
        revision=current_revision(connection),
        newest_revision=newest_revision(),
        ahead=_clock(connection) - now if is_server else 0.0,
        booking_ahead=offset / SECOND,
        ledger_ahead=(latest - offset) / SECOND - now if latest else 0.0,
        key_times=tuple(sorted(keys)),
    )


def _clock(connection: Connection) -> float:
    seconds = "SELECT extract(epoch FROM clock_timestamp())::float8"
    return float(connection.exec_driver_sql(seconds).scalar_one())


def _settings(connection: Connection) -> dict[str, str]:
    names = (*DURABLE, "default_transaction_read_only", "max_connections")
    read = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}
    recovering = connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one()
    return read | {"in_recovery": "on" if recovering else "off"}
