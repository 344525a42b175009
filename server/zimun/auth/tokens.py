"""Access tokens: JWTs as RFC 9068 profiles them, issued here and verified here.

Verification follows the advice of RFC 8725: the algorithms are ours to choose
and never the token's, `typ` tells an access token from any other JWT, and
issuer and audience are always checked.
"""

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc import jws, jwt
from joserfc.errors import (
    ClaimError,
    ExpiredTokenError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.registry import Header
from joserfc.util import urlsafe_b64decode

from zimun.auth.signing_keys import MAX_LIFETIME, KeyStore
from zimun.domain.errors import TokenInvalid
from zimun.domain.identity import ID, SCOPES, Caller, Client

DEFAULT_LIFETIME = 900
"""Seconds from issue to expiry."""

LEEWAY = 60
"""Seconds by which `nbf` and `iat` may lie ahead of our clock, as in Envoy. `exp` gets none."""

MAX_TOKEN_LENGTH = 8192
"""Characters; what HTTP servers commonly take as one header."""

CACHE_SIZE = 4096
"""Verified tokens that are cached: an ECDSA verification takes about 100 microseconds."""

MAX_DATE = 1 << 64
"""Beyond the last date (seconds since 1970) that Envoy reads in a token."""

MAX_DEPTH = 100
"""Objects and lists within one another, the claims or the header included, that Envoy reads."""

_DATES = ("exp", "nbf", "iat")

_LONGEST_CLIENT_ID = 255

_WRONG = {
    "iss": "wrong issuer",
    "aud": "wrong audience",
    "nbf": "the token is not valid yet",
    "iat": "the token is not valid yet",
}


class Keys(Protocol):
    """The keys that verify tokens: a KeyStore or ProviderKeys."""

    def current(self) -> Mapping[str, Key]:
        """The public keys by kid; the same mapping object until they change."""

    async def refreshed(self) -> Mapping[str, Key]:
        """As `current`, after reading the keys again.

        Raises Overloaded where no keys can be read.
        """


@dataclass(frozen=True, slots=True)
class Profile:
    """The header of an issuer's access tokens: `alg`, and `typ` (None where it may be absent)."""

    algorithms: tuple[str, ...]
    types: frozenset[str | None]


ACCESS_TOKEN = Profile(("ES256",), frozenset({"at+jwt"}))
"""Our own tokens, RFC 9068 to the letter."""

PROVIDER = Profile(
    ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"), frozenset({"at+jwt", "jwt", None})
)
"""An outside provider's: many still say `JWT` or nothing. EdDSA is Ed25519 since RFC 9864."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes access tokens that live `lifetime` seconds, one to MAX_LIFETIME."""

    keys: KeyStore
    issuer: str
    audience: str
    lifetime: int = DEFAULT_LIFETIME
    time: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if not 1 <= self.lifetime <= MAX_LIFETIME:
            raise ValueError(f"a token lives from 1 to {MAX_LIFETIME} seconds")

    def issue(self, client: Client, scopes: Iterable[str]) -> str:
        """A signed token for the client (RFC 9068 section 2). Raises Overloaded without a key."""
        key = self.keys.signing_key()
        now = int(self.time())
        claims = {
            "iss": self.issuer,
            "sub": client.client_id,
            "aud": self.audience,
            "client_id": client.client_id,
            "org_id": client.org_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_urlsafe(16),
        }
        header = {"typ": "at+jwt", "alg": "ES256", "kid": key.kid}
        return jwt.encode(header, claims, key, algorithms=["ES256"])


class Verifier:
    """Verifies tokens of one issuer for one audience.

    Verified tokens are cached by their exact text until they expire or the keys
    change, so that tokens of a removed key are refused.
    """

    def __init__(
        self,
        keys: Keys,
        issuer: str,
        audience: str,
        profile: Profile = ACCESS_TOKEN,
        time: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._types = profile.types
        self._registry = _Registry(profile.algorithms)
        self._time = time
        self._callers: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._callers_keys: Mapping[str, Key] = {}

    async def verify(self, token: str) -> Caller:
        """The token's bearer.

        Raises TokenInvalid, whatever the text, and Overloaded where an outside
        provider's keys have never been fetched.
        """
        keys = self._keys.current()
        if keys is self._callers_keys and (cached := self._callers.get(token)) is not None:
            caller, expiry = cached
            if self._time() >= expiry:
                raise TokenInvalid("the token expired")
            self._callers.move_to_end(token)
            return caller
        return await self._verify(token, keys)

    async def _verify(self, token: str, keys: Mapping[str, Key]) -> Caller:
        signed = self._parse(token)
        kid = signed.headers().get("kid")
        key = _find(keys, kid)
        if key is None:
            keys = await self._keys.refreshed()
            key = _find(keys, kid)
        if key is None:
            raise TokenInvalid("unknown signing key")
        self._check_signature(signed, key)
        claims = _claims(signed)
        self._check_claims(claims)
        caller = _caller(claims)
        self._remember(token, caller, claims["exp"], keys)
        return caller

    def _parse(self, token: str) -> CompactSignature:
        """Split the token and check its header.

        joserfc raises exceptions of many classes for headers that are JSON but no
        objects, or whose `crit` is no list: each of them means a malformed token.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenInvalid("malformed token")
        try:
            signed = jws.extract_compact(token.encode("ascii"), registry=self._registry)
            header = signed.headers()
            self._registry.check_header(header)
            self._registry.get_alg(header["alg"])
        except UnsupportedAlgorithmError as error:
            raise TokenInvalid("unsupported signing algorithm") from error
        except Exception as error:
            raise TokenInvalid("malformed token") from error
        # joserfc takes the last of several members of a name.
        _json_object(urlsafe_b64decode(signed.segments["header"]))
        if _media_type(header.get("typ")) not in self._types:
            raise TokenInvalid("not an access token")
        return signed

    def _check_signature(self, signed: CompactSignature, key: Key) -> None:
        try:
            good = jws.validate_compact(signed, key, registry=self._registry)
        except (JoseError, ValueError) as error:
            raise TokenInvalid("bad signature") from error
        if not good:
            raise TokenInvalid("bad signature")

    def _check_claims(self, claims: dict[str, Any]) -> None:
        now = self._time()
        required = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )
        try:
            required.validate(claims)
        except MissingClaimError as error:
            raise TokenInvalid(f"the token has no {error.claim}") from error
        except ExpiredTokenError as error:
            raise TokenInvalid("the token expired") from error
        except ClaimError as error:
            raise TokenInvalid(_WRONG.get(error.claim, "malformed token")) from error
        if claims["exp"] <= now:
            raise TokenInvalid("the token expired")
        if not all(0 <= claims.get(name, 0) < MAX_DATE for name in _DATES):
            raise TokenInvalid("malformed token")

    def _remember(self, token: str, caller: Caller, exp: float, keys: Mapping[str, Key]) -> None:
        if keys is not self._callers_keys:
            self._callers.clear()
            self._callers_keys = keys
        self._callers[token] = (caller, exp)
        self._callers.move_to_end(token)
        if len(self._callers) > CACHE_SIZE:
            self._callers.popitem(last=False)


class _Registry(JWSRegistry):
    """joserfc's rules for a JWS, narrowed to the algorithms of a profile.

    Unknown header parameters are ignored (RFC 7515 section 4), critical ones
    refused: we understand none (section 4.1.11). `get_alg` goes without
    joserfc's warning that the name EdDSA is out of date; providers use it.
    """

    max_header_length = 4096

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)
        self._models = {name: self.algorithms[name] for name in algorithms}

    def check_header(self, header: Header) -> None:
        super().check_header(header)
        if "crit" in header:
            raise ValueError("a critical header parameter that we do not understand")

    def get_alg(self, name: str) -> Any:
        if name not in self._models:
            raise UnsupportedAlgorithmError()
        return self._models[name]


def _media_type(typ: str | None) -> str | None:
    """`typ` as RFC 7515 section 4.1.9 compares it: in any case, `application/` understood."""
    return None if typ is None else typ.lower().removeprefix("application/")


def _find(keys: Mapping[str, Key], kid: str | None) -> Key | None:
    """The key with this kid; for a token without a kid the only key, if there is one alone."""
    if kid is None:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(kid)


def _claims(signed: CompactSignature) -> dict[str, Any]:
    return _json_object(signed.payload or b"")


def _json_object(text: bytes) -> dict[str, Any]:
    """An object in JSON to the letter (RFC 8259) that Envoy reads, too.

    So it is in UTF-8 without lone surrogates, has numbers that are doubles, and is nested up to
    MAX_DEPTH. Raises TokenInvalid.
    """
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique, parse_int=float)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        depth = _depth(found)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid("malformed token") from error
    if not isinstance(found, dict) or depth > MAX_DEPTH:
        raise TokenInvalid("malformed token")
    return found


def _depth(value: object) -> int:
    """How many objects and lists lie within one another."""
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are unique, as RFC 7519 section 4 wants them: Envoy refuses others.

    Raises ValueError.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is there twice")
    return members


def _caller(claims: dict[str, Any]) -> Caller:
    """The caller that the claims name: `org_id`, and `client_id` (RFC 9068) or else `sub`."""
    org_id, client_id = claims.get("org_id"), claims.get("client_id", claims.get("sub"))
    if not isinstance(org_id, str) or not ID.fullmatch(org_id):
        raise TokenInvalid("the token has no org_id")
    if (
        not isinstance(client_id, str)
        or not 1 <= len(client_id) <= _LONGEST_CLIENT_ID
        or not client_id.isprintable()
    ):
        raise TokenInvalid("the token has no client_id or sub")
    return Caller(org_id, client_id, _scopes(claims))


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes we know: `scope` as RFC 8693 section 4.2 has it, or `scp`, often a list."""
    granted = claims.get("scope", claims.get("scp"))
    if isinstance(granted, str):
        granted = granted.split()
    if not isinstance(granted, list):
        return frozenset()
    return frozenset(scope for scope in SCOPES if scope in granted)
