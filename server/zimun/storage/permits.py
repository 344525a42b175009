"""How many connections of a pool are in use at once: fewer where the server gives no more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from zimun.domain.errors import Overloaded

C = TypeVar("C")


class Permits:
    """At most `number` at once, first come, first served; some may be withheld for a while.

    A connection that the server refuses leaves its permit out for `regrow` seconds: until then
    calls share those connections that there are. A call waits for `patience` seconds in all.
    """

    def __init__(self, number: int, regrow: float, patience: float) -> None:
        self._number = number
        self._free = asyncio.Semaphore(number)
        self._regrow = regrow
        self._patience = patience
        self._in_use = 0
        self._withheld = 0

    @asynccontextmanager
    async def connection(
        self,
        connect: Callable[[], Awaitable[C]],
        is_full: Callable[[BaseException], bool],
        make_room: Callable[[], Awaitable[None]],
    ) -> AsyncIterator[C]:
        """A connection, as soon as there is one; closing it is left to the caller.

        Where the server is full and none is in use, `make_room` may give up another's.
        Raises Overloaded where there is none for too long, and what `connect` raises.
        """
        found = await self._connect(connect, is_full, make_room)
        self._in_use += 1
        try:
            yield found
        finally:
            self._in_use -= 1
            self._free.release()

    async def _connect(
        self,
        connect: Callable[[], Awaitable[C]],
        is_full: Callable[[BaseException], bool],
        make_room: Callable[[], Awaitable[None]],
    ) -> C:
        deadline, has_room = asyncio.get_running_loop().time() + self._patience, False
        while True:
            await self._acquire(deadline)
            try:
                return await connect()
            except BaseException as error:
                if not is_full(error):
                    self._free.release()
                    raise
                self._withhold()
                if not self._in_use:
                    # Nobody is about to give one back.
                    if has_room:
                        raise
                    await make_room()
                    has_room = True

    async def _acquire(self, deadline: float) -> None:
        if self._withheld == self._number:
            raise Overloaded("the database has no connection to give")
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded("too many transactions are waiting") from None

    def _withhold(self) -> None:
        self._withheld += 1
        asyncio.get_running_loop().call_later(self._regrow, self._give_back)

    def _give_back(self) -> None:
        self._withheld -= 1
        self._free.release()
