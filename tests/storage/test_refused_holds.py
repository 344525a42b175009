"""Refusals of holds in memory: how long they are kept, and that they count as rows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from zimun.booking.reader import LedgerMemory
from zimun.booking.refused_holds import REFUSAL_ROWS
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Decision, Hold
from zimun.domain.ledger.reservation import Reservation

from .booking_client import BookingClient
from .engines import Engine
from .sample_catalog import KIOSK, ORG, at

HOLD = Hold(SlotRequest(service_id=KIOSK.id, seats=1), at(10), "h_1", "x_1")

Change = Callable[[BookingClient, BookingClient], Awaitable[object]]
"""What a client does after the refusal, or another server's client."""


async def refuse(client: BookingClient, start: int) -> None:
    with pytest.raises(SlotUnavailable):
        await client.hold(start, KIOSK.id)


def memory_of(client: BookingClient) -> LedgerMemory:
    return client.stores.reader.memory(ORG)


async def forget(client: BookingClient, elsewhere: BookingClient) -> None:
    client.stores.reader.forget()


async def shrink(client: BookingClient, elsewhere: BookingClient) -> None:
    memory_of(client).shrink()


async def hold_here(client: BookingClient, elsewhere: BookingClient) -> None:
    await client.hold(at(12), KIOSK.id)


async def hold_elsewhere(client: BookingClient, elsewhere: BookingClient) -> None:
    await elsewhere.hold(at(12), KIOSK.id)
    await client.stores.reader.current(ORG)


async def search(client: BookingClient, elsewhere: BookingClient) -> None:
    await client.slots(day=at(14 * 24))


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [(forget, False), (shrink, False), (hold_here, False), (hold_elsewhere, False), (search, True)],
)
async def test_refusal_is_kept_until_memory_is_dropped_or_has_another_event(
    client: BookingClient, engine: Engine, change: Change, is_kept: bool
) -> None:
    await client.book(at(10), KIOSK.id)
    await refuse(client, at(10))
    assert HOLD in memory_of(client).refused_holds
    async with engine.open(client.clock) as stores:
        await change(client, BookingClient(stores, client.clock))
    assert (HOLD in memory_of(client).refused_holds) is is_kept


async def test_refusals_count_as_rows_in_memory(client: BookingClient) -> None:
    reader = client.stores.reader
    for start in (at(10), at(10, 10)):
        await client.book(start, KIOSK.id)
    await refuse(client, at(10))
    rows = reader.rows
    await refuse(client, at(10, 10))
    assert reader.rows == rows + REFUSAL_ROWS
    await refuse(client, at(10, 10))
    assert reader.rows == rows + REFUSAL_ROWS
    reader.forget()
    assert reader.rows == 0


async def test_hold_of_a_slot_that_is_released_in_its_group_after_a_refusal_succeeds(
    client: BookingClient,
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    outcomes = await asyncio.gather(
        client.hold(at(10), KIOSK.id),
        client.release(held.hold_id),
        client.hold(at(10), KIOSK.id),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [SlotUnavailable, Reservation, Reservation]


async def test_hold_of_a_slot_that_was_refused_is_not_decided_again(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.book(at(10), KIOSK.id)
    await refuse(client, at(10))  # loads what it needs; the next event ends the refusal
    await client.hold(at(12), KIOSK.id)
    decided: list[int] = []
    decide = Hold.decide

    def noted(self: Hold, *arguments: Any) -> Decision:
        decided.append(self.start)
        return decide(self, *arguments)

    monkeypatch.setattr(Hold, "decide", noted)
    await asyncio.gather(*(refuse(client, at(10)) for _ in range(3)))
    await refuse(client, at(10))
    assert decided == [at(10)], "one decision of the group, none after it"


async def test_refusal_beside_a_command_with_an_effect_is_kept(client: BookingClient) -> None:
    await client.book(at(10), KIOSK.id)
    await asyncio.gather(client.hold(at(12), KIOSK.id), refuse(client, at(10)))
    assert HOLD in memory_of(client).refused_holds
