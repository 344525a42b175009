"""Hostile messages to the endpoint for agents."""

import json
import random
from typing import Any

import pytest
import requests

from ..support.answers import ok_json
from .attacks import AttackCounter, cases, seeded
from .target import ATTACKER, CANARY, TESTER, VICTIM, Target
from .valid_requests import Ids

CASES = cases(400)
VERSIONS = ("2026-07-28", "2025-11-25", "2024-01-01", "", "\t")
METHODS = (
    "tools/call",
    "tools/list",
    "initialize",
    "server/discover",
    "ping",
    "resources/read",
    "",
)
TOOLS = (
    "list_services",
    "get_availability",
    "find_next_available",
    "explain_slot",
    "create_hold",
    "create_booking",
    "reschedule_appointment",
    "cancel_appointment",
    "drop_tables",
)
ARGUMENTS = (
    "service_id",
    "appointment_id",
    "hold_id",
    "date",
    "count",
    "seats",
    "duration",
    "etag",
)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def admitted(target: Target) -> None:
    """All admit agents."""
    program = target.program
    for org_id in (ATTACKER, TESTER, VICTIM):
        headers = program.headers(target.token(org_id))
        body = {"mcp_access": "READ_WRITE"}
        path = f"{program.url}/api/v1/organization"
        ok_json(program.session.patch(path, json=body, headers=headers))


def send(
    target: Target,
    body: bytes,
    headers: dict[str, str] | None = None,
    caller: str = TESTER,
    org_id: str = "",
) -> requests.Response:
    """The answer to a message of the caller's client, at its own endpoint unless said otherwise."""
    usual = {"Content-Type": "application/json", "Accept": "application/json"}
    bearer = target.program.headers(target.token(caller))
    return target.program.session.post(
        f"{target.program.url}/o/{org_id or caller}/mcp",
        data=body,
        headers={**usual, **bearer, **(headers or {})},
        timeout=20,
    )


def value(chance: random.Random, depth: int = 3) -> Any:
    """Any JSON, or a text that a parser may misread."""
    texts = ("", "\0", "\ud800", "\u202e", "../..", "2026-02-20", "9" * 400, "{}", "é" * 200)
    simple = [None, True, -1, 0, 2**63, 1e300, *texts]
    if depth and chance.random() < 0.2:
        parts = [value(chance, depth - 1) for _ in range(chance.randrange(4))]
        return chance.choice([parts, {str(n): part for n, part in enumerate(parts)}])
    return chance.choice(simple)


def message(chance: random.Random) -> tuple[dict[str, Any], dict[str, str]]:
    """A message that is nearly one, and headers that may not agree with it."""
    name, method = chance.choice(TOOLS), chance.choice(METHODS)
    arguments: Any = {argument: value(chance) for argument in ARGUMENTS if chance.random() < 0.4}
    params: dict[str, Any] = {"name": name, "arguments": arguments, "_meta": dict(META)}
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    place = chance.choice([body, params, params["_meta"], {}])
    if place and chance.random() < 0.5:
        place[chance.choice(list(place))] = value(chance)
    version = chance.choice(VERSIONS)
    headers = {"Mcp-Method": method, "Mcp-Name": name}
    if chance.random() < 0.2:
        headers = {"Mcp-Method": "tools/list"}
    return body, headers | ({"MCP-Protocol-Version": version} if version.strip() else {})


@pytest.mark.one_store
def test_no_message_fails_the_server(
    target: Target, tester: Ids, admitted: None, attacks: AttackCounter
) -> None:
    chance = seeded("mcp")
    for _ in range(CASES):
        body, headers = message(chance)
        encoded = json.dumps(body).encode()
        if chance.random() < 0.2:
            cut = chance.randrange(len(encoded))
            encoded = encoded[:cut] + bytes([chance.randrange(256)]) + encoded[cut + 1 :]
        answer = send(target, encoded, headers)
        assert answer.status_code < 500, (encoded, headers, answer.text)
        assert '"INTERNAL"' not in answer.text, (encoded, headers, answer.text)
        assert "Traceback" not in answer.text
        attacks.count("messages of agents", str(answer.status_code))
    answer = send(target, b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert answer.json()["result"] == {}


@pytest.mark.one_store
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/grpc", "application/x-www-form-urlencoded", ""]
)
def test_body_of_another_type_is_refused(target: Target, admitted: None, content_type: str) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    answer = send(target, body, {"Content-Type": content_type})
    assert 400 <= answer.status_code < 500
    assert "result" not in answer.json()


@pytest.mark.one_store
def test_tools_reach_nothing_of_another_organization(
    target: Target, victim: Ids, admitted: None, attacks: AttackCounter
) -> None:
    listing = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    elsewhere = send(target, listing, caller=ATTACKER, org_id=VICTIM)
    assert elsewhere.status_code == 404
    asked = {
        "find_next_available": {"service_id": victim["service"]},
        "explain_slot": {"service_id": victim["service"], "start_time": "2026-02-20T10:00:00Z"},
        "cancel_appointment": {"appointment_id": victim["appointment"], "idempotency_key": "k"},
    }
    for name, arguments in asked.items():
        params = {"name": name, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = send(target, json.dumps(body).encode(), caller=ATTACKER)
        assert answer.json()["result"]["isError"], answer.text
        assert "NOT_FOUND" in answer.text
        assert CANARY not in answer.text
        attacks.count("tenant", "answered as unknown")
