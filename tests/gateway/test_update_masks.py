"""The field mask that a PATCH has from the names in its JSON body (AIP-134)."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from zimun.v1.organization_pb2 import Organization
from zimun.v1.service_pb2 import Service
from zimun.v1.staff_member_pb2 import StaffMember

from ..support.gateway import Gateway
from ..support.profiles import examples

pytestmark = pytest.mark.asyncio(loop_scope="package")

API = "/api/v1"
UPDATES = {
    f"{API}/services/s_1": Service.DESCRIPTOR,
    f"{API}/staff/t_1": StaffMember.DESCRIPTOR,
    f"{API}/organization": Organization.DESCRIPTOR,
}
HOURS = {"day_of_week": "MONDAY", "start_time": "09:00", "end_time": "17:00"}
VALUES: dict[str, tuple[Any, ...]] = {
    "price": (None, {}, {"units": "12"}),
    "metadata": (None, {}, {"name": "x", "etag": ""}),
    "service_defaults": (None, {}, {"horizon": None}, {"lead_time": "0s", "slotStep": "60s"}),
    "weekly_hours": (None, [], [HOURS, HOURS]),
    "weekly_hours_periods": (None, [], [{"valid_from": "2026-03-01", "weekly_hours": [HOURS]}]),
    "booking_limits": (None, [], [{"per": "SERVICE", "period": "DAY", "max_bookings": 2}]),
    "resource_requirements": (None, [], [{}], [{"resource_ids": []}]),
    "duration_options": (None, [], ["60s"]),
    "create_time": (None, "2026-02-20T10:00:00Z"),
    "update_time": (None,),
}
"""Values of fields with something inside; others are empty, 0 or null."""


def values_of(field: Any) -> st.SearchStrategy[Any]:
    if field.name in VALUES:
        return st.sampled_from(VALUES[field.name])
    if field.message_type:
        return st.sampled_from((None, "0s"))
    if field.is_repeated:
        return st.sampled_from((None, [], ["x"]))
    texts, flags = (None, "", "x"), (None, False, True)
    usual = {FieldDescriptor.TYPE_STRING: texts, FieldDescriptor.TYPE_BOOL: flags}
    return st.sampled_from(usual.get(field.type, (None, 0)))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, dict[str, Any], set[str]]:
    """A path, a body for it in any order, and the fields that the body says shall change."""
    path = draw(st.sampled_from(sorted(UPDATES)))
    fields = [field for field in UPDATES[path].fields if field.name != "id"]
    body: dict[str, Any] = {}
    named = set()
    for field in draw(st.permutations(fields))[: draw(st.integers(0, 6))]:
        value = draw(values_of(field))
        body[draw(st.sampled_from((field.name, field.json_name)))] = value
        named |= expected(field.name, value)
    return path, body, named


def expected(name: str, value: Any) -> set[str]:
    if name in ("etag", "create_time", "update_time"):
        return set()
    if name == "service_defaults" and value:
        return {f"{name}.{inner.replace('slotStep', 'slot_step')}" for inner in value}
    return {name}


@examples(60)
@given(bodies())
async def test_a_patch_has_a_mask_of_exactly_the_fields_that_its_body_names(
    shared: Gateway, drawn: tuple[str, dict[str, Any], set[str]]
) -> None:
    path, body, named = drawn
    answer = await shared.call("PATCH", path, body=body)
    assert (answer.status, json.loads(answer.text).get("message")) == (200, None)
    paths = list(shared.server.last().request.update_mask.paths)
    assert paths == sorted(named)


async def test_the_same_body_in_another_order_is_the_same_request(gateway: Gateway) -> None:
    for body in ({"name": "Cut", "capacity": 2}, {"capacity": 2, "name": "Cut"}):
        assert (await gateway.call("PATCH", f"{API}/services/s_1", body=body)).status == 200
    first, second = gateway.server.calls
    assert first.request.SerializeToString() == second.request.SerializeToString()


@pytest.mark.parametrize("body", [None, "", " \n"])
@pytest.mark.parametrize("query", ["", "?update_mask=name"])
async def test_an_update_without_a_body_is_refused(
    gateway: Gateway, body: str | None, query: str
) -> None:
    for path in ("services/s_1", "organization", "appointments/a_1"):
        answer = await gateway.call("PATCH", f"/api/v1/{path}{query}", body=body)
        assert answer.violation() == ("body", "is required")
    assert gateway.server.calls == []


async def test_an_update_with_an_empty_object_changes_nothing(gateway: Gateway) -> None:
    assert (await gateway.call("PATCH", "/api/v1/organization", body={})).status == 200
    assert list(gateway.server.last().request.update_mask.paths) == []
