"""A database where something else happens between two steps of a query or a change."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Interrupted:
    """A database where something happens after each scan."""

    database: Any
    after_scan: Callable[[], Awaitable[None]]

    async def read(self, fn: Callable[[Any], T]) -> T:
        result: T = await self.database.read(fn)
        return result

    async def scan(self, fn: Callable[[Any], T]) -> T:
        result: T = await self.database.scan(fn)
        await self.after_scan()
        return result

    async def write(self, fn: Callable[[Any], T]) -> T:
        result: T = await self.database.write(fn)
        return result
