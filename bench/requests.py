"""Requests that go on from the answers to others, as bytes of messages."""

from zimun.v1 import appointment_pb2, appointments_service_pb2, hold_pb2


def confirm(hold: bytes) -> bytes:
    """The request that confirms a hold."""
    return appointments_service_pb2.ConfirmAppointmentRequest(
        hold_id=hold_pb2.Hold.FromString(hold).hold_id,
        contact_name="Sam Rivers",
        contact_email="sam@example.com",
    ).SerializeToString()


def cancel(appointment: bytes) -> bytes:
    """The request that cancels an appointment."""
    return appointments_service_pb2.CancelAppointmentRequest(
        appointment_id=appointment_pb2.Appointment.FromString(appointment).appointment_id
    ).SerializeToString()
