"""A salon that is built, booked and rebuilt through the JSON API alone."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import requests

from ..support.answers import Json, good, refused
from ..support.program import Zimun, closed_after

BERLIN = "Europe/Berlin"
WEEK = [
    {"day_of_week": day, "start_time": "09:00", "end_time": "17:00"}
    for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")
]
MONDAY = "2025-12-01"
KINDS = {
    "services": {"name": "Cut", "duration": "1800s"},
    "locations": {"name": "Branch"},
    "staff": {"name": "Ada"},
    "resources": {"name": "Chair"},
}
ONE = {
    "services": "service_id",
    "locations": "location_id",
    "staff": "staff_id",
    "resources": "resource_id",
}


@pytest.fixture(scope="module")
def salon(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], dict[str, str]]
) -> Iterator[Zimun]:
    """The demo, and in it a salon of its own in Berlin with two chairs."""
    data_dir = tmp_path_factory.mktemp("salon") / "data"
    with closed_after(Zimun(data_dir, **new_database())) as zimun:
        zimun.start()
        create(zimun, "locations", id="l_berlin", name="Berlin", time_zone=BERLIN)
        for name in ("x", "y"):
            create(zimun, "resources", id=f"r_{name}", name=name, location_id="l_berlin")
            create(zimun, "staff", id=f"t_{name}", name=name, time_zone=BERLIN, weekly_hours=WEEK)
        create(
            zimun,
            "services",
            id="s_cut",
            name="Cut",
            duration="1800s",
            duration_options=["3600s"],
            slot_step="900s",
            horizon="31536000s",
            staff_ids=["t_x", "t_y"],
            resource_requirements=[{"resource_ids": ["r_x", "r_y"]}],
            location_ids=["l_berlin"],
        )
        yield zimun
        zimun.stop()


def create(zimun: Zimun, kind: str, **fields: Any) -> Json:
    return zimun.tell(f"/api/v1/{kind}", **fields)


def patch(zimun: Zimun, path: str, body: object, **query: str) -> requests.Response:
    return zimun.session.patch(
        zimun.url + path, json=body, params=query, headers=zimun.headers(), timeout=20
    )


def delete(zimun: Zimun, path: str) -> requests.Response:
    return zimun.session.delete(zimun.url + path, headers=zimun.headers(), timeout=20)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_created_read_changed_and_archived(salon: Zimun, kind: str) -> None:
    path = f"/api/v1/{kind}"
    made = create(salon, kind, **KINDS[kind])
    assert made["active"]
    assert salon.ask(f"{path}/{made['id']}") == made
    assert made in salon.ask(path, page_size=1000)["items"]
    renamed = good(patch(salon, f"{path}/{made['id']}", {"name": "Other", "etag": made["etag"]}))
    assert renamed == made | {
        "name": "Other",
        "etag": renamed["etag"],
        "update_time": renamed["update_time"],
    }
    assert renamed["etag"] != made["etag"]
    answer = patch(salon, f"{path}/{made['id']}", {"name": "Third", "etag": made["etag"]})
    refused(answer, 409, "ABORTED", "ETAG_MISMATCH")
    archived = salon.tell(f"{path}/archive", **{ONE[kind]: made["id"]})
    assert not archived["active"]
    assert archived not in salon.ask(path, page_size=1000)["items"]
    assert archived in salon.ask(path, page_size=1000, include_archived="true")["items"]
    back = good(patch(salon, f"{path}/{made['id']}", {"active": True}))
    assert back in salon.ask(path, page_size=1000)["items"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_made_once_for_its_key_and_an_id_is_taken_once(salon: Zimun, kind: str) -> None:
    path, chosen = f"/api/v1/{kind}", f"{KINDS_PREFIX[kind]}_{kind}"
    first = salon.post(path, {**KINDS[kind], "id": chosen}, key=f"make-{kind}")
    again = salon.post(path, {**KINDS[kind], "id": chosen}, key=f"make-{kind}")
    assert good(first)["id"] == chosen
    assert again.content == first.content
    refused(salon.post(path, {**KINDS[kind], "id": chosen}), 409, "ALREADY_EXISTS", "ID_TAKEN")
    other = salon.post(path, {**KINDS[kind], "id": f"{chosen}_2"}, key=f"make-{kind}")
    refused(other, 409, "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")


KINDS_PREFIX = {"services": "s", "locations": "l", "staff": "t", "resources": "r"}


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("services", {"name": "x"}, "duration"),
        ("services", {"name": "x", "duration": "90s"}, "duration"),
        ("services", {"name": "x", "duration": "1800s", "staff_ids": ["t_9"]}, "staff_ids"),
        ("services", {"name": "x", "duration": "1800s", "capacity": -1}, "capacity"),
        ("services", {"name": "x", "duration": "soon"}, "duration"),
        ("services", {"name": "x", "duration": "1800s", "prise": {}}, "prise"),
        ("staff", {"name": "x", "time_zone": "Mars/Olympus"}, "time_zone"),
        ("staff", {"name": "x", "weekly_hours": [{**WEEK[0], "end_time": "24:30"}]}, None),
        ("staff", {"name": "x", "weekly_hours": [WEEK[0], WEEK[0]]}, "weekly_hours"),
        ("resources", {"name": "x", "id": "t_x"}, "id"),
        ("locations", {"name": ""}, "name"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(
    salon: Zimun, kind: str, body: Json, field: str | None
) -> None:
    answer = salon.post(f"/api/v1/{kind}", body)
    metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert metadata["field"] == (field or "weekly_hours[0].end_time")


def test_a_mask_says_what_changes_and_names_only_what_can(salon: Zimun) -> None:
    made = create(salon, "services", **KINDS["services"], description="old")
    path = f"/api/v1/services/{made['id']}"
    body = {"description": "new", "slot_step": "600s"}
    assert good(patch(salon, path, body, update_mask="slot_step"))["description"] == "old"
    assert good(patch(salon, path, body, update_mask="description"))["slot_step"] == "600s"
    assert good(patch(salon, path, {}, update_mask="description"))["description"] == ""
    for mask in ("nonsense", "create_time", "id"):
        answer = patch(salon, path, body, update_mask=mask)
        told = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert told["field"] == "update_mask"


FULL_SERVICE: Json = {
    "name": "Emptied",
    "description": "old",
    "duration": "1800s",
    "duration_options": ["3600s"],
    "price": {"currency_code": "EUR", "units": "12"},
    "staff_ids": ["t_ada"],
    "resource_requirements": [{"resource_ids": ["r_room_1"]}],
    "location_ids": ["l_main"],
    "metadata": {"colour": "red"},
}


@pytest.mark.parametrize(
    ("kind", "before", "body"),
    [
        ("services", FULL_SERVICE, {"active": False}),
        ("services", FULL_SERVICE, {"staff_ids": []}),
        ("services", FULL_SERVICE, {"location_ids": []}),
        ("services", FULL_SERVICE, {"resource_requirements": []}),
        ("services", FULL_SERVICE, {"duration_options": []}),
        ("services", FULL_SERVICE, {"description": ""}),
        ("services", FULL_SERVICE, {"metadata": {}}),
        ("services", FULL_SERVICE, {"price": None}),
        ("staff", {"name": "x", "daily_limit": 3}, {"daily_limit": 0}),
        ("staff", {"name": "x", "weekly_hours": WEEK}, {"weekly_hours": []}),
        ("locations", {"name": "x", "address": "Way 1"}, {"address": ""}),
    ],
)
def test_a_patch_empties_what_its_body_names(
    salon: Zimun, kind: str, before: Json, body: Json
) -> None:
    made = create(salon, kind, **before)
    path = f"/api/v1/{kind}/{made['id']}"
    changed = good(patch(salon, path, body))
    assert changed["etag"] != made["etag"]
    fixed = {"etag": changed["etag"], "update_time": changed["update_time"]}
    expected = {**made, **body, **fixed}
    assert changed == {name: value for name, value in expected.items() if value is not None}
    assert good(patch(salon, path, body)) == changed == salon.ask(path)


def test_a_patch_of_a_value_out_of_range_is_refused_and_of_the_same_value_changes_nothing(
    salon: Zimun,
) -> None:
    made = create(salon, "services", **FULL_SERVICE)
    path = f"/api/v1/services/{made['id']}"
    for body in ({"capacity": 0}, {"name": None}, {"duration": "0s"}):
        told = refused(patch(salon, path, body), 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert [told["field"]] == list(body)
    for same in ({}, {"name": made["name"]}, {"etag": made["etag"]}, made):
        assert good(patch(salon, path, same)) == made
    defaults = {"service_defaults": {"lead_time": "60s", "horizon": "86400s"}}
    good(patch(salon, "/api/v1/organization", defaults))
    named = {"service_defaults": {"horizon": "172800s"}}
    changed = good(patch(salon, "/api/v1/organization", named))
    assert changed["service_defaults"] == {"lead_time": "60s", "horizon": "172800s"}
    reset = good(patch(salon, "/api/v1/organization", {"service_defaults": {}}))
    assert reset["service_defaults"] == {}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("appointments/confirm", {"contact_name": "  "}, "contact_name"),
        ("appointments/confirm", {"contact_name": "X\r\nBcc: all@example.com"}, "contact_name"),
        ("appointments/confirm", {"contact_phone": "\n"}, "contact_phone"),
        ("appointments/confirm", {"contact_phone": "+999 1234"}, "contact_phone"),
        ("appointments/confirm", {"notes": "a\u202eb"}, "notes"),
        ("appointments/cancel", {"cancel_reason": "\u001b[2J"}, "cancel_reason"),
        ("staff", {"name": "A\u2067da"}, "name"),
        ("overrides", {"note": "\u0085"}, "note"),
    ],
)
def test_a_text_with_characters_that_its_field_does_not_allow_is_refused(
    salon: Zimun, path: str, body: Json, field: str
) -> None:
    contact = {"hold_id": "h_1", "contact_name": "Dana", "contact_email": "dana@example.com"}
    override = {"owner_id": "o_demo", "date": "2026-12-24", "status": "CLOSED"}
    usual: dict[str, Json] = {
        "appointments/confirm": contact,
        "appointments/cancel": {"appointment_id": "a_123"},
        "overrides": override,
    }
    answer = salon.post(f"/api/v1/{path}", usual.get(path, {}) | body)
    assert refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD") == {"field": field}


def test_a_new_service_is_booked_in_its_own_place_and_length(salon: Zimun) -> None:
    slots = salon.slots(MONDAY, "s_cut")
    assert min(slots) == f"{MONDAY}T08:00:00Z"
    assert slots[min(slots)]["local_start_time"] == f"{MONDAY}T09:00:00+01:00"
    long = salon.slots(MONDAY, "s_cut", duration="3600s")
    assert max(long) == f"{MONDAY}T15:00:00Z"
    hold = salon.hold(f"{MONDAY}T08:00:00Z", "s_cut", duration="3600s")
    assert hold["end_time"] == f"{MONDAY}T09:00:00Z"
    answer = salon.try_hold(f"{MONDAY}T08:00:00Z", "s_cut", duration="2700s")
    assert refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")["field"] == "duration"


def test_a_change_of_the_catalogue_is_in_the_next_search(salon: Zimun) -> None:
    day = "2025-12-03"
    assert salon.slots(day, "s_cut")
    closed = {"owner_id": "l_berlin", "date": day, "status": "CLOSED", "note": "Stocktaking"}
    made = salon.tell("/api/v1/overrides", **closed)
    found = salon.ask("/api/v1/availability", service_id="s_cut", date=day)
    assert found["slots"] == []
    assert found["days"] == [{"date": day, "status": "CLOSED", "note": "Stocktaking"}]
    again = salon.post("/api/v1/overrides", closed)
    told = refused(again, 409, "ALREADY_EXISTS", "OVERRIDE_EXISTS")
    assert told["override_id"] == made["id"]
    listed = salon.ask("/api/v1/overrides", start_date=day, end_date=day)["items"]
    assert listed == [made]
    assert good(delete(salon, f"/api/v1/overrides/{made['id']}")) == {}
    assert salon.slots(day, "s_cut")
    gone = delete(salon, f"/api/v1/overrides/{made['id']}")
    refused(gone, 404, "NOT_FOUND", "OVERRIDE_NOT_FOUND")


def test_the_organization_has_settings(private: Callable[..., Zimun]) -> None:
    zimun = private().start()
    before = zimun.ask("/api/v1/organization")
    path = "/api/v1/organization"
    body = {
        "holiday_region": "DE",
        "hold_length": "300s",
        "service_defaults": {"horizon": "86400s"},
    }
    after = good(patch(zimun, path, body))
    assert {**before, **body} == {
        **after,
        "etag": before["etag"],
        "update_time": before["update_time"],
    }
    [day] = zimun.ask("/api/v1/availability", service_id="s_123", date="2025-12-25")["days"]
    assert day == {"date": "2025-12-25", "status": "HOLIDAY", "note": "Erster Weihnachtstag"}
    hold = zimun.hold("2025-12-01T10:00:00Z")
    assert hold["expires_at"] < "2025-11-28T09:06:00Z"
    made = create(zimun, "services", name="Short", duration="600s")
    assert (made["horizon"], made["slot_step"]) == ("86400s", "600s")
    answer = patch(zimun, path, {"holiday_region": "ATLANTIS"})
    told = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert told["field"] == "holiday_region"


def test_archiving_leaves_holds_and_appointments_as_they_are(private: Callable[..., Zimun]) -> None:
    zimun = private().start()
    hold = zimun.hold("2025-12-01T10:00:00Z")
    zimun.tell("/api/v1/services/archive", service_id="s_123")
    zimun.tell("/api/v1/staff/archive", staff_id=hold["staff_id"])
    zimun.tell("/api/v1/locations/archive", location_id="l_main")
    appointment = zimun.confirm(hold)
    assert zimun.appointment(appointment["appointment_id"]) == appointment
    assert zimun.slots("2025-12-02") == {}
    cancelled = zimun.tell(
        "/api/v1/appointments/cancel", appointment_id=appointment["appointment_id"]
    )
    assert cancelled["state"] == "CANCELLED"


def test_the_next_slots_are_found_beyond_what_is_closed(salon: Zimun) -> None:
    query = {"service_id": "s_cut", "start_time_from": "2025-12-05T15:30:00Z"}
    found = salon.ask("/api/v1/availability/next", **query, count="3", time_zone="UTC")
    assert [slot["start_time"] for slot in found["slots"]] == [
        "2025-12-05T15:30:00Z",
        "2025-12-08T08:00:00Z",
        "2025-12-08T08:15:00Z",
    ]
    assert found["slots"][1]["local_start_time"] == "2025-12-08T08:00:00+00:00"


def test_checks_are_answered_one_by_one_as_a_hold_would_be(salon: Zimun) -> None:
    times = ["2025-12-09T08:00:00Z", "2025-12-09T08:01:00Z", "2025-12-07T08:00:00Z"]
    checks = [{"service_id": "s_cut", "start_time": time} for time in times]
    checks.append({"service_id": "s_none", "start_time": times[0]})
    results = good(salon.post("/api/v1/availability/check", {"checks": checks}))["results"]
    assert results[0]["slot"] == salon.slots("2025-12-09", "s_cut")[times[0]]
    for result, check in zip(results[1:], checks[1:], strict=True):
        held = salon.try_hold(check["start_time"], check["service_id"])
        assert result["error"] == held.json()


def test_a_support_person_reads_why_a_time_is_taken(salon: Zimun) -> None:
    start = "2025-12-10T08:00:00Z"
    for _ in range(2):
        salon.hold(start, "s_cut")
    told = salon.ask("/api/v1/availability/explain", service_id="s_cut", start_time=start)
    assert told["error"]["details"][0]["reason"] == "SLOT_UNAVAILABLE"
    people = [one for one in told["obstacles"] if one["rule"] == "STAFF_BUSY"]
    assert {one["subject_id"] for one in people} == {"t_x", "t_y"}
    assert people[0]["message"] == (
        "x is taken from 2025-12-10 09:00 in Europe/Berlin to 2025-12-10 09:30 in Europe/Berlin"
    )
    assert (people[0]["busy_start"], people[0]["busy_end"]) == (start, "2025-12-10T08:30:00Z")


def test_where_an_appointment_can_move_its_own_time_counts_as_free(salon: Zimun) -> None:
    start = "2025-12-11T08:00:00Z"
    appointments = [salon.book(start, "s_cut") for _ in range(2)]
    assert start not in salon.slots(start[:10], "s_cut")
    mine = appointments[0]
    view = salon.slots(start[:10], "s_cut", ignore_appointment_id=mine["appointment_id"])
    assert view[start]["staff_ids"] == [mine["staff_id"]]
    moved = salon.tell(
        "/api/v1/appointments/reschedule",
        appointment_id=mine["appointment_id"],
        start_time="2025-12-11T08:15:00Z",
    )
    assert moved["staff_id"] == mine["staff_id"]


def test_time_off_lists_what_it_meets_and_is_made_when_told_that_it_may(salon: Zimun) -> None:
    held = salon.tell(
        "/api/v1/appointments/hold",
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
    answer = salon.post("/api/v1/time_off", off)
    assert refused(answer, 400, "FAILED_PRECONDITION", "TIME_OFF_CONFLICTS") == {
        "owner_id": "t_x",
        "total_size": "1",
    }
    [detail] = [one for one in answer.json()["details"] if "TimeOffConflicts" in one["@type"]]
    assert detail["hold_ids"] == [held["hold_id"]]
    made = good(salon.post("/api/v1/time_off?allow_conflicts=true", off))
    assert made["conflicts"] == {
        "appointment_ids": [],
        "hold_ids": [held["hold_id"]],
        "total_size": 1,
    }
    path = f"/api/v1/time_off/{made['id']}"
    bare = good(patch(salon, path, {"note": "", "etag": made["etag"]}))
    assert bare["note"] == ""
    asked = {"service_id": "s_cut", "start_time": "2025-12-04T10:00:00Z", "staff_id": "t_x"}
    [obstacle, *_] = salon.ask("/api/v1/availability/explain", **asked)["obstacles"]
    assert obstacle["rule"] == "STAFF_TIME_OFF"
    listed = salon.ask("/api/v1/time_off", owner_id="t_x", end_time_after="2025-12-04T10:00:00Z")
    assert [one["id"] for one in listed["items"]] == [made["id"]]
    assert good(delete(salon, path)) == {}
    refused(delete(salon, path), 404, "NOT_FOUND", "TIME_OFF_NOT_FOUND")


def test_a_limit_of_bookings_is_told_with_its_end(salon: Zimun) -> None:
    limit = {"max_bookings": 1, "period": "DAY", "per": "SERVICE"}
    body = {"name": "Trial", "duration": "1800s", "booking_limits": [limit]}
    made = good(salon.post("/api/v1/services", body))
    assert made["booking_limits"] == [limit]
    found = salon.ask(f"/api/v1/availability?service_id={made['id']}&days_ahead=14")
    first, second = found["slots"][:2]
    assert first["local_start_time"][:10] == second["local_start_time"][:10]
    wanted = {"service_id": made["id"], "appointment_time": first["start_time"]}
    good(salon.post("/api/v1/appointments/hold", wanted))
    wanted["appointment_time"] = second["start_time"]
    answer = salon.post("/api/v1/appointments/hold", wanted)
    told = refused(answer, 400, "FAILED_PRECONDITION", "LIMIT_REACHED")
    assert (told["owner_id"], told["period"]) == (made["id"], "DAY")
    assert told["ends"] > second["end_time"]


def test_a_service_with_hours_of_its_own_is_given_within_them(salon: Zimun) -> None:
    own = [{"day_of_week": "TUESDAY", "start_time": "10:00", "end_time": "11:00"}]
    later = [{"valid_from": "2026-03-01", "weekly_hours": [{**own[0], "day_of_week": "MONDAY"}]}]
    body = {"name": "Talk", "duration": "1800s", "weekly_hours": own, "weekly_hours_periods": later}
    made = good(salon.post("/api/v1/services", body))
    assert (made["weekly_hours"], made["weekly_hours_periods"]) == (own, later)
    found = salon.ask(f"/api/v1/availability?service_id={made['id']}&days_ahead=14")
    assert {slot["local_start_time"][11:16] for slot in found["slots"]} == {"10:00", "10:30"}
    days = {slot["local_start_time"][:10] for slot in found["slots"]}
    assert {date.fromisoformat(day).weekday() for day in days} == {1}
    assert {one["date"] for one in found["days"] if one["status"] == "OPEN"} == days
