"""Tokens of an outside identity provider, whose JWKS a real server serves."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from zimun.auth.remote_jwks import MAX_AGE, RETRY_INTERVAL, ProviderKeys
from zimun.auth.tokens import PROVIDER, Verifier
from zimun.domain.errors import Overloaded, TokenInvalid
from zimun.domain.identity import Caller

from .conftest import AUDIENCE, ISSUER
from .fakes import MovableTime

RSA = RSAKey.generate_key(2048, auto_kid=True)
P256 = ECKey.generate_key("P-256", auto_kid=True)
P384 = ECKey.generate_key("P-384", auto_kid=True)
ED25519 = OKPKey.generate_key("Ed25519", auto_kid=True)


class Provider:
    """A JWKS endpoint that counts its calls, and can fail, hang or change its keys."""

    def __init__(self) -> None:
        self.body: Any = {"keys": []}
        self.status = 200
        self.calls = 0
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        app = web.Application()
        app.router.add_get("/jwks", self.answer)
        self.server = TestServer(app)

    @property
    def location(self) -> str:
        return str(self.server.make_url("/jwks"))

    def publish(self, *keys: Key) -> None:
        self.body = {"keys": [key.as_dict(private=False) for key in keys]}

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.called.set()
        await self.gate.wait()
        headers = {"Location": "/jwks"} if self.status == 302 else None
        return web.json_response(self.body, status=self.status, headers=headers)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    await provider.server.start_server()
    yield provider
    await provider.server.close()


@pytest.fixture
async def keys(provider: Provider, now: MovableTime) -> AsyncIterator[ProviderKeys]:
    keys = ProviderKeys(provider.location, now)
    yield keys
    await keys.close()


@pytest.fixture
def verifier(keys: ProviderKeys, now: MovableTime) -> Verifier:
    return Verifier(keys, ISSUER, AUDIENCE, PROVIDER, now)


@pytest.fixture
def claims(now: MovableTime) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": [AUDIENCE, "userinfo"],
        "sub": "robot@clients",
        "org_id": "o_1",
        "scp": ["org:read", "email"],
        "exp": int(now()) + 3600,
    }


def sign(key: Key, alg: str, claims: dict[str, Any], **header: str) -> str:
    complete = {"alg": alg, "kid": key.kid} | header
    return jwt.encode(complete, claims, key, algorithms=[alg], default_type=None)


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (RSA, "RS256"),
        (RSA, "PS256"),
        (P256, "ES256"),
        (P384, "ES384"),
        (ED25519, "EdDSA"),
        (ED25519, "Ed25519"),
    ],
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_every_allowed_algorithm_verifies(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], key: Key, alg: str
) -> None:
    provider.publish(RSA, P256, P384, ED25519)
    token = sign(key, alg, claims)
    expected = Caller("o_1", "robot@clients", frozenset({"org:read"}))
    assert await verifier.verify(token) == expected
    tampered = token[:-20] + ("A" * 20)
    with pytest.raises(TokenInvalid, match="bad signature"):
        await verifier.verify(tampered)


@pytest.mark.filterwarnings("error")
async def test_edd_sa_verifies_without_a_warning(
    provider: Provider, verifier: Verifier, claims: dict[str, Any]
) -> None:
    provider.publish(ED25519)
    with pytest.warns(match="EdDSA is deprecated"):
        token = sign(ED25519, "EdDSA", claims)
    assert await verifier.verify(token)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "ES256"), (P384, "ES256"), (P256, "RS256")])
async def test_a_key_is_not_used_for_another_algorithm(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], key: Key, alg: str
) -> None:
    provider.publish(RSA, P256, P384)
    signer = P256 if alg == "ES256" else RSA
    token = sign(signer, alg, claims, kid=str(key.kid))
    with pytest.raises(TokenInvalid, match="bad signature"):
        await verifier.verify(token)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_types_of_access_tokens_are_taken(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], typ: str
) -> None:
    provider.publish(P256)
    assert await verifier.verify(sign(P256, "ES256", claims, typ=typ))


@pytest.mark.parametrize("typ", ["logout+jwt", "dpop+jwt", "secevent+jwt"])
async def test_tokens_of_other_types_are_refused(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], typ: str
) -> None:
    provider.publish(P256)
    with pytest.raises(TokenInvalid, match="not an access token"):
        await verifier.verify(sign(P256, "ES256", claims, typ=typ))


async def test_keys_come_from_a_file_too(
    tmp_path: Path, now: MovableTime, claims: dict[str, Any]
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [P256.as_dict(private=False)]}))
    verifier = Verifier(ProviderKeys(str(file), now), ISSUER, AUDIENCE, PROVIDER, now)
    assert (await verifier.verify(sign(P256, "ES256", claims))).org_id == "o_1"


async def test_keys_are_fetched_once_and_kept(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], now: MovableTime
) -> None:
    provider.publish(P256)
    await verifier.verify(sign(P256, "ES256", claims))
    now.advance(MAX_AGE - 1)
    await verifier.verify(sign(P256, "ES256", claims))
    assert provider.calls == 1


async def test_callers_at_once_share_one_fetch(
    provider: Provider, verifier: Verifier, claims: dict[str, Any]
) -> None:
    provider.publish(P256)
    provider.gate.clear()
    tokens = [sign(P256, "ES256", claims | {"jti": str(n)}) for n in range(5)]
    verifying = [asyncio.create_task(verifier.verify(token)) for token in tokens]
    await asyncio.sleep(0)
    verifying[0].cancel()
    provider.gate.set()
    answers = await asyncio.gather(*verifying, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [type(answer) for answer in answers[1:]] == [Caller] * 4
    assert provider.calls == 1


async def test_an_unknown_kid_fetches_again_but_not_at_every_call(
    provider: Provider, verifier: Verifier, claims: dict[str, Any], now: MovableTime
) -> None:
    provider.publish(P256)
    await verifier.verify(sign(P256, "ES256", claims))
    provider.publish(P256, RSA)
    new = sign(RSA, "RS256", claims)
    for _ in range(3):
        with pytest.raises(TokenInvalid, match="unknown signing key"):
            await verifier.verify(new)
    assert provider.calls == 1
    now.advance(RETRY_INTERVAL)
    assert (await verifier.verify(new)).org_id == "o_1"
    assert provider.calls == 2


async def test_a_removed_key_stops_verifying_what_is_remembered(
    provider: Provider,
    keys: ProviderKeys,
    verifier: Verifier,
    claims: dict[str, Any],
    now: MovableTime,
) -> None:
    provider.publish(P256, RSA)
    token = sign(P256, "ES256", claims)
    await verifier.verify(token)
    provider.publish(RSA)
    provider.called.clear()
    now.advance(MAX_AGE)
    assert await verifier.verify(token)
    async with asyncio.timeout(10):
        await provider.called.wait()
    await keys.refreshed()
    assert provider.calls == 2
    with pytest.raises(TokenInvalid, match="unknown signing key"):
        await verifier.verify(token)


async def test_unchanged_keys_keep_what_is_remembered(
    provider: Provider,
    keys: ProviderKeys,
    verifier: Verifier,
    claims: dict[str, Any],
    now: MovableTime,
) -> None:
    provider.publish(P256)
    token = sign(P256, "ES256", claims)
    caller = await verifier.verify(token)
    now.advance(MAX_AGE)
    await keys.refreshed()
    assert provider.calls == 2
    assert await verifier.verify(token) is caller


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_an_outage_leaves_the_fetched_keys_in_use(
    provider: Provider,
    keys: ProviderKeys,
    verifier: Verifier,
    claims: dict[str, Any],
    now: MovableTime,
    status: int,
) -> None:
    provider.publish(P256)
    await verifier.verify(sign(P256, "ES256", claims))
    provider.status, provider.body = status, {"oops": 1}
    now.advance(MAX_AGE)
    await keys.refreshed()
    assert provider.calls == 2
    assert await verifier.verify(sign(P256, "ES256", claims | {"jti": "later"}))
    provider.status = 200
    provider.publish(RSA)
    now.advance(RETRY_INTERVAL)
    await keys.refreshed()
    assert set(keys.current()) == {RSA.kid}


@pytest.mark.parametrize("body", [[], 5, {}, {"keys": {}}, {"keys": []}, {"keys": [5, {}]}])
async def test_without_any_key_callers_are_told_to_come_back(
    provider: Provider,
    verifier: Verifier,
    claims: dict[str, Any],
    now: MovableTime,
    body: Any,
) -> None:
    provider.body = body
    token = sign(P256, "ES256", claims)
    for _ in range(2):
        with pytest.raises(Overloaded) as caught:
            await verifier.verify(token)
    assert caught.value.retry_after == RETRY_INTERVAL
    assert provider.calls == 1
    provider.publish(P256)
    now.advance(RETRY_INTERVAL)
    assert await verifier.verify(token)


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/jwks", "/nowhere/jwks.json", "http://"])
async def test_a_location_that_cannot_be_reached_is_an_overload(
    claims: dict[str, Any], now: MovableTime, location: str
) -> None:
    verifier = Verifier(ProviderKeys(location, now), ISSUER, AUDIENCE, PROVIDER, now)
    with pytest.raises(Overloaded):
        await verifier.verify(sign(P256, "ES256", claims))


async def test_text_that_is_no_token_costs_no_fetch_worth_waiting_for(
    provider: Provider, verifier: Verifier
) -> None:
    provider.gate.clear()
    with pytest.raises(TokenInvalid, match="malformed token"):
        await verifier.verify("nonsense")
    provider.gate.set()


async def test_keys_that_cannot_verify_are_passed_over(
    provider: Provider, keys: ProviderKeys, verifier: Verifier, claims: dict[str, Any]
) -> None:
    good = P256.as_dict(private=False)
    provider.body = {
        "keys": [
            {"kty": "AKP", "kid": "post-quantum"},
            {"kty": "EC", "kid": "strange curve", "crv": "P-999", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "off the curve", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "RSA", "kid": "half"},
            OctKey.generate_key(256).as_dict(private=True) | {"kid": "symmetric"},
            RSA.as_dict(private=False) | {"use": "enc"},
            good | {"kid": 7},
            good,
        ]
    }
    assert await verifier.verify(sign(P256, "ES256", claims))
    assert set(keys.current()) == {P256.kid}


async def test_closing_gives_up_a_fetch(provider: Provider, keys: ProviderKeys) -> None:
    provider.gate.clear()
    keys.current()
    await keys.close()
    provider.gate.set()
    assert keys.current() == {}
