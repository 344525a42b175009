"""Transactions as functions, on a database server that many processes share: `SharedStore`.

Each function runs in a transaction of its own. What it must not see change
while it decides, it locks (`Transaction.lock`), and the schema's walls refuse
what comes through nevertheless; then it is run again.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import URL, Connection, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from zimun.booking.store import Transaction
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError
from zimun.storage import dialect
from zimun.storage.queries import CatalogCache, Queries

T = TypeVar("T")

CONNECTIONS = 10
"""How many transactions of one process run at once; others wait for their turn."""

ATTEMPTS = 8
"""How often a transaction is run while others get in its way."""

SHORTEST, LONGEST = 0.005, 0.2
"""Seconds of the first and of the longest pause between two attempts, less a random part."""

PATIENCE = 0.5
"""Seconds for which a lost server is tried again before the caller is told."""

log = logging.getLogger(__name__)


class SharedStore:
    """A store on a database server. Open and use it on one event loop."""

    shared = True

    def __init__(self, url: URL, connections: int = CONNECTIONS) -> None:
        self._url = url
        self._connections = connections
        self._catalogs = CatalogCache()

    async def __aenter__(self) -> "SharedStore":
        self._engine = dialect.open_shared_engine(self._url, self._connections)
        self._snapshots = dialect.snapshots(self._engine)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._engine.dispose()

    def version(self) -> int | None:
        """Unknown: only a question to the server would tell."""
        return None

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` on one snapshot."""
        return await _persistently(lambda: self._run(self._snapshots, fn))

    async def scan(self, fn: Callable[[Transaction], T]) -> T:
        """As `read`: the server does the work."""
        return await self.read(fn)

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn`; when this returns, its effect is on the server's disk."""
        return await _persistently(lambda: self._run(self._engine, fn, writing=True))

    async def _run(
        self, engine: AsyncEngine, fn: Callable[[Transaction], T], writing: bool = False
    ) -> T:
        async with engine.connect() as connection:
            try:
                await connection.begin()
                result = await connection.run_sync(self._call, fn)
                if writing:
                    await _commit(connection)
                return result
            except BaseException as error:
                # Nobody else is given a dead connection, or one whose caller went in the middle.
                if not isinstance(error, Exception) or dialect.is_lost(error):
                    await connection.invalidate(error)
                raise

    def _call(self, connection: Connection, fn: Callable[[Transaction], T]) -> T:
        queries = Queries(connection, self._catalogs)
        result = fn(queries)
        queries.flush()
        return result


async def _commit(connection: AsyncConnection) -> None:
    """Commit; raises OutcomeUnknown where the server was lost before it answered."""
    try:
        await connection.commit()
    except Exception as error:
        if not dialect.is_lost(error):
            raise
        await connection.invalidate(error)
        raise OutcomeUnknown("the store was lost while it committed") from error


async def _persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again what failed because of others, or of a lost connection, for a while.

    Pauses grow and are random in part, so that those who collided do not meet
    again. Raises Overloaded in the end.
    """
    loop = asyncio.get_running_loop()
    patient_until, pause = loop.time() + PATIENCE, SHORTEST
    for number in range(1, ATTEMPTS + 1):
        try:
            return await attempt()
        except ZimunError:
            raise
        except Exception as error:
            last = error
            if isinstance(error, exc.TimeoutError):
                raise Overloaded("too many transactions are waiting") from error
            if dialect.is_lost(error):
                if loop.time() >= patient_until:
                    break
            elif not dialect.is_conflict(error):
                raise
        log.info("attempt %d of a transaction failed: %s", number, last)
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
        pause = min(2 * pause, LONGEST)
    log.error("the store cannot be used: %s", last)
    raise Overloaded("the store cannot be used") from last
