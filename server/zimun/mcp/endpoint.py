"""`POST /o/{org_id}/mcp`: authorizes a request before the protocol reads it.

Envoy has checked path, method, Origin and token, and limits the client and the size.
"""

import asyncio
import math
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aiohttp import web
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from zimun.booking.catalog import get_organization
from zimun.booking.reader import Reader
from zimun.domain.catalog.entries import McpAccess
from zimun.domain.errors import (
    InvalidRequest,
    McpAccessDenied,
    McpNotInstalled,
    OrganizationNotFound,
    OutcomeUnknown,
    Overloaded,
    ScopeMissing,
    TokenInvalid,
    ZimunError,
)
from zimun.domain.identity import ID, Caller
from zimun.mcp import tools
from zimun.mcp.asgi import respond
from zimun.mcp.messages import Malformed, read_message
from zimun.rpc import error_status
from zimun.rpc.dispatch import Verify, bearer_token
from zimun.rpc.local_calls import LocalCalls

if TYPE_CHECKING:
    from zimun.mcp.protocol import Protocol

PATH = f"/o/{{org_id:{ID.pattern}}}/mcp"

METADATA_PATH = "/.well-known/oauth-protected-resource"
"""What Envoy serves the metadata of a resource at: this and the path of the resource (RFC 9728)."""

TIMEOUT_HEADER = "x-zimun-timeout"
"""The header in which Envoy says how many seconds it waits for the response."""

DEFAULT_TIMEOUT = 15.0
"""Seconds of a request that does not come from Envoy."""

_TIMEOUT_SHARE = 0.9
"""The part of the timeout after which a call is cancelled, so that the error reaches the caller."""

MAX_BODY = 256 * 1024
"""Bytes of a body."""

_SECONDS = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,9})?")

_FORWARDED = ("authorization", "x-request-id", "traceparent", "tracestate")
"""The headers of a request that its calls have, too."""

_STATUSES = {
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
"""The HTTP status of a code, as Envoy converts it; 500 for all other codes."""


class McpEndpoint:
    """Admits agents of an organization and passes their requests to the protocol.

    `resource` is the base URL of the service as agents know it, or empty.
    """

    def __init__(self, verify: Verify, reader: Reader, calls: LocalCalls, resource: str) -> None:
        self._verify, self._reader, self._calls = verify, reader, calls
        self._resource = resource
        self._protocol: Protocol | None = None
        self._loading = asyncio.Lock()

    async def post(self, request: web.Request) -> web.Response:
        """Answer one message of the protocol."""
        try:
            return await self._answer(request)
        except Malformed as error:
            return web.json_response(error.as_json(), status=HTTPStatus.BAD_REQUEST)
        except ZimunError as error:
            return _refused(error, self._headers(error, request.path))
        except Exception as error:
            return _response(error_status.internal_error(error), {})

    async def close(self) -> None:
        """Cancel the running requests."""
        if self._protocol:
            await self._protocol.close()

    async def _answer(self, request: web.Request) -> web.Response:
        deadline = asyncio.get_running_loop().time() + _timeout(request)
        caller = await self._caller(request)
        access = await self._access(request.match_info["org_id"], caller)
        if request.content_type != "application/json":
            raise InvalidRequest({"content-type": "must be application/json"})
        body = await _body(request, deadline)
        message = read_message(body)
        protocol = await self._loaded()
        missing = tools.missing_scope(message, caller.scopes, access)
        if missing:
            return self._scope_missing(missing, caller, request.path)
        headers = [(name, request.headers[name]) for name in _FORWARDED if name in request.headers]
        agent = tools.Agent(caller, access, headers, deadline)
        return await respond(protocol.application, request, body, {"agent": agent})

    async def _caller(self, request: web.Request) -> Caller:
        """The caller of the token; raises TokenInvalid, also for a repeated header."""
        values = request.headers.getall("authorization", [])
        return await self._verify(bearer_token(values[0] if len(values) == 1 else ""))

    async def _access(self, org_id: str, caller: Caller) -> McpAccess:
        """What agents may do; raises OrganizationNotFound for another organization."""
        if org_id != caller.org_id:
            raise OrganizationNotFound(org_id)
        access = (await get_organization(self._reader, caller)).mcp_access
        if access is McpAccess.DISABLED:
            raise McpAccessDenied(access)
        return access

    async def _loaded(self) -> "Protocol":
        """The protocol; its package is imported on a thread, as that takes half a second."""
        async with self._loading:
            if self._protocol is None:
                if find_spec("mcp") is None:
                    raise McpNotInstalled
                protocol = await asyncio.to_thread(_import, self._calls)
                await protocol.start()
                self._protocol = protocol
            return self._protocol

    def _scope_missing(self, scope: str, caller: Caller, path: str) -> web.Response:
        """The refusal of a call; it names the scopes of tools that the token has, too, as some
        agents ask for those alone that it names."""
        scopes = {scope, *caller.scopes.intersection(tools.scopes())}
        challenge = self._challenge("insufficient_scope", scopes, path)
        return _refused(ScopeMissing(scope), challenge)

    def _headers(self, error: ZimunError, path: str) -> Mapping[str, str]:
        if isinstance(error, Overloaded):
            return {"Retry-After": str(math.ceil(error.retry_after))}
        if not isinstance(error, TokenInvalid):
            return {}
        return self._challenge("invalid_token", tools.scopes(), path)

    def _challenge(self, error: str, scopes: Iterable[str], path: str) -> Mapping[str, str]:
        """What a refused agent is to ask for, and where (RFC 6750, 3; RFC 9728, 5.1)."""
        challenge = f'Bearer realm="zimun", error="{error}", scope="{" ".join(sorted(scopes))}"'
        if self._resource:
            challenge += f', resource_metadata="{self._resource}{METADATA_PATH}{path}"'
        return {"WWW-Authenticate": challenge}


def _timeout(request: web.Request) -> float:
    """Seconds that body and calls of a request may take together."""
    text = request.headers.get(TIMEOUT_HEADER, "")
    return _TIMEOUT_SHARE * (float(text) if _SECONDS.fullmatch(text) else DEFAULT_TIMEOUT)


async def _body(request: web.Request, deadline: float) -> bytes:
    try:
        async with asyncio.timeout_at(deadline):
            return await request.clone(client_max_size=MAX_BODY).read()
    except TimeoutError as error:
        raise OutcomeUnknown("the body took too long to arrive; nothing was done") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise InvalidRequest({"body": "ends early or is malformed"}) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise InvalidRequest({"body": f"must have at most {MAX_BODY} bytes"}) from error


def _import(calls: LocalCalls) -> "Protocol":
    from zimun.mcp.protocol import Protocol

    return Protocol(calls)


def _refused(error: ZimunError, headers: Mapping[str, str]) -> web.Response:
    return _response(error_status.status_of(error), headers)


def _response(status: Status, headers: Mapping[str, str]) -> web.Response:
    code = next(code for code in StatusCode if code.value[0] == status.code)
    http = _STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return web.json_response(tools.as_json(status), status=http, headers=headers)
