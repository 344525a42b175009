"""The errors that an operation may answer: their HTTP statuses, reasons and examples.

The comments of the protos name them as `CODE / REASON, REASON`; error_reason.proto explains each
with an example.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from google.rpc.code_pb2 import Code

from .annotated import Api

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP statuses by google.rpc.Code, as Envoy's transcoder chooses them."""

_NAMED = re.compile(r"\b([A-Z_]{5,}) / ([A-Z_]{5,}(?:, [A-Z_]{5,})*)")
_ENUM = "zimun.v1.ErrorReason"


class Failure(NamedTuple):
    """One way in which a call may fail."""

    status: int
    code: str
    reason: str


GATEWAY = (
    Failure(400, "INVALID_ARGUMENT", "INVALID_FIELD"),
    Failure(400, "INVALID_ARGUMENT", "REQUEST_REFUSED"),
    Failure(401, "UNAUTHENTICATED", "TOKEN_INVALID"),
    Failure(403, "PERMISSION_DENIED", "SCOPE_MISSING"),
    Failure(404, "NOT_FOUND", "REQUEST_REFUSED"),
    Failure(405, "UNIMPLEMENTED", "REQUEST_REFUSED"),
    Failure(408, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    Failure(413, "INVALID_ARGUMENT", "REQUEST_REFUSED"),
    Failure(429, "RESOURCE_EXHAUSTED", "RATE_LIMITED"),
    Failure(431, "INVALID_ARGUMENT", "REQUEST_REFUSED"),
    Failure(500, "INTERNAL", "INTERNAL"),
    Failure(502, "UNAVAILABLE", "INTERNAL"),
    Failure(503, "UNAVAILABLE", "OVERLOADED"),
    Failure(504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
)
"""What every operation may answer, whatever it does."""

_DESCRIPTIONS = {
    400: "The request is refused: a field is malformed, or a rule forbids it.",
    401: "The token is missing or not accepted.",
    403: "The token does not carry the scope of the operation.",
    404: "There is no such thing in the caller's organization, or no such path.",
    405: "The path has no such method, as where an id in it is empty.",
    408: "The request did not arrive in time.",
    409: "Another change came first.",
    413: "The body is too large.",
    429: "The client sends more requests than its rate limit allows.",
    431: "Path, query and headers are too large.",
    500: "An unexpected error; the log has it under its `error_id`.",
    502: "The answer was lost: repeat the request with the same Idempotency-Key.",
    503: "Nothing was done: repeat the request after `Retry-After` seconds.",
    504: "The request took too long: repeat it with the same Idempotency-Key.",
}


def description(status: int) -> str:
    """What an HTTP status of an error means, in a sentence."""
    return _DESCRIPTIONS[status]


def failures(comments: Iterable[str]) -> list[Failure]:
    """The failures that comments name, in their order."""
    matches = [match for comment in comments for match in _NAMED.findall(comment)]
    return list(
        dict.fromkeys(
            Failure(HTTP_STATUS[code], code, reason)
            for code, reasons in matches
            for reason in reasons.split(", ")
        )
    )


def by_status(failures: Iterable[Failure]) -> dict[int, list[Failure]]:
    """Failures by their HTTP status, each once, statuses in order."""
    groups: defaultdict[int, dict[Failure, None]] = defaultdict(dict)
    for failure in failures:
        groups[failure.status][failure] = None
    return {status: list(group) for status, group in sorted(groups.items())}


def example_name(failure: Failure) -> str:
    """The name of a failure's example in `components`: its reason, and its status if not usual."""
    usual = HTTP_STATUS[failure.code] == failure.status
    if usual and failure.reason not in ("REQUEST_REFUSED", "INTERNAL"):
        return failure.reason
    return f"{failure.reason}_{failure.status}"


def example(api: Api, failure: Failure) -> dict[str, Any]:
    """An Example Object with the error body that the comment of the reason shows."""
    text, _, block = api.comment(f"{_ENUM}.{failure.reason}").partition("\n\n")
    info = json.loads(block)
    summary = text.partition(". ")[0].partition(": ")[0].rstrip(".")
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}
    body = {"code": Code.Value(failure.code), "message": summary, "details": [detail]}
    return {"summary": summary, "description": text, "value": body}
