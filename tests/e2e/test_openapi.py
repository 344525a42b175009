"""What the OpenAPI document says, sent to a running demo: examples, links, limits, errors."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from zimun_gateway.openapi import examples

from ..support.answers import differences
from ..support.openapi import DOCUMENT, resolved
from ..support.program import Zimun

OPERATIONS = {
    operation["operationId"]: (verb, path, operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
    if path.startswith("/api/")
}


WITHOUT_EXAMPLES = {
    "CompleteAppointment",
    "ExtendHold",
    "MarkNoShow",
    "ReleaseHold",
    "ReopenAppointment",
}
"""Operations on a live hold or a past appointment, which the demo does not begin with."""

RESPONSES = Path(examples.__file__).with_name("responses.json")


def parameters(operation: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    for parameter in map(resolved, operation.get("parameters", ())):
        if parameter["in"] == place:
            yield parameter


def body_example(operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("example")


def send(
    zimun: Zimun, name: str, body: Any = None, query: Any = None, **variables: str
) -> requests.Response:
    """Sends an operation, with its examples where nothing else is given."""
    verb, path, operation = OPERATIONS[name]
    for parameter in parameters(operation, "path"):
        value = variables.get(parameter["name"]) or parameter.get("example", "x_none")
        path = path.replace(f"{{{parameter['name']}}}", value)
    if query is None:
        query = {
            parameter["name"]: parameter["example"]
            for parameter in parameters(operation, "query")
            if "example" in parameter
        }
    answer = zimun.session.request(
        verb,
        zimun.url + path,
        params=query,
        json=body_example(operation) if body is None else body,
        headers=zimun.headers(),
        timeout=20,
    )
    assert_allowed(operation, answer)
    return answer


def assert_allowed(operation: dict[str, Any], answer: requests.Response) -> None:
    """The document says the status, the content type and the shape of the answer."""
    responses = operation["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code}: {answer.text}"
    content = resolved(responses[str(answer.status_code)])["content"]
    schema = content[answer.headers["content-type"]]["schema"]
    whole = schema | {"components": DOCUMENT["components"]}
    found = [error.message for error in Draft202012Validator(whole).iter_errors(answer.json())]
    assert found == [], answer.text


def has_examples(name: str) -> bool:
    """Whether an operation can be sent as the document shows it."""
    _, _, operation = OPERATIONS[name]
    if "requestBody" in operation and body_example(operation) is None:
        return False
    required = [p for p in operation.get("parameters", ()) if resolved(p).get("required")]
    return all("example" in resolved(p) for p in required)


def order(name: str) -> int:
    """Lists come after what they show is created, and last what takes away what others need."""
    if name.startswith(("Archive", "Delete", "Cancel", "Erase")):
        return 2
    return 1 if name.startswith(("List", "Export")) else 0


def shortened(value: Any) -> Any:
    """A response as an example: two items of a list, ids and times of now always the same."""
    if isinstance(value, dict):
        return {name: shortened(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shortened(part) for part in value[:2]]
    if not isinstance(value, str):
        return value
    generated = re.sub(r"^([a-z]_)[0-9a-f]{32}$", r"\g<1>01a225274ccfa6806dd30a82eb21b8e9", value)
    return re.sub(r"^(2025-11-28T09:\d)\d:\d\d(\.\d+)?Z$", r"\g<1>0:00Z", generated)


@pytest.mark.about_the_gateway
def test_examples_of_the_openapi_are_true_in_the_demo(private: Callable[..., Zimun]) -> None:
    """With WRITE_EXAMPLES it writes the responses, and `make format` the document then."""
    zimun = private().start()
    names = sorted(filter(has_examples, OPERATIONS), key=order)
    assert set(OPERATIONS) - set(names) == WITHOUT_EXAMPLES
    answers = {name: send(zimun, name) for name in names}
    assert {name: a.text for name, a in answers.items() if a.status_code != 200} == {}
    zimun.stop()
    responses = {name: shortened(answer.json()) for name, answer in answers.items()}
    if os.environ.get("WRITE_EXAMPLES"):
        RESPONSES.write_text(json.dumps(dict(sorted(responses.items())), indent=1) + "\n")
        pytest.skip("responses written; run make format")
    shown = {name: response_example(name) for name in names}
    assert list(differences(shown, responses)) == []


def response_example(name: str) -> Any:
    return OPERATIONS[name][2]["responses"]["200"]["content"]["application/json"].get("example")


def follow(zimun: Zimun, name: str, link: str, answer: requests.Response) -> requests.Response:
    """Follows a link of an operation from its answer; the target's examples say the rest."""
    _, _, operation = OPERATIONS[name]
    found = operation["responses"]["200"]["links"][link]
    target = OPERATIONS[found["operationId"]][2]
    body = (body_example(target) or {}) | values(found.get("requestBody", {}), answer)
    return send(zimun, link, body, query={}, **values(found.get("parameters", {}), answer))


def values(expressions: dict[str, str], answer: requests.Response) -> dict[str, Any]:
    """The values of runtime expressions (OpenAPI 3.1, 4.8.20.4)."""
    return {name: pointed(expression, answer.json()) for name, expression in expressions.items()}


def pointed(expression: str, found: Any) -> Any:
    for name in expression.removeprefix("$response.body#/").split("/"):
        found = found[int(name)] if name.isdigit() else found[name]
    return found


@pytest.mark.about_the_gateway
def test_links_lead_from_a_hold_to_a_cancelled_appointment(zimun: Zimun, time: str) -> None:
    held = send(zimun, "HoldAppointment", {"service_id": "s_123", "appointment_time": time})
    assert follow(zimun, "HoldAppointment", "ExtendHold", held).status_code == 200
    booked = follow(zimun, "HoldAppointment", "ConfirmAppointment", held)
    seen = follow(zimun, "ConfirmAppointment", "GetAppointment", booked)
    assert seen.json() == booked.json()
    moved = follow(zimun, "ConfirmAppointment", "RescheduleAppointment", booked)
    assert moved.json()["appointment_id"] == booked.json()["appointment_id"]
    cancelled = follow(zimun, "RescheduleAppointment", "CancelAppointment", moved)
    assert cancelled.json()["state"] == "CANCELLED"


def limits() -> Iterator[Any]:
    """Every limit of a number in a query, and the number beyond it."""
    for name, (_, _, operation) in OPERATIONS.items():
        for parameter in parameters(operation, "query"):
            for limit, step in (("minimum", -1), ("maximum", 1)):
                if limit in parameter["schema"]:
                    last = parameter["schema"][limit]
                    field = parameter["name"]
                    yield pytest.param(name, field, last, last + step, id=f"{name}-{field}-{last}")


@pytest.mark.about_the_gateway
@pytest.mark.parametrize(("name", "field", "last", "beyond"), list(limits()))
def test_a_number_is_accepted_up_to_its_limit(
    name: str, field: str, last: int, beyond: int, zimun: Zimun
) -> None:
    query = {} if name.startswith("List") else {"service_id": "s_123"}
    if name == "ExplainSlot":
        query["start_time"] = "2026-02-20T10:00:00Z"
    if name == "GetAvailability" and field != "days_ahead":
        query["date"] = "2026-02-20"
    assert send(zimun, name, query=query | {field: str(last)}).status_code == 200
    refused = send(zimun, name, query=query | {field: str(beyond)})
    assert refused.status_code == 400
    assert refused.json()["details"][0]["metadata"] == {"field": field}


@pytest.mark.about_the_gateway
def test_operations_answer_unknown_ids_as_the_document_says(zimun: Zimun) -> None:
    for name, (verb, path, _) in OPERATIONS.items():
        if "{" in path and verb in ("get", "delete"):
            variable = re.findall(r"\{(\w+)\}", path)[0]
            answer = send(zimun, name, query={}, **{variable: "x_none"})
            assert answer.status_code == 404, name
