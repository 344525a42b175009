"""What time off leaves to be booked, and how the rest is explained."""

import pytest

from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun
from . import stamp
from .calls import (
    create_hold,
    day_of,
    explain,
    find_next,
    hold_and_confirm,
    hold_refused,
    search,
    times,
    update,
    update_request,
)
from .catalogue import LOCATION, RESOURCE, SERVICE, STAFF, hours, minutes, put_override, weekly
from .time_off import change_time_off, drop_time_off, put_time_off

TUESDAY = "2025-12-02"
TEN, ELEVEN = f"{TUESDAY}T10:00:00Z", f"{TUESDAY}T11:00:00Z"


@pytest.mark.parametrize(
    ("owner_id", "rule", "subject"),
    [
        ("o_demo", "TIME_OFF", "l_main"),
        ("l_main", "TIME_OFF", "l_main"),
        ("t_1", "STAFF_TIME_OFF", "t_1"),
        ("r_1", "RESOURCE_TIME_OFF", "r_1"),
    ],
)
async def test_a_time_that_overlaps_time_off_is_not_offered_and_the_note_says_why(
    zimun: Zimun, owner_id: str, rule: str, subject: str
) -> None:
    await STAFF.create(zimun, id="t_1", weekly_hours=weekly("09:00", "13:00"))
    await RESOURCE.create(zimun, id="r_1")
    service = await SERVICE.create(
        zimun,
        duration=hours(1),
        slot_step=minutes(30),
        staff_ids=["t_1"],
        resource_requirements=[{"resource_ids": ["r_1"]}],
        location_ids=["l_main"],
    )
    all_times = ["09:00", "09:30", "10:00", "10:30", "11:00", "11:30", "12:00"]
    assert await times(zimun, service.id, TUESDAY) == all_times
    made = await put_time_off(
        zimun, owner_id, f"{TUESDAY}T10:15:00Z", f"{TUESDAY}T10:45:00Z", note="Fire drill"
    )
    left = ["09:00", "11:00", "11:30", "12:00"]
    assert await times(zimun, service.id, TUESDAY) == left
    assert await day_of(zimun, service.id, TUESDAY) == ("OPEN", "")
    refused = await hold_refused(zimun, TEN, service.id)
    assert (refused.reason, dict(refused.info.metadata)) == (
        "NOT_A_SLOT",
        {"rule": rule, "note": "Fire drill"},
    )
    [obstacle] = (await explain(zimun, service.id, TEN)).obstacles
    assert (Obstacle.Rule.Name(obstacle.rule), obstacle.subject_id) == (rule, subject)
    assert obstacle.note == "Fire drill"
    assert "has time off from 2025-12-02 10:15 in UTC to 2025-12-02 10:45" in obstacle.message
    assert (obstacle.busy_start, obstacle.busy_end) == (made.start_time, made.end_time)
    checks = [
        availability_pb2.SlotCheck(service_id=service.id, start_time=stamp(time))
        for time in (TEN, ELEVEN)
    ]
    batch = availability_pb2.BatchCheckAvailabilityRequest(checks=checks)
    answer = await zimun.call(zimun.availability.BatchCheckAvailability, batch)
    assert [result.HasField("error") for result in answer.results] == [True, False]
    found = await find_next(zimun, service.id, start_time_from=stamp(TEN), count=1)
    assert found.slots[0].start_time == stamp(ELEVEN)
    await create_hold(zimun, ELEVEN, service.id)
    await change_time_off(zimun, made.id, end_time=f"{TUESDAY}T10:20:00Z")
    assert await times(zimun, service.id, TUESDAY) == ["09:00", "12:00"]
    await drop_time_off(zimun, made.id)
    assert await times(zimun, service.id, TUESDAY) == ["09:00", "09:30", "10:00", "12:00"]


async def test_another_member_serves_while_one_has_time_off(zimun: Zimun) -> None:
    await put_time_off(zimun, "t_ada", f"{TUESDAY}T00:00:00Z", "2025-12-05T00:00:00Z")
    found = await search(zimun, "s_123", TUESDAY)
    assert {tuple(slot.staff_ids) for slot in found.slots} == {("t_ben", "t_chloe")}
    refused = await hold_refused(zimun, TEN, staff_id="t_ada")
    assert refused.info.metadata["rule"] == "STAFF_TIME_OFF"
    for staff_id in ("t_ben", "t_chloe"):
        await hold_and_confirm(zimun, TEN, staff_id=staff_id)
    refused = await hold_refused(zimun, TEN)
    assert refused.reason == "SLOT_UNAVAILABLE"
    rules = [Obstacle.Rule.Name(one.rule) for one in (await explain(zimun, "s_123", TEN)).obstacles]
    assert rules == ["STAFF_BUSY", "STAFF_BUSY", "STAFF_TIME_OFF"]


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main"])
async def test_a_date_whose_hours_are_all_time_off_of_the_place_is_closed_with_the_note(
    zimun: Zimun, owner_id: str
) -> None:
    await put_override(
        zimun, "l_main", TUESDAY, ("09:00", "12:00"), ("13:00", "15:00"), note="Short"
    )
    morning = await put_time_off(zimun, owner_id, f"{TUESDAY}T09:00:00Z", f"{TUESDAY}T13:00:00Z")
    assert await day_of(zimun, "s_123", TUESDAY) == ("OPEN", "Short")
    await put_time_off(
        zimun, owner_id, f"{TUESDAY}T12:30:00Z", f"{TUESDAY}T15:00:00Z", note="Repairs"
    )
    assert await day_of(zimun, "s_123", TUESDAY) == ("CLOSED", "Repairs")
    assert await day_of(zimun, "s_123", "2025-12-03") == ("OPEN", "")
    found = await find_next(zimun, "s_123", start_time_from=stamp(f"{TUESDAY}T00:00:00Z"))
    assert found.slots[0].local_start_time == "2025-12-03T09:00:00+00:00"
    await drop_time_off(zimun, morning.id)
    assert await day_of(zimun, "s_123", TUESDAY) == ("OPEN", "Short")


async def test_time_off_of_one_location_leaves_another(zimun: Zimun) -> None:
    other = await LOCATION.create(zimun)
    service = await SERVICE.create(zimun, duration=hours(1), location_ids=["l_main", other.id])
    await put_time_off(zimun, other.id, TEN, ELEVEN)
    main = await times(zimun, service.id, TUESDAY, location_id="l_main")
    there = await times(zimun, service.id, TUESDAY, location_id=other.id)
    assert set(main) - set(there) == {"10:00"}


async def test_no_seats_are_sold_in_a_session_of_staff_with_time_off(zimun: Zimun) -> None:
    await create_hold(zimun, TEN, "s_yoga", seats=2)
    assert "10:00" in await times(zimun, "s_yoga", TUESDAY)
    await put_time_off(zimun, "t_chloe", TEN, ELEVEN, allow_conflicts=True)
    assert "10:00" not in await times(zimun, "s_yoga", TUESDAY)
    refused = await hold_refused(zimun, TEN, "s_yoga")
    assert refused.info.metadata["rule"] == "STAFF_TIME_OFF"


async def test_a_session_whose_resource_gets_time_off_can_be_joined(zimun: Zimun) -> None:
    await create_hold(zimun, TEN, "s_yoga", seats=2)
    await put_time_off(zimun, "r_studio", TEN, f"{TUESDAY}T12:00:00Z", allow_conflicts=True)
    assert {"10:00", "11:00"} & set(await times(zimun, "s_yoga", TUESDAY)) == {"10:00"}
    assert (await create_hold(zimun, TEN, "s_yoga", seats=6)).resource_ids == ["r_studio"]


@pytest.mark.parametrize(
    ("owner_id", "rule"),
    [("t_ada", "STAFF_TIME_OFF"), ("l_main", "TIME_OFF"), ("o_demo", "TIME_OFF")],
)
async def test_an_appointment_takes_no_more_seats_while_place_or_staff_has_time_off(
    zimun: Zimun, owner_id: str, rule: str
) -> None:
    await SERVICE.create(
        zimun,
        id="s_g",
        duration=hours(1),
        capacity=4,
        staff_ids=["t_ada"],
        location_ids=["l_main"],
    )
    kept = await hold_and_confirm(zimun, TEN, "s_g", seats=2)
    await put_time_off(zimun, owner_id, TEN, ELEVEN, note="Course", allow_conflicts=True)
    more = update_request(kept.appointment_id, seats=3)
    refused = await zimun.refused(zimun.appointments.UpdateAppointment, more)
    assert dict(refused.info.metadata) == {"rule": rule, "note": "Course"}
    assert (await update(zimun, kept.appointment_id, seats=1)).seats == 1


async def test_a_date_whose_hours_of_the_service_are_all_time_off_is_closed(zimun: Zimun) -> None:
    mornings = weekly("09:00", "12:00")
    service = await SERVICE.create(
        zimun, duration=hours(1), location_ids=["l_main"], weekly_hours=mornings
    )
    await put_time_off(zimun, "l_main", f"{TUESDAY}T09:00:00Z", ELEVEN, note="Delivery")
    assert await day_of(zimun, service.id, TUESDAY) == ("OPEN", "")
    await put_time_off(zimun, "o_demo", ELEVEN, f"{TUESDAY}T12:00:00Z")
    assert await day_of(zimun, service.id, TUESDAY) == ("CLOSED", "Delivery")
    assert await times(zimun, service.id, TUESDAY) == []
    assert await day_of(zimun, "s_123", TUESDAY) == ("OPEN", "")
