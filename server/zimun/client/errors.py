"""The errors of a client: one class for each way to react."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from urllib.error import HTTPError

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from zimun.v1.slot_pb2 import Slot, SlotAlternatives


class ClientError(Exception):
    """A call failed. `reason` is one of error_reason.proto, empty where Zimun did not answer."""

    def __init__(self, message: str, code: grpc.StatusCode, status: Status) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        info = ErrorInfo()
        unpack(status, info)
        self.reason: str = info.reason
        self.metadata: Mapping[str, str] = dict(info.metadata)


class InvalidArgument(ClientError):
    """A field is missing, malformed or out of range."""

    @property
    def violations(self) -> Mapping[str, str]:
        """What is wrong with each field."""
        bad = BadRequest()
        unpack(self.status, bad)
        return {violation.field: violation.description for violation in bad.field_violations}


class FailedPrecondition(ClientError):
    """A rule of booking forbids it; `reason` says which."""


class NotFound(ClientError):
    """There is no such thing in the caller's organization."""


class Conflict(ClientError):
    """Another change came first, or the id or the Idempotency-Key is in use."""


class SlotUnavailable(Conflict):
    """The time is taken."""

    @property
    def alternatives(self) -> Sequence[Slot]:
        """Up to three open slots, the nearest first."""
        alternatives = SlotAlternatives()
        unpack(self.status, alternatives)
        return list(alternatives.slots)


class Unauthenticated(ClientError):
    """The token is not accepted, or the client gets none."""


class PermissionDenied(ClientError):
    """The token lacks the scope of the method."""


class TooManyRequests(ClientError):
    """The client sends more requests than its rate limit allows."""


class Unavailable(ClientError):
    """The server cannot take the call, and nothing was done."""


class OutcomeUnknown(ClientError):
    """The deadline passed first: repeat the call with the same Idempotency-Key."""


_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooManyRequests,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: OutcomeUnknown,
}

MAX_TEXT = 1000
"""Bytes of the token endpoint's response that an error quotes."""


def error_of(failed: grpc.RpcError) -> ClientError:
    """The error of a failed call, by its code and reason."""
    code, message = failed.code(), failed.details() or ""
    status = rpc_status.from_call(failed) or Status(code=code.value[0], message=message)
    kind = _BY_CODE.get(code, ClientError)
    error = kind(message, code, status)
    if error.reason == "SLOT_UNAVAILABLE":
        return SlotUnavailable(message, code, status)
    return error


def error_of_tokens(failed: OSError | HTTPException) -> ClientError:
    """The error of a request for a token; reads and closes what the token endpoint answered."""
    if not isinstance(failed, HTTPError):
        message = f"no response of the token endpoint: {failed}"
        return _error(grpc.StatusCode.UNAVAILABLE, message)
    with failed:
        try:
            text = failed.read(MAX_TEXT).decode(errors="replace")
        except (OSError, HTTPException):
            text = failed.reason
    return _error(_code_of(failed.code), f"no token: {text}")


def malformed_token() -> ClientError:
    """The error of a successful response without a token; quotes nothing, as it may be a secret."""
    message = "no token: the response is not JSON with access_token and expires_in"
    return _error(grpc.StatusCode.UNAUTHENTICATED, message)


def no_token_in_time() -> ClientError:
    """The error of a call whose timeout ended before there was a token."""
    return _error(grpc.StatusCode.UNAVAILABLE, "no token within the timeout")


def _code_of(status: int) -> grpc.StatusCode:
    """The code for an HTTP status of the token endpoint."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return grpc.StatusCode.UNAVAILABLE
    return grpc.StatusCode.UNAUTHENTICATED


def _error(code: grpc.StatusCode, message: str) -> ClientError:
    return _BY_CODE[code](message, code, Status(code=code.value[0], message=message))


def unpack(status: Status, detail: Message) -> None:
    """Read the detail of this kind, where the status has one."""
    for packed in status.details:
        if packed.Is(detail.DESCRIPTOR):
            packed.Unpack(detail)
            return
