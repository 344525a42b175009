"""The checks of Schemathesis' requests name what the OpenAPI document does not allow."""

import json
from typing import Any

import pytest

from .openapi_checks import OPERATIONS, reasons, violations

LOCATION = OPERATIONS["GET /api/v1/locations/{location_id}"]
AVAILABILITY = OPERATIONS["GET /api/v1/availability"]
CREATE_SERVICE = OPERATIONS["POST /api/v1/services"]
HOLD = OPERATIONS["POST /api/v1/appointments/hold"]
SERVICE = {"name": "Cut", "duration": "1800s"}


@pytest.mark.parametrize(
    ("operation", "query", "says"),
    [
        (AVAILABILITY, "service_id=s_1&colour=red", "colour: unknown"),
        (LOCATION, "location_id=l_1", "location_id: unknown"),
        (AVAILABILITY, "service_id=s_1&seats=many", "'many' is not of type 'integer'"),
        (AVAILABILITY, "service_id=s_1&view=FULLER", "'FULLER' is not one of"),
        (AVAILABILITY, "service_id=s_1&view=3", "3 is not one of"),
        (AVAILABILITY, "service_id=", "'' does not match"),
    ],
)
def test_a_query_that_the_document_does_not_allow_is_named(
    operation: dict[str, Any], query: str, says: str
) -> None:
    assert says in str(violations(operation, f"http://x/?{query}", None))


@pytest.mark.parametrize(
    ("operation", "body", "says"),
    [
        (CREATE_SERVICE, SERVICE | {"colour": "red"}, "'colour' was unexpected"),
        (CREATE_SERVICE, SERVICE | {"slot_alignment": True}, "True is not one of"),
        (CREATE_SERVICE, SERVICE | {"slot_alignment": 3}, "3 is not one of"),
        (CREATE_SERVICE, SERVICE | {"name": "n" * 1000}, "is too long"),
        (CREATE_SERVICE, SERVICE | {"staff_ids": [None]}, "None is not of type 'string'"),
        (HOLD, {"service_id": None}, "'service_id' is a required property"),
        (HOLD, {"service_id": ""}, "'' does not match"),
    ],
)
def test_a_body_that_the_document_does_not_allow_is_named(
    operation: dict[str, Any], body: dict[str, Any], says: str
) -> None:
    assert says in str(violations(operation, "http://x/", json.dumps(body)))


@pytest.mark.parametrize("alignment", [None, 0, 1, 2, "HOUR"])
def test_other_forms_of_proto3_json_are_accepted(alignment: Any) -> None:
    body = SERVICE | {"slot_alignment": alignment, "description": ""}
    assert violations(CREATE_SERVICE, "http://x/", json.dumps(body)) == []


@pytest.mark.parametrize("query", ["", "&view=", "&view=0", "&view=2", "&view=FULL", "&seats=1"])
def test_other_forms_of_a_query_are_accepted(query: str) -> None:
    assert violations(AVAILABILITY, f"http://x/?service_id=s_1{query}", None) == []


def test_reasons_are_those_of_the_examples_of_the_status() -> None:
    assert "LOCATION_NOT_FOUND" in reasons(LOCATION, 404)
    assert "SLOT_UNAVAILABLE" not in reasons(LOCATION, 404)
    assert reasons(LOCATION, 418) == set()
