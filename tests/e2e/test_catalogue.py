"""Entries of the catalogue through the JSON API: made, changed, archived, refused."""

from collections.abc import Callable
from typing import Any

import pytest

from ..support.answers import Json, ok_json, refused
from ..support.program import Zimun
from .conftest import WEEK

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


def create(zimun: Zimun, kind: str, **fields: Any) -> Json:
    return zimun.post_json(f"/api/v1/{kind}", **fields)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_created_read_changed_and_archived(berlin: Zimun, kind: str) -> None:
    path = f"/api/v1/{kind}"
    made = create(berlin, kind, **KINDS[kind])
    assert made["active"]
    assert berlin.get_json(f"{path}/{made['id']}") == made
    assert made in berlin.get_json(path, page_size=1000)["items"]
    renamed = ok_json(berlin.patch(f"{path}/{made['id']}", {"name": "Other", "etag": made["etag"]}))
    assert renamed == made | {
        "name": "Other",
        "etag": renamed["etag"],
        "update_time": renamed["update_time"],
    }
    assert renamed["etag"] != made["etag"]
    answer = berlin.patch(f"{path}/{made['id']}", {"name": "Third", "etag": made["etag"]})
    refused(answer, 409, "ABORTED", "ETAG_MISMATCH")
    archived = berlin.post_json(f"{path}/archive", **{ONE[kind]: made["id"]})
    assert not archived["active"]
    assert archived not in berlin.get_json(path, page_size=1000)["items"]
    assert archived in berlin.get_json(path, page_size=1000, include_archived="true")["items"]
    back = ok_json(berlin.patch(f"{path}/{made['id']}", {"active": True}))
    assert back in berlin.get_json(path, page_size=1000)["items"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_made_once_for_its_key_and_an_id_is_taken_once(
    berlin: Zimun, kind: str
) -> None:
    path, chosen = f"/api/v1/{kind}", f"{KINDS_PREFIX[kind]}_{kind}"
    first = berlin.post(path, {**KINDS[kind], "id": chosen}, key=f"make-{kind}")
    again = berlin.post(path, {**KINDS[kind], "id": chosen}, key=f"make-{kind}")
    assert ok_json(first)["id"] == chosen
    assert again.content == first.content
    refused(berlin.post(path, {**KINDS[kind], "id": chosen}), 409, "ALREADY_EXISTS", "ID_TAKEN")
    other = berlin.post(path, {**KINDS[kind], "id": f"{chosen}_2"}, key=f"make-{kind}")
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
    berlin: Zimun, kind: str, body: Json, field: str | None
) -> None:
    answer = berlin.post(f"/api/v1/{kind}", body)
    metadata = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert metadata["field"] == (field or "weekly_hours[0].end_time")


def test_a_mask_says_what_changes_and_names_only_what_can(berlin: Zimun) -> None:
    made = create(berlin, "services", **KINDS["services"], description="old")
    path = f"/api/v1/services/{made['id']}"
    body = {"description": "new", "slot_step": "600s"}
    assert ok_json(berlin.patch(path, body, update_mask="slot_step"))["description"] == "old"
    assert ok_json(berlin.patch(path, body, update_mask="description"))["slot_step"] == "600s"
    assert ok_json(berlin.patch(path, {}, update_mask="description"))["description"] == ""
    for mask in ("nonsense", "create_time", "id"):
        answer = berlin.patch(path, body, update_mask=mask)
        told = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert told["field"] == "update_mask"


FULL_SERVICE: Json = {
    "name": "Emptied",
    "description": "old",
    "duration": "1800s",
    "duration_options": ["3600s"],
    "price": {"currency_code": "EUR", "units": "12"},
    "staff_ids": ["t_x"],
    "resource_requirements": [{"resource_ids": ["r_screen"]}],
    "location_ids": ["l_berlin"],
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
    berlin: Zimun, kind: str, before: Json, body: Json
) -> None:
    made = create(berlin, kind, **before)
    path = f"/api/v1/{kind}/{made['id']}"
    changed = ok_json(berlin.patch(path, body))
    assert changed["etag"] != made["etag"]
    fixed = {"etag": changed["etag"], "update_time": changed["update_time"]}
    expected = {**made, **body, **fixed}
    assert changed == {name: value for name, value in expected.items() if value is not None}
    assert ok_json(berlin.patch(path, body)) == changed == berlin.get_json(path)


def test_a_patch_of_a_value_out_of_range_is_refused_and_of_the_same_value_changes_nothing(
    berlin: Zimun,
) -> None:
    made = create(berlin, "services", **FULL_SERVICE)
    path = f"/api/v1/services/{made['id']}"
    for body in ({"capacity": 0}, {"name": None}, {"duration": "0s"}):
        told = refused(berlin.patch(path, body), 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert [told["field"]] == list(body)
    for same in ({}, {"name": made["name"]}, {"etag": made["etag"]}, made):
        assert ok_json(berlin.patch(path, same)) == made
    defaults = {"service_defaults": {"lead_time": "60s", "horizon": "86400s"}}
    ok_json(berlin.patch("/api/v1/organization", defaults))
    named = {"service_defaults": {"horizon": "172800s"}}
    changed = ok_json(berlin.patch("/api/v1/organization", named))
    assert changed["service_defaults"] == {"lead_time": "60s", "horizon": "172800s"}
    reset = ok_json(berlin.patch("/api/v1/organization", {"service_defaults": {}}))
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
    berlin: Zimun, path: str, body: Json, field: str
) -> None:
    contact = {"hold_id": "h_1", "contact_name": "Dana", "contact_email": "dana@example.com"}
    override = {"owner_id": "o_berlin", "date": "2026-12-24", "status": "CLOSED"}
    usual: dict[str, Json] = {
        "appointments/confirm": contact,
        "appointments/cancel": {"appointment_id": "a_123"},
        "overrides": override,
    }
    answer = berlin.post(f"/api/v1/{path}", usual.get(path, {}) | body)
    assert refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD") == {"field": field}


def test_the_organization_has_settings(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program().start()
    before = zimun.get_json("/api/v1/organization")
    path = "/api/v1/organization"
    body = {
        "holiday_region": "DE",
        "hold_length": "300s",
        "service_defaults": {"horizon": "86400s"},
    }
    after = ok_json(zimun.patch(path, body))
    assert {**before, **body} == {
        **after,
        "etag": before["etag"],
        "update_time": before["update_time"],
    }
    [day] = zimun.get_json("/api/v1/availability", service_id="s_123", date="2025-12-25")["days"]
    assert day == {"date": "2025-12-25", "status": "HOLIDAY", "note": "Erster Weihnachtstag"}
    hold = zimun.hold("2025-12-01T10:00:00Z")
    assert hold["expires_at"] < "2025-11-28T09:06:00Z"
    made = create(zimun, "services", name="Short", duration="600s")
    assert (made["horizon"], made["slot_step"]) == ("86400s", "600s")
    answer = zimun.patch(path, {"holiday_region": "ATLANTIS"})
    told = refused(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert told["field"] == "holiday_region"


def test_archiving_leaves_holds_and_appointments_as_they_are(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    hold = zimun.hold("2025-12-01T10:00:00Z")
    zimun.post_json("/api/v1/services/archive", service_id="s_123")
    zimun.post_json("/api/v1/staff/archive", staff_id=hold["staff_id"])
    zimun.post_json("/api/v1/locations/archive", location_id="l_main")
    appointment = zimun.confirm(hold)
    assert zimun.appointment(appointment["appointment_id"]) == appointment
    assert zimun.slots("2025-12-02") == {}
    cancelled = zimun.post_json(
        "/api/v1/appointments/cancel", appointment_id=appointment["appointment_id"]
    )
    assert cancelled["state"] == "CANCELLED"
