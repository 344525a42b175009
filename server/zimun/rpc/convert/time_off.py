"""Time off: protobuf to domain values and back."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from zimun.booking.time_off import ChangedTimeOff, CreateTimeOff, TimeOffFilter, UpdateTimeOff
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.reservation import Reservation
from zimun.rpc.convert.booking import instant, timestamp
from zimun.rpc.convert.masks import changed_paths
from zimun.v1 import time_off_pb2, time_off_service_pb2

_REQUIRED = ("owner_id", "start_time", "end_time")

_CHANGEABLE = (
    "start_time",
    "end_time",
    "note",
    "external_reference",
    "recurrence",
    "time_zone",
)

_NAMES = {"start_time": "start", "end_time": "end"}
"""Fields of the domain by those of the message, where they differ."""


def time_off(entry: TimeOff) -> time_off_pb2.TimeOff:
    """Time off on the wire."""
    return time_off_pb2.TimeOff(
        id=entry.id,
        owner_id=entry.owner_id,
        start_time=timestamp(entry.start),
        end_time=timestamp(entry.end),
        note=entry.note,
        external_reference=entry.external_reference,
        create_time=timestamp(entry.create_time),
        update_time=timestamp(entry.update_time),
        etag=entry.etag,
        recurrence=entry.recurrence,
        time_zone=entry.time_zone,
    )


def changed_time_off(changed: ChangedTimeOff) -> time_off_pb2.TimeOff:
    """Time off after a change, with what the change met."""
    message = time_off(changed.time_off)
    if changed.conflicts.total:
        message.conflicts.CopyFrom(conflicts(*changed.conflicts))
    return message


def conflicts(reservations: Sequence[Reservation], count: int) -> time_off_pb2.TimeOffConflicts:
    """The appointments and the holds that overlap time off."""
    return time_off_pb2.TimeOffConflicts(
        appointment_ids=[
            reservation.appointment_id for reservation in reservations if reservation.appointment_id
        ],
        hold_ids=[
            reservation.hold_id for reservation in reservations if not reservation.appointment_id
        ],
        total_size=count,
    )


def read_time_off(sent: time_off_pb2.TimeOff) -> TimeOff:
    """The time off of a message; raises InvalidRequest where it lacks something."""
    _require(sent, _REQUIRED)
    values = {_NAMES.get(name, name): _value(sent, name) for name in _CHANGEABLE}
    return TimeOff(id=sent.id, owner_id=sent.owner_id, **values)


def create(request: time_off_service_pb2.CreateTimeOffRequest) -> CreateTimeOff:
    """The command to create time off; raises InvalidRequest."""
    return CreateTimeOff(read_time_off(request.time_off), request.allow_conflicts)


def update(request: time_off_service_pb2.UpdateTimeOffRequest) -> UpdateTimeOff:
    """The command to update time off; raises InvalidRequest for a change that cannot be made."""
    sent = request.time_off
    if not sent.id:
        raise InvalidRequest({"id": "is required"})
    edit = _edit(sent, request.update_mask)
    return UpdateTimeOff(sent.id, sent.etag, edit, request.allow_conflicts)


def _edit(sent: time_off_pb2.TimeOff, mask: FieldMask) -> Callable[[TimeOff], TimeOff]:
    """The change to a message's values of the fields in a mask (AIP-134)."""
    paths = changed_paths(sent, mask, _CHANGEABLE, ("owner_id",))
    if parts := [path for path in paths if "." in path]:
        raise InvalidRequest({"update_mask": f"{parts[0]} cannot be changed"})
    _require(sent, [name for name in _REQUIRED if name in paths])
    changes = {_NAMES.get(name, name): _value(sent, name) for name in paths if name in _CHANGEABLE}

    def run(before: TimeOff) -> TimeOff:
        if "owner_id" in paths and sent.owner_id != before.owner_id:
            raise InvalidRequest({"owner_id": "cannot be changed"})
        return replace(before, **changes)

    return run


def _require(sent: time_off_pb2.TimeOff, names: Sequence[str]) -> None:
    present = {field.name for field, _ in sent.ListFields()}
    missing = {name: "is required" for name in names if name not in present}
    if missing:
        raise InvalidRequest(missing)


def _value(sent: time_off_pb2.TimeOff, name: str) -> Any:
    value = getattr(sent, name)
    return value if isinstance(value, str) else instant(value)


def time_off_filter(request: time_off_service_pb2.ListTimeOffRequest) -> TimeOffFilter:
    """Which time off is asked for."""
    return TimeOffFilter(
        owner_id=request.owner_id,
        external_reference=request.external_reference,
        after=instant(request.end_time_after) if request.HasField("end_time_after") else None,
        before=(
            instant(request.start_time_before) if request.HasField("start_time_before") else None
        ),
    )
