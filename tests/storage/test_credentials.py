"""Credentials on every engine: clients, signing keys, secrets, and concurrent writers of each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from typing import Any

import pytest

from zimun.auth.clients import authenticate, create_client, revoke_client, rotate_secret
from zimun.auth.signing_keys import KeyStore
from zimun.booking.credentials import CredentialStore, LastSigningKey, SigningKeyNotFound
from zimun.domain.errors import IdTaken, InvalidRequest
from zimun.domain.identity import Client, SigningKey
from zimun.domain.instant import DAY

from .engines import Engine
from .sample_catalog import NOW, ORG

SERVERS = 4
"""Stores that are open on one database at once, each with connections of its own."""

CALLS_PER_SERVER = 5
"""Concurrent calls at each of them."""

CLIENT = Client(
    client_id="c_1",
    org_id=ORG,
    name="Admin ☂",
    scopes=("org:write", "org:read"),
    secret_hash="hash",
    create_time=NOW,
    old_secret_hash="old hash",
    old_secret_until=NOW + DAY,
    revoke_time=NOW + 2 * DAY,
)

ACTIVE = Client("c_2", ORG, "", (), "hash", NOW - 1)


@pytest.fixture
async def servers(engine: Engine) -> AsyncIterator[list[CredentialStore]]:
    """The credential stores of several servers on one database.

    Their connections are open, so that concurrent calls overlap from the start.
    """
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(engine.open()) for _ in range(SERVERS)]
        servers = [opened.credentials for opened in stores]
        await asyncio.gather(
            *(server.client("c_0") for server in servers for _ in range(CALLS_PER_SERVER))
        )
        yield servers


def signing_key(number: int, create_time: int = 0) -> SigningKey:
    return SigningKey(f"kid {number}", create_time or number, b"pem \x00\xff")


# Clients.


async def test_client_read_back_is_equal_in_every_field(credentials: CredentialStore) -> None:
    await credentials.add_client(CLIENT)
    await credentials.add_client(ACTIVE)
    assert await credentials.client("c_1") == CLIENT
    assert await credentials.client("c_2") == ACTIVE


async def test_client_with_unknown_id_is_none(credentials: CredentialStore) -> None:
    assert await credentials.client("c_1") is None


async def test_clients_are_of_one_organization_and_oldest_first(
    credentials: CredentialStore,
) -> None:
    for client in (
        replace(CLIENT, client_id="c_b", create_time=2),
        replace(CLIENT, client_id="c_c", create_time=1),
        replace(CLIENT, client_id="c_a", create_time=2),
        replace(CLIENT, client_id="c_other", org_id="o_other", create_time=0),
    ):
        await credentials.add_client(client)
    assert [client.client_id for client in await credentials.clients(ORG)] == ["c_c", "c_a", "c_b"]
    assert await credentials.clients("o_unknown") == []


async def test_add_client_with_taken_id_raises_and_changes_nothing(
    credentials: CredentialStore,
) -> None:
    await credentials.add_client(CLIENT)
    with pytest.raises(IdTaken, match="c_1"):
        await credentials.add_client(replace(CLIENT, org_id="o_other", secret_hash="other"))
    assert await credentials.client("c_1") == CLIENT


async def test_replace_client_replaces_every_field_of_that_client_alone(
    credentials: CredentialStore,
) -> None:
    after = Client("c_1", "o_other", "Other", ("org:read",), "new", NOW + 1)
    await credentials.add_client(CLIENT)
    await credentials.add_client(ACTIVE)
    assert await credentials.replace_client(CLIENT, after)
    assert await credentials.client("c_1") == after
    assert await credentials.client("c_2") == ACTIVE


CHANGES: list[dict[str, Any]] = [
    {"org_id": "o_other"},
    {"name": "Other"},
    {"scopes": ("org:read", "org:write")},
    {"secret_hash": "other"},
    {"create_time": NOW + 1},
    {"old_secret_hash": None},
    {"old_secret_until": NOW},
    {"revoke_time": None},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_replace_client_after_another_change_has_no_effect(
    credentials: CredentialStore, change: dict[str, Any]
) -> None:
    stored = replace(CLIENT, **change)
    await credentials.add_client(stored)
    assert not await credentials.replace_client(CLIENT, replace(CLIENT, secret_hash="new"))
    assert await credentials.client("c_1") == stored


def test_changes_cover_every_field_of_a_client() -> None:
    changed = {name for change in CHANGES for name in change}
    assert changed == {field.name for field in fields(Client)} - {"client_id"}


async def test_replace_client_that_does_not_exist_inserts_nothing(
    credentials: CredentialStore,
) -> None:
    assert not await credentials.replace_client(CLIENT, CLIENT)
    assert await credentials.client("c_1") is None


async def test_concurrent_add_client_of_one_id_succeeds_once(
    servers: list[CredentialStore],
) -> None:
    clients = [replace(CLIENT, name=f"n{n}") for n in range(SERVERS * CALLS_PER_SERVER)]
    outcomes = await asyncio.gather(
        *(servers[n % SERVERS].add_client(client) for n, client in enumerate(clients)),
        return_exceptions=True,
    )
    added = [client for client, error in zip(clients, outcomes, strict=True) if error is None]
    assert [await server.client("c_1") for server in servers] == added * SERVERS
    assert {type(error) for error in outcomes} == {type(None), IdTaken}


async def test_concurrent_replace_client_of_one_state_succeeds_once(
    servers: list[CredentialStore],
) -> None:
    await servers[0].add_client(CLIENT)
    clients = [replace(CLIENT, name=f"n{n}") for n in range(SERVERS * CALLS_PER_SERVER)]
    outcomes = await asyncio.gather(
        *(servers[n % SERVERS].replace_client(CLIENT, after) for n, after in enumerate(clients))
    )
    replaced = [after for after, done in zip(clients, outcomes, strict=True) if done]
    assert [await servers[0].client("c_1")] == replaced


async def test_concurrent_rotations_leave_the_last_secret_and_the_one_before(
    servers: list[CredentialStore],
) -> None:
    _, first = await create_client(servers[0], NOW, ORG, "n", ["org:read"], "c_1")
    rotated = await asyncio.gather(
        *(
            rotate_secret(server, NOW, "c_1", grace_seconds=60)
            for server in servers
            for _ in range(CALLS_PER_SERVER)
        )
    )
    valid = [
        secret
        for secret in (first, *rotated)
        if await authenticate(servers[0], "c_1", secret, NOW + 1) is not None
    ]
    assert len(valid) == 2
    assert first not in valid
    assert len(set(rotated)) == SERVERS * CALLS_PER_SERVER


async def test_concurrent_rotation_and_revocation_always_end_revoked(
    servers: list[CredentialStore],
) -> None:
    for number in range(10):
        client_id = f"c_{number}"
        await create_client(servers[0], NOW, ORG, "n", ["org:read"], client_id)
        rotated, revoked, again = await asyncio.gather(
            rotate_secret(servers[1], NOW, client_id),
            revoke_client(servers[2], NOW + 1, client_id),
            revoke_client(servers[3], NOW + 2, client_id),
            return_exceptions=True,
        )
        client = await servers[0].client(client_id)
        assert client is not None
        assert client.revoke_time in (NOW + 1, NOW + 2)
        for answer in (revoked, again):
            assert isinstance(answer, Client)
            assert answer.revoke_time == client.revoke_time
        if not isinstance(rotated, str):
            assert isinstance(rotated, InvalidRequest)
            assert "is revoked" in str(rotated)


# Signing keys.


async def test_signing_keys_are_read_back_oldest_first(credentials: CredentialStore) -> None:
    keys = [signing_key(1, 30), signing_key(2, 10), signing_key(4, 20), signing_key(3, 20)]
    for number, key in enumerate(keys):
        assert await credentials.add_signing_key(key, [known.kid for known in keys[:number]])
    assert await credentials.signing_keys() == [keys[1], keys[3], keys[2], keys[0]]


@pytest.mark.parametrize("known", [[], ["kid 1"], ["kid 1", "kid 3"], ["kid 1", "kid 2", "kid 3"]])
async def test_add_signing_key_to_another_set_than_the_known_one_has_no_effect(
    credentials: CredentialStore, known: list[str]
) -> None:
    await credentials.add_signing_key(signing_key(1), [])
    await credentials.add_signing_key(signing_key(2), ["kid 1"])
    assert not await credentials.add_signing_key(signing_key(4), known, outlived_kids=["kid 1"])
    assert await credentials.signing_keys() == [signing_key(1), signing_key(2)]


async def test_add_signing_key_removes_the_outlived_keys(credentials: CredentialStore) -> None:
    await credentials.add_signing_key(signing_key(1), [])
    await credentials.add_signing_key(signing_key(2), ["kid 1"])
    await credentials.add_signing_key(signing_key(3), ["kid 2", "kid 1"])
    known = ["kid 1", "kid 2", "kid 3"]
    assert await credentials.add_signing_key(signing_key(4), known, ["kid 1", "kid 2"])
    assert await credentials.signing_keys() == [signing_key(3), signing_key(4)]


async def test_remove_signing_key_removes_that_key_alone(credentials: CredentialStore) -> None:
    await credentials.add_signing_key(signing_key(1), [])
    await credentials.add_signing_key(signing_key(2), ["kid 1"])
    await credentials.remove_signing_key("kid 1")
    assert await credentials.signing_keys() == [signing_key(2)]


async def test_remove_signing_key_that_is_unknown_raises(credentials: CredentialStore) -> None:
    with pytest.raises(SigningKeyNotFound):
        await credentials.remove_signing_key("kid 1")
    await credentials.add_signing_key(signing_key(1), [])
    with pytest.raises(SigningKeyNotFound):
        await credentials.remove_signing_key("kid 2")


async def test_remove_signing_key_that_is_the_last_raises_and_keeps_it(
    credentials: CredentialStore,
) -> None:
    await credentials.add_signing_key(signing_key(1), [])
    with pytest.raises(LastSigningKey):
        await credentials.remove_signing_key("kid 1")
    assert await credentials.signing_keys() == [signing_key(1)]


async def test_concurrent_first_signing_keys_leave_one(servers: list[CredentialStore]) -> None:
    keys = [signing_key(n + 1) for n in range(SERVERS * CALLS_PER_SERVER)]
    outcomes = await asyncio.gather(
        *(servers[n % SERVERS].add_signing_key(key, []) for n, key in enumerate(keys))
    )
    added = [key for key, done in zip(keys, outcomes, strict=True) if done]
    assert await servers[0].signing_keys() == added
    assert len(added) == 1


async def test_concurrent_removals_of_all_signing_keys_leave_one(
    servers: list[CredentialStore],
) -> None:
    kids: list[str] = []
    for number in range(SERVERS):
        await servers[0].add_signing_key(signing_key(number + 1), kids)
        kids.append(f"kid {number + 1}")
    outcomes = await asyncio.gather(
        *(server.remove_signing_key(kid) for server, kid in zip(servers, kids, strict=True)),
        return_exceptions=True,
    )
    assert len(await servers[0].signing_keys()) == 1
    assert [type(error) for error in outcomes if error is not None] == [LastSigningKey]


async def test_concurrent_rotations_and_removals_lose_no_key(
    servers: list[CredentialStore],
) -> None:
    keys = await KeyStore.open(servers[0])
    first = keys.signing_key().kid
    assert first
    await keys.rotate()
    removed, *rotated = await asyncio.gather(
        servers[0].remove_signing_key(first),
        *[(await KeyStore.open(server)).rotate() for server in servers],
    )
    assert removed is None
    kids = [key.kid for key in await servers[0].signing_keys()]
    assert first not in kids
    assert set(rotated) < set(kids)
    assert len(kids) == SERVERS + 1


# Secrets.


async def test_secret_is_generated_once_and_differs_by_name(credentials: CredentialStore) -> None:
    secret = await credentials.secret("page_token")
    assert len(secret) == 32
    assert await credentials.secret("page_token") == secret
    assert await credentials.secret("other") != secret


async def test_concurrent_first_calls_for_a_secret_agree(
    servers: list[CredentialStore], engine: Engine
) -> None:
    secrets = await asyncio.gather(
        *(server.secret("page_token") for server in servers for _ in range(CALLS_PER_SERVER))
    )
    assert len(set(secrets)) == 1
    [row] = engine.tables()["installation"]
    assert row["name"] == "page_token"


async def test_secret_is_the_same_after_the_store_was_closed_and_opened(engine: Engine) -> None:
    async def read_secret() -> bytes:
        async with engine.open() as stores:
            return await stores.credentials.secret("page_token")

    assert await read_secret() == await read_secret()
