"""Lengths of an appointment, its own time when it moves, daily limits and seats."""

from typing import Any

import grpc
import pytest

from zimun.domain.instant import MINUTE
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from . import hold_of, stamp
from .calls import (
    ELEVEN,
    MONDAY,
    TEN,
    TUESDAY,
    batch_check,
    create_hold,
    error_of_refusal,
    error_of_status,
    explain,
    find_next,
    hold_and_confirm,
    hold_refused,
    reschedule,
    reschedule_request,
    search,
    slot_check,
    starts,
    times,
)
from .catalogue import LOCATION, SERVICE, STAFF, days, hours, minutes, weekly

# Lengths


async def lengthy(zimun: Zimun, **fields: Any) -> str:
    """A service of half an hour, an hour or two hours, given by one person from nine to noon."""
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"))
    made = await SERVICE.create(
        zimun,
        duration=minutes(30),
        slot_step=minutes(30),
        duration_options=[hours(1), hours(2)],
        staff_ids=["t_x"],
        **fields,
    )
    return str(made.id)


async def test_a_search_is_for_the_length_that_is_chosen(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    for length, last in ((None, "11:30"), (30, "11:30"), (60, "11:00"), (120, "10:00")):
        fields = {"duration": minutes(length)} if length else {}
        found = await search(zimun, service_id, MONDAY, **fields)
        assert found.slots[-1].local_start_time[11:16] == last
        for slot in found.slots:
            span = slot.end_time.ToMicroseconds() - slot.start_time.ToMicroseconds()
            assert span == (length or 30) * MINUTE
        nearest = await find_next(
            zimun, service_id, count=100, start_time_from=stamp(f"{MONDAY}T00:00:00Z"), **fields
        )
        assert list(nearest.slots)[: len(found.slots)] == list(found.slots)


async def test_a_hold_lasts_as_long_as_is_chosen(zimun: Zimun) -> None:
    service_id = await lengthy(zimun, buffer_after=minutes(30))
    hold = await create_hold(zimun, f"{MONDAY}T09:30:00Z", service_id, duration=hours(1))
    assert hold.end_time == stamp(f"{MONDAY}T10:30:00Z")
    assert await times(zimun, service_id, MONDAY) == ["11:00", "11:30"]
    assert await times(zimun, service_id, MONDAY, duration=hours(1)) == ["11:00"]
    assert await times(zimun, service_id, MONDAY, duration=hours(2)) == []
    refused = await hold_refused(zimun, ELEVEN, service_id, duration=hours(2))
    assert (refused.reason, refused.info.metadata["rule"]) == ("NOT_A_SLOT", "STAFF_CLOSED")
    explained = await explain(zimun, service_id, ELEVEN, duration=hours(2))
    assert error_of_status(explained.error) == error_of_refusal(refused)
    explained = await explain(zimun, service_id, ELEVEN, duration=hours(1))
    assert explained.slot.end_time == stamp(f"{MONDAY}T12:00:00Z")
    refused = await hold_refused(zimun, TEN, service_id, duration=hours(1))
    assert refused.reason == "SLOT_UNAVAILABLE"
    assert refused.alternatives
    for slot in refused.alternatives:
        assert slot.end_time.seconds - slot.start_time.seconds == 3600
        held_ = hold_of(slot.start_time.ToJsonString(), service_id, duration=hours(1))
        await zimun.call(zimun.appointments.HoldAppointment, held_)


@pytest.mark.parametrize("length", [1, 15, 45, 90, 180])
async def test_a_length_that_is_not_offered_is_refused(zimun: Zimun, length: int) -> None:
    service_id = await lengthy(zimun)
    refused = await hold_refused(zimun, TEN, service_id, duration=minutes(length))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"duration"})
    requests = (
        availability_pb2.GetAvailabilityRequest(
            service_id=service_id, date=MONDAY, duration=minutes(length)
        ),
        availability_pb2.FindNextAvailableRequest(service_id=service_id, duration=minutes(length)),
        availability_pb2.ExplainSlotRequest(
            service_id=service_id, start_time=stamp(TEN), duration=minutes(length)
        ),
    )
    for request in requests:
        ask = getattr(zimun.availability, type(request).__name__.removesuffix("Request"))
        assert set((await zimun.refused(ask, request)).fields) == {"duration"}


async def test_a_rescheduled_appointment_keeps_its_length(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    kept = await hold_and_confirm(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(2))
    assert kept.end_time == stamp(ELEVEN)
    other = await reschedule(zimun, kept.appointment_id, TEN)
    assert (other.start_time, other.end_time) == (stamp(TEN), stamp(f"{MONDAY}T12:00:00Z"))
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, ELEVEN)
    )
    assert (refused.reason, refused.info.metadata["rule"]) == ("NOT_A_SLOT", "STAFF_CLOSED")


async def test_an_appointment_keeps_a_length_that_is_not_offered_any_more(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    kept = await hold_and_confirm(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(2))
    await SERVICE.update(zimun, service_id, ["duration", "duration_options"], duration=hours(1))
    other = await reschedule(zimun, kept.appointment_id, TEN)
    assert other.end_time == stamp(f"{MONDAY}T12:00:00Z")
    found = await search(zimun, service_id, MONDAY, ignore_appointment_id=kept.appointment_id)
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {7200}


# One's own time


async def test_ones_own_time_is_offered_and_others_are_not(zimun: Zimun) -> None:
    service_id = await lengthy(zimun, buffer_after=minutes(30))
    mine = await hold_and_confirm(zimun, f"{MONDAY}T09:30:00Z", service_id)
    other = await hold_and_confirm(zimun, ELEVEN, service_id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, service_id, MONDAY) == []
    assert await times(zimun, service_id, MONDAY, **own) == ["09:00", "09:30", "10:00"]
    theirs = {"ignore_appointment_id": other.appointment_id}
    assert await times(zimun, service_id, MONDAY, **theirs) == ["10:30", "11:00", "11:30"]
    found = await find_next(
        zimun, service_id, start_time_from=stamp(f"{MONDAY}T00:00:00Z"), count=3, **own
    )
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "09:30", "10:00")]
    explained = await explain(zimun, service_id, f"{MONDAY}T09:30:00Z", **own)
    assert explained.WhichOneof("result") == "slot"
    explained = await explain(zimun, service_id, ELEVEN, **own)
    assert [each.subject_id for each in explained.obstacles] == ["t_x"]
    answers = await batch_check(
        zimun,
        slot_check(f"{MONDAY}T09:30:00Z", service_id, **own),
        slot_check(f"{MONDAY}T09:30:00Z", service_id),
        slot_check(f"{MONDAY}T09:30:00Z", service_id, ignore_appointment_id="a_9"),
    )
    assert [answer.WhichOneof("result") for answer in answers] == ["slot", "error", "error"]
    assert error_of_status(answers[2].error)[2] == "APPOINTMENT_NOT_FOUND"


async def test_what_ones_own_search_offers_can_be_rescheduled_to_and_nothing_else(
    zimun: Zimun,
) -> None:
    service_id = await lengthy(zimun, buffer_before=minutes(15), buffer_after=minutes(15))
    await hold_and_confirm(zimun, f"{MONDAY}T11:30:00Z", service_id)
    mine = await hold_and_confirm(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(1))
    own = {"ignore_appointment_id": mine.appointment_id}
    offered = await times(zimun, service_id, MONDAY, **own)
    assert offered == ["09:00", "09:30", "10:00"]
    for minute in range(8 * 60, 13 * 60, 15):
        time = f"{minute // 60:02}:{minute % 60:02}"
        request = reschedule_request(mine.appointment_id, f"{MONDAY}T{time}:00Z")
        if time in offered:
            await zimun.call(zimun.appointments.RescheduleAppointment, request)
        else:
            refused = await zimun.refused(zimun.appointments.RescheduleAppointment, request)
            explained = await explain(zimun, service_id, request.start_time, **own)
            assert error_of_status(explained.error) == error_of_refusal(refused)
        assert await times(zimun, service_id, MONDAY, **own) == offered


async def test_an_appointments_place_seats_and_length_are_asked_about(zimun: Zimun) -> None:
    places = [(await LOCATION.create(zimun, time_zone=zone)).id for zone in ("UTC", "Asia/Tokyo")]
    service_id = await lengthy(zimun, location_ids=places, capacity=6)
    mine = await hold_and_confirm(
        zimun, TEN, service_id, location_id=places[1], seats=4, duration=hours(1)
    )
    await hold_and_confirm(
        zimun, TEN, service_id, location_id=places[1], seats=1, duration=hours(1)
    )
    own = {"ignore_appointment_id": mine.appointment_id}
    found = await search(zimun, service_id, MONDAY, **own)
    assert found.time_zone == "Asia/Tokyo"
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "10:00", "11:00")]
    assert [slot.seats_left for slot in found.slots] == [6, 5, 6]
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {3600}
    await create_hold(zimun, ELEVEN, service_id, location_id=places[1], seats=3, duration=hours(1))
    found = await search(zimun, service_id, MONDAY, **own)
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "10:00")]
    found = await search(zimun, service_id, MONDAY, **own, seats=1)
    assert ELEVEN in starts(found.slots)
    found = await search(zimun, service_id, MONDAY, **own, seats=1, duration=minutes(30))
    assert f"{MONDAY}T09:30:00Z" in starts(found.slots)
    found = await search(zimun, service_id, MONDAY, **own, location_id=places[0])
    assert found.time_zone == "UTC"
    assert TEN not in starts(found.slots)


async def test_an_appointment_of_another_service_frees_its_time_alone(zimun: Zimun) -> None:
    first = await lengthy(zimun)
    second = await SERVICE.create(
        zimun, duration=minutes(45), slot_step=minutes(15), staff_ids=["t_x"]
    )
    mine = await hold_and_confirm(zimun, f"{MONDAY}T09:00:00Z", first, duration=hours(2))
    assert await times(zimun, second.id, MONDAY) == ["11:00", "11:15"]
    found = await search(zimun, second.id, MONDAY, ignore_appointment_id=mine.appointment_id)
    assert len(found.slots) == 10
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {2700}


async def test_another_organizations_appointment_is_not_found(zimun: Zimun) -> None:
    create = SERVICE.creation(id="s_123")
    await zimun.call(zimun.services.CreateService, create, org_id="o_other")
    refused = await zimun.refused(
        zimun.availability.GetAvailability,
        availability_pb2.GetAvailabilityRequest(
            service_id="s_123", date=MONDAY, ignore_appointment_id="a_123"
        ),
        org_id="o_other",
    )
    assert refused.reason == "APPOINTMENT_NOT_FOUND"


async def test_ignoring_a_cancelled_appointment_frees_nothing_more(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    mine = await hold_and_confirm(zimun, TEN, service_id)
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=mine.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)
    await hold_and_confirm(zimun, TEN, service_id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, service_id, MONDAY, **own) == await times(zimun, service_id, MONDAY)


async def test_the_alternatives_of_a_refused_move_include_ones_own_time(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    mine = await hold_and_confirm(zimun, TEN, service_id)
    for time in ("09:00", "09:30", "10:30", "11:00"):
        await hold_and_confirm(zimun, f"{MONDAY}T{time}:00Z", service_id)
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment,
        reschedule_request(mine.appointment_id, f"{MONDAY}T10:30:00Z"),
    )
    assert refused.reason == "SLOT_UNAVAILABLE"
    alternatives = starts(refused.alternatives)
    assert alternatives[:2] == [TEN, f"{MONDAY}T11:30:00Z"]
    for slot in refused.alternatives:
        await reschedule(zimun, mine.appointment_id, slot.start_time)


# Daily limits and seats


async def test_a_daily_limit_counts_the_dates_of_the_persons_zone(zimun: Zimun) -> None:
    """In Auckland (UTC+13) Tuesday begins on Monday at 11:00 UTC."""
    await STAFF.create(
        zimun,
        id="t_x",
        time_zone="Pacific/Auckland",
        weekly_hours=weekly("00:00", "24:00"),
        daily_limit=2,
    )
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"], horizon=days(5))
    both = {"start_date": MONDAY, "end_date": TUESDAY}
    everything = starts((await search(zimun, made.id, **both)).slots)
    assert len(everything) == 48
    of_tuesday = everything[11:35]
    for time in ("08:00", "10:00"):
        await hold_and_confirm(zimun, f"{MONDAY}T{time}:00Z", made.id)
    assert starts((await search(zimun, made.id, **both)).slots) == everything[11:]
    for start in (of_tuesday[0], of_tuesday[-1]):
        (explained,) = await batch_check(zimun, slot_check(start, made.id))
        assert explained.WhichOneof("result") == "slot"
        await hold_and_confirm(zimun, start, made.id)
    assert starts((await search(zimun, made.id, **both)).slots) == everything[35:]
    for start in (everything[0], of_tuesday[5]):
        (obstacle,) = (await explain(zimun, made.id, start)).obstacles
        assert (obstacle.rule, obstacle.subject_id) == (Obstacle.STAFF_DAILY_LIMIT, "t_x")
        assert (await hold_refused(zimun, start, made.id)).reason == "SLOT_UNAVAILABLE"


async def test_a_daily_limit_counts_a_group_session_once(zimun: Zimun) -> None:
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"), daily_limit=1)
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"], capacity=3)
    for left in (3, 2, 1):
        found = await search(zimun, made.id, MONDAY)
        assert {slot.start_time.ToJsonString(): slot.seats_left for slot in found.slots}[
            TEN
        ] == left
        await create_hold(zimun, TEN, made.id)
        assert (await hold_refused(zimun, ELEVEN, made.id)).reason == "SLOT_UNAVAILABLE"
    assert await times(zimun, made.id, MONDAY) == []
    (obstacle,) = (await explain(zimun, made.id, ELEVEN)).obstacles
    assert obstacle.rule == Obstacle.STAFF_DAILY_LIMIT


async def test_a_daily_limit_lets_an_appointment_move_within_its_date(zimun: Zimun) -> None:
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"), daily_limit=1)
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"])
    mine = await hold_and_confirm(zimun, TEN, made.id)
    await hold_and_confirm(zimun, f"{TUESDAY}T10:00:00Z", made.id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, made.id, MONDAY) == []
    assert await times(zimun, made.id, MONDAY, **own) == ["09:00", "10:00", "11:00"]
    assert await times(zimun, made.id, TUESDAY, **own) == []
    await reschedule(zimun, mine.appointment_id, ELEVEN)
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment,
        reschedule_request(mine.appointment_id, f"{TUESDAY}T11:00:00Z"),
    )
    assert refused.reason == "SLOT_UNAVAILABLE"
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=mine.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)
    assert await times(zimun, made.id, MONDAY) == ["09:00", "10:00", "11:00"]


async def test_a_search_for_seats_shows_sessions_with_so_many_left(zimun: Zimun) -> None:
    await create_hold(zimun, f"{MONDAY}T09:00:00Z", "s_yoga", seats=8)
    await create_hold(zimun, TEN, "s_yoga", seats=5)
    for seats, first in ((1, "10:00"), (3, "10:00"), (4, "11:00"), (8, "11:00")):
        found = await search(zimun, "s_yoga", MONDAY, seats=seats)
        left = {slot.local_start_time[11:16]: slot.seats_left for slot in found.slots}
        assert next(iter(left)) == first
        assert left.pop("10:00", 3) == 3
        assert set(left.values()) == {8}
    assert (await create_hold(zimun, TEN, "s_yoga", seats=3)).seats == 3
    assert (await hold_refused(zimun, TEN, "s_yoga")).reason == "SLOT_UNAVAILABLE"
