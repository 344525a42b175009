"""A request repeated with its Idempotency-Key has one effect and gets the same bytes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from zimun.booking.change_request import RESPONSE_LIFETIME
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.errors import IdempotencyKeyReused
from zimun.domain.instant import DAY
from zimun.domain.ledger.reservation import State

from .booking_client import BookingClient, decode_reservation
from .engines import Engine
from .ledger_check import events_of, reservation_events
from .sample_catalog import CALLER, KIOSK, NOW, SAM, at


async def test_the_same_key_gives_the_same_bytes_and_no_second_effect(
    client: BookingClient, engine: Engine
) -> None:
    first = await client.hold_bytes(at(10), key="key")
    before = engine.tables()
    client.clock.advance(1)
    assert [await client.hold_bytes(at(10), key="key") for _ in range(3)] == [first] * 3
    assert engine.tables() == before


async def test_without_a_key_nothing_is_kept(client: BookingClient, engine: Engine) -> None:
    first, second = await client.hold_bytes(at(10)), await client.hold_bytes(at(10))
    assert decode_reservation(first).hold_id != decode_reservation(second).hold_id
    assert engine.tables()["idempotency"] == []


Changing = Callable[[BookingClient, str], Awaitable[object]]


@pytest.mark.parametrize("method", ["extend", "release", "confirm", "cancel", "reschedule"])
async def test_every_change_is_made_once_for_its_key(
    client: BookingClient, engine: Engine, method: str
) -> None:
    held, booking = await client.hold(at(9)), await client.book(at(10))
    calls: dict[str, Changing] = {
        "extend": lambda client, key: client.extend(held.hold_id, key),
        "release": lambda client, key: client.release(held.hold_id, key),
        "confirm": lambda client, key: client.confirm(held.hold_id, SAM, key),
        "cancel": lambda client, key: client.cancel(booking.appointment_id, key=key),
        "reschedule": lambda client, key: client.reschedule(
            booking.appointment_id, at(12), key=key
        ),
    }
    client.clock.advance(60)
    first = await calls[method](client, "key")
    before = engine.tables()
    client.clock.advance(60)
    assert await calls[method](client, "key") == first
    assert engine.tables() == before
    assert len(before["idempotency"]) == 1


async def test_another_request_under_the_same_key_is_refused(
    client: BookingClient, engine: Engine
) -> None:
    first = await client.hold_bytes(at(10), key="key")
    before = engine.tables()
    with pytest.raises(IdempotencyKeyReused):
        await client.hold_bytes(at(10, 30), key="key")
    assert engine.tables() == before
    assert await client.hold_bytes(at(10), key="key") == first


async def test_stored_response_is_sent_again_after_its_hold_was_released(
    client: BookingClient,
) -> None:
    first = await client.hold_bytes(at(10), KIOSK.id, key="key")
    await client.release(decode_reservation(first).hold_id)
    await client.book(at(10), KIOSK.id)
    assert await client.hold_bytes(at(10), KIOSK.id, key="key") == first


async def test_a_refused_request_keeps_no_key(client: BookingClient, engine: Engine) -> None:
    blocking = await client.hold(at(10), KIOSK.id)
    for _ in range(2):
        with pytest.raises(SlotUnavailable):
            await client.hold_bytes(at(10), KIOSK.id, key="key")
    assert engine.tables()["idempotency"] == []
    await client.release(blocking.hold_id)
    assert (
        decode_reservation(await client.hold_bytes(at(10), KIOSK.id, key="key")).state is State.HELD
    )


async def test_a_key_refused_once_may_be_used_for_another_request(client: BookingClient) -> None:
    await client.hold(at(10), KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.hold_bytes(at(10), KIOSK.id, key="key")
    assert decode_reservation(await client.hold_bytes(at(11), KIOSK.id, key="key")).start == at(11)


@pytest.mark.parametrize("dropped", [False, True])
async def test_a_key_is_kept_for_a_day_and_free_at_its_end(
    client: BookingClient, engine: Engine, dropped: bool
) -> None:
    assert RESPONSE_LIFETIME == DAY
    start = at(24 + 12)
    first = await client.hold_bytes(start, KIOSK.id, key="key")
    client.clock.instant = NOW + DAY - 1
    if dropped:
        await client.drop_responses()
    assert await client.hold_bytes(start, KIOSK.id, key="key") == first
    with pytest.raises(IdempotencyKeyReused):
        await client.hold_bytes(start + KIOSK.duration, KIOSK.id, key="key")
    client.clock.instant = NOW + DAY
    if dropped:
        await client.drop_responses()
        assert engine.tables()["idempotency"] == []
    second = decode_reservation(await client.hold_bytes(start, KIOSK.id, key="key"))
    assert second.hold_id != decode_reservation(first).hold_id
    [row] = engine.tables()["idempotency"]
    assert row["expires_at"] == NOW + 2 * DAY


async def test_a_free_key_that_is_refused_again_leaves_the_store_as_it_was(
    client: BookingClient, engine: Engine
) -> None:
    await client.hold_bytes(at(24 + 12), KIOSK.id, key="key")
    client.clock.instant = NOW + DAY
    await client.book(at(24 + 13), KIOSK.id)
    before = engine.tables()
    with pytest.raises(SlotUnavailable):
        await client.hold_bytes(at(24 + 13), KIOSK.id, key="key")
    assert engine.tables() == before


async def test_keys_are_each_clients_own(client: BookingClient, engine: Engine) -> None:
    other = replace(client, caller=replace(CALLER, client_id="c_other"))
    first = decode_reservation(await client.hold_bytes(at(10), key="key"))
    second = decode_reservation(await other.hold_bytes(at(10), key="key"))
    assert first.hold_id != second.hold_id
    assert len(engine.tables()["idempotency"]) == 2


async def test_keys_are_each_methods_own(client: BookingClient, engine: Engine) -> None:
    held = decode_reservation(await client.hold_bytes(at(10), key="key"))
    confirmed = await client.confirm(held.hold_id, key="key")
    moved = await client.reschedule(confirmed.appointment_id, at(12), key="key")
    await client.cancel(moved.appointment_id, key="key")
    assert len(events_of(engine.tables(), held.hold_id)) == 4
    assert [row["method"] for row in engine.tables()["idempotency"]] == [
        "cancel",
        "confirm",
        "hold",
        "reschedule",
    ]


async def test_a_key_stands_for_its_exact_characters(client: BookingClient) -> None:
    keys = ["key", "KEY", "key ", "kéy", "ke\u0301y", "🗝", "k" * 255]
    holds = [await client.hold_bytes(at(8 + n), KIOSK.id, key=key) for n, key in enumerate(keys)]
    assert len(set(holds)) == len(keys)
    again = [await client.hold_bytes(at(8 + n), KIOSK.id, key=key) for n, key in enumerate(keys)]
    assert again == holds


async def test_requests_under_one_key_at_once_have_one_effect_and_one_answer(
    client: BookingClient, engine: Engine
) -> None:
    answers = await asyncio.gather(*(client.hold_bytes(at(10), key="key") for _ in range(50)))
    assert len(set(answers)) == 1
    tables = engine.tables()
    assert [row["hold_id"] for row in tables["reservations"]] == [
        decode_reservation(answers[0]).hold_id
    ]
    assert len(reservation_events(tables)) == 1
    assert len(tables["allocations"]) == len(tables["idempotency"]) == 1


async def test_two_requests_under_one_key_at_once_let_one_through_and_refuse_the_other(
    client: BookingClient,
) -> None:
    starts = (at(10), at(10) + KIOSK.duration) * 20
    asked = (client.hold_bytes(start, KIOSK.id, key="key") for start in starts)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert len({answer for answer in answers if isinstance(answer, bytes)}) == 1
    refused = [answer for answer in answers if not isinstance(answer, bytes)]
    assert len(refused) == 20
    assert all(isinstance(answer, IdempotencyKeyReused) for answer in refused)
