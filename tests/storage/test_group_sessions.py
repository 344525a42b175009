"""Sessions of a group service over the store: seats, how long they last, moves into and out."""

import pytest

from zimun.domain.booking_errors import HoldExpired, SlotUnavailable

from .booking_client import BookingClient
from .engines import Engine
from .sample_catalog import CLASS, CUT, at


async def seats_left(client: BookingClient, start: int) -> int:
    """How many seats of the class are open."""
    slot = (await client.slots(CLASS.id)).get(start)
    return slot.seats_left if slot else 0


async def test_seats_of_a_class_are_sold_one_by_one_until_none_is_left(
    client: BookingClient,
) -> None:
    left = 8
    for seats in (3, 1, 2):
        await client.book(at(10), CLASS.id, seats=seats)
        left -= seats
        assert await seats_left(client, at(10)) == left
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), CLASS.id, seats=3)
    last = await client.hold(at(10), CLASS.id, seats=2)
    assert await seats_left(client, at(10)) == 0
    await client.release(last.hold_id)
    assert await seats_left(client, at(10)) == 2


async def test_a_class_is_over_with_its_last_seat_and_not_before(
    client: BookingClient, engine: Engine
) -> None:
    first = await client.book(at(10), CLASS.id)
    second = await client.book(at(10), CLASS.id, seats=7)
    assert first.session_id == second.session_id
    await client.cancel(first.appointment_id)
    assert len(engine.tables()["allocations"]) == 2
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")
    await client.cancel(second.appointment_id)
    assert engine.tables()["allocations"] == []
    assert at(10) in await client.slots(CUT.id, staff_id="t_chloe")


@pytest.mark.parametrize("taken", [True, False])
async def test_a_hold_of_a_class_that_has_ended_stays_over_where_a_clock_is_behind(
    client: BookingClient, taken: bool
) -> None:
    """Ledger time does not run back: it is over for all once it was over for one."""
    first = await client.hold(at(10), CLASS.id)
    client.clock.advance(300)
    second = await client.hold(at(10), CLASS.id)
    client.clock.instant = first.expires_at
    await client.release(second.hold_id)
    if taken:
        await client.hold(at(10), CUT.id, staff_id="t_chloe")
    client.clock.instant = first.expires_at - 1
    with pytest.raises(HoldExpired):
        await client.confirm(first.hold_id)
    assert (at(10) in await client.slots(CLASS.id)) is not taken


@pytest.mark.parametrize("start", [at(10), at(11)])
async def test_an_appointment_leaves_a_class_whose_other_hold_has_run_out(
    client: BookingClient, start: int
) -> None:
    appointment = await client.book(at(10), CLASS.id)
    held = await client.hold(at(10), CLASS.id)
    client.clock.instant = held.expires_at
    moved = await client.reschedule(appointment.appointment_id, start)
    assert moved.start == start
    assert at(11) in await client.slots(CLASS.id)


async def test_a_class_lasts_as_long_as_its_longest_hold_and_for_ever_once_confirmed(
    client: BookingClient,
) -> None:
    first = await client.hold(at(10), CLASS.id)
    client.clock.advance(300)
    second = await client.hold(at(10), CLASS.id)
    client.clock.instant = first.expires_at
    assert await seats_left(client, at(10)) == 7
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")
    third = await client.book(at(10), CLASS.id)
    assert third.session_id == second.session_id
    client.clock.instant = second.expires_at
    assert await seats_left(client, at(10)) == 7
    assert await client.expire_holds() == 1
    assert at(10) not in await client.slots(CUT.id, staff_id="t_chloe")


async def test_leaving_a_class_for_another_time_frees_the_seats_and_keeps_the_others(
    client: BookingClient, engine: Engine
) -> None:
    stays = await client.book(at(10), CLASS.id, seats=5)
    leaves = await client.book(at(10), CLASS.id, seats=3)
    moved = await client.reschedule(leaves.appointment_id, at(12))
    assert moved.session_id != stays.session_id
    assert (await seats_left(client, at(10)), await seats_left(client, at(12))) == (3, 5)
    joined = await client.reschedule(stays.appointment_id, at(12))
    assert joined.session_id == moved.session_id
    assert (await seats_left(client, at(10)), await seats_left(client, at(12))) == (8, 0)
    assert {row["session_id"] for row in engine.tables()["allocations"]} == {moved.session_id}


async def test_a_class_with_room_for_an_appointment_only_once_it_left_takes_it_back(
    client: BookingClient,
) -> None:
    whole = await client.book(at(10), CLASS.id, seats=8)
    again = await client.reschedule(whole.appointment_id, at(10))
    assert (again.start, again.seats, again.revision) == (at(10), 8, 2)
    crowd = await client.book(at(12), CLASS.id, seats=5)
    part = await client.book(at(12), CLASS.id, seats=3)
    same = await client.reschedule(part.appointment_id, at(12))
    assert same.session_id == crowd.session_id
    assert await seats_left(client, at(12)) == 0


async def test_a_move_into_a_class_without_room_leaves_both_classes_as_they_were(
    client: BookingClient, engine: Engine
) -> None:
    await client.book(at(10), CLASS.id, seats=2)
    leaves = await client.book(at(10), CLASS.id, seats=3)
    await client.book(at(12), CLASS.id, seats=6)
    before = engine.tables()
    with pytest.raises(SlotUnavailable):
        await client.reschedule(leaves.appointment_id, at(12))
    assert engine.tables() == before
