"""A malformed field of a JSON body or a query is named as the request names it."""

from typing import Any

import pytest

from ..support.gateway import Gateway

API = "/api/v1"
SERVICE = f"{API}/services/s_1"

pytestmark = pytest.mark.asyncio(loop_scope="package")
LENGTH = "must be a duration in seconds, such as 1800s"
WHOLE = "must be a whole number of {} bits"
DAYS = "MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY"

MALFORMED: dict[str, tuple[str, Any, str, str]] = {
    "unknown": ("services", {"servce": 1}, "servce", "is unknown"),
    "unknown_without_a_name": ("services", {"": 1}, "", "is unknown"),
    "unknown_the_field_itself": ("services", {"service": {}}, "service", "is unknown"),
    "unknown_the_mask": ("services", {"update_mask": "name"}, "update_mask", "is unknown"),
    "unknown_in_an_object": ("services", {"price": {"unis": 1}}, "price.unis", "is unknown"),
    "unknown_in_a_list": (
        "locations",
        {
            "weekly_hours": [
                {"day_of_week": "MONDAY", "start_time": "09:00", "end_time": "24:00"},
                {"start_tme": "09:00"},
            ]
        },
        "weekly_hours.start_tme",
        "is unknown",
    ),
    "unknown_beside_a_star": (
        "availability/check",
        {"checks": [{"servce_id": "s_1"}]},
        "checks.servce_id",
        "is unknown",
    ),
    "text_for_a_duration": ("services", {"duration": "30 minutes"}, "duration", LENGTH),
    "number_for_a_duration": ("services", {"duration": 1800}, "duration", LENGTH),
    "no_unit": ("services", {"duration": "1800"}, "duration", LENGTH),
    "other_name": ("services", {"slotStep": "x"}, "slot_step", LENGTH),
    "object_for_a_duration": (
        "services",
        {"duration": {"seconds": 1}},
        "duration",
        "must not be an object",
    ),
    "durations": (
        "services",
        {"duration_options": [5]},
        "duration_options",
        f"each value {LENGTH}",
    ),
    "text_for_a_number": ("services", {"capacity": "many"}, "capacity", WHOLE.format(32)),
    "text_for_a_long_number": (
        "services",
        {"price": {"units": "many"}},
        "price.units",
        WHOLE.format(64),
    ),
    "number_for_a_truth": ("services", {"active": 1}, "active", "must be true or false"),
    "no_such_value": (
        "services",
        {"slot_alignment": "SOMETIMES"},
        "slot_alignment",
        "must be one of OPENING, HOUR",
    ),
    "no_such_day": (
        "locations",
        {"weekly_hours": [{"day_of_week": "FUNDAY"}]},
        "weekly_hours.day_of_week",
        f"must be one of {DAYS}",
    ),
    "number_for_a_string": (
        "overrides",
        {"hours": [{"start_time": 9}]},
        "hours.start_time",
        "must be a string",
    ),
    "timestamp": (
        "availability/check",
        {"checks": [{}, {"start_time": "noon"}]},
        "checks.start_time",
        "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z",
    ),
    "text_for_an_object": ("services", {"price": "5 EUR"}, "price", "must be an object"),
    "list_for_an_object": ("services", {"price": []}, "price", "must not be a list"),
    "object_for_a_list": (
        "locations",
        {"weekly_hours": {"a": 1}},
        "weekly_hours",
        "must be a list",
    ),
    "text_for_a_list": ("services", {"staff_ids": "t_1"}, "staff_ids", "must be a list"),
    "text_for_a_list_in_a_list": (
        "services",
        {"resource_requirements": [{"resource_ids": "r_1"}]},
        "resource_requirements.resource_ids",
        "must be a list",
    ),
    "numbers_in_a_list": (
        "services",
        {"staff_ids": [1]},
        "staff_ids",
        "each value must be a string",
    ),
    "numbers_in_a_list_in_a_list": (
        "services",
        {"resource_requirements": [{"resource_ids": ["r_1", 5]}]},
        "resource_requirements.resource_ids",
        "each value must be a string",
    ),
    "null_in_a_list": (
        "services",
        {"staff_ids": ["t_1", None]},
        "staff_ids",
        "each value must not be null",
    ),
    "list_in_a_list": (
        "services",
        {"staff_ids": [["t_1"]]},
        "staff_ids",
        "each value must not be a list",
    ),
    "text_in_a_list_of_objects": (
        "locations",
        {"weekly_hours": ["monday"]},
        "weekly_hours",
        "each value must be an object",
    ),
    "number_in_a_map": (
        "services",
        {"metadata": {"a": 1}},
        "metadata",
        "each value must be a string",
    ),
    "text_for_a_map": ("services", {"metadata": "x"}, "metadata", "must be an object"),
}


@pytest.mark.parametrize(("path", "body", "field", "says"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_field_is_named_as_the_body_names_it(
    gateway: Gateway, path: str, body: Any, field: str, says: str
) -> None:
    answer = await gateway.post(f"{API}/{path}", body)
    assert answer.violation() == (field, says)
    assert gateway.server.calls == []


async def test_malformed_field_of_an_update_is_named_beside_mask_and_id(gateway: Gateway) -> None:
    """Beside a mask and an id in the path."""
    body = {"service_defaults": {"horizon": "soon"}}
    answer = await gateway.call("PATCH", f"{API}/organization?update_mask=name", body=body)
    assert answer.violation() == ("service_defaults.horizon", LENGTH)
    answer = await gateway.call("PATCH", f"{SERVICE}?update_mask=name", body={"capacity": "many"})
    assert answer.violation() == ("capacity", WHOLE.format(32))
    answer = await gateway.call("PATCH", f"{SERVICE}?update_mask=a(b", body={})
    assert answer.violation() == ("update_mask", "must be field names separated by commas")
    assert gateway.server.calls == []


@pytest.mark.parametrize("length", ["30%20minutes", "1800", "", "1e3s", "99999999999999999s"])
async def test_malformed_duration_in_a_query_is_named(gateway: Gateway, length: str) -> None:
    answer = await gateway.get(f"{API}/availability?service_id=s_1&duration={length}")
    assert answer.violation() == ("duration", LENGTH)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("body", ["[]", '[{"name":"Cut"}]', '"x"', "5", "null", "name=Cut"])
async def test_body_that_is_no_object_is_refused(gateway: Gateway, method: str, body: str) -> None:
    path = f"{API}/services" if method == "POST" else SERVICE
    answer = await gateway.call(method, path, body=body)
    assert (answer.status, answer.reason()) == (400, "REQUEST_REFUSED")
    assert answer.json()["message"] == "the body must be a JSON object"
    assert gateway.server.calls == []
