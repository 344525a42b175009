"""The tools for agents and the OpenAPI document are made of the same schemas."""

from typing import Any

import jsonschema
import pytest

from zimun_gateway.openapi import document, tools

from ..support.gateway import DESCRIPTORS

TOOLS = {entry["tool"]["name"]: entry for entry in tools(DESCRIPTORS)}
OPENAPI = document(DESCRIPTORS)
OPERATIONS = {
    operation["operationId"]: operation
    for path in OPENAPI["paths"].values()
    for operation in path.values()
}
CHANGING = {"create_hold", "create_booking", "reschedule_appointment", "cancel_appointment"}
PERSONAL = {"contact_name", "contact_email", "contact_phone", "notes", "metadata", "note"}


def names(schema: Any) -> set[str]:
    """The names of all properties, at any depth."""
    if isinstance(schema, list):
        return set().union(*map(names, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(names, schema.values()))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    others = {key: value for key, value in schema.items() if key != "$ref"}
    return OPENAPI["components"]["schemas"][name] | others if name else schema


def arguments(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of each parameter, or field of the body, of an operation."""
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        return dict(resolved(body)["properties"])
    return {
        parameter["name"]: resolved(parameter["schema"]) | {"description": parameter["description"]}
        for parameter in operation["parameters"]
        if "name" in parameter
    }


@pytest.mark.parametrize("name", TOOLS)
def test_schemas_of_a_tool_are_valid_and_without_references(name: str) -> None:
    tool = TOOLS[name]["tool"]
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert "$ref" not in str(schema)


@pytest.mark.parametrize("name", TOOLS)
def test_arguments_of_a_tool_are_those_of_its_operations(name: str) -> None:
    operations = [OPERATIONS[path.rpartition("/")[2]] for path in TOOLS[name]["methods"].values()]
    known: dict[str, Any] = {}
    for operation in operations:
        known |= arguments(operation)
    properties = TOOLS[name]["tool"]["inputSchema"]["properties"]
    for argument, schema in properties.items():
        if argument == "idempotency_key":
            key = OPENAPI["components"]["parameters"]["IdempotencyKey"]
            assert schema == key["schema"] | {"description": key["description"]}
        else:
            assert schema == resolved(known[argument])


@pytest.mark.parametrize("name", TOOLS)
def test_answer_of_a_tool_tells_nothing_of_a_contact(name: str) -> None:
    assert not names(TOOLS[name]["tool"]["outputSchema"]) & PERSONAL


@pytest.mark.parametrize("name", TOOLS)
def test_description_of_a_tool_speaks_of_no_scope_and_of_no_argument_that_agents_lack(
    name: str,
) -> None:
    description = TOOLS[name]["tool"]["description"]
    assert "scope" not in description.lower()
    assert "ignored_rules" not in description


def test_tools_that_change_something_require_a_key_and_are_annotated() -> None:
    keyed = {
        name
        for name, entry in TOOLS.items()
        if "idempotency_key" in entry["tool"]["inputSchema"].get("required", ())
    }
    writing = {
        name for name, entry in TOOLS.items() if not entry["tool"]["annotations"]["readOnlyHint"]
    }
    assert keyed == writing == CHANGING
