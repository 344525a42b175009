"""Every malformed field of a request is named, all of them at once."""

from typing import Any

import grpc
import pytest

from zimun.v1 import services_service_pb2

from ..support.answers import Json, assert_invalid_field, grpc_status, reason, violations
from ..support.program import CONFIRM_PATH, HOLD_PATH, Zimun
from .valid_requests import VALID_HOLD


def without(body: Json, field: str) -> Json:
    return {name: value for name, value in body.items() if name != field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service_id", None),
        ("service_id", ""),
        ("service_id", "s" * 65),
        ("service_id", "s 123"),
        ("appointment_time", None),
        ("location_id", "l" * 65),
        ("staff_id", "t/ada"),
        ("seats", 0),
        ("seats", -1),
        ("seats", 2),
    ],
)
def test_a_malformed_field_of_a_hold_is_named(zimun: Zimun, field: str, value: object) -> None:
    body = without(VALID_HOLD, field) if value is None else {**VALID_HOLD, field: value}
    assert_invalid_field(zimun.post(HOLD_PATH, body), field)


def test_an_id_of_20000_characters_is_a_malformed_field_wherever_it_is_sent(zimun: Zimun) -> None:
    long = "s" * 20_000
    assert_invalid_field(zimun.get(f"/api/v1/services/{long}"), "service_id")
    assert_invalid_field(
        zimun.get(f"/api/v1/availability?service_id={long}&days_ahead=1"), "service_id"
    )
    assert_invalid_field(zimun.post(HOLD_PATH, {**VALID_HOLD, "service_id": long}), "service_id")
    request = services_service_pb2.GetServiceRequest(service_id=long).SerializeToString()
    for target in (zimun.grpc_target, f"localhost:{zimun.port}"):
        with grpc.insecure_channel(target) as channel:
            path = "/zimun.v1.ServicesService/GetService"
            status = grpc_status(channel, path, request, f"Bearer {zimun.token()}")
            assert reason(status) == ("INVALID_ARGUMENT", "INVALID_FIELD")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("appointment_time", "nonsense"),
        ("appointment_time", "2026-01-30T10:00:00"),
        ("appointment_time", 5),
        ("service_id", ["s_123"]),
        ("seats", "many"),
        ("seats", 1.5),
    ],
)
def test_a_field_of_another_type_is_named(zimun: Zimun, field: str, value: object) -> None:
    assert_invalid_field(zimun.post(HOLD_PATH, {**VALID_HOLD, field: value}), field)


@pytest.fixture(scope="module")
def unconfirmed(zimun: Zimun) -> Json:
    """A hold that nobody confirms."""
    return zimun.hold("2026-01-29T09:00:00Z")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hold_id", None),
        ("hold_id", "h" * 65),
        ("contact_name", None),
        ("contact_name", ""),
        ("contact_name", "x" * 201),
        ("contact_email", None),
        ("contact_email", "dana"),
        ("contact_email", "dana@"),
        ("contact_email", "x" * 250 + "@example.com"),
        ("contact_phone", "1" * 65),
        ("notes", "x" * 2001),
        ("metadata", {str(number): "x" for number in range(51)}),
        ("metadata", {"k" * 65: "x"}),
        ("metadata", {"k": "x" * 1001}),
    ],
)
def test_a_malformed_field_of_a_confirmation_is_named(
    zimun: Zimun, unconfirmed: Json, field: str, value: object
) -> None:
    body = {
        "hold_id": unconfirmed["hold_id"],
        "contact_name": "D",
        "contact_email": "d@example.com",
    }
    body = without(body, field) if value is None else {**body, field: value}
    assert_invalid_field(zimun.post(CONFIRM_PATH, body), field)


def test_every_malformed_field_is_named_at_once(zimun: Zimun, unconfirmed: Json) -> None:
    body = {"hold_id": unconfirmed["hold_id"], "contact_email": "nowhere", "notes": "x" * 2001}
    assert violations(zimun.post(CONFIRM_PATH, body)) == {"contact_name", "contact_email", "notes"}


def test_lengths_are_counted_in_characters_not_bytes(zimun: Zimun, time: str) -> None:
    name, notes = "\N{BICYCLE}" * 200, "ä" * 2000
    appointment = zimun.confirm(zimun.hold(time), contact_name=name, notes=notes)
    found = zimun.appointment(appointment["appointment_id"])
    assert (found["contact_name"], found["notes"]) == (name, notes)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("holds/extend", {}, "hold_id"),
        ("holds/release", {"hold_id": "ü"}, "hold_id"),
        ("appointments/cancel", {}, "appointment_id"),
        ("appointments/cancel", {"appointment_id": "a_123", "cancel_reason": "x" * 501},
         "cancel_reason"),
        ("appointments/cancel", {"appointment_id": "a_123", "etag": "x" * 65}, "etag"),
        ("appointments/reschedule", {"start_time": "2026-01-30T10:00:00Z"}, "appointment_id"),
        ("appointments/reschedule", {"appointment_id": "a_123"}, "start_time"),
    ],
)  # fmt: skip
def test_a_malformed_field_of_the_other_changes_is_named(
    zimun: Zimun, path: str, body: Json, field: str
) -> None:
    assert_invalid_field(zimun.post(f"/api/v1/{path}", body), field)
    assert zimun.appointment("a_123")["etag"] == "1"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"date": "2026-02-30"}, "date"),
        ({"date": "2026-2-3"}, "date"),
        ({"date": "20260203"}, "date"),
        ({"date": "tomorrow"}, "date"),
        ({"days_ahead": 0}, "days_ahead"),
        ({"days_ahead": -1}, "days_ahead"),
        ({"days_ahead": 93}, "days_ahead"),
        ({"date": "2026-02-03", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"date": "2026-02-03", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"date": "2026-02-03", "seats": 0}, "seats"),
        ({"date": "2026-02-03", "seats": 2}, "seats"),
        ({"date": "2026-02-03", "days_ahead": "soon"}, "days_ahead"),
    ],
)
def test_a_malformed_field_of_a_search_is_named(zimun: Zimun, query: Json, field: str) -> None:
    assert_invalid_field(zimun.get("/api/v1/availability", service_id="s_123", **query), field)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"date": "2026-02-03", "days_ahead": 7},
        {"date": "2026-02-03", "start_date": "2026-02-03", "end_date": "2026-02-04"},
        {"days_ahead": 7, "start_date": "2026-02-03", "end_date": "2026-02-04"},
        {"start_date": "2026-02-03"},
        {"end_date": "2026-02-03"},
        {"start_date": "2026-02-04", "end_date": "2026-02-03"},
        {"start_date": "2026-02-01", "end_date": "2026-05-04"},
    ],
)
def test_search_without_exactly_one_way_of_naming_dates_is_refused(
    zimun: Zimun, query: Json
) -> None:
    named = violations(zimun.get("/api/v1/availability", service_id="s_123", **query))
    assert named
    assert named <= {"date", "days_ahead", "start_date", "end_date"}


def test_a_range_of_92_days_is_still_answered(zimun: Zimun) -> None:
    answer = zimun.get_json(
        "/api/v1/availability", service_id="s_123", start_date="2026-02-01", end_date="2026-05-03"
    )
    assert len(answer["days"]) == 92


def test_a_staff_member_who_does_not_give_the_service_is_named(zimun: Zimun) -> None:
    query = {"service_id": "s_treatment", "date": "2026-01-30", "staff_id": "t_chloe"}
    assert_invalid_field(zimun.get("/api/v1/availability", **query), "staff_id")
    body = {**VALID_HOLD, "service_id": "s_treatment", "staff_id": "t_chloe"}
    assert_invalid_field(zimun.post(HOLD_PATH, body), "staff_id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("page_size", -1),
        ("page_size", 1001),
        ("page_size", "all"),
        ("page_token", "made-up"),
        ("page_token", "x" * 501),
        ("state", "HAPPY"),
        ("start_time_from", "yesterday"),
        ("start_time_before", "2026-02-30T00:00:00Z"),
    ],
)
def test_a_malformed_field_of_a_list_is_named(zimun: Zimun, field: str, value: Any) -> None:
    assert_invalid_field(zimun.get("/api/v1/appointments", **{field: value}), field)
