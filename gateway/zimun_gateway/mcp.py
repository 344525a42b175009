"""The endpoint for agents, `POST /o/{org_id}/mcp` (Model Context Protocol, streamable HTTP).

A server answers it at the port of the tokens, where HTTP/1.1 is spoken. There are no sessions, so
no GET and no DELETE. Envoy's own filter `mcp_json_rest_bridge` knows nothing of an organization's
settings, and is work in progress.
"""

from .affinity import hash_by_organization
from .auth import requires_token
from .clusters import MCP
from .compression import compressed
from .config import Config, header, seconds
from .cors import readable_by_pages
from .fairness import shared_fairly
from .headers import MCP_TIMEOUT
from .local_replies import MCP_PATH, MCP_ROUTE
from .rate_limits import limited_by_address, limited_by_client, limited_by_latency
from .request_checks import mcp_checks
from .settings import Settings
from .transcoding import untranscoded


def mcp_routes(settings: Settings) -> list[Config]:
    """The route of messages, and those that refuse all other methods."""
    return [_messages(settings), *readable_by_pages(_other_methods(settings), settings)]


def _messages(settings: Settings) -> Config:
    limit = seconds(settings.request_timeout)
    return {
        "name": MCP_ROUTE,
        "match": _match() | {"headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        "route": {
            "cluster": MCP,
            "timeout": limit,
            "max_stream_duration": {"max_stream_duration": limit},
            "hash_policy": hash_by_organization(),
        },
        "request_headers_to_add": [header(MCP_TIMEOUT, limit.removesuffix("s"))],
        "typed_per_filter_config": requires_token()
        | limited_by_client(settings, settings.mcp_rate_limit)
        | limited_by_latency(settings)
        | shared_fairly(settings)
        | mcp_checks(settings)
        | compressed()
        | untranscoded(),
    }


def _other_methods(settings: Settings) -> Config:
    return {
        "name": MCP_ROUTE,
        "match": _match(),
        "direct_response": {"status": 405},
        "response_headers_to_add": [header("allow", "POST")],
        "typed_per_filter_config": limited_by_address(settings, settings.rate_limit)
        | untranscoded(),
    }


def _match() -> Config:
    return {"safe_regex": {"regex": MCP_PATH}}
