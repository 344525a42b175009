"""Tokens of the small client, from a real token endpoint."""

import asyncio
import urllib.error
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zimun import app
from zimun.auth import clients
from zimun.booking.catalog import CreateOrganization
from zimun.booking.credentials import CredentialStore
from zimun.client import AsyncClient, Client, ClientCredentials, Unauthenticated, Unavailable
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[app.StartedServer]:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    async with app.serve(settings, WallClock()) as running:
        organization = Organization(id="o_1", name="One", time_zone="UTC")
        await running.stores.writer.run("o_1", CreateOrganization(organization), creates=True)
        yield running


async def secret_of(credentials: CredentialStore) -> str:
    _, secret = await clients.create_client(credentials, 0, "o_1", "One", ("org:read",), "c_1")
    return secret


async def test_a_token_is_kept_until_shortly_before_it_expires(server: app.StartedServer) -> None:
    secret, moment = await secret_of(server.stores.credentials), [0.0]
    url = f"http://127.0.0.1:{server.auth_port}"
    tokens = ClientCredentials(url, "c_1", secret, ("org:read",), clock=lambda: moment[0])
    first = await asyncio.to_thread(tokens)
    moment[0] = 869.0
    assert await asyncio.to_thread(tokens) == first
    moment[0] = 870.0
    assert await asyncio.to_thread(tokens) != first


async def test_a_wrong_secret_is_refused(server: app.StartedServer) -> None:
    await secret_of(server.stores.credentials)
    tokens = ClientCredentials(f"http://127.0.0.1:{server.auth_port}", "c_1", "wrong")
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        await asyncio.to_thread(tokens)
    caught.value.close()


async def test_refused_token_is_replaced_once(server: app.StartedServer) -> None:
    secret = await secret_of(server.stores.credentials)
    tokens = ClientCredentials(f"http://127.0.0.1:{server.auth_port}", "c_1", secret)
    good = await asyncio.to_thread(tokens)
    target = f"127.0.0.1:{server.grpc_port}"
    async with AsyncClient(target, tokens) as client:
        tokens._token = "a token of a key that was removed"
        assert (await client.organization.get()).id == "o_1"
        assert await asyncio.to_thread(tokens) != good
    with Client(target, tokens) as blocking:
        tokens._token = "another one"
        assert (await asyncio.to_thread(blocking.organization.get)).id == "o_1"


async def test_client_without_a_token_gets_an_error_of_its_own(server: app.StartedServer) -> None:
    await secret_of(server.stores.credentials)
    target = f"127.0.0.1:{server.grpc_port}"
    wrong = ClientCredentials(f"http://127.0.0.1:{server.auth_port}", "c_1", "wrong")
    async with AsyncClient(target, wrong) as client:
        with pytest.raises(Unauthenticated, match="invalid_client"):
            await client.organization.get()
    nowhere = ClientCredentials("http://127.0.0.1:9", "c_1", "x")
    with Client(target, nowhere) as blocking, pytest.raises(Unavailable, match="not reached"):
        await asyncio.to_thread(blocking.organization.get)
