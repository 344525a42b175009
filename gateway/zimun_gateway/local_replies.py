"""One JSON shape for every error that Envoy makes by itself.

    {"code": <google.rpc code>, "message": "...", "details": [{"@type": ".../google.rpc.ErrorInfo",
     "reason": "...", "domain": "zimun", "metadata": {...}}, ...]}

Envoy writes JSON with its own formatter, so a quote in a path or in a field cannot break out of the
message. A gRPC or gRPC-Web caller gets the same reasons as grpc-status-details-bin; its message is
fixed, as it has to equal the one inside those details.
"""

import dataclasses
from base64 import b64encode
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from . import request_checks
from .config import ID, Config, extension, header

ENVOY_SAYS = "%LOCAL_REPLY_BODY%"
RETRY_SECONDS = 1
IS_GRPC: Config = {"safe_regex": {"regex": "application/grpc(?:[-+;].*)?"}}
"""Matches the content types of gRPC and gRPC-Web."""
JSON_ROUTE = "json"
"""Name of the routes of JSON callers, whose requests look like gRPC once they are transcoded."""
READING_ROUTE = "json, reading"
MCP_ROUTE = "json, mcp"
MCP_PATH = f"/o/{ID}/mcp"
"""A regular expression of the paths of the endpoint for agents."""
MARK = "x-zimun-refused"
"""Header of an answer that `transcoder_errors.py` has still to rewrite; it takes the header off."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error that replaces one kind of Envoy's local replies.

    `json_message` and `metadata` may hold Envoy's %OPERATORS%, so only JSON callers get them.
    `http` and `grpc` overrule the status that Envoy chose and the `code`. A header that is to
    blame is the `field`, as the server itself would name it.
    """

    when: Config
    code: Code
    reason: str
    message: str
    json_message: str = ""
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    field: str = ""
    retry: bool = False
    http: int | None = None
    grpc: Code | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)

    def details(self, metadata: dict[str, str]) -> list[Message]:
        """The details of the error: ErrorInfo, and RetryInfo where it may be repeated."""
        named = {"field": self.field} if self.field else {}
        details: list[Message] = [
            ErrorInfo(reason=self.reason, domain="zimun", metadata=metadata | named)
        ]
        if self.field:
            description = self.message.removeprefix(f"{self.field}: ")
            violation = BadRequest.FieldViolation(field=self.field, description=description)
            details.append(BadRequest(field_violations=[violation]))
        if self.retry:
            details.append(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
        return details


def status_is(code: int, op: str = "EQ") -> Config:
    """Matches a status code; Envoy demands a runtime key, and this one is never set."""
    value = {"default_value": code, "runtime_key": "zimun.none"}
    return {"status_code_filter": {"comparison": {"op": op, "value": value}}}


def either(*filters: Config) -> Config:
    """A filter that matches where any of the filters does."""
    return {"or_filter": {"filters": list(filters)}}


def _flags(*flags: str) -> Config:
    return {"response_flag_filter": {"flags": list(flags)}}


def both(*filters: Config) -> Config:
    """A filter that matches where all of the filters do."""
    return {"and_filter": {"filters": list(filters)}}


def details_have(text: str) -> Config:
    """Matches %RESPONSE_CODE_DETAILS%, where a status code is not enough."""
    return _expression(f"response.code_details.contains('{text}')")


def _on_route(name: str) -> Config:
    return _expression(f"xds.route_name == '{name}'")


def _expression(cel: str) -> Config:
    message = "extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    name = "envoy.access_loggers.extension_filters.cel"
    return {"extension_filter": extension(name, message, expression=cel)}


_ERROR_ID = {"error_id": "%REQ(X-REQUEST-ID)%"}
_UNHEARD = "the service cannot take the request now; nothing was done"
_LATE = "the request took too long"
_LATE_WRITE = (
    "the request took too long; repeat it with the same Idempotency-Key to learn what became of it"
)
_LOST = "the answer of the server was lost; ask again"
_LOST_WRITE = "the answer of the server was lost; repeat the request with the same Idempotency-Key"
_NOT_ACCEPTED = "the bearer token is missing, malformed, expired, or not for this service"

_TOO_LATE = either(status_is(408), status_is(504))
_RESPONSE_LOST = either(_flags("UC", "UR", "LR", "UPE"), status_is(502))


def _lost(when: Config, message: str) -> Refusal:
    return Refusal(when, Code.UNAVAILABLE, "INTERNAL", message, metadata=_ERROR_ID, http=502)


def _late(when: Config, message: str) -> Refusal:
    return Refusal(when, Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", message)


def _bad_header(policy: str, name: str, why: str, code: Code = Code.INVALID_ARGUMENT) -> Refusal:
    message = f"{name}: {why}"
    http = 400 if code == Code.INVALID_ARGUMENT else 501
    return Refusal(details_have(policy), code, "INVALID_FIELD", message, field=name, http=http)


_CHECKS = (
    Refusal(
        details_have(request_checks.PATH),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        "the path has a character or a segment that no path of this service has",
        http=400,
        grpc=Code.UNIMPLEMENTED,
    ),
    Refusal(
        either(details_have(request_checks.HEADERS), status_is(431)),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        f"path, query and headers have more than {request_checks.MAX_HEADERS_KIB} KiB together",
        http=431,
    ),
    _bad_header(
        request_checks.IDEMPOTENCY_KEY,
        "idempotency-key",
        "must be 1 to 255 printable ASCII characters",
    ),
    _bad_header(request_checks.CONDITION, "if-match", "is not read; say the etag in the body"),
    Refusal(
        details_have(request_checks.ORIGIN),
        Code.PERMISSION_DENIED,
        "REQUEST_REFUSED",
        "pages of this origin may not call",
        http=403,
    ),
    _bad_header(request_checks.GRPC_TIMEOUT, "grpc-timeout", "must be 1 to 8 digits and a unit"),
    _bad_header(
        request_checks.GRPC_ENCODING,
        "grpc-encoding",
        "must be identity, deflate or gzip",
        Code.UNIMPLEMENTED,
    ),
    _bad_header(request_checks.GRPC_CONTENT_TYPE, "content-type", "must be application/grpc"),
    Refusal(
        details_have("low_version"),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        "the service speaks HTTP/1.1 and HTTP/2",
        http=505,
    ),
    Refusal(
        status_is(501),
        Code.UNIMPLEMENTED,
        "REQUEST_REFUSED",
        "the service does not know this transfer coding",
    ),
)

_REFUSALS = (
    *_CHECKS,
    Refusal(
        details_have("Jwks_remote_fetch_is_failed"),
        Code.UNAVAILABLE,
        "OVERLOADED",
        "the keys that tokens are verified with cannot be fetched now",
        retry=True,
        http=503,
    ),
    _lost(both(_RESPONSE_LOST, _on_route(READING_ROUTE)), _LOST),
    _lost(_RESPONSE_LOST, _LOST_WRITE),
    Refusal(
        details_have("Jwt_is_missing"),
        Code.UNAUTHENTICATED,
        "TOKEN_INVALID",
        _NOT_ACCEPTED,
        headers={"www-authenticate": 'Bearer realm="zimun"'},
    ),
    Refusal(
        either(status_is(401), status_is(403)),
        Code.UNAUTHENTICATED,
        "TOKEN_INVALID",
        _NOT_ACCEPTED,
        json_message=ENVOY_SAYS,
        http=401,
        headers={"www-authenticate": 'Bearer realm="zimun", error="invalid_token"'},
    ),
    Refusal(
        status_is(404),
        Code.NOT_FOUND,
        "REQUEST_REFUSED",
        "no such path and method",
        grpc=Code.UNIMPLEMENTED,
    ),
    Refusal(
        status_is(405),
        Code.UNIMPLEMENTED,
        "REQUEST_REFUSED",
        "no such method on this path",
    ),
    _late(both(_TOO_LATE, _on_route(READING_ROUTE)), _LATE),
    _late(_TOO_LATE, _LATE_WRITE),
    Refusal(
        status_is(413),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        "the request is too large",
    ),
    Refusal(
        status_is(429), Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", "too many requests", retry=True
    ),
    Refusal(status_is(503), Code.UNAVAILABLE, "OVERLOADED", _UNHEARD, retry=True),
    Refusal(
        status_is(500, op="GE"), Code.INTERNAL, "INTERNAL", "the gateway failed", metadata=_ERROR_ID
    ),
    Refusal(
        either(details_have("grpc_json_transcode_failure"), details_have("lua_response")),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        "the request is not what the contract says",
        json_message=ENVOY_SAYS,
        headers={MARK: "1"},
    ),
    Refusal(
        status_is(400, op="GE"),
        Code.INVALID_ARGUMENT,
        "REQUEST_REFUSED",
        "the request cannot be understood",
        json_message="the request cannot be understood: %RESPONSE_CODE_DETAILS%",
    ),
)
"""Exact causes first, then status codes, then all others.

401 includes what Envoy answers to a wrong audience, which is 403. 413 is INVALID_ARGUMENT, not
RESOURCE_EXHAUSTED: the request is too large however often it is sent, and clients retry the latter.
"""


def replies(agent_challenge: str) -> list[Config]:
    """The mappers of local replies; the first match counts, so gRPC comes before JSON.

    `agent_challenge` are more parameters of the WWW-Authenticate header of a refused agent.
    """
    return [
        mapper
        for refusal in _REFUSALS
        for variant in (*_to_agents(refusal, agent_challenge), refusal)
        for mapper in _mappers(variant)
    ]


def _to_agents(refusal: Refusal, agent_challenge: str) -> list[Refusal]:
    """The error for a missing or refused token in the form that agents get."""
    challenge = refusal.headers.get("www-authenticate")
    if not challenge:
        return []
    path = {"safe_regex": {"regex": rf"{MCP_PATH}(\?.*)?"}}
    to_agents = {"header_filter": {"header": {"name": ":path", "string_match": path}}}
    headers = {"www-authenticate": challenge + agent_challenge}
    return [dataclasses.replace(refusal, when=both(refusal.when, to_agents), headers=headers)]


def body(code: Code, message: str, details: list[Message]) -> Config:
    """An error body in the common shape."""
    return {"code": int(code), "message": message, "details": [_json(detail) for detail in details]}


def _mappers(refusal: Refusal) -> list[Config]:
    headers = dict(refusal.headers)
    if refusal.retry:
        headers["retry-after"] = str(RETRY_SECONDS)
    override = {} if refusal.http is None else {"status_code": refusal.http}
    return [_grpc_mapper(refusal, headers), _json_mapper(refusal, headers) | override]


def _json_mapper(refusal: Refusal, headers: dict[str, str]) -> Config:
    message = refusal.json_message or refusal.message
    json = body(refusal.code, message, refusal.details(refusal.metadata))
    return {
        "filter": refusal.when,
        "headers_to_add": [header(*pair) for pair in headers.items()],
        "body_format_override": {"json_format": json},
    }


def _json(detail: Message) -> Config:
    name = f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"
    fields = MessageToDict(
        detail, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {"@type": name, **fields}


def _grpc_mapper(refusal: Refusal, headers: dict[str, str]) -> Config:
    code = refusal.code if refusal.grpc is None else refusal.grpc
    status = Status(code=code, message=refusal.message)
    for detail in refusal.details({}):
        status.details.add().Pack(detail)
    grpc_headers = {
        "grpc-status": str(int(code)),
        "grpc-message": refusal.message,
        "grpc-status-details-bin": b64encode(status.SerializeToString(deterministic=True)).decode(),
    }
    return {
        "filter": both(refusal.when, *_is_grpc()),
        "status_code": 200,
        "headers_to_add": [header(*pair) for pair in (headers | grpc_headers).items()],
        "body_format_override": {"text_format_source": {"inline_string": ""}},
    }


def _is_grpc() -> list[Config]:
    """Matches callers of gRPC; transcoded requests have its content type, too, but a JSON route."""
    called = {"header_filter": {"header": {"name": "content-type", "string_match": IS_GRPC}}}
    return [called, _expression("!has(xds.route_name) || !xds.route_name.startsWith('json')")]
