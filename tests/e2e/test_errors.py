"""Bookings that are refused: no slot, taken, too late, in a state that does not allow them."""

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from zimun.v1 import appointments_service_pb2, slot_pb2

from ..support.answers import detail, grpc_status, reason, refused
from ..support.program import CONFIRM_PATH, HOLD_PATH, Zimun
from ..support.times import instant, later


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


@pytest.mark.parametrize("what", ["cancel", "reschedule"])
def test_a_stale_etag_is_refused_and_the_current_one_accepted(
    zimun: Zimun, times: Callable[[], str], what: str
) -> None:
    appointment = zimun.book(times())
    name, stale = appointment["appointment_id"], appointment["etag"]
    current = zimun.post_json(
        "/api/v1/appointments/reschedule", appointment_id=name, start_time=times(), etag=stale
    )
    assert current["etag"] != stale

    body = {"appointment_id": name} | ({} if what == "cancel" else {"start_time": times()})
    answer = zimun.post(f"/api/v1/appointments/{what}", {**body, "etag": stale})
    assert refused(answer, 409, "ABORTED", "ETAG_MISMATCH") == {"appointment_id": name}
    assert zimun.appointment(name) == current
    changed = zimun.post_json(f"/api/v1/appointments/{what}", **body, etag=current["etag"])
    assert changed["etag"] not in {stale, current["etag"]}


def test_a_released_hold_can_be_neither_confirmed_nor_extended(zimun: Zimun, time: str) -> None:
    hold = {"hold_id": zimun.hold(time)["hold_id"]}
    zimun.post_json("/api/v1/holds/release", **hold)
    contact = {"contact_name": "D", "contact_email": "d@example.com"}
    for answer in (
        zimun.post(CONFIRM_PATH, {**hold, **contact}),
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
    zimun.post_json("/api/v1/appointments/cancel", appointment_id=name)
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


def test_a_key_used_for_another_request_is_refused(zimun: Zimun, time: str) -> None:
    body = {"service_id": "s_123", "appointment_time": time}
    first = zimun.post(HOLD_PATH, body, key=f"reused-{time}")
    assert first.status_code == 200
    for other in ({**body, "seats": 1}, {**body, "appointment_time": later(time, days=7)}):
        answer = zimun.post(HOLD_PATH, other, key=f"reused-{time}")
        metadata = refused(answer, 409, "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")
        assert metadata == {"method": "HoldAppointment"}
    assert len(zimun.free_staff(time)) == 2


def test_a_refused_request_keeps_no_key(zimun: Zimun, time: str) -> None:
    key = f"refused-{time}"
    body = {"service_id": "s_123", "appointment_time": later(time, minutes=7)}
    for _ in range(2):
        refused(zimun.post(HOLD_PATH, body, key), 400, "FAILED_PRECONDITION", "NOT_A_SLOT")
    answer = zimun.post(HOLD_PATH, {**body, "appointment_time": time}, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["start_time"] == time
