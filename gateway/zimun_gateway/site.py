"""The files that describe the API to people and machines, written from the contract.

They are committed in `site/`, beside the pages that are written by hand, so that an installation
has them without a step of its own; `python -m zimun_gateway --check` tells when they are stale.
"""

import json
from pathlib import Path

import yaml

from .discovery import API_CATALOG, llms_txt
from .openapi import document, tools
from .yaml_text import PlainDumper, yaml_text

TOOLS = Path("server/zimun/mcp/tools.json")
"""The tools of the MCP endpoint, which the server reads; a path from the root of the repository."""

DIRECTORY = Path(__file__).parent / "site"

GUIDES = {
    "quick-start": "guides/quick-start.md",
    "hold-and-confirm": "guides/hold-and-confirm.md",
    "availability": "guides/availability.md",
    "availability-rules": "availability.md",
    "time-zones": "guides/time-zones.md",
    "errors-and-retries": "guides/errors-and-retries.md",
    "idempotency": "guides/idempotency.md",
    "group-services": "guides/group-services.md",
    "agents": "guides/agents.md",
    "security": "guides/security.md",
    "operations": "operations.md",
    "scaling": "scaling.md",
}
"""The file below docs/ of each guide, by the name of its page, in the order of the lists."""

PATHS = {
    "/docs": "docs",
    "/docs/": "docs",
    "/docs/page.css": "docs/page.css",
    "/docs/page.js": "docs/page.js",
    "/openapi.json": "openapi.json",
    "/openapi.yaml": "openapi.yaml",
    "/llms.txt": "llms.txt",
    "/.well-known/api-catalog": "well-known/api-catalog",
    **{f"/docs/guides/{name}.html": f"docs/guides/{name}.html" for name in GUIDES},
}
"""Where each file, or directory with an index.html, is served."""


def generated(descriptors: Path) -> dict[str, str]:
    """The text of each generated file, by its path below `site/` or from the root.

    The guides are read from the working directory, which is the root of the repository.
    """
    from .guides import pages  # what renders them is for development alone

    openapi = document(descriptors)
    return {
        "openapi.json": openapi_json(openapi),
        "openapi.yaml": openapi_yaml(openapi),
        "llms.txt": llms_txt(openapi, GUIDES),
        "well-known/api-catalog": json.dumps(API_CATALOG, indent=1) + "\n",
        **pages(Path("docs")),
        str(TOOLS.absolute()): openapi_json(tools(descriptors)),
    }


def write(descriptors: Path) -> None:
    """Write the generated files."""
    for name, text in generated(descriptors).items():
        file = DIRECTORY / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def stale(descriptors: Path) -> list[str]:
    """The generated files that are not what the contract says now."""
    return [
        name
        for name, text in generated(descriptors).items()
        if not (DIRECTORY / name).is_file() or (DIRECTORY / name).read_text() != text
    ]


def openapi_json(openapi: object) -> str:
    """The document as JSON."""
    return json.dumps(openapi, indent=1, ensure_ascii=False) + "\n"


def openapi_yaml(openapi: object) -> str:
    """The document as YAML without anchors, long texts in blocks."""
    return yaml_text(openapi, _BlockDumper)


class _BlockDumper(PlainDumper):
    """Dumps texts of several lines in blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BlockDumper.add_representer(str, _text)
