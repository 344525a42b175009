"""OpenTelemetry traces: a span for each request that is sampled, which the server's span joins.

Off unless a collector is named. Envoy calls its tracer fit for trusted callers only; so the
trace context of a caller (W3C Trace Context) is removed before the tracer sees it: callers can
neither choose what is sampled nor join a trace of theirs to one of ours.
"""

from .clusters import otlp_cluster
from .config import Config, extension, typed
from .settings import Settings

_COLLECTOR = "otlp"
_MUTATION = "envoy.http.early_header_mutation.header_mutation"


def tracing(settings: Settings) -> Config:
    """Fields of the connection manager; none without a collector."""
    if not settings.otlp_endpoint:
        return {}
    percent = {"value": 100 * settings.trace_ratio}
    return {
        "early_header_mutation_extensions": [_without_trace_context()],
        "tracing": {
            "provider": _provider(),
            "random_sampling": percent,
            "overall_sampling": {"value": 100},
            # A caller would ask for a trace by x-client-trace-id.
            "client_sampling": {"value": 0},
            "spawn_upstream_span": False,
            "max_path_tag_length": 128,
        },
    }


def tracing_clusters(settings: Settings) -> list[Config]:
    """The cluster of the collector; none without one."""
    return [otlp_cluster(_COLLECTOR, settings.otlp_endpoint)] if settings.otlp_endpoint else []


def _provider() -> Config:
    return {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": typed(
            "config.trace.v3.OpenTelemetryConfig",
            grpc_service={"envoy_grpc": {"cluster_name": _COLLECTOR}, "timeout": "1s"},
            service_name="zimun-gateway",
        ),
    }


def _without_trace_context() -> Config:
    names = ("traceparent", "tracestate", "baggage")
    return extension(
        _MUTATION,
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"remove": name} for name in names],
    )
