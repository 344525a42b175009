"""Agents: the client of the MCP package, in both kinds of versions, against the program."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import requests
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from mcp.shared.exceptions import MCPError

from ..support.answers import Json, ok_json, refusal, refused
from ..support.program import Zimun
from ..support.times import later
from .conftest import SharedProgram

VERSIONS = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
"""The mode of the client for each version."""

METADATA = "{url}/.well-known/oauth-protected-resource/o/o_demo/mcp"
READING = ["list_services", "get_availability", "find_next_available", "explain_slot"]
CHANGING = ["create_hold", "create_booking", "reschedule_appointment", "cancel_appointment"]
DANA = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}

Permit = Callable[[str], None]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of the protocol."""
    return str(request.param)


@pytest.fixture
def permit(zimun: Zimun) -> Iterator[Permit]:
    """Sets what agents may do in the demo organization until the test is over."""

    def set_access(access: str) -> None:
        path = f"{zimun.url}/api/v1/organization"
        ok_json(zimun.session.patch(path, json={"mcp_access": access}, headers=zimun.headers()))

    yield set_access
    set_access("DISABLED")


def in_text(result: Any) -> Json:
    """The answer of a tool, or its error, as it is in the text."""
    (content,) = result.content
    read: Json = json.loads(content.text)
    return read


class Agent:
    """The client of the package, whose tools answer dicts."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, tool: str, **arguments: Any) -> Json:
        """The structured answer, which the client has compared with the tool's schema."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result
        answer: Json = result.structured_content
        assert in_text(result) == answer
        return answer

    async def change(self, tool: str, **arguments: Any) -> Json:
        return await self.call(tool, idempotency_key=uuid.uuid4().hex, **arguments)

    async def refused(self, tool: str, code: str, reason: str, **arguments: Any) -> dict[str, str]:
        """The metadata of the error of a tool."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        assert result.structured_content is None
        return refusal(in_text(result), code, reason)


class Tokens:
    """Where the package keeps the token of a client."""

    def __init__(self, token: OAuthToken | None = None) -> None:
        self.token = token

    async def get_tokens(self) -> OAuthToken | None:
        return self.token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.token = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise NotImplementedError("no client registers itself")


def asks_for_tokens(
    zimun: Zimun, client: tuple[str, str], tokens: Tokens
) -> ClientCredentialsOAuthProvider:
    """The package's own way to a token: it knows a client, and finds out all else."""
    return ClientCredentialsOAuthProvider(
        f"{zimun.url}/o/o_demo/mcp", tokens, *client, issuer=zimun.url
    )


@asynccontextmanager
async def agent(
    zimun: Zimun,
    version: str = "2026-07-28",
    token: str | None = None,
    auth: httpx2.Auth | None = None,
) -> AsyncIterator[Agent]:
    headers = None if auth else zimun.headers(token)
    async with httpx2.AsyncClient(headers=headers, auth=auth, trust_env=False, timeout=20) as http:
        transport = streamable_http_client(f"{zimun.url}/o/o_demo/mcp", http_client=http)
        async with Client(transport, mode=VERSIONS[version]) as client:
            assert client.protocol_version == version
            yield Agent(client)


def post(zimun: Zimun, org_id: str, token: str, **message: Any) -> requests.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"} | message
    headers = zimun.headers(token) | {"Accept": "application/json"}
    return zimun.session.post(f"{zimun.url}/o/{org_id}/mcp", json=message, headers=headers)


def challenge(answer: requests.Response) -> dict[str, str]:
    """The parameters of WWW-Authenticate."""
    scheme, _, parameters = answer.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    found = dict(re.findall(r'(\w+)="([^"]*)"', parameters))
    assert ", ".join(f'{name}="{value}"' for name, value in found.items()) == parameters
    return found


async def test_agent_books_moves_and_cancels_and_reads_nothing_of_the_contact(
    zimun: Zimun, permit: Permit, version: str
) -> None:
    permit("READ_WRITE")
    async with agent(zimun, version) as client:
        assert await client.tools() == READING + CHANGING
        services = (await client.call("list_services"))["items"]
        assert "metadata" not in services[0]
        found = await client.call("find_next_available", service_id="s_123", count=2)
        first, second = found["slots"]
        held = await client.change(
            "create_hold", service_id="s_123", appointment_time=first["start_time"]
        )
        assert held["state"] == "HELD"
        booked = await client.change("create_booking", hold_id=held["hold_id"], **DANA)
        assert set(booked) == {"appointment_id", "start_time", "end_time", "state"}
        assert (booked["state"], booked["start_time"]) == ("CONFIRMED", first["start_time"])
        mine = {"appointment_id": booked["appointment_id"]}
        moved = await client.change(
            "reschedule_appointment", start_time=second["start_time"], **mine
        )
        times = {name: second[name] for name in ("start_time", "end_time")}
        assert moved == {**booked, **times}
        cancelled = await client.change("cancel_appointment", **mine)
        assert cancelled == {**moved, "state": "CANCELLED"}
    kept = zimun.appointment(booked["appointment_id"])
    assert (kept["contact_email"], kept["state"]) == ("dana@example.com", "CANCELLED")


async def test_booking_without_a_hold_is_one_step(zimun: Zimun, permit: Permit, time: str) -> None:
    permit("READ_WRITE")
    slot = {"service_id": "s_123", "appointment_time": time}
    async with agent(zimun) as client:
        booked = await client.change("create_booking", **slot, **DANA)
        assert booked["state"] == "CONFIRMED"
        metadata = await client.refused(
            "create_booking", "INVALID_ARGUMENT", "INVALID_FIELD", idempotency_key="k", **DANA
        )
        assert metadata == {"field": "service_id"}
        both = {"hold_id": "h_1", "idempotency_key": "k", **slot, **DANA}
        await client.refused("create_booking", "INVALID_ARGUMENT", "INVALID_FIELD", **both)


async def test_explanation_of_a_taken_slot_tells_the_obstacles_without_notes(
    zimun: Zimun, permit: Permit, time: str
) -> None:
    permit("READ_ONLY")
    members = {zimun.hold(time)["staff_id"] for _ in range(3)}
    slot = {"service_id": "s_123", "start_time": time}
    off = {"start_time": time, "end_time": later(time, minutes=1), "note": "Dentist"}
    async with agent(zimun) as client:
        taken = (await client.call("explain_slot", **slot))["obstacles"]
        zimun.post_json(
            "/api/v1/time_off?allow_conflicts=true", owner_id=taken[0]["subject_id"], **off
        )
        away = (await client.call("explain_slot", **slot))["obstacles"]
        days = await client.call("get_availability", service_id="s_123", date="2026-02-20")
    assert {(one["rule"], one["subject_id"]) for one in taken} == {
        ("STAFF_BUSY", member) for member in members
    }
    told = zimun.get_json("/api/v1/availability/explain", **slot)["obstacles"]
    assert [one["rule"] for one in away] == [one["rule"] for one in told]
    assert [one["note"] for one in told if one["rule"] == "STAFF_TIME_OFF"] == ["Dentist"]
    assert not [one for one in away if "note" in one]
    assert "Dentist" not in json.dumps(away)
    assert set(days["days"][0]) == {"date", "status"}


async def test_agents_are_refused_until_the_organization_admits_them(
    zimun: Zimun, shared_program: SharedProgram
) -> None:
    token = zimun.token(credentials=shared_program.other_org_client)
    metadata = refused(post(zimun, "o_other", token), 403, "PERMISSION_DENIED", "MCP_ACCESS_DENIED")
    assert metadata == {"mcp_access": "DISABLED"}


async def test_other_organization_reads_as_one_that_does_not_exist(
    zimun: Zimun, permit: Permit, shared_program: SharedProgram
) -> None:
    permit("READ_WRITE")
    token = zimun.token(credentials=shared_program.other_org_client)
    answers = {org_id: post(zimun, org_id, token) for org_id in ("o_demo", "o_none")}
    for org_id, answer in answers.items():
        metadata = refused(answer, 404, "NOT_FOUND", "ORGANIZATION_NOT_FOUND")
        assert metadata == {"org_id": org_id}
    messages = {org_id: answer.json()["message"] for org_id, answer in answers.items()}
    assert messages["o_demo"].replace("o_demo", "o_none") == messages["o_none"]


async def test_read_only_agents_are_told_of_no_tool_that_changes_and_can_call_none(
    zimun: Zimun, permit: Permit, version: str, time: str
) -> None:
    permit("READ_ONLY")
    slot = {"service_id": "s_123", "appointment_time": time}
    async with agent(zimun, version) as client:
        assert await client.tools() == READING
    # Without the scope, too: no other token could call the tool.
    for token in (zimun.token(), zimun.token("availability:read")):
        async with agent(zimun, version, token) as client:
            metadata = await client.refused(
                "create_hold", "PERMISSION_DENIED", "MCP_ACCESS_DENIED", idempotency_key="k", **slot
            )
        assert metadata == {"mcp_access": "READ_ONLY"}
    assert time in zimun.slots(time[:10])


async def test_call_without_the_scope_of_its_method_is_refused_with_the_scopes_to_ask_for(
    zimun: Zimun, permit: Permit, version: str, time: str
) -> None:
    permit("READ_WRITE")
    slot = {"service_id": "s_123", "appointment_time": time, "idempotency_key": "k"}
    token = zimun.token("availability:read appointments:read")
    async with agent(zimun, version, token) as client:
        assert await client.tools() == READING[1:]
        with pytest.raises(MCPError):
            await client.client.call_tool("create_hold", slot)
    params = {"name": "create_hold", "arguments": slot}
    answer = post(zimun, "o_demo", token, method="tools/call", params=params)
    metadata = refused(answer, 403, "PERMISSION_DENIED", "SCOPE_MISSING")
    assert metadata == {"scope": "appointments:write"}
    assert challenge(answer) == {
        "realm": "zimun",
        "error": "insufficient_scope",
        "scope": "appointments:write availability:read",
        "resource_metadata": METADATA.format(url=zimun.url),
    }
    assert time in zimun.slots(time[:10])


async def test_repeated_key_gets_the_first_answer_and_another_request_with_it_is_refused(
    zimun: Zimun, permit: Permit, version: str, time: str
) -> None:
    permit("READ_WRITE")
    key = {"idempotency_key": uuid.uuid4().hex}
    slot = {"service_id": "s_yoga", "appointment_time": "2025-12-01T10:00:00Z"}
    async with agent(zimun, version) as client:
        first = await client.call("create_hold", **slot, **key)
        assert await client.call("create_hold", **slot, **key) == first
        metadata = await client.refused(
            "create_hold", "ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED", seats=2, **slot, **key
        )
        assert metadata == {"method": "HoldAppointment"}
        missing = await client.refused("create_hold", "INVALID_ARGUMENT", "INVALID_FIELD", **slot)
        assert missing == {"field": "idempotency_key"}


async def test_taken_slot_is_an_error_that_names_other_slots(
    zimun: Zimun, permit: Permit, time: str
) -> None:
    permit("READ_WRITE")
    for _ in range(3):
        zimun.hold(time)
    async with agent(zimun) as client:
        result = await client.client.call_tool(
            "create_hold",
            {"service_id": "s_123", "appointment_time": time, "idempotency_key": "taken"},
        )
    error = in_text(result)
    assert refusal(error, "ABORTED", "SLOT_UNAVAILABLE")
    assert error["details"][1]["slots"]


async def test_refusal_without_a_token_leads_to_the_token_endpoint(
    zimun: Zimun, permit: Permit
) -> None:
    permit("READ_ONLY")
    url = f"{zimun.url}/o/o_demo/mcp"
    missing = challenge(zimun.session.post(url, json={}))
    resource = ok_json(zimun.session.get(missing["resource_metadata"]))
    assert resource["resource"] == url
    (issuer,) = resource["authorization_servers"]
    server = ok_json(zimun.session.get(f"{issuer}/.well-known/oauth-authorization-server"))
    form = {"grant_type": "client_credentials", "scope": missing["scope"]}
    answer = zimun.session.post(server["token_endpoint"], data=form, auth=zimun.credentials)
    async with agent(zimun, token=ok_json(answer)["access_token"]) as client:
        assert await client.tools() == READING


def test_refusals_of_the_server_say_what_those_of_envoy_say(zimun: Zimun) -> None:
    """Envoy takes the token after the name of any scheme; the server takes Bearer alone."""
    url = f"{zimun.url}/o/o_demo/mcp"
    by_envoy = zimun.session.post(url, json={}, headers={"Authorization": "Bearer x"})
    scheme = {"Authorization": f"Token {zimun.token()}"}
    by_server = zimun.session.post(url, json={}, headers=scheme)
    assert by_envoy.status_code == by_server.status_code == 401
    assert challenge(by_envoy) == challenge(by_server)
    assert by_envoy.headers["Server"] == by_server.headers["Server"]


async def test_client_of_the_package_finds_the_token_endpoint_by_itself(
    zimun: Zimun, permit: Permit, version: str, other_client: tuple[str, str]
) -> None:
    permit("READ_WRITE")
    tokens = Tokens()
    auth = asks_for_tokens(zimun, other_client, tokens)
    async with agent(zimun, version, auth=auth) as client:
        assert await client.tools() == READING + CHANGING
    assert tokens.token is not None
    assert tokens.token.scope == "org:read availability:read appointments:write"


async def test_client_of_the_package_asks_for_the_scope_that_a_call_needs(
    zimun: Zimun, permit: Permit, version: str, time: str, other_client: tuple[str, str]
) -> None:
    permit("READ_WRITE")
    scope = "availability:read"
    tokens = Tokens(OAuthToken(access_token=zimun.token(scope, other_client), scope=scope))
    slot = {"service_id": "s_123", "appointment_time": time}
    auth = asks_for_tokens(zimun, other_client, tokens)
    async with agent(zimun, version, auth=auth) as client:
        assert (await client.change("create_hold", **slot))["state"] == "HELD"
    assert tokens.token is not None
    assert tokens.token.scope == "availability:read appointments:write"
