"""The fields of personal data are those of the message, of the rows and of the events."""

from zimun.domain.ledger.contacts import PERSONAL_FIELDS
from zimun.storage.schema import reservations
from zimun.v1.appointment_pb2 import Appointment


def test_personal_fields_are_fields_of_appointments_and_columns_of_reservations() -> None:
    assert set(PERSONAL_FIELDS) <= set(Appointment.DESCRIPTOR.fields_by_name)
    assert set(PERSONAL_FIELDS) <= set(reservations.c.keys())


def test_each_field_of_a_contact_is_personal() -> None:
    contact = {name for name in Appointment.DESCRIPTOR.fields_by_name if name.startswith("contact")}
    assert contact <= set(PERSONAL_FIELDS)
