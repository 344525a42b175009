"""Which of a caller's headers go on to the server: those that it reads, and no others.

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

TO_TOKEN_ENDPOINT = (
    *_ALWAYS,
    "authorization",
    "content-length",
    "transfer-encoding",
    "x-forwarded-for",
)

MCP_TIMEOUT = "x-zimun-timeout"
"""How many seconds Envoy waits for the response of the endpoint for agents."""

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

REMEMBERED = {
    "method": "%REQ(:METHOD):16%",
    "user_agent": "%REQ(USER-AGENT):100%",
}
"""The logged headers of a request, cut to so many bytes; `log_path.py` writes the path."""

_FILTER = "envoy.filters.http.header_mutation"
_KEY = "zimun.request."
_MESSAGE = "extensions.filters.http.header_mutation.v3"


def remembering_filter() -> Config:
    """Return the filter that keeps REMEMBERED for the log: the headers themselves will change."""
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
        for name, value in REMEMBERED.items()
    ]
    return extension(
        "zimun.remember_request",
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=values,
    )


def remembered(name: str) -> str:
    """Return the log's operator for one of REMEMBERED."""
    return f"%FILTER_STATE({_KEY}{name}:PLAIN)%"


def header_filter() -> Config:
    """Return the filter that acts on routes with `without_headers` alone.

    It stands before the transcoder in the list: answers pass the filters in reverse.
    """
    return extension(_FILTER, f"{_MESSAGE}.HeaderMutation")


def without_headers(request: Iterable[str], response: Iterable[str] = ()) -> Config:
    """Return typed_per_filter_config for a route that takes these off requests and answers."""
    mutations = {
        "request_mutations": [{"remove": name} for name in request],
        "response_mutations": [{"remove": name} for name in response],
    }
    return {_FILTER: typed(f"{_MESSAGE}.HeaderMutationPerRoute", mutations=mutations)}


def forwarding_filters(names: Iterable[str]) -> list[Config]:
    """Return the last filters of a request, which forward only these headers.

    The first has a name of its own, as a route's configuration goes to every filter of its name.
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
    """Return a regular expression of all texts but these; RE2 has no negative lookahead."""
    left = set(words)
    heads = sorted({word[0] for word in left if word})
    branches = [
        re.escape(head) + any_other_than(word[1:] for word in left if word[:1] == head)
        for head in heads
    ]
    others = f"[^{''.join(map(re.escape, heads))}].*" if heads else ".+"
    return f"(?:{'|'.join([*branches, others])}){'' if '' in left else '?'}"
