"""The public listener.

Settings follow Envoy's advice for edge proxies (docs: configuration/best_practices/edge): nothing
that a client sends about itself is believed, every wait has a timeout, and every buffer a limit.
"""

from pathlib import Path

from .access_log import access_log
from .affinity import organization_filter
from .auth import jwt_filter
from .compression import compression_filter
from .config import Config, extension, seconds, socket_address
from .cors import cors_filters, cors_policy
from .fairness import fairness_filters
from .headers import TO_SERVER, forwarding_filters, header_filter, logged_headers_filter
from .local_replies import replies
from .log_path import log_path_filter
from .rate_limits import concurrency_filters, rate_limit_filters, size_filter
from .request_checks import MAX_CODEC_HEADERS_KIB, check_filter
from .resource_metadata import agent_challenge
from .routes import retry_policy, routes
from .settings import Settings
from .static_files import file_filters
from .strict_requests import strict_body_filter
from .token_errors import token_replies
from .tracing import tracing
from .transcoding import transcoder_filter

HANDSHAKE_TIMEOUT = "5s"
HEADER_TIMEOUT = 5.0
"""Seconds from the first byte of a request to the last one of its headers."""

_ROUTER = "extensions.filters.http.router.v3.Router"


def listener(settings: Settings) -> Config:
    """The listener that clients connect to."""
    chain: Config = {
        "filters": [_http(settings)],
        "transport_socket_connect_timeout": HANDSHAKE_TIMEOUT,
    }
    if settings.tls_certificate and settings.tls_key:
        chain["transport_socket"] = _tls(settings.tls_certificate, settings.tls_key)
    return {
        "name": "zimun",
        "address": socket_address(settings.listen_address, settings.listen_port),
        "per_connection_buffer_limit_bytes": 32 * 1024,
        "filter_chains": [chain],
    }


def _http(settings: Settings) -> Config:
    """The HTTP connection manager.

    It has no `internal_address_config`: Envoy then trusts no caller's x-envoy-* headers, while
    an empty one makes it trust every private address again.
    """
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="zimun",
        server_name="zimun",
        use_remote_address=True,
        xff_num_trusted_hops=settings.trusted_proxies,
        always_set_request_id_in_response=True,
        max_request_headers_kb=MAX_CODEC_HEADERS_KIB,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={
            "idle_timeout": seconds(settings.idle_timeout),
            "headers_with_underscores_action": "DROP_HEADER",
            "max_headers_count": 1000,
        },
        http_protocol_options={"ignore_http_11_upgrade": [{"safe_regex": {"regex": ".*"}}]},
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 64 * 1024,
            "initial_connection_window_size": 1024 * 1024,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
        request_headers_timeout=seconds(min(HEADER_TIMEOUT, settings.request_timeout)),
        request_timeout=seconds(settings.request_timeout),
        drain_timeout="2s",
        stream_idle_timeout=seconds(settings.request_timeout + 5),
        access_log=access_log(settings),
        local_reply_config={"mappers": _replies(settings)},
        route_config=_route_config(settings),
        http_filters=_filters(settings),
        **tracing(settings),
    )


def _route_config(settings: Settings) -> Config:
    host: Config = {
        "name": "zimun",
        "domains": ["*"],
        "retry_policy": retry_policy(),
        "routes": routes(settings),
    }
    if settings.cors_origins:
        host["typed_per_filter_config"] = cors_policy(settings)
    return {"name": "zimun", "virtual_hosts": [host]}


def _replies(settings: Settings) -> list[Config]:
    """The local replies; those of the token endpoint only where the servers have one."""
    token_endpoint_replies = [] if settings.jwks_uri else token_replies()
    return [*token_endpoint_replies, *replies(agent_challenge(settings))]


def _filters(settings: Settings) -> list[Config]:
    """The HTTP filters in the order of a request: authentication, limits, content."""
    return [
        log_path_filter(settings),
        logged_headers_filter(),
        *cors_filters(settings),
        extension("envoy.filters.http.grpc_web", "extensions.filters.http.grpc_web.v3.GrpcWeb"),
        check_filter(),
        jwt_filter(settings),
        *rate_limit_filters(settings),
        *file_filters(settings),
        organization_filter(),
        *fairness_filters(settings),
        size_filter(settings),
        compression_filter(),
        strict_body_filter(settings),
        header_filter(),
        transcoder_filter(settings),
        *concurrency_filters(settings),
        extension(
            "envoy.filters.http.router",
            _ROUTER,
            suppress_envoy_headers=True,
            upstream_http_filters=forwarding_filters(TO_SERVER),
        ),
    ]


def _tls(certificate: Path, key: Path) -> Config:
    pair = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
    }
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [pair],
        },
    )
