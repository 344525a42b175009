"""PostgreSQL: connections to a database server, retries, and errors of a lost or full one."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy import URL, Connection

from zimun.booking.store import AppendRejected
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError
from zimun.storage.database_errors import Refusals, brief
from zimun.storage.postgresql.permits import Permits
from zimun.storage.postgresql.sessions import CONNECT_TIMEOUT, begin_session
from zimun.storage.postgresql.sqlstates import (
    BROKEN,
    OF_SESSION,
    TOO_MANY_CONNECTIONS,
    is_conflict,
    is_lost,
    is_refusal,
    is_refusal_to_serve,
    state_of,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

MAX_CONNECTIONS = 10
"""Transactions of one process that run at once; others wait."""

QUEUE_TIMEOUT = 10.0
"""Seconds for which a transaction waits for a connection."""

LOCK_TIMEOUT = 5.0
"""Seconds for which a statement waits for a row that another server has locked."""

ANSWER_TIMEOUT = 10.0
"""Seconds in which the server has to answer a statement, longer than `LOCK_TIMEOUT`: a connection
that leads nowhere is noticed by nothing else."""

IDLE_TIMEOUT = 10.0
"""Seconds after which the server ends a transaction whose client does nothing."""

_STARTUP = {"application_name": "zimun"}
"""What the first message of a connection sets: poolers take little else."""

MAX_ATTEMPTS = 8
"""The most attempts of a transaction that conflicts with others."""

MIN_PAUSE, MAX_PAUSE = 0.005, 0.2
"""Seconds of the first and of the longest pause between two attempts, less a random part."""

RECONNECT_TIME = 0.5
"""Seconds for which a lost server is asked again before the call fails."""

BROKEN_TIME = 3.0
"""Seconds for which a server counts as broken after an error of class BROKEN."""

WITHHOLD_TIME = 1.0
"""Seconds after which a connection that the server refused is tried again."""

log = logging.getLogger(__name__)
asyncio_log = logging.getLogger("asyncio")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for which Zimun waits for the database, and the database for Zimun.

    `lock` is for a row that another server has locked; `idle` for a transaction
    whose client does nothing; `answer`, longer than `lock`, for a statement: a
    connection that leads nowhere is noticed by nothing else. None is no limit.
    """

    lock: float | None = LOCK_TIMEOUT
    idle: float | None = IDLE_TIMEOUT
    answer: float | None = ANSWER_TIMEOUT

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a connection."""
        return {
            "lock_timeout": _milliseconds(self.lock),
            "statement_timeout": _milliseconds(self.answer),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle),
        }


def _milliseconds(seconds: float | None) -> str:
    return str(round((seconds or 0) * 1000))


_GROUP_SETTINGS = {
    # Groups find rows by their keys alone; a plan made while tables were small must not scan them.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}


NO_TIMEOUTS = Timeouts(None, None, None)
"""Without limits, for the statements of migrations."""


def open_engine(
    url: URL,
    connections: int = 1,
    timeouts: Timeouts = Timeouts(),
) -> "AsyncEngine":
    """An engine with at most `connections` connections; READ COMMITTED."""
    # It imports the object-relational mapper, which a server on SQLite does without.
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=QUEUE_TIMEOUT,
        # Errors are logged, and parameters may be contacts or secrets.
        hide_parameters=True,
        connect_args={
            "async_creator_fn": partial(begin_session, settings=timeouts.settings),
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": timeouts.answer,
            "prepared_statement_cache_size": 512,
            "server_settings": _STARTUP,
        },
    )


class PostgresqlDatabase:
    """Connections to a server; a `storage.database.Database`. Use it on one event loop."""

    def __init__(
        self,
        url: URL,
        timeouts: Timeouts = Timeouts(),
        connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._url = url
        self._timeouts = timeouts
        self._connections = connections
        self._group_permits, self._read_permits = (
            Permits(connections, WITHHOLD_TIME, QUEUE_TIMEOUT) for _ in range(2)
        )
        self._refusals = Refusals(log)
        self._broken_until = 0.0

    async def __aenter__(self) -> "PostgresqlDatabase":
        asyncio_log.addFilter(_is_not_of_lost_connection)
        self._engine = open_engine(self._url, self._connections, self._timeouts)
        self._readers = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._direct = asyncpg.create_pool(
            self._url.set(drivername="postgresql").render_as_string(hide_password=False),
            min_size=0,
            max_size=self._connections,
            max_inactive_connection_lifetime=0,
            timeout=CONNECT_TIMEOUT,
            command_timeout=self._timeouts.answer,
            statement_cache_size=512,
            server_settings=_STARTUP,
            connect=partial(begin_session, settings=self._timeouts.settings | _GROUP_SETTINGS),
            connection_class=_Connection,
        )
        await self._direct
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._direct.terminate()
        await self._engine.dispose()

    def connections_in_use(self) -> Mapping[str, tuple[int, int]]:
        """Connections in use and their limit: those of groups and heads, and those of reads."""
        direct = self._direct.get_size() - self._direct.get_idle_size()
        pool: Any = self._engine.pool
        return {
            "groups": (direct, self._connections),
            "reads": (pool.checkedout(), self._connections),
        }

    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        """The rows of one statement, which is a transaction of its own.

        Raises Overloaded where there is no connection, and the driver's errors.
        """
        async with self._group_connection() as connection:
            try:
                records: Sequence[Any] = await connection.fetch(sql, *parameters)
            except TimeoutError:
                connection.terminate()
                await self.replace_connections()
                raise
            except asyncpg.PostgresError as error:
                if state_of(error) in OF_SESSION:
                    connection.terminate()
                raise
        return records

    @asynccontextmanager
    async def _group_connection(self) -> AsyncIterator[Any]:
        async def connect() -> Any:
            return await self.retry(self._direct.acquire)

        async with self._group_permits.connection(
            connect, _is_full, self._close_reader
        ) as connection:
            try:
                yield connection
            finally:
                await self._direct.release(connection)

    @asynccontextmanager
    async def _connection(self, engine: "AsyncEngine") -> "AsyncIterator[AsyncConnection]":
        async def connect() -> "AsyncConnection":
            return await self.retry(lambda: engine.connect().start())

        async with self._read_permits.connection(
            connect, _is_full, self._close_group
        ) as connection:
            try:
                yield connection
            finally:
                await asyncio.shield(asyncio.create_task(connection.close()))

    async def _close_reader(self) -> bool:
        """Close an idle connection of reads, if there is one; False where reads have none."""
        pool: Any = self._engine.pool
        if pool.checkedin():
            async with self._engine.connect() as connection:
                await connection.invalidate()
            return True
        return bool(pool.checkedout())

    async def _close_group(self) -> bool:
        """Close an idle connection of groups, if there is one; False where groups have none."""
        if self._direct.get_idle_size():
            connection = await self._direct.acquire()
            await connection.close()
            await self._direct.release(connection)
            return True
        return bool(self._direct.get_size())

    async def replace_connections(self) -> None:
        """Close all connections: where one is of no use, the others may not be, either."""
        await self._direct.expire_connections()
        await self._engine.dispose()

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run an attempt, and repeat it after an error of `is_conflict` or a lost connection.

        Other errors are raised at once: `store.AppendRejected` too, as its group must be decided
        anew. Pauses grow and are random in part, so that transactions that collided do not
        collide again. Raises Overloaded after MAX_ATTEMPTS, where a lost server does not
        return within RECONNECT_TIME, and at once where the server refuses to serve.
        """
        loop = asyncio.get_running_loop()
        reconnect_until, pause = loop.time() + RECONNECT_TIME, MIN_PAUSE
        for number in range(1, MAX_ATTEMPTS + 1):
            try:
                return await attempt()
            except (ZimunError, AppendRejected):
                raise
            except Exception as error:
                last = error
                if is_lost(error):
                    if loop.time() >= reconnect_until:
                        break
                elif is_refusal_to_serve(error):
                    break
                elif not is_conflict(error):
                    raise
            log.debug("attempt %d of a transaction failed: %s", number, brief(last))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, MAX_PAUSE)
        raise self.refused(last) from last

    def refused(self, error: BaseException) -> Overloaded:
        """Count an error of a server that cannot do the work now; returns the error for callers."""
        state = state_of(error)
        self._refusals.note(state or "connection", "the store cannot be used", error)
        if state.startswith(BROKEN):
            self._broken_until = asyncio.get_running_loop().time() + BROKEN_TIME
        return Overloaded("the store cannot be used")

    @property
    def is_broken(self) -> bool:
        """Whether the server failed lately with an error that a probe may not get: a full disk."""
        return asyncio.get_running_loop().time() < self._broken_until

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on one snapshot."""
        return await self.retry(lambda: self._run(self._readers, fn))

    scan = read
    """A long read waits for the server, not on the event loop."""

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn`; when this returns, its effect is on the server's disk."""
        return await self.retry(lambda: self.attempt(fn))

    async def attempt(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` as `write` does, but once; raises the driver's errors."""
        return await self._run(self._engine, fn, writing=True)

    async def _run(
        self, engine: "AsyncEngine", fn: Callable[[Connection], T], writing: bool = False
    ) -> T:
        async with self._connection(engine) as connection:
            try:
                await connection.begin()
                result = await connection.run_sync(fn)
                if writing:
                    await _commit(connection)
                return result
            except BaseException as error:
                # A connection that is of no use, or of a cancelled call, is not used again.
                is_of_use = isinstance(error, Exception) and state_of(error) not in OF_SESSION
                if not is_of_use or is_lost(error):
                    await connection.invalidate(error)
                if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
                    await self.replace_connections()
                raise


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection without a reset between uses, as statements leave no state."""

    def get_reset_query(self) -> str:
        return ""


async def _commit(connection: "AsyncConnection") -> None:
    """Commit; raises OutcomeUnknown where the server did not report the outcome."""
    try:
        await connection.commit()
    except Exception as error:
        if is_refusal(error):
            raise
        await connection.invalidate(error)
        raise OutcomeUnknown("the store was lost while it committed") from error


def _is_not_of_lost_connection(record: logging.LogRecord) -> bool:
    """Whether a record of asyncio is not about a lost connection for which no task waits.

    The drivers close connections in tasks of their own, and a call that is cancelled leaves the
    opening or closing of its connection to itself. Calls that wait are told, and counted.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not (error and "never retrieved" in record.getMessage() and is_lost(error))


def _is_full(error: BaseException) -> bool:
    return state_of(error) == TOO_MANY_CONNECTIONS
