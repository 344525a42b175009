"""Ended bookings go when they are pruned, and only they."""

from dataclasses import replace

import pytest

from zimun.booking import retention
from zimun.booking.retention import prune
from zimun.clock import ManualClock
from zimun.domain.booking_errors import HoldExpired
from zimun.domain.errors import AppointmentNotFound
from zimun.domain.instant import DAY
from zimun.domain.ledger.reservation import State

from .booking_client import BookingClient
from .engines import Engine
from .factories import add_events, make_event, make_hold
from .ledger_check import check_ledger, reservation_events, reservations_of
from .sample_catalog import CLASS, CUT, KIOSK, SALON, SPA, at, put_catalog


async def test_what_ended_before_is_gone_with_its_history_and_the_rest_is_as_it_was(
    client: BookingClient, engine: Engine
) -> None:
    ledgers = client.stores.ledgers
    old = [await client.book(at(8), CUT.id), await client.book(at(8), SPA.id)]
    seats = [await client.book(at(10), CLASS.id, seats=2), await client.book(at(10), CLASS.id)]
    later = await client.book(at(12), CUT.id)
    called_off = await client.book(at(9), CUT.id)
    await client.cancel(called_off.appointment_id)
    before = engine.tables()
    client.clock.instant = at(11)
    assert await prune(ledgers, at(11)) == 3
    pruned = engine.tables()
    assert await prune(ledgers, at(11)) == 0
    after = engine.tables()
    assert after == pruned
    kept = {seats[0].hold_id, seats[1].hold_id, later.hold_id}
    assert set(reservations_of(after)) == kept
    assert after["reservations"] == [
        row for row in before["reservations"] if row["hold_id"] in kept
    ]
    assert reservation_events(after) == [
        row for row in reservation_events(before) if row["hold_id"] in kept
    ]
    gone = {one.session_id for one in (*old, called_off)}
    for table in ("allocations", "sessions"):
        assert after[table] == [row for row in before[table] if row["session_id"] not in gone]
    with pytest.raises(AppointmentNotFound):
        await client.cancel(old[0].appointment_id)
    assert await prune(ledgers, at(11) + 1) == 2
    assert await prune(ledgers, at(13)) == 1


async def test_a_hold_whose_expiry_is_not_recorded_is_not_pruned(client: BookingClient) -> None:
    held = await client.hold(at(8))
    client.clock.instant = at(20)
    assert await prune(client.stores.ledgers, at(20)) == 0
    assert await client.expire_holds() == 1
    assert await prune(client.stores.ledgers, held.end) == 0
    assert await prune(client.stores.ledgers, held.end + 1) == 1


async def test_an_expired_hold_of_a_class_that_was_pruned_can_still_be_recorded(
    client: BookingClient, engine: Engine
) -> None:
    booking = await client.book(at(8), CLASS.id)
    held = await client.hold(at(8), CLASS.id)
    assert held.session_id == booking.session_id
    client.clock.instant = at(20)
    await prune(client.stores.ledgers, at(20))
    with pytest.raises(HoldExpired):
        await client.confirm(held.hold_id)
    assert await client.expire_holds() == 1
    await prune(client.stores.ledgers, at(20))
    tables = engine.tables()
    assert tables["reservations"] == tables["allocations"] == tables["sessions"] == []


async def test_a_long_history_goes_in_parts_and_in_every_organization(
    client: BookingClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for hour in range(8, 15):
        released = await client.hold(at(hour))
        await client.release(released.hold_id)

    other = make_hold(99, org_id="o_other", start=at(8), end=at(9), state=State.RELEASED)
    await put_catalog(client.stores, replace(SALON, id="o_other"), CUT, org_id="o_other")
    await add_events(client.stores, make_event(other), org_id="o_other")
    assert await prune(client.stores.ledgers, at(24) + DAY) == 8
    assert engine.tables()["reservations"] == []


async def test_another_server_reads_a_pruned_ledger_afresh(
    client: BookingClient, engine: Engine, clock: ManualClock
) -> None:
    old, stays = await client.book(at(8), KIOSK.id), await client.book(at(12), KIOSK.id)
    async with engine.open(clock) as opened:
        other = BookingClient(opened, clock)
        assert await other.get(old.appointment_id) == old
        assert at(12) not in await other.slots(KIOSK.id)
        await prune(client.stores.ledgers, at(11))
        for one in (client, other):
            with pytest.raises(AppointmentNotFound):
                await one.get(old.appointment_id)
            assert await one.get(stays.appointment_id) == stays
            open_now = await one.slots(KIOSK.id)
            assert at(8) in open_now
            assert at(12) not in open_now
        assert (await other.hold(at(8), KIOSK.id)).start == at(8)
    check_ledger(engine.tables(), clock.now())
