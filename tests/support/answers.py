"""What an answer must look like, in JSON and as a gRPC status, and what is in it."""

import base64
import json
from collections.abc import Iterator
from typing import Any, cast

import grpc
import requests
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

Json = dict[str, Any]

ANYTHING = "…"
"""In an answer that is shown: any text."""


def differences(shown: Any, answer: Any, path: str = "") -> Iterator[str]:
    """Where an answer is not what is shown: an object may have more fields, and … is anything."""
    if isinstance(shown, dict) and isinstance(answer, dict):
        for name, value in shown.items():
            yield from differences(value, answer.get(name), f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(answer, list) and len(shown) <= len(answer):
        for number, value in enumerate(shown):
            yield from differences(value, answer[number], f"{path}[{number}]")
        if not shown and answer:
            yield f"{path}: {answer} is not empty"
    elif shown not in (ANYTHING, answer):
        yield f"{path}: {answer!r} instead of {shown!r}"


def ok_json(answer: requests.Response) -> Json:
    """The JSON of an answer that must be 200."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    found: Json = answer.json()
    return found


CODES = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "UNIMPLEMENTED": 12,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}


def detail(body: Json, kind: str) -> Json:
    """The one detail of a kind; none is an empty dict."""
    found = [one for one in body["details"] if one["@type"].rsplit(".", 1)[-1] == kind]
    assert len(found) < 2, body
    return found[0] if found else {}


def refused(answer: requests.Response, http: int, code: str, reason: str) -> dict[str, str]:
    """Asserts the one error shape, its status, code and reason; returns the reason's metadata."""
    assert answer.status_code == http, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    return refusal(answer.json(), code, reason)


def refusal(body: Json, code: str, reason: str) -> dict[str, str]:
    """The same of a body alone."""
    assert set(body) == {"code", "message", "details"}, body
    assert body["code"] == CODES[code], body
    assert body["message"].strip(), body
    info = detail(body, "ErrorInfo")
    assert (info.get("reason"), info.get("domain")) == (reason, "zimun"), body
    metadata: dict[str, str] = info["metadata"]
    return metadata


def violations(answer: requests.Response) -> set[str]:
    """The fields that BadRequest names; the answer must be INVALID_FIELD."""
    refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    named = detail(answer.json(), "BadRequest").get("field_violations", [])
    assert all(one["description"].strip() for one in named), answer.text
    return {one["field"] for one in named}


def assert_invalid_field(answer: requests.Response, field: str) -> None:
    """Asserts that the answer refuses this field, by name, and no other."""
    assert violations(answer) == {field}, answer.text


def grpc_status(
    channel: grpc.Channel, path: str, request: bytes = b"", authorization: str | None = None
) -> status_pb2.Status:
    """Calls a method with a serialized request; returns the status, OK for an answer."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    metadata = () if authorization is None else (("authorization", authorization),)
    try:
        call(request, metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        failed = cast("grpc.Call", error)
        bare = status_pb2.Status(code=failed.code().value[0], message=failed.details())
        return rpc_status.from_call(failed) or bare
    return status_pb2.Status()


def reason(status: status_pb2.Status) -> tuple[str, str]:
    """The code of a failed status and the reason of its ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    assert [one.Unpack(info) for one in status.details].count(True) == 1, status
    assert info.domain == "zimun", status
    assert status.message.strip(), status
    return code_pb2.Code.Name(status.code), info.reason


def claims(token: str) -> Json:
    """What a token says, unverified."""
    body = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found
