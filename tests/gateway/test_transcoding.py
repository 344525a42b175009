"""JSON outside, gRPC inside."""

import json
from pathlib import Path
from typing import Any

import pytest

from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.availability_service_pb2 import GetAvailabilityRequest
from zimun.v1.services_service_pb2 import ListServicesResponse
from zimun_gateway.descriptor_set import methods
from zimun_gateway.http_rules import rules_of

from ..support.gateway import DESCRIPTORS, Gateway
from ..support.gateway_stubs import Context
from ..support.program import CONFIRM_PATH, HOLD_PATH

pytestmark = pytest.mark.asyncio(loop_scope="package")


def request(gateway: Gateway) -> Any:
    """What the server was asked last."""
    return gateway.server.last().request


async def test_query_parameters_become_fields(gateway: Gateway) -> None:
    query = "service_id=s_123&date=2026-02-20&time_zone=Europe%2FBerlin&days_ahead=7&view=BASIC"
    answer = await gateway.get(f"/api/v1/availability?{query}")
    assert answer.status == 200
    asked = request(gateway)
    assert (asked.service_id, asked.date, asked.time_zone) == (
        "s_123",
        "2026-02-20",
        "Europe/Berlin",
    )
    assert asked.days_ahead == 7
    assert asked.view == GetAvailabilityRequest.BASIC


@pytest.mark.parametrize("offset", ["Z", "%2B02:00", "+02:00", "%2B02%3A00"])
async def test_timestamp_in_a_query_reaches_the_server_whatever_its_offset(
    gateway: Gateway, offset: str
) -> None:
    path = f"/api/v1/appointments?start_time_from=2026-02-20T10:00:00{offset}&state=CONFIRMED"
    assert (await gateway.get(path)).status == 200
    assert request(gateway).start_time_from.seconds == 1771581600 - (0 if offset == "Z" else 7200)
    assert request(gateway).state == Appointment.CONFIRMED


async def test_answers_are_snake_case_with_every_primitive(gateway: Gateway) -> None:
    answer = await gateway.get("/api/v1/services")
    assert answer.json() == {"items": [], "next_page_token": ""}
    assert answer.headers["content-type"] == "application/json"
    assert not [name for name in answer.headers if name.startswith("grpc-")]


async def test_a_long_answer_passes_whole(gateway: Gateway) -> None:
    async def many(_: Any, __: Context) -> ListServicesResponse:
        answer = ListServicesResponse()
        for number in range(3000):
            answer.items.add(id=f"s_{number}", name="x" * 1000)
        return answer

    gateway.server.behaviours["ListServices"] = many
    assert len((await gateway.get("/api/v1/services")).json()["items"]) == 3000


@pytest.mark.parametrize(
    ("path", "service_id"),
    [("s_123", "s_123"), ("s%5F123", "s_123"), ("s_%22%3C", 's_"<')],
)
async def test_ids_in_the_path_reach_the_server_decoded(
    gateway: Gateway, path: str, service_id: str
) -> None:
    assert (await gateway.get(f"/api/v1/services/{path}")).status == 200
    assert request(gateway).service_id == service_id


PARAMETERS = [
    (rule.verb.upper(), rule.template, variable)
    for rule in rules_of(methods(DESCRIPTORS))
    for variable in rule.variables
]


@pytest.mark.parametrize(("method", "template", "variable"), PARAMETERS)
async def test_a_path_parameter_that_is_not_utf8_is_named(
    gateway: Gateway, method: str, template: str, variable: str
) -> None:
    for escapes in ("%FF", "a%c3", "%ed%a0%80b"):
        path = template.replace(f"{{{variable}}}", escapes)
        body = {"name": "x"} if method == "PATCH" else None
        answer = await gateway.call(method, path, body=body)
        assert answer.violation() == (variable.rpartition(".")[2], "must be UTF-8")
    assert gateway.server.calls == []


@pytest.mark.parametrize(
    "path", ["services/", "services//", "services/?page_size=1", "services/s/"]
)
async def test_an_empty_id_is_refused(gateway: Gateway, path: str) -> None:
    for method in ("GET", "PATCH"):
        answer = await gateway.call(method, f"/api/v1/{path}")
        assert (answer.status, answer.reason()) == (400, "REQUEST_REFUSED")
        assert "a segment that no path of this service has" in answer.json()["message"]


async def test_headers_reach_the_server_as_metadata(gateway: Gateway) -> None:
    headers = gateway.bearer() | {"Idempotency-Key": "k-1", "x-request-id": "forged"}
    answer = await gateway.post(HOLD_PATH, {"service_id": "s_1"}, headers)
    seen = gateway.server.last().metadata
    assert seen["idempotency-key"] == "k-1"
    assert seen["x-request-id"] == answer.headers["x-request-id"] != "forged"


@pytest.mark.parametrize("body", ["", "{}", b'{"service_id":""}'])
async def test_an_empty_body_is_an_empty_request(gateway: Gateway, body: str) -> None:
    """Which field is missing, the server says."""
    assert (await gateway.post(HOLD_PATH, body)).status == 200
    assert not request(gateway).HasField("appointment_time")


async def test_the_content_type_does_not_matter_if_the_body_is_json(gateway: Gateway) -> None:
    headers = gateway.bearer() | {"Content-Type": "text/plain"}
    assert (await gateway.post(HOLD_PATH, '{"service_id":"s_9"}', headers)).status == 200
    assert request(gateway).service_id == "s_9"


WHOLE = "must be a whole number of 32 bits"
INSTANT = "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z"
MALFORMED = {
    "unknown": ('{"service_id":"s_1","staf_id":"t_1"}', "staf_id", "is unknown"),
    "unknown_after_escape": (r'{"service_id":"\"}","x":1}', "x", "is unknown"),
    "unknown_with_quotes": (r'{"a\"}b":1}', r"a\"}b", "is unknown"),
    "unknown_and_odd": ('{"%1 \u00e9: $why":1}', "%1 \u00e9: $why", "is unknown"),
    "unknown_and_long": ('{"' + "y" * 20_000 + '":1}', "y" * 64, "is unknown"),
    "unknown_and_long_text": ('{"a' + "\u00e9" * 99 + '":1}', "a" + "\u00e9" * 31, "is unknown"),
    "unknown_and_escaped": ('{"a' + r"\"" * 99 + '":1}', "a" + r"\"" * 15 + "\\", "is unknown"),
    "object_for_a_string": ('{"service_id":{"a":1}}', "service_id", "must not be an object"),
    "list_for_a_string": ('{"service_id":["s_1"]}', "service_id", "must not be a list"),
    "list_for_a_timestamp": ('{"appointment_time":[]}', "appointment_time", "must not be a list"),
    "object_for_a_timestamp": (
        '{"appointment_time":{"seconds":5}}',
        "appointment_time",
        "must not be an object",
    ),
    "deep_objects": ('{"service_id":' * 10_000, "service_id", "must not be an object"),
    "number_for_a_string": ('{"service_id":5}', "service_id", "must be a string"),
    "other_name": ('{"serviceId":5}', "service_id", "must be a string"),
    "fraction": ('{"seats":1.5}', "seats", WHOLE),
    "too_great": ('{"seats":99999999999}', "seats", WHOLE),
    "text_for_a_number": ('{"seats":"many"}', "seats", WHOLE),
    "quotes_for_a_number": (r'{"seats":"\"}\n \" for type X"}', "seats", WHOLE),
    "much_for_a_number": ('{"seats":"' + "x" * 20_000 + '"}', "seats", WHOLE),
    "text_for_a_timestamp": ('{"appointment_time":"to \\"morrow"}', "appointment_time", INSTANT),
    "date_for_a_timestamp": ('{"appointment_time":"2026-02-20"}', "appointment_time", INSTANT),
    "no_such_day": ('{"appointment_time":"2026-02-30T00:00:00Z"}', "appointment_time", INSTANT),
}


@pytest.mark.parametrize(("body", "field", "says"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_field_is_named(
    gateway: Gateway, body: str, field: str, says: str
) -> None:
    answer = await gateway.post(HOLD_PATH, body)
    assert answer.violation() == (field, says)
    assert gateway.server.calls == []


async def test_an_unknown_name_that_is_no_text_leaves_good_json(gateway: Gateway) -> None:
    field, says = (await gateway.post(HOLD_PATH, b'{"\xff\xc3":1}')).violation()
    assert (bool(field), says) == (True, "is unknown")


READABLE = {
    "cut_off": ('{"service_id":', "the body is not JSON as RFC 8259 has it, at byte 15"),
    "no_json": ('say "x" \\ \x01', "the body must be a JSON object"),
    "form": ("service_id=s_1", "the body must be a JSON object"),
    "no_comma": (
        '{"seats":1 "staff_id":""}',
        "the body is not JSON as RFC 8259 has it, at byte 12",
    ),
    "array": ("[]", "the body must be a JSON object"),
    "null": ("null", "the body must be a JSON object"),
    "string": ('"x"', "the body must be a JSON object"),
    "no_utf8": (b'{"service_id":"\xff\xfe"}', "Encountered non UTF-8 code points."),
    "half_a_surrogate": ('{"service_id":"\\ud800"}', "Missing low surrogate."),
    "byte_order_mark": (b'\xef\xbb\xbf{"service_id":"s_1"}', "the body must be a JSON object"),
    "deep_arrays": ("[" * 100_000, "the body must be a JSON object"),
}


@pytest.mark.parametrize(("body", "says"), READABLE.values(), ids=READABLE)
async def test_a_body_that_cannot_be_read_is_refused(
    gateway: Gateway, body: str | bytes, says: str
) -> None:
    answer = await gateway.post(HOLD_PATH, body)
    assert (answer.status, answer.json()["code"]) == (400, 3)
    assert answer.reason() == "REQUEST_REFUSED"
    assert answer.json()["message"] in {says, f"the request cannot be understood: {says}"}
    assert answer.json()["details"][0]["metadata"] == {}
    assert gateway.server.calls == []


async def test_a_map_has_keys_of_its_own(gateway: Gateway) -> None:
    metadata = {"anything": "x", "at": 'a"} all'}
    assert (
        await gateway.post(CONFIRM_PATH, {"hold_id": "h_1", "metadata": metadata})
    ).status == 200
    assert dict(request(gateway).metadata) == metadata


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"a": 1}, "each value must be a string"),
        ({"a": "x", 'b"c': 1.5}, "each value must be a string"),
        ({"a": ["x"]}, "each value must not be a list"),
        ({"a": {"b": "x"}}, "each value must not be an object"),
        ({"a": None}, "each value must not be null"),
        (["x"], "must not be a list"),
        ("x", "must be an object"),
    ],
)
async def test_a_malformed_map_is_named(gateway: Gateway, metadata: Any, says: str) -> None:
    answer = await gateway.post(CONFIRM_PATH, {"hold_id": "h_1", "metadata": metadata})
    assert answer.violation() == ("metadata", says)
    assert gateway.server.calls == []


async def test_both_names_of_a_field_are_known(gateway: Gateway) -> None:
    assert (await gateway.post(HOLD_PATH, {"serviceId": "s_1"})).status == 200
    assert request(gateway).service_id == "s_1"


QUERIES = {
    "unknown": ("services?bogus=1", "bogus", "is unknown"),
    "unknown_with_quotes": ('services?a"%22%5C=1', "a%22%22%5C", "is unknown"),
    "unknown_and_long": (f"services?{'y' * 20_000}=1", "y" * 64, "is unknown"),
    "unknown_inside": ("appointments?start_time_from.x=1", "x", "is unknown"),
    "nothing_inside": ("services?page_size.x=1", "page_size", "has no fields of its own"),
    "no_number": ('services?page_size="', "page_size", WHOLE),
    "all": ("services?page_size=all", "page_size", WHOLE),
    "no_utf8": ("services?page_size=%FF%22", "page_size", "must be UTF-8"),
    "no_value": ("services?page_size", "page_size", "must have a value"),
    "unknown_without_a_value": ("services?foo", "foo", "is unknown"),
    "without_a_name": ("services?=1", "", "is unknown"),
    "without_a_name_beside_another": ("services?page_size=1&=null", "", "is unknown"),
    "dots": ("services?..=1", "..", "is unknown"),
    "dot_at_the_end": ("services?page_size.=1", "page_size.", "is unknown"),
    "dot_at_the_beginning": ("services?.page_size=1", ".page_size", "is unknown"),
    "dots_inside": (
        "appointments?start_time_from..seconds=1",
        "start_time_from..seconds",
        "is unknown",
    ),
    "twice": ("services?page_size=1&pageSize=2", "pageSize", "must not be there twice"),
    "timestamp": ("appointments?start_time_from=yesterday", "start_time_from", INSTANT),
    "enum": (
        "appointments?state=HAPPY",
        "state",
        "must be one of CONFIRMED, CANCELLED, COMPLETED, NO_SHOW",
    ),
}


@pytest.mark.parametrize(("path", "field", "says"), QUERIES.values(), ids=QUERIES)
async def test_a_malformed_query_parameter_is_named(
    gateway: Gateway, path: str, field: str, says: str
) -> None:
    answer = await gateway.get(f"/api/v1/{path}")
    assert answer.violation() == (field, says)
    assert gateway.server.calls == []


async def test_what_is_too_long_to_rewrite_is_refused_all_the_same(gateway: Gateway) -> None:
    long = "y" * 40_000
    answers = [
        await gateway.get(f"/api/v1/services?{long[:31_000]}=1"),
        await gateway.post(HOLD_PATH, {long: 1}),
        await gateway.post("/api/v1/services", {"slot_alignment": long}),
    ]
    for answer in answers:
        assert (answer.status, answer.reason()) == (400, "REQUEST_REFUSED")
        assert "x-zimun-refused" not in answer.headers


async def test_a_refusal_is_no_script_error(gateway: Gateway) -> None:
    await gateway.get("/api/v1/services?bogus=1")
    await gateway.post(HOLD_PATH, "{")
    log = Path(gateway.settings.access_log).with_name("envoy.log")
    assert "script log" not in log.read_text()


async def test_a_slash_in_an_id_is_refused(gateway: Gateway) -> None:
    answer = await gateway.get("/api/v1/services/s%2Fx")
    assert (answer.status, answer.reason()) == (400, "REQUEST_REFUSED")
    assert "path_normalization_failed" in answer.json()["message"]


async def test_a_query_beside_a_body_says_nothing_that_the_body_may_say(gateway: Gateway) -> None:
    answer = await gateway.post(f"{HOLD_PATH}?service_id=s_7", {"seats": 2})
    assert answer.violation() == ("service_id", "is no query parameter")
    assert (await gateway.post(f"{HOLD_PATH}?x=1", {})).violation() == ("x", "is unknown")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/services", "GET, POST"),
        ("PUT", "/api/v1/services/s_1", "GET, PATCH"),
        ("OPTIONS", "/api/v1/services", "GET, POST"),
        ("GET", "/api/v1/holds/extend", "POST"),
        ("GET", "/api/v1/services/archive", "POST"),
        ("GET", "/api/v1/appointments/cancel", "POST"),
    ],
)
async def test_another_method_of_a_path_is_405(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    answer = await gateway.call(method, path)
    assert (answer.status, answer.json()["code"]) == (405, 12)
    assert (answer.reason(), answer.headers["allow"]) == ("REQUEST_REFUSED", allowed)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", '/api/v1/nothing"here'),
        ("POST", "/zimun.v1.ServicesService/ListServices"),
        ("POST", "/grpc.health.v1.Health/Check"),
    ],
)
async def test_path_that_the_contract_does_not_name_is_not_found(
    gateway: Gateway, method: str, path: str
) -> None:
    answer = await gateway.call(method, path)
    assert (answer.status, answer.json()["code"]) == (404, 5)
    assert answer.reason() == "REQUEST_REFUSED"


async def test_a_large_body_is_refused(gateway: Gateway) -> None:
    allowed = json.dumps({"service_id": "x" * 200_000})
    assert (await gateway.post(HOLD_PATH, allowed)).status == 200
    answer = await gateway.post(HOLD_PATH, json.dumps({"service_id": "x" * 300_000}))
    assert (answer.status, answer.reason()) == (413, "REQUEST_REFUSED")
