"""The headers of a caller that are forwarded: those that the server reads, and no others.

A header that the server cannot parse does harm beyond its own request: gRPC keeps the failure in
the header compression table (RFC 7541) of the connection, which Envoy shares among all callers.
What the server parses is therefore checked (`request_checks.py`), and everything else is removed.
"""

import re
from collections.abc import Iterable

from .config import Config, extension, typed

_ALWAYS = (":authority", ":method", ":path", ":scheme", "content-type", "x-request-id")

TO_SERVER = (
    *_ALWAYS,
    "authorization",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "idempotency-key",
    "te",
    "traceparent",
    "tracestate",
)

ADDRESS = "x-zimun-address"
"""The header with the caller's address, which Envoy sets for the token endpoint."""

TO_TOKEN_ENDPOINT = (
    *_ALWAYS,
    "authorization",
    "content-length",
    "transfer-encoding",
    ADDRESS,
)

MCP_TIMEOUT = "x-zimun-timeout"
"""The header with the seconds for which Envoy waits for the endpoint for agents."""

TO_MCP = (
    *_ALWAYS,
    "accept",
    "authorization",
    "content-length",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    MCP_TIMEOUT,
)

GRPC_REQUEST = ("grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "te")
"""Headers that only a gRPC caller may send; for others the transcoder and the router write them."""

GRPC_RESPONSE = ("grpc-status", "grpc-message", "grpc-accept-encoding", "grpc-encoding")
"""Headers of gRPC that the transcoder leaves in a successful response."""

LOGGED_HEADERS = {
    "method": "%REQ(:METHOD):16%",
    "user_agent": "%REQ(USER-AGENT):100%",
}
"""The logged headers of a request, with the most bytes of each; `log_path.py` logs the path."""

_FILTER = "envoy.filters.http.header_mutation"
_KEY = "zimun.request."
_MESSAGE = "extensions.filters.http.header_mutation.v3"


def logged_headers_filter() -> Config:
    """The filter that stores LOGGED_HEADERS for the log before other filters change them."""
    values = [
        {
            "object_key": f"{_KEY}{name}",
            "factory_key": "envoy.string",
            "format_string": {
                "text_format_source": {"inline_string": value},
                "omit_empty_values": True,
            },
            "skip_if_empty": True,
        }
        for name, value in LOGGED_HEADERS.items()
    ]
    return extension(
        "zimun.remember_request",
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=values,
    )


def logged_header(name: str) -> str:
    """The access log's operator for one of LOGGED_HEADERS."""
    return f"%FILTER_STATE({_KEY}{name}:PLAIN)%"


def header_filter() -> Config:
    """The filter that removes headers, on routes with `without_headers` alone.

    It comes before the transcoder in the list, as responses pass the filters in reverse.
    """
    return extension(_FILTER, f"{_MESSAGE}.HeaderMutation")


def without_headers(request: Iterable[str], response: Iterable[str] = ()) -> Config:
    """typed_per_filter_config of a route that removes these headers of requests and responses."""
    mutations = {
        "request_mutations": [{"remove": name} for name in request],
        "response_mutations": [{"remove": name} for name in response],
    }
    return {_FILTER: typed(f"{_MESSAGE}.HeaderMutationPerRoute", mutations=mutations)}


def forwarding_filters(names: Iterable[str]) -> list[Config]:
    """The last filters of a request, which forward only these headers.

    The first has a name of its own, as a route's configuration applies to all filters of a name.
    """
    others = any_other_than(names)
    removed = {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": others}}}}
    mutations = {"request_mutations": [removed]}
    return [
        extension("zimun.forwarded", f"{_MESSAGE}.HeaderMutation", mutations=mutations),
        extension(
            "envoy.filters.http.upstream_codec",
            "extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        ),
    ]


def any_other_than(words: Iterable[str]) -> str:
    """A regular expression of all texts but these words; RE2 has no negative lookahead."""
    left = set(words)
    heads = sorted({word[0] for word in left if word})
    branches = [
        re.escape(head) + any_other_than(word[1:] for word in left if word[:1] == head)
        for head in heads
    ]
    others = f"[^{''.join(map(re.escape, heads))}].*" if heads else ".+"
    return f"(?:{'|'.join([*branches, others])}){'' if '' in left else '?'}"
