"""Forged Authorization headers, made from public information and the tests' own keys."""

import base64
import binascii
import hmac
import json
import math
import random
import time
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from .entry_points import Headers
from .target import Target, encode_part

HOUR = 3600

UNREADABLE = [
    math.nan,
    math.inf,
    10**400,
    "\ud800",
    {"\udc00": 1},
    json.loads("[" * 100 + "]" * 100),
]
"""Values that Envoy cannot read, so that no part of a token may have them."""

Forgery = tuple[str, Headers]
"""What is wrong with a token, and the headers that carry it."""


def bearer(token: str) -> Headers:
    return (("authorization", f"Bearer {token}"),)


def sign(header: str, payload: str, key: ECKey) -> str:
    """Two encoded parts as they are, and their ES256 signature (RFC 7518 section 3.4)."""
    signature = JWSRegistry.algorithms["ES256"].sign(f"{header}.{payload}".encode(), key)
    return f"{header}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def every_forgery(target: Target) -> list[Forgery]:
    """The forgeries of every kind."""
    return [
        *with_wrong_claims(target),
        *with_wrong_payloads(target),
        *with_wrong_headers(target),
        *with_own_keys(target),
        *with_other_algorithms(target),
        *without_a_token(target),
        *damaged(target),
        *oversized(target),
    ]


def with_wrong_claims(target: Target) -> Iterator[Forgery]:
    """Signed by the real key, so that the claims alone are refused; None leaves a claim out."""
    now = int(time.time())
    issuer = target.claims()["iss"]
    wrong: dict[str, list[Any]] = {
        "iss": [None, "", "https://example.com", f"{issuer}/", issuer.upper(), [issuer]],
        "aud": [None, "", "zimun2", ["other"], "ZIMUN", {"zimun": 1}],
        "exp": [None, 0, -1, now - 5, now - HOUR, "tomorrow", True, 2**64],
        "nbf": [now + HOUR, 2**62, "now", -1],
        "iat": [-1],
        "other": UNREADABLE,
        "org_id": [
            None,
            "",
            "o_demo ",
            "o_demo'--",
            ["o_demo"],
            5,
            "a" * 65,
        ],
        "client_id": ["", "a\0b", "a\nb", 5, ["c_demo"], "c" * 256],
    }
    for claim, values in wrong.items():
        for value in values:
            changed = {**target.claims(), claim: value}
            claims = {name: given for name, given in changed.items() if given is not None}
            payload = encode_part(claims)
            token = sign(encode_part(target.header()), payload, target.signing_key)
            yield f"{claim} is {value!r:.40}", bearer(token)


def with_wrong_payloads(target: Target) -> Iterator[Forgery]:
    """Signed by the real key over what is no set of claims (RFC 7519 sections 4 and 7.2)."""
    claims = json.dumps(target.claims())
    twice = claims.replace('"org_id"', '"org_id": "o_victim", "org_id"')
    beyond = claims.replace("{", '{"other": 1e400, ')
    no_objects = ("", "null", "5", "[]", f"[{claims}]", "{", claims[:-1], "[" * 2000)
    for payload in (*no_objects, twice, beyond, f"\ufeff{claims}"):
        token = sign(encode_part(target.header()), encode_part(payload), target.signing_key)
        yield f"payload {payload:.20}", bearer(token)


def with_wrong_headers(target: Target) -> Iterator[Forgery]:
    """Signed by the real key under a header that is not one of our access tokens (RFC 9068)."""
    good = target.header()
    wrong: list[dict[str, Any]] = [
        {**good, "typ": "JWT"},
        {**good, "typ": None},
        {**good, "typ": ["at+jwt"]},
        {**good, "alg": "es256"},
        {**good, "alg": ["ES256"]},
        {**good, "alg": None},
        {**good, "kid": 5},
        {**good, "crit": ["exp"], "exp": 1},
        {**good, "crit": ["b64"], "b64": False},
        {**good, "zip": "DEF", "crit": ["zip"]},
        *({**good, "other": value} for value in UNREADABLE),
    ]
    payload = encode_part(target.claims())
    for header in wrong:
        present = {name: value for name, value in header.items() if value is not None}
        yield (
            f"header {present!r:.200}",
            bearer(sign(encode_part(present), payload, target.signing_key)),
        )
    twice = [json.dumps(good).replace("{", f'{{"{name}": "none", ') for name in good]
    for text in ("null", "[]", "5", "{", '{"alg":"ES256"', "[" * 1000, *twice):
        yield f"header {text:.20}", bearer(sign(encode_part(text), payload, target.signing_key))


def with_own_keys(target: Target) -> Iterator[Forgery]:
    """Signed by a key of the attacker's own, which the header presents as good."""
    own = ECKey.generate_key("P-256")
    kid = target.header()["kid"]
    presented: dict[str, dict[str, Any]] = {
        "no hint": {},
        "its kid": {"kid": own.thumbprint()},
        "no kid": {"kid": None},
        "an empty kid": {"kid": ""},
        "a kid that is a path": {"kid": "../../../../dev/null"},
        "a kid that is SQL": {"kid": "x' UNION SELECT pem FROM signing_keys --"},
        "a kid with U+0000": {"kid": f"{kid}\0"},
        "jwk": {"jwk": own.as_dict(private=False)},
        "jku": {"jku": "http://127.0.0.1:9/jwks.json"},
        "x5u": {"x5u": "http://127.0.0.1:9/cert.pem"},
        "x5c": {"x5c": ["MIIB"]},
    }
    payload = encode_part(target.claims())
    for name, changes in presented.items():
        header = {key: v for key, v in {**target.header(), **changes}.items() if v is not None}
        yield f"own key, {name}", bearer(sign(encode_part(header), payload, own))


def with_other_algorithms(target: Target) -> Iterator[Forgery]:
    """Algorithms that are not ours, the public key as a shared secret among them (RFC 8725)."""
    payload, claims = encode_part(target.claims()), target.claims()
    for none in ("none", "None", "NONE", "nOnE", ""):
        header = encode_part({**target.header(), "alg": none})
        for signature in ("", "AA", "A" * 86):
            yield (
                f"alg {none!r}, signature {signature!r:.6}",
                bearer(f"{header}.{payload}.{signature}"),
            )
    for secret in shared_secrets(target.signing_key):
        for algorithm in ("sha256", "sha512"):
            header = encode_part({**target.header(), "alg": f"HS{algorithm[3:]}"})
            digest = hmac.digest(secret, f"{header}.{payload}".encode(), algorithm)
            signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            yield f"HMAC with {secret[:12]!r}", bearer(f"{header}.{payload}.{signature}")
    rsa = RSAKey.generate_key(2048)
    for algorithm in ("RS256", "PS256"):
        rsa_header = {**target.header(), "alg": algorithm}
        token = jwt.encode(rsa_header, claims, rsa, algorithms=[algorithm])
        yield algorithm, bearer(token)
    # r = s = 0, which flawed implementations take for any message (CVE-2022-21449).
    header = encode_part(target.header())
    yield "a signature of zeros", bearer(f"{header}.{payload}.{'A' * 86}")


def shared_secrets(key: ECKey) -> list[bytes]:
    """What a verifier that trusts `alg` might take as a shared secret (CVE-2015-9235)."""
    pem = key.as_pem(private=False)
    der = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return [pem, pem.strip(), der, json.dumps(key.as_dict(private=False)).encode(), b"", b"\0" * 32]


def without_a_token(target: Target) -> Iterator[Forgery]:
    """A good token in a header where it does not belong, or beside another one."""
    token = target.token()
    yield "no header", ()
    for value in ("", "Bearer", "Bearer ", "Basic YTpi", f"Basic {token}", token, f"Token {token}"):
        yield f"header {value:.10}", (("authorization", value),)
    for value in (f"Bearer {token} {token}", f"Bearer {token},Bearer {token}", f"Bearer,{token}"):
        yield f"header {value:.7}… twice", (("authorization", value),)
    for name in ("proxy-authorization", "x-authorization", "x-forwarded-access-token", "cookie"):
        yield f"in {name}", ((name, f"Bearer {token}"),)
    bad, good = bearer(f"{token[:-4]}AAAA")[0], bearer(token)[0]
    yield "two headers, the first is bad", (bad, good)
    yield "two headers, the second is bad", (good, bad)
    yield "two good headers", (good, good)


def damaged(target: Target) -> Iterator[Forgery]:
    """A good token cut, joined or changed in one part."""
    header, payload, signature = target.token().split(".")
    other = encode_part({**target.claims(), "org_id": "o_victim"})
    more = encode_part({**target.claims(scopes=()), "scope": "org:write"})
    parts = {
        "another organization": (header, other, signature),
        "another scope": (header, more, signature),
        "no signature": (header, payload, ""),
        "half a signature": (header, payload, signature[:43]),
        "two parts": (header, payload),
        "one part": (header,),
        "four parts": (header, payload, signature, signature),
        "five parts": (header, "", "", payload, signature),
        "parts exchanged": (payload, header, signature),
        "no header": ("", payload, signature),
        "no payload": (header, "", signature),
        "padding": (f"{header}=", payload, signature),
    }
    for name, given in parts.items():
        yield name, bearer(".".join(given))


def oversized(target: Target) -> Iterator[Forgery]:
    """Far larger than any token that is issued."""
    for size in (8_000, 9_000, 16_000, 100_000):
        claims = {**target.claims(), "padding": "x" * size}
        payload = encode_part(claims)
        yield (
            f"a claim of {size} bytes",
            bearer(sign(encode_part(target.header()), payload, target.signing_key)),
        )
        yield f"{size} dots", bearer("." * size)


def mutated(token: str, rng: random.Random) -> str:
    """The token after one to three edits that change what it decodes to."""
    text = token
    while decoded(text) == decoded(token):
        for _ in range(rng.randint(1, 3)):
            text = _edit(text, rng)
    return text


def _edit(text: str, rng: random.Random) -> str:
    at, to = sorted(rng.randrange(len(text)) for _ in range(2))
    letter = rng.choice("ABCXYZabcxyz019-_.=~%+/")
    return (
        rng.choice(
            (
                text[:at] + letter + text[at + 1 :],
                text[:at] + letter + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + text[at:to].swapcase() + text[to:],
                text[:at] + text[to:] if to - at < 40 else text[:at],
            )
        )
        or "A"
    )


def decoded(token: str) -> list[bytes]:
    """The parts as lenient decoders read them: padding bits do not count."""
    return [_decode_leniently(part) for part in token.split(".")]


def _decode_leniently(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "===")
    except binascii.Error:
        return part.encode()
