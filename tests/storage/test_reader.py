"""Reading ledgers from memory: no answer is older than its question, and looks are shared."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from zimun.booking.reader import Reader
from zimun.booking.store import Head, LedgerStore
from zimun.domain.availability.timetable import Timetable
from zimun.domain.errors import Overloaded, TokenInvalid
from zimun.domain.ledger.ledger import Ledger

from .booking_client import BookingClient
from .sample_catalog import ORG, at


class GatedStore:
    """A store whose heads are read at once and told when the gate is open.

    It has no version, so that every question needs a look at the head.
    """

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self.gate = asyncio.Event()
        self.gate.set()
        self.looks: asyncio.Queue[None] = asyncio.Queue()
        self.error: Exception | None = None

    def version(self) -> int | None:
        return None

    async def heads(self, org_ids: Collection[str]) -> Mapping[str, Head]:
        found = await self._store.heads(org_ids)
        self.looks.put_nowait(None)
        await self.gate.wait()
        if self.error:
            raise self.error
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def seq(ledger: Ledger, timetable: Timetable, now: int) -> int:
    return ledger.seq


@pytest.fixture
def store(client: BookingClient) -> GatedStore:
    return GatedStore(client.stores.ledgers)


@pytest.fixture
async def reader(client: BookingClient, store: GatedStore) -> Reader:
    """A server's reader that has read the ledger, and looks no more until the gate is open."""
    reader = Reader(store, client.clock)
    await reader.query(ORG, seq)
    await store.looks.get()
    store.gate.clear()
    return reader


async def test_query_that_comes_during_a_read_of_heads_sees_all_that_was_committed_before_it(
    client: BookingClient, store: GatedStore, reader: Reader
) -> None:
    before = await client.stores.reader.query(ORG, seq)
    first = asyncio.create_task(reader.query(ORG, seq))
    await store.looks.get()
    await client.hold(at(10))
    second = asyncio.create_task(reader.query(ORG, seq))
    await asyncio.sleep(0)
    store.gate.set()
    assert await second == before + 1
    assert await first >= before


async def test_queries_that_come_during_a_read_of_heads_share_the_next_one(
    store: GatedStore, reader: Reader
) -> None:
    first = asyncio.create_task(reader.query(ORG, seq))
    await store.looks.get()
    asked = [asyncio.create_task(reader.query(ORG, seq)) for _ in range(10)]
    await asyncio.sleep(0)
    store.gate.set()
    assert {await one for one in asked} == {await first}
    assert store.looks.qsize() == 1


async def test_failed_read_of_heads_fails_all_queries_that_share_it_and_no_later_one(
    store: GatedStore, reader: Reader
) -> None:
    asked = [asyncio.create_task(reader.query(ORG, seq)) for _ in range(3)]
    await store.looks.get()
    store.error = Overloaded("the store cannot be read")
    store.gate.set()
    got = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in got] == [Overloaded] * 3
    store.error = None
    assert await reader.query(ORG, seq) > 0


async def test_cancelled_query_leaves_the_shared_read_of_heads_to_the_others(
    store: GatedStore, reader: Reader
) -> None:
    gone = asyncio.create_task(reader.query(ORG, seq))
    stays = asyncio.create_task(reader.query(ORG, seq))
    await store.looks.get()
    gone.cancel()
    store.gate.set()
    assert await stays > 0
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_an_unknown_organization_is_refused_beside_one_that_is_known(
    store: GatedStore, reader: Reader
) -> None:
    known = asyncio.create_task(reader.query(ORG, seq))
    unknown = asyncio.create_task(reader.query("o_nobody", seq))
    store.gate.set()
    assert await known > 0
    with pytest.raises(TokenInvalid):
        await unknown


async def test_query_is_as_of_its_call_though_the_head_comes_later(
    client: BookingClient, store: GatedStore, reader: Reader
) -> None:
    """What other servers have done since is not in the answer, nor is the time that has passed."""
    called = client.clock.now()
    answer = asyncio.create_task(reader.query(ORG, lambda ledger, timetable, now: now))
    await store.looks.get()
    client.clock.advance(1)
    store.gate.set()
    assert await answer == called
