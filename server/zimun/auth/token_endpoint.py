"""HTTP endpoints: tokens (RFC 6749), the JWKS, the authorization server's metadata (RFC 8414)."""

import asyncio
import base64
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import web

from zimun.auth.clients import authenticate
from zimun.auth.rate_limits import TokenLimits
from zimun.auth.tokens import Issuer
from zimun.booking.credentials import CredentialStore
from zimun.domain.errors import Overloaded
from zimun.domain.identity import SCOPES, Client
from zimun.domain.instant import SECOND

TOKEN_PATH = "/oauth/token"  # noqa: S105, a path
AUTHORIZATION_PATH = "/oauth/authorize"
JWKS_PATH = "/.well-known/jwks.json"
METADATA_PATH = "/.well-known/oauth-authorization-server"

BODY_TIME = 10.0
"""Seconds that a request's body may take to arrive."""

ADDRESS_HEADER = "X-Zimun-Address"
"""The caller's address as Envoy knows it, which overwrites what callers send under this name."""

REFUSAL_TIME = 0.05
"""Seconds after which wrong credentials are refused, whatever is wrong with them."""

_LARGEST_BODY = 16 * 1024
_MAX_PARAMETERS = 100
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="zimun"'}
_CACHEABLE = {"Cache-Control": "public, max-age=60"}

_log = logging.getLogger(__name__)


def application(
    credentials: CredentialStore,
    issuer: Issuer,
    time: Callable[[], float] = time.time,
    limits: TokenLimits | None = None,
) -> web.Application:
    """The endpoints of our own issuer, to be served beside the gRPC port.

    Not for a server that trusts an outside provider: it issues no tokens. The
    issuer's name is the public base URL under which these paths are found.
    Without `limits` requests are not limited.
    """
    endpoints = _Endpoints(credentials, issuer, time, limits)
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_refusals_in_json])
    app.router.add_post(TOKEN_PATH, endpoints.token)
    app.router.add_get(AUTHORIZATION_PATH, endpoints.authorization)
    app.router.add_get(JWKS_PATH, endpoints.jwks)
    app.router.add_get(METADATA_PATH, endpoints.metadata)
    return app


class OAuthError(Exception):
    """A refusal as RFC 6749 section 5.2 words it; 401 for `invalid_client`, else 400."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class RateLimited(Exception):
    """A client or an address sent too many requests; it may send another after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Endpoints:
    credentials: CredentialStore
    issuer: Issuer
    time: Callable[[], float]
    limits: TokenLimits | None

    async def token(self, request: web.Request) -> web.Response:
        """The client credentials grant (RFC 6749 section 4.4)."""
        form = await _form(request)
        _check_grant(form)
        client = await self._authenticated(request, *_credentials(request, form))
        scopes = _granted(client, form.get("scope"))
        answer = {
            "access_token": self.issuer.issue(client, scopes),
            "token_type": "Bearer",
            "expires_in": self.issuer.lifetime,
            "scope": " ".join(scopes),
        }
        return web.json_response(answer, headers=_NO_STORE)

    async def authorization(self, _request: web.Request) -> web.Response:
        """Refuse every request: no grant begins here. No client has registered an address to
        redirect to (RFC 6749 section 4.1.2.1)."""
        raise OAuthError("unsupported_response_type", "tokens are for client credentials alone")

    async def jwks(self, _request: web.Request) -> web.Response:
        """The keys that verify our tokens (RFC 7517 section 5)."""
        return web.json_response(self.issuer.keys.jwks(), headers=_CACHEABLE)

    async def metadata(self, _request: web.Request) -> web.Response:
        """The metadata by which client libraries find the endpoints (RFC 8414 section 2).

        Those of the Model Context Protocol accept none without an authorization endpoint.
        """
        base = self.issuer.issuer.rstrip("/")
        document = {
            "issuer": self.issuer.issuer,
            "authorization_endpoint": base + AUTHORIZATION_PATH,
            "token_endpoint": base + TOKEN_PATH,
            "jwks_uri": base + JWKS_PATH,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": list(SCOPES),
        }
        return web.json_response(document, headers=_CACHEABLE)

    async def _authenticated(self, request: web.Request, client_id: str, secret: str) -> Client:
        """The client of the credentials; all wrong credentials are refused after REFUSAL_TIME."""
        loop = asyncio.get_running_loop()
        refused_at = loop.time() + REFUSAL_TIME
        now = round(self.time() * SECOND)
        client = await authenticate(self.credentials, client_id, secret, now)
        if client is not None:
            if self.limits and (wait := self.limits.succeeded(client.client_id)):
                raise RateLimited(wait)
            return client
        address = request.headers.get(ADDRESS_HEADER) or request.remote or ""
        wait = self.limits.failed(client_id, address) if self.limits else 0
        await asyncio.sleep(refused_at - loop.time())
        if wait:
            raise RateLimited(wait)
        raise OAuthError("invalid_client", "unknown client, wrong secret or revoked")


@web.middleware
async def _refusals_in_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every refusal, aiohttp's own included, as RFC 6749 section 5.2 shapes it."""
    try:
        return await handler(request)
    except OAuthError as refusal:
        if refusal.error == "invalid_client":
            return _refusal(401, refusal.error, refusal.description, _CHALLENGE)
        return _refusal(400, refusal.error, refusal.description)
    except Overloaded as overload:
        wait = _retry_after(overload.retry_after)
        return _refusal(503, "temporarily_unavailable", "try again later", wait)
    except RateLimited as refusal:
        wait = _retry_after(refusal.seconds)
        return _refusal(429, "temporarily_unavailable", str(refusal), wait)
    except web.HTTPException as refusal:
        allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
        return _refusal(refusal.status, "invalid_request", refusal.reason.lower(), allow)
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return _refusal(500, "server_error", "an internal error")


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _refusal(
    status: int, error: str, description: str, headers: dict[str, str] | None = None
) -> web.Response:
    body = {"error": error, "error_description": description}
    return web.json_response(body, status=status, headers=_NO_STORE | (headers or {}))


async def _form(request: web.Request) -> dict[str, str]:
    """The parameters of the body, each at most once, empty ones left out (section 3.2)."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "the body must be application/x-www-form-urlencoded")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(BODY_TIME):
            body = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise OAuthError("invalid_request", "the body ends early or is malformed") from error
    try:
        pairs = parse_qsl(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as error:
        raise OAuthError("invalid_request", "the body is not a form in UTF-8") from error
    form = dict(pairs)
    if len(form) < len(pairs):
        raise OAuthError("invalid_request", "a parameter is included more than once")
    return {name: value for name, value in form.items() if value}


def _check_grant(form: dict[str, str]) -> None:
    if "grant_type" not in form:
        raise OAuthError("invalid_request", "grant_type is missing")
    if form["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "only client_credentials is supported")


def _credentials(request: web.Request, form: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, from the one place that has them (section 2.3.1).

    A client that authenticates by Basic may repeat its own id in the form: that
    alone is no second method of authentication (section 2.3).
    """
    headers = request.headers.getall("Authorization", [])
    if not headers:
        if "client_id" not in form or "client_secret" not in form:
            raise OAuthError("invalid_client", "the client must authenticate")
        return form["client_id"], form["client_secret"]
    client_id, secret = _basic(headers)
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "the client authenticates in more than one way")
    return client_id, secret


def _basic(headers: list[str]) -> tuple[str, str]:
    """The credentials of a Basic header, whose halves are form-encoded (section 2.3.1)."""
    scheme, _, encoded = headers[0].partition(" ")
    try:
        if len(headers) > 1 or scheme.lower() != "basic":
            raise ValueError("not one Basic header")
        userid, colon, password = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
        if not colon:
            raise ValueError("no colon")
        return unquote_plus(userid, errors="strict"), unquote_plus(password, errors="strict")
    except ValueError as error:
        raise OAuthError("invalid_client", "malformed Basic credentials") from error


def _granted(client: Client, requested: str | None) -> list[str]:
    """The requested scopes that the client may have, or all of its own, in the documented order.

    A server may grant a part of what is asked for, and tells which (section 3.3): some software
    asks for all scopes that the metadata name. A malformed scope needs no check of its own: its
    pieces are unknown.
    """
    if requested is None:
        return list(client.scopes)
    scopes = set(requested.split(" "))
    if not scopes <= set(SCOPES):
        raise OAuthError("invalid_scope", "a scope is unknown or malformed")
    granted = [scope for scope in SCOPES if scope in scopes and scope in client.scopes]
    if not granted:
        raise OAuthError("invalid_scope", "the client may have none of the scopes it asks for")
    return granted
