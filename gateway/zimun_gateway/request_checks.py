"""Checks of the request line and the headers, before anything else is done for a request.

Each check is a policy of Envoy's RBAC filter, whose name `local_replies.py` finds in the details of
the local reply. The filter sees a request once slashes are merged.
"""

import re
from urllib.parse import urlsplit

from .config import Config, extension, typed
from .settings import Settings

MAX_HEADERS_KIB = 32
"""Of all headers of a request, with the path and the query; above it the answer is 431.

The longest value of any field is far shorter, and the server takes twice as much, so that it never
refuses by itself what passed here.
"""

MAX_CODEC_HEADERS_KIB = 96
"""What Envoy reads at all: HTTP/2 has no answer for headers that were not read, only a reset."""

FILTER = "envoy.filters.http.rbac"

PATH = "bad_path"
HEADERS = "headers_too_large"
IDEMPOTENCY_KEY = "bad_idempotency_key"
CONDITION = "condition_in_header"
ORIGIN = "foreign_origin"
GRPC_TIMEOUT = "bad_grpc_timeout"
GRPC_ENCODING = "bad_grpc_encoding"
GRPC_CONTENT_TYPE = "bad_grpc_content_type"

_MESSAGE = "extensions.filters.http.rbac.v3"
_PATH = r"/(?:[\w.~!$&'()*+,=:@/-]|%[2-9A-Fa-f][0-9A-Fa-f])*"
"""Characters of RFC 3986, 3.3, but for `;`, which some programs cut paths at."""
_DOTS = r".*/\.{1,2}(?:/.*)?|.*%2[Ee].*|.*%5[Cc].*"
_EMPTY_END = ".*/"
"""The transcoder would take the path of an entry without its id for the list."""

_NOTHING = r"[^\s\S]"
"""Matches no text; Envoy takes no empty regular expression."""

_GRPC_TYPES = r"application/grpc(?:-web(?:-text)?)?(?:\+proto)?(?:;.*)?"


def check_filter() -> Config:
    """The RBAC filter that the checks are policies of."""
    return extension(FILTER, f"{_MESSAGE}.RBAC", rules=_denied(_everywhere()))


def json_checks() -> Config:
    """Return typed_per_filter_config for JSON routes."""
    path = _any_of(*_BAD_PATHS, _path_is(_EMPTY_END))
    conditions = _any_of(*_CONDITIONS)
    return _on_route(_everywhere() | _of_clients() | {PATH: path, CONDITION: conditions})


def mcp_checks(settings: Settings) -> Config:
    """Return typed_per_filter_config for the endpoint for agents.

    It checks the Origin, which browsers send, as the protocol demands: a page elsewhere could call
    a server that its reader can reach (DNS rebinding).
    """
    return _on_route(_everywhere() | {ORIGIN: _unlike("origin", _origins(settings))})


def _origins(settings: Settings) -> str:
    """A regular expression of the origins of our own pages, where our address is known, and of
    those that CORS allows."""
    if "*" in settings.cors_origins:
        return ".*"
    base = urlsplit(settings.resource)
    own = (f"{base.scheme}://{base.netloc}",) if settings.resource else ()
    return "|".join(map(re.escape, (*own, *settings.cors_origins))) or _NOTHING


def grpc_checks() -> Config:
    """Return typed_per_filter_config for gRPC routes: headers that the server's gRPC parses."""
    return _on_route(
        _everywhere()
        | _of_clients()
        | {
            PATH: _unlike(":path", r"/[\w.]{1,64}/\w{1,64}"),
            GRPC_TIMEOUT: _unlike("grpc-timeout", "[0-9]{1,8}[HMSmun]"),
            GRPC_ENCODING: _unlike("grpc-encoding", "identity|deflate|gzip"),
            GRPC_CONTENT_TYPE: _unlike("content-type", _GRPC_TYPES),
        }
    )


def _everywhere() -> Config:
    return {PATH: _any_of(*_BAD_PATHS), HEADERS: _too_large()}


def _of_clients() -> Config:
    return {IDEMPOTENCY_KEY: _unlike("idempotency-key", "[ -~]{1,255}")}


_CONDITIONS: tuple[Config, ...] = (
    {"header": {"name": "if-match", "present_match": True}},
    {"header": {"name": "if-unmodified-since", "present_match": True}},
)
"""Preconditions (RFC 9110, 13.1) must not be ignored; ours is the field `etag`."""


def _on_route(policies: Config) -> Config:
    return {FILTER: typed(f"{_MESSAGE}.RBACPerRoute", rbac={"rules": _denied(policies)})}


def _denied(policies: Config) -> Config:
    any_principal = {"principals": [{"any": True}]}
    return {"action": "DENY", "policies": {name: any_principal | p for name, p in policies.items()}}


def _any_of(*permissions: Config) -> Config:
    return {"permissions": list(permissions)}


def _unlike(header: str, regex: str) -> Config:
    """A header that is present and does not match; repeated ones are joined with commas."""
    match = {"safe_regex": {"regex": regex}}
    return _any_of({"header": {"name": header, "string_match": match, "invert_match": True}})


def _path_is(regex: str) -> Config:
    return {"url_path": {"path": {"safe_regex": {"regex": regex}}}}


_BAD_PATHS: tuple[Config, ...] = ({"not_rule": _path_is(_PATH)}, _path_is(_DOTS))


def _too_large() -> Config:
    """CEL's `request.total_size > …`: the headers, as a body is not read yet."""
    size = {"select_expr": {"operand": {"ident_expr": {"name": "request"}}, "field": "total_size"}}
    limit = {"const_expr": {"int64_value": MAX_HEADERS_KIB * 1024}}
    above = {"call_expr": {"function": "_>_", "args": [size, limit]}}
    return _any_of({"any": True}) | {"condition": above}
