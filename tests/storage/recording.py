"""Recorded requests with their responses: reads them, sends them again and compares.

A recording has one JSON object a line, an `Exchange`. A generated id or a page
token stands in it as `{id:1}` or `{page_token:1}`: the first response that has
it says what it is, and from then on it is the same everywhere.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    locations_service_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    slot_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)

REGISTERED = (
    appointments_service_pb2,
    availability_service_pb2,
    error_details_pb2,
    locations_service_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    slot_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)
"""Modules whose messages are found by name once they are imported."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACEHOLDER = re.compile(r"\{(?:id|page_token):\d+\}")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and its response, in the JSON form of protobuf with the names of the protos.

    `time` is what the server's clock said; `client` who sent it, under the
    Idempotency-Key `key` if not empty. A refusal is the `error`, a
    google.rpc.Status. `response_bytes`, in base64, is set where the response
    must be the same to the byte.
    """

    time: str
    client: str
    method: str
    request: Mapping[str, Any]
    key: str = ""
    response: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    response_bytes: str = ""


def read_exchanges(path: Path) -> Iterator[Exchange]:
    """The exchanges of a recording, in their order."""
    for line in path.read_text("utf-8").splitlines():
        yield Exchange(**json.loads(line))


def microseconds(time: str) -> int:
    """The instant of an RFC 3339 time."""
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Response:
    """A message, as JSON and as its bytes, or an error."""

    message: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    raw: bytes = b""


async def send(
    channel: grpc.aio.Channel, token: str, method: str, request: Mapping[str, Any], key: str = ""
) -> Response:
    """Call a method, named as in its path, with a request in JSON."""
    service, _, name = method.rpartition("/")
    described = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name)
    message = ParseDict(dict(request), message_factory.GetMessageClass(described.input_type)())
    keyed = (("idempotency-key", key),) if key else ()
    call: Any = channel.unary_unary(f"/{method}")
    try:
        metadata = (("authorization", f"Bearer {token}"), *keyed)
        raw: bytes = await call(message.SerializeToString(), metadata=metadata, timeout=20)
    except grpc.aio.AioRpcError as error:
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        status = Status.FromString(details) if details else Status(message=error.details())
        return Response(error={**_json(status), "code": error.code().value[0]})
    made = message_factory.GetMessageClass(described.output_type).FromString(raw)
    return Response(message=_json(made), raw=raw)


def _json(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


LATER_FIELDS = {"zimun.v1.OrganizationsService/GetOrganization": {"mcp_access": "DISABLED"}}
"""Fields that the responses of a method have had since the recording, with the values of what
existed then."""


@dataclass
class Placeholders:
    """The generated values that the placeholders of a recording stand for in this replay."""

    values: dict[str, str] = field(default_factory=dict)

    def fill(self, recorded: Any) -> Any:
        """The recorded JSON with the values in the place of their placeholders."""
        text = json.dumps(recorded, ensure_ascii=False)
        return json.loads(_PLACEHOLDER.sub(lambda match: self._value(match[0]), text))

    def differences(self, recorded: Any, actual: Any, path: str = "") -> list[str]:
        """Where an actual JSON value is not the recorded one.

        The first actual value at a placeholder becomes the placeholder's value.
        """
        if isinstance(recorded, dict) and isinstance(actual, dict):
            return self._differences_in(recorded, actual, path)
        if isinstance(recorded, list) and isinstance(actual, list):
            return self._differences_in(dict(enumerate(recorded)), dict(enumerate(actual)), path)
        if isinstance(recorded, str) and isinstance(actual, str):
            same = self._match(recorded, actual)
        else:
            same = recorded == actual
        return [] if same else [f"{path}: recorded {recorded!r}, now {actual!r}"]

    def _differences_in(
        self, recorded: Mapping[Any, Any], actual: Mapping[Any, Any], path: str
    ) -> list[str]:
        differences: list[str] = []
        for name in dict.fromkeys([*recorded, *actual]):
            member = f"{path}.{name}"
            differences += self.differences(recorded.get(name), actual.get(name), member)
        return differences

    def _match(self, recorded: str, actual: str) -> bool:
        names = _PLACEHOLDER.findall(recorded)
        texts = [re.escape(text) for text in _PLACEHOLDER.split(recorded)]
        pattern = texts[0]
        for name, text in zip(names, texts[1:], strict=True):
            known = self.values.get(name)
            pattern += (re.escape(known) if known else "([A-Za-z0-9_=-]+)") + text
        match = re.fullmatch(pattern, actual)
        if match:
            new = [name for name in names if name not in self.values]
            self.values.update(zip(new, match.groups(), strict=True))
        return match is not None

    def _value(self, name: str) -> str:
        return self.values.get(name, name)


def compare(exchange: Exchange, response: Response, placeholders: Placeholders) -> list[str]:
    """Where a response differs from the recorded one; a line for each difference."""
    recorded = exchange.response
    if recorded is not None:
        recorded = {**LATER_FIELDS.get(exchange.method, {}), **recorded}
    differences = placeholders.differences(exchange.error, response.error, "error")
    differences += placeholders.differences(recorded, response.message, "response")
    if exchange.response_bytes and base64.b64decode(exchange.response_bytes) != response.raw:
        differences.append("response: not the recorded bytes")
    return differences
