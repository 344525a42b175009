"""RPCs over a real server."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from zimun.domain.instant import from_datetime
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import appointments_service_pb2 as appointments_pb2


def at(text: str) -> int:
    """The instant of an RFC 3339 time."""
    return from_datetime(datetime.fromisoformat(text))


def stamp(text: str) -> Timestamp:
    return timestamp(at(text))


def hold_of(
    text: str, service_id: str = "s_123", **fields: object
) -> appointments_pb2.HoldAppointmentRequest:
    return appointments_pb2.HoldAppointmentRequest(
        service_id=service_id,
        appointment_time=stamp(text),
        **fields,  # type: ignore[arg-type]
    )


def confirm_of(hold_id: str, **fields: object) -> appointments_pb2.ConfirmAppointmentRequest:
    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"} | fields
    return appointments_pb2.ConfirmAppointmentRequest(
        hold_id=hold_id,
        **contact,  # type: ignore[arg-type]
    )
