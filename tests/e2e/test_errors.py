"""What is refused, and how: the table of errors in the contract, row by row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.protobuf.timestamp_pb2 import Timestamp

from zimun.v1 import appointments_service_pb2, services_service_pb2, slot_pb2

from ..support.answers import (
    Json,
    detail,
    grpc_status,
    malformed,
    reason,
    refusal,
    refused,
    violations,
)
from ..support.processes import run
from ..support.program import Zimun
from ..support.times import instant, later

HOLD = "/api/v1/appointments/hold"
CONFIRM = "/api/v1/appointments/confirm"
GOOD_HOLD = {"service_id": "s_123", "appointment_time": "2026-01-30T10:00:00Z"}


def send(zimun: Zimun, path: str, body: bytes) -> requests.Response:
    """Posts a body as it is."""
    headers = {**zimun.headers(), "Content-Type": "application/json"}
    return zimun.session.post(zimun.url + path, data=body, headers=headers, timeout=20)


def without(body: Json, field: str) -> Json:
    return {name: value for name, value in body.items() if name != field}


# Malformed fields.


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
    body = without(GOOD_HOLD, field) if value is None else {**GOOD_HOLD, field: value}
    malformed(zimun.post(HOLD, body), field)


def test_an_id_of_20000_characters_is_a_malformed_field_wherever_it_is_sent(zimun: Zimun) -> None:
    long = "s" * 20_000
    malformed(zimun.get(f"/api/v1/services/{long}"), "service_id")
    malformed(zimun.get(f"/api/v1/availability?service_id={long}&days_ahead=1"), "service_id")
    malformed(zimun.post(HOLD, {**GOOD_HOLD, "service_id": long}), "service_id")
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
    malformed(zimun.post(HOLD, {**GOOD_HOLD, field: value}), field)


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
    malformed(zimun.post(CONFIRM, body), field)


def test_every_malformed_field_is_named_at_once(zimun: Zimun, unconfirmed: Json) -> None:
    body = {"hold_id": unconfirmed["hold_id"], "contact_email": "nowhere", "notes": "x" * 2001}
    assert violations(zimun.post(CONFIRM, body)) == {"contact_name", "contact_email", "notes"}


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
    malformed(zimun.post(f"/api/v1/{path}", body), field)
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
    malformed(zimun.get("/api/v1/availability", service_id="s_123", **query), field)


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
def test_a_search_wants_exactly_one_way_of_naming_dates(zimun: Zimun, query: Json) -> None:
    named = violations(zimun.get("/api/v1/availability", service_id="s_123", **query))
    assert named
    assert named <= {"date", "days_ahead", "start_date", "end_date"}


def test_a_range_of_92_days_is_still_answered(zimun: Zimun) -> None:
    answer = zimun.ask(
        "/api/v1/availability", service_id="s_123", start_date="2026-02-01", end_date="2026-05-03"
    )
    assert len(answer["days"]) == 92


def test_a_staff_member_who_does_not_give_the_service_is_named(zimun: Zimun) -> None:
    query = {"service_id": "s_treatment", "date": "2026-01-30", "staff_id": "t_chloe"}
    malformed(zimun.get("/api/v1/availability", **query), "staff_id")
    body = {**GOOD_HOLD, "service_id": "s_treatment", "staff_id": "t_chloe"}
    malformed(zimun.post(HOLD, body), "staff_id")


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
    malformed(zimun.get("/api/v1/appointments", **{field: value}), field)


# What does not exist.

MISSING = [
    ("service_id", "s_9", "SERVICE_NOT_FOUND"),
    ("location_id", "l_9", "LOCATION_NOT_FOUND"),
    ("staff_id", "t_9", "STAFF_NOT_FOUND"),
]


@pytest.mark.parametrize(("field", "value", "why"), MISSING)
def test_what_does_not_exist_is_not_found(zimun: Zimun, field: str, value: str, why: str) -> None:
    held = zimun.post(HOLD, {**GOOD_HOLD, field: value})
    assert refused(held, 404, "NOT_FOUND", why) == {field: value}
    query: Json = {"service_id": "s_123", "date": "2026-02-03", field: value}
    searched = zimun.get("/api/v1/availability", **query)
    assert refused(searched, 404, "NOT_FOUND", why) == {field: value}


@pytest.mark.parametrize("path", ["holds/extend", "holds/release", "appointments/confirm"])
def test_an_unknown_hold_is_not_found(zimun: Zimun, path: str) -> None:
    body = {"hold_id": "h_9"}
    if path.endswith("confirm"):
        body |= {"contact_name": "D", "contact_email": "d@example.com"}
    answer = zimun.post(f"/api/v1/{path}", body)
    assert refused(answer, 404, "NOT_FOUND", "HOLD_NOT_FOUND") == {"hold_id": "h_9"}


def test_an_unknown_appointment_is_not_found(zimun: Zimun) -> None:
    body = {"appointment_id": "a_9"}
    for answer in (
        zimun.get("/api/v1/appointments/a_9"),
        zimun.post("/api/v1/appointments/cancel", body),
        zimun.post(
            "/api/v1/appointments/reschedule", {**body, "start_time": "2026-01-30T10:00:00Z"}
        ),
    ):
        assert refused(answer, 404, "NOT_FOUND", "APPOINTMENT_NOT_FOUND") == body


def test_an_unknown_service_is_not_found(zimun: Zimun) -> None:
    answer = zimun.get("/api/v1/services/s_9")
    assert refused(answer, 404, "NOT_FOUND", "SERVICE_NOT_FOUND") == {"service_id": "s_9"}


def test_another_organizations_ids_answer_as_ids_that_do_not_exist(
    zimun: Zimun, stranger: tuple[str, str], time: str
) -> None:
    hold = zimun.hold(time)["hold_id"]
    appointment = zimun.book(time)["appointment_id"]
    token = zimun.token(credentials=stranger)
    contact = {"contact_name": "D", "contact_email": "d@example.com"}

    def read(path: str) -> Callable[[str], requests.Response]:
        return lambda name: zimun.get(path + name, token=token)

    def write(path: str, field: str, **more: str) -> Callable[[str], requests.Response]:
        return lambda name: zimun.post(f"/api/v1/{path}", {field: name, **more}, token=token)

    for ask, real, made_up in [
        (read("/api/v1/services/"), "s_123", "s_321"),
        (read("/api/v1/appointments/"), appointment, "a" + appointment[:0:-1]),
        (write("appointments/cancel", "appointment_id"), appointment, "a_321"),
        (write("appointments/reschedule", "appointment_id", start_time=time), appointment, "a_321"),
        (write("holds/extend", "hold_id"), hold, "h_321"),
        (write("holds/release", "hold_id"), hold, "h_321"),
        (write("appointments/confirm", "hold_id", **contact), hold, "h_321"),
        (write("appointments/hold", "service_id", appointment_time=time), "s_123", "s_321"),
    ]:
        theirs, nobodys = ask(real), ask(made_up)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.text.replace(real, "ID") == nobodys.text.replace(made_up, "ID")

    assert zimun.appointment(appointment)["state"] == "CONFIRMED"
    assert zimun.confirm({"hold_id": hold})["state"] == "CONFIRMED"


def test_another_organization_sees_nothing_of_the_demo(
    zimun: Zimun, stranger: tuple[str, str]
) -> None:
    token = zimun.token(credentials=stranger)
    for path in ("services", "locations", "appointments"):
        answer = zimun.get(f"/api/v1/{path}", token=token)
        assert answer.json() == {"items": [], "next_page_token": ""}, path


# Times that are not slots.


@pytest.mark.parametrize("time", ["2026-01-30T10:07:00Z", "2026-01-30T10:00:01Z"])
def test_a_time_off_the_grid_is_no_slot(zimun: Zimun, time: str) -> None:
    metadata = refused(zimun.try_hold(time), 400, "FAILED_PRECONDITION", "NOT_A_SLOT")
    assert metadata["rule"] == "NOT_ON_GRID"


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T10:00:00Z",
        "2026-02-01T10:00:00Z",
        "2026-01-30T08:30:00Z",
        "2026-01-30T17:00:00Z",
    ],
)
def test_a_time_when_it_is_closed_is_no_slot(zimun: Zimun, time: str) -> None:
    metadata = refused(zimun.try_hold(time), 400, "FAILED_PRECONDITION", "NOT_A_SLOT")
    assert metadata["rule"] in {"CLOSED", "STAFF_CLOSED"}


def test_an_appointment_that_would_end_after_closing_is_no_slot(zimun: Zimun) -> None:
    answer = zimun.try_hold("2026-01-30T16:30:00Z", "s_treatment")
    refused(answer, 400, "FAILED_PRECONDITION", "NOT_A_SLOT")


@pytest.mark.parametrize(
    ("time", "service", "rule"),
    [
        ("2025-11-27T10:00:00Z", "s_123", "LEAD_TIME"),
        ("2025-11-28T10:00:00Z", "s_treatment", "LEAD_TIME"),
        ("2026-11-27T10:00:00Z", "s_123", "HORIZON"),
        ("2026-03-02T10:00:00Z", "s_treatment", "HORIZON"),
    ],
)
def test_a_time_too_soon_or_too_far_ahead_is_outside_the_booking_window(
    zimun: Zimun, time: str, service: str, rule: str
) -> None:
    answer = zimun.try_hold(time, service)
    metadata = refused(answer, 400, "FAILED_PRECONDITION", "OUTSIDE_BOOKING_WINDOW")
    assert metadata["rule"] == rule
    opens, closes = instant(metadata["opens"]), instant(metadata["closes"])
    assert opens < closes
    assert not opens <= instant(time) <= closes


# Times that are taken.


def fill(zimun: Zimun, time: str) -> None:
    for _ in range(3):
        zimun.hold(time)


def test_a_taken_slot_is_refused_with_the_nearest_open_ones_which_can_be_held(
    zimun: Zimun, day: str
) -> None:
    for start in ("11:00", "11:30", "12:30"):
        fill(zimun, f"{day}T{start}:00Z")
    wanted = f"{day}T11:30:00Z"
    answer = zimun.try_hold(wanted)
    metadata = refused(answer, 409, "ABORTED", "SLOT_UNAVAILABLE")
    assert metadata == {"service_id": "s_123"}

    offered = detail(answer.json(), "SlotAlternatives")["slots"]
    starts = [slot["start_time"] for slot in offered]
    assert len(starts) == 3
    assert starts[:2] == [f"{day}T12:00:00Z", f"{day}T10:30:00Z"]
    assert starts[2] in {f"{day}T10:00:00Z", f"{day}T13:00:00Z"}
    open_now = zimun.slots(day)
    for slot in offered:
        assert slot == open_now[slot["start_time"]]
        assert zimun.hold(slot["start_time"])["state"] == "HELD"


def test_grpc_carries_the_alternatives_as_a_typed_detail(zimun: Zimun, time: str) -> None:
    fill(zimun, time)
    start = Timestamp()
    start.FromJsonString(time)
    request = appointments_service_pb2.HoldAppointmentRequest(
        service_id="s_123", appointment_time=start
    )
    with grpc.insecure_channel(zimun.grpc_target) as channel:
        status = grpc_status(
            channel,
            "/zimun.v1.AppointmentsService/HoldAppointment",
            request.SerializeToString(),
            f"Bearer {zimun.token()}",
        )
    assert reason(status) == ("ABORTED", "SLOT_UNAVAILABLE")
    alternatives = slot_pb2.SlotAlternatives()
    assert [one.Unpack(alternatives) for one in status.details].count(True) == 1
    assert 1 <= len(alternatives.slots) <= 3
    offered = [slot.start_time.ToJsonString() for slot in alternatives.slots]
    assert time not in offered


# Etags and states.


@pytest.mark.parametrize("what", ["cancel", "reschedule"])
def test_a_stale_etag_is_refused_and_the_current_one_accepted(
    zimun: Zimun, times: Callable[[], str], what: str
) -> None:
    appointment = zimun.book(times())
    name, stale = appointment["appointment_id"], appointment["etag"]
    current = zimun.tell(
        "/api/v1/appointments/reschedule", appointment_id=name, start_time=times(), etag=stale
    )
    assert current["etag"] != stale

    body = {"appointment_id": name} | ({} if what == "cancel" else {"start_time": times()})
    answer = zimun.post(f"/api/v1/appointments/{what}", {**body, "etag": stale})
    assert refused(answer, 409, "ABORTED", "ETAG_MISMATCH") == {"appointment_id": name}
    assert zimun.appointment(name) == current
    changed = zimun.tell(f"/api/v1/appointments/{what}", **body, etag=current["etag"])
    assert changed["etag"] not in {stale, current["etag"]}


def test_a_released_hold_can_be_neither_confirmed_nor_extended(zimun: Zimun, time: str) -> None:
    hold = {"hold_id": zimun.hold(time)["hold_id"]}
    zimun.tell("/api/v1/holds/release", **hold)
    contact = {"contact_name": "D", "contact_email": "d@example.com"}
    for answer in (
        zimun.post(CONFIRM, {**hold, **contact}),
        zimun.post("/api/v1/holds/extend", hold),
    ):
        assert refused(answer, 400, "FAILED_PRECONDITION", "HOLD_RELEASED") == hold


def test_a_confirmed_hold_can_be_neither_released_nor_extended(zimun: Zimun, time: str) -> None:
    appointment = zimun.book(time)
    hold = {"hold_id": appointment["hold_id"]}
    for path in ("release", "extend"):
        answer = zimun.post(f"/api/v1/holds/{path}", hold)
        metadata = refused(answer, 400, "FAILED_PRECONDITION", "HOLD_CONFIRMED")
        assert metadata == {**hold, "appointment_id": appointment["appointment_id"]}


def test_a_cancelled_appointment_cannot_move(zimun: Zimun, time: str) -> None:
    name = zimun.book(time)["appointment_id"]
    zimun.tell("/api/v1/appointments/cancel", appointment_id=name)
    body = {"appointment_id": name, "start_time": time}
    answer = zimun.post("/api/v1/appointments/reschedule", body)
    metadata = refused(answer, 400, "FAILED_PRECONDITION", "NOT_RESCHEDULABLE")
    assert metadata == {"appointment_id": name, "state": "CANCELLED"}


def test_after_the_cut_off_an_appointment_stands(zimun: Zimun) -> None:
    # A treatment can be cancelled and moved until a day before; this one is today.
    appointment = zimun.book("2025-11-28T15:00:00Z", "s_treatment")
    name = appointment["appointment_id"]
    cancelled = zimun.post("/api/v1/appointments/cancel", {"appointment_id": name})
    until = refused(cancelled, 400, "FAILED_PRECONDITION", "OUTSIDE_CANCELLATION_WINDOW")
    assert until == {"appointment_id": name, "until": "2025-11-27T15:00:00Z"}
    body = {"appointment_id": name, "start_time": "2025-12-02T15:00:00Z"}
    moved = zimun.post("/api/v1/appointments/reschedule", body)
    until = refused(moved, 400, "FAILED_PRECONDITION", "OUTSIDE_RESCHEDULE_WINDOW")
    assert until == {"appointment_id": name, "until": "2025-11-27T15:00:00Z"}
    assert zimun.appointment(name) == appointment


# Idempotency keys.


def test_a_key_used_for_another_request_is_refused(zimun: Zimun, time: str) -> None:
    body = {"service_id": "s_123", "appointment_time": time}
    first = zimun.post(HOLD, body, key=f"reused-{time}")
    assert first.status_code == 200
    for other in ({**body, "seats": 1}, {**body, "appointment_time": later(time, days=7)}):
        answer = zimun.post(HOLD, other, key=f"reused-{time}")
        metadata = refused(answer, 409, "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
        assert metadata == {"method": "HoldAppointment"}
    assert len(zimun.free_staff(time)) == 2


def test_a_refused_request_keeps_no_key(zimun: Zimun, time: str) -> None:
    key = f"refused-{time}"
    body = {"service_id": "s_123", "appointment_time": later(time, minutes=7)}
    for _ in range(2):
        refused(zimun.post(HOLD, body, key), 400, "FAILED_PRECONDITION", "NOT_A_SLOT")
    answer = zimun.post(HOLD, {**body, "appointment_time": time}, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["start_time"] == time


# What the gateway refuses.


def shape(answer: requests.Response, http: int, code: str) -> None:
    """Asserts the one error shape with any reason of ours."""
    assert answer.status_code == http, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    refusal(answer.json(), code, detail(answer.json(), "ErrorInfo")["reason"])


@pytest.mark.parametrize(
    "path",
    ["/none", "/api/v1", "/api/v1/nope", "/api/v2/services", "/api/v1/services/s_123/staff"],
)
def test_an_unknown_path_answers_in_the_one_shape(zimun: Zimun, path: str) -> None:
    shape(zimun.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("DELETE", "/api/v1/services/s_123"),
        ("PUT", "/api/v1/services"),
        ("PUT", HOLD),
        ("DELETE", "/api/v1/appointments/a_123"),
    ],
)
def test_an_unknown_method_answers_in_the_one_shape(zimun: Zimun, verb: str, path: str) -> None:
    answer = zimun.session.request(verb, zimun.url + path, headers=zimun.headers(), timeout=20)
    shape(answer, 405, "UNIMPLEMENTED")
    assert verb not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/services?colour=red",
        "/api/v1/services/s_123?colour=red",
        "/api/v1/availability?service_id=s_123&date=2026-02-20&colour=red",
        "/api/v1/appointments?colour=red",
    ],
)
def test_an_unknown_query_parameter_is_an_error_that_names_it(zimun: Zimun, path: str) -> None:
    answer = zimun.get(path)
    shape(answer, 400, "INVALID_ARGUMENT")
    assert "colour" in answer.text


def test_an_unknown_json_field_is_an_error_that_names_it(zimun: Zimun) -> None:
    answer = zimun.post(HOLD, {**GOOD_HOLD, "colour": "red"})
    shape(answer, 400, "INVALID_ARGUMENT")
    assert "colour" in answer.text


@pytest.mark.parametrize(
    "body",
    [b'{"service_id":"s_123"', b"{]", b'"text"', b"[]", b"nonsense", b'{"service_id":"\xff"}'],
)
def test_malformed_json_is_an_error(zimun: Zimun, body: bytes) -> None:
    shape(send(zimun, HOLD, body), 400, "INVALID_ARGUMENT")


def test_deeply_nested_json_is_an_error(zimun: Zimun) -> None:
    shape(send(zimun, HOLD, b'{"service_id":' + b"[" * 10_000), 400, "INVALID_ARGUMENT")


def test_a_body_too_large_is_refused_in_the_one_shape(zimun: Zimun, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"notes": "x" * 20_000_000}))
    done = run(
        "curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {zimun.token()}",
        "-H", "Content-Type: application/json", "--data-binary", f"@{body}", zimun.url + CONFIRM,
    )  # fmt: skip
    answer, status = done.stdout.rsplit("\n", 1)
    assert status == "413", done.stdout + done.stderr
    refusal(json.loads(answer), "INVALID_ARGUMENT", "REQUEST_REFUSED")


def test_headers_too_large_are_refused_in_the_one_shape(zimun: Zimun) -> None:
    headers = {**zimun.headers(), **{f"x-filler-{number}": "x" * 7000 for number in range(15)}}
    answer = zimun.session.get(f"{zimun.url}/api/v1/services", headers=headers, timeout=20)
    assert answer.status_code == 431
    assert set(answer.json()) == {"code", "message", "details"}


def test_an_odd_idempotency_key_is_no_internal_error(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    for key in ("x" * 5000, "ключ".encode().decode("latin-1"), ""):
        answer = zimun.post(HOLD, {"service_id": "s_123", "appointment_time": times()}, key)
        assert answer.status_code == 400, answer.text
