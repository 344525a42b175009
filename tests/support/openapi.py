"""The OpenAPI document as a caller reads it."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DOCUMENT: Json = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())


def resolved(part: Json) -> Json:
    """What a reference leads to."""
    while "$ref" in part:
        target = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part
