"""What is archived takes no new bookings and breaks none that there are."""

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from zimun import demo
from zimun.clock import ManualClock
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.hold_pb2 import Hold
from zimun.v1.slot_pb2 import Obstacle

from ..support.rpc import Zimun, run_server
from . import confirm_of, stamp
from .calls import (
    create_hold,
    explain,
    find_next,
    hold_and_confirm,
    hold_refused,
    reschedule_request,
    search,
    times,
)
from .catalogue import (
    ENTRY_TYPES,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    EntryType,
    hours,
    update_organization,
    weekly,
)
from .catalogue_fields import each_entry_type

TEN = "2025-12-01T10:00:00Z"
ELEVEN = "2025-12-01T11:00:00Z"

IDS = {SERVICE: "s_x", LOCATION: "l_x", STAFF: "t_x", RESOURCE: "r_x"}


@pytest_asyncio.fixture(loop_scope="package")
async def one_service(zimun: Zimun) -> Zimun:
    """The server with one service more, given by one person in one room of one place."""
    await LOCATION.create(zimun, id="l_x", weekly_hours=weekly("09:00", "12:00"))
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"))
    await RESOURCE.create(zimun, id="r_x", location_id="l_x")
    await SERVICE.create(
        zimun,
        id="s_x",
        duration=hours(1),
        staff_ids=["t_x"],
        resource_requirements=[{"resource_ids": ["r_x"]}],
        location_ids=["l_x"],
    )
    return zimun


async def add_alternatives(zimun: Zimun) -> None:
    """Give the service another staff member and another resource to choose from."""
    await STAFF.create(zimun, id="t_y", weekly_hours=weekly("09:00", "12:00"))
    await RESOURCE.create(zimun, id="r_y")
    await SERVICE.update(
        zimun,
        "s_x",
        staff_ids=["t_x", "t_y"],
        resource_requirements=[{"resource_ids": ["r_x", "r_y"]}],
    )


async def life(zimun: Zimun, hold: Hold) -> Appointment:
    """Extend, confirm, get, list and cancel."""
    appointments = zimun.appointments
    await zimun.call(
        appointments.ExtendHold, appointments_pb2.ExtendHoldRequest(hold_id=hold.hold_id)
    )
    kept = await zimun.call(appointments.ConfirmAppointment, confirm_of(hold.hold_id))
    assert kept.state == Appointment.CONFIRMED
    assert (kept.service_id, kept.staff_id, kept.location_id) == ("s_x", "t_x", "l_x")
    assert list(kept.resource_ids) == ["r_x"]
    named = {"appointment_id": kept.appointment_id}
    get = appointments_pb2.GetAppointmentRequest(**named)
    assert await zimun.call(appointments.GetAppointment, get) == kept
    for request in (
        appointments_pb2.ListAppointmentsRequest(service_id="s_x"),
        appointments_pb2.ListAppointmentsRequest(staff_id="t_x"),
        appointments_pb2.ListAppointmentsRequest(state="CONFIRMED"),
    ):
        assert kept in (await zimun.call(appointments.ListAppointments, request)).items
    cancelled: Appointment = await zimun.call(
        appointments.CancelAppointment, appointments_pb2.CancelAppointmentRequest(**named)
    )
    assert cancelled.state == Appointment.CANCELLED
    return cancelled


@each_entry_type
async def test_a_hold_outlives_what_is_archived_under_it(
    one_service: Zimun, entry_type: EntryType
) -> None:
    hold = await create_hold(one_service, TEN, "s_x")
    await entry_type.archive(one_service, IDS[entry_type])
    await life(one_service, hold)


async def test_a_hold_outlives_everything_archived_under_it(one_service: Zimun) -> None:
    hold = await create_hold(one_service, TEN, "s_x")
    for entry_type in ENTRY_TYPES:
        await entry_type.archive(one_service, IDS[entry_type])
    await life(one_service, hold)


@each_entry_type
async def test_a_held_slot_of_what_is_archived_is_released(
    one_service: Zimun, entry_type: EntryType
) -> None:
    hold = await create_hold(one_service, TEN, "s_x")
    await entry_type.archive(one_service, IDS[entry_type])
    request = appointments_pb2.ReleaseHoldRequest(hold_id=hold.hold_id)
    assert (
        await one_service.call(one_service.appointments.ReleaseHold, request)
    ).state == Hold.RELEASED


@each_entry_type
async def test_what_is_archived_has_no_slots(one_service: Zimun, entry_type: EntryType) -> None:
    before = await search(one_service, "s_x", "2025-12-01")
    assert len(before.slots) == 3
    await entry_type.archive(one_service, IDS[entry_type])
    assert list((await search(one_service, "s_x", "2025-12-01")).slots) == []
    assert list((await find_next(one_service, "s_x", count=100)).slots) == []
    refused = await hold_refused(one_service, TEN, "s_x")
    assert refused.reason == "NOT_A_SLOT"
    assert refused.details == ["google.rpc.ErrorInfo"]
    explained = await explain(one_service, "s_x", TEN)
    assert [each.subject_id for each in explained.obstacles] == [IDS[entry_type]]
    await entry_type.update(one_service, IDS[entry_type], active=True)
    assert await search(one_service, "s_x", "2025-12-01") == before


@each_entry_type
async def test_an_appointment_does_not_move_to_what_is_archived(
    one_service: Zimun, entry_type: EntryType
) -> None:
    kept = await hold_and_confirm(one_service, TEN, "s_x")
    await entry_type.archive(one_service, IDS[entry_type])
    move = reschedule_request(kept.appointment_id, ELEVEN)
    refused = await one_service.refused(one_service.appointments.RescheduleAppointment, move)
    assert refused.reason == "NOT_A_SLOT"
    get = appointments_pb2.GetAppointmentRequest(appointment_id=kept.appointment_id)
    assert await one_service.call(one_service.appointments.GetAppointment, get) == kept
    await entry_type.update(one_service, IDS[entry_type], active=True)
    moved = await one_service.call(one_service.appointments.RescheduleAppointment, move)
    assert moved.appointment_id == kept.appointment_id


@pytest.mark.parametrize("entry_type", [STAFF, RESOURCE], ids=str)
async def test_an_appointment_moves_to_an_entry_that_is_not_archived(
    one_service: Zimun, entry_type: EntryType
) -> None:
    kept = await hold_and_confirm(one_service, TEN, "s_x")
    await add_alternatives(one_service)
    await entry_type.archive(one_service, IDS[entry_type])
    moved = await one_service.call(
        one_service.appointments.RescheduleAppointment,
        reschedule_request(kept.appointment_id, ELEVEN),
    )
    who = moved.staff_id if entry_type is STAFF else moved.resource_ids[0]
    assert who == IDS[entry_type].replace("x", "y")


async def test_a_move_in_place_needs_another_staff_member_who_is_free_where_its_own_is_archived(
    one_service: Zimun,
) -> None:
    """An appointment stays where it is only while its own staff member can serve it."""
    kept = await hold_and_confirm(one_service, TEN, "s_x")
    await add_alternatives(one_service)
    other = await create_hold(one_service, TEN, "s_x")
    await STAFF.archive(one_service, "t_x")
    move = reschedule_request(kept.appointment_id, TEN)
    refused = await one_service.refused(one_service.appointments.RescheduleAppointment, move)
    assert refused.reason == "SLOT_UNAVAILABLE"
    release = appointments_pb2.ReleaseHoldRequest(hold_id=other.hold_id)
    await one_service.call(one_service.appointments.ReleaseHold, release)
    moved = await one_service.call(one_service.appointments.RescheduleAppointment, move)
    assert (moved.start_time, moved.staff_id) == (kept.start_time, "t_y")


async def test_bookings_of_a_removed_staff_member_still_take_their_time(one_service: Zimun) -> None:
    """A service that does not name them any more leaves their bookings where they are."""
    kept = await hold_and_confirm(one_service, TEN, "s_x")
    await SERVICE.update(one_service, "s_x", ["staff_ids", "resource_requirements", "location_ids"])
    other = await SERVICE.create(one_service, duration=hours(1), staff_ids=["t_x"])
    starts = [
        slot.local_start_time[11:16]
        for slot in (await search(one_service, other.id, TEN[:10])).slots
    ]
    assert starts == ["09:00", "11:00"]
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=kept.appointment_id)
    await one_service.call(one_service.appointments.CancelAppointment, cancel)
    found = await search(one_service, other.id, TEN[:10])
    assert len(found.slots) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"duration": hours(3), "slot_step": hours(3)},
        {"lead_time": hours(24 * 30)},
        {"buffer_before": hours(1), "buffer_after": hours(1)},
        {"capacity": 9},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_an_appointment_stays_as_it_is_when_its_service_changes(
    one_service: Zimun, change: dict[str, Any]
) -> None:
    hold = await create_hold(one_service, TEN, "s_x")
    kept = await hold_and_confirm(one_service, ELEVEN, "s_x")
    await SERVICE.update(one_service, "s_x", **change)
    await update_organization(one_service, time_zone="Asia/Tokyo", holiday_region="US")
    get = appointments_pb2.GetAppointmentRequest(appointment_id=kept.appointment_id)
    assert await one_service.call(one_service.appointments.GetAppointment, get) == kept
    cancelled = await life(one_service, hold)
    assert (cancelled.start_time, cancelled.end_time) == (hold.start_time, hold.end_time)


async def test_a_long_appointment_stays_in_the_way_when_its_service_gets_short(
    tmp_path: Path, clock: ManualClock
) -> None:
    """And after a restart, when only the store knows how long it was."""
    async with run_server(tmp_path, clock) as first:
        await demo.seed(first.stores.writer, clock.now())
        await STAFF.create(first, id="t_x", weekly_hours=weekly("00:00", "24:00"))
        await SERVICE.create(
            first,
            id="s_x",
            duration=hours(24 * 20),
            slot_step=hours(1),
            buffer_after=hours(24),
            staff_ids=["t_x"],
        )
        assert (await hold_and_confirm(first, "2025-12-01T09:00:00Z", "s_x")).staff_id == "t_x"
        await SERVICE.update(first, "s_x", duration=hours(1))
        await SERVICE.update(first, "s_x", ["buffer_after"])
        await still_taken(first)
    async with run_server(tmp_path, clock) as again:
        await still_taken(again)


async def still_taken(zimun: Zimun) -> None:
    for date in ("2025-12-02", "2025-12-20", "2025-12-21"):
        assert await times(zimun, "s_x", date) == []
    assert await times(zimun, "s_x", "2025-12-22") == [f"{hour:02}:00" for hour in range(9, 24)]
    assert (await hold_refused(zimun, "2025-12-21T08:00:00Z", "s_x")).reason == "SLOT_UNAVAILABLE"
    (obstacle,) = (await explain(zimun, "s_x", "2025-12-21T08:00:00Z")).obstacles
    assert (obstacle.rule, obstacle.busy_end) == (
        Obstacle.STAFF_BUSY,
        stamp("2025-12-22T09:00:00Z"),
    )


async def test_a_cut_off_is_the_one_of_now(one_service: Zimun) -> None:
    """The service as it stands says until when; the appointment does not keep the old rule."""
    kept = await hold_and_confirm(one_service, TEN, "s_x")
    await SERVICE.update(one_service, "s_x", cancellation_cutoff=hours(24 * 4))
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=kept.appointment_id)
    refused = await one_service.refused(one_service.appointments.CancelAppointment, cancel)
    assert refused.reason == "OUTSIDE_CANCELLATION_WINDOW"
    await SERVICE.update(one_service, "s_x", ["cancellation_cutoff"])
    cancelled = await one_service.call(one_service.appointments.CancelAppointment, cancel)
    assert cancelled.state == Appointment.CANCELLED
