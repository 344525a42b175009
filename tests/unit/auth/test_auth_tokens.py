"""Access tokens: what an issued one says, their claims and times, rotated keys, the cache."""

import time
from typing import Any

import pytest

from zimun.auth.signing_keys import PROPAGATION, KeyStore
from zimun.auth.tokens import CACHE_SIZE, LEEWAY, Issuer, Verifier
from zimun.domain.identity import Caller, Client

from .conftest import AUDIENCE, ISSUER
from .fakes import MemoryCredentials, MovableTime
from .signed_tokens import claims_at, parts, refusal, signed


async def test_an_issued_token_is_what_rfc_9068_says(
    issuer: Issuer, verifier: Verifier, keys: KeyStore, client: Client, now: MovableTime
) -> None:
    token = issuer.issue(client, ["org:read", "availability:read"])
    header, claims, _ = parts(token)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": keys.signing_key().kid}
    assert len(claims.pop("jti")) >= 16
    assert claims == {
        "iss": ISSUER,
        "sub": "c_1",
        "aud": AUDIENCE,
        "client_id": "c_1",
        "org_id": "o_1",
        "scope": "org:read availability:read",
        "iat": int(now()),
        "exp": int(now()) + 900,
    }
    scopes = frozenset({"org:read", "availability:read"})
    assert await verifier.verify(token) == Caller("o_1", "c_1", scopes)


def test_no_two_tokens_are_alike(issuer: Issuer, client: Client) -> None:
    assert issuer.issue(client, []) != issuer.issue(client, [])


@pytest.mark.parametrize("lifetime", [0, -1, 86401])
def test_a_lifetime_beyond_the_key_rotation_is_refused(keys: KeyStore, lifetime: int) -> None:
    with pytest.raises(ValueError, match="1 to 86400"):
        Issuer(keys, ISSUER, AUDIENCE, lifetime)


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_token_expires_to_the_second(
    issuer: Issuer, verifier: Verifier, client: Client, now: MovableTime, remembered: bool
) -> None:
    token = issuer.issue(client, ["org:read"])
    if remembered:
        await verifier.verify(token)
    now.advance(899)
    if remembered:
        await verifier.verify(token)
    now.advance(1)
    assert await refusal(verifier, token) == "the token expired"


async def test_a_token_is_good_just_before_it_expires(
    issuer: Issuer, verifier: Verifier, client: Client, now: MovableTime
) -> None:
    token = issuer.issue(client, ["org:read"])
    now.advance(899.999)
    assert (await verifier.verify(token)).client_id == "c_1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "wrong issuer"),
        ({"iss": [ISSUER]}, "wrong issuer"),
        ({"iss": None}, "the token has no iss"),
        ({"aud": "other"}, "wrong audience"),
        ({"aud": []}, "wrong audience"),
        ({"aud": ["other", 5]}, "wrong audience"),
        ({"aud": None}, "the token has no aud"),
        ({"exp": None}, "the token has no exp"),
        ({"exp": "soon"}, "malformed token"),
        ({"exp": True}, "malformed token"),
        ({"exp": float("nan")}, "malformed token"),
        ({"exp": float("inf")}, "malformed token"),
        ({"exp": 0}, "the token expired"),
        ({"exp": -(10**400)}, "malformed token"),
        ({"exp": 1 << 64}, "malformed token"),
        ({"nbf": -1}, "malformed token"),
        ({"iat": -0.5}, "malformed token"),
        ({"other": float("nan")}, "malformed token"),
        ({"org_id": None}, "the token has no org_id"),
        ({"org_id": ""}, "the token has no org_id"),
        ({"org_id": "o 1"}, "the token has no org_id"),
        ({"org_id": "o_1\n"}, "the token has no org_id"),
        ({"org_id": "o" * 65}, "the token has no org_id"),
        ({"org_id": ["o_1"]}, "the token has no org_id"),
        ({"client_id": None, "sub": None}, "the token has no client_id or sub"),
        ({"client_id": ""}, "the token has no client_id or sub"),
        ({"client_id": 5}, "the token has no client_id or sub"),
        ({"client_id": "c\x00"}, "the token has no client_id or sub"),
        ({"client_id": "\ud800"}, "malformed token"),
    ],
)
async def test_a_signed_token_with_wrong_claims_is_refused(
    keys: KeyStore, verifier: Verifier, now: MovableTime, changes: dict[str, Any], reason: str
) -> None:
    assert await refusal(verifier, signed(keys, claims_at(now, **changes))) == reason


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_from_the_future_waits_for_all_but_the_leeway(
    keys: KeyStore, verifier: Verifier, now: MovableTime, claim: str
) -> None:
    token = signed(keys, claims_at(now, **{claim: int(now()) + LEEWAY + 1}))
    assert await refusal(verifier, token) == "the token is not valid yet"
    now.advance(1)
    assert (await verifier.verify(token)).client_id == "c_1"


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scope": "org:read nonsense appointments:write"}, {"org:read", "appointments:write"}),
        ({"scope": ""}, set()),
        ({"scope": None}, set()),
        ({"scope": 7}, set()),
        ({"scope": {"org:read": 1}}, set()),
        ({"scope": None, "scp": ["org:read", "other", 7, ["org:write"]]}, {"org:read"}),
        ({"scope": None, "scp": "org:read org:write"}, {"org:read", "org:write"}),
        ({"scope": "org:read", "scp": ["org:write"]}, {"org:read"}),
    ],
)
async def test_scopes_are_read_and_unknown_ones_ignored(
    keys: KeyStore,
    verifier: Verifier,
    now: MovableTime,
    changes: dict[str, Any],
    scopes: set[str],
) -> None:
    token = signed(keys, claims_at(now, **changes))
    assert (await verifier.verify(token)).scopes == scopes


async def test_one_audience_of_several_and_a_subject_alone_will_do(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    claims = claims_at(now, aud=["other", AUDIENCE], client_id=None, sub="robot@clients")
    assert (await verifier.verify(signed(keys, claims))).client_id == "robot@clients"


@pytest.mark.parametrize("payload", ["text", 5, None, [], [["iss", ISSUER]]])
async def test_signed_claims_that_are_no_object_are_malformed(
    keys: KeyStore, verifier: Verifier, payload: Any
) -> None:
    assert await refusal(verifier, signed(keys, payload)) == "malformed token"


async def test_after_a_rotation_old_and_new_tokens_verify(
    issuer: Issuer, verifier: Verifier, keys: KeyStore, client: Client, now: MovableTime
) -> None:
    old = issuer.issue(client, ["org:read"])
    await verifier.verify(old)
    rotated = await keys.rotate()
    now.advance(PROPAGATION + 1)
    new = issuer.issue(client, ["org:read"])
    assert parts(new)[0]["kid"] == rotated != parts(old)[0]["kid"]
    assert await verifier.verify(old) == await verifier.verify(new)


async def test_a_key_of_another_process_verifies_at_once(
    verifier: Verifier, client: Client, credentials: MemoryCredentials, now: MovableTime
) -> None:
    rotated = await (await KeyStore.open(credentials, now)).rotate()
    now.advance(1)
    signing_already = await KeyStore.open(credentials, MovableTime(now() + PROPAGATION + 1))
    token = Issuer(signing_already, ISSUER, AUDIENCE, time=now).issue(client, [])
    assert parts(token)[0]["kid"] == rotated
    assert (await verifier.verify(token)).client_id == "c_1"


async def test_a_deleted_key_stops_verifying_what_is_remembered(
    issuer: Issuer,
    verifier: Verifier,
    keys: KeyStore,
    client: Client,
    credentials: MemoryCredentials,
    now: MovableTime,
) -> None:
    token = issuer.issue(client, ["org:read"])
    now.advance(1)
    await keys.rotate()
    await verifier.verify(token)
    del credentials.keys_by_kid[parts(token)[0]["kid"]]
    await keys.reload()
    await verifier.verify(issuer.issue(client, ["org:read"]))
    assert await refusal(verifier, token) == "unknown signing key"


async def test_a_remembered_token_costs_no_second_verification(
    issuer: Issuer, verifier: Verifier, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.issue(client, ["org:read"])
    first = await verifier.verify(token)
    monkeypatch.delattr(Verifier, "_verify")
    assert await verifier.verify(token) is first


async def test_the_memory_is_bounded_and_keeps_what_is_used(
    keys: KeyStore, verifier: Verifier, now: MovableTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zimun.auth.tokens.CACHE_SIZE", 3)
    assert CACHE_SIZE == 4096
    tokens = [signed(keys, claims_at(now, client_id=f"c_{n}")) for n in range(4)]
    callers = [await verifier.verify(token) for token in tokens[:3]]
    assert await verifier.verify(tokens[0]) is callers[0]
    await verifier.verify(tokens[3])
    assert await verifier.verify(tokens[0]) is callers[0]
    assert await verifier.verify(tokens[1]) is not callers[1]


async def test_real_time_is_the_default(credentials: MemoryCredentials, client: Client) -> None:
    keys = await KeyStore.open(credentials)
    issuer, verifier = Issuer(keys, ISSUER, AUDIENCE), Verifier(keys, ISSUER, AUDIENCE)
    token = issuer.issue(client, [])
    assert abs(parts(token)[1]["iat"] - time.time()) < 10
    assert (await verifier.verify(token)).client_id == "c_1"
