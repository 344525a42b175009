"""Bodies and queries that are malformed or ambiguous are refused before the server gets them."""

import json
import random
from typing import Any

import pytest
import yarl

from ..support.gateway import Gateway
from ..support.program import CONFIRM_PATH, HOLD_PATH
from .attacks import AttackCounter, cases, seeded

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = {
    "hold_id": "h_1",
    "contact_name": 'Ada "é" \\ \U0001f600 \u2028',
    "metadata": {"a": "1", "é": "\n", "\U0001f600": ""},
}


@pytest.fixture(autouse=True)
def unheard(gateway: Gateway) -> None:
    gateway.server.calls.clear()


NO_JSON = [
    "{'service_id':'s_1'}",
    "{\"service_id\":'s_1'}",
    "{'service_id':'s_1','staf_id':'x'}",
    '{service_id:"s_1"}',
    '{"service_id":"s_1",}',
    '{,"service_id":"s_1"}',
    '{"service_id" "s_1"}',
    '{"service_id":"s_1"}}',
    '{"service_id":"s_1"} x',
    '{"service_id":"s_1"}{"x":1}',
    '{"service_id":"s_1"',
    '{"service_id":"s\t1"}',
    '{"service_id":"s\\x31"}',
    '{"service_id":"s\\u12"}',
    '{"service_id":"s\\',
    '{"seats":01}',
    '{"seats":+1}',
    '{"seats":.5}',
    '{"seats":1.}',
    '{"seats":0x10}',
    '{"seats":NaN}',
    '{"seats":Infinity}',
    '{"seats":1e}',
    '{"seats":True}',
    '{"seats":nullx}',
    '{"seats":1\x0b}',
    '{"seats":1/*x*/}',
    '{"seats":}',
    "\ufeff{}",
    "{\x00}",
    "//\n{}",
]


@pytest.mark.parametrize("body", NO_JSON)
async def test_what_is_not_json_is_refused(
    gateway: Gateway, body: str, attacks: AttackCounter
) -> None:
    answer = await gateway.post(HOLD_PATH, body.encode())
    assert (answer.status, answer.reason()) == (400, "REQUEST_REFUSED")
    assert gateway.server.calls == []
    attacks.count("body, not JSON")


async def test_a_damaged_body_is_refused_or_is_json(
    gateway: Gateway, attacks: AttackCounter
) -> None:
    """A body that is accepted means to the server what it means to Python's parser."""
    rng = seeded("damaged bodies")
    for _ in range(cases(300)):
        body = damaged(json.dumps(GOOD, ensure_ascii=rng.random() < 0.5), rng)
        gateway.server.calls.clear()
        answer = await gateway.post(CONFIRM_PATH, body.encode("utf-8", "replace"))
        if answer.status == 200:
            assert_says(gateway.server.last().request, body)
        else:
            assert answer.status == 400, body
            assert gateway.server.calls == []
        attacks.count("body, damaged", "refused" if answer.status == 400 else "read as it is")


def damaged(body: str, rng: random.Random) -> str:
    """A body with one character removed, repeated or replaced by one of JSON's grammar."""
    at = rng.randrange(len(body))
    other: str = rng.choice([*"'\"\\{}[]:,/*-+.eE0 \t\n\x00\x1f", "\\u0041", "\xa0", "true", "NaN"])
    return body[:at] + rng.choice(["", body[at] * 2, other, body[at] + other]) + body[at + 1 :]


def assert_says(request: Any, body: str) -> None:
    read = json.loads(body, object_pairs_hook=unique)
    assert request.hold_id == (read.get("hold_id") or "")
    assert request.contact_name == (read.get("contact_name") or "")
    assert dict(request.metadata) == (read.get("metadata") or {})


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


TWICE = {
    '{"service_id":"s_1","service_id":"s_2"}': "service_id",
    '{"service_id":"s_1","serviceId":"s_1"}': "service_id",
    '{"service_id":null,"service_id":"s_2"}': "service_id",
}


@pytest.mark.parametrize(("body", "field"), TWICE.items())
async def test_a_name_that_is_there_twice_is_refused(
    gateway: Gateway, body: str, field: str, attacks: AttackCounter
) -> None:
    assert (await gateway.post(HOLD_PATH, body)).violation() == (field, "must not be there twice")
    assert gateway.server.calls == []
    attacks.count("body, a name twice")


@pytest.mark.parametrize("other", ['"a\\u0062"', '"\\u0061b"', '"ab"', '"\\u0061\\u0062"'])
async def test_a_key_of_a_map_that_is_there_twice_is_refused(
    gateway: Gateway, other: str, attacks: AttackCounter
) -> None:
    body = f'{{"hold_id":"h_1","metadata":{{"ab":"1",{other}:"2"}}}}'
    violation = ("metadata", "must not have a key twice")
    assert (await gateway.post(CONFIRM_PATH, body)).violation() == violation
    pair = '{"metadata":{"\\ud83d\\ude00":"1","\U0001f600":"2"}}'
    assert (await gateway.post(CONFIRM_PATH, pair)).violation() == violation
    attacks.count("body, a key twice", number=2)


async def test_an_escaped_name_is_unknown(gateway: Gateway) -> None:
    field, says = (await gateway.post(HOLD_PATH, '{"service\\u005fid":"s_1"}')).violation()
    assert (field, says) == ("service\\u005fid", "is unknown")


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"service_id":', '{"metadata":{"a":'])
@pytest.mark.parametrize("depth", [1, 100, 10_000])
async def test_nesting_is_refused(
    gateway: Gateway, opening: str, depth: int, attacks: AttackCounter
) -> None:
    answer = await gateway.post(CONFIRM_PATH, opening * depth)
    assert answer.status == 400
    assert gateway.server.calls == []
    attacks.count("body, nested")


async def test_valid_json_reaches_the_server_unchanged(gateway: Gateway) -> None:
    for ascii_only in (True, False):
        for indent in (None, 2):
            body = json.dumps(GOOD, ensure_ascii=ascii_only, indent=indent)
            assert (await gateway.post(CONFIRM_PATH, f" \r\n\t{body}\n")).status == 200
            assert_says(gateway.server.last().request, body)


TIMESTAMPS = [
    "2026-02-20T10:00:00.Z",
    "02026-02-20T10:00:00Z",
    "2026-2-20T10:00:00Z",
    "2026-02-20T09:59:60Z",
    "2026-02-20T10:00Z",
    "2026-02-20 10:00:00Z",
    "2026-02-20T10:00:00",
    "2026-02-20T10:00:00+1:00",
    "2026-02-20T10:00:00+01:60",
    " 2026-02-20T10:00:00Z",
    "2026-02-20T10:00:00Z ",
    "2026-02-20T10:00:00.1234567890Z",
]
DURATIONS = [
    *(" 1800s", "+1800s", "1800 s", "1.s", ".5s", "1800", "1e3s", "1.9999999999s", "1800s "),
    *("01800s", "-00.5s", "1800.5.5s"),
]
BOOLEANS = [
    "t",
    "f",
    "T",
    "y",
    "yes",
    "no",
    "n",
    "1",
    "0",
    "TRUE",
    "False",
    "tRuE",
    " true",
    "true ",
    "on",
]
NUMBERS = ["+2", "02", "-02", " 2", "2 ", "0x2", "2_0", "2.0.0"]


@pytest.mark.parametrize("value", TIMESTAMPS)
async def test_a_malformed_timestamp_is_refused(
    gateway: Gateway, value: str, attacks: AttackCounter
) -> None:
    says = "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z"
    body = {"service_id": "s_1", "appointment_time": value}
    assert (await gateway.post(HOLD_PATH, body)).violation() == ("appointment_time", says)
    path = f"/api/v1/appointments?start_time_from={value.replace('+', '%2B')}"
    assert (await gateway.get(path)).violation() == ("start_time_from", says)
    attacks.count("timestamp, malformed", number=2)


@pytest.mark.parametrize("value", DURATIONS)
async def test_a_malformed_duration_is_refused(
    gateway: Gateway, value: str, attacks: AttackCounter
) -> None:
    answer = await gateway.post("/api/v1/services", {"name": "Cut", "duration": value})
    assert answer.violation() == ("duration", "must be a duration in seconds, such as 1800s")
    attacks.count("duration, malformed")


@pytest.mark.parametrize("value", NUMBERS)
async def test_a_malformed_number_is_refused(
    gateway: Gateway, value: str, attacks: AttackCounter
) -> None:
    says = "must be a whole number of 32 bits"
    body = {"service_id": "s_1", "seats": value}
    assert (await gateway.post(HOLD_PATH, body)).violation() == ("seats", says)
    price = {"currency_code": "EUR", "units": value}
    answer = await gateway.post("/api/v1/services", {"name": "Cut", "price": price})
    assert answer.violation() == ("price.units", says.replace("32", "64"))
    query = f"page_size={value.replace('+', '%2B')}"
    assert (await gateway.get(f"/api/v1/services?{query}")).violation() == ("page_size", says)
    assert gateway.server.calls == []
    attacks.count("number, malformed", number=3)


@pytest.mark.parametrize("value", BOOLEANS)
async def test_a_malformed_boolean_is_refused(
    gateway: Gateway, value: str, attacks: AttackCounter
) -> None:
    violation = ("active", "must be true or false")
    answer = await gateway.post("/api/v1/services", {"name": "Cut", "active": value})
    assert answer.violation() == violation
    path = f"/api/v1/services?include_archived={yarl.URL.build(path=value).raw_path}"
    assert (await gateway.get(path)).violation() == ("include_archived", violation[1])
    assert gateway.server.calls == []
    attacks.count("boolean, malformed", number=2)


async def test_a_boolean_of_a_query_is_a_word(gateway: Gateway) -> None:
    for value in ("true", "false"):
        assert (await gateway.get(f"/api/v1/services?include_archived={value}")).status == 200
        assert gateway.server.last().request.include_archived == (value == "true")


async def test_a_number_may_be_a_text(gateway: Gateway) -> None:
    for written, seats in (('"12"', 12), ("12", 12), ("1.2e1", 12), ('"0"', 0), ('"-3"', -3)):
        assert (await gateway.post(HOLD_PATH, f'{{"seats":{written}}}')).status == 200
        assert gateway.server.last().request.seats == seats


@pytest.mark.parametrize("time", ["2026-02-20T10:00:00\\u002B01:00", "2026-02-20T09:00:00.000Z"])
async def test_a_timestamp_may_be_escaped_and_have_a_fraction(gateway: Gateway, time: str) -> None:
    assert (await gateway.post(HOLD_PATH, f'{{"appointment_time":"{time}"}}')).status == 200
    assert gateway.server.last().request.appointment_time.seconds == 1771578000


@pytest.mark.parametrize("query", ["staff_id=t_ben", "staffId=t_ben", "%73taff_id=t", "staff_id"])
async def test_a_query_beside_a_whole_body_is_refused(
    gateway: Gateway, query: str, attacks: AttackCounter
) -> None:
    answer = await gateway.post(f"{HOLD_PATH}?{query}", {"service_id": "s_1"})
    assert answer.violation()[1] == "is no query parameter"
    assert gateway.server.calls == []
    attacks.count("query beside a body")


QUERIES = {
    "date=%ff": "date",
    "date=%f": "date",
    "date=2026-02-20&date=2026-02-21": "date",
    "service_id=s_1&serviceId=s_2": "serviceId",
    "date": "date",
    "foo": "foo",
}


@pytest.mark.parametrize(("query", "field"), QUERIES.items())
async def test_a_query_with_two_meanings_is_refused(
    gateway: Gateway, query: str, field: str, attacks: AttackCounter
) -> None:
    url = yarl.URL(f"http://{gateway.target}/api/v1/availability?{query}", encoded=True)
    async with gateway.http.get(url, headers=gateway.bearer()) as response:
        answer = await response.json()
    assert answer["details"][0]["metadata"] == {"field": field}
    assert gateway.server.calls == []
    attacks.count("query, ambiguous")
