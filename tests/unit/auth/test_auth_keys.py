"""The signing keys: first start, rotation, several processes, what is no key."""

import json
from collections.abc import Collection

import pytest
from joserfc.jwk import ECKey, RSAKey

from zimun.auth.signing_keys import (
    FETCH_TIME,
    MARGIN,
    MAX_LIFETIME,
    PROPAGATION,
    KeyStore,
    KeyStoreError,
    seconds_until_removable,
)
from zimun.domain.errors import Overloaded
from zimun.domain.identity import SigningKey
from zimun.domain.instant import SECOND

from .fakes import MemoryCredentials, MovableTime


def kids(keys: KeyStore) -> list[str]:
    return [key["kid"] for key in keys.jwks()["keys"]]


async def test_first_start_makes_one_private_key(
    credentials: MemoryCredentials, now: MovableTime
) -> None:
    keys = await KeyStore.open(credentials, now)
    [kept] = credentials.keys_by_kid.values()
    assert kept.kid == keys.signing_key().kid
    assert kept.create_time == round(now() * 1_000_000)
    assert b"BEGIN PRIVATE KEY" in kept.pem
    assert "PRIVATE" not in repr(kept)


async def test_the_next_start_finds_the_same_key(credentials: MemoryCredentials) -> None:
    first, second = await KeyStore.open(credentials), await KeyStore.open(credentials)
    assert first.signing_key().kid == second.signing_key().kid


async def test_store_that_is_down_raises_overloaded(credentials: MemoryCredentials) -> None:
    credentials.down = True
    with pytest.raises(Overloaded):
        await KeyStore.open(credentials)


def test_kid_is_the_rfc_7638_thumbprint_and_nothing_private_is_published(keys: KeyStore) -> None:
    (published,) = keys.jwks()["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (published["alg"], published["use"], published["crv"]) == ("ES256", "sig", "P-256")
    assert published["kid"] == ECKey.import_key(published).thumbprint()
    assert json.dumps(keys.jwks())


def _pem(key: ECKey | RSAKey) -> bytes:
    return key.as_pem(private=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        _pem(ECKey.generate_key("P-256")),
        _pem(ECKey.generate_key("P-384")),
        _pem(RSAKey.generate_key(2048)),
    ],
    ids=["empty", "text", "another key", "another curve", "rsa"],
)
async def test_what_is_not_its_key_is_refused_by_name(
    credentials: MemoryCredentials, keys: KeyStore, content: bytes
) -> None:
    [kept] = credentials.keys_by_kid.values()
    credentials.keys_by_kid[kept.kid] = SigningKey(kept.kid, kept.create_time, content)
    with pytest.raises(KeyStoreError, match=kept.kid):
        await KeyStore.open(credentials)


async def test_a_public_key_cannot_sign_and_is_refused(
    credentials: MemoryCredentials, keys: KeyStore
) -> None:
    kid, public = keys.signing_key().kid, keys.signing_key().as_pem(private=False)
    assert kid
    credentials.keys_by_kid[kid] = SigningKey(kid, 0, public)
    with pytest.raises(KeyStoreError, match="private key"):
        await KeyStore.open(credentials)


async def test_a_rotated_key_is_published_at_once_and_signs_later(
    keys: KeyStore, now: MovableTime
) -> None:
    old = keys.signing_key().kid
    now.advance(1000)
    new = await keys.rotate()
    assert kids(keys) == [old, new]
    now.advance(PROPAGATION - 1)
    assert keys.signing_key().kid == old
    now.advance(1)
    assert keys.signing_key().kid == new
    assert kids(keys) == [old, new]


async def test_rotation_right_after_the_first_start_keeps_the_first_key_signing(
    keys: KeyStore, now: MovableTime
) -> None:
    first = keys.signing_key().kid
    now.advance(1)
    await keys.rotate()
    assert keys.signing_key().kid == first


async def test_a_clock_that_was_set_back_does_not_keep_a_new_key_from_signing(
    keys: KeyStore, now: MovableTime
) -> None:
    now.advance(-3600)
    rotated = await keys.rotate()
    now.advance(3600 + PROPAGATION + 1)
    assert keys.signing_key().kid == rotated


async def test_a_key_is_removed_only_when_its_last_token_is_gone(
    keys: KeyStore, credentials: MemoryCredentials, now: MovableTime
) -> None:
    first = keys.signing_key().kid
    now.advance(1000)
    second = await keys.rotate()
    now.advance(PROPAGATION + MAX_LIFETIME + MARGIN)
    third = await keys.rotate()
    assert kids(keys) == [first, second, third]
    now.advance(1)
    fourth = await keys.rotate()
    assert kids(keys) == [second, third, fourth]
    assert set(credentials.keys_by_kid) == {second, third, fourth}


class OvertakenCredentials(MemoryCredentials):
    """Stores `overtaking` just before the first `add_signing_key`."""

    overtaking: SigningKey | None = None

    async def add_signing_key(
        self, key: SigningKey, known_kids: Collection[str], outlived_kids: Collection[str] = ()
    ) -> bool:
        if self.overtaking is not None:
            self.keys_by_kid[self.overtaking.kid], self.overtaking = self.overtaking, None
        return await super().add_signing_key(key, known_kids, outlived_kids)


def new_key(create_time: int) -> SigningKey:
    private = ECKey.generate_key("P-256")
    return SigningKey(private.thumbprint(), create_time, private.as_pem(private=True))


async def test_first_start_overtaken_by_another_servers_uses_the_key_of_that_one() -> None:
    credentials = OvertakenCredentials()
    credentials.overtaking = other = new_key(create_time=1)
    keys = await KeyStore.open(credentials)
    assert keys.signing_key().kid == other.kid
    assert set(credentials.keys_by_kid) == {other.kid}


async def test_rotation_overtaken_by_a_rotation_adds_a_later_key(now: MovableTime) -> None:
    credentials = OvertakenCredentials()
    keys = await KeyStore.open(credentials, now)
    first = keys.signing_key().kid
    credentials.overtaking = other = new_key(create_time=round(now() * SECOND) + 7)
    rotated = await keys.rotate()
    assert kids(keys) == [first, other.kid, rotated]
    assert credentials.keys_by_kid[rotated].create_time == other.create_time + 1


async def test_a_running_server_takes_up_what_another_process_rotated(
    keys: KeyStore, credentials: MemoryCredentials
) -> None:
    before = keys.current()
    await keys.reload()
    assert keys.current() is before
    rotated = await (await KeyStore.open(credentials)).rotate()
    await keys.reload()
    assert set(keys.current()) == {*before, rotated}


async def test_keys_are_read_again_at_most_once_a_second(
    keys: KeyStore, credentials: MemoryCredentials, now: MovableTime
) -> None:
    rotated = await (await KeyStore.open(credentials, MovableTime(2_000_000_000))).rotate()
    assert rotated not in await keys.refreshed()
    now.advance(1)
    assert rotated not in keys.current()
    assert rotated in await keys.refreshed()


async def test_the_present_keys_stay_while_the_store_is_down_or_holds_what_is_none(
    keys: KeyStore, credentials: MemoryCredentials, now: MovableTime
) -> None:
    before = kids(keys)
    credentials.down = True
    now.advance(1)
    with pytest.raises(Overloaded):
        await keys.refreshed()
    credentials.down = False
    credentials.keys_by_kid["bad"] = SigningKey("bad", 0, b"")
    with pytest.raises(KeyStoreError, match="bad"):
        await keys.reload()
    assert kids(keys) == before


async def test_without_any_key_nothing_is_signed_until_the_next_rotation(
    keys: KeyStore, credentials: MemoryCredentials
) -> None:
    credentials.keys_by_kid.clear()
    await keys.reload()
    with pytest.raises(Overloaded):
        keys.signing_key()
    assert kids(keys) == []
    rotated = await keys.rotate()
    assert keys.signing_key().kid == rotated


def test_a_key_can_be_removed_once_verifiers_have_fetched_another() -> None:
    known = [SigningKey("old", 0, b""), SigningKey("new", 1000 * SECOND, b"")]
    assert seconds_until_removable(known, "old", 1000 * SECOND) == FETCH_TIME
    assert seconds_until_removable(known, "old", (1000 + FETCH_TIME) * SECOND) == 0
    assert seconds_until_removable(known, "new", 1000 * SECOND) == 0
    assert seconds_until_removable(known[:1], "old", 0) == 0
    assert seconds_until_removable(known, "unknown", 1000 * SECOND) == 0
