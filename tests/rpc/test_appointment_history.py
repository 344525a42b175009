"""Lists of appointments by what is known of them, and the history of one."""

from typing import Any

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.appointment_pb2 import AppointmentChange

from ..support.rpc import Zimun
from . import at, stamp
from .calls import (
    ELEVEN,
    TEN,
    book,
    changes_of,
    hold_and_confirm,
    reschedule_request,
    update,
    update_request,
)
from .catalogue import RESOURCE, SERVICE, hours


async def listed(zimun: Zimun, **fields: Any) -> list[str]:
    request = appointments_pb2.ListAppointmentsRequest(**fields)
    found = await zimun.call(zimun.appointments.ListAppointments, request)
    return [one.appointment_id for one in found.items]


async def test_appointments_are_found_by_contact_place_resource_and_change(zimun: Zimun) -> None:
    first = await book(zimun, TEN, contact_email="Ada@Example.com")
    zimun.clock.advance(60)
    since = stamp("2025-11-28T09:01:00Z")
    second = await book(zimun, ELEVEN, service_id="s_treatment", contact_email="ben@example.com")
    ids = [first.appointment_id, second.appointment_id]
    assert await listed(zimun, contact_email="ada@example.com") == ids[:1]
    assert await listed(zimun, resource_id=second.resource_ids[0]) == ids[1:]
    assert await listed(zimun, update_time_from=since) == ids[1:]
    assert await listed(zimun, location_id=second.location_id, start_time_from=stamp(TEN)) == [
        *ids,
        "a_123",
    ]
    assert await listed(zimun, start_time_from=stamp(TEN), order_by="start_time desc") == [
        "a_123",
        *reversed(ids),
    ]
    await update(zimun, first.appointment_id, notes="New")
    assert await listed(zimun, update_time_from=since) == ids


async def test_pages_go_on_in_descending_order_for_the_same_order_alone(zimun: Zimun) -> None:
    await book(zimun, TEN)
    whole = await listed(zimun, order_by="start_time desc")
    request = appointments_pb2.ListAppointmentsRequest(page_size=1, order_by="start_time desc")
    page = await zimun.call(zimun.appointments.ListAppointments, request)
    request.page_token = page.next_page_token
    rest = await zimun.call(zimun.appointments.ListAppointments, request)
    assert [page.items[0].appointment_id, rest.items[0].appointment_id] == whole[:2]
    request.order_by = "start_time"
    refused = await zimun.refused(zimun.appointments.ListAppointments, request)
    assert list(refused.fields) == ["page_token"]
    request = appointments_pb2.ListAppointmentsRequest(order_by="notes")
    refused = await zimun.refused(zimun.appointments.ListAppointments, request)
    assert list(refused.fields) == ["order_by"]


async def test_history_says_who_changed_what_and_when(zimun: Zimun) -> None:
    kept = await book(zimun)
    zimun.clock.advance(60)
    updated = await zimun.call(
        zimun.appointments.UpdateAppointment,
        update_request(kept.appointment_id, notes="New"),
        client_id="c_desk",
    )
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, ELEVEN)
    )
    zimun.clock.instant = at(ELEVEN)
    complete = appointments_pb2.CompleteAppointmentRequest(appointment_id=kept.appointment_id)
    done = await zimun.call(zimun.appointments.CompleteAppointment, complete)
    request = appointments_pb2.ListAppointmentChangesRequest(appointment_id=kept.appointment_id)
    found = list((await zimun.call(zimun.appointments.ListAppointmentChanges, request)).items)
    assert [change.appointment for change in found] == [kept, updated, moved, done]
    kinds = AppointmentChange.Type
    assert [kinds.Name(change.type) for change in found] == [
        "CONFIRMED",
        "UPDATED",
        "RESCHEDULED",
        "COMPLETED",
    ]
    assert [list(change.changed_fields) for change in found] == [
        [],
        ["notes"],
        ["start_time", "end_time"],
        ["state", "outcome_time"],
    ]
    assert [change.client_id == "c_desk" for change in found] == [False, True, False, False]
    assert [change.change_time for change in found] == [
        change.appointment.update_time for change in found
    ]
    walked, request.page_size = [], 1
    while True:
        page = await zimun.call(zimun.appointments.ListAppointmentChanges, request)
        walked += page.items
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert walked == found


async def test_history_of_an_unknown_appointment_is_not_found(zimun: Zimun) -> None:
    request = appointments_pb2.ListAppointmentChangesRequest(appointment_id="a_none")
    refused = await zimun.refused(zimun.appointments.ListAppointmentChanges, request)
    assert refused.reason == "APPOINTMENT_NOT_FOUND"


async def test_a_move_to_where_an_appointment_is_changes_nothing(zimun: Zimun) -> None:
    for resource_id in ("r_1", "r_2"):
        await RESOURCE.create(zimun, id=resource_id)
    await SERVICE.create(
        zimun,
        id="s_room",
        duration=hours(1),
        staff_ids=["t_ada", "t_ben"],
        resource_requirements=[{"resource_ids": ["r_1", "r_2"]}],
    )
    first = await hold_and_confirm(zimun, TEN, "s_room")
    kept = await hold_and_confirm(zimun, TEN, "s_room")
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=first.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)
    zimun.clock.advance(60)
    for staff_id in ("", kept.staff_id):
        again = reschedule_request(kept.appointment_id, TEN, staff_id=staff_id)
        assert await zimun.call(zimun.appointments.RescheduleAppointment, again) == kept
    assert len(await changes_of(zimun, kept.appointment_id)) == 1
    await RESOURCE.archive(zimun, kept.resource_ids[0])
    moved = await zimun.call(
        zimun.appointments.RescheduleAppointment, reschedule_request(kept.appointment_id, TEN)
    )
    assert (moved.staff_id, moved.resource_ids) == (kept.staff_id, first.resource_ids)
    other = reschedule_request(kept.appointment_id, TEN, staff_id=first.staff_id)
    moved = await zimun.call(zimun.appointments.RescheduleAppointment, other)
    assert moved.staff_id == first.staff_id
    assert [[*one.changed_fields] for one in await changes_of(zimun, kept.appointment_id)] == [
        [],
        ["resource_ids"],
        ["staff_id"],
    ]
