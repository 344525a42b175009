"""Contacts: protobuf to domain values and back."""

from zimun.booking.contacts import ContactHistory
from zimun.booking.store import ShownContact
from zimun.domain.ledger.contacts import PERSONAL_FIELDS
from zimun.domain.ledger.reservation import contact_key
from zimun.rpc.convert.appointments import appointment_change
from zimun.rpc.convert.booking import appointment
from zimun.v1 import appointments_service_pb2, contacts_service_pb2
from zimun.v1.appointment_pb2 import Appointment

_METHODS = frozenset(
    method.name
    for service in appointments_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.output_type is Appointment.DESCRIPTOR
)
"""The methods whose response is an appointment."""


def contact_appointment(history: ContactHistory) -> contacts_service_pb2.ContactAppointment:
    """What is kept of one appointment, on the wire."""
    return contacts_service_pb2.ContactAppointment(
        appointment=appointment(history.reservation),
        changes=[appointment_change(each) for each in history.changes],
    )


def shown_contact(method: str, response: bytes) -> ShownContact | None:
    """The contact that a method's response shows; None where it shows none."""
    if method not in _METHODS:
        return None
    message = Appointment.FromString(response)
    key = contact_key(message.contact_email)
    if not key:
        return None
    for name in PERSONAL_FIELDS:
        message.ClearField(name)
    emptied = message.SerializeToString(deterministic=True)
    return ShownContact(key, message.hold_id, int(message.etag), emptied)
