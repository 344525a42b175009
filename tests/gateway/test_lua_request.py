"""Paths, queries, bodies and field masks of JSON requests: the functions of `lua/request.lua`."""

import pytest

from .lua_scripts import run_scripts

SHAPES = """
local function shape_refusal(format, is_list, raw)
  return value_refusal(is_list and {elements = {format = format}} or {format = format}, raw)
end
"""
LUA = run_scripts("request", "percent_decoded", "parameter", "shape_refusal", after=SHAPES)
API = "/api/v1"
SERVICE = f"{API}/services/s_1"
TIME_OFF = f"{API}/time_off/o_1"
INSTANT = "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z"
WHOLE = "must be a whole number of 32 bits"


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("", ""),
        ("a+b", "a+b"),
        ("%41%7a", "Az"),
        ("%2541", "%41"),
        ("%4", "%4"),
        ("%C3%a9", "\u00e9"),
    ],
)
def test_percent_escapes_are_decoded_once(text: str, decoded: str) -> None:
    assert LUA.percent_decoded(text) == decoded


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("page_size", "page_size"), ("pageSize", "page_size"), ("Page_size", None), ("1", None)),
        *(("page_size.x", None), ("start_time_from.seconds", None), ("x.page_size", None)),
    ],
)
def test_a_parameter_is_a_field_of_the_request(name: str, field: str | None) -> None:
    shape = LUA.parameter(name, "zimun.v1.ListAppointmentsRequest")
    assert (shape and shape.name) == field


def test_a_parameter_may_be_a_field_of_a_message() -> None:
    request = "zimun.v1.CreateServiceRequest"
    assert LUA.parameter("service.price.currencyCode", request).name == "currency_code"
    assert LUA.parameter("service.metadata.currencyCode", request) is None


@pytest.mark.parametrize(
    ("kind", "raw", "refusal"),
    [
        (None, None, "must have a value"),
        *((None, raw, "must be percent encoded") for raw in ("%", "a%4", "%4g", "%%4141", "%41%")),
        *((None, raw, "must be UTF-8") for raw in ("%FF", "%c3(", "%ed%a0%80")),
        *((None, raw, None) for raw in ("", "a", "%41", "%25", "%C3%A9")),
        *(("int32", raw, None) for raw in ("", "5", "%35", "-5")),
        *(("int32", raw, WHOLE) for raw in ("05", "%2B5", "+5", "x")),
        ("timestamp", "2026-02-20T10%3A00:00Z", None),
        ("timestamp", "2026-02-20", INSTANT),
    ],
)
@pytest.mark.parametrize("is_list", [False, True])
def test_a_value_is_percent_encoded_and_of_its_format(
    kind: str | None, raw: str | None, refusal: str | None, is_list: bool
) -> None:
    assert LUA.shape_refusal(kind, is_list, raw) == refusal


QUERIES = {
    "": None,
    "&&": None,
    "page_size=1&page_token=a&order_by=": None,
    "page_size=": None,
    "bogus=1": None,  # left to the transcoder
    "bogus": "is unknown: bogus",
    "=1": "is unknown: ",
    "page_size=1&.=1": "is unknown: .",
    "page_size..x=1": "is unknown: page_size..x",
    "page_size%2E=1": "is unknown: page_size%2E",
    "page_size": "must have a value: page_size",
    "page_size=1&page_size=1": "must not be there twice: page_size",
    "page_size=&pageSize=1": "must not be there twice: pageSize",
    "page%5Fsize=05": f"{WHOLE}: page%5Fsize",
    "staff_id=a=%": "must be percent encoded: staff_id",
}


@pytest.mark.parametrize(("query", "refusal"), QUERIES.items())
def test_a_query_is_checked_parameter_by_parameter(query: str, refusal: str | None) -> None:
    sent = LUA.request("GET", f"{API}/appointments?{query}")
    assert sent.refusal == (refusal and f"field {refusal}")
    assert (sent.refused and sent.refused[":status"]) == (refusal and "400")


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", f"{API}/appointments/hold?staff_id=t_1", "staff_id"),
        ("POST", f"{API}/services?service.name=x", "service.name"),
        ("GET", f"{SERVICE}?serviceId=s_2", "serviceId"),
        ("PATCH", f"{SERVICE}?service=x", "service"),
    ],
)
def test_a_field_of_the_path_or_the_body_is_no_query_parameter(
    method: str, path: str, name: str
) -> None:
    refusal = LUA.request(method, path, "{}").refusal
    assert refusal == f"field is no query parameter: {name}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{API}/services", "GET, POST"),
        ("HEAD", SERVICE, "GET, PATCH"),
        ("PUT", TIME_OFF, "DELETE, GET, PATCH"),
        ("GET", f"{API}/services/archive?x", "POST"),
    ],
)
def test_a_method_that_a_path_has_not_is_405(method: str, path: str, allowed: str) -> None:
    sent = LUA.request(method, path)
    assert dict(sent.refused) == {":status": "405", "allow": allowed}


@pytest.mark.parametrize(
    "path", ["/", f"{API}/nothing", f"{SERVICE}/x", "/timeXoff/o_1", "/a%zz?%"]
)
def test_a_path_of_no_rule_is_left_to_the_transcoder(path: str) -> None:
    assert LUA.request("GET", path).refused is None


def test_a_path_variable_is_utf8() -> None:
    assert LUA.request("GET", f"{API}/services/%C3%A9").refusal is None
    assert LUA.request("GET", f"{API}/services/%C3").refusal == "field must be UTF-8: service_id"
    assert LUA.request("PATCH", f"{API}/services/%FF?%").refusal == "field must be UTF-8: id"


def test_a_body_is_checked_where_the_rule_has_one() -> None:
    hold = f"{API}/appointments/hold"
    assert LUA.request("POST", hold, '{"x":1}').refusal == "field is unknown: x"
    assert LUA.request("POST", hold, "[]").refusal == "the body must be a JSON object"
    for body in (None, "", " \r\n\t", "{}"):
        assert LUA.request("POST", hold, body).refusal is None
    assert LUA.request("GET", SERVICE, "[]").refusal is None


@pytest.mark.parametrize("body", [None, "", " \n"])
def test_an_update_has_a_body(body: str | None) -> None:
    assert LUA.request("PATCH", f"{SERVICE}?update_mask=name", body).refusal == (
        "field is required: body"
    )


def test_the_field_that_is_the_body_is_kept_for_the_answer() -> None:
    assert LUA.request("POST", f"{API}/services", "{}").metadata.zimun.root == "service"
    assert LUA.request("POST", f"{API}/appointments/hold", "{}").metadata.zimun is None
    assert LUA.request("POST", f"{API}/services", "[]").metadata.zimun is None


MASKS = [
    (SERVICE, '{"name":"a","capacity":0}', f"{SERVICE}?update_mask=capacity,name"),
    (SERVICE, '{"capacity":0,"name":"a"}', f"{SERVICE}?update_mask=capacity,name"),
    (f"{SERVICE}?x=1", '{"slotStep":"1s"}', f"{SERVICE}?x=1&update_mask=slot_step"),
    (f"{SERVICE}?update_mask=", '{"name":"a"}', f"{SERVICE}?update_mask=&update_mask=name"),
    (f"{SERVICE}?update_mask=name", '{"capacity":0}', f"{SERVICE}?update_mask=name"),
    (f"{SERVICE}?updateMask=name", '{"capacity":0}', f"{SERVICE}?updateMask=name"),
    (SERVICE, "{}", SERVICE),
    (SERVICE, '{"id":"s_1","etag":"a"}', SERVICE),
    (TIME_OFF, '{"note":"","conflicts":{"total_size":1}}', f"{TIME_OFF}?update_mask=note"),
]


@pytest.mark.parametrize(("path", "body", "masked"), MASKS)
def test_an_update_without_a_mask_has_that_of_its_body(path: str, body: str, masked: str) -> None:
    sent = LUA.request("PATCH", path, body)
    assert (sent.refusal, sent.header[":path"]) == (None, masked)


def test_update_mask_of_one_request_is_not_added_to_the_next() -> None:
    LUA.request("PATCH", SERVICE, '{"name":"a"}')
    assert LUA.request("PATCH", SERVICE, "{}").header[":path"] == SERVICE
    assert (
        LUA.request("POST", f"{API}/services", '{"name":"a"}').header[":path"] == f"{API}/services"
    )
