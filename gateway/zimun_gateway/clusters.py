"""The upstream clusters: servers, token endpoints, health checks, circuit breakers."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from .config import Config, seconds, socket_address, typed
from .headers import TO_MCP, TO_TOKEN_ENDPOINT, forwarding_filters
from .settings import Settings, split_endpoint
from .upstream_tls import is_ip, upstream_tls, verified_tls

SERVER = "zimun"
OPEN = "zimun_open"
"""The servers of SERVER for callers without a token, with connections and limits of their own."""
AUTH = "zimun_auth"
MCP = "zimun_mcp"
"""The endpoints for agents, at the servers' port of the token endpoint."""
JWKS = "jwks"

MAX_OPEN_STREAMS = 256
"""The most streams of reflection and of health's Watch, of all callers without a token."""
MAX_OPEN_CALLS = 64
"""The most calls of health's Check, of all callers without a token."""
MAX_TOKEN_REQUESTS = 128
"""The most requests at a time to the token endpoint, without Envoy's fetches of keys."""

GRPC_IDLE, GRPC_AGE = 60.0, 240.0
AUTH_IDLE, AUTH_AGE = 15.0, 240.0
"""Seconds after which Envoy closes a connection to a server. Servers do it later: where a server
closes while Envoy reads a response, the caller gets only a part of it."""

_STREAMS = 256
"""The most streams on one connection to a server; more calls open more connections."""
_STREAM_WINDOW = 256 * 1024


def clusters(settings: Settings) -> list[Config]:
    """All upstream clusters."""
    if settings.jwks_uri:
        return [_server(settings), _jwks(settings), _open(settings), _mcp(settings)]
    return [_server(settings), _auth(settings), _open(settings), _mcp(settings)]


def _server(settings: Settings) -> Config:
    """The workers of all machines, chosen by the hash of a call's organization (`affinity.py`).

    Maglev (Eisenbud et al., NSDI 2016) moves hardly any organization but those of the server that
    is unhealthy; Envoy's hash ring gives each server more points when there are fewer servers, and
    so moves a tenth of the others too. There is no `hash_balance_factor`: it would send calls of a
    busy organization to servers whose memory is cold for it.

    Envoy sends calls to unhealthy servers only when none is healthy. By default it does so when
    fewer than half are healthy, and one machine may have more than half of all workers.

    No HTTP/2 pings: a gRPC server hangs up on a client that pings more than every five minutes
    (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS); health checks find dead peers sooner.
    """
    return _grpc_cluster(SERVER, settings) | {
        "lb_policy": "MAGLEV",
        "circuit_breakers": _circuit_breakers(
            DEFAULT=settings.max_concurrent_requests, HIGH=settings.max_concurrent_requests
        ),
        "outlier_detection": _outlier_detection(),
    }


def _open(settings: Settings) -> Config:
    """The servers for callers without a token (health and reflection), on separate connections.

    Such calls cannot have a server ejected (no outlier detection), and a header that a server
    refuses affects no connection that a client's calls share.
    """
    return _grpc_cluster(OPEN, settings) | {
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": _circuit_breakers(DEFAULT=MAX_OPEN_STREAMS, HIGH=MAX_OPEN_CALLS),
    }


def _grpc_cluster(name: str, settings: Settings) -> Config:
    endpoints = [split_endpoint(endpoint) for endpoint in settings.grpc_endpoints]
    return (
        _cluster(name, endpoints)
        | upstream_tls(settings, "h2")
        | {
            "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
            "typed_extension_protocol_options": _protocol(
                _connection(GRPC_IDLE, GRPC_AGE), http2_protocol_options=_http2()
            ),
            "health_checks": [_health_check()],
        }
    )


def _auth(settings: Settings) -> Config:
    """The token endpoints of all machines; any of them serves any client."""
    return _http_cluster(AUTH, settings, TO_TOKEN_ENDPOINT) | {
        "circuit_breakers": _circuit_breakers(DEFAULT=MAX_TOKEN_REQUESTS, HIGH=MAX_TOKEN_REQUESTS)
    }


def _mcp(settings: Settings) -> Config:
    """The endpoints for agents, chosen as `_server` is; workers of a machine share its port."""
    return _http_cluster(MCP, settings, TO_MCP) | {
        "lb_policy": "MAGLEV",
        "circuit_breakers": _circuit_breakers(DEFAULT=settings.max_concurrent_requests),
    }


def _http_cluster(name: str, settings: Settings, headers: Sequence[str]) -> Config:
    """A cluster of the machines' HTTP/1.1 ports, to which only these headers are forwarded."""
    endpoints = [split_endpoint(endpoint) for endpoint in settings.auth_endpoints]
    return (
        _cluster(name, endpoints)
        | upstream_tls(settings, "http/1.1")
        | {
            "outlier_detection": _outlier_detection(),
            "typed_extension_protocol_options": _protocol(
                _connection(AUTH_IDLE, AUTH_AGE),
                forwarding_filters(headers),
                http_protocol_options={},
            ),
        }
    )


def otlp_cluster(name: str, endpoint: str) -> Config:
    """The cluster of a collector of traces (gRPC, without TLS)."""
    cluster = _cluster(name, [split_endpoint(endpoint)])
    protocol = _protocol(_connection(GRPC_IDLE, GRPC_AGE), http2_protocol_options={})
    return cluster | {"typed_extension_protocol_options": protocol}


def _jwks(settings: Settings) -> Config:
    """The outside provider; over https its certificate must name the requested host."""
    uri = urlsplit(settings.jwks_uri)
    secure = uri.scheme == "https"
    if uri.hostname is None or uri.scheme not in ("http", "https"):
        raise ValueError(f"jwks_uri {settings.jwks_uri!r} is not an http or https address")
    cluster = _cluster(JWKS, [(uri.hostname, uri.port or (443 if secure else 80))])
    if secure:
        cluster["transport_socket"] = verified_tls(uri.hostname, settings.jwks_ca)
    return cluster


def _cluster(name: str, endpoints: list[tuple[str, int]]) -> Config:
    static = all(is_ip(host) for host, _ in endpoints)
    addresses = [{"endpoint": {"address": socket_address(*endpoint)}} for endpoint in endpoints]
    return {
        "name": name,
        "type": "STATIC" if static else "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": addresses}]},
    }


def _connection(idle: float, age: float) -> Config:
    return {"idle_timeout": seconds(idle), "max_connection_duration": seconds(age)}


def _http2() -> Config:
    """The windows of HTTP/2, wide enough that slow readers do not block a connection.

    All streams may have a full window, and the connection still carries other responses.
    """
    return {
        "max_concurrent_streams": _STREAMS,
        "initial_stream_window_size": _STREAM_WINDOW,
        "initial_connection_window_size": _STREAMS * _STREAM_WINDOW,
    }


def _protocol(connection: Config, filters: Sequence[Config] = (), **explicit: Config) -> Config:
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=connection,
        explicit_http_config=explicit,
        http_filters=list(filters),
    )
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}


def _circuit_breakers(**requests: int) -> Config:
    """The maximum of requests at once for each priority of routes; more would only wait.

    All of them may be retried, as a server that dies leaves as many as it had.
    """
    return {
        "thresholds": [
            {
                "priority": priority,
                "max_connections": 1024,
                "max_pending_requests": limit,
                "max_requests": limit,
                "max_retries": limit,
            }
            for priority, limit in requests.items()
        ]
    }


def _health_check() -> Config:
    """The health check (grpc.health.v1). It runs without traffic, too: an idle gateway must notice
    that a server is back."""
    return {
        "timeout": "1s",
        "interval": "5s",
        "no_traffic_interval": "5s",
        "no_traffic_healthy_interval": "5s",
        "unhealthy_interval": "1s",
        "interval_jitter_percent": 10,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }


def _outlier_detection() -> Config:
    """Ejects a server that cannot be reached or closes connections, but at most half of them.

    Statuses of responses do not count, as callers can cause any of them and could have a server
    ejected. Health checks find a server that answers but cannot work.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "60s",
        "max_ejection_percent": 50,
    }
