"""One attempt of one request: sent with its key, and recorded with what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    availability_service_pb2,
    contacts_service_pb2,
    hold_pb2,
    resource_pb2,
    resources_service_pb2,
    time_off_pb2,
    time_off_service_pb2,
)

from .clock import SharedClock
from .history import (
    CATALOG_CHANGE,
    CONTACT_CALLS,
    NOTHING,
    OK,
    READS,
    REFUSED,
    TIME_OFF_CHANGES,
    UNKNOWN,
    Attempt,
)
from .scenario import DAY

OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.enable_retries", 0),
)
"""A killed server is found again soon, and only our own retries repeat a call."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SERVICES = {
    "GetAvailability": "Availability",
    CATALOG_CHANGE: "Resources",
    **dict.fromkeys(TIME_OFF_CHANGES, "TimeOff"),
    **dict.fromkeys(CONTACT_CALLS, "Contacts"),
}
UNKEYED = (*READS, *CONTACT_CALLS)
"""The methods that take no Idempotency-Key."""

_HOLDS = ("HoldAppointment", "ExtendHold", "ReleaseHold")


@dataclass(frozen=True)
class Request:
    """What is asked, under which key; sent again it is the same. A read's key is not sent."""

    org: str
    client: str
    method: str
    key: str
    content: dict[str, Any]


async def send(
    channel: grpc.aio.Channel, clock: SharedClock, token: str, request: Request, call_timeout: float
) -> Attempt:
    """Send a request once."""
    service = _SERVICES.get(request.method, "Appointments")
    call: Any = channel.unary_unary(f"/zimun.v1.{service}Service/{request.method}")
    metadata = [("authorization", f"Bearer {token}")]
    if request.method not in UNKEYED:
        metadata.append(("idempotency-key", request.key))
    body = _message(request).SerializeToString()
    sent = clock.now()
    try:
        raw: bytes = await call(body, metadata=metadata, timeout=call_timeout)
        found: dict[str, Any] = {
            "outcome": OK,
            "raw": "" if request.method in UNKEYED else raw.hex(),
            "answer": _answer(request.method, raw),
        }
    except grpc.aio.AioRpcError as error:
        found = _failed(error)
    asked = request.org, request.client, request.method, request.key, request.content
    return Attempt(*asked, sent, clock.now(), **found)


def _failed(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """A refusal has an ErrorInfo; what has none never came to be answered by the server."""
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            for detail in Status.FromString(value).details:
                detail.Unpack(info)
    message = f"{error.code().name}: {error.details()}"
    reason = str(info.reason)
    if reason == "OVERLOADED":
        outcome = NOTHING
    elif reason in ("", "DEADLINE_EXCEEDED") and error.code() in _OPEN:
        outcome = UNKNOWN
    else:
        outcome = REFUSED
    found = {"reason": reason, "metadata": dict(info.metadata), "message": message}
    return {"outcome": outcome, **found}


_OPEN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


def _message(request: Request) -> Message:
    made: Any = _MESSAGES[request.method]()
    if request.method == CATALOG_CHANGE:
        made.resource.id, made.resource.name = request.content["id"], request.content["name"]
        changed: Message = made
        return changed
    if request.method in TIME_OFF_CHANGES:
        return _time_off_message(made, request.content)
    for name, value in request.content.items():
        if name == "start":
            times = (
                "start_time" if request.method == "RescheduleAppointment" else "appointment_time"
            )
            getattr(made, times).FromMicroseconds(value)
        elif name == "ignored_rules":
            made.ignored_rules.extend(appointment_pb2.Appointment.Rule.Value(one) for one in value)
        elif request.method == "UpdateAppointment":
            setattr(made.appointment, name, value)
        elif name == "day":
            _set_day(made, value)
        else:
            setattr(made, name, value)
    message: Message = made
    return message


def _time_off_message(made: Any, content: Mapping[str, Any]) -> Message:
    if isinstance(made, time_off_service_pb2.DeleteTimeOffRequest):
        made.time_off_id = content["id"]
        return made
    made.time_off.id, made.time_off.owner_id = content["id"], content["owner_id"]
    made.time_off.start_time.FromMicroseconds(content["start_time"])
    made.time_off.end_time.FromMicroseconds(content["end_time"])
    made.time_off.recurrence = content["recurrence"]
    made.allow_conflicts = content["allow_conflicts"]
    message: Message = made
    return message


def _set_day(made: Any, day: int) -> None:
    """What is open on a day, or the appointments that are confirmed on it."""
    if isinstance(made, availability_service_pb2.GetAvailabilityRequest):
        made.date = (EPOCH + timedelta(microseconds=day)).date().isoformat()
    else:
        made.start_time_from.FromMicroseconds(day)
        made.start_time_before.FromMicroseconds(day + DAY)
        made.state = appointment_pb2.Appointment.CONFIRMED
        made.page_size = 1000


_MESSAGES: Mapping[str, Callable[[], Message]] = {
    "HoldAppointment": appointments_service_pb2.HoldAppointmentRequest,
    "ExtendHold": appointments_service_pb2.ExtendHoldRequest,
    "ReleaseHold": appointments_service_pb2.ReleaseHoldRequest,
    "ConfirmAppointment": appointments_service_pb2.ConfirmAppointmentRequest,
    "BookAppointment": appointments_service_pb2.BookAppointmentRequest,
    "UpdateAppointment": appointments_service_pb2.UpdateAppointmentRequest,
    "RescheduleAppointment": appointments_service_pb2.RescheduleAppointmentRequest,
    "CancelAppointment": appointments_service_pb2.CancelAppointmentRequest,
    "GetAppointment": appointments_service_pb2.GetAppointmentRequest,
    "ListAppointments": appointments_service_pb2.ListAppointmentsRequest,
    "GetAvailability": availability_service_pb2.GetAvailabilityRequest,
    CATALOG_CHANGE: resources_service_pb2.UpdateResourceRequest,
    "CompleteAppointment": appointments_service_pb2.CompleteAppointmentRequest,
    "MarkNoShow": appointments_service_pb2.MarkNoShowRequest,
    "ReopenAppointment": appointments_service_pb2.ReopenAppointmentRequest,
    "CreateTimeOff": time_off_service_pb2.CreateTimeOffRequest,
    "DeleteTimeOff": time_off_service_pb2.DeleteTimeOffRequest,
    "ExportContact": contacts_service_pb2.ExportContactRequest,
    "EraseContact": contacts_service_pb2.EraseContactRequest,
}


def _answer(method: str, raw: bytes) -> dict[str, Any]:
    """An answer as plain values."""
    if method in _HOLDS:
        hold = hold_pb2.Hold.FromString(raw)
        state = hold_pb2.Hold.State.Name(hold.state)
        found = {"expires_at": hold.expires_at.ToMicroseconds()}
        return {**_common(hold), "state": state, **found}
    if method == "GetAvailability":
        return {"slots": _slots(raw)}
    if method == CATALOG_CHANGE:
        room = resource_pb2.Resource.FromString(raw)
        return {"id": room.id, "name": room.name, "etag": room.etag}
    if method in TIME_OFF_CHANGES:
        return {"conflicts": time_off_pb2.TimeOff.FromString(raw).conflicts.total_size}
    if method in CONTACT_CALLS:
        return _exported(raw) if method == "ExportContact" else _erased(raw)
    if method == "ListAppointments":
        listed = appointments_service_pb2.ListAppointmentsResponse.FromString(raw)
        return {"items": [_appointment(one) for one in listed.items]}
    booked = _appointment(appointment_pb2.Appointment.FromString(raw))
    return {"items": [booked]} if method == "GetAppointment" else booked


def _erased(raw: bytes) -> dict[str, Any]:
    return {"incomplete": contacts_service_pb2.EraseContactResponse.FromString(raw).incomplete}


def _exported(raw: bytes) -> dict[str, Any]:
    """The changes of an export, each as the appointment that it left, and whether more follow."""
    page = contacts_service_pb2.ExportContactResponse.FromString(raw)
    changes = [_appointment(one.appointment) for item in page.items for one in item.changes]
    return {"items": changes, "more": bool(page.next_page_token)}


def _slots(raw: bytes) -> list[tuple[int, int, int, list[str]]]:
    """Of each slot its start and end, the seats left and the staff who are free."""
    found = availability_service_pb2.GetAvailabilityResponse.FromString(raw)
    return [
        (
            slot.start_time.ToMicroseconds(),
            slot.end_time.ToMicroseconds(),
            slot.seats_left,
            list(slot.staff_ids),
        )
        for slot in found.slots
    ]


def _appointment(booked: appointment_pb2.Appointment) -> dict[str, Any]:
    state = appointment_pb2.Appointment.State.Name(booked.state)
    names = ("appointment_id", "contact_name", "contact_email", "cancel_reason", "etag")
    found = {name: getattr(booked, name) for name in names}
    return {**_common(booked), "state": state, **found}


def _common(answer: Any) -> dict[str, Any]:
    return {
        "hold_id": answer.hold_id,
        "service_id": answer.service_id,
        "location_id": answer.location_id,
        "start": answer.start_time.ToMicroseconds(),
        "end": answer.end_time.ToMicroseconds(),
        "staff_id": answer.staff_id,
        "resource_ids": list(answer.resource_ids),
        "seats": answer.seats,
    }
