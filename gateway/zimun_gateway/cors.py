"""CORS: the origins whose pages may call from a browser; none unless configured."""

from .config import Config, always, extension, typed
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


def cors_filters(settings: Settings) -> list[Config]:
    """The CORS filter; none where no origin is allowed."""
    if not settings.cors_origins:
        return []
    return [extension(_FILTER, "extensions.filters.http.cors.v3.Cors")]


def cors_policy(settings: Settings) -> Config:
    """typed_per_filter_config of the virtual host; without credentials, as there are no cookies."""
    origins = [
        {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}
        for origin in settings.cors_origins
    ]
    policy = typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=origins,
        allow_methods="GET,POST,PATCH,PUT,DELETE",
        allow_headers=_SENDABLE,
        expose_headers=_READABLE,
        max_age="7200",
        filter_enabled=always(),
    )
    return {_FILTER: policy}
