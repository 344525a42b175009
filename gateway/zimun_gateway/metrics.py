"""Envoy's metrics for Prometheus, on a port of their own.

The admin interface has them, beside functions for the operator alone. So it stays on loopback,
and a listener forwards to this one page of it.
"""

from .config import Config, extension, socket_address
from .settings import Settings

_ADMIN = "admin"


def metrics_listeners(settings: Settings) -> list[Config]:
    """The listener of GET /metrics and nothing else; none without a metrics port."""
    if settings.metrics_port is None:
        return []
    return [
        {
            "name": "metrics",
            "address": socket_address(settings.metrics_address, settings.metrics_port),
            "per_connection_buffer_limit_bytes": 32 * 1024,
            "ignore_global_conn_limit": True,
            "filter_chains": [{"filters": [_http()]}],
        }
    ]


def metrics_clusters(settings: Settings) -> list[Config]:
    """The cluster of the admin interface, whose port must be known; none without a metrics port."""
    if settings.metrics_port is None:
        return []
    endpoint = {"address": socket_address("127.0.0.1", settings.admin_port)}
    return [
        {
            "name": _ADMIN,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": _ADMIN,
                "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
            },
        }
    ]


def _http() -> Config:
    router = extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    host = {"name": "metrics", "domains": ["*"], "routes": [_route()]}
    return extension(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="metrics",
        common_http_protocol_options={"idle_timeout": "300s"},
        request_headers_timeout="5s",
        stream_idle_timeout="10s",
        route_config={"name": "metrics", "virtual_hosts": [host]},
        http_filters=[router],
    )


def _route() -> Config:
    reading = {"name": ":method", "string_match": {"exact": "GET"}}
    return {
        "match": {"path": "/metrics", "headers": [reading]},
        "route": {"cluster": _ADMIN, "prefix_rewrite": "/stats/prometheus", "timeout": "10s"},
    }
