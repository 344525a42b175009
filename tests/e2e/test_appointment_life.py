"""An appointment's life through Envoy: one step, updates, outcomes, lists and history as JSON."""

from typing import Any

from ..support.answers import Json, ok_json, refused
from ..support.program import Zimun


def book(zimun: Zimun, time: str, **more: Any) -> Json:
    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    body = {"service_id": "s_123", "appointment_time": time, **contact, **more}
    return zimun.post_json("/api/v1/appointments/book", **body)


def patched(zimun: Zimun, path: str, body: Json) -> Json:
    return ok_json(zimun.patch(path, body))


def test_booking_in_one_step_takes_the_slot_and_offers_others_where_it_is_taken(
    zimun: Zimun, time: str
) -> None:
    kept = book(zimun, time, staff_id="t_ben", notes="By the door")
    assert (kept["state"], kept["notes"], kept["start_time"]) == ("CONFIRMED", "By the door", time)
    assert zimun.appointment(kept["appointment_id"]) == kept
    hold = zimun.get_json(f"/api/v1/holds/{kept['hold_id']}")
    assert (hold["state"], hold["staff_id"]) == ("CONFIRMED", "t_ben")
    body = {"service_id": "s_123", "appointment_time": time, "staff_id": "t_ben"}
    contact = {"contact_name": "Ada", "contact_email": "ada@example.com"}
    answer = zimun.post("/api/v1/appointments/book", {**body, **contact})
    refused(answer, 409, "ABORTED", "SLOT_UNAVAILABLE")
    assert len(answer.json()["details"][1]["slots"]) == 3


def test_holds_are_listed_by_their_state(zimun: Zimun, time: str) -> None:
    hold = zimun.hold(time, staff_id="t_ada")
    found = zimun.get_json("/api/v1/holds", state="HELD", staff_id="t_ada", page_size=1000)["items"]
    assert hold in found
    zimun.post_json("/api/v1/holds/release", hold_id=hold["hold_id"])
    found = zimun.get_json("/api/v1/holds", state="RELEASED", page_size=1000)["items"]
    assert {**hold, "state": "RELEASED"} in found


def test_patch_changes_the_fields_that_its_body_names(zimun: Zimun, time: str) -> None:
    kept = book(zimun, time, notes="Old", metadata={"crm": "42"})
    path = f"/api/v1/appointments/{kept['appointment_id']}"
    after = patched(zimun, path, {"notes": "", "contact_name": "Ada", "etag": kept["etag"]})
    changes = {name: after[name] for name in after if after[name] != kept[name]}
    assert changes.keys() == {"notes", "contact_name", "etag", "update_time"}
    assert (after["notes"], after["contact_name"]) == ("", "Ada")
    # The whole appointment as it was read may be sent back.
    assert patched(zimun, path, after) == after


def test_outcome_before_the_start_is_refused_and_a_confirmed_one_is_open(
    zimun: Zimun, time: str
) -> None:
    kept = book(zimun, time)
    named = {"appointment_id": kept["appointment_id"]}
    for path in ("complete", "no_show"):
        answer = zimun.post(f"/api/v1/appointments/{path}", named)
        refused(answer, 400, "FAILED_PRECONDITION", "APPOINTMENT_NOT_STARTED")
    assert zimun.post_json("/api/v1/appointments/reopen", **named) == kept


def test_appointments_are_found_by_contact_in_either_order(zimun: Zimun, day: str) -> None:
    email = f"{day}@example.com"
    ids = [
        book(zimun, f"{day}T{hour}:00:00Z", contact_email=email)["appointment_id"]
        for hour in ("10", "11")
    ]
    for order, expected in (
        ("start_time", ids),
        ("start_time desc", ids[::-1]),
    ):
        found = zimun.get_json("/api/v1/appointments", contact_email=email.upper(), order_by=order)
        assert [one["appointment_id"] for one in found["items"]] == expected


def test_history_tells_each_change_with_who_and_when(zimun: Zimun, time: str) -> None:
    kept = book(zimun, time)
    path = f"/api/v1/appointments/{kept['appointment_id']}"
    after = patched(zimun, path, {"notes": "New"})
    changes = zimun.get_json(f"{path}/changes")["items"]
    assert [change["type"] for change in changes] == ["CONFIRMED", "UPDATED"]
    assert [change["changed_fields"] for change in changes] == [[], ["notes"]]
    assert [change["appointment"] for change in changes] == [kept, after]
    assert {change["client_id"] for change in changes} == {zimun.credentials[0]}


def test_rules_are_set_aside_by_a_token_with_the_scope_alone(zimun: Zimun, day: str) -> None:
    night = f"{day}T22:07:00Z"
    body = {"service_id": "s_123", "appointment_time": night, "staff_id": "t_ben"}
    body |= {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    rules = ["OPENING_HOURS", "GRID"]
    path = "/api/v1/appointments/book"
    refused(zimun.post(path, body), 400, "FAILED_PRECONDITION", "NOT_A_SLOT")
    token = zimun.token("appointments:write")
    answer = zimun.post(path, {**body, "ignored_rules": rules}, token=token)
    refused(answer, 403, "PERMISSION_DENIED", "SCOPE_MISSING")
    assert answer.json()["details"][0]["metadata"] == {"scope": "appointments:override"}
    kept = ok_json(zimun.post(path, {**body, "ignored_rules": rules}))
    assert kept["start_time"] == night
    [change] = zimun.get_json(f"/api/v1/appointments/{kept['appointment_id']}/changes")["items"]
    assert change["ignored_rules"] == rules


def test_contact_is_exported_and_erased(zimun: Zimun, time: str) -> None:
    contact = {"contact_email": "kestrel@example.com", "contact_name": "Kestrel"}
    kept = book(zimun, time, **contact)
    body = {"contact_email": "Kestrel@example.com"}
    [item] = zimun.post_json("/api/v1/contacts/export", **body)["items"]
    assert item["appointment"] == kept
    answer = zimun.post("/api/v1/contacts/erase", body)
    refused(answer, 400, "FAILED_PRECONDITION", "CONTACT_HAS_APPOINTMENTS")
    erased = zimun.post_json("/api/v1/contacts/erase", **body, include_upcoming=True)
    assert erased == {"incomplete": False}
    assert zimun.post_json("/api/v1/contacts/export", **body)["items"] == []
    after = zimun.appointment(kept["appointment_id"])
    assert (after["contact_name"], after["state"]) == ("", "CONFIRMED")
