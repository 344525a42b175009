"""Changes and lists of appointments and holds: protobuf to domain values and back."""

from collections.abc import Iterable
from typing import Any

from zimun.booking.appointments import DescribedChange
from zimun.booking.change_request import new_id
from zimun.booking.store import AppointmentFilter, HoldFilter
from zimun.domain.appointment_commands import BookAppointment, UpdateAppointment
from zimun.domain.commands import Hold
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.reservation import State
from zimun.rpc.convert.booking import appointment, contact, instant, slot_request, timestamp
from zimun.rpc.convert.masks import changed_paths
from zimun.v1 import appointment_pb2, appointments_service_pb2, hold_pb2

_CONTACT_FIELDS = {
    "contact_name": "name",
    "contact_email": "email",
    "contact_phone": "phone",
    "notes": "notes",
    "metadata": "metadata",
}
"""Fields of Contact by those of an appointment."""

_CHANGEABLE = (*_CONTACT_FIELDS, "seats")

_ALWAYS_CHANGED = ("etag", "update_time")
"""Fields that every change changes."""

_ORDERS = {"": False, "start_time": False, "start_time desc": True, "start_time+desc": True}
"""Whether an order is descending; in a query, forms write a space as `+`."""


def book(request: appointments_service_pb2.BookAppointmentRequest) -> BookAppointment:
    """The command to book an appointment, with ids for it, its hold and a new session."""
    start = instant(request.appointment_time)
    hold = Hold(slot_request(request), start, new_id("h"), new_id("x"))
    return BookAppointment(hold, new_id("a"), contact(request))


def update(request: appointments_service_pb2.UpdateAppointmentRequest) -> UpdateAppointment:
    """The command to update an appointment; raises InvalidRequest for one that cannot be."""
    sent = request.appointment
    if not sent.appointment_id:
        raise InvalidRequest({"appointment_id": "is required"})
    paths = changed_paths(sent, request.update_mask, _CHANGEABLE)
    for name in ("contact_name", "contact_email"):
        if name in paths and not getattr(sent, name):
            raise InvalidRequest({name: "is required"})
    if "seats" in paths and sent.seats < 1:
        raise InvalidRequest({"seats": "must be 1 or more"})
    return UpdateAppointment(
        sent.appointment_id,
        sent.etag,
        {field: _value(sent, name) for name, field in _CONTACT_FIELDS.items() if name in paths},
        sent.seats if "seats" in paths else None,
    )


def _value(sent: appointment_pb2.Appointment, name: str) -> object:
    value = getattr(sent, name)
    return value if isinstance(value, str) else dict(value)


def appointment_filter(
    request: appointments_service_pb2.ListAppointmentsRequest,
) -> AppointmentFilter:
    """Which appointments are asked for; raises InvalidRequest for an unknown order."""
    if request.order_by not in _ORDERS:
        raise InvalidRequest({"order_by": "must be start_time or start_time desc"})
    state = appointment_pb2.Appointment.State.Name(request.state) if request.state else None
    return AppointmentFilter(
        service_id=request.service_id,
        staff_id=request.staff_id,
        state=State(state) if state else None,
        start_from=_bound(request, "start_time_from"),
        start_before=_bound(request, "start_time_before"),
        contact_email=request.contact_email,
        location_id=request.location_id,
        resource_id=request.resource_id,
        update_from=_bound(request, "update_time_from"),
        descending=_ORDERS[request.order_by],
    )


def _bound(request: appointments_service_pb2.ListAppointmentsRequest, field: str) -> int | None:
    return instant(getattr(request, field)) if request.HasField(field) else None


def hold_filter(request: appointments_service_pb2.ListHoldsRequest) -> HoldFilter:
    """Which holds are asked for."""
    state = hold_pb2.Hold.State.Name(request.state) if request.state else None
    return HoldFilter(
        service_id=request.service_id,
        staff_id=request.staff_id,
        location_id=request.location_id,
        state=State(state) if state else None,
    )


def appointment_change(described: DescribedChange) -> appointment_pb2.AppointmentChange:
    """A change of an appointment on the wire."""
    recorded, before = described.change, described.before
    after = appointment(recorded.reservation)
    return appointment_pb2.AppointmentChange(
        type=recorded.type.removeprefix("APPOINTMENT_"),
        change_time=timestamp(recorded.time),
        client_id=recorded.client_id,
        changed_fields=_differences(appointment(before), after) if before else (),
        ignored_rules=[rule.value for rule in recorded.ignored_rules],
        appointment=after,
    )


def _differences(before: Any, after: appointment_pb2.Appointment) -> Iterable[str]:
    names = [field.name for field in after.DESCRIPTOR.fields if field.name not in _ALWAYS_CHANGED]
    return [name for name in names if getattr(before, name) != getattr(after, name)]
