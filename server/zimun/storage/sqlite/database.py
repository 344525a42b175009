"""SQLite: the connections to a file, locking and transactions.

There is one writing connection. A group is written by the event loop, as its
statements are short; what waits for the disk or for another process, COMMIT and
BEGIN, runs on a thread, and the loop goes on. Reads run on the event loop, too:
handing one to a thread takes far longer than reading a row by its key. Long ones run
on threads: one for what commands need, and two for the rest, which they do not wait for.
Another thread copies the write-ahead log into the file (a checkpoint), beside the writer.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from zimun.domain.errors import Overloaded
from zimun.storage.database_errors import Refusals
from zimun.storage.sqlite.opened_file import OpenedFile

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds for which a statement waits while another process has the file locked."""

_PRAGMAS = (
    # A commit is on disk when it returns.
    "PRAGMA synchronous=FULL",
    # Pages (of 4 KiB) of the write-ahead log after which a commit copies the rest of it into the
    # file, so that it begins anew.
    "PRAGMA wal_autocheckpoint=8000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
    "PRAGMA temp_store=MEMORY",
)

SCAN_THREADS = 2
"""Long reads at a time: one more than those of an organization (`LedgerQueries.max_scans`)."""

CHECKPOINT_ROWS = 500
"""Changed rows after which a thread copies the write-ahead log into the file: so few that commits,
which wait for the same disk, do not wait long."""

FAILURES = (DBAPIError, sqlite3.Error)
"""What a connection raises when the database fails: SQLAlchemy's errors and the driver's."""

log = logging.getLogger(__name__)


def open_engine(url: URL, read_only: bool = False, timeout: float = BUSY_TIMEOUT) -> Engine:
    """A synchronous engine; BEGIN and COMMIT are left to the caller."""
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": timeout},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    return engine


def command(connection: Connection, sql: str) -> None:
    """Run a statement without parameters and rows, such as COMMIT."""
    cursor = connection.connection.cursor()
    cursor.execute(sql)
    cursor.close()


def use_write_ahead_log(connection: Connection) -> None:
    """Let readers and the writer of a new file not wait for each other, from now on.

    SQLite does not wait for others who do the same at this moment, so we do.
    """
    _until_free(lambda: command(connection, "PRAGMA journal_mode=WAL"), threading.Event())


def begin_write(connection: Connection, cancelled: threading.Event | None = None) -> None:
    """Begin a transaction that may write, waiting for other writers first, until `cancelled`."""
    _until_free(lambda: command(connection, "BEGIN IMMEDIATE"), cancelled or threading.Event())


def _until_free(attempt: Callable[[], None], cancelled: threading.Event) -> None:
    """Repeat an attempt while another connection has the file locked."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            attempt()
            return
        except sqlite3.OperationalError as error:
            is_locked = error.sqlite_errorcode & 0xFF in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            )
            if not is_locked or cancelled.is_set() or time.monotonic() >= deadline:
                raise
            time.sleep(0.002)


def _copy_log(connection: Connection) -> None:
    """Copy what can be copied of the write-ahead log without a wait for others.

    Where the disk fails the log stays, and commits notice themselves.
    """
    with suppress(*FAILURES):
        command(connection, "PRAGMA wal_checkpoint(PASSIVE)")


def _driver(connection: Connection) -> sqlite3.Connection:
    """The connection of the driver."""
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _in_transaction(connection: Connection) -> bool:
    """Whether the database still has the transaction: it ends one by itself when the disk fails."""
    return _driver(connection).in_transaction


class _Thread:
    """A thread for work that may be long, with a connection of its own."""

    def __init__(self, url: URL, name: str, read_only: bool = True) -> None:
        self.connection = open_engine(url, read_only).connect()
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)


class SqliteDatabase:
    """The file's connections; a `storage.database.Database`. Use it on one event loop."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._refusals = Refusals(log)

    async def __aenter__(self) -> "SqliteDatabase":
        self._reader = open_engine(self._url, read_only=True).connect()
        self._scan_threads = [_Thread(self._url, "zimun-reader") for _ in range(SCAN_THREADS)]
        self._free_scan_threads: asyncio.Queue[_Thread] = asyncio.Queue()
        for thread in self._scan_threads:
            self._free_scan_threads.put_nowait(thread)
        self._loads = _Thread(self._url, "zimun-reader")
        self._checkpoints = _Thread(self._url, "zimun-checkpoint", read_only=False)
        self._checkpoint: Future[None] | None = None
        self._rows_at_checkpoint = 0
        # It must not wait for the lock on the event loop.
        self._writer = open_engine(self._url, timeout=0).connect()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zimun-writer")
        self._writing = asyncio.Lock()
        # A read opens the write-ahead log, too.
        with suppress(*FAILURES):
            command(self._reader, "SELECT 1 FROM sqlite_schema")
        self._file = OpenedFile(Path(str(self._url.database)))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        async with self._writing:
            self._disk.shutdown()
            threads = (*self._scan_threads, self._loads, self._checkpoints)
            for thread in threads:
                thread.executor.shutdown()
            for connection in (self._reader, self._writer, *(each.connection for each in threads)):
                connection.close()
                connection.engine.dispose()
            self._file.close()

    def connections_in_use(self) -> Mapping[str, tuple[int, int]]:
        """None: a file has no pool."""
        return {}

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run a short read on the event loop."""
        with self.snapshot() as connection:
            return fn(connection)

    async def scan(self, fn: Callable[[Connection], T]) -> T:
        """Run a read whose statements may be long: of a list, an export or an erasure."""
        thread = await self._free_scan_threads.get()
        try:
            return await self._read_on(thread, fn)
        finally:
            self._free_scan_threads.put_nowait(thread)

    async def load(self, fn: Callable[[Connection], T]) -> T:
        """Run a read of ledgers that may be long; it waits for no `scan`, as commands wait for
        it."""
        return await self._read_on(self._loads, fn)

    async def _read_on(self, thread: _Thread, fn: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._snapshot(thread.connection) as connection:
                return fn(connection)

        loop = asyncio.get_running_loop()
        return await _finished(loop.run_in_executor(thread.executor, run))

    def snapshot(self) -> "Any":
        """The reading connection in a transaction that sees one snapshot."""
        return self._snapshot(self._reader)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` between BEGIN IMMEDIATE and COMMIT."""
        async with self.transaction() as connection:
            return fn(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """The writing connection; what is raised inside rolls back, else it is committed.

        Raises Overloaded where it cannot be begun or committed.
        """
        loop, connection = asyncio.get_running_loop(), self._writer
        async with self._writing:
            try:
                try:
                    command(connection, "BEGIN IMMEDIATE")
                except FAILURES:
                    # Another process writes, or the file fails: find out beside the event loop.
                    await self._begin_on_thread(connection)
                yield connection
                self._file.check()
                # The thread goes on when the caller is cancelled, so it is waited for. The driver's
                # `commit` takes the interpreter lock once, a statement several times.
                commit = loop.run_in_executor(self._disk, _driver(connection).commit)
                await _finished(commit)
                self._checkpoint_if_due()
            except sqlite3.IntegrityError:
                raise
            except FAILURES as error:
                raise self._failed("written", error) from error
            finally:
                if _in_transaction(connection):
                    with suppress(*FAILURES):
                        command(connection, "ROLLBACK")

    def _checkpoint_if_due(self) -> None:
        """Begin a checkpoint after CHECKPOINT_ROWS, unless one is under way."""
        rows = _driver(self._writer).total_changes
        is_running = self._checkpoint and not self._checkpoint.done()
        if rows - self._rows_at_checkpoint >= CHECKPOINT_ROWS and not is_running:
            self._rows_at_checkpoint = rows
            thread = self._checkpoints
            self._checkpoint = thread.executor.submit(_copy_log, thread.connection)

    @contextmanager
    def _snapshot(self, connection: Connection) -> Iterator[Connection]:
        self._file.require_usable()
        try:
            command(connection, "BEGIN")
            try:
                yield connection
            finally:
                if _in_transaction(connection):
                    command(connection, "COMMIT")
        except FAILURES as error:
            raise self._failed("read", error) from error

    def _failed(self, action: str, error: BaseException) -> Overloaded:
        """Count a failure of the file; the error that callers get."""
        self._file.note_failure(error)
        message = f"the store cannot be {action}"
        self._refusals.note(action, message, error)
        return Overloaded(message)

    async def probe_file(self) -> None:
        """Raise Overloaded where a new process would not read what this one writes."""
        await asyncio.get_running_loop().run_in_executor(self._disk, self._file.probe)

    async def _begin_on_thread(self, connection: Connection) -> None:
        """Begin on the thread; one whose caller is cancelled has stopped trying when this ends."""
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        beginning = loop.run_in_executor(self._disk, begin_write, connection, cancelled)
        try:
            await asyncio.shield(beginning)
        except asyncio.CancelledError:
            cancelled.set()
            await _ended(beginning)
            raise


async def _finished(future: "asyncio.Future[T]") -> T:
    """The result of what a thread does; a caller that is cancelled waits for its end, too."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _ended(future)
        raise


async def _ended(future: "asyncio.Future[Any]") -> None:
    """Wait for the end of a future and retrieve its exception, which asyncio would log."""
    await asyncio.wait([future])
    future.exception()
