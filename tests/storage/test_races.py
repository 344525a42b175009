"""Many at once on one store: nothing is sold twice, and nothing is refused that was there."""

import asyncio
import random
from collections import Counter

import pytest

from zimun.domain.reservation import Reservation, State
from zimun.domain.errors import HoldReleased, SlotUnavailable, ZimunError

from .desk import CLASS, CUT, KIOSK, SPA, STAFF, Desk, Engine, Shared, at, opened, reservations_of


async def outcomes(desk: Desk, *calls: object) -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("service_id", "staff"), [(CUT.id, len(STAFF)), (SPA.id, 1), (KIOSK.id, 1)]
)
async def test_of_many_holds_of_one_slot_as_many_succeed_as_there_are_people(
    desk: Desk, engine: Engine, service_id: str, staff: int
) -> None:
    got = await outcomes(desk, *(desk.hold(at(10), service_id) for _ in range(200)))
    held = [found for found in got if isinstance(found, Reservation)]
    refused = [found for found in got if isinstance(found, SlotUnavailable)]
    assert (len(held), len(refused)) == (staff, 200 - staff)
    assert len({found.staff_id for found in held}) == staff
    assert reservations_of(engine.tables()) == {found.hold_id: found for found in held}
    open_now = await desk.slots(service_id)
    for found in refused:
        assert len(found.alternatives) == 3
        assert all(slot.start in open_now for slot in found.alternatives)
        assert found.time_zone == "UTC"


async def test_holds_of_different_slots_do_not_refuse_each_other(desk: Desk) -> None:
    starts = [at(0) + n * KIOSK.duration for n in range(144)]
    random.Random(1).shuffle(starts)
    got = await asyncio.gather(*(desk.hold(start, KIOSK.id) for start in starts))
    assert [found.start for found in got] == starts
    assert await desk.slots(KIOSK.id) == {}


async def test_a_class_is_never_oversold_and_never_refused_while_there_are_seats(
    desk: Desk, engine: Engine
) -> None:
    sizes = random.Random(2).choices((1, 2, 3), k=100)
    got = await outcomes(desk, *(desk.hold(at(10), CLASS.id, seats=n) for n in sizes))
    held = [found for found in got if isinstance(found, Reservation)]
    refused = [n for n, found in zip(sizes, got, strict=True) if isinstance(found, SlotUnavailable)]
    assert len(held) + len(refused) == 100
    left = CLASS.capacity - sum(found.seats for found in held)
    # Seats only went down: who was refused while there were enough would find them still.
    assert 0 <= left < min(refused)
    assert len({found.session_id for found in held}) == 1
    assert reservations_of(engine.tables()) == {found.hold_id: found for found in held}


async def test_classes_at_many_times_fill_to_the_last_seat(desk: Desk) -> None:
    starts = [at(8), at(10), at(12)]
    got = await outcomes(desk, *(desk.hold(starts[n % 3], CLASS.id) for n in range(90)))
    held = Counter(found.start for found in got if isinstance(found, Reservation))
    assert held == dict.fromkeys(starts, CLASS.capacity)


async def test_confirming_and_releasing_one_hold_at_once_lets_one_of_them_win(desk: Desk) -> None:
    holds = [await desk.hold(at(8) + n * KIOSK.duration, KIOSK.id) for n in range(20)]
    calls = []
    for n, held in enumerate(holds):
        both = [desk.confirm(held.hold_id), desk.release(held.hold_id)]
        calls += both if n % 2 else both[::-1]
    got = await outcomes(desk, *calls)
    for n in range(20):
        states = {found.state for found in got[2 * n : 2 * n + 2] if isinstance(found, Reservation)}
        errors = [found for found in got[2 * n : 2 * n + 2] if isinstance(found, ZimunError)]
        assert len(states) == len(errors) == 1
        won = states.pop()
        assert won in (State.CONFIRMED, State.RELEASED)
        assert isinstance(errors[0], HoldReleased) == (won is State.RELEASED)


async def test_confirming_one_hold_many_times_at_once_makes_one_appointment(
    desk: Desk, engine: Engine
) -> None:
    held = await desk.hold(at(10))
    got = await asyncio.gather(*(desk.confirm(held.hold_id) for _ in range(30)))
    assert len({found.appointment_id for found in got}) == 1
    assert len(engine.tables()["events"]) == 2


async def test_two_appointments_that_want_each_others_time_both_stay_somewhere(
    desk: Desk,
) -> None:
    first, second = await desk.book(at(10), KIOSK.id), await desk.book(at(11), KIOSK.id)
    got = await outcomes(
        desk,
        desk.reschedule(first.appointment_id, at(11)),
        desk.reschedule(second.appointment_id, at(10)),
    )
    assert [type(found) for found in got] == [SlotUnavailable, SlotUnavailable]
    open_now = await desk.slots(KIOSK.id)
    assert at(10) not in open_now
    assert at(11) not in open_now


async def test_many_who_want_one_appointments_new_time_and_its_old_one_share_both(
    desk: Desk, engine: Engine
) -> None:
    booking = await desk.book(at(10), KIOSK.id)
    got = await outcomes(
        desk,
        *(desk.hold(at(11), KIOSK.id) for _ in range(5)),
        desk.reschedule(booking.appointment_id, at(11, 30)),
        *(desk.hold(at(10), KIOSK.id) for _ in range(5)),
        *(desk.hold(at(11, 30), KIOSK.id) for _ in range(5)),
    )
    held = Counter(found.start for found in got if isinstance(found, Reservation))
    moved = reservations_of(engine.tables())[booking.hold_id].start
    assert moved in (at(10), at(11, 30))
    assert (held[at(11)], held[at(11, 30)]) == (1, 1)
    # Where transactions overtake each other, all who want its old time may come before it moves.
    assert held[at(10)] == 1 or (isinstance(engine, Shared) and held[at(10)] == 0)


async def test_the_same_work_asked_for_in_a_storm_leaves_a_sound_ledger(desk: Desk) -> None:
    order = random.Random(4)

    async def visitor(number: int) -> None:
        service = order.choice((CUT, SPA, CLASS, KIOSK))
        start = at(8) + order.randrange(8) * 60 * 60 * 1_000_000
        try:
            answer = await desk.hold_bytes(start, service.id, key=f"key {number // 2}")
            found = await desk.confirm(opened(answer).hold_id)
            if number % 3:
                found = await desk.reschedule(found.appointment_id, start + SPA.duration)
            if number % 5:
                await desk.cancel(found.appointment_id)
        except ZimunError:
            return

    await asyncio.gather(*(visitor(number) for number in range(120)))
