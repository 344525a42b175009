"""Rate limits for each client and each address, and the maximum size of a request.

A client is known by its verified token, so two clients never share a bucket and one client has the
same bucket on every connection, JSON and gRPC alike. A caller without a token has the bucket of
its address.
Buckets live in one Envoy: two gateways allow twice as much.
"""

from dataclasses import dataclass

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .config import Config, always, extension, seconds, typed
from .settings import Settings

BY_ADDRESS = "zimun.limit_by_address"

_BY_CLIENT = "zimun.limit_by_client"
_BUFFER = "envoy.filters.http.buffer"
_MESSAGE = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_CONCURRENCY = "envoy.filters.http.adaptive_concurrency"
MIN_CONCURRENCY = 64
"""The least concurrency limit, at any latency."""
_BUCKETS = 10_000
"""Buckets at a time; the least recently used is dropped first."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Limits of the streams, or downloads, that callers without a token may open, by address.

    `burst` streams at once, and one more each `interval` seconds. A stream ends after `lifetime`
    seconds, so that an address has at most `max_streams` of them at a time.
    """

    burst: int
    interval: float
    lifetime: float

    @property
    def max_streams(self) -> int:
        """The most streams of one address at once."""
        return self.burst + round(self.lifetime / self.interval)


WATCH = Streams(burst=10, interval=10, lifetime=60)
REFLECTION = Streams(burst=20, interval=0.5, lifetime=5)
SITE = Streams(burst=60, interval=0.5, lifetime=60)
"""Downloads of the site: its page has seven files, which take a minute at 40 kB a second."""


def rate_limit_filters(settings: Settings) -> list[Config]:
    """The filters by client and by address; the latter acts on routes with `limited_by_address`."""
    if not settings.rate_limit:
        return []
    return [
        {"name": _BY_CLIENT, "typed_config": _by_client(settings, settings.rate_limit)},
        extension(BY_ADDRESS, _MESSAGE, stat_prefix="addresses"),
    ]


def limited_by_client(settings: Settings, per_second: int) -> Config:
    """typed_per_filter_config of a route with buckets of its own; empty when limits are off."""
    if not settings.rate_limit:
        return {}
    bucket = _bucket(2 * per_second, per_second)
    return {_BY_CLIENT: _by_client(settings, per_second) | {"token_bucket": bucket}}


def limited_by_address(settings: Settings, per_second: int) -> Config:
    """typed_per_filter_config of a route limited by address; empty when limits are off."""
    if not settings.rate_limit:
        return {}
    return {BY_ADDRESS: _by_address(_bucket(per_second, per_second))}


def streams_by_address(settings: Settings, streams: Streams) -> Config:
    """typed_per_filter_config of a route with streams; empty when limits are off."""
    if not settings.rate_limit:
        return {}
    return {BY_ADDRESS: _by_address(_bucket(streams.burst, 1, streams.interval))}


def concurrency_filters(settings: Settings) -> list[Config]:
    """The filter that limits concurrent requests by the latency of the servers.

    The gradient controller multiplies the limit by the target latency over the median latency, ten
    times a second. The target is fixed: to measure the latency of an idle server, Envoy would
    refuse all but a few requests for a while.
    """
    if not settings.target_latency:
        return []
    message = "extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency"
    controller = {
        "concurrency_limit_params": {
            "max_concurrency_limit": settings.max_concurrent_requests,
            "concurrency_update_interval": "0.1s",
        },
        "min_rtt_calc_params": {
            "fixed_value": seconds(settings.target_latency),
            "buffer": {"value": 0},
            "min_concurrency": min(MIN_CONCURRENCY, settings.max_concurrent_requests),
        },
    }
    admission = extension(_CONCURRENCY, message, gradient_controller_config=controller)
    return [admission | {"disabled": True}]


def limited_by_latency(settings: Settings) -> Config:
    """typed_per_filter_config of a route whose requests the concurrency filter admits."""
    if not settings.target_latency:
        return {}
    return {_CONCURRENCY: typed("config.route.v3.FilterConfig", config={})}


def size_filter(settings: Settings) -> Config:
    """Buffers a whole request before the server gets it, so that slow senders do not occupy it."""
    limit = settings.max_request_bytes
    return extension(_BUFFER, "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=limit)


def unbuffered() -> Config:
    """typed_per_filter_config of routes with streaming methods, whose requests are not buffered."""
    return {_BUFFER: typed("config.route.v3.FilterConfig", disabled=True)}


def _by_client(settings: Settings, per_second: int) -> Config:
    claims = ["client_id", "sub"] if settings.jwks_uri else ["client_id"]
    keys = {claim: _claim(claim) for claim in claims}
    return _limit("clients", keys, _bucket(2 * per_second, per_second))


def _by_address(bucket: Config) -> Config:
    return _limit("addresses", _addresses(), bucket) | {"token_bucket": bucket}


def _bucket(burst: int, tokens: int, interval: float = 1) -> Config:
    return {"max_tokens": burst, "tokens_per_fill": tokens, "fill_interval": seconds(interval)}


def _limit(stat_prefix: str, keys: dict[str, Config], bucket: Config) -> Config:
    """A bucket for each value of each key.

    Where the limit is a route's own, Envoy demands a `token_bucket` for requests without any key.
    """
    return typed(
        _MESSAGE,
        stat_prefix=stat_prefix,
        filter_enabled=always(),
        filter_enforced=always(),
        rate_limits=[{"actions": [action]} for action in keys.values()],
        descriptors=[{"entries": [{"key": key}], "token_bucket": bucket} for key in keys],
        always_consume_default_token_bucket=False,
        max_dynamic_descriptors=_BUCKETS,
        enable_x_ratelimit_headers="DRAFT_VERSION_03",
        rate_limited_as_resource_exhausted=True,
    )


def _claim(claim: str) -> Config:
    """A verified claim; an outside provider's token may lack `client_id`, none lacks `sub`."""
    path = [{"key": CLAIMS}, {"key": claim}]
    return {
        "metadata": {
            "descriptor_key": claim,
            "metadata_key": {"key": JWT_FILTER, "path": path},
            "source": "DYNAMIC",
            "skip_if_absent": True,
        }
    }


def _addresses() -> dict[str, Config]:
    """The caller's address; of IPv6 the /64, which is what one subscriber has.

    Proxies may write IPv4 addresses as IPv6 ones (RFC 4291, 2.5.5.2), which all have the same /64.
    """
    address = "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
    return {
        "ipv4_address": _address("ipv4_address", f"%{address}%", is_ipv4=True),
        "ipv6_network": _address("ipv6_network", f"%{address}(64)%", is_ipv4=False),
    }


def _address(key: str, value: str, is_ipv4: bool) -> Config:
    ipv4 = [
        {"address_prefix": "0.0.0.0", "prefix_len": 0},  # noqa: S104 - no address to listen at
        {"address_prefix": "::ffff:0:0", "prefix_len": 96},
    ]
    return {
        "remote_address_match": {
            "descriptor_key": key,
            "descriptor_value": value,
            "address_matcher": {"ranges": ipv4, "invert_match": not is_ipv4},
        }
    }
