"""Forged, tampered and malformed tokens are refused."""

import hmac
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import MAX_DEPTH, MAX_TOKEN_LENGTH, PROVIDER, Issuer, Verifier
from zimun.domain.errors import TokenInvalid
from zimun.domain.identity import Caller, Client

from ...support.profiles import examples
from .conftest import AUDIENCE, ISSUER
from .fakes import MovableTime
from .signed_tokens import claims_at, parts, refusal, segment, signed


async def test_a_forged_signature_is_refused(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    header = {"alg": "ES256", "kid": keys.signing_key().kid, "typ": "at+jwt"}
    forged = jwt.encode(header, claims_at(now), ECKey.generate_key("P-256"))
    assert await refusal(verifier, forged) == "bad signature"


@pytest.mark.parametrize("signature", ["", "AAAA", segment(b"\0" * 64), segment(b"\xff" * 64)])
async def test_a_made_up_signature_is_refused(
    issuer: Issuer, verifier: Verifier, client: Client, signature: str
) -> None:
    head, payload, _ = issuer.issue(client, []).split(".")
    assert await refusal(verifier, f"{head}.{payload}.{signature}") == "bad signature"


async def test_tampered_claims_are_refused_though_the_original_is_remembered(
    issuer: Issuer, verifier: Verifier, client: Client
) -> None:
    token = issuer.issue(client, ["org:read"])
    await verifier.verify(token)
    head, _, signature = token.split(".")
    claims = parts(token)[1] | {"scope": "org:write"}
    assert await refusal(verifier, f"{head}.{segment(claims)}.{signature}") == "bad signature"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
async def test_an_unsigned_token_is_refused(
    keys: KeyStore, verifier: Verifier, now: MovableTime, alg: str
) -> None:
    header = {"alg": alg, "kid": keys.signing_key().kid, "typ": "at+jwt"}
    for signature in ("", "AAAA"):
        token = f"{segment(header)}.{segment(claims_at(now))}.{signature}"
        assert await refusal(verifier, token) == "unsupported signing algorithm"


@pytest.mark.parametrize("profile_is_provider", [False, True])
async def test_the_public_key_is_no_hmac_secret(
    keys: KeyStore, now: MovableTime, profile_is_provider: bool
) -> None:
    verifier = Verifier(keys, ISSUER, AUDIENCE, time=now)
    if profile_is_provider:
        verifier = Verifier(keys, ISSUER, AUDIENCE, PROVIDER, now)
    kid = str(keys.signing_key().kid)
    public = keys.current()[kid]
    for secret in (public.as_pem(), json.dumps(keys.jwks()["keys"][0]).encode()):
        header = {"alg": "HS256", "kid": kid, "typ": "at+jwt"}
        text = f"{segment(header)}.{segment(claims_at(now))}"
        mac = segment(hmac.digest(secret, text.encode(), "sha256"))
        assert await refusal(verifier, f"{text}.{mac}") == "unsupported signing algorithm"


async def test_a_key_that_the_token_brings_along_is_not_believed(
    verifier: Verifier, now: MovableTime
) -> None:
    mine = ECKey.generate_key("P-256", auto_kid=True)
    header = {"alg": "ES256", "kid": mine.kid, "typ": "at+jwt", "jwk": mine.as_dict()}
    assert await refusal(verifier, jwt.encode(header, claims_at(now), mine)) == (
        "unknown signing key"
    )


async def test_an_unknown_kid_is_refused_even_over_a_good_signature(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    token = signed(keys, claims_at(now), kid="other")
    assert await refusal(verifier, token) == "unknown signing key"


async def test_without_a_kid_only_an_only_key_is_meant(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    token = signed(keys, claims_at(now), kid=None)
    assert (await verifier.verify(token)).client_id == "c_1"
    await keys.rotate()
    assert await refusal(verifier, token) == "unknown signing key"


@pytest.mark.parametrize("typ", ["JWT", "dpop+jwt", "logout+jwt", "", None])
async def test_another_kind_of_jwt_is_no_access_token(
    keys: KeyStore, verifier: Verifier, now: MovableTime, typ: str | None
) -> None:
    token = signed(keys, claims_at(now), typ=typ)
    assert await refusal(verifier, token) == "not an access token"


@pytest.mark.parametrize("typ", ["AT+JWT", "application/at+jwt", "application/AT+JWT"])
async def test_typ_is_compared_as_a_media_type(
    keys: KeyStore, verifier: Verifier, now: MovableTime, typ: str
) -> None:
    assert (await verifier.verify(signed(keys, claims_at(now), typ=typ))).org_id == "o_1"


@pytest.mark.parametrize(
    "header",
    [
        ["alg"],
        "alg",
        5,
        None,
        {},
        {"alg": 5},
        {"alg": ["ES256"]},
        {"alg": "ES256", "kid": 5},
        {"alg": "ES256", "kid": None},
        {"alg": "ES256", "typ": 5},
        {"alg": "ES256", "crit": 5},
        {"alg": "ES256", "crit": [[]]},
        {"alg": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "b64": False},
        {"alg": "ES256", "x": "y" * 5000},
    ],
)
async def test_header_that_is_no_json_object_of_ours_is_malformed(
    verifier: Verifier, now: MovableTime, header: Any
) -> None:
    token = f"{segment(header)}.{segment(claims_at(now))}.AAAA"
    assert await refusal(verifier, token) == "malformed token"


async def test_a_critical_extension_is_refused_over_a_good_signature(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    key = keys.signing_key()
    header = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt", "crit": ["b64"], "b64": True}
    token = jwt.encode(header, claims_at(now), key)
    assert await refusal(verifier, token) == "malformed token"


async def test_an_unknown_header_parameter_is_ignored(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    assert await verifier.verify(signed(keys, claims_at(now), nonce="x"))


def nested(levels: int) -> list[Any]:
    """Lists within one another."""
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 10**400, -(10**400), 2**1024, "\ud800", {"\udc00": 1}, nested(MAX_DEPTH)],
    ids=["NaN", "Infinity", "1e400", "-1e400", "2^1024", "surrogate", "in a name", "nested"],
)
async def test_what_is_no_value_for_envoy_is_malformed_wherever_it_is(
    keys: KeyStore, verifier: Verifier, now: MovableTime, value: Any
) -> None:
    in_claims = signed(keys, claims_at(now, unread=value))
    in_header = signed(keys, claims_at(now), unread=value)
    assert await refusal(verifier, in_claims) == "malformed token"
    assert await refusal(verifier, in_header) == "malformed token"


@pytest.mark.parametrize("value", [10**308, "\ud83d\ude00", "\0", nested(MAX_DEPTH - 1)])
async def test_the_last_values_that_envoy_reads_are_read(
    keys: KeyStore, verifier: Verifier, now: MovableTime, value: Any
) -> None:
    assert await verifier.verify(signed(keys, claims_at(now, unread=value)))
    assert await verifier.verify(signed(keys, claims_at(now), unread=value))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d",
        "é.é.é",
        "\ud800",
        "null.null.null",
        "Bearer a.b.c",
        "[" * 5000,
        segment(b"[" * 3000) + ".a.a",
        "a" * (MAX_TOKEN_LENGTH + 1),
    ],
)
async def test_text_that_is_no_token_is_malformed(verifier: Verifier, token: str) -> None:
    assert await refusal(verifier, token) == "malformed token"


async def test_a_token_beyond_the_longest_is_malformed(
    keys: KeyStore, verifier: Verifier, now: MovableTime
) -> None:
    token = signed(keys, claims_at(now, padding="x" * MAX_TOKEN_LENGTH))
    assert await refusal(verifier, token) == "malformed token"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["ES256", "none", "HS256"]) | JSON,
        "typ": st.just("at+jwt") | JSON,
        "crit": JSON,
        "b64": JSON,
        "kid": JSON,
    },
)

CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.just(ISSUER) | JSON,
        "aud": st.just(AUDIENCE) | JSON,
        "exp": st.just(4_000_000_000) | JSON,
        "nbf": JSON,
        "iat": JSON,
        "org_id": st.just("o_1") | JSON,
        "client_id": JSON,
        "sub": JSON,
        "scope": JSON,
        "scp": JSON,
    },
)

SEGMENTS = (HEADERS | CLAIMS | JSON).map(segment) | st.binary().map(segment) | st.text()
ANY_FIXTURE = examples(100, HealthCheck.function_scoped_fixture)


@ANY_FIXTURE
@given(token=st.text() | st.lists(SEGMENTS, min_size=3, max_size=3).map(".".join))
async def test_any_text_is_a_token_or_invalid(verifier: Verifier, token: str) -> None:
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)


@ANY_FIXTURE
@given(payload=CLAIMS | JSON)
async def test_any_signed_claims_are_a_caller_or_invalid(
    keys: KeyStore, verifier: Verifier, payload: Any
) -> None:
    try:
        caller = await verifier.verify(signed(keys, payload))
    except TokenInvalid:
        return
    assert caller.org_id == payload["org_id"]


@ANY_FIXTURE
@given(position=st.integers(0, 10_000), letter=st.sampled_from("ABCDEFXYZabcdef0189-_.=~"))
async def test_no_change_of_a_letter_makes_a_token_say_something_else(
    issuer: Issuer, verifier: Verifier, client: Client, position: int, letter: str
) -> None:
    token = issuer.issue(client, ["org:read"])
    position %= len(token)
    changed = token[:position] + letter + token[position + 1 :]
    try:
        caller = await verifier.verify(changed)
    except TokenInvalid:
        return
    assert caller == Caller("o_1", "c_1", frozenset({"org:read"}))
