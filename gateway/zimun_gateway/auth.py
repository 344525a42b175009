"""Authentication: bearer tokens, verified before anything else is done for a request.

The server verifies them again, so the Authorization header is forwarded, and nothing that Envoy
reads from the token is: no header can be forged to look like Envoy's. The requirement is set on
each route (`requires_token`), so that a route and its requirement are defined together.
"""

from .clusters import AUTH, JWKS
from .config import Config, extension, typed
from .settings import Settings

FILTER = "envoy.filters.http.jwt_authn"
CLAIMS = "claims"
"""Where the verified claims lie in the filter's dynamic metadata."""

_PROVIDER = "zimun"
_MESSAGE = "extensions.filters.http.jwt_authn.v3"


def jwt_filter(settings: Settings) -> Config:
    """The filter that verifies bearer tokens (envoy.filters.http.jwt_authn)."""
    return extension(
        FILTER,
        f"{_MESSAGE}.JwtAuthentication",
        providers={_PROVIDER: _provider(settings)},
        requirement_map={_PROVIDER: {"provider_name": _PROVIDER}},
        bypass_cors_preflight=True,
        stat_prefix="tokens",
    )


def requires_token() -> Config:
    """typed_per_filter_config of a route that requires a token."""
    return {FILTER: typed(f"{_MESSAGE}.PerRouteConfig", requirement_name=_PROVIDER)}


def _provider(settings: Settings) -> Config:
    """The issuer of tokens, which are taken from the header alone (RFC 6750, 5.3).

    The name of a scheme has no case (RFC 9110, 11.1), but a prefix has for Envoy. So it takes the
    token after the first blank, and that the scheme is Bearer is for the server to check.
    """
    return {
        "issuer": settings.issuer,
        "audiences": [settings.audience],
        "require_expiration": True,
        "clock_skew_seconds": settings.clock_skew,
        "from_headers": [{"name": "Authorization", "value_prefix": " "}],
        "forward": True,
        "payload_in_metadata": CLAIMS,
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "remote_jwks": _remote_jwks(settings),
    }


def _remote_jwks(settings: Settings) -> Config:
    """The keys, which Envoy fetches before the listener opens and again before they are too old.

    A first fetch that fails does not keep the listener closed: Envoy tries again every half second,
    and a request that comes before any key is there waits for a fetch of its own.
    """
    server_keys = f"http://{settings.auth_endpoints[0]}/.well-known/jwks.json"
    return {
        "http_uri": {
            "uri": settings.jwks_uri or server_keys,
            "cluster": JWKS if settings.jwks_uri else AUTH,
            "timeout": "2s",
        },
        # Envoy fetches 5 seconds before they are too old: our own are at hand.
        "cache_duration": "60s" if settings.jwks_uri else "10s",
        "async_fetch": {"fast_listener": False, "failed_refetch_duration": "0.5s"},
    }
