"""CORS: the origins whose pages may call from a browser; none unless configured."""

import re

from .clusters import OPEN
from .config import Config, always, extension, header, typed
from .rate_limits import BY_ADDRESS
from .settings import Settings

_FILTER = "envoy.filters.http.cors"
_READABLE = (
    "x-request-id,retry-after,www-authenticate,x-ratelimit-limit,x-ratelimit-remaining,"
    "x-ratelimit-reset,grpc-status,grpc-message,grpc-status-details-bin"
)
_SENDABLE = (
    "authorization,content-type,idempotency-key,x-grpc-web,x-user-agent,grpc-timeout,"
    "mcp-protocol-version,mcp-method,mcp-name"
)

_SOMETHING: Config = {"safe_regex": {"regex": ".+"}}


def cors_filters(settings: Settings) -> list[Config]:
    """The CORS filter; none where no origin is allowed."""
    if not settings.cors_origins:
        return []
    return [extension(_FILTER, "extensions.filters.http.cors.v3.Cors")]


def cors_policy(settings: Settings) -> Config:
    """typed_per_filter_config of the virtual host; without credentials, as there are no cookies."""
    policy = typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[_allowed_origins(settings)],
        allow_methods="GET,POST,PATCH,PUT,DELETE",
        allow_headers=_SENDABLE,
        expose_headers=_READABLE,
        max_age="7200",
        filter_enabled=always(),
    )
    return {_FILTER: policy}


def preflight_routes(settings: Settings) -> list[Config]:
    """The route of preflight requests of pages that may call, whatever the path.

    The CORS filter answers them all. It acts only where a route has a cluster, and not where Envoy
    answers by itself; no server gets such a request.
    """
    if not settings.cors_origins:
        return []
    asked = {"name": "access-control-request-method", "string_match": _SOMETHING}
    preflight = {"name": ":method", "string_match": {"exact": "OPTIONS"}}
    match = {"prefix": "/", "headers": [preflight, asked, _of_allowed_page(settings)]}
    return [{"match": match, "route": {"cluster": OPEN}}]


def readable_by_pages(route: Config, settings: Settings) -> list[Config]:
    """A route that Envoy answers by itself, and before it the same one for pages that may call.

    The CORS filter adds no headers to such answers, nor to refusals of the rate limit by address.
    """
    if not settings.cors_origins:
        return [route]
    headers = [*route["match"].get("headers", ()), _of_allowed_page(settings)]
    added = [
        header("access-control-allow-origin", "%REQ(ORIGIN)%"),
        header("access-control-expose-headers", _READABLE),
    ]
    filters = dict(route["typed_per_filter_config"])
    if BY_ADDRESS in filters:
        filters[BY_ADDRESS] = filters[BY_ADDRESS] | {"response_headers_to_add": added}
    own = {
        "match": route["match"] | {"headers": headers},
        "response_headers_to_add": [*route.get("response_headers_to_add", ()), *added],
        "typed_per_filter_config": filters,
    }
    return [route | own, route]


def _of_allowed_page(settings: Settings) -> Config:
    return {"name": "origin", "string_match": _allowed_origins(settings)}


def _allowed_origins(settings: Settings) -> Config:
    """Matches the origins whose pages may call."""
    if "*" in settings.cors_origins:
        return _SOMETHING
    return {"safe_regex": {"regex": "|".join(map(re.escape, settings.cors_origins))}}
