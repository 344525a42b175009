"""The signing keys in a store: all starting servers have the same one; later keys come and go."""

import asyncio

from zimun.auth.signing_keys import KeyStore
from zimun.booking.credentials import CredentialStore

from .engines import Engine


async def test_servers_that_start_at_once_agree_on_one_key(engine: Engine) -> None:
    async def start() -> str | None:
        async with engine.open() as stores:
            return (await KeyStore.open(stores.credentials)).signing_key().kid

    kids = await asyncio.gather(*(start() for _ in range(6)))
    assert len(set(kids)) == 1
    assert len(engine.tables()["signing_keys"]) == 1


async def test_rotations_at_once_all_count(credentials: CredentialStore) -> None:
    servers = [await KeyStore.open(credentials) for _ in range(4)]
    rotated = await asyncio.gather(*(keys.rotate() for keys in servers))
    await servers[0].reload()
    kids = [key["kid"] for key in servers[0].jwks()["keys"]]
    assert kids == [kids[0], *sorted(rotated, key=kids.index)]
    assert len({*kids}) == 5
    found = await credentials.signing_keys()
    assert [key.kid for key in found] == kids
    assert sorted({key.create_time for key in found}) == [key.create_time for key in found]


async def test_a_removed_key_is_gone_for_every_server(credentials: CredentialStore) -> None:
    one, other = await KeyStore.open(credentials), await KeyStore.open(credentials)
    first, second = one.signing_key().kid, await one.rotate()
    assert first
    await credentials.remove_signing_key(first)
    await other.reload()
    assert other.signing_key().kid == second
    assert list(other.current()) == [second]
