"""The routes: which path is sent to which cluster.

Envoy retries a call that no server can have read: the connection was not made, or the server
refused the stream before reading it (RFC 9113, 8.7). Where the response is lost, it retries calls
that only read and calls with an Idempotency-Key, which take effect once. Other calls could book
twice, so that their callers decide. Clients cannot ask Envoy for more: their x-envoy-* headers are
dropped.
"""

from .affinity import hash_by_organization
from .auth import requires_token
from .clusters import AUTH, OPEN, SERVER
from .compression import compressed
from .config import Config, extension, header, seconds
from .cors import preflight_routes
from .descriptor_set import PACKAGE
from .fairness import shared_fairly
from .headers import ADDRESS, GRPC_REQUEST, GRPC_RESPONSE, without_headers
from .local_replies import IS_GRPC, JSON_ROUTE, READING_ROUTE
from .mcp import mcp_routes
from .rate_limits import (
    REFLECTION,
    WATCH,
    Streams,
    limited_by_address,
    limited_by_latency,
    streams_by_address,
    unbuffered,
)
from .request_checks import grpc_checks, json_checks
from .resource_metadata import metadata_routes
from .settings import Settings
from .static_files import site_routes
from .strict_requests import strict_bodies
from .transcoding import untranscoded

API = "/api/v1"
PUBLISHED = (
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/oauth/authorize",
)
"""Paths of the token port that callers without a token may read."""
HEALTH = "grpc.health.v1.Health"
REFLECTIONS = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)


_ADDRESS = header(ADDRESS, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
"""Sends the caller's address to the token endpoint, which limits failures by address."""

_TRAILERS = header("te", "trailers")
"""gRPC's server resets streams without it; a proxy in front may have removed it."""


def routes(settings: Settings) -> list[Config]:
    """All routes; Envoy answers 404 to a request that matches none."""
    auth_routes = [] if settings.jwks_uri else _auth_routes(settings)
    open_routes = map(_guarded, _open_routes(settings))
    return [
        *preflight_routes(settings),
        *auth_routes,
        *_api_routes(settings),
        *mcp_routes(settings),
        *open_routes,
        *site_routes(settings),
        *metadata_routes(settings),
    ]


def _api_routes(settings: Settings) -> list[Config]:
    """Routes of JSON and gRPC to the same methods, with the same token requirement."""
    json: Config = {"path_separated_prefix": API, "headers": [_not_grpc()]}
    common_filters = requires_token() | limited_by_latency(settings) | shared_fairly(settings)
    json_filters = (
        common_filters
        | json_checks()
        | strict_bodies()
        | compressed()
        | without_headers(GRPC_REQUEST, GRPC_RESPONSE)
    )
    grpc = {"prefix": f"/{PACKAGE}.", "headers": _called_by_grpc()}
    grpc_filters = common_filters | grpc_checks()
    repeatable = [
        _route(_with(json, _reading()), SERVER, settings, json_filters) | {"name": READING_ROUTE},
        _route(_with(json, _keyed()), SERVER, settings, json_filters) | {"name": JSON_ROUTE},
        _route(_with(grpc, _keyed()), SERVER, settings, grpc_filters),
    ]
    for route in repeatable:
        route["route"]["retry_policy"] = retry_policy("reset", "cancelled")
    routes = [
        *repeatable,
        _route(json, SERVER, settings, json_filters) | {"name": JSON_ROUTE},
        _route(grpc, SERVER, settings, grpc_filters),
    ]
    for route in routes:
        route["route"] |= {"priority": "HIGH", "hash_policy": hash_by_organization()}
        route["request_headers_to_add"] = [_TRAILERS]
    return routes


def _guarded(route: Config) -> Config:
    """A route without a token: for gRPC callers alone, and without headers that its methods do
    not read."""
    unread = ("authorization", "idempotency-key")
    route["typed_per_filter_config"] |= grpc_checks() | without_headers(unread)
    match = route["match"] | {"headers": _called_by_grpc()}
    return route | {"match": match, "request_headers_to_add": [_TRAILERS]}


def _called_by_grpc() -> list[Config]:
    return [
        {"name": ":method", "string_match": {"exact": "POST"}},
        {"name": "content-type", "string_match": IS_GRPC},
    ]


def _with(match: Config, header: Config) -> Config:
    return match | {"headers": [*match.get("headers", ()), header]}


def _reading() -> Config:
    return {"name": ":method", "string_match": {"exact": "GET"}}


def _keyed() -> Config:
    return {"name": "idempotency-key", "present_match": True}


def _not_grpc() -> Config:
    return {
        "name": "content-type",
        "string_match": IS_GRPC,
        "invert_match": True,
        "treat_missing_header_as_empty": True,
    }


def _auth_routes(settings: Settings) -> list[Config]:
    plain = untranscoded()
    token = limited_by_address(settings, settings.token_rate_limit)
    published = limited_by_address(settings, settings.rate_limit)
    ask = _route({"path": "/oauth/token"}, AUTH, settings, plain | token)
    ask["request_headers_to_add"] = [_ADDRESS]
    ask["route"]["priority"] = "HIGH"
    return [
        ask,
        *(_route({"path": path}, AUTH, settings, plain | published) for path in PUBLISHED),
    ]


def _open_routes(settings: Settings) -> list[Config]:
    """Health and reflection, which need no token."""
    limited = limited_by_address(settings, settings.rate_limit)
    check = _route({"path": f"/{HEALTH}/Check"}, OPEN, settings, limited)
    check["route"]["priority"] = "HIGH"
    return [
        check,
        _stream({"prefix": f"/{HEALTH}/"}, WATCH, settings),
        *(_stream({"prefix": f"/{name}/"}, REFLECTION, settings) for name in REFLECTIONS),
    ]


def _stream(match: Config, streams: Streams, settings: Settings) -> Config:
    """A stream that ends after its maximum lifetime, whether or not anything is sent on it."""
    filters = unbuffered() | streams_by_address(settings, streams)
    route = _route(match, OPEN, settings, filters)
    lifetime = seconds(streams.lifetime)
    route["route"] |= {
        "timeout": "0s",
        "idle_timeout": "0s",
        "max_stream_duration": {
            "max_stream_duration": lifetime,
            "grpc_timeout_header_max": lifetime,
        },
    }
    return route


def _route(match: Config, cluster: str, settings: Settings, filters: Config) -> Config:
    """A route to a cluster; a grpc-timeout applies up to `request_timeout`."""
    limit = seconds(settings.request_timeout)
    return {
        "match": match,
        "route": {
            "cluster": cluster,
            "timeout": limit,
            "max_stream_duration": {"max_stream_duration": limit, "grpc_timeout_header_max": limit},
        },
        "typed_per_filter_config": filters,
    }


def retry_policy(*more: str) -> Config:
    """Retries of calls that no server has read, and on `more`; to another server if possible.

    When a machine fails, all its workers fail with it, hence several retries. Envoy rehashes until
    it selects a server that was not tried, at most `host_selection_retry_max_attempts` times.
    """
    return {
        "retry_on": ",".join(("connect-failure", "refused-stream", *more)),
        "num_retries": 4,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            extension(
                "envoy.retry_host_predicates.previous_hosts",
                "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ],
        "host_selection_retry_max_attempts": 64,
    }
