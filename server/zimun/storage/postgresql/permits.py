"""A limit of the connections of a pool in use, lower while the server refuses more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from zimun.domain.errors import Overloaded

C = TypeVar("C")

MAX_FAILURES = 4
"""How often a call tries again to connect when neither this pool nor the other has a connection."""

RETRY_INTERVAL = 0.03
"""Seconds between two attempts: a connection that was closed ends on the server a moment later."""


class Permits:
    """At most `number` connections in use, first come, first served.

    When the server refuses a connection, its permit is withheld for `withhold_time` seconds, and
    calls share the other connections. A call waits for `timeout` seconds in all.
    """

    def __init__(self, number: int, withhold_time: float, timeout: float) -> None:
        self._number = number
        self._free = asyncio.Semaphore(number)
        self._withhold_time = withhold_time
        self._timeout = timeout
        self._in_use = 0
        self._withheld = 0

    @asynccontextmanager
    async def connection(
        self,
        connect: Callable[[], Awaitable[C]],
        is_full: Callable[[BaseException], bool],
        close_other: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[C]:
        """A connection, as soon as there is one; the caller closes it.

        `is_full` tells whether an error of `connect` means that the server takes no more. Then, if
        no connection is in use, `close_other` closes an idle one of the other pool, and returns
        whether that pool has, or had, any. Raises Overloaded after the timeout, and what `connect`
        raises.
        """
        connection = await self._connect(connect, is_full, close_other)
        self._in_use += 1
        try:
            yield connection
        finally:
            self._in_use -= 1
            self._free.release()

    async def _connect(
        self,
        connect: Callable[[], Awaitable[C]],
        is_full: Callable[[BaseException], bool],
        close_other: Callable[[], Awaitable[bool]],
    ) -> C:
        loop = asyncio.get_running_loop()
        deadline, failures = loop.time() + self._timeout, 0
        while True:
            await self._acquire(deadline)
            try:
                return await connect()
            except BaseException as error:
                if not is_full(error):
                    self._free.release()
                    raise
                self._withhold()
                if self._in_use:
                    continue
                # No call will return a connection of this pool.
                failures = 0 if await close_other() else failures + 1
                if failures > MAX_FAILURES or loop.time() > deadline:
                    raise
                await asyncio.sleep(RETRY_INTERVAL)

    async def _acquire(self, deadline: float) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded("too many transactions are waiting") from None

    def _withhold(self) -> None:
        """Leave a permit out for a while; the last one is given back at once."""
        if self._withheld == self._number - 1:
            self._free.release()
            return
        self._withheld += 1
        asyncio.get_running_loop().call_later(self._withhold_time, self._give_back)

    def _give_back(self) -> None:
        self._withheld -= 1
        self._free.release()
