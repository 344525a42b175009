"""A JSON client that uses little processor time: HTTP/1.1 (RFC 9112) on kept connections."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from google.protobuf import json_format, message_factory

from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    availability_service_pb2,
    hold_pb2,
    services_service_pb2,
)
from zimun_gateway.http_rules import Rule, rules_of

PARSED = (hold_pb2.Hold.DESCRIPTOR, appointment_pb2.Appointment.DESCRIPTOR)
"""The answers that a caller goes on with."""

Metadata = tuple[tuple[str, str], ...]
Method = Callable[..., Awaitable[bytes]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """An answer that is not 200."""


def _rules() -> dict[str, Rule]:
    modules = (services_service_pb2, availability_service_pb2, appointments_service_pb2)
    methods = (
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    )
    return {
        f"/{rule.method.containing_service.full_name}/{rule.method.name}": rule
        for rule in reversed(rules_of(methods))
    }


class JsonChannel:
    """Methods as a gRPC channel has them; their calls go as JSON through Envoy.

    Requests and answers are the bytes of messages. An answer that no caller goes on with is
    returned as the JSON that it is. Unless connections are kept, each call has a new one.
    """

    def __init__(self, port: int, keep: bool = True) -> None:
        self._port, self._keep = port, keep
        self._rules = _rules()
        self._free: list[Connection] = []

    def close(self) -> None:
        """Close its connections."""
        for _, writer in self._free:
            writer.close()

    def unary_unary(self, path: str) -> Method:
        """The method of a path, `/package.Service/Method`."""
        rule = self._rules[path]
        request_class = message_factory.GetMessageClass(rule.request)
        answer_class = message_factory.GetMessageClass(rule.method.output_type)

        async def call(request: bytes, metadata: Metadata) -> bytes:
            fields = json_format.MessageToDict(
                request_class.FromString(request), preserving_proto_field_name=True
            )
            answer = await self._send(rule, fields, metadata)
            if rule.method.output_type not in PARSED:
                return answer
            return json_format.Parse(answer, answer_class()).SerializeToString()

        return call

    async def _send(self, rule: Rule, fields: dict[str, object], metadata: Metadata) -> bytes:
        target, body = rule.template, b""
        if rule.body:
            body = json.dumps(fields).encode()
        else:
            target = f"{target}?{urlencode(fields)}"
        headers = "".join(f"{name}: {value}\r\n" for name, value in metadata)
        head = f"{rule.verb.upper()} {target} HTTP/1.1\r\nhost: bench\r\n{headers}"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        reader, writer = await self._connected()
        try:
            answer = await _exchange((reader, writer), f"{head}\r\n".encode() + body)
        except BaseException:
            writer.close()
            raise
        if self._keep:
            self._free.append((reader, writer))
        else:
            writer.close()
        return answer

    async def _connected(self) -> Connection:
        """A free connection that Envoy has not closed, or a new one."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)


async def _exchange(connection: Connection, request: bytes) -> bytes:
    """The body of the answer, which has a content-length; raises Refused unless it is 200."""
    reader, writer = connection
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    answer = await reader.readexactly(length)
    if not head.startswith(b"http/1.1 200"):
        raise Refused(answer.decode())
    return answer
