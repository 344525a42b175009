"""What entries of the catalogue do to availability, through the JSON API."""

from datetime import date

from ..support.answers import ok_json, refused
from ..support.program import HOLD_PATH, Zimun

MONDAY = "2025-12-01"


def test_a_new_service_is_booked_in_its_own_place_and_length(berlin: Zimun) -> None:
    slots = berlin.slots(MONDAY, "s_cut")
    assert min(slots) == f"{MONDAY}T08:00:00Z"
    assert slots[min(slots)]["local_start_time"] == f"{MONDAY}T09:00:00+01:00"
    long = berlin.slots(MONDAY, "s_cut", duration="3600s")
    assert max(long) == f"{MONDAY}T15:00:00Z"
    hold = berlin.hold(f"{MONDAY}T08:00:00Z", "s_cut", duration="3600s")
    assert hold["end_time"] == f"{MONDAY}T09:00:00Z"
    answer = berlin.try_hold(f"{MONDAY}T08:00:00Z", "s_cut", duration="2700s")
    assert refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")["field"] == "duration"


def test_a_change_of_the_catalogue_is_in_the_next_search(berlin: Zimun) -> None:
    day = "2025-12-03"
    assert berlin.slots(day, "s_cut")
    closed = {"owner_id": "l_berlin", "date": day, "status": "CLOSED", "note": "Stocktaking"}
    made = berlin.post_json("/api/v1/overrides", **closed)
    found = berlin.get_json("/api/v1/availability", service_id="s_cut", date=day)
    assert found["slots"] == []
    assert found["days"] == [{"date": day, "status": "CLOSED", "note": "Stocktaking"}]
    again = berlin.post("/api/v1/overrides", closed)
    told = refused(again, 409, "ALREADY_EXISTS", "OVERRIDE_EXISTS")
    assert told["override_id"] == made["id"]
    listed = berlin.get_json("/api/v1/overrides", start_date=day, end_date=day)["items"]
    assert listed == [made]
    assert ok_json(berlin.delete(f"/api/v1/overrides/{made['id']}")) == {}
    assert berlin.slots(day, "s_cut")
    gone = berlin.delete(f"/api/v1/overrides/{made['id']}")
    refused(gone, 404, "NOT_FOUND", "OVERRIDE_NOT_FOUND")


def test_the_next_slots_are_found_beyond_what_is_closed(berlin: Zimun) -> None:
    query = {"service_id": "s_cut", "start_time_from": "2025-12-05T15:30:00Z"}
    found = berlin.get_json("/api/v1/availability/next", **query, count="3", time_zone="UTC")
    assert [slot["start_time"] for slot in found["slots"]] == [
        "2025-12-05T15:30:00Z",
        "2025-12-08T08:00:00Z",
        "2025-12-08T08:15:00Z",
    ]
    assert found["slots"][1]["local_start_time"] == "2025-12-08T08:00:00+00:00"


def test_checks_are_answered_one_by_one_as_a_hold_would_be(berlin: Zimun) -> None:
    times = ["2025-12-09T08:00:00Z", "2025-12-09T08:01:00Z", "2025-12-07T08:00:00Z"]
    checks = [{"service_id": "s_cut", "start_time": time} for time in times]
    checks.append({"service_id": "s_none", "start_time": times[0]})
    results = ok_json(berlin.post("/api/v1/availability/check", {"checks": checks}))["results"]
    assert results[0]["slot"] == berlin.slots("2025-12-09", "s_cut")[times[0]]
    for result, check in zip(results[1:], checks[1:], strict=True):
        held = berlin.try_hold(check["start_time"], check["service_id"])
        assert result["error"] == held.json()


def test_explanation_of_a_taken_time_names_the_busy_staff_members(berlin: Zimun) -> None:
    start = "2025-12-10T08:00:00Z"
    for _ in range(2):
        berlin.hold(start, "s_cut")
    told = berlin.get_json("/api/v1/availability/explain", service_id="s_cut", start_time=start)
    assert told["error"]["details"][0]["reason"] == "SLOT_UNAVAILABLE"
    people = [one for one in told["obstacles"] if one["rule"] == "STAFF_BUSY"]
    assert {one["subject_id"] for one in people} == {"t_x", "t_y"}
    assert people[0]["message"] == (
        "x is taken from 2025-12-10 09:00 in Europe/Berlin to 2025-12-10 09:30 in Europe/Berlin"
    )
    assert (people[0]["busy_start"], people[0]["busy_end"]) == (start, "2025-12-10T08:30:00Z")


def test_where_an_appointment_can_move_its_own_time_counts_as_free(berlin: Zimun) -> None:
    start = "2025-12-11T08:00:00Z"
    appointments = [berlin.book(start, "s_cut") for _ in range(2)]
    assert start not in berlin.slots(start[:10], "s_cut")
    mine = appointments[0]
    view = berlin.slots(start[:10], "s_cut", ignore_appointment_id=mine["appointment_id"])
    assert view[start]["staff_ids"] == [mine["staff_id"]]
    moved = berlin.post_json(
        "/api/v1/appointments/reschedule",
        appointment_id=mine["appointment_id"],
        start_time="2025-12-11T08:15:00Z",
    )
    assert moved["staff_id"] == mine["staff_id"]


def test_time_off_lists_what_it_meets_and_is_made_when_told_that_it_may(berlin: Zimun) -> None:
    held = berlin.post_json(
        HOLD_PATH,
        service_id="s_cut",
        appointment_time="2025-12-04T10:00:00Z",
        staff_id="t_x",
    )
    off = {
        "owner_id": "t_x",
        "start_time": "2025-12-04T09:00:00Z",
        "end_time": "2025-12-04T11:00:00Z",
        "note": "Dentist",
    }
    answer = berlin.post("/api/v1/time_off", off)
    assert refused(answer, 400, "FAILED_PRECONDITION", "TIME_OFF_CONFLICTS") == {
        "owner_id": "t_x",
        "total_size": "1",
    }
    [detail] = [one for one in answer.json()["details"] if "TimeOffConflicts" in one["@type"]]
    assert detail["hold_ids"] == [held["hold_id"]]
    made = ok_json(berlin.post("/api/v1/time_off?allow_conflicts=true", off))
    assert made["conflicts"] == {
        "appointment_ids": [],
        "hold_ids": [held["hold_id"]],
        "total_size": 1,
    }
    path = f"/api/v1/time_off/{made['id']}"
    bare = ok_json(berlin.patch(path, {"note": "", "etag": made["etag"]}))
    assert bare["note"] == ""
    asked = {"service_id": "s_cut", "start_time": "2025-12-04T10:00:00Z", "staff_id": "t_x"}
    [obstacle, *_] = berlin.get_json("/api/v1/availability/explain", **asked)["obstacles"]
    assert obstacle["rule"] == "STAFF_TIME_OFF"
    listed = berlin.get_json(
        "/api/v1/time_off", owner_id="t_x", end_time_after="2025-12-04T10:00:00Z"
    )
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    assert ok_json(berlin.delete(path)) == {}
    refused(berlin.delete(path), 404, "NOT_FOUND", "TIME_OFF_NOT_FOUND")


def test_a_limit_of_bookings_is_told_with_its_end(berlin: Zimun) -> None:
    limit = {"max_bookings": 1, "period": "DAY", "per": "SERVICE"}
    body = {"name": "Trial", "duration": "1800s", "booking_limits": [limit]}
    made = ok_json(berlin.post("/api/v1/services", body))
    assert made["booking_limits"] == [limit]
    found = berlin.get_json(f"/api/v1/availability?service_id={made['id']}&days_ahead=14")
    first, second = found["slots"][:2]
    assert first["local_start_time"][:10] == second["local_start_time"][:10]
    wanted = {"service_id": made["id"], "appointment_time": first["start_time"]}
    ok_json(berlin.post(HOLD_PATH, wanted))
    wanted["appointment_time"] = second["start_time"]
    answer = berlin.post(HOLD_PATH, wanted)
    told = refused(answer, 400, "FAILED_PRECONDITION", "LIMIT_REACHED")
    assert (told["owner_id"], told["period"]) == (made["id"], "DAY")
    assert told["ends"] > second["end_time"]


def test_a_service_with_hours_of_its_own_is_given_within_them(berlin: Zimun) -> None:
    own = [{"day_of_week": "TUESDAY", "start_time": "10:00", "end_time": "11:00"}]
    later = [{"valid_from": "2026-03-01", "weekly_hours": [{**own[0], "day_of_week": "MONDAY"}]}]
    body = {"name": "Talk", "duration": "1800s", "weekly_hours": own, "weekly_hours_periods": later}
    made = ok_json(berlin.post("/api/v1/services", body))
    assert (made["weekly_hours"], made["weekly_hours_periods"]) == (own, later)
    found = berlin.get_json(f"/api/v1/availability?service_id={made['id']}&days_ahead=14")
    assert {slot["local_start_time"][11:16] for slot in found["slots"]} == {"10:00", "10:30"}
    days = {slot["local_start_time"][:10] for slot in found["slots"]}
    assert {date.fromisoformat(day).weekday() for day in days} == {1}
    assert {one["date"] for one in found["days"] if one["status"] == "OPEN"} == days
