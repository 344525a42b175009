"""Where databases differ: the only file that names SQLite or PostgreSQL."""

import hashlib
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
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

CONNECT_TIMEOUT = 2.0
"""Seconds in which a database server has to take a connection."""

QUEUE_TIMEOUT = 10.0
"""Seconds for which a transaction waits for a connection to a database server."""

STRIPES = 16
"""Into how many locks the subjects of an organization fall on each day."""

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

    Raises ValueError for anything that cannot be opened.
    """
    if not text:
        return URL.create("sqlite", database=str(data_dir / "zimun.db"))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError(f"{text!r} is not a database URL") from error
    name = url.get_backend_name()
    if name in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+asyncpg")
    if name != "sqlite" or not url.database or url.database == ":memory:":
        shown = url.render_as_string()
        raise ValueError(f"{shown!r}: must be sqlite:///PATH or postgresql://HOST/DATABASE")
    return url


def is_shared(url: URL) -> bool:
    """Whether it names a database server, which many machines share."""
    return url.get_backend_name() == "postgresql"


# The embedded engine.


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


def data_version(connection: Connection) -> int:
    """A number that changes when another connection, of any process, commits."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA data_version")
    [[version]] = cursor.fetchall()
    cursor.close()
    return int(version)


def in_transaction(connection: Connection) -> bool:
    """Whether the database still has the transaction: it ends one by itself when the disk fails."""
    driver = connection.connection.driver_connection
    return driver is not None and driver.in_transaction


def backup(url: URL, path: Path) -> None:
    """Write a copy of the embedded database as it is now, while others go on using it.

    Raises ValueError for a database server, which brings a program for that.
    """
    if is_shared(url):
        raise ValueError("a database server is backed up with its own pg_dump")
    with (
        closing(sqlite3.connect(str(url.database))) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)


# The database server.


def open_shared_engine(url: URL, connections: int) -> AsyncEngine:
    """An engine of at most so many connections to a database server.

    A transaction sees what was committed before each of its statements: what
    must not change while it decides, it locks (`lock`).
    """
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=QUEUE_TIMEOUT,
        connect_args={
            "timeout": CONNECT_TIMEOUT,
            "prepared_statement_cache_size": 512,
            "server_settings": {"application_name": "zimun"},
        },
    )


def snapshots(engine: AsyncEngine) -> AsyncEngine:
    """The same connections, for transactions that read one snapshot and write nothing."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def is_conflict(error: BaseException) -> bool:
    """Whether a transaction failed because of another one, and may well succeed when repeated.

    Serialization failures, deadlocks, and what the walls of the schema refused:
    unique keys, the exclusion of overlaps, checks (PostgreSQL, appendix A).
    """
    return _state_of(error) in ("40001", "40P01", "23505", "23P01", "23514")


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, was never there, or cannot be used any more.

    Classes 08 and 57P of SQLSTATE; what asyncpg says of a connection rather
    than of a statement has none.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | TimeoutError | EOFError):
            return True
        if type(seen).__name__ in ("InterfaceError", "InternalClientError"):
            return True
        seen = getattr(seen, "orig", None) or seen.__cause__
    return _state_of(error).startswith(("08", "57P"))


def _state_of(error: BaseException) -> str:
    """The SQLSTATE of an error, however it is wrapped; empty for one without."""
    seen: BaseException | None = error
    while seen is not None:
        if state := getattr(seen, "sqlstate", None):
            return str(state)
        seen = getattr(seen, "orig", None) or seen.__cause__
    return ""


# Both.


def command(connection: Connection, sql: str) -> None:
    """Run what takes and answers nothing, such as SAVEPOINT."""
    cursor = connection.connection.cursor()
    cursor.execute(sql)
    cursor.close()


def failures(connection: Connection) -> tuple[type[Exception], ...]:
    """What the connection raises when the database fails: SQLAlchemy's errors and the driver's."""
    driver = connection.dialect.dbapi
    return (DBAPIError, driver.Error) if driver else (DBAPIError,)


def gathers_writes(connection: Connection) -> bool:
    """Whether several writes are better sent as one statement: where each is a round trip."""
    return connection.dialect.name == "postgresql"


def lock(connection: Connection, names: Iterable[str]) -> bool:
    """Make other writers who lock one of the names wait until this transaction is over.

    Answers whether they may have written since the transaction began: the
    embedded engine has one writer at a time and locks nothing. Everybody locks
    in the same order, so that nobody waits for somebody who waits for them.
    """
    if connection.dialect.name == "sqlite":
        return False
    keys = sorted({_key(name) for name in names})
    cursor = connection.connection.cursor()
    cursor.execute("SELECT pg_advisory_xact_lock(k) FROM unnest($1::BIGINT[]) AS k", (keys,))
    cursor.close()
    return True


def stripe(subject: str) -> int:
    """Which of the STRIPES a subject falls into."""
    return _key(subject) % STRIPES


def _key(name: str) -> int:
    """A signed 64-bit number that stands for a name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
