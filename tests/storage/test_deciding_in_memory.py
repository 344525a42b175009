"""Groups that are decided without a read of head and keys before: the append must confirm them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from zimun.booking.change_request import RESPONSE_LIFETIME
from zimun.clock import ManualClock
from zimun.domain.availability.slots import Slot
from zimun.domain.booking_errors import HoldReleased, SlotUnavailable
from zimun.domain.commands import ConfirmHold, ReleaseHold
from zimun.domain.errors import HoldNotFound, IdempotencyKeyReused
from zimun.domain.instant import MINUTE
from zimun.domain.ledger.reservation import State
from zimun.stores import Stores

from .booking_client import BookingClient, CountedCommand
from .catalog_reads import ReadServiceName
from .engines import Engine
from .ledger_check import check_ledger
from .sample_catalog import CUT, NOW, ORG, SAM, at, create_salon, put_catalog


@asynccontextmanager
async def two_servers(engine: Engine) -> AsyncIterator[tuple[BookingClient, BookingClient]]:
    """Clients of two servers of one store; the first has written last, and so trusts its memory."""
    clock = ManualClock(NOW)
    async with engine.open(clock) as one, engine.open(clock) as other:
        await create_salon(one)
        client = BookingClient(one, clock)
        for staff_id in CUT.staff_ids:
            await client.hold(at(10), staff_id=staff_id)
        yield client, BookingClient(other, clock)
    check_ledger(engine.tables(), clock.now())


def count_reads(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of ledgers of the reads from now on."""
    reads: list[int] = []
    read = stores.ledgers.read

    async def counted(requests: Any) -> Any:
        reads.append(len(requests))
        return await read(requests)

    monkeypatch.setattr(stores.ledgers, "read", counted)
    return reads


@pytest.mark.parametrize("key", ["", "k"])
async def test_group_is_decided_without_a_read(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    held = await client.hold(at(10))
    reads = count_reads(client.stores, monkeypatch)
    await client.confirm(held.hold_id, key=key)
    assert reads == []


@pytest.mark.parametrize("key", ["", "k"])
async def test_refusal_in_memory_is_confirmed_by_one_read_and_not_decided_again(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    held = await client.hold(at(10))
    await client.release(held.hold_id)
    reads = count_reads(client.stores, monkeypatch)
    confirmation = CountedCommand(ConfirmHold(held.hold_id, "a_1", SAM))
    with pytest.raises(HoldReleased):
        await client.submit("confirm", key, confirmation)
    assert (len(reads), confirmation.decisions) == (1, 1)


async def test_what_memory_lacks_is_loaded_by_one_read(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.hold(at(10))
    reads = count_reads(client.stores, monkeypatch)
    release = CountedCommand(ReleaseHold("h_unknown"))
    with pytest.raises(HoldNotFound):
        await client.submit("release", "", release)
    # Another read confirms the refusal.
    assert (len(reads), release.decisions) == (2, 2)


async def test_refusal_in_memory_is_decided_again_where_another_server_freed_the_slot(
    engine: Engine,
) -> None:
    async with two_servers(engine) as (client, elsewhere):
        with pytest.raises(SlotUnavailable):
            await client.hold(at(10))
        await client.hold(at(12))
        held = await elsewhere.hold(at(11), staff_id="t_ada")
        await elsewhere.release(held.hold_id)
        # What frees the slot is known to the other server alone.
        clients_hold = (await client.hold(at(14), staff_id="t_ada")).hold_id
        await elsewhere.release(clients_hold)
        assert (await client.hold(at(14), staff_id="t_ada")).staff_id == "t_ada"


async def test_result_is_that_of_the_last_decision(engine: Engine) -> None:
    async with two_servers(engine) as (client, elsewhere):
        await put_catalog(elsewhere.stores, replace(CUT, name="Trim"))
        assert await client.stores.writer.run(ORG, ReadServiceName()) == "Trim"


async def test_slot_that_another_server_sold_is_refused(engine: Engine) -> None:
    async with two_servers(engine) as (client, elsewhere):
        await elsewhere.hold(at(11), staff_id="t_ada")
        with pytest.raises(SlotUnavailable):
            await client.hold(at(11), staff_id="t_ada")


async def test_response_that_another_server_stored_is_sent_again(engine: Engine) -> None:
    async with two_servers(engine) as (client, elsewhere):
        first = await elsewhere.hold_bytes(at(12), key="k")
        await client.hold(at(13))
        # Memory has taken up the other server's hold, and knows nothing of its key.
        assert await client.hold_bytes(at(12), key="k") == first
        await client.hold(at(13))
        with pytest.raises(IdempotencyKeyReused):
            await client.hold_bytes(at(15), key="k")


async def test_response_of_this_server_is_sent_again_where_the_slot_is_taken(
    client: BookingClient,
) -> None:
    first = await client.hold_bytes(at(10), key="k", staff_id="t_ada")
    await client.hold(at(11))
    assert await client.hold_bytes(at(10), key="k", staff_id="t_ada") == first


async def test_key_is_free_again_after_its_lifetime(client: BookingClient) -> None:
    first = await client.hold_bytes(at(10, 30), key="k")
    client.clock.instant += RESPONSE_LIFETIME
    await client.hold(at(3 * 24))
    assert await client.hold_bytes(at(3 * 24 + 1), key="k") != first


async def alternatives_to(client: BookingClient, start: int) -> Sequence[Slot] | None:
    """The alternatives of the refusal of a hold; None where it is not refused."""
    try:
        await client.hold(start)
    except SlotUnavailable as error:
        return error.alternatives
    return None


@pytest.mark.parametrize("confirmed", [True, False])
async def test_refusal_that_is_repeated_is_that_of_a_server_without_memory(
    engine: Engine, confirmed: bool
) -> None:
    async with two_servers(engine) as (client, elsewhere):
        client.clock.instant = at(8, 40)
        for staff_id in CUT.staff_ids:
            held = await client.hold(at(9), staff_id=staff_id)
            client.clock.instant += MINUTE
            if confirmed:
                await client.confirm(held.hold_id)
        refusals = []
        while client.clock.instant < at(9):
            refusals.append(await alternatives_to(client, at(9)))
            elsewhere.stores.reader.forget()
            if refusals[-1] is not None:
                assert refusals[-1] == await alternatives_to(elsewhere, at(9))
                assert refusals[-1] == await alternatives_to(client, at(9))
            client.clock.instant += MINUTE // 2
        assert (None in refusals) is not confirmed


async def test_refusal_without_alternatives_within_the_horizon_follows_it(
    client: BookingClient,
) -> None:
    last = client.clock.instant + CUT.horizon
    start = last - last % CUT.slot_step
    for staff_id in CUT.staff_ids:
        await client.confirm((await client.hold(start, staff_id=staff_id)).hold_id)
    first = await alternatives_to(client, start)
    client.clock.instant += CUT.slot_step
    assert first != await alternatives_to(client, start)


async def test_confirmation_without_effect_is_of_the_ledger_as_it_is(engine: Engine) -> None:
    async with two_servers(engine) as (client, elsewhere):
        booked = await client.book(at(15))
        await elsewhere.cancel(booked.appointment_id)
        assert (await client.confirm(booked.hold_id)).state is State.CANCELLED
