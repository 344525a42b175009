"""Compression of JSON answers for clients that ask for it (RFC 9110, 8.4 and 12.5.3).

Only the routes of the JSON API have it. An answer of the token endpoint is never compressed: its
length would tell of a secret (BREACH, CVE-2013-3587), and no answer of the API has credentials.
gRPC has a compression of its own.
"""

from .config import Config, extension, typed

MIN_BYTES = 1024
"""Bytes of the shortest answer that is compressed: a packet has some 1,400."""

_FILTER = "envoy.filters.http.compressor"
_GZIP = "extensions.compression.gzip.compressor.v3.Gzip"


def compression_filter() -> Config:
    """Return the filter, which is disabled except on routes with `compressed`.

    It stands before the filters that write or rewrite JSON: answers pass the list in reverse.
    """
    compressor = extension(
        _FILTER,
        "extensions.filters.http.compressor.v3.Compressor",
        response_direction_config={
            "common_config": {
                "min_content_length": MIN_BYTES,
                "content_type": ["application/json"],
            }
        },
        compressor_library=extension("gzip", _GZIP, compression_level="BEST_SPEED"),
    )
    return compressor | {"disabled": True}


def compressed() -> Config:
    """Return typed_per_filter_config for a route whose JSON is compressed."""
    return {_FILTER: typed("config.route.v3.FilterConfig", config={})}
