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

from ..support.answers import ANYTHING, differences
from ..support.openapi import DOCUMENT, resolved
from ..support.program import Zimun

OPERATIONS = {
    operation["operationId"]: (verb, path, operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
    if path.startswith("/api/")
}

OF_A_HOLD = ("ExtendHold", "ReleaseHold")
"""Operations on a hold that was just made; they come from the links of HoldAppointment."""

OF_A_STARTED_APPOINTMENT = ("CompleteAppointment", "ReopenAppointment", "MarkNoShow")
"""Operations on an appointment from its start on, in this order."""

AFTER_THE_START = "2025-12-01T15:10:00Z"
"""When the appointment that the demo begins with has begun."""

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
    schema = content[answer.headers["content-type"].partition(";")[0]]["schema"]
    whole = schema | {"components": DOCUMENT["components"]}
    found = [error.message for error in Draft202012Validator(whole).iter_errors(answer.json())]
    assert found == [], answer.text


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
    generated = re.sub(r"^([a-z]_)[0-9a-f]{32}$", rf"\g<1>{examples.GENERATED}", value)
    return re.sub(r"^(2025-1\d-\d\dT\d\d:\d)\d:\d\d(\.\d+)?Z$", r"\g<1>0:00Z", generated)


@pytest.mark.about_the_gateway
def test_examples_of_the_openapi_are_true_in_the_demo(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program().start()
    names = [name for name in OPERATIONS if name not in OF_A_HOLD + OF_A_STARTED_APPOINTMENT]
    answers = {name: send(zimun, name) for name in sorted(names, key=order)}
    zimun.stop()
    assert_shown(answers)


@pytest.mark.about_the_gateway
def test_examples_of_a_hold_and_of_a_started_appointment_are_true_in_the_demo(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    held = send(zimun, "HoldAppointment")
    answers = {name: follow(zimun, "HoldAppointment", name, held) for name in OF_A_HOLD}
    zimun.stop()
    zimun.start(AFTER_THE_START)
    answers |= {name: send(zimun, name) for name in OF_A_STARTED_APPOINTMENT}
    zimun.stop()
    assert_shown(answers)


def assert_shown(answers: dict[str, requests.Response]) -> None:
    """The document shows these; WRITE_EXAMPLES writes them, and `make format` the document."""
    assert {name: a.text for name, a in answers.items() if a.status_code != 200} == {}
    responses = {name: shortened(answer.json()) for name, answer in answers.items()}
    if os.environ.get("WRITE_EXAMPLES"):
        written = json.loads(RESPONSES.read_text()) | responses
        RESPONSES.write_text(json.dumps(dict(sorted(written.items())), indent=1) + "\n")
        pytest.skip("responses written; run make format")
    shown = {name: response_example(name) for name in answers}
    assert list(differences(shown, responses)) == []


@pytest.mark.about_the_gateway
def test_examples_of_the_token_endpoint_are_true_in_the_demo(zimun: Zimun) -> None:
    operation = DOCUMENT["paths"]["/oauth/token"]["post"]
    (request,) = operation["requestBody"]["content"].values()
    client, _ = zimun.credentials
    answers = [
        zimun.ask_token(request["example"], zimun.credentials),
        zimun.ask_token(request["example"] | {"scope": "none"}, zimun.credentials),
        zimun.ask_token(request["example"], (client, "wrong")),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 401]
    for answer in answers:
        assert_allowed(operation, answer)
        response = operation["responses"][str(answer.status_code)]
        shown = response["content"]["application/json"]["example"]
        assert shown.keys() == answer.json().keys()
        token = {"access_token": ANYTHING} if "access_token" in shown else {}
        assert list(differences(shown | token, answer.json())) == []


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
