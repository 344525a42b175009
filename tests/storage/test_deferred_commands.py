"""Deferred commands wait for parts of their ledger beside the lane: those of others go on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from zimun.booking import deferred_commands
from zimun.booking.store import LedgerRead, LedgerUpdate
from zimun.domain.commands import ReleaseHold
from zimun.domain.errors import HoldNotFound, Overloaded

from .booking_client import BookingClient
from .sample_catalog import KIOSK, ORG, SALON, PutCatalog, at, put_catalog
from .sqlite_commands import DEADLINE
from .test_writer import another_organization_of_the_lane


class Loads:
    """The loads of the salon's ledger, which wait until they are `allowed`, and fail where they
    are to `fail`."""

    def __init__(self) -> None:
        self.begun, self.allowed, self.fail = asyncio.Event(), asyncio.Event(), False


@pytest.fixture
async def loads(client: BookingClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Loads]:
    """Loads that wait; nothing of the salon is in memory but its catalogue."""
    reader, read, found = client.stores.reader, client.stores.ledgers.read, Loads()
    reader.forget()
    await reader.catalog(ORG)

    async def waiting(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        if any(request.org_id == ORG and request.needs for request in requests):
            found.begun.set()
            await found.allowed.wait()
            if found.fail:
                raise Overloaded("the store cannot be read")
        return await read(requests)

    monkeypatch.setattr(client.stores.ledgers, "read", waiting)
    async with asyncio.timeout(DEADLINE):
        yield found


async def change_another(client: BookingClient, name: str) -> None:
    """A change of another organization of the salon's lane."""
    other = another_organization_of_the_lane(client.stores.ledgers.lanes)
    await put_catalog(client.stores, replace(SALON, id=other, name=name), org_id=other)


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


async def test_ledger_goes_on_where_all_that_waited_for_it_have_gone(
    client: BookingClient, loads: Loads
) -> None:
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    held.cancel()
    loads.allowed.set()
    assert (await client.hold(at(10), KIOSK.id)).start == at(10)
    assert not client.stores.reader.memory(ORG).lock.locked()


async def test_load_that_fails_fails_the_commands_that_wait_for_it_alone(
    client: BookingClient, loads: Loads
) -> None:
    loads.fail = True
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    loads.allowed.set()
    with pytest.raises(Overloaded):
        await held
    await change_another(client, "Barber")
    loads.fail = False
    assert (await client.hold(at(10), KIOSK.id)).start == at(10)


async def test_one_ledger_that_is_loaded_does_not_fill_the_lane(
    client: BookingClient, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred_commands, "MAX_DEFERRED", 3)
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    await change_another(client, "Barber")
    more = [
        asyncio.ensure_future(client.stores.writer.run(ORG, ReleaseHold(f"h_{n}")))
        for n in range(3)
    ]
    await change_another(client, "Spa")
    loads.allowed.set()
    await held
    outcomes = await asyncio.gather(*more, return_exceptions=True)
    assert [type(one) for one in outcomes] == [HoldNotFound, HoldNotFound, Overloaded]


async def test_writer_that_closes_waits_for_what_is_loaded(
    client: BookingClient, loads: Loads
) -> None:
    writer = client.stores.writer
    held = asyncio.ensure_future(client.hold(at(10), KIOSK.id))
    await loads.begun.wait()
    closing = asyncio.ensure_future(writer.__aexit__())
    loads.allowed.set()
    await closing
    assert (await held).start == at(10)
    with pytest.raises(Overloaded):
        await writer.run(ORG, PutCatalog([SALON]))
