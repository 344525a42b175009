"""What does not exist is not found, and what another organization has does not exist."""

from collections.abc import Callable

import pytest
import requests

from ..support.answers import Json, refused
from ..support.program import HOLD_PATH, Zimun
from .valid_requests import VALID_HOLD

MISSING = [
    ("service_id", "s_9", "SERVICE_NOT_FOUND"),
    ("location_id", "l_9", "LOCATION_NOT_FOUND"),
    ("staff_id", "t_9", "STAFF_NOT_FOUND"),
]


@pytest.mark.parametrize(("field", "value", "why"), MISSING)
def test_what_does_not_exist_is_not_found(zimun: Zimun, field: str, value: str, why: str) -> None:
    held = zimun.post(HOLD_PATH, {**VALID_HOLD, field: value})
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
    zimun: Zimun, other_org_client: tuple[str, str], time: str
) -> None:
    hold = zimun.hold(time)["hold_id"]
    appointment = zimun.book(time)["appointment_id"]
    token = zimun.token(credentials=other_org_client)
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
    zimun: Zimun, other_org_client: tuple[str, str]
) -> None:
    token = zimun.token(credentials=other_org_client)
    for path in ("services", "locations", "appointments"):
        answer = zimun.get(f"/api/v1/{path}", token=token)
        assert answer.json() == {"items": [], "next_page_token": ""}, path
