"""The store's few client methods in memory, and a time that is moved."""

import copy
from collections.abc import Callable
from typing import TypeVar

from zimun.booking.store import Transaction
from zimun.domain.access import Client
from zimun.domain.errors import Overloaded

T = TypeVar("T")


class MovableTime:
    """Seconds since the epoch, standing still until moved; called like `time.time`."""

    def __init__(self, seconds: float = 1_764_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class MemoryTransaction:
    """The rows of clients."""

    def __init__(self, rows: dict[str, Client]) -> None:
        self.rows = rows

    def client(self, client_id: str) -> Client | None:
        return self.rows.get(client_id)

    def clients(self, org_id: str) -> list[Client]:
        found = [client for client in self.rows.values() if client.org_id == org_id]
        return sorted(found, key=lambda client: client.create_time)

    def put_client(self, client: Client) -> None:
        self.rows[client.client_id] = client


class MemoryStore:
    """A store that can be put out of order with `down`."""

    shared = False

    def __init__(self) -> None:
        self.rows: dict[str, Client] = {}
        self.down = False

    def version(self) -> int | None:
        return None

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        if self.down:
            raise Overloaded("the store is down", 2.5)
        return fn(MemoryTransaction(copy.copy(self.rows)))  # type: ignore[arg-type]

    async def scan(self, fn: Callable[[Transaction], T]) -> T:
        return await self.read(fn)

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        if self.down:
            raise Overloaded("the store is down", 2.5)
        rows = copy.copy(self.rows)
        result = fn(MemoryTransaction(rows))  # type: ignore[arg-type]
        self.rows = rows
        return result
