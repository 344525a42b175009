"""Holds over the store: when they end, how that is recorded, releasing, extending, confirming."""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import replace

import pytest

from zimun.booking.expiry import BATCH, MAX_EXPIRIES
from zimun.booking.store import Append
from zimun.domain.booking_errors import (
    HoldConfirmed,
    HoldExpired,
    HoldLimitReached,
    HoldReleased,
    NotASlot,
    SlotUnavailable,
)
from zimun.domain.catalog.entries import HOLD_LENGTH
from zimun.domain.instant import HOUR, MINUTE
from zimun.domain.ledger.reservation import HOLD_LIMIT, State

from .booking_client import BookingClient
from .engines import Engine
from .factories import add_events, make_event, make_hold
from .ledger_check import events_of, stored_reservation
from .sample_catalog import (
    CLASS,
    CUT,
    KIOSK,
    NOW,
    SALON,
    SAM,
    SPA,
    at,
    put_catalog,
)


@pytest.mark.parametrize("service_id", [SPA.id, CLASS.id, KIOSK.id])
async def test_every_kind_of_service_is_taken_while_it_is_held_and_free_once_it_is_not(
    client: BookingClient, engine: Engine, service_id: str
) -> None:
    seats = 8 if service_id == CLASS.id else 1
    open_before = (await client.slots(service_id)).keys()
    held = await client.hold(at(10), service_id, seats=seats)
    assert at(10) not in await client.slots(service_id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), service_id)
    await client.release(held.hold_id)
    assert (await client.slots(service_id)).keys() == open_before
    assert engine.tables()["allocations"] == []


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("before", [1, 1000], ids=["1us", "1ms"])
async def test_a_hold_can_be_confirmed_until_its_last_instant(
    client: BookingClient, before: int, swept: bool
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    client.clock.instant = held.expires_at - before
    if swept:
        assert await client.expire_holds() == 0
    assert at(10) not in await client.slots(KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), KIOSK.id)
    assert (await client.confirm(held.hold_id)).state is State.CONFIRMED


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("service_id", [CUT.id, SPA.id, CLASS.id, KIOSK.id])
async def test_a_hold_is_over_at_the_instant_it_expires_and_its_slot_is_offered_again(
    client: BookingClient, engine: Engine, service_id: str, swept: bool
) -> None:
    seats = 8 if service_id == CLASS.id else 1
    open_before = await client.slots(service_id)
    held = await client.hold(at(10), service_id, seats=seats)
    client.clock.instant = held.expires_at
    if swept:
        assert await client.expire_holds() == 1
    with pytest.raises(HoldExpired) as expired:
        await client.confirm(held.hold_id)
    assert expired.value.metadata["expires_at"] == "2025-12-01T08:10:00Z"
    with pytest.raises(HoldExpired):
        await client.extend(held.hold_id)
    assert await client.slots(service_id) == open_before
    again = await client.hold(at(10), service_id, seats=seats, staff_id=held.staff_id)
    assert events_of(engine.tables(), held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]
    assert stored_reservation(engine, held).update_time == held.expires_at
    assert (await client.confirm(again.hold_id)).state is State.CONFIRMED


async def test_the_sweep_records_every_expiry_exactly_once(
    client: BookingClient, engine: Engine
) -> None:
    holds = [await client.hold(at(8) + n * CUT.duration) for n in range(6)]
    stays = await client.book(at(20))
    released = await client.hold(at(21))
    await client.release(released.hold_id)
    client.clock.instant = holds[0].expires_at - 1
    assert await client.expire_holds() == 0
    client.clock.instant += 1
    swept = await asyncio.gather(*(client.expire_holds() for _ in range(5)))
    assert sum(swept) == len(holds)
    assert await client.expire_holds() == 0
    tables = engine.tables()
    for held in holds:
        assert events_of(tables, held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]
    assert events_of(tables, stays.hold_id)[-1] == "APPOINTMENT_CONFIRMED"
    assert events_of(tables, released.hold_id)[-1] == "HOLD_RELEASED"
    expiries = [event for event in tables["events"] if event["type"] == "HOLD_EXPIRED"]
    assert {(event["client_id"], event["time"]) for event in expiries} == {
        ("", holds[0].expires_at)
    }


async def test_a_sweep_that_finds_nothing_writes_nothing(
    client: BookingClient, engine: Engine
) -> None:
    await client.book(at(10))
    await client.hold(at(11))
    before = engine.tables()
    assert await client.expire_holds() == 0
    assert engine.tables() == before


async def test_a_crowd_of_expired_holds_is_recorded_in_parts_and_for_every_organization(
    client: BookingClient, engine: Engine
) -> None:
    await put_catalog(client.stores, replace(SALON, id="o_other"), CUT, org_id="o_other")
    crowd = [
        make_hold(number, start=at(10) + number * HOUR, end=at(10, 30) + number * HOUR,
               expires_at=NOW + 1 + number)
        for number in range(MAX_EXPIRIES + 7)
    ]  # fmt: skip
    other = make_hold(9999, org_id="o_other", expires_at=NOW + 1)
    await add_events(client.stores, *map(make_event, crowd))
    await add_events(client.stores, make_event(other), org_id="o_other")
    client.clock.instant = NOW + HOUR
    assert await client.expire_holds() == MAX_EXPIRIES
    left = [row["hold_id"] for row in engine.tables()["reservations"] if row["state"] == "HELD"]
    assert left == sorted(f"h_{number}" for number in range(MAX_EXPIRIES - 1, MAX_EXPIRIES + 7))
    assert await client.expire_holds() == 8
    assert await client.expire_holds() == 0
    assert stored_reservation(engine, other).state is State.EXPIRED


async def test_crowd_of_expired_holds_does_not_delay_the_expiries_of_other_organizations(
    client: BookingClient, engine: Engine
) -> None:
    stores = client.stores
    crowd = [
        make_hold(number, start=at(10) + number * HOUR, end=at(10, 30) + number * HOUR,
               expires_at=NOW + 1)
        for number in range(2 * MAX_EXPIRIES)
    ]  # fmt: skip
    await add_events(stores, *map(make_event, crowd))
    late = [make_hold(9990 + n, org_id=f"o_{n}", expires_at=NOW + 2 + n) for n in range(3)]
    for hold in late:
        await put_catalog(stores, replace(SALON, id=hold.org_id), CUT, org_id=hold.org_id)
        await add_events(stores, make_event(hold), org_id=hold.org_id)
    client.clock.instant = NOW + HOUR
    assert await client.expire_holds() == MAX_EXPIRIES
    assert {stored_reservation(engine, hold).state for hold in late} == {State.EXPIRED}


async def test_changes_that_come_while_expiries_are_recorded_wait_for_few_of_them(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [
        make_hold(number, start=at(10) + number * HOUR, end=at(10, 30) + number * HOUR,
               expires_at=NOW + 1)
        for number in range(3 * BATCH)
    ]  # fmt: skip
    await add_events(client.stores, *map(make_event, crowd))
    client.clock.instant = NOW + HOUR
    waiting: list[int] = []
    append = client.stores.ledgers.append

    async def noted(appends: Sequence[Append]) -> Set[str]:
        waiting.append(client.stores.writer.waiting)
        return await append(appends)

    monkeypatch.setattr(client.stores.ledgers, "append", noted)
    assert await client.expire_holds() == len(crowd)
    assert max(waiting) <= BATCH


async def test_releasing_again_changes_nothing(client: BookingClient, engine: Engine) -> None:
    held = await client.hold(at(10))
    released = await client.release(held.hold_id)
    assert released.state is State.RELEASED
    client.clock.advance(1)
    before = engine.tables()
    assert await client.release(held.hold_id) == released
    client.clock.instant = held.expires_at
    assert await client.expire_holds() == 0
    assert await client.release(held.hold_id) == released
    assert engine.tables() == before
    for refused in (client.confirm(held.hold_id), client.extend(held.hold_id)):
        with pytest.raises(HoldReleased):
            await refused


async def test_releasing_what_has_expired_reads_expired(
    client: BookingClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    client.clock.instant = held.expires_at
    expired = await client.release(held.hold_id)
    assert expired.state is State.EXPIRED
    assert await client.release(held.hold_id) == expired
    assert events_of(engine.tables(), held.hold_id) == ["HOLD_CREATED", "HOLD_EXPIRED"]


async def test_extending_starts_the_ten_minutes_again_up_to_the_limit(
    client: BookingClient,
) -> None:
    held = await client.hold(at(10), KIOSK.id)
    for minutes, until in ((9, 19), (18, 28), (27, 30)):
        client.clock.instant = NOW + minutes * MINUTE
        assert (await client.extend(held.hold_id)).expires_at == NOW + until * MINUTE
    with pytest.raises(HoldLimitReached):
        await client.extend(held.hold_id)
    client.clock.instant = NOW + HOLD_LIMIT * HOLD_LENGTH - 1
    assert at(10) not in await client.slots(KIOSK.id)
    client.clock.instant += 1
    assert at(10) in await client.slots(KIOSK.id)


async def test_confirming_again_answers_the_same_appointment(
    client: BookingClient, engine: Engine
) -> None:
    held = await client.hold(at(10))
    confirmed = await client.confirm(held.hold_id)
    before = engine.tables()
    client.clock.advance(3600)
    assert await client.confirm(held.hold_id, replace(SAM, name="Another")) == confirmed
    assert engine.tables() == before
    for refused in (client.release(held.hold_id), client.extend(held.hold_id)):
        with pytest.raises(HoldConfirmed):
            await refused


async def test_a_refused_hold_leaves_everything_as_it_was(
    client: BookingClient, engine: Engine
) -> None:
    await client.book(at(10), SPA.id)
    expired = await client.hold(at(20))
    client.clock.instant = expired.expires_at
    before = engine.tables()
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10, 30), SPA.id)
    with pytest.raises(NotASlot):
        await client.hold(at(10, 1), SPA.id)
    assert engine.tables() == before


async def test_a_taken_slot_is_refused_with_the_nearest_that_are_open(
    client: BookingClient,
) -> None:
    for start in (at(10), at(10, 10), at(9, 40)):
        await client.book(start, KIOSK.id)
    with pytest.raises(SlotUnavailable) as refused:
        await client.hold(at(10), KIOSK.id)
    offered = [slot.start for slot in refused.value.alternatives]
    assert offered == [at(9, 50), at(10, 20), at(9, 30)]
    assert (await client.hold(offered[0], KIOSK.id)).start == at(9, 50)
