"""Files by which programs discover the API: llms.txt and the API catalogue."""

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]

API_CATALOG: Object = {
    "linkset": [
        {"anchor": "/.well-known/api-catalog", "item": [{"href": "/api/v1"}]},
        {
            "anchor": "/api/v1",
            "service-desc": [
                {"href": "/openapi.json", "type": "application/json"},
                {"href": "/openapi.yaml", "type": "application/yaml"},
            ],
            "service-doc": [
                {"href": "/docs", "type": "text/html"},
                {"href": "/llms.txt", "type": "text/plain"},
            ],
            "service-meta": [
                {"href": "/.well-known/oauth-protected-resource", "type": "application/json"}
            ],
        },
    ]
}
"""The API catalogue (RFC 9727) as a linkset (RFC 9264); its references are relative to it."""


def llms_txt(openapi: Object, guides: Iterable[str]) -> str:
    """The API for language models, in the form of llmstxt.org: Markdown, links first."""
    return "\n".join(
        [
            f"# {openapi['info']['title']}",
            "",
            f"> {openapi['info']['summary']}",
            "",
            openapi["info"]["description"].strip(),
            "",
            "## Documents",
            "",
            "- [OpenAPI 3.1](/openapi.yaml): every operation, field, limit and error",
            "- [The same as JSON](/openapi.json)",
            "- [A page to try it on](/docs)",
            "- [Tools for agents](/docs/guides/agents.html): the Model Context Protocol at "
            "`/o/{org_id}/mcp`, where the organization admits agents",
            "",
            "## Guides",
            "",
            *(f"- [{name.replace('-', ' ')}](/docs/guides/{name}.html)" for name in guides),
            "",
            "## Operations",
            "",
            *_operations(openapi),
            "",
        ]
    )


def _operations(openapi: Object) -> list[str]:
    return [
        f"- `{verb.upper()} {path}`: {operation['summary']}"
        for path, verbs in openapi["paths"].items()
        for verb, operation in verbs.items()
    ]
