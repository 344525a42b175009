"""Checks that Schemathesis makes beside its own (SCHEMATHESIS_HOOKS).

They stand for those that schemathesis.toml turns off. Its negative_data_rejection does not know
proto3 JSON, in which a field may be absent, null or, unless it is required, the empty text, and an
enum's value may be its number; and the body is JSON, whatever its Content-Type.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from jsonschema import Draft202012Validator

from tests.support.openapi import DOCUMENT, Json, resolved

OPERATIONS: dict[str, Json] = {
    f"{verb.upper()} {path}": operation
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
}
_FORMATS = Draft202012Validator.FORMAT_CHECKER


@schemathesis.check
def accepted_request_is_one_of_the_document(_: Any, response: Any, case: Any) -> None:
    """What is answered 200 fits the schemas of query and body."""
    operation = OPERATIONS.get(f"{case.method} {case.path}")
    if operation and response.status_code < 300:
        request = response.request
        assert violations(operation, request.url, request.body) == []


@schemathesis.check
def refusal_has_a_reason_of_the_document(_: Any, response: Any, case: Any) -> None:
    """The reason of an error is that of an example of the operation and the status."""
    operation = OPERATIONS.get(f"{case.method} {case.path}")
    if operation and response.status_code >= 400 and case.method != "HEAD":
        assert reason_of(response.json()) in reasons(operation, response.status_code)


def reasons(operation: Json, status: int) -> set[str]:
    """The reasons of the examples of a status."""
    response = resolved(operation["responses"].get(str(status), {"content": {}}))
    examples = response["content"].get("application/json", {"examples": {}})["examples"]
    return {reason_of(resolved(example)["value"]) for example in examples.values()}


def reason_of(error: Json) -> str:
    """The reason of the first detail."""
    reason: str = error["details"][0]["reason"]
    return reason


def violations(operation: Json, url: str, body: str | bytes | None) -> list[str]:
    """How a request differs from what the document says."""
    parameters = map(resolved, operation.get("parameters", ()))
    known = {each["name"]: each for each in parameters if each["in"] == "query"}
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    differences = [f"{name}: unknown" for name, _ in query if name not in known]
    for name, text in query:
        if name in known and (text or known[name].get("required")):
            schema = known[name]["schema"]
            value = canonical(_typed(schema, text), schema)
            if value is not None or known[name].get("required"):
                differences += _errors(schema, value)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        differences += _errors(schema, canonical(json.loads(body or "{}"), schema))
    return differences


def canonical(value: Any, schema: Json) -> Any:
    """A value of proto3 JSON in the one form that the document has; None stands for absent."""
    schema = resolved(schema)
    if isinstance(value, dict):
        properties, required = schema.get("properties", {}), schema.get("required", ())
        given = {name: canonical(part, properties.get(name, {})) for name, part in value.items()}
        return {
            name: part
            for name, part in given.items()
            if part is not None and (part != "" or name in required)
        }
    if isinstance(value, list):
        return [canonical(part, schema.get("items", {})) for part in value]
    names = schema.get("enum")
    if names and type(value) is int and 0 <= value <= len(names):
        return names[value - 1] if value else None  # the document leaves out the name of 0
    return value


def _typed(schema: Json, text: str) -> Any:
    """The value that a parameter's text stands for."""
    schema = resolved(schema)
    if schema.get("type") == "array":
        return [_typed(schema["items"], text)]
    is_number = schema.get("type") == "integer" or "enum" in schema
    if is_number and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return (
        {"true": True, "false": False}.get(text, text) if schema.get("type") == "boolean" else text
    )


def _errors(schema: Json, value: Any) -> list[str]:
    whole = schema | {"components": DOCUMENT["components"]}
    validator = Draft202012Validator(whole, format_checker=_FORMATS)
    return [error.message for error in validator.iter_errors(value)]
