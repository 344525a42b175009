"""Tokens that a key has signed, whatever they say, and what a verifier says of them."""

import base64
import json
from typing import Any

import pytest
from joserfc import jws

from zimun.auth.signing_keys import KeyStore
from zimun.auth.tokens import Verifier
from zimun.domain.errors import TokenInvalid

from .conftest import AUDIENCE, ISSUER
from .fakes import MovableTime


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
