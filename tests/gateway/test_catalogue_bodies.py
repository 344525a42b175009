"""The catalogue's JSON: bodies that are one field of a request, masks, and nested messages."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from google.type.dayofweek_pb2 import MONDAY
from google.type.money_pb2 import Money

from zimun.v1.availability_service_pb2 import (
    BatchCheckAvailabilityRequest,
    BatchCheckAvailabilityResponse,
    ExplainSlotRequest,
    ExplainSlotResponse,
    FindNextAvailableRequest,
    GetAvailabilityRequest,
    SlotCheck,
    SlotCheckResult,
)
from zimun.v1.location_pb2 import Location, WeeklyHours
from zimun.v1.locations_service_pb2 import CreateLocationRequest
from zimun.v1.organization_pb2 import Organization, ServiceDefaults
from zimun.v1.organizations_service_pb2 import UpdateOrganizationRequest
from zimun.v1.override_pb2 import OpeningHours, Override
from zimun.v1.overrides_service_pb2 import CreateOverrideRequest, DeleteOverrideRequest
from zimun.v1.resource_pb2 import Resource
from zimun.v1.resources_service_pb2 import UpdateResourceRequest
from zimun.v1.service_pb2 import ResourceRequirement, Service
from zimun.v1.services_service_pb2 import (
    ArchiveServiceRequest,
    CreateServiceRequest,
    UpdateServiceRequest,
)
from zimun.v1.slot_pb2 import Obstacle, Slot
from zimun.v1.staff_member_pb2 import StaffMember
from zimun.v1.staff_service_pb2 import UpdateStaffMemberRequest

from ..support.gateway import Gateway, raw
from ..support.gateway_stubs import Context

pytestmark = pytest.mark.asyncio(loop_scope="package")
API = "/api/v1"
SERVICE = f"{API}/services/s_1"

SERVICE_JSON = {
    "id": "s_9",
    "name": "Cut",
    "duration": "1800s",
    "slot_alignment": "HOUR",
    "price": {"currency_code": "EUR", "units": "12", "nanos": 500000000},
    "staff_ids": ["t_1", "t_2"],
    "resource_requirements": [{"resource_ids": ["r_1"]}, {}],
    "metadata": {"colour": "red"},
    "duration_options": ["900s", "2700s"],
}

SERVICE_MESSAGE = Service(
    id="s_9",
    name="Cut",
    duration=Duration(seconds=1800),
    slot_alignment=Service.HOUR,
    price=Money(currency_code="EUR", units=12, nanos=500000000),
    staff_ids=["t_1", "t_2"],
    resource_requirements=[ResourceRequirement(resource_ids=["r_1"]), ResourceRequirement()],
    metadata={"colour": "red"},
    duration_options=[Duration(seconds=900), Duration(seconds=2700)],
)

HOURS_JSON = [{"day_of_week": "MONDAY", "start_time": "09:00", "end_time": "24:00"}]
HOURS = [WeeklyHours(day_of_week=MONDAY, start_time="09:00", end_time="24:00")]
AT = Timestamp(seconds=1771581600)
HALF_AN_HOUR = Duration(seconds=1800)


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


REQUESTS: dict[str, tuple[str, str, Any, Message]] = {
    "create": ("POST", "services", SERVICE_JSON, CreateServiceRequest(service=SERVICE_MESSAGE)),
    "create_nothing": ("POST", "services", {}, CreateServiceRequest(service=Service())),
    "create_lists": (
        "POST",
        "locations",
        {"name": "Hub", "weekly_hours": HOURS_JSON},
        CreateLocationRequest(location=Location(name="Hub", weekly_hours=HOURS)),
    ),
    "create_enums": (
        "POST",
        "overrides",
        {"owner_id": "l_1", "status": "OPEN", "hours": [{"start_time": "09:00"}]},
        CreateOverrideRequest(
            override=Override(
                owner_id="l_1", status=Override.OPEN, hours=[OpeningHours(start_time="09:00")]
            )
        ),
    ),
    "update": (
        "PATCH",
        "services/s_1",
        {"lead_time": "60s"},
        UpdateServiceRequest(
            service=Service(id="s_1", lead_time=Duration(seconds=60)), update_mask=mask("lead_time")
        ),
    ),
    "update_by_the_other_name": (
        "PATCH",
        "services/s_1",
        {"leadTime": "60s"},
        UpdateServiceRequest(
            service=Service(id="s_1", lead_time=Duration(seconds=60)), update_mask=mask("lead_time")
        ),
    ),
    "update_two_words": (
        "PATCH",
        "staff/t_1",
        {"daily_limit": 3},
        UpdateStaffMemberRequest(
            staff_member=StaffMember(id="t_1", daily_limit=3), update_mask=mask("daily_limit")
        ),
    ),
    "update_an_escaped_id": (
        "PATCH",
        "resources/r_%22",
        {"name": "Chair"},
        UpdateResourceRequest(resource=Resource(id='r_"', name="Chair"), update_mask=mask("name")),
    ),
    "update_without_an_id": (
        "PATCH",
        "organization",
        {"service_defaults": {"horizon": "60s"}},
        UpdateOrganizationRequest(
            organization=Organization(
                service_defaults=ServiceDefaults(horizon=Duration(seconds=60))
            ),
            update_mask=mask("service_defaults.horizon"),
        ),
    ),
    "update_with_its_id": (
        "PATCH",
        "services/s_1",
        {"id": "s_1", "name": "Cut"},
        UpdateServiceRequest(service=Service(id="s_1", name="Cut"), update_mask=mask("name")),
    ),
    "update_with_an_empty_body": (
        "PATCH",
        "services/s_1?update_mask=price",
        {},
        UpdateServiceRequest(service=Service(id="s_1"), update_mask=mask("price")),
    ),
    "update_nothing": (
        "PATCH",
        "services/s_1",
        {},
        UpdateServiceRequest(service=Service(id="s_1")),
    ),
    "update_nulls": (
        "PATCH",
        "services/s_1",
        {"price": None, "staff_ids": None, "duration": None},
        UpdateServiceRequest(
            service=Service(id="s_1"), update_mask=mask("duration", "price", "staff_ids")
        ),
    ),
    "archive": (
        "POST",
        "services/archive",
        {"service_id": "s_1", "etag": "e"},
        ArchiveServiceRequest(service_id="s_1", etag="e"),
    ),
    "delete": ("DELETE", "overrides/v_1", None, DeleteOverrideRequest(override_id="v_1")),
    "duration_in_a_query": (
        "GET",
        "availability?service_id=s_1&duration=1800s",
        None,
        GetAvailabilityRequest(service_id="s_1", duration=HALF_AN_HOUR),
    ),
    "next": (
        "GET",
        "availability/next?count=3&start_time_from=2026-02-20T10:00:00Z&duration=1800s",
        None,
        FindNextAvailableRequest(count=3, start_time_from=AT, duration=HALF_AN_HOUR),
    ),
    "explain": (
        "GET",
        "availability/explain?service_id=s_1&start_time=2026-02-20T10:00:00Z",
        None,
        ExplainSlotRequest(service_id="s_1", start_time=AT),
    ),
    "check": (
        "POST",
        "availability/check",
        {"checks": [{"start_time": "2026-02-20T10:00:00Z", "duration": "1800s"}, {"seats": 2}]},
        BatchCheckAvailabilityRequest(
            checks=[SlotCheck(start_time=AT, duration=HALF_AN_HOUR), SlotCheck(seats=2)]
        ),
    ),
}


@pytest.mark.parametrize(("method", "path", "body", "request_"), REQUESTS.values(), ids=REQUESTS)
async def test_json_becomes_the_request(
    gateway: Gateway, method: str, path: str, body: Any, request_: Message
) -> None:
    answer = await gateway.call(method, f"{API}/{path}", body=body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert gateway.server.last().request == request_


@pytest.mark.parametrize(
    ("sent", "paths"),
    [
        ("slot_step,lead_time", ["slot_step", "lead_time"]),
        ("slot_step%2Clead_time", ["slot_step", "lead_time"]),
        ("slot_step&update_mask=lead_time", ["slot_step", "lead_time"]),
        ("slotStep,leadTime", ["slot_step", "lead_time"]),
        ("service_defaults.slot_step,name", ["service_defaults.slot_step", "name"]),
        ("*", ["*"]),
        ("", ["name"]),
        ("&updateMask=metadata", ["metadata"]),
    ],
)
async def test_an_update_mask_of_a_query_has_the_fields_in_any_spelling(
    gateway: Gateway, sent: str, paths: list[str]
) -> None:
    path = f"{API}/organization?update_mask={sent}"
    assert (await gateway.call("PATCH", path, body={"name": "Salon"})).status == 200
    assert gateway.server.last().request == UpdateOrganizationRequest(
        organization=Organization(name="Salon"), update_mask=mask(*paths)
    )


@pytest.mark.parametrize("other", ["s_2", ""])
async def test_an_id_in_the_body_other_than_that_of_the_path_is_refused(
    gateway: Gateway, other: str
) -> None:
    answer = await gateway.call("PATCH", SERVICE, body={"name": "Cut", "id": other})
    assert answer.violation() == ("id", "has another value in the path or the query")
    assert gateway.server.calls == []


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("PATCH", "services/s_1", "service.id"),
        ("PATCH", "services/s_1", "service"),
        ("PATCH", "staff/t_1", "staffMember.id"),
        ("PATCH", "staff/t_1", "%73taff_member.id"),
        ("POST", "services", "service.name"),
        ("GET", "services/s_1", "service_id"),
        ("GET", "services/s_1", "serviceId"),
        ("DELETE", "overrides/v_1", "override_id"),
    ],
)
async def test_a_query_must_not_say_what_the_path_and_the_body_say(
    gateway: Gateway, method: str, path: str, name: str
) -> None:
    """As written: a client's library may undo escapes."""
    token = gateway.bearer()["Authorization"]
    sent = f"{method} {API}/{path}?{name}=x HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n"
    head, body = await raw(gateway.target, sent.encode())
    assert head.startswith(b"http/1.1 400")
    assert f'"message":"{name}: is no query parameter"'.encode() in body
    assert gateway.server.calls == []


async def test_a_deleted_thing_leaves_an_empty_object(gateway: Gateway) -> None:
    assert (await gateway.call("DELETE", f"{API}/overrides/v_1")).json() == {}


async def test_catalogue_changes_without_a_token_are_refused(gateway: Gateway) -> None:
    for method, path in (
        ("POST", "services"),
        ("PATCH", "services/s_1"),
        ("DELETE", "overrides/v"),
    ):
        answer = await gateway.call(method, f"{API}/{path}", headers={})
        assert (answer.status, answer.reason()) == (401, "TOKEN_INVALID")
    assert gateway.server.calls == []


async def test_nested_messages_of_an_answer_have_all_their_fields(gateway: Gateway) -> None:
    async def create(request: Any, _: Context) -> Service:
        service: Service = request.service
        return service

    gateway.server.behaviours["CreateService"] = create
    answer = (await gateway.post(f"{API}/services", SERVICE_JSON)).json()
    filled = SERVICE_JSON | {
        "resource_requirements": [{"resource_ids": ["r_1"]}, {"resource_ids": []}]
    }
    assert {name: answer[name] for name in filled} == filled


def refusal() -> Status:
    status = Status(code=9, message='not a "slot"')
    bad = BadRequest()
    bad.field_violations.add(field="start_time", description="is no step")
    info = ErrorInfo(reason="NOT_A_SLOT", domain="zimun", metadata={"service_id": "s_1"})
    for detail in (info, bad):
        status.details.add().Pack(detail)
    return status


REFUSAL_JSON = {
    "code": 9,
    "message": 'not a "slot"',
    "details": [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "NOT_A_SLOT",
            "domain": "zimun",
            "metadata": {"service_id": "s_1"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": [
                {"field": "start_time", "description": "is no step", "reason": ""}
            ],
        },
    ],
}


async def test_an_error_in_an_answer_is_written_in_full(gateway: Gateway) -> None:
    async def check(_: Any, __: Context) -> BatchCheckAvailabilityResponse:
        results = [SlotCheckResult(slot=Slot(seats_left=2)), SlotCheckResult(error=refusal())]
        return BatchCheckAvailabilityResponse(results=results)

    async def explain(_: Any, __: Context) -> ExplainSlotResponse:
        return ExplainSlotResponse(error=refusal(), obstacles=[Obstacle(rule=Obstacle.NOT_ON_GRID)])

    gateway.server.behaviours |= {"BatchCheckAvailability": check, "ExplainSlot": explain}
    slot, error = (await gateway.post(f"{API}/availability/check", {})).json()["results"]
    assert (set(slot), slot["slot"]["seats_left"]) == ({"slot"}, 2)
    assert error == {"error": REFUSAL_JSON}
    explained = (await gateway.get(f"{API}/availability/explain")).json()
    assert explained["error"] == REFUSAL_JSON
    assert explained["obstacles"][0]["rule"] == "NOT_ON_GRID"
