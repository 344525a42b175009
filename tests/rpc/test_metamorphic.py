"""What has to be true of any catalogue: of a few made by chance, through the real server."""

import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from zimun.clock import ManualClock
from zimun.domain.instant import DAY, MINUTE, from_datetime
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import refusal, run_server
from . import confirm_of
from .calls import (
    ErrorParts,
    error_of_refusal,
    error_of_status,
    find_next,
    reschedule_request,
    search,
)
from .catalogue import ENTRY_TYPES, SERVICE
from .worlds import (
    COPIES,
    QUESTIONS,
    ZONES,
    Question,
    World,
    copy_store,
    hold_slot,
    instants,
    release_hold,
)


async def test_everything_shown_can_be_held_in_a_copy_of_its_own(
    world: World, tmp_path: Path
) -> None:
    shown = [(question, slot) for question in QUESTIONS for slot in await world.slots(question)]
    assert len(shown) > COPIES
    for n, ((service_id, asked), slot) in enumerate(shown[:: len(shown) // COPIES + 1]):
        copied = tmp_path / f"copy{n}"
        copy_store(world.data_dir, copied)
        async with run_server(copied, ManualClock(world.zimun.clock.now())) as zimun:
            hold = await hold_slot(zimun, service_id, slot, asked)
            assert (hold.start_time, hold.end_time) == (slot.start_time, slot.end_time)
            assert hold.staff_id in (slot.staff_ids or [""])
            kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
            assert (kept.start_time, kept.staff_id) == (hold.start_time, hold.staff_id)
        shutil.rmtree(copied)


async def test_everything_shown_can_be_held_and_giving_it_back_restores_the_answer(
    world: World,
) -> None:
    for question in QUESTIONS:
        service_id, asked = question
        before = await world.slots(question)
        for n, slot in enumerate(before):
            hold = await hold_slot(world.zimun, service_id, slot, asked)
            assert (hold.start_time, hold.end_time) == (slot.start_time, slot.end_time)
            assert hold.staff_id in (slot.staff_ids or [""])
            day = slot.local_start_time[:10]
            of_day = [each for each in before if each.local_start_time[:10] == day]
            if n % 4 == 0:
                assert await world.slots(question, start_date=day, end_date=day) != of_day
            await release_hold(world.zimun, hold)
            if n % 4 == 0:
                assert await world.slots(question, start_date=day, end_date=day) == of_day
        assert await world.slots(question) == before


async def test_a_slot_has_the_people_and_the_seats_that_it_shows(world: World) -> None:
    """Each of them, and no other, can be asked for by name; so many seats, and no more."""
    zimun, chance = world.zimun, random.Random(world.seed)
    for question in QUESTIONS:
        service_id, asked = question
        shown = await world.slots(question)
        service = await SERVICE.get(zimun, service_id)
        for slot in chance.sample(shown, min(10, len(shown))):
            for staff_id in service.staff_ids:
                asking = hold_slot(zimun, service_id, slot, asked, staff_id=staff_id)
                if staff_id in slot.staff_ids:
                    hold = await asking
                    assert hold.staff_id == staff_id
                    await release_hold(zimun, hold)
                else:
                    with pytest.raises(grpc.aio.AioRpcError):
                        await asking
            most = await hold_slot(zimun, service_id, slot, asked, seats=slot.seats_left)
            await release_hold(zimun, most)
            if slot.seats_left < service.capacity:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await hold_slot(zimun, service_id, slot, asked, seats=slot.seats_left + 1)
                assert refusal(caught.value).reason == "SLOT_UNAVAILABLE"


def times_around(world: World, chance: random.Random) -> list[int]:
    """Twenty minutes apart, and others by chance, from a day before the dates to a day after."""
    first = from_datetime(datetime.fromisoformat(f"{world.today}T00:00:00Z")) - DAY
    steps = range(first, first + 5 * DAY, 20 * MINUTE)
    return [*steps, *(chance.randrange(first, first + 5 * DAY, MINUTE) for _ in range(40))]


async def errors_of(world: World, question: Question, times: list[int]) -> dict[int, ErrorParts]:
    """What stands in the way of each time that cannot be had, by checks of a hundred."""
    service_id, asked = question
    checks = [
        availability_pb2.SlotCheck(service_id=service_id, start_time=timestamp(time), **asked)
        for time in times
    ]
    results: list[Any] = []
    for n in range(0, len(checks), 100):
        request = availability_pb2.BatchCheckAvailabilityRequest(checks=checks[n : n + 100])
        answer = await world.zimun.call(world.zimun.availability.BatchCheckAvailability, request)
        results += answer.results
    return {
        time: error_of_status(result.error)
        for time, result in zip(times, results, strict=True)
        if result.HasField("error")
    }


async def test_everything_not_shown_is_refused_as_it_is_explained(world: World) -> None:
    zimun, chance = world.zimun, random.Random(world.seed)
    refused_for = set()
    for question in QUESTIONS:
        service_id, asked = question
        wide = {
            "start_date": (world.today - timedelta(days=2)).isoformat(),
            "end_date": (world.today + timedelta(days=5)).isoformat(),
        }
        shown = {slot.start_time.ToMicroseconds() for slot in await world.slots(question, **wide)}
        times = times_around(world, chance)
        errors = await errors_of(world, question, times)
        assert set(times) - set(errors) == set(times) & shown
        of_reason: dict[tuple[str, str], list[int]] = {}
        for time, told in errors.items():
            of_reason.setdefault((told[2], told[3].get("rule", "")), []).append(time)
        refused_for |= set(of_reason)
        for time in (
            time for them in of_reason.values() for time in chance.sample(them, min(6, len(them)))
        ):
            named = {"service_id": service_id, **asked}
            refused = await zimun.refused(
                zimun.appointments.HoldAppointment,
                appointments_pb2.HoldAppointmentRequest(appointment_time=timestamp(time), **named),
            )
            assert error_of_refusal(refused) == errors[time]
            explained = await zimun.call(
                zimun.availability.ExplainSlot,
                availability_pb2.ExplainSlotRequest(start_time=timestamp(time), **named),
            )
            assert error_of_status(explained.error) == errors[time]
            assert explained.obstacles
            first = Obstacle.Rule.Name(explained.obstacles[0].rule)
            assert errors[time][3].get("rule", first) == first
            assert {slot.start_time.ToMicroseconds() for slot in refused.alternatives} <= shown
            for slot in refused.alternatives:
                hold = await hold_slot(zimun, service_id, slot, asked)
                await release_hold(zimun, hold)
    assert {reason for reason, _ in refused_for} == {
        "LIMIT_REACHED",
        "NOT_A_SLOT",
        "OUTSIDE_BOOKING_WINDOW",
        "SLOT_UNAVAILABLE",
    }


async def test_every_time_zone_shows_the_same_instants(world: World) -> None:
    first = from_datetime(datetime.fromisoformat(f"{world.today}T00:00:00Z"))
    wide = {
        "start_date": (world.today - timedelta(days=1)).isoformat(),
        "end_date": (world.today + timedelta(days=3)).isoformat(),
    }
    seen = 0
    for question in QUESTIONS:
        found = {}
        for zone in (*ZONES, "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"):
            slots = await world.slots(question, **wide, time_zone=zone)
            for slot in slots:
                for local, utc in (
                    (slot.local_start_time, slot.start_time),
                    (slot.local_end_time, slot.end_time),
                ):
                    assert from_datetime(datetime.fromisoformat(local)) == utc.ToMicroseconds()
                    assert wide["start_date"] <= slot.local_start_time[:10] <= wide["end_date"]
            found[zone] = [
                slot for slot in instants(slots) if first + DAY // 2 <= slot[0] < first + 3 * DAY
            ]
            assert found[zone] == found["Europe/Berlin"]
        seen += len(found["UTC"])
    assert seen > COPIES


async def test_a_range_is_its_dates_and_days_ahead_are_a_range(world: World) -> None:
    for question in QUESTIONS:
        service_id, asked = question
        whole = await search(world.zimun, service_id, **world.dates, **asked)
        single = [
            await search(
                world.zimun, service_id, (world.today + timedelta(days=n)).isoformat(), **asked
            )
            for n in range(3)
        ]
        assert list(whole.slots) == [slot for found in single for slot in found.slots]
        assert list(whole.days) == [day for found in single for day in found.days]
        ahead = await search(
            world.zimun, service_id, days_ahead=3, **asked, time_zone="Europe/Berlin"
        )
        again = await search(
            world.zimun, service_id, **world.dates, **asked, time_zone="Europe/Berlin"
        )
        assert ahead == again
        following = await find_next(world.zimun, service_id, count=100, **asked)
        wide = await search(world.zimun, service_id, days_ahead=92, **asked)
        assert list(following.slots) == list(wide.slots)[:100]


async def test_asking_for_a_person_or_for_seats_only_narrows(world: World) -> None:
    for question in QUESTIONS:
        service_id, _ = question
        everything = await world.slots(question)
        for staff_id in (await SERVICE.get(world.zimun, service_id)).staff_ids:
            theirs = await world.slots(question, staff_id=staff_id)
            assert [slot.start_time for slot in theirs] == [
                slot.start_time for slot in everything if staff_id in slot.staff_ids
            ]
            assert all(list(slot.staff_ids) == [staff_id] for slot in theirs)
    one = await world.slots(("s_class", {}))
    for seats in (1, 2, 3):
        enough = await world.slots(("s_class", {"seats": seats}))
        assert [slot.start_time for slot in enough] == [
            slot.start_time for slot in one if slot.seats_left >= seats
        ]


async def test_one_more_booking_never_opens_anything(world: World) -> None:
    """Of any service: what is offered after it was offered before, for as many or more."""
    zimun, chance = world.zimun, random.Random(world.seed)
    before = {n: await world.slots(question) for n, question in enumerate(QUESTIONS)}
    for _ in range(12):
        n = chance.randrange(len(QUESTIONS))
        if not before[n]:
            continue
        service_id, asked = QUESTIONS[n]
        await hold_slot(zimun, service_id, chance.choice(before[n]), asked)
        for other, question in enumerate(QUESTIONS):
            after = await world.slots(question)
            known = {slot.start_time.ToMicroseconds(): slot for slot in before[other]}
            for slot in after:
                was = known[slot.start_time.ToMicroseconds()]
                assert set(slot.staff_ids) <= set(was.staff_ids)
                assert slot.seats_left <= was.seats_left
            before[other] = after


async def test_to_ignore_an_appointment_is_to_search_as_if_it_were_cancelled(
    world: World, tmp_path: Path
) -> None:
    """And what is offered so can be rescheduled to."""
    zimun, chance = world.zimun, random.Random(world.seed)
    request = appointments_pb2.ListAppointmentsRequest(state="CONFIRMED")
    kept = list((await zimun.call(zimun.appointments.ListAppointments, request)).items)
    assert len(kept) > 5
    for n, appointment in enumerate(chance.sample(kept, 5)):
        named = {"appointment_id": appointment.appointment_id}
        copied = tmp_path / f"copy{n}"
        copy_store(world.data_dir, copied)
        async with run_server(copied, ManualClock(zimun.clock.now())) as other:
            cancel = appointments_pb2.CancelAppointmentRequest(**named)
            await other.call(other.appointments.CancelAppointment, cancel)
            for service_id, asked in QUESTIONS:
                said = {
                    "seats": 1,
                    "duration": (await SERVICE.get(zimun, service_id)).duration,
                    "location_id": "" if service_id == "s_class" else "l_east",
                    **asked,
                }
                ignoring = await search(
                    zimun,
                    service_id,
                    **world.dates,
                    **said,
                    ignore_appointment_id=appointment.appointment_id,
                )
                assert ignoring == await search(other, service_id, **world.dates, **said)
        shutil.rmtree(copied)
        own = await search(
            zimun,
            appointment.service_id,
            **world.dates,
            ignore_appointment_id=appointment.appointment_id,
        )
        if appointment.start_time not in [slot.start_time for slot in own.slots]:
            staying = reschedule_request(appointment.appointment_id, appointment.start_time)
            refused = await zimun.refused(zimun.appointments.RescheduleAppointment, staying)
            assert refused.reason in ("NOT_A_SLOT", "OUTSIDE_BOOKING_WINDOW")
        for slot in chance.sample(list(own.slots), min(5, len(own.slots))):
            moved = await zimun.call(
                zimun.appointments.RescheduleAppointment,
                reschedule_request(appointment.appointment_id, slot.start_time),
            )
            assert (moved.start_time, moved.end_time) == (slot.start_time, slot.end_time)


async def test_a_server_that_starts_again_answers_the_same(world: World, tmp_path: Path) -> None:
    copy_store(world.data_dir, tmp_path / "copy")
    async with run_server(tmp_path / "copy", ManualClock(world.zimun.clock.now())) as again:
        for service_id, asked in QUESTIONS:
            asking = {**world.dates, **asked}
            before = await search(world.zimun, service_id, **asking)
            assert await search(again, service_id, **asking) == before
        for entry_type in ENTRY_TYPES:
            before_all = await entry_type.listed(world.zimun, archived=True)
            assert await entry_type.listed(again, archived=True) == before_all
