"""Files that Envoy serves by itself: the OpenAPI document, the page at /docs, discovery files.

Callers need no token, so they have few streams at a time (`SITE`), and only the paths that are
listed here: Envoy's file server is marked as work in progress, and no caller can make it open any
other file. It reads a file as fast as its caller does, so that slow callers take no memory; a
response that the routes hold whole (`direct_response`) would.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from . import site
from .clusters import OPEN
from .config import Config, extension, seconds, typed
from .rate_limits import SITE, streams_by_address
from .settings import Settings
from .transcoding import untranscoded

DOCS = "/docs"
SWAGGER_UI = f"{DOCS}/swagger-ui"
SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")

_FILTER = "envoy.filters.http.file_server"
_HEADERS = "zimun.headers_of_files"
_MUTATION = "extensions.filters.http.header_mutation.v3.HeaderMutation"
_MESSAGE = "extensions.filters.http.file_server.v3.FileServerConfig"

_LINKSET = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'

_CONTENT_TYPES = {
    "json": "application/json",
    "yaml": "application/yaml",
    "txt": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "api-catalog": _LINKSET,
}
"""Content types by file extension; by file name where there is none."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing from outside, nothing inline."""

HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "public, max-age=300",
}


def swagger_ui() -> Path:
    """The directory of Swagger UI's files in the package that brings them.

    Raises FileNotFoundError where it is not installed.
    """
    package = find_spec("flask_swagger_ui")
    if package is None or package.origin is None:
        raise FileNotFoundError("there is no Swagger UI: install the extra zimun[gateway]")
    return Path(package.origin).parent / "dist"


def file_filters(settings: Settings) -> list[Config]:
    """The filter that adds HEADERS and removes Range, then the file server.

    Both are disabled except on the route of the files; there are none without a site.
    """
    if settings.site is None:
        return []
    mappings = {
        "/": settings.site,
        "/.well-known/": settings.site / "well-known",
        f"{SWAGGER_UI}/": settings.swagger_ui,
    }
    server = extension(
        _FILTER,
        _MESSAGE,
        manager_config={"thread_pool": {"thread_count": 1}},
        path_mappings=[
            {"request_path_prefix": prefix, "file_path_prefix": f"{directory}/"}
            for prefix, directory in mappings.items()
        ],
        content_types=_CONTENT_TYPES,
        directory_behaviors=[{"default_file": "index.html"}],
    )
    added = [{"append": {"header": {"key": k, "value": v}}} for k, v in HEADERS.items()]
    mutations = {"request_mutations": [{"remove": "range"}], "response_mutations": added}
    headers = extension(_HEADERS, _MUTATION, mutations=mutations)
    return [headers | {"disabled": True}, server | {"disabled": True}]


def site_routes(settings: Settings) -> list[Config]:
    """The routes of the files, and of `/`, which leads to the page."""
    if settings.site is None:
        return []
    limits = streams_by_address(settings, SITE) | untranscoded()
    home: Config = {
        "match": {"path": "/", "headers": [reads()]},
        "redirect": {"path_redirect": DOCS, "response_code": "FOUND"},
        "typed_per_filter_config": limits,
    }
    enabled = typed("config.route.v3.FilterConfig", config={})
    files = _files(limits | {_HEADERS: enabled, _FILTER: enabled})
    return [home, files]


def _files(filters: Config) -> Config:
    """One route for all files. No server gets such a request: the route names a cluster because
    only a route with a cluster can have limits of time."""
    lifetime = seconds(SITE.lifetime)
    return {
        "match": {"safe_regex": {"regex": _paths()}, "headers": [reads()]},
        "route": {
            "cluster": OPEN,
            "timeout": "0s",
            "max_stream_duration": {"max_stream_duration": lifetime},
        },
        "typed_per_filter_config": filters,
    }


def _paths() -> str:
    """A regular expression of exactly the paths that have a file."""
    swagger_ui = (f"{SWAGGER_UI}/{name}" for name in SWAGGER_FILES)
    return "|".join(map(re.escape, [*site.PATHS, *swagger_ui]))


def reads() -> Config:
    """Matches the methods that read."""
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
