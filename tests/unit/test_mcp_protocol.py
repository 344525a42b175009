"""The protocol and its endpoint: errors of arguments, start, and bodies that are refused."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from yarl import URL

from zimun.domain.booking_errors import NotASlot
from zimun.domain.catalog.entries import McpAccess
from zimun.domain.errors import InvalidRequest, McpAccessDenied, TokenInvalid
from zimun.domain.identity import SCOPES, Caller
from zimun.mcp import endpoint, protocol, tools
from zimun.rpc.error_status import status_of
from zimun.rpc.local_calls import CallRefused
from zimun_gateway import Settings as GatewaySettings
from zimun_gateway.mcp import mcp_routes

from ..support.answers import refusal

SCHEMA = {"properties": {"count": {"type": "integer"}, "date": {}}, "required": ["date"]}
TOOLS = {tool.name: tool for tool in tools.load()}
WAIT = 5


class Calls:
    """Refuses each call, as a service with time off does."""

    async def call(self, *_: Any) -> bytes:
        raise CallRefused(status_of(NotASlot("TIME_OFF", "there is time off", "surgery")))


@pytest.fixture
def served() -> protocol.Protocol:
    return protocol.Protocol(cast("Any", Calls()))


@pytest.fixture
def mcp() -> endpoint.McpEndpoint:
    """The endpoint of an organization that admits agents, for any token."""

    async def verify(_: str) -> Caller:
        return agent(McpAccess.READ_WRITE).caller

    async def catalog(org_id: str) -> Any:
        return SimpleNamespace(organization=SimpleNamespace(mcp_access=McpAccess.READ_WRITE))

    reader: Any = SimpleNamespace(catalog=catalog)
    return endpoint.McpEndpoint(verify, reader, cast("Any", Calls()), "")


def agent(access: McpAccess) -> tools.Agent:
    return tools.Agent(Caller("o_1", "c_1", frozenset(SCOPES)), access, [], math.inf)


def test_unknown_arguments_are_one_violation() -> None:
    unknown = {f"x{n}": n for n in range(30_000)}
    with pytest.raises(InvalidRequest) as refused:
        protocol._check(unknown, SCHEMA)
    assert refused.value.violations == {
        "date": "is required",
        "arguments": "has 30000 that this tool does not have, such as 'x0'",
    }


def test_access_is_checked_before_arguments(served: protocol.Protocol) -> None:
    hold = TOOLS["create_hold"]
    with pytest.raises(McpAccessDenied):
        asyncio.run(served._answer(agent(McpAccess.READ_ONLY), hold, {"x": 1}))
    with pytest.raises(InvalidRequest):
        asyncio.run(served._answer(agent(McpAccess.READ_WRITE), hold, {"x": 1}))


async def test_error_tells_no_note_of_an_override_or_of_time_off(
    served: protocol.Protocol,
) -> None:
    slot = {"service_id": "s_1", "appointment_time": "2026-02-20T10:00:00Z"}
    arguments = {**slot, "idempotency_key": "k"}
    result = await protocol._result(
        lambda: served._answer(agent(McpAccess.READ_WRITE), TOOLS["create_hold"], arguments)
    )
    (content,) = result.content
    error = json.loads(cast("Any", content).text)
    assert error["details"][0]["metadata"] == {"rule": "TIME_OFF"}


async def test_start_raises_what_keeps_the_package_from_starting(
    served: protocol.Protocol,
) -> None:
    await served.start()
    await served.close()
    with pytest.raises(RuntimeError, match="once"):  # the package runs a manager only once
        await asyncio.wait_for(served.start(), WAIT)


async def test_cancelled_start_leaves_nothing_that_runs(served: protocol.Protocol) -> None:
    present = asyncio.all_tasks()
    start = asyncio.create_task(served.start())
    await asyncio.sleep(0)  # `start` has made its task, which has not begun
    start.cancel()
    (running,) = asyncio.all_tasks() - present - {start}
    await asyncio.wait({start, running}, timeout=WAIT)
    assert start.cancelled()
    assert running.cancelled()


async def test_start_that_fails_or_is_cancelled_is_tried_again(
    mcp: endpoint.McpEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: protocol.Protocol) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(protocol.Protocol, "start", fail)
        with pytest.raises(asyncio.CancelledError):
            await mcp._loaded()
    started = await asyncio.wait_for(mcp._loaded(), WAIT)
    assert started._running is not None
    await mcp.close()


@asynccontextmanager
async def posted(
    mcp: endpoint.McpEndpoint,
    body: bytes | AsyncIterator[bytes],
    path: str = "/o/o_1/mcp",
    **more: str,
) -> AsyncIterator[ClientResponse]:
    application = web.Application()
    application.router.add_post(endpoint.PATH, mcp.post)
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"} | more
    async with TestClient(TestServer(application)) as client:
        yield await client.post(URL(path, encoded=True), data=body, headers=headers)


@pytest.mark.parametrize("org_id", ["%22", "%0D%0Ax:y", "%2Fo%2Fo_1", "a" * 65, "%C3%B6"])
async def test_refusal_quotes_no_path_but_that_of_an_id(org_id: str) -> None:
    async def refuse(_: str) -> Caller:
        raise TokenInvalid("refused")

    calls: Any = Calls()
    mcp = endpoint.McpEndpoint(refuse, calls, calls, "https://a.example")
    async with posted(mcp, b"{}", f"/o/{org_id}/mcp") as answer:
        assert (answer.status, "WWW-Authenticate" in answer.headers) == (404, False)
    async with posted(mcp, b"{}", "/o/%6F_1/mcp") as answer:
        assert answer.headers["WWW-Authenticate"].endswith('-protected-resource/o/o_1/mcp"')


async def test_body_that_is_too_large_is_an_invalid_request(mcp: endpoint.McpEndpoint) -> None:
    async with posted(mcp, b" " * (endpoint.MAX_BODY + 1)) as answer:
        metadata = refusal(await answer.json(), "INVALID_ARGUMENT", "INVALID_FIELD")
        assert (answer.status, metadata) == (400, {"field": "body"})


@pytest.mark.parametrize("seconds", [0.01, 0.0123, 0.0123456, 15.0, 3599.99, 3600.0])
def test_every_timeout_that_envoy_can_have_is_read(seconds: float) -> None:
    settings = GatewaySettings(request_timeout=seconds)
    [sent] = mcp_routes(settings)[0]["request_headers_to_add"]
    headers = {sent["header"]["key"]: sent["header"]["value"]}
    share = endpoint._timeout(make_mocked_request("POST", "/", headers)) / seconds
    assert share == pytest.approx(endpoint._TIMEOUT_SHARE)


async def test_body_that_does_not_arrive_is_refused_when_its_time_is_over(
    mcp: endpoint.McpEndpoint,
) -> None:
    answered = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await answered.wait()

    async with posted(mcp, body(), **{endpoint.TIMEOUT_HEADER: "0.01"}) as answer:
        answered.set()
        (info,) = (await answer.json())["details"]
        assert (answer.status, info["reason"]) == (504, "DEADLINE_EXCEEDED")
