"""Holding, confirming, rescheduling and cancelling, and what a search says meanwhile."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from ..support.answers import refused
from ..support.program import DEMO_STAFF, Zimun
from ..support.times import half_hours, instant, later


def test_a_hold_lasts_ten_minutes_and_says_what_it_keeps(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    assert hold["hold_id"].startswith("h_")
    assert len(hold["hold_id"]) <= 64
    assert (hold["start_time"], hold["end_time"]) == (time, later(time, minutes=30))
    assert hold["service_id"] == "s_123"
    assert hold["staff_id"] in DEMO_STAFF
    assert (hold["seats"], hold["state"]) == (1, "HELD")
    kept = instant(hold["expires_at"]) - instant(hold["create_time"])
    assert kept == timedelta(minutes=10)


def test_the_sandbox_clock_starts_where_it_was_set_and_runs(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    first, second = (instant(zimun.hold(times())["create_time"]) for _ in range(2))
    start = instant("2025-11-28T09:00:00Z")
    assert start < first < second < start + timedelta(minutes=10)


def test_a_hold_is_busy_in_a_search(zimun: Zimun, time: str) -> None:
    assert zimun.free_staff(time) == DEMO_STAFF
    first = zimun.hold(time)
    assert zimun.free_staff(time) == DEMO_STAFF - {first["staff_id"]}
    second = zimun.hold(time)
    assert zimun.free_staff(time) == DEMO_STAFF - {first["staff_id"], second["staff_id"]}
    zimun.hold(time)
    assert time not in zimun.slots(time[:10])


def test_a_hold_can_ask_for_one_staff_member(zimun: Zimun, time: str) -> None:
    assert zimun.hold(time, staff_id="t_ben")["staff_id"] == "t_ben"
    refused(zimun.try_hold(time, staff_id="t_ben"), 409, "ABORTED", "SLOT_UNAVAILABLE")
    assert time not in zimun.slots(time[:10], staff_id="t_ben")
    assert zimun.slots(time[:10], staff_id="t_ada")[time]["staff_ids"] == ["t_ada"]


def test_alternatives_are_those_of_the_staff_member_asked_for(zimun: Zimun, day: str) -> None:
    for start in ("12:00", "12:30", "11:30"):
        zimun.hold(f"{day}T{start}:00Z", staff_id="t_ben")
    answer = zimun.try_hold(f"{day}T12:00:00Z", staff_id="t_ben")
    refused(answer, 409, "ABORTED", "SLOT_UNAVAILABLE")
    slots = answer.json()["details"][1]["slots"]
    assert {slot["start_time"] for slot in slots} <= {
        f"{day}T{start}:00Z" for start in ("10:30", "11:00", "13:00", "13:30")
    }
    assert len(slots) == 3
    assert zimun.hold(slots[0]["start_time"], staff_id="t_ben")["staff_id"] == "t_ben"


def test_holds_are_shared_equally_among_staff_members(zimun: Zimun, day: str) -> None:
    holds = [zimun.hold(time) for time in half_hours(day)[:9]]
    assert set(Counter(hold["staff_id"] for hold in holds).values()) == {3}


def test_a_released_slot_is_offered_again(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    released = zimun.post_json("/api/v1/holds/release", hold_id=hold["hold_id"])
    assert released == {**hold, "state": "RELEASED"}
    assert zimun.free_staff(time) == DEMO_STAFF
    assert zimun.hold(time, staff_id=hold["staff_id"])["hold_id"] != hold["hold_id"]


def test_releasing_again_changes_nothing(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    released = zimun.post_json("/api/v1/holds/release", hold_id=hold["hold_id"])
    somebody = zimun.hold(time, staff_id=hold["staff_id"])
    assert zimun.post_json("/api/v1/holds/release", hold_id=hold["hold_id"]) == released
    assert somebody["staff_id"] not in zimun.free_staff(time)


def test_an_extended_hold_starts_its_ten_minutes_again(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    extended = zimun.post_json("/api/v1/holds/extend", hold_id=hold["hold_id"])
    gained = instant(extended["expires_at"]) - instant(hold["expires_at"])
    assert timedelta() < gained < timedelta(minutes=1)
    assert extended == {**hold, "expires_at": extended["expires_at"]}


def test_a_confirmed_hold_becomes_the_appointment(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    appointment = zimun.confirm(
        hold, contact_phone="+44 20 7946 0000", notes="By the door", metadata={"crm": "42"}
    )
    for fact in ("hold_id", "service_id", "start_time", "end_time", "staff_id", "resource_ids",
                 "location_id", "seats"):  # fmt: skip
        assert appointment[fact] == hold[fact], fact
    assert appointment["contact_name"] == "Dana Lee"
    assert appointment["contact_email"] == "dana@example.com"
    assert appointment["contact_phone"] == "+44 20 7946 0000"
    assert appointment["notes"] == "By the door"
    assert appointment["metadata"] == {"crm": "42"}
    assert appointment["state"] == "CONFIRMED"
    assert appointment["etag"]
    assert zimun.appointment(appointment["appointment_id"]) == appointment
    # It took the hold's place, and no other.
    assert zimun.free_staff(time) == DEMO_STAFF - {hold["staff_id"]}


def test_confirming_again_answers_the_same_appointment(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time)
    appointment = zimun.confirm(hold)
    assert zimun.confirm(hold) == appointment
    assert zimun.confirm(hold, contact_name="Somebody Else") == appointment
    assert len(zimun.free_staff(time)) == 2


def test_a_cancelled_appointment_frees_its_time(zimun: Zimun, time: str) -> None:
    appointment = zimun.book(time)
    cancelled = zimun.post_json(
        "/api/v1/appointments/cancel",
        appointment_id=appointment["appointment_id"],
        cancel_reason="Rain",
    )
    assert (cancelled["state"], cancelled["cancel_reason"]) == ("CANCELLED", "Rain")
    assert cancelled["etag"] != appointment["etag"]
    assert instant(cancelled["update_time"]) > instant(appointment["update_time"])
    changed = {"state", "cancel_reason", "etag", "update_time"}
    assert {name for name in cancelled if cancelled[name] != appointment[name]} == changed
    assert zimun.free_staff(time) == DEMO_STAFF
    assert zimun.appointment(appointment["appointment_id"]) == cancelled


def test_cancelling_again_answers_the_same_cancelled_appointment(zimun: Zimun, time: str) -> None:
    name = zimun.book(time)["appointment_id"]
    cancelled = zimun.post_json(
        "/api/v1/appointments/cancel", appointment_id=name, cancel_reason="Rain"
    )
    again = zimun.post_json(
        "/api/v1/appointments/cancel", appointment_id=name, cancel_reason="Snow"
    )
    assert again == cancelled


def test_a_moved_appointment_keeps_its_id_and_staff_and_frees_its_old_time(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    old, new = times(), times()
    appointment = zimun.book(old)
    moved = zimun.post_json(
        "/api/v1/appointments/reschedule",
        appointment_id=appointment["appointment_id"],
        start_time=new,
    )
    assert (moved["start_time"], moved["end_time"]) == (new, later(new, minutes=30))
    changed = {"start_time", "end_time", "etag", "update_time"}
    assert {name for name in moved if moved[name] != appointment[name]} == changed
    assert zimun.free_staff(old) == DEMO_STAFF
    assert zimun.free_staff(new) == DEMO_STAFF - {appointment["staff_id"]}


def test_an_appointment_does_not_stand_in_its_own_way(zimun: Zimun, near_day: str) -> None:
    # Both who give treatments are busy from 10:00 to 11:15; each may still move by
    # a quarter of an hour, into her own time.
    ada = zimun.book(f"{near_day}T10:00:00Z", "s_treatment", staff_id="t_ada")
    zimun.book(f"{near_day}T10:00:00Z", "s_treatment", staff_id="t_ben")
    assert f"{near_day}T10:15:00Z" not in zimun.slots(near_day, "s_treatment")
    moved = zimun.post_json(
        "/api/v1/appointments/reschedule",
        appointment_id=ada["appointment_id"],
        start_time=f"{near_day}T10:15:00Z",
    )
    assert (moved["staff_id"], moved["resource_ids"]) == ("t_ada", ada["resource_ids"])


def test_an_appointment_can_stay_where_it_is(zimun: Zimun, time: str) -> None:
    appointment = zimun.book(time)
    zimun.hold(time)
    zimun.hold(time)
    moved = zimun.post_json(
        "/api/v1/appointments/reschedule",
        appointment_id=appointment["appointment_id"],
        start_time=time,
    )
    assert (moved["start_time"], moved["staff_id"]) == (time, appointment["staff_id"])


def test_an_appointment_moves_to_somebody_else_when_its_own_staff_is_busy_there(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    old, new = times(), times()
    appointment = zimun.book(old)
    zimun.hold(new, staff_id=appointment["staff_id"])
    body = {"appointment_id": appointment["appointment_id"], "start_time": new}
    moved = zimun.post_json("/api/v1/appointments/reschedule", **body)
    assert moved["staff_id"] in DEMO_STAFF - {appointment["staff_id"]}
    assert zimun.free_staff(new) == DEMO_STAFF - {appointment["staff_id"], moved["staff_id"]}


def test_an_appointment_can_move_to_a_given_staff_member(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    old, new = times(), times()
    appointment = zimun.book(old, staff_id="t_ada")
    body = {"appointment_id": appointment["appointment_id"], "start_time": new}
    moved = zimun.post_json("/api/v1/appointments/reschedule", **body, staff_id="t_ben")
    assert moved["staff_id"] == "t_ben"
    refused(
        zimun.post("/api/v1/appointments/reschedule", {**body, "staff_id": "t_9"}),
        404, "NOT_FOUND", "STAFF_NOT_FOUND",
    )  # fmt: skip


def test_a_move_that_fails_leaves_everything_as_it_was(
    zimun: Zimun, times: Callable[[], str]
) -> None:
    old, full = times(), times()
    appointment = zimun.book(old)
    for _ in range(3):
        zimun.hold(full)
    path = f"/api/v1/appointments/{appointment['appointment_id']}"
    before, free = zimun.get(path).content, zimun.free_staff(old)
    for start, status, code, reason in [
        (full, 409, "ABORTED", "SLOT_UNAVAILABLE"),
        (later(old, minutes=1), 400, "FAILED_PRECONDITION", "NOT_A_SLOT"),
        ("2030-01-07T10:00:00Z", 400, "FAILED_PRECONDITION", "OUTSIDE_BOOKING_WINDOW"),
    ]:
        body = {"appointment_id": appointment["appointment_id"], "start_time": start}
        refused(zimun.post("/api/v1/appointments/reschedule", body), status, code, reason)
        assert zimun.get(path).content == before
        assert zimun.free_staff(old) == free


def test_a_slot_says_when_it_is_there_and_here(zimun: Zimun, day: str) -> None:
    # Working days from April on: New York is four hours behind UTC.
    start = f"{day}T13:00:00Z"
    slot = zimun.slots(day, time_zone="America/New_York")[start]
    assert slot["end_time"] == f"{day}T13:30:00Z"
    assert slot["local_start_time"] == f"{day}T09:00:00-04:00"
    assert slot["local_end_time"] == f"{day}T09:30:00-04:00"
    assert set(slot["staff_ids"]) == DEMO_STAFF
    assert slot["seats_left"] == 1
    assert zimun.slots(day)[start]["local_start_time"] == f"{day}T13:00:00+00:00"


def test_a_date_is_read_in_the_time_zone_asked_for(zimun: Zimun) -> None:
    # Saturday 21 February in Auckland (UTC+13) begins on Friday at 11:00 UTC.
    answer = zimun.get_json(
        "/api/v1/availability",
        service_id="s_123",
        date="2026-02-21",
        time_zone="Pacific/Auckland",
    )
    assert answer["time_zone"] == "Pacific/Auckland"
    starts = [slot["start_time"] for slot in answer["slots"]]
    assert starts == [time for time in half_hours("2026-02-20") if time >= "2026-02-20T11"]
    assert answer["slots"][0]["local_start_time"] == "2026-02-21T00:00:00+13:00"
    assert [day["date"] for day in answer["days"]] == ["2026-02-20", "2026-02-21"]


def test_days_ahead_begins_today(zimun: Zimun) -> None:
    answer = zimun.get_json("/api/v1/availability", service_id="s_123", days_ahead=7)
    dates = [f"2025-11-{day}" for day in (28, 29, 30)] + [f"2025-12-0{day}" for day in range(1, 5)]
    assert [day["date"] for day in answer["days"]] == dates
    starts = [slot["start_time"] for slot in answer["slots"]]
    assert starts == sorted(set(starts))
    # What has begun is not offered, the rest of today is.
    assert starts[0] == "2025-11-28T09:30:00Z"
    assert {start[:10] for start in starts} == {d for d in dates if d not in dates[1:3]}


def test_a_range_is_its_dates_together(zimun: Zimun) -> None:
    query = {"service_id": "s_treatment"}
    whole = zimun.get_json(
        "/api/v1/availability", **query, start_date="2026-02-09", end_date="2026-02-15"
    )
    singles = [
        zimun.get_json("/api/v1/availability", **query, date=f"2026-02-{day:02}")
        for day in range(9, 16)
    ]
    assert whole["slots"] == [slot for one in singles for slot in one["slots"]]
    assert whole["days"] == [day for one in singles for day in one["days"]]


@pytest.mark.parametrize("service", ["s_123", "s_treatment", "s_yoga"])
def test_a_time_can_be_held_exactly_when_it_is_offered(
    zimun: Zimun, near_day: str, service: str
) -> None:
    for start, other in [("10:00", "s_treatment"), ("10:15", "s_treatment"), ("12:00", "s_yoga")]:
        zimun.hold(f"{near_day}T{start}:00Z", other)
    for start in ("13:30", "13:30", "13:30", "15:00"):
        zimun.hold(f"{near_day}T{start}:00Z")
    offered = zimun.slots(near_day, service)
    held = set()
    for minute in range(8 * 60, 18 * 60, 15):
        time = f"{near_day}T{minute // 60:02}:{minute % 60:02}:00Z"
        answer = zimun.try_hold(time, service)
        if answer.status_code == 200:
            held.add(time)
            assert answer.json()["staff_id"] in offered.get(time, {}).get("staff_ids", ()), time
            zimun.post_json("/api/v1/holds/release", hold_id=answer.json()["hold_id"])
        else:
            assert answer.status_code in {400, 409}, answer.text
    assert held == set(offered)
    assert held


def test_a_buffer_keeps_people_and_rooms_busy(zimun: Zimun, near_day: str) -> None:
    first = zimun.hold(f"{near_day}T10:00:00Z", "s_treatment", staff_id="t_ada")
    assert len(first["resource_ids"]) == 1
    open_to_ada = zimun.slots(near_day, "s_treatment", staff_id="t_ada")
    # It ends at 11:00, the room is aired until 11:15; before it, 09:00 would air until 10:15.
    assert f"{near_day}T11:00:00Z" not in open_to_ada
    assert f"{near_day}T11:15:00Z" in open_to_ada
    assert f"{near_day}T09:00:00Z" not in open_to_ada
    second = zimun.hold(f"{near_day}T10:00:00Z", "s_treatment")
    assert second["staff_id"] == "t_ben"
    assert set(first["resource_ids"] + second["resource_ids"]) == {"r_room_1", "r_room_2"}
    answer = zimun.try_hold(f"{near_day}T10:00:00Z", "s_treatment")
    refused(answer, 409, "ABORTED", "SLOT_UNAVAILABLE")
