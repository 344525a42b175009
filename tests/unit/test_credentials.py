"""Tokens of the small client, from a real token endpoint and from endpoints that fail."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from zimun import app
from zimun.auth import clients
from zimun.booking.catalog import CreateOrganization
from zimun.booking.credentials import CredentialStore
from zimun.client import (
    AsyncClient,
    Client,
    ClientCredentials,
    ClientError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    connect,
    credentials,
)
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization
from zimun.v1.organizations_service_pb2 import GetOrganizationRequest
from zimun.v1.organizations_service_pb2_grpc import OrganizationsServiceStub

from ..support.processes import free_port


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[app.StartedServer]:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    async with app.serve(settings, WallClock()) as running:
        organization = Organization(id="o_1", name="One", time_zone="UTC")
        await running.stores.writer.run("o_1", CreateOrganization(organization), creates=True)
        yield running


async def secret_of(store: CredentialStore) -> str:
    _, secret = await clients.create_client(store, 0, "o_1", "One", ("org:read",), "c_1")
    return secret


async def test_a_token_is_kept_until_shortly_before_it_expires(server: app.StartedServer) -> None:
    secret, moment = await secret_of(server.stores.credentials), [0.0]
    url = f"http://127.0.0.1:{server.auth_port}"
    tokens = ClientCredentials(url, "c_1", secret, ("org:read",), clock=lambda: moment[0])
    assert tokens.current() is None
    first = await asyncio.to_thread(tokens)
    moment[0] = 869.0
    assert await asyncio.to_thread(tokens) == first == tokens.current()
    moment[0] = 870.0
    assert tokens.current() is None
    assert await asyncio.to_thread(tokens) != first


async def test_refused_token_is_replaced_once(server: app.StartedServer) -> None:
    secret = await secret_of(server.stores.credentials)
    tokens = ClientCredentials(f"http://127.0.0.1:{server.auth_port}", "c_1", secret)
    target = f"127.0.0.1:{server.grpc_port}"
    good = await asyncio.to_thread(tokens)
    async with AsyncClient(target, tokens) as client:
        tokens._kept = ("a token of a key that was removed", math.inf)
        assert (await client.organization.get()).id == "o_1"
        assert (newer := tokens.current()) != good
        tokens.forget(good)
        assert tokens.current() == newer
    with Client(target, tokens) as blocking:
        tokens._kept = ("another one", math.inf)
        assert (await asyncio.to_thread(blocking.organization.get)).id == "o_1"


async def test_client_without_a_token_gets_an_error_of_its_own(
    server: app.StartedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "WAITS", ())
    await secret_of(server.stores.credentials)
    target = f"127.0.0.1:{server.grpc_port}"
    wrong = ClientCredentials(f"http://127.0.0.1:{server.auth_port}", "c_1", "wrong")
    async with AsyncClient(target, wrong) as client:
        with pytest.raises(Unauthenticated, match="invalid_client"):
            await client.organization.get()
    with connect(target, wrong) as channel:
        get = OrganizationsServiceStub(channel).GetOrganization
        with pytest.raises(Unauthenticated, match="invalid_client"):
            await asyncio.to_thread(get, GetOrganizationRequest())
    nowhere = ClientCredentials(f"http://127.0.0.1:{free_port()}", "c_1", "x")
    with Client(target, nowhere) as blocking, pytest.raises(Unavailable, match="no response"):
        await asyncio.to_thread(blocking.organization.get)


class Endpoint:
    """A token endpoint that sends one response after the other, the last one again and again."""

    def __init__(self, responses: tuple[bytes, ...]) -> None:
        self._responses = responses
        self.requests = 0
        self.url = ""
        self.ended = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"grant_type=client_credentials")
        response = self._responses[min(self.requests, len(self._responses) - 1)]
        self.requests += 1
        if response:
            writer.write(response)
        else:
            await self.ended.wait()
        writer.close()


@asynccontextmanager
async def endpoint(*responses: bytes) -> AsyncIterator[Endpoint]:
    """An endpoint with these responses; an empty one comes when the endpoint ends."""
    played = Endpoint(responses)
    async with await asyncio.start_server(played.answer, "127.0.0.1", 0) as listening:
        played.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield played
        played.ended.set()


def http(status: str, body: bytes, headers: str = "Connection: close") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body


def token_response(token: str) -> bytes:
    return http("200 OK", f'{{"access_token": "{token}", "expires_in": 900}}'.encode())


WITHOUT_TOKEN = (
    b"<html>",
    b"\xff",
    b"[]",
    b'{"expires_in": 900}',
    b'{"access_token": null, "expires_in": 900}',
    b'{"access_token": "", "expires_in": 900}',
    b'{"access_token": "secret"}',
    b'{"access_token": "secret", "expires_in": "x"}',
)
CUT = http("503 Cut", b"ff\r\nsorry", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("response", "kind", "message"),
    [
        *((http("200 OK", body), Unauthenticated, "access_token") for body in WITHOUT_TOKEN),
        (http("403 Forbidden", b"not you"), Unauthenticated, "not you"),
        (http("404 Not Found", b"no such page"), Unauthenticated, "no such page"),
        (http("413 Too Large", b"too large"), Unauthenticated, "too large"),
        (http("429 Too Many Requests", b"slowly"), TooManyRequests, "slowly"),
        (http("408 Request Timeout", b"too slow"), Unavailable, "too slow"),
        (http("500 Internal Server Error", b"broken"), Unavailable, "broken"),
        (CUT, Unavailable, "Cut"),
        (b"SSH-2.0-OpenSSH\r\n", Unavailable, "no response of the token endpoint: SSH"),
        (http("200 OK", b"half", "Content-Length: 9"), Unavailable, "no response"),
    ],
)
async def test_failures_of_the_token_endpoint_are_client_errors(
    response: bytes, kind: type[ClientError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "WAITS", ())
    async with endpoint(response) as played:
        tokens = ClientCredentials(played.url, "c_1", "x")
        with pytest.raises(kind, match=message) as caught:
            await asyncio.to_thread(tokens)
        assert "secret" not in str(caught.value)


async def test_request_for_a_token_is_repeated_while_its_failure_is_temporary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(credentials, "WAITS", (0, 0, 0))
    async with endpoint(CUT, CUT, b"garbage\r\n", token_response("t_1")) as played:
        tokens = ClientCredentials(played.url, "c_1", "x")
        assert await asyncio.to_thread(tokens) == "t_1"
        assert played.requests == 4
    async with endpoint(CUT) as played:
        with pytest.raises(Unavailable):
            await asyncio.to_thread(ClientCredentials(played.url, "c_1", "x"))
        assert played.requests == 4
    for refusal in (http("401 Unauthorized", b""), http("429 Too Many Requests", b"")):
        async with endpoint(refusal) as played:
            with pytest.raises(ClientError):
                await asyncio.to_thread(ClientCredentials(played.url, "c_1", "x"))
            assert played.requests == 1


async def get_blocking(tokens: Callable[[], str]) -> None:
    with Client("127.0.0.1:9", tokens) as client:
        await asyncio.to_thread(client.with_options(timeout=0.1).organization.get)


async def get_async(tokens: Callable[[], str]) -> None:
    async with AsyncClient("127.0.0.1:9", tokens) as client:
        await client.with_options(timeout=0.1).organization.get()


@pytest.mark.parametrize("get", [get_blocking, get_async])
async def test_requests_for_tokens_are_within_the_timeout(
    get: Callable[[Callable[[], str]], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "WAITS", ())
    async with endpoint(b"") as played:
        tokens, began = ClientCredentials(played.url, "c_1", "x"), time.monotonic()
        with tokens._lock, pytest.raises(Unavailable, match="token"):
            await get(tokens)
        with pytest.raises(Unavailable, match="token"):
            await get(tokens)
        assert time.monotonic() - began < 5
