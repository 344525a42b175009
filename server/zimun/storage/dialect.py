"""Where databases differ: the only file that names SQLite or PostgreSQL."""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, TextClause, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}
"""Options of a table that is read by ranges of its primary key."""

BUSY_TIMEOUT = 5.0
"""Seconds for which a statement waits while another process has the embedded file locked."""

_PRAGMAS = (
    # A commit is on disk when it returns.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
)


def only_where(condition: TextClause) -> dict[str, Any]:
    """Options of an index on some rows only."""
    return {"sqlite_where": condition, "postgresql_where": condition}


def database_url(text: str, data_dir: Path) -> URL:
    """The URL to open: `text`, or the embedded file in `data_dir` where it is empty.

    Raises ValueError for anything that this version cannot open.
    """
    if not text:
        return URL.create("sqlite", database=str(data_dir / "zimun.db"))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError(f"{text!r} is not a database URL") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ValueError(f"{url.render_as_string()!r}: only sqlite:///PATH is supported so far")
    return url


def open_engine(url: URL, read_only: bool = False) -> Engine:
    """A synchronous engine; BEGIN and COMMIT are left to the caller."""
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT},
    )
    _prepare(engine, read_only)
    return engine


def open_async_engine(url: URL) -> AsyncEngine:
    """An engine of read-only connections, each with a thread of its own."""
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": BUSY_TIMEOUT},
    )
    _prepare(engine.sync_engine, read_only=True)
    return engine


def _prepare(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()


def share(connection: Connection) -> None:
    """Let readers and the writer of a new file not wait for each other, from now on.

    SQLite does not wait for others who do the same at this moment, so we do.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            command(connection, "PRAGMA journal_mode=WAL")
            return
        except failures(connection):
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def begin_read(connection: Connection) -> None:
    """Begin a transaction that sees one snapshot."""
    command(connection, "BEGIN")


def begin_write(connection: Connection) -> None:
    """Begin a transaction that may write, waiting for other writers first."""
    command(connection, "BEGIN IMMEDIATE")


def command(connection: Connection, sql: str) -> None:
    """Run what takes and answers nothing, such as SAVEPOINT."""
    cursor = connection.connection.cursor()
    cursor.execute(sql)
    cursor.close()


def data_version(connection: Connection) -> int:
    """A number that changes when another connection, of any process, commits."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA data_version")
    [[version]] = cursor.fetchall()
    cursor.close()
    return int(version)


def failures(connection: Connection) -> tuple[type[Exception], ...]:
    """What the connection raises when the database fails: SQLAlchemy's errors and the driver's."""
    driver = connection.dialect.dbapi
    return (DBAPIError, driver.Error) if driver else (DBAPIError,)


def in_transaction(connection: Connection) -> bool:
    """Whether the database still has the transaction: it ends one by itself when the disk fails."""
    driver = connection.connection.driver_connection
    return driver is not None and driver.in_transaction
