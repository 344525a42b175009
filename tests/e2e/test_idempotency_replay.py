"""A request repeated with its Idempotency-Key over HTTP has one effect and gets the same bytes."""

from collections.abc import Callable

import pytest

from ..support.program import DEMO_STAFF, HOLD_PATH, Zimun


def test_a_repeated_hold_gets_the_first_answer_whatever_happened_since(
    zimun: Zimun, time: str
) -> None:
    body = {"service_id": "s_123", "appointment_time": time}
    first = zimun.post(HOLD_PATH, body, key=f"first-{time}")
    assert first.status_code == 200
    zimun.post_json("/api/v1/holds/release", hold_id=first.json()["hold_id"])
    again = zimun.post(HOLD_PATH, body, key=f"first-{time}")
    assert (again.status_code, again.content) == (200, first.content)
    assert zimun.free_staff(time) == DEMO_STAFF


@pytest.mark.parametrize("what", ["confirm", "extend", "release", "reschedule", "cancel"])
def test_every_repeated_change_gets_the_first_answer(
    zimun: Zimun, times: Callable[[], str], what: str
) -> None:
    hold = zimun.hold(times())
    path = "/api/v1/holds" if what in {"extend", "release"} else "/api/v1/appointments"
    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    body = {"hold_id": hold["hold_id"]} | (contact if what == "confirm" else {})
    if what in {"reschedule", "cancel"}:
        body = {"appointment_id": zimun.confirm(hold)["appointment_id"]}
        body |= {"start_time": times()} if what == "reschedule" else {}
    key = f"{what}-{hold['hold_id']}"
    first = zimun.post(f"{path}/{what}", body, key=key)
    assert first.status_code == 200, first.text
    again = zimun.post(f"{path}/{what}", body, key=key)
    assert (again.status_code, again.content) == (200, first.content)


def test_a_repeated_move_does_not_move_back(zimun: Zimun, times: Callable[[], str]) -> None:
    one, two, three = times(), times(), times()
    name = zimun.book(one)["appointment_id"]
    first = zimun.post_json(
        "/api/v1/appointments/reschedule", key=f"move-{name}", appointment_id=name, start_time=two
    )
    zimun.post_json("/api/v1/appointments/reschedule", appointment_id=name, start_time=three)
    again = zimun.post_json(
        "/api/v1/appointments/reschedule", key=f"move-{name}", appointment_id=name, start_time=two
    )
    assert again == first
    assert zimun.appointment(name)["start_time"] == three


def test_a_key_belongs_to_one_method(zimun: Zimun, time: str) -> None:
    hold = zimun.post_json(HOLD_PATH, key=f"k-{time}", service_id="s_123", appointment_time=time)
    released = zimun.post_json("/api/v1/holds/release", key=f"k-{time}", hold_id=hold["hold_id"])
    assert released["state"] == "RELEASED"


def test_a_key_counts_the_same_in_json_and_in_grpc(zimun: Zimun, time: str) -> None:
    body = {"service_id": "s_123", "appointment_time": time}
    hold = zimun.post_json(HOLD_PATH, key=f"both-{time}", **body)
    again = zimun.grpcurl(
        "zimun.v1.AppointmentsService/HoldAppointment",
        body,
        "-H",
        f"idempotency-key: both-{time}",
    )
    assert again == hold


def test_holds_without_a_key_are_different_holds(zimun: Zimun, time: str) -> None:
    assert zimun.hold(time)["hold_id"] != zimun.hold(time)["hold_id"]
