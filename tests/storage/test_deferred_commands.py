"""Deferred commands wait for parts of their ledger beside the lane: those of others go on."""

import asyncio
import itertools
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from itertools import islice
from typing import ParamSpec

import pytest

from zimun.booking.change_request import ChangeRequest
from zimun.booking.deferred_commands import MAX_DEFERRED
from zimun.booking.store import LedgerRead, LedgerUpdate
from zimun.booking.writer import MAX_GROUP
from zimun.domain.commands import ReleaseHold
from zimun.domain.errors import HoldNotFound, Overloaded
from zimun.domain.identity import Caller

from .booking_client import BookingClient
from .sample_catalog import KIOSK, ORG, SALON, PutCatalog, at, put_catalog
from .sqlite_commands import DEADLINE

P = ParamSpec("P")


def in_time(
    test: Callable[P, Coroutine[object, object, None]],
) -> Callable[P, Coroutine[object, object, None]]:
    """The test, which fails after DEADLINE: a deadline in a fixture would not end it."""

    @wraps(test)
    async def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async with asyncio.timeout(DEADLINE):
            await test(*args, **kwargs)

    return run


class Loads:
    """Loads of parts of ledgers, which wait until they are `allowed`, and fail where they are to
    `fail`."""

    def __init__(self) -> None:
        self.begun, self.allowed, self.fail = asyncio.Event(), asyncio.Event(), False


@pytest.fixture
async def loads(client: BookingClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Loads]:
    """Loads that wait; nothing of the salon is in memory but its catalogue."""
    reader, read, found = client.stores.reader, client.stores.ledgers.read, Loads()
    reader.forget()
    await reader.catalog(ORG)

    async def waiting(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        if any(request.needs for request in requests):
            found.begun.set()
            await found.allowed.wait()
            if found.fail:
                raise Overloaded("the store cannot be read")
        return await read(requests)

    monkeypatch.setattr(client.stores.ledgers, "read", waiting)
    yield found
    # The writer waits for them as it closes, also where a test has failed.
    found.allowed.set()


def organizations_of_the_lane(client: BookingClient) -> Iterator[str]:
    """The ids of other organizations of the salon's lane."""
    lanes = client.stores.ledgers.lanes
    return (
        org_id
        for org_id in map("o_{}".format, itertools.count())
        if zlib.crc32(org_id.encode()) % lanes == zlib.crc32(ORG.encode()) % lanes
    )


async def change_another(client: BookingClient, name: str) -> None:
    """A change of another organization of the salon's lane."""
    other = next(organizations_of_the_lane(client))
    await put_catalog(client.stores, replace(SALON, id=other, name=name), org_id=other)


@in_time
async def test_others_do_not_wait_until_a_ledger_is_loaded(
    client: BookingClient, loads: Loads
) -> None:
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    for name in ("Barber", "Spa"):
        await change_another(client, name)
    # What comes for that ledger meanwhile waits with it.
    later = asyncio.ensure_future(client.hold(at(11), KIOSK.id))
    await change_another(client, "Barber")
    assert not held.done()
    assert client.stores.writer.waiting == 2
    loads.allowed.set()
    assert [(await one).start for one in (held, later)] == [at(10), at(11)]
    assert client.stores.writer.waiting == 0


@in_time
async def test_others_do_not_wait_for_a_ledger_that_a_query_loads(
    client: BookingClient, loads: Loads
) -> None:
    slots = asyncio.ensure_future(client.slots(KIOSK.id))
    await loads.begun.wait()
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await change_another(client, "Barber")
    assert not held.done()
    loads.allowed.set()
    assert at(10) in await slots
    assert (await held).start == at(10)


@in_time
async def test_ledger_goes_on_where_all_that_waited_for_it_have_gone(
    client: BookingClient, loads: Loads
) -> None:
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    held.cancel()
    loads.allowed.set()
    assert (await client.hold(at(10), KIOSK.id)).start == at(10)
    assert not client.stores.reader.memory(ORG).lock.locked()


@in_time
async def test_load_that_fails_fails_the_commands_that_wait_for_it_alone(
    client: BookingClient, loads: Loads
) -> None:
    loads.fail = True
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    loads.allowed.set()
    with pytest.raises(Overloaded):
        await held
    assert client.stores.writer.waiting == 0
    await change_another(client, "Barber")
    loads.fail = False
    assert (await client.hold(at(10), KIOSK.id)).start == at(10)


@in_time
async def test_commands_that_wait_for_a_load_do_not_fail_with_their_group(
    client: BookingClient, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> None:
        raise Overloaded("the store cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(client.stores.ledgers, "append", fail)
        held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
        with pytest.raises(Overloaded):
            await change_another(client, "Barber")
    loads.allowed.set()
    assert (await held).start == at(10)


@in_time
async def test_one_ledger_that_is_loaded_takes_most_places_and_leaves_some_to_others(
    client: BookingClient, loads: Loads
) -> None:
    writer, (_, other) = client.stores.writer, islice(organizations_of_the_lane(client), 2)
    await put_catalog(client.stores, replace(SALON, id=other), org_id=other)
    for flood in range(2):
        loads.allowed.clear()
        releases, waiting = [], []
        for org_id in (ORG, other):
            for n in range(MAX_DEFERRED):
                releases.append(
                    asyncio.ensure_future(writer.run(org_id, ReleaseHold(f"h_{flood}_{n}")))
                )
            await asyncio.sleep(0)
            # It comes after all of them.
            await change_another(client, org_id)
            waiting.append(writer.waiting)
        assert waiting[0] == MAX_DEFERRED * 4 // 5
        assert waiting[0] + MAX_DEFERRED // 8 < waiting[1] <= MAX_DEFERRED
        loads.allowed.set()
        outcomes = await asyncio.gather(*releases, return_exceptions=True)
        counts = Counter(map(type, outcomes))
        assert counts == {HoldNotFound: waiting[1], Overloaded: len(releases) - waiting[1]}
        assert writer.waiting == 0


@in_time
async def test_others_go_in_turn_with_very_many_commands_that_were_deferred(
    client: BookingClient, loads: Loads
) -> None:
    await change_another(client, "Barber")
    caller = Caller(ORG, "c_client", frozenset())
    # A refusal under a key is confirmed by a read: others come meanwhile.
    requests = (
        ChangeRequest(caller, "ReleaseHold", f"k_{n}", b"", bytes) for n in range(8 * MAX_GROUP)
    )
    releases = [
        asyncio.ensure_future(client.stores.writer.submit(request, ReleaseHold("h_1")))
        for request in requests
    ]
    await loads.begun.wait()
    loads.allowed.set()
    await asyncio.wait(releases, return_when=asyncio.FIRST_COMPLETED)
    # The first group has its outcome: the others have returned.
    await change_another(client, "Spa")
    assert sum(not release.done() for release in releases) >= 4 * MAX_GROUP
    await asyncio.gather(*releases, return_exceptions=True)


@in_time
async def test_writer_that_closes_waits_for_what_is_loaded(
    client: BookingClient, loads: Loads
) -> None:
    writer = client.stores.writer
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    closing = asyncio.ensure_future(writer.__aexit__())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not closing.done()
    loads.allowed.set()
    await closing
    assert (await held).start == at(10)
    with pytest.raises(Overloaded):
        await writer.run(ORG, PutCatalog([SALON]))
