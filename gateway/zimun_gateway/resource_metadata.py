"""The metadata of protected resources (RFC 9728), by which clients find out where tokens come from.

The API is one resource, whose identifier is the base URL. The endpoint for agents of each
organization is another: a client must not use metadata that name any other URL than the one it
calls (3.3). Every id that an organization may have has metadata, so that they do not tell which
organizations there are.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from .config import Config
from .cors import readable_by_pages
from .local_replies import MCP_PATH
from .openapi import required_scopes, tool_scopes
from .rate_limits import SITE, streams_by_address
from .settings import Settings
from .static_files import DOCS, reads
from .transcoding import untranscoded

PATH = "/.well-known/oauth-protected-resource"

_ENDPOINT = r"%CEL(re.extract(request.url_path, '/o/[^/]+/mcp$', '\\0'))%"
"""Envoy's operator for the path of the endpoint whose metadata are asked for."""


def metadata_routes(settings: Settings) -> list[Config]:
    """The routes of the metadata, where the base URL is known.

    Those of the API are a part of the site. Those of the endpoints are served without it, too, as
    agents find the token endpoint by them.
    """
    if not settings.resource:
        return []
    endpoints = _document(settings, tool_scopes(settings.descriptors), _ENDPOINT)
    routes = _routes(settings, MCP_PATH, endpoints)
    if settings.site:
        routes += _routes(settings, "", _document(settings, required_scopes(settings.descriptors)))
    return routes


def agent_challenge(settings: Settings) -> str:
    """The parameters of WWW-Authenticate that tell a refused agent what to ask for, and where.

    They have Envoy's operator for the path of the request.
    """
    challenge = f', scope="{" ".join(tool_scopes(settings.descriptors))}"'
    if settings.resource:
        challenge += f', resource_metadata="{settings.resource}{PATH}%PATH(NQ:PATH)%"'
    return challenge


def _document(settings: Settings, scopes: Iterable[str], path: str = "") -> Config:
    """The metadata of the resource at a path, as a format of Envoy, where % begins an operator."""
    documentation = {"resource_documentation": f"{settings.resource}{DOCS}"}
    return {
        "resource": f"{settings.resource}{path}",
        "authorization_servers": [settings.issuer.replace("%", "%%")],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": "Zimun",
        **(documentation if settings.site else {}),
    }


def _routes(settings: Settings, path: str, document: Config) -> list[Config]:
    """The routes of a document, for resources at a path below the base URL (a regular expression).

    Its place is the well-known path before that of the resource (3.1). A proxy that serves us below
    a path of its own may take that path away.
    """
    base = urlsplit(settings.resource).path
    places = re.escape(PATH) + (f"(?:{re.escape(base)})?" if base else "")
    route: Config = {
        "match": {
            "safe_regex": {"regex": places + path},
            "headers": [reads()],
        },
        "direct_response": {"status": 200, "body_format": {"json_format": document}},
        "typed_per_filter_config": streams_by_address(settings, SITE) | untranscoded(),
    }
    return readable_by_pages(route, settings)
