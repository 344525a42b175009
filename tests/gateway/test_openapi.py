"""The OpenAPI document: valid, whole, and no stricter or laxer than the server."""

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.rpc.code_pb2 import Code
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from zimun.domain.identity import SCOPES
from zimun.rpc import validation as server
from zimun.rpc.error_status import CODES
from zimun.v1 import options_pb2
from zimun.v1.error_reason_pb2 import ErrorReason
from zimun_gateway import site
from zimun_gateway.__main__ import main
from zimun_gateway.descriptor_set import services, written
from zimun_gateway.openapi import document
from zimun_gateway.openapi.formats import request_scalar

from ..support.gateway import DESCRIPTORS
from ..support.openapi import resolved

DOCUMENT = document(DESCRIPTORS)
OPERATIONS = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
METHODS = {method.name: method for service in server.services() for method in service.methods}


def errors(schema: dict[str, Any], value: object) -> list[str]:
    whole = schema | {"components": DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def test_document_is_valid_openapi_3_1() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_committed_files_are_current(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert site.stale(DESCRIPTORS) == []
    assert Path("openapi.yaml").read_text() == site.openapi_yaml(DOCUMENT)


def test_stale_openapi_is_told(
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(site, "DIRECTORY", tmp_path)
    assert main(["--check", "envoy.yaml"]) == 1
    assert "openapi.json is stale" in capsys.readouterr().err


def test_every_method_that_is_served_is_an_operation() -> None:
    assert {service.full_name for service in server.services()} == set(services(DESCRIPTORS))
    assert set(METHODS) | {"CreateToken"} == set(OPERATIONS)


def test_scopes_are_those_of_the_server() -> None:
    flows = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]
    assert set(flows["clientCredentials"]["scopes"]) == set(SCOPES)
    for path, scope in server.required_scopes().items():
        assert OPERATIONS[path.rpartition("/")[2]]["security"] == [{"oauth2": [scope]}]


OF_AGENTS = {"ORGANIZATION_NOT_FOUND", "MCP_ACCESS_DENIED", "MCP_NOT_INSTALLED"}
"""Reasons of the endpoint for agents alone, which the document does not describe."""


def test_every_reason_has_an_example_in_an_operation() -> None:
    found = {
        example["value"]["details"][0]["reason"]
        for example in DOCUMENT["components"]["examples"].values()
    }
    assert found == set(ErrorReason.keys()) - OF_AGENTS - {"ERROR_REASON_UNSPECIFIED"}


def test_examples_of_errors_are_errors() -> None:
    for example in DOCUMENT["components"]["examples"].values():
        assert errors({"$ref": "#/components/schemas/Error"}, example["value"]) == []


def test_reasons_have_the_code_that_the_server_gives_them() -> None:
    codes: dict[str, set[str]] = {}
    for kind, code in CODES.items():
        for subclass in [kind, *kind.__subclasses__()]:
            if isinstance(reason := getattr(subclass, "reason", None), str):
                codes.setdefault(reason, set()).add(code.name)
    for example in DOCUMENT["components"]["examples"].values():
        reason = example["value"]["details"][0]["reason"]
        if reason in codes and reason not in ("REQUEST_REFUSED", "DEADLINE_EXCEEDED"):
            assert {example["value"]["code"]} == {_number(code) for code in codes[reason]}, reason


def _number(code: str) -> int:
    number: int = Code.Value(code)
    return number


def test_examples_fit_their_schemas() -> None:
    for operation in OPERATIONS.values():
        for parameter in operation.get("parameters", ()):
            if "example" in parameter:
                assert errors(parameter["schema"], parameter["example"]) == []
        bodies = [operation.get("requestBody", {}), operation["responses"]["200"]]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            if "example" in media:
                assert errors(media["schema"], media["example"]) == []


def test_every_json_response_has_an_example() -> None:
    without = [
        (name, status)
        for name, operation in OPERATIONS.items()
        for status, response in operation["responses"].items()
        for media in resolved(response)["content"].values()
        if not {"example", "examples"} & set(media)
    ]
    assert without == []


def strings() -> list[FieldDescriptor]:
    """Every single string that a request may have, once."""
    messages = written(method.input_type for method in METHODS.values())
    return [
        field
        for message in messages.values()
        if message.file.package == "zimun.v1"
        for field in message.fields
        if field.type == field.TYPE_STRING and not field.is_repeated
    ]


VALUES = (
    *("a", "s_123", "a b", "ä", "\0", "12:00", "24:00", "24:01", "9:00"),
    *("2026-02-20", "2026-02-30", "UTC", "dana@example.com", "dana@", "Europe/Lisbon"),
    *("x" * size for size in (64, 65, 200, 201, 254, 255, 500, 501, 2000, 2001)),
)


@pytest.mark.parametrize("field", strings(), ids=lambda field: field.full_name)
def test_what_a_schema_refuses_the_server_refuses_too(field: FieldDescriptor) -> None:
    """And what only the schema's words say, such as time zones, the server alone refuses."""
    string_format = options_pb2.StringFormat.Name(server._option(field, options_pb2.format))
    limit = server._option(field, options_pb2.max_length) or None
    schema = request_scalar(field, limit, string_format)
    for value in VALUES:
        assert field.containing_type is not None
        message = message_factory.GetMessageClass(field.containing_type)()
        setattr(message, field.name, value)
        refused = field.name in dict(server.violations_of(message))
        fits = not errors(schema, value) and (schema.get("format") != "date" or _is_date(value))
        if not refused:
            assert fits or schema.get("format") == "email", value
        elif fits:
            assert "\0" in value or re.search("zone|email", field.name), value


def _is_date(text: str) -> bool:
    return text == "2026-02-20"
