"""The table from domain errors to codes, and each error as a google.rpc.Status."""

import logging
import uuid
from collections.abc import Mapping
from functools import lru_cache

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from zimun.domain import booking_errors, errors
from zimun.domain.availability.slots import Slot
from zimun.domain.instant import SECOND
from zimun.rpc.convert import booking as convert
from zimun.rpc.convert import time_off
from zimun.v1.error_reason_pb2 import ErrorReason

MAX_TEXT_LENGTH = 300
"""Characters of a message or description, which may quote a request: errors are sent in headers,
and gRPC refuses to send headers of more than 16 kB."""

DOMAIN = "zimun"
"""The `domain` of every ErrorInfo."""

CODES: Mapping[type[errors.ZimunError], StatusCode] = {
    errors.InvalidRequest: StatusCode.INVALID_ARGUMENT,
    errors.ResponseTooLarge: StatusCode.INVALID_ARGUMENT,
    errors.TokenInvalid: StatusCode.UNAUTHENTICATED,
    errors.ScopeMissing: StatusCode.PERMISSION_DENIED,
    errors.McpAccessDenied: StatusCode.PERMISSION_DENIED,
    errors.McpNotInstalled: StatusCode.UNIMPLEMENTED,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.Refused: StatusCode.FAILED_PRECONDITION,
    errors.Conflict: StatusCode.ABORTED,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.Overloaded: StatusCode.UNAVAILABLE,
    errors.OutcomeUnknown: StatusCode.DEADLINE_EXCEEDED,
}

log = logging.getLogger(__name__)


def code_of(error: errors.ZimunError) -> StatusCode:
    """The code of an error: that of its nearest class in CODES."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def status_of(error: errors.ZimunError) -> Status:
    """The status of an error: its details are an ErrorInfo, and more for some errors.

    It must not be changed: errors of the same slot share one status.
    """
    if isinstance(error, booking_errors.SlotUnavailable):
        alternatives = tuple(error.alternatives)
        return _slot_unavailable(error.metadata["service_id"], alternatives, error.time_zone)
    return _status_of_error(error)


@lru_cache(maxsize=256)
def _slot_unavailable(service_id: str, alternatives: tuple[Slot, ...], zone: str) -> Status:
    return _status_of_error(booking_errors.SlotUnavailable(service_id, alternatives, zone))


def _status_of_error(error: errors.ZimunError) -> Status:
    return _status(
        code_of(error), error.message, _info(error.reason, error.metadata), *_details(error)
    )


def internal_error(error: Exception) -> Status:
    """The status of an unexpected error; its id is in the log line that has the traceback."""
    error_id = uuid.uuid4().hex
    log.error("internal error %s", error_id, exc_info=error)
    info = _info(ErrorReason.Name(ErrorReason.INTERNAL), {"error_id": error_id})
    return _status(StatusCode.INTERNAL, f"internal error {error_id}", info)


def _status(code: StatusCode, message: str, *details: Message) -> Status:
    status = Status(code=code.value[0], message=_cut(message))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"


def _info(reason: str, metadata: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


UNKNOWN_METHOD = _status(
    StatusCode.UNIMPLEMENTED,
    "there is no such method",
    _info(ErrorReason.Name(ErrorReason.REQUEST_REFUSED), {}),
)


def _details(error: errors.ZimunError) -> list[Message]:
    if isinstance(error, errors.InvalidRequest | errors.ResponseTooLarge):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=_cut(description))
            for field, description in error.violations.items()
        ]
        return [error_details_pb2.BadRequest(field_violations=violations)]
    if isinstance(error, booking_errors.SlotUnavailable):
        offered = convert.alternatives(error.alternatives, error.time_zone)
        return [offered] if offered.slots else []
    if isinstance(error, booking_errors.TimeOffHasConflicts):
        return [time_off.conflicts(error.reservations, int(error.metadata["total_size"]))]
    if isinstance(error, errors.Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(round(error.retry_after * SECOND))
        return [retry]
    return []
