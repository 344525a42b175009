"""Transactions as functions, on the embedded database: `EmbeddedStore.read` and `.write`.

Writes are grouped on one writing connection: BEGIN IMMEDIATE, every function
that waits in a savepoint of its own, one COMMIT, and only then all answers. Many
callers share the cost of one durable commit, and nobody is answered before it
is on disk.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, exc

from zimun.booking.store import Transaction
from zimun.domain.errors import Overloaded
from zimun.storage import dialect
from zimun.storage.queries import CatalogCache, Queries

T = TypeVar("T")

GROUP = 32
"""The most functions that one commit carries: bounds how long they keep the event loop."""

BACKLOG = 4096
"""The most functions that may wait for the writer; one more is refused at once."""

log = logging.getLogger(__name__)


class EmbeddedStore:
    """A store in one file of this machine. Open and use it on one event loop."""

    shared = False

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

    def version(self) -> int | None:
        """Another number after every commit of the writer or of another process."""
        with suppress(*dialect.failures(self._reader)):
            return dialect.data_version(self._reader)
        return None

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run a short read where it stands, on the event loop.

        Handing it to a thread and back costs far more than the read: one row by
        its key took 9 us here and 770 us by `scan`, on one machine in one run.
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
    """The one writing connection; submit to it from the event loop that it was made on.

    Functions run on the event loop, as they are short and run between short
    statements: on a thread of their own they would pass the interpreter lock
    to and fro with the loop at every statement. What waits for the disk or for
    another process, COMMIT and BEGIN, runs on a thread, and the loop goes on.
    """

    def __init__(self, url: URL, catalogs: CatalogCache) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = dialect.open_engine(url).connect()
        self._queries = Queries(self._connection, catalogs)
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zimun-writer")
        self._waiting: deque[_Job] = deque()
        self._arrival = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run())

    def submit(self, fn: Callable[[Transaction], T]) -> "asyncio.Future[T]":
        """Queue a function; its future is done once its commit is on disk.

        Raises Overloaded when too much waits already, or after `close`.
        """
        if self._closed:
            raise Overloaded("the server is stopping")
        if len(self._waiting) >= BACKLOG:
            raise Overloaded("too many changes are waiting")
        job = _Job(fn, self._loop.create_future())
        self._waiting.append(job)
        self._arrival.set()
        return job.future

    async def close(self) -> None:
        """Finish what waits, then close the connection."""
        self._closed = True
        self._arrival.set()
        await self._task
        self._disk.shutdown()
        self._connection.close()
        self._connection.engine.dispose()

    async def _run(self) -> None:
        while self._waiting or not self._closed:
            await self._arrival.wait()
            self._arrival.clear()
            while self._waiting:
                group: list[_Job] = []
                try:
                    await self._commit(group)
                except Exception as error:
                    self._give_up(group, error)
                _answer(group)

    async def _commit(self, group: "list[_Job]") -> None:
        await self._loop.run_in_executor(self._disk, dialect.begin_write, self._connection)
        while self._waiting and len(group) < GROUP:
            group.append(self._waiting.popleft())
            if not group[-1].future.cancelled():
                self._run_job(group[-1])
        await self._loop.run_in_executor(self._disk, dialect.command, self._connection, "COMMIT")

    def _give_up(self, group: "list[_Job]", error: Exception) -> None:
        """Nothing of a group that cannot be committed stays, and all of it is told so.

        Where not even BEGIN came through, everybody who waits is told.
        """
        if not group:
            group.extend(self._waiting)
            self._waiting.clear()
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
            # The error's traceback holds this frame, which is not to hold the error.
            del job
        dialect.command(self._connection, "RELEASE job")


@dataclass(slots=True)
class _Job:
    fn: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None


def _answer(group: list[_Job]) -> None:
    """Resolve a committed group, on the event loop and in one wake-up of it.

    Then it is empty: the tracebacks of its errors hold whoever holds it.
    """
    for job in group:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
    group.clear()


@contextmanager
def _snapshot(connection: Connection) -> Iterator[None]:
    try:
        dialect.begin_read(connection)
        yield
    except dialect.failures(connection) as error:
        log.error("the store cannot be read: %s", error)
        raise Overloaded("the store cannot be read") from error
    finally:
        # It is not valid any more where its caller has gone in the middle of a statement.
        if not connection.invalidated and dialect.in_transaction(connection):
            dialect.command(connection, "COMMIT")
