"""Ended bookings go when they are pruned, and only they."""

from dataclasses import replace

import pytest

from zimun.booking import history
from zimun.booking.history import prune
from zimun.domain.reservation import EventType, State
from zimun.domain.catalog import Organization
from zimun.domain.errors import AppointmentNotFound
from zimun.domain.instant import DAY

from .desk import CLASS, CUT, SPA, Desk, Engine, at, booked, reservations_of


async def test_what_ended_before_is_gone_with_its_history_and_the_rest_is_as_it_was(
    desk: Desk, engine: Engine
) -> None:
    old = [await desk.book(at(8), CUT.id), await desk.book(at(8), SPA.id)]
    seats = [await desk.book(at(10), CLASS.id, seats=2), await desk.book(at(10), CLASS.id)]
    later = await desk.book(at(12), CUT.id)
    called_off = await desk.book(at(9), CUT.id)
    await desk.cancel(called_off.appointment_id)
    before = engine.tables()
    desk.clock.instant = at(11)
    assert await prune(desk.store, at(11)) == 3
    assert await prune(desk.store, at(11)) == 0
    after = engine.tables()
    kept = {seats[0].hold_id, seats[1].hold_id, later.hold_id}
    assert set(reservations_of(after)) == kept
    for table in ("reservations", "events"):
        assert after[table] == [row for row in before[table] if row["hold_id"] in kept]
    gone = {one.session_id for one in (*old, called_off)}
    for table in ("allocations", "sessions"):
        assert after[table] == [row for row in before[table] if row["session_id"] not in gone]
    with pytest.raises(AppointmentNotFound):
        await desk.cancel(old[0].appointment_id)
    assert await prune(desk.store, at(11) + 1) == 2
    assert await prune(desk.store, at(13)) == 1


async def test_a_hold_that_nobody_has_recorded_to_be_over_stays(desk: Desk) -> None:
    held = await desk.hold(at(8))
    desk.clock.instant = at(20)
    assert await prune(desk.store, at(20)) == 0
    assert await desk.sweep() == 1
    assert await prune(desk.store, held.end) == 0
    assert await prune(desk.store, held.end + 1) == 1


async def test_a_long_history_goes_in_parts_and_in_every_organization(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 3)
    for hour in range(8, 15):
        released = await desk.hold(at(hour))
        await desk.release(released.hold_id)

    other = booked(99, org_id="o_other", start=at(8), end=at(9))
    await desk.store.write(
        lambda tx: tx.put_organization(Organization(id="o_other", name="Other", time_zone="UTC"))
    )
    await desk.store.write(
        lambda tx: tx.add(EventType.HOLD_RELEASED, replace(other, state=State.RELEASED), "c")
    )
    assert await prune(desk.store, at(24) + DAY) == 8
