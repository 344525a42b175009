"""The entry points of attacks: JSON through Envoy, gRPC through Envoy, gRPC at the server."""

import http.client
import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import grpc
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from ..support.answers import Json
from .methods import HttpRequest, Method

Headers = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """A response: the name of the gRPC code, the reason, the fields named, the whole text."""

    code: str
    reason: str
    fields: tuple[str, ...]
    text: str


class EntryPoint(Protocol):
    """A way to call a method with a request given as JSON."""

    def call(self, method: Method, request: Json, headers: Headers) -> Answer:
        """Send one request and read its answer."""

    def close(self) -> None:
        """Close its connection."""


class JsonEntryPoint:
    """JSON through Envoy, on one connection that is opened again when Envoy closes it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def close(self) -> None:
        self._connection.close()

    def call(self, method: Method, request: Json, headers: Headers) -> Answer:
        return read_json(*self.send(method.to_http(request), headers))

    def send(self, request: HttpRequest, headers: Headers) -> tuple[int, bytes]:
        """Status and body of the response; a body given as bytes is sent unchanged."""
        body = b"" if request.body is None else request.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            return self._exchange(request, headers, content)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            return self._exchange(request, headers, content)

    def _exchange(self, request: HttpRequest, headers: Headers, body: bytes) -> tuple[int, bytes]:
        self._connection.putrequest(request.verb, request.url)
        for name, value in headers:
            self._connection.putheader(name, value)
        if request.body is not None:
            self._connection.putheader("content-type", "application/json")
        self._connection.putheader("content-length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return response.status, response.read()


class GrpcEntryPoint:
    """gRPC on a channel to host:port."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(target)

    def call(self, method: Method, request: Json, headers: Headers) -> Answer:
        message = json_format.ParseDict(request, method.request())
        return self.send(method, message.SerializeToString(), headers)

    def close(self) -> None:
        self._channel.close()

    def send(self, method: Method, request: bytes, headers: Headers) -> Answer:
        """The answer to the bytes of a message, whether or not they are one."""
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method.path)
        try:
            answer = call(request, metadata=tuple(headers), timeout=20)
        except grpc.RpcError as error:
            return read_status(status_of(error))
        text = json_format.MessageToJson(
            method.response.FromString(answer), preserving_proto_field_name=True
        )
        return Answer("OK", "", (), text)


def status_of(error: grpc.RpcError) -> status_pb2.Status:
    """The status of a failed call, which may have no details."""
    failed = cast("grpc.Call", error)
    bare = status_pb2.Status(code=failed.code().value[0], message=failed.details() or "")
    return rpc_status.from_call(failed) or bare


def read_status(status: status_pb2.Status) -> Answer:
    """The answer in a google.rpc.Status."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for known in (info, bad):
            detail.Unpack(known)
    fields = tuple(violation.field for violation in bad.field_violations)
    code = code_pb2.Code.Name(status.code)
    text = json_format.MessageToJson(status, preserving_proto_field_name=True)
    return Answer(code, info.reason, fields, text)


def read_json(http_status: int, body: bytes) -> Answer:
    """The answer in a response of the JSON API; asserts the shape of an error."""
    text = body.decode()
    if http_status == 200:
        return Answer("OK", "", (), text)
    error = json.loads(text)
    assert set(error) == {"code", "message", "details"}, text
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    violations = details.get("BadRequest", {}).get("field_violations", [])
    fields = tuple(violation["field"] for violation in violations)
    reason = details.get("ErrorInfo", {}).get("reason", "")
    return Answer(code_pb2.Code.Name(error["code"]), reason, fields, text)
