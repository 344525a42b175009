"""The store's few methods for clients and keys in memory, and a time that is moved."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from zimun.booking.store import Transaction
from zimun.domain.access import Client, SigningKey
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


@dataclass
class MemoryTransaction:
    """The rows of clients and keys."""

    rows: dict[str, Client] = field(default_factory=dict)
    keys: dict[str, SigningKey] = field(default_factory=dict)

    def client(self, client_id: str) -> Client | None:
        return self.rows.get(client_id)

    def clients(self, org_id: str) -> list[Client]:
        found = [client for client in self.rows.values() if client.org_id == org_id]
        return sorted(found, key=lambda client: client.create_time)

    def put_client(self, client: Client) -> None:
        self.rows[client.client_id] = client

    def signing_keys(self, locking: bool = False) -> Sequence[SigningKey]:
        return sorted(self.keys.values(), key=lambda key: key.create_time)

    def add_signing_key(self, key: SigningKey) -> None:
        self.keys[key.kid] = key

    def remove_signing_key(self, kid: str) -> None:
        del self.keys[kid]


class MemoryStore:
    """A store that can be put out of order with `down`."""

    shared = False

    def __init__(self) -> None:
        self.kept = MemoryTransaction()
        self.down = False

    @property
    def rows(self) -> dict[str, Client]:
        return self.kept.rows

    @property
    def keys(self) -> dict[str, SigningKey]:
        return self.kept.keys

    def version(self) -> int | None:
        return None

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        if self.down:
            raise Overloaded("the store is down", 2.5)
        return fn(copy.deepcopy(self.kept))  # type: ignore[arg-type]

    async def scan(self, fn: Callable[[Transaction], T]) -> T:
        return await self.read(fn)

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        if self.down:
            raise Overloaded("the store is down", 2.5)
        changed = copy.deepcopy(self.kept)
        result = fn(changed)  # type: ignore[arg-type]
        self.kept = changed
        return result
