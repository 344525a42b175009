"""Issuing and verifying: what a good token says, and every way to a bad one."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from zimun.auth.signing_keys import PROPAGATION, KeyStore
from zimun.auth.tokens import CACHE_SIZE, LEEWAY, MAX_TOKEN_LENGTH, PROVIDER, Issuer, Verifier
from zimun.domain.errors import TokenInvalid
from zimun.domain.identity import Caller, Client

from ...support.profiles import examples
from .conftest import AUDIENCE, ISSUER
from .fakes import MemoryCredentials, MovableTime


def segment(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, payload, signature = token.split(".")

    def decoded(text: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "==="))
        return value

    return decoded(header), decoded(payload), signature


def claims_at(now: MovableTime, **changes: Any) -> dict[str, Any]:
    """Good claims with changes; a change to None removes the claim."""
    claims = {
        "iss": ISSUER,
        "sub": "c_1",
        "aud": AUDIENCE,
        "client_id": "c_1",
        "org_id": "o_1",
        "scope": "org:read",
        "iat": int(now()),
        "exp": int(now()) + 900,
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def signed(keys: KeyStore, claims: Any, **header: Any) -> str:
    """A token that our own key has signed, whatever it says."""
    key = keys.signing_key()
    complete = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"} | header
    kept = {name: value for name, value in complete.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact(kept, json.dumps(claims), key, registry=registry)


async def refusal(verifier: Verifier, token: str) -> str:
    with pytest.raises(TokenInvalid) as caught:
        await verifier.verify(token)
    assert caught.value.metadata == {}
    return caught.value.message


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
        ({"exp": -(10**400)}, "the token expired"),
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
        ({"client_id": "\ud800"}, "the token has no client_id or sub"),
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
async def test_a_strange_header_is_malformed(
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
