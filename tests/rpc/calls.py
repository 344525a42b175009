"""Requests for availability and bookings, and calls that send them, as the tests make them."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1 import slot_pb2
from zimun.v1.appointment_pb2 import Appointment, AppointmentChange
from zimun.v1.hold_pb2 import Hold
from zimun.v1.slot_pb2 import Day

from ..support.rpc import Refusal, Zimun
from . import confirm_of, hold_of, stamp

MONDAY = "2025-12-01"
TUESDAY = "2025-12-02"
TEN = f"{MONDAY}T10:00:00Z"
ELEVEN = f"{MONDAY}T11:00:00Z"

ErrorParts = tuple[int, str, str, dict[str, str], dict[str, str]]


async def search(
    zimun: Zimun, service_id: str, date: str = "", **fields: Any
) -> availability_pb2.GetAvailabilityResponse:
    found: availability_pb2.GetAvailabilityResponse = await zimun.call(
        zimun.availability.GetAvailability,
        availability_pb2.GetAvailabilityRequest(service_id=service_id, date=date, **fields),
    )
    return found


async def day_of(zimun: Zimun, service_id: str, date: str) -> tuple[str, str]:
    """The status of a date and the note on it."""
    [day] = (await search(zimun, service_id, date)).days
    assert day.date == date
    return Day.Status.Name(day.status), day.note


async def times(zimun: Zimun, service_id: str, date: str, **fields: Any) -> list[str]:
    """The local times (HH:MM) at which the date's slots start."""
    found = await search(zimun, service_id, date, **fields)
    return [slot.local_start_time[11:16] for slot in found.slots]


async def explain(
    zimun: Zimun, service_id: str, start: str | Timestamp, **fields: Any
) -> availability_pb2.ExplainSlotResponse:
    explained: availability_pb2.ExplainSlotResponse = await zimun.call(
        zimun.availability.ExplainSlot,
        availability_pb2.ExplainSlotRequest(
            service_id=service_id,
            start_time=stamp(start) if isinstance(start, str) else start,
            **fields,
        ),
    )
    return explained


async def find_next(
    zimun: Zimun, service_id: str, **fields: Any
) -> availability_pb2.FindNextAvailableResponse:
    found: availability_pb2.FindNextAvailableResponse = await zimun.call(
        zimun.availability.FindNextAvailable,
        availability_pb2.FindNextAvailableRequest(service_id=service_id, **fields),
    )
    return found


async def create_hold(zimun: Zimun, text: str, service_id: str = "s_123", **fields: Any) -> Hold:
    kept: Hold = await zimun.call(
        zimun.appointments.HoldAppointment, hold_of(text, service_id, **fields)
    )
    return kept


async def hold_and_confirm(
    zimun: Zimun, text: str, service_id: str = "s_123", **fields: Any
) -> Appointment:
    hold = await create_hold(zimun, text, service_id, **fields)
    kept: Appointment = await zimun.call(
        zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id)
    )
    return kept


def book_request(
    text: str, service_id: str = "s_123", **fields: Any
) -> appointments_pb2.BookAppointmentRequest:
    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    return appointments_pb2.BookAppointmentRequest(
        service_id=service_id, appointment_time=stamp(text), **contact | fields
    )


async def book(zimun: Zimun, text: str = TEN, key: str = "", **fields: Any) -> Appointment:
    request = book_request(text, **fields)
    kept: Appointment = await zimun.call(zimun.appointments.BookAppointment, request, key)
    return kept


def update_request(
    appointment_id: str, *paths: str, **fields: Any
) -> appointments_pb2.UpdateAppointmentRequest:
    return appointments_pb2.UpdateAppointmentRequest(
        appointment=Appointment(appointment_id=appointment_id, **fields),
        update_mask=FieldMask(paths=paths) if paths else None,
    )


async def update(zimun: Zimun, appointment_id: str, *paths: str, **fields: Any) -> Appointment:
    kept: Appointment = await zimun.call(
        zimun.appointments.UpdateAppointment, update_request(appointment_id, *paths, **fields)
    )
    return kept


async def get(zimun: Zimun, appointment_id: str) -> Appointment:
    request = appointments_pb2.GetAppointmentRequest(appointment_id=appointment_id)
    kept: Appointment = await zimun.call(zimun.appointments.GetAppointment, request)
    return kept


async def hold_refused(
    zimun: Zimun, text: str, service_id: str = "s_123", **fields: Any
) -> Refusal:
    return await zimun.refused(
        zimun.appointments.HoldAppointment, hold_of(text, service_id, **fields)
    )


def reschedule_request(
    appointment_id: str, start: str | Timestamp, **fields: Any
) -> appointments_pb2.RescheduleAppointmentRequest:
    return appointments_pb2.RescheduleAppointmentRequest(
        appointment_id=appointment_id,
        start_time=stamp(start) if isinstance(start, str) else start,
        **fields,
    )


def error_of_status(status: Status) -> ErrorParts:
    """Code, message, reason, metadata and fields of an error that offers no alternatives."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    others = slot_pb2.SlotAlternatives()
    for detail in status.details:
        assert any(detail.Unpack(known) for known in (info, bad, others))
    assert not others.slots
    fields = {violation.field: violation.description for violation in bad.field_violations}
    return status.code, status.message, info.reason, dict(info.metadata), fields


def error_of_refusal(refusal: Refusal) -> ErrorParts:
    """The same of a refused call, whatever alternatives it offers."""
    code: int = refusal.code.value[0]
    return code, refusal.message, refusal.reason, dict(refusal.info.metadata), refusal.fields


def starts(slots: Any) -> list[str]:
    return [slot.start_time.ToJsonString() for slot in slots]


async def reschedule(zimun: Zimun, appointment_id: str, start: Any, **fields: Any) -> Any:
    return await zimun.call(
        zimun.appointments.RescheduleAppointment,
        reschedule_request(appointment_id, start, **fields),
    )


def slot_check(text: str, service_id: str = "s_123", **fields: Any) -> availability_pb2.SlotCheck:
    return availability_pb2.SlotCheck(service_id=service_id, start_time=stamp(text), **fields)


async def batch_check(
    zimun: Zimun, *checks: availability_pb2.SlotCheck, **fields: Any
) -> list[Any]:
    request = availability_pb2.BatchCheckAvailabilityRequest(checks=checks, **fields)
    answer = await zimun.call(zimun.availability.BatchCheckAvailability, request)
    return list(answer.results)


async def changes_of(zimun: Zimun, appointment_id: str) -> list[AppointmentChange]:
    """The history of an appointment, its first page."""
    request = appointments_pb2.ListAppointmentChangesRequest(appointment_id=appointment_id)
    return list((await zimun.call(zimun.appointments.ListAppointmentChanges, request)).items)
