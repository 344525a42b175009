"""Envoy's own errors at the token endpoint, in the form of RFC 6749, section 5.2.

    {"error": "temporarily_unavailable", "error_description": "too many requests"}

The section has no code for an endpoint that cannot answer now. `temporarily_unavailable` is
registered for the authorization endpoint (4.1.2.1), but it is the one that says so, the server
itself uses it here, and the status and Retry-After tell a client that does not know it the same.
A token that was issued and lost on the way does no harm, so every such failure may be retried.
"""

from . import request_checks
from .config import Config, header
from .local_replies import RETRY_SECONDS, details_have, either, status_is

_LATER = "temporarily_unavailable"
_INVALID = "invalid_request"
_LARGE_HEADERS = either(details_have(request_checks.HEADERS), status_is(431))
_RETRY = {"retry-after": str(RETRY_SECONDS)}


def token_replies() -> list[Config]:
    """Mappers that come before those of every other path; the first match counts."""
    return [
        _mapper(status_is(429), _LATER, "too many requests", _RETRY),
        _mapper(status_is(503), _LATER, "the token endpoint cannot answer now", _RETRY),
        _mapper(either(status_is(408), status_is(504)), _LATER, "the request took too long"),
        _mapper(status_is(500, "GE"), _LATER, "the token endpoint cannot answer now"),
        _mapper(_LARGE_HEADERS, _INVALID, "the headers are too large") | {"status_code": 431},
        _mapper(status_is(413), _INVALID, "the request is too large"),
        _mapper(status_is(400, "GE"), _INVALID, "the request cannot be understood"),
    ]


def _mapper(
    when: Config, error: str, description: str, headers: dict[str, str] | None = None
) -> Config:
    added = {"cache-control": "no-store"} | (headers or {})
    return {
        "filter": {"and_filter": {"filters": [when, _on_token_endpoint()]}},
        "headers_to_add": [header(*pair) for pair in added.items()],
        "body_format_override": {"json_format": {"error": error, "error_description": description}},
    }


def _on_token_endpoint() -> Config:
    path = {"safe_regex": {"regex": r"/oauth/token(\?.*)?"}}
    return {"header_filter": {"header": {"name": ":path", "string_match": path}}}
