"""The public keys of an outside identity provider, fetched from its JWKS location."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from joserfc.jwk import JWKRegistry, Key

from zimun.domain.errors import Overloaded

MAX_AGE = 300.0
"""Seconds for which fetched keys count as fresh."""

RETRY_INTERVAL = 10.0
"""Seconds between two fetches, however many tokens name unknown keys."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)

_log = logging.getLogger(__name__)


class ProviderKeys:
    """A JWK Set at an http(s) URL or in a file.

    Keys older than MAX_AGE stay in use while they cannot be fetched: an outage of
    the provider does not stop callers who hold a token. `time` is a monotonic clock.
    """

    def __init__(self, location: str, time: Callable[[], float] = time.monotonic) -> None:
        self._location = location
        self._time = time
        self._keys: Mapping[str, Key] = {}
        self._due = self._may_retry = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    def current(self) -> Mapping[str, Key]:
        """The keys by kid; the same mapping object until they change.

        Never waits; begins a fetch where the keys have become old.
        """
        if self._time() >= self._due:
            self._fetch_once()
        return self._keys

    async def refreshed(self) -> Mapping[str, Key]:
        """As `current`, after another fetch unless the last one is too recent.

        Raises Overloaded where no keys have ever been fetched.
        """
        if self._is_fetching or self._time() >= self._may_retry:
            await asyncio.shield(self._fetch_once())
        if not self._keys:
            raise Overloaded("the identity provider's keys cannot be fetched", RETRY_INTERVAL)
        return self._keys

    async def close(self) -> None:
        """Give up a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    @property
    def _is_fetching(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    def _fetch_once(self) -> asyncio.Task[None]:
        """The running fetch, or a new one: callers share it; cancelling them does not end it."""
        if self._fetching is None or self._fetching.done():
            self._may_retry = self._time() + RETRY_INTERVAL
            self._fetching = asyncio.create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            keys = _usable_keys(await _read(self._location))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            _log.warning("cannot fetch the keys at %s: %s", self._location, error or type(error))
            self._due = self._time() + RETRY_INTERVAL
            return
        self._due = self._time() + MAX_AGE
        if keys != self._keys:
            self._keys = keys


async def _read(location: str) -> bytes:
    """The document; redirects are not followed, as Envoy does not follow them either."""
    if not location.startswith(("https://", "http://")):
        return await asyncio.to_thread(Path(location).read_bytes)
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, raise_for_status=True) as session,
        session.get(location, allow_redirects=False) as response,
    ):
        return await response.read()


def _usable_keys(document: bytes) -> dict[str, Key]:
    """The signature keys of a JWK Set by kid; raises ValueError where there are none."""
    jwks = json.loads(document)
    entries = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK Set")
    keys = {key.kid: key for entry in entries if (key := _usable_key(entry)) is not None}
    if not keys:
        raise ValueError("no usable key in the JWK Set")
    return {kid: key for kid, key in keys.items() if kid is not None}


def _usable_key(entry: Any) -> Key | None:
    """The key; None where it cannot verify signatures (RFC 7517 section 5: to be ignored).

    A symmetric key is not used: who can read it can sign. joserfc raises many
    exceptions for an unusable key, KeyError for an unknown curve among them.
    """
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(entry)
        key.ensure_kid()
    except Exception as error:
        _log.warning("ignoring the key %r of the JWK Set: %s", entry.get("kid"), error)
        return None
    return key
