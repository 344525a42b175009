"""The keys that sign access tokens: made on first start, kept in the store, rotated.

They are ES256 private keys, named by their RFC 7638 thumbprint. All servers on
one store sign with the same ones.

Verifiers (the gateway, other servers) cache the JWKS. So a new key is published
at once and signs PROPAGATION seconds later, when every verifier has it; the key
before it goes on verifying until every token that it can have signed has expired.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from zimun.booking.credentials import CredentialStore
from zimun.domain.errors import Overloaded
from zimun.domain.identity import SigningKey
from zimun.domain.instant import SECOND

PROPAGATION = 300
"""Seconds from a key's publication to its first signature; the gateway fetches the JWKS every 5."""

FETCH_TIME = 75
"""Seconds after which every verifier has a published key: a server reads them every 5 seconds, and
the JWKS may be cached for 60."""

MAX_LIFETIME = 24 * 3600
"""Seconds of the longest lifetime of a token; an old key is kept as long."""

MARGIN = 3600
"""Seconds that an old key stays beyond its last token, for clocks that disagree."""

MIN_RELOAD_INTERVAL = 1.0
"""Seconds between two reads of the keys, whatever tokens callers send."""


class KeyStoreError(Exception):
    """A stored signing key is not a valid key; the message names it."""


class KeyStore:
    """The signing keys of a store, as of the last read.

    `time` is real time in seconds.
    """

    def __init__(self, credentials: CredentialStore, time: Callable[[], float] = time.time) -> None:
        self._credentials = credentials
        self._time = time
        self._current: Sequence[SigningKey] = ()
        self._private: Sequence[ECKey] = ()
        self._public: Mapping[str, ECKey] = {}

    @classmethod
    async def open(
        cls, credentials: CredentialStore, time: Callable[[], float] = time.time
    ) -> "KeyStore":
        """The keys of a store; a first key is generated where it has none.

        Raises KeyStoreError, and Overloaded where the store cannot be used.
        """
        keys = cls(credentials, time)
        if not await credentials.signing_keys():
            # Without an effect if another server has made its first key in the meantime.
            await credentials.add_signing_key(keys._generate([]), known_kids=())
        await keys.reload()
        return keys

    def signing_key(self) -> ECKey:
        """The newest key that every verifier has had time to fetch, else the oldest.

        Raises Overloaded where all keys have been removed.
        """
        if not self._current:
            raise Overloaded("there is no signing key")
        published_by = self._now() - PROPAGATION * SECOND
        ready = sum(key.create_time <= published_by for key in self._current)
        return self._private[max(ready - 1, 0)]

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 section 5), oldest first."""
        return {"keys": [dict(key.as_dict()) for key in self._public.values()]}

    def current(self) -> Mapping[str, ECKey]:
        """The public keys by kid; the same mapping object until they change."""
        return self._public

    async def refreshed(self) -> Mapping[str, ECKey]:
        """As `current`, read within MIN_RELOAD_INTERVAL: for a kid that `current` lacks.

        Raises Overloaded where the store cannot be read.
        """
        if abs(self._time() - self._loaded_at) >= MIN_RELOAD_INTERVAL:
            await self.reload()
        return self._public

    async def reload(self) -> None:
        """Read the keys that other processes changed; on failure the present keys stay.

        Raises KeyStoreError, and Overloaded where the store cannot be read.
        """
        self._loaded_at = self._time()
        keys = await self._credentials.signing_keys()
        if keys != self._current:
            self._private = [_private(key) for key in keys]
            self._public = {key.kid: key for key in map(_public, self._private) if key.kid}
            self._current = keys

    async def rotate(self) -> str:
        """Publish a new key, which signs after PROPAGATION seconds; returns its kid.

        Removes the keys whose last token ended long ago. Running servers see
        both within seconds.
        """
        added = None
        while added is None:
            added = await self._add_key()
        await self.reload()
        return added.kid

    async def _add_key(self) -> SigningKey | None:
        """Store a new key and remove the outlived ones; None if another writer came first."""
        keys = await self._credentials.signing_keys()
        key = self._generate(keys)
        added = await self._credentials.add_signing_key(
            key,
            known_kids=[stored.kid for stored in keys],
            outlived_kids=self._outlived([*keys, key]),
        )
        return key if added else None

    def _generate(self, keys: Iterable[SigningKey]) -> SigningKey:
        """A new key, later than every other one even where the clock was set back."""
        private = ECKey.generate_key("P-256")
        created = max(self._now(), *(key.create_time + 1 for key in keys), 0)
        return SigningKey(private.thumbprint(), created, private.as_pem(private=True))

    def _outlived(self, keys: Iterable[SigningKey]) -> list[str]:
        """The kids of keys whose successor has signed for longer than any token lives."""
        cutoff = self._now() - (PROPAGATION + MAX_LIFETIME + MARGIN) * SECOND
        return [key.kid for key, later in pairwise(keys) if later.create_time < cutoff]

    def _now(self) -> int:
        return round(self._time() * SECOND)


def seconds_until_removable(keys: Iterable[SigningKey], kid: str, now: int) -> float:
    """Seconds until a key can be removed without that good tokens are refused; `now` is real time.

    Without it another one signs at once, which verifiers must have fetched. It is 0 for a key
    that cannot be removed: an unknown one, and the last.
    """
    others = {key.kid: key.create_time for key in keys}
    if others.pop(kid, None) is None or not others:
        return 0
    return max(0, min(others.values()) + FETCH_TIME * SECOND - now) / SECOND


def _private(key: SigningKey) -> ECKey:
    try:
        private = ECKey.import_key(key.pem, {"kid": key.kid, "use": "sig", "alg": "ES256"})
        usable = private.is_private and private.curve_name == "P-256"
    except (JoseError, ValueError, KeyError) as error:
        raise KeyStoreError(f"signing key {key.kid} is not a private key: {error}") from error
    if not usable or private.thumbprint() != key.kid:
        raise KeyStoreError(f"signing key {key.kid} is not the P-256 private key of its name")
    return private


def _public(private: ECKey) -> ECKey:
    return ECKey.import_key(private.as_dict(private=False))
