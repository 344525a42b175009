"""Odd HTTP at the token port itself is refused, and leaves no error in the log."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zimun import app
from zimun.clock import ManualClock
from zimun.config import Settings
from zimun.v1.organization_pb2 import Organization
from zimun.v1.organizations_service_pb2 import UpdateOrganizationRequest

from ..support.rpc import FRIDAY_MORNING, connected, seed
from .attacks import AttackCounter

FORM = (
    b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)

ODD = {
    "gzip that is none": (FORM + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\na=b", b"415"),
    "deflate that is none": (
        FORM + b"Content-Encoding: deflate\r\nContent-Length: 3\r\n\r\na=b",
        b"415",
    ),
    "gzip for nothing": (
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\na=b",
        b"404",
    ),
    "a host that is no punycode": (b"GET http://xn--a/ HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    "a tunnel": (b"CONNECT xn--a:443 HTTP/1.1\r\nHost: x\r\n\r\n", b"40"),
}


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The token port of a server."""
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    async with app.serve(settings, ManualClock(FRIDAY_MORNING)) as server:
        yield server.auth_port


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    # asyncio tells of an error that no one has seen once its task is collected.
    gc.collect()
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def answer(port: int, sent: bytes) -> bytes:
    """All that is answered to bytes after which the caller sends nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return received


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_request_is_refused_without_an_error(
    name: str, port: int, caplog: pytest.LogCaptureFixture, attacks: AttackCounter
) -> None:
    sent, status = ODD[name]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 " + status)
    writer.close()
    await writer.wait_closed()
    assert errors(caplog) == []
    attacks.count("token port, odd HTTP")


async def test_a_caller_that_leaves_within_its_body_leaves_no_error(
    port: int, caplog: pytest.LogCaptureFixture, attacks: AttackCounter
) -> None:
    await answer(port, FORM + b"Content-Length: 99\r\n\r\ngrant_type=")
    # Answered once the server has done with the other one.
    await answer(port, b"GET /x HTTP/1.0\r\n\r\n")
    assert errors(caplog) == []
    attacks.count("token port, body cut off")


async def test_an_agent_that_leaves_within_its_message_leaves_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, attacks: AttackCounter
) -> None:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    clock = ManualClock(FRIDAY_MORNING)
    async with app.serve(settings, clock) as server:
        await seed(server.stores.writer)
        async with connected(server, settings, clock) as zimun:
            admitted = Organization(mcp_access=Organization.READ_ONLY)
            request = UpdateOrganizationRequest(organization=admitted)
            await zimun.call(zimun.organizations.UpdateOrganization, request)
            bearer = dict(zimun.bearer())["authorization"].encode()
        head = b"POST /o/o_demo/mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        authorized = head + b"Authorization: " + bearer + b"\r\nContent-Length: 99\r\n\r\n{"
        await answer(server.auth_port, authorized)
        # Answered once the server has done with the other one.
        await answer(server.auth_port, b"GET /x HTTP/1.0\r\n\r\n")
        assert errors(caplog) == []
    attacks.count("agents' endpoint, body cut off")
