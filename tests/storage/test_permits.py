"""Two pools that share the connections of a server that gives few."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from zimun.storage.postgresql.permits import Permits


class Full(Exception):
    """The server accepts no more connections."""


class Pool:
    """Connections to a server that gives all pools together `Pool.limit` of them."""

    limit, opened = 0, 0

    def __init__(self, number: int = 4) -> None:
        self.permits = Permits(number, withhold_time=0.01, timeout=5)
        self.other: Pool | None = None
        self.idle = self.size = 0

    async def connect(self) -> "Pool":
        await asyncio.sleep(0)
        if self.idle:
            self.idle -= 1
        elif Pool.opened < Pool.limit:
            Pool.opened, self.size = Pool.opened + 1, self.size + 1
        else:
            raise Full
        return self

    async def close_other(self) -> bool:
        other = self.other
        if other and other.idle:
            other.idle, other.size, Pool.opened = other.idle - 1, other.size - 1, Pool.opened - 1
            return True
        return bool(other and other.size)

    def connection(self) -> AbstractAsyncContextManager["Pool"]:
        return self.permits.connection(
            self.connect, lambda error: isinstance(error, Full), self.close_other
        )

    async def work(self, calls: int) -> None:
        for _ in range(calls):
            async with self.connection():
                await asyncio.sleep(0)
                self.idle += 1


@pytest.fixture
def pools() -> tuple[Pool, Pool]:
    one, other = Pool(), Pool()
    one.other, other.other, Pool.opened = other, one, 0
    return one, other


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_calls_of_both_pools_share_few_connections_and_none_is_refused(
    limit: int, pools: tuple[Pool, Pool]
) -> None:
    Pool.limit = limit
    await asyncio.gather(*(pool.work(5) for pool in pools for _ in range(8)))
    assert Pool.opened <= limit


async def test_call_waits_for_the_connection_that_the_other_pool_uses(
    pools: tuple[Pool, Pool],
) -> None:
    Pool.limit = 1
    one, other = pools
    async with one.connection():
        waiting = asyncio.create_task(other.work(1))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        one.idle += 1
    await waiting


async def test_call_is_refused_soon_when_no_pool_has_a_connection(
    pools: tuple[Pool, Pool],
) -> None:
    Pool.limit = 0
    async with asyncio.timeout(2):
        for pool in pools:
            with pytest.raises(Full):
                await pool.work(1)
