"""Transactions as functions, on the embedded database: `EmbeddedStore.read` and `.write`.

Writes are grouped. One thread owns the one writing connection; it takes every
waiting function, runs each in a savepoint of one transaction, commits once and
only then answers all of them. Many callers share the cost of one durable
commit, and nobody is answered before it is on disk.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, exc

from zimun.booking.store import Transaction
from zimun.domain.errors import Overloaded
from zimun.storage import dialect
from zimun.storage.queries import CatalogCache, Queries

T = TypeVar("T")

GROUP = 128
"""The most functions that one commit carries: bounds how long the first of them waits."""

BACKLOG = 4096
"""The most functions that may wait for the writer; one more is refused at once."""

log = logging.getLogger(__name__)


class EmbeddedStore:
    """A store in one file of this machine. Open and use it on one event loop."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._catalogs = CatalogCache()

    async def __aenter__(self) -> "EmbeddedStore":
        self._reader = dialect.open_engine(self._url, read_only=True).connect()
        self._readers = dialect.open_async_engine(self._url)
        self._writer = GroupedWriter(self._url, self._catalogs)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._writer.close()
        self._reader.close()
        self._reader.engine.dispose()
        await self._readers.dispose()

    def version(self) -> int:
        """SQLite's data_version: it changes with every commit of another connection."""
        return dialect.data_version(self._reader)

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run a short read where it stands, on the event loop.

        An indexed read takes tens of microseconds, less than handing it to a
        thread and back does (bench/ has the ratio).
        """
        with _snapshot(self._reader):
            return fn(Queries(self._reader, self._catalogs))

    async def scan(self, fn: Callable[[Transaction], T]) -> T:
        """Run a read whose statements may be long, on a connection of its own.

        The statements run on that connection's thread; what `fn` itself works
        out runs on the event loop, so it had better be little.
        """
        try:
            connection = await self._readers.connect()
        except (exc.DBAPIError, exc.TimeoutError) as error:
            log.error("the store cannot be opened: %s", error)
            raise Overloaded("the store cannot be read") from error
        try:
            return await connection.run_sync(self._run_scan, fn)
        finally:
            await connection.close()

    def _run_scan(self, connection: Connection, fn: Callable[[Transaction], T]) -> T:
        with _snapshot(connection):
            return fn(Queries(connection, self._catalogs))

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` with the next group and return when its commit is on disk.

        A caller that is cancelled before its turn is skipped.
        """
        return await self._writer.submit(fn)


class GroupedWriter:
    """The thread that owns the writing connection; submit to it from one event loop."""

    def __init__(self, url: URL, catalogs: CatalogCache) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = dialect.open_engine(url).connect()
        self._queries = Queries(self._connection, catalogs)
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="zimun-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Transaction], T]) -> "asyncio.Future[T]":
        """Queue a function; its future is done once its commit is on disk.

        Raises Overloaded when too much waits already, or after `close`.
        """
        if self._closed:
            raise Overloaded("the server is stopping")
        if self._waiting.qsize() >= BACKLOG:
            raise Overloaded("too many changes are waiting")
        job = _Job(fn, self._loop.create_future())
        self._waiting.put(job)
        return job.future

    async def close(self) -> None:
        """Finish what waits, then close the connection."""
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._commit(group)
            except Exception as error:
                self._give_up(group, error)
            self._loop.call_soon_threadsafe(_answer, group)
        self._connection.close()
        self._connection.engine.dispose()

    def _next_group(self) -> "list[_Job]":
        """Everything that waits, up to GROUP; nothing once the writer is to close."""
        group: list[_Job] = []
        while job := self._waiting.get():
            group.append(job)
            if len(group) == GROUP or self._waiting.empty():
                return group
        if group:
            self._waiting.put(None)
        return group

    def _commit(self, group: "list[_Job]") -> None:
        dialect.begin_write(self._connection)
        for job in group:
            if not job.future.cancelled():
                self._run_job(job)
        dialect.command(self._connection, "COMMIT")

    def _give_up(self, group: "list[_Job]", error: Exception) -> None:
        """Nothing of a group that cannot be committed stays, and all of it is told so."""
        log.error("a group of %d changes was not committed: %s", len(group), error)
        for job in group:
            job.error = Overloaded("the store cannot be written")
        with suppress(*dialect.failures(self._connection)):
            dialect.command(self._connection, "ROLLBACK")

    def _run_job(self, job: "_Job") -> None:
        """Run one function in its savepoint; only a lost transaction concerns the group."""
        dialect.command(self._connection, "SAVEPOINT job")
        try:
            job.result = job.fn(self._queries)
        except Exception as error:
            if not dialect.in_transaction(self._connection):
                raise
            dialect.command(self._connection, "ROLLBACK TO job")
            job.error = error
        dialect.command(self._connection, "RELEASE job")


@dataclass(slots=True)
class _Job:
    fn: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None


def _answer(group: list[_Job]) -> None:
    """Resolve a committed group, on the event loop and in one wake-up of it."""
    for job in group:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    try:
        dialect.begin_read(connection)
        yield
    except dialect.failures(connection) as error:
        log.error("the store cannot be read: %s", error)
        raise Overloaded("the store cannot be read") from error
    finally:
        if dialect.in_transaction(connection):
            dialect.command(connection, "COMMIT")
