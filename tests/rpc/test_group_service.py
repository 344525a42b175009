"""A class of eight seats under a hundred callers at once."""

import asyncio
import random
from typing import Any

import grpc
import pytest

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.hold_pb2 import Hold
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun, refusal
from . import confirm_of, hold_of, stamp
from .calls import create_hold, explain, hold_and_confirm, hold_refused, search
from .catalogue import LOCATION, RESOURCE, SERVICE, STAFF, hours, weekly

CAPACITY = 8
MONDAY = "2025-12-01"
TEN = f"{MONDAY}T10:00:00Z"


async def a_class(zimun: Zimun) -> None:
    for name in ("t_x", "t_y"):
        await STAFF.create(zimun, id=name, weekly_hours=weekly("10:00", "11:00"))
    await RESOURCE.create(zimun, id="r_x")
    await SERVICE.create(
        zimun,
        id="s_x",
        duration=hours(1),
        capacity=CAPACITY,
        staff_ids=["t_x", "t_y"],
        resource_requirements=[{"resource_ids": ["r_x"]}],
    )


async def seats_left(zimun: Zimun) -> int:
    slots = (await search(zimun, "s_x", MONDAY)).slots
    return slots[0].seats_left if slots else 0


async def attempt(zimun: Zimun, seats: int) -> Hold | int:
    """The hold, or how many seats were refused."""
    try:
        hold: Hold = await zimun.call(
            zimun.appointments.HoldAppointment, hold_of(TEN, "s_x", seats=seats)
        )
    except grpc.aio.AioRpcError as error:
        told = refusal(error)
        assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "SLOT_UNAVAILABLE")
        return seats
    assert hold.seats == seats
    return hold


def seated(outcomes: list[Hold | int]) -> int:
    return sum(outcome.seats for outcome in outcomes if isinstance(outcome, Hold))


@pytest.mark.parametrize("seed", range(6))
async def test_a_hundred_callers_fill_a_class_and_never_overfill_it(
    zimun: Zimun, seed: int
) -> None:
    """Seats only go, so a refusal was right if its seats are not left when all is over."""
    await a_class(zimun)
    chance = random.Random(seed)
    asked = [chance.randint(1, 3) for _ in range(100)]
    outcomes = list(await asyncio.gather(*(attempt(zimun, seats) for seats in asked)))
    assert [each.seats if isinstance(each, Hold) else each for each in outcomes] == asked
    taken = seated(outcomes)
    assert taken <= CAPACITY
    assert await seats_left(zimun) == CAPACITY - taken
    assert CAPACITY - taken < min(each for each in outcomes if isinstance(each, int))
    holds = [each for each in outcomes if isinstance(each, Hold)]
    assert len({(hold.staff_id, *hold.resource_ids) for hold in holds}) == 1
    for hold in holds:
        await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
    request = appointments_pb2.ListAppointmentsRequest(service_id="s_x")
    kept = (await zimun.call(zimun.appointments.ListAppointments, request)).items
    assert sum(appointment.seats for appointment in kept) == taken
    assert await seats_left(zimun) == CAPACITY - taken


@pytest.mark.parametrize("seed", range(4))
async def test_seats_that_come_back_are_sold_again_and_no_more(zimun: Zimun, seed: int) -> None:
    """Callers hold and give back at once; what is held at the end is what is taken."""
    await a_class(zimun)
    chance = random.Random(seed)

    async def come_and_go(seats: int, stays: bool) -> Hold | int:
        outcome = await attempt(zimun, seats)
        if isinstance(outcome, int) or stays:
            return outcome
        request = appointments_pb2.ReleaseHoldRequest(hold_id=outcome.hold_id)
        released: Hold = await zimun.call(zimun.appointments.ReleaseHold, request)
        assert released.state == Hold.RELEASED
        return 0

    outcomes: list[Any] = await asyncio.gather(
        *(come_and_go(chance.randint(1, 3), chance.random() < 0.1) for _ in range(100))
    )
    assert any(outcome == 0 for outcome in outcomes)
    taken = seated(outcomes)
    assert taken <= CAPACITY
    assert await seats_left(zimun) == CAPACITY - taken
    while (left := await seats_left(zimun)) > 0:
        if left < CAPACITY:
            assert isinstance(await attempt(zimun, left + 1), int)
        assert isinstance(await attempt(zimun, 1), Hold)
    assert isinstance(await attempt(zimun, 1), int)


async def test_a_class_made_smaller_than_its_bookings_sells_no_more(zimun: Zimun) -> None:
    await a_class(zimun)
    holds = [await attempt(zimun, 3), await attempt(zimun, 2)]
    assert await seats_left(zimun) == 3
    await SERVICE.update(zimun, "s_x", capacity=4)
    assert await seats_left(zimun) == 0
    assert isinstance(await attempt(zimun, 1), int)
    for hold in holds:
        assert isinstance(hold, Hold)
        kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
        assert kept.seats == hold.seats
    await SERVICE.update(zimun, "s_x", capacity=10)
    assert await seats_left(zimun) == 5
    assert isinstance(await attempt(zimun, 5), Hold)
    assert await seats_left(zimun) == 0


async def test_the_bookings_of_one_start_share_their_people_and_rooms(zimun: Zimun) -> None:
    """Even where a class has become one, and its first booking was for one alone."""
    await a_class(zimun)
    await SERVICE.update(zimun, "s_x", capacity=1)
    first = await attempt(zimun, 1)
    assert isinstance(first, Hold)
    assert isinstance(await attempt(zimun, 1), int)
    await SERVICE.update(zimun, "s_x", capacity=3)
    assert await seats_left(zimun) == 2
    second = await attempt(zimun, 2)
    assert isinstance(second, Hold)
    assert (first.staff_id, first.resource_ids) == (second.staff_id, second.resource_ids)
    assert await seats_left(zimun) == 0


def moving(appointment_id: str, start: str) -> appointments_pb2.RescheduleAppointmentRequest:
    return appointments_pb2.RescheduleAppointmentRequest(
        appointment_id=appointment_id, start_time=stamp(start)
    )


async def test_booking_of_more_seats_than_the_reduced_capacity_keeps_them_when_it_moves(
    zimun: Zimun,
) -> None:
    """Three seats of eight; then the class has two."""
    await SERVICE.create(zimun, id="s_two", name="Class", duration=hours(1), capacity=CAPACITY)
    kept = await hold_and_confirm(zimun, TEN, "s_two", seats=3)
    await SERVICE.update(zimun, "s_two", capacity=2)
    [full] = (await explain(zimun, "s_two", TEN)).obstacles
    assert (full.rule, full.message[:24]) == (Obstacle.SEATS_TAKEN, "Class has 0 of 2 seats l")
    own = await search(zimun, "s_two", MONDAY, ignore_appointment_id=kept.appointment_id)
    assert {slot.seats_left for slot in own.slots} == {3}
    noon = f"{MONDAY}T12:00:00Z"
    await create_hold(zimun, noon, "s_two")
    for start, reason in ((noon, "SLOT_UNAVAILABLE"), (f"{MONDAY}T14:00:00Z", "")):
        request = moving(kept.appointment_id, start)
        if reason:
            told = await zimun.refused(zimun.appointments.RescheduleAppointment, request)
            assert told.reason == reason
        else:
            moved = await zimun.call(zimun.appointments.RescheduleAppointment, request)
            assert (moved.seats, moved.start_time) == (3, stamp(start))
    told = await hold_refused(zimun, f"{MONDAY}T16:00:00Z", "s_two", seats=3)
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT


async def test_booking_of_a_session_with_too_many_seats_sold_can_stay_where_it_is(
    zimun: Zimun,
) -> None:
    """Two and one of three seats; then the class has two."""
    await SERVICE.create(
        zimun, id="s_two", duration=hours(1), capacity=3, staff_ids=["t_ada", "t_ben"]
    )
    kept = await hold_and_confirm(zimun, TEN, "s_two", seats=2, staff_id="t_ada")
    await hold_and_confirm(zimun, TEN, "s_two", staff_id="t_ada")
    other = await create_hold(zimun, TEN, "s_two", staff_id="t_ben")
    await SERVICE.update(zimun, "s_two", capacity=2)
    request = moving(kept.appointment_id, TEN)
    assert await zimun.call(zimun.appointments.RescheduleAppointment, request) == kept
    request.staff_id = "t_ada"
    assert await zimun.call(zimun.appointments.RescheduleAppointment, request) == kept
    request.staff_id = "t_ben"
    refused = await zimun.refused(zimun.appointments.RescheduleAppointment, request)
    assert refused.reason == "SLOT_UNAVAILABLE"
    release = appointments_pb2.ReleaseHoldRequest(hold_id=other.hold_id)
    await zimun.call(zimun.appointments.ReleaseHold, release)
    request.staff_id = ""
    assert await zimun.call(zimun.appointments.RescheduleAppointment, request) == kept


async def test_booking_keeps_its_location_when_the_service_is_not_offered_there_any_more(
    zimun: Zimun,
) -> None:
    for name in ("l_old", "l_new"):
        await LOCATION.create(zimun, id=name, time_zone="UTC")
    await SERVICE.create(zimun, id="s_moves", duration=hours(1), location_ids=["l_old"])
    kept = await hold_and_confirm(zimun, TEN, "s_moves")
    await SERVICE.update(zimun, "s_moves", location_ids=["l_new"])
    request = moving(kept.appointment_id, f"{MONDAY}T12:00:00Z")
    moved = await zimun.call(zimun.appointments.RescheduleAppointment, request)
    assert moved.location_id == "l_old"
