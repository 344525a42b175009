"""The keys that sign access tokens: made on first start, kept in one directory, rotated.

A directory holds one ES256 private key a file, `<created>-<kid>.pem`: the
instant of creation in microseconds and the key's RFC 7638 thumbprint. Both
survive a copy or a backup, which a file's mtime does not. Files are never
changed, so the names alone say whether anything is new.

Verifiers (the gateway, other servers) cache the JWKS. So a new key is published
at once and signs PROPAGATION seconds later, when everybody has it; the key
before it goes on verifying until every token that it can have signed is gone.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from zimun.domain.errors import Overloaded
from zimun.domain.instant import SECOND

PROPAGATION = 300
"""Seconds from a key's publication to its first signature; the gateway caches the JWKS for 60."""

LONGEST_LIFETIME = 24 * 3600
"""The most seconds that a token can be made to live; says how long an old key must stay."""

MARGIN = 3600
"""Seconds that an old key stays beyond its last token, for clocks that disagree."""

LOOK_INTERVAL = 1.0
"""Seconds between two looks for keys that another process has added or removed."""

_FILE_NAME = re.compile(r"(\d{1,19})-([A-Za-z0-9_-]{43})\.pem")

_log = logging.getLogger(__name__)


class KeyStoreError(Exception):
    """The key directory cannot be trusted or read; the message names the file."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, its RFC 7638 thumbprint, and when it was made (instant, microseconds)."""

    created: int
    kid: str
    private: ECKey

    @property
    def file_name(self) -> str:
        return f"{self.created}-{self.kid}.pem"


class KeyStore:
    """The signing keys of one directory, shared safely by any number of processes.

    `time` is real time in seconds. Raises KeyStoreError where the directory or
    a key in it is open to other users, or is not a key, and OSError where it
    cannot be read.
    """

    def __init__(self, directory: Path, time: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._time = time
        self._complaint = ""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_if_open(directory, directory.stat().st_mode, 0o022)
        with self._lock():
            self._load()
            if not self._keys:
                self._create()
                self._load()

    def signing_key(self) -> SigningKey:
        """The newest key that everybody has had time to fetch, else the longest published one.

        Raises Overloaded when somebody has emptied the directory.
        """
        self._look()
        if not self._keys:
            raise Overloaded("there is no signing key")
        published_by = self._now() - PROPAGATION * SECOND
        ready = [key for key in self._keys if key.created <= published_by]
        return ready[-1] if ready else self._keys[0]

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys as a JWK Set (RFC 7517 section 5), oldest first."""
        self._look()
        return {"keys": [dict(key.as_dict()) for key in self._public.values()]}

    def current(self) -> Mapping[str, ECKey]:
        """The public keys by kid: another mapping whenever, and only when, they have changed.

        Cheap enough for every call: it looks into the directory once a second.
        """
        if abs(self._time() - self._looked) >= LOOK_INTERVAL:
            self._look()
        return self._public

    async def refreshed(self) -> Mapping[str, ECKey]:
        """As `current`, having looked just now: for a kid that `current` lacks."""
        self._look()
        return self._public

    def rotate(self) -> str:
        """Publish a new key, which signs PROPAGATION seconds from now; its kid.

        Deletes the keys whose last token ended long ago. Running servers see
        both within a second.
        """
        with self._lock():
            self._load()
            kid = self._create()
            self._load()
            for name in self._outlived():
                (self._directory / name).unlink()
            self._load()
        return kid

    def _look(self) -> None:
        """Take up what other processes changed; keep the present keys where that cannot be read."""
        self._looked = self._time()
        try:
            if self._names() != self._loaded:
                self._load()
            self._complaint = ""
        except (KeyStoreError, OSError) as error:
            if str(error) != self._complaint:
                _log.error("the signing keys stay as they were: %s", error)
            self._complaint = str(error)

    def _load(self) -> None:
        names = self._names()
        keys = sorted((self._read(name) for name in names), key=lambda key: key.created)
        self._keys = keys
        self._public = {key.kid: _public(key) for key in keys}
        self._loaded = names
        self._looked = self._time()

    def _names(self) -> frozenset[str]:
        return frozenset(
            name
            for name in os.listdir(self._directory)
            if name.endswith(".pem") and not name.startswith(".")
        )

    def _read(self, name: str) -> SigningKey:
        path = self._directory / name
        match = _FILE_NAME.fullmatch(name)
        if match is None:
            raise KeyStoreError(f"{path} is not named <created>-<kid>.pem")
        with path.open("rb") as file:
            _refuse_if_open(path, os.fstat(file.fileno()).st_mode, 0o077)
            pem = file.read()
        try:
            private = ECKey.import_key(pem)
            usable = private.is_private and private.curve_name == "P-256"
        except (JoseError, ValueError, KeyError) as error:
            raise KeyStoreError(f"{path} does not hold a private key: {error}") from error
        if not usable or private.thumbprint() != match[2]:
            raise KeyStoreError(f"{path} does not hold the P-256 private key of its name")
        return SigningKey(int(match[1]), match[2], private)

    def _create(self) -> str:
        """Write a new key under a temporary name, then move it into place whole; its kid.

        It is later than every other key, even where the clock was set back.
        """
        private = ECKey.generate_key("P-256")
        created = max(self._now(), *(key.created + 1 for key in self._keys), 0)
        key = SigningKey(created, private.thumbprint(), private)
        path = self._directory / key.file_name
        temporary = path.with_name(f".{path.name}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(private.as_pem(private=True))
            file.flush()
            os.fsync(descriptor)
        temporary.rename(path)
        _sync_directory(self._directory)
        return key.kid

    def _outlived(self) -> list[str]:
        """The files of keys whose successor has signed for longer than any token lives."""
        kept_after = self._now() - (PROPAGATION + LONGEST_LIFETIME + MARGIN) * SECOND
        return [
            key.file_name for key, next_key in pairwise(self._keys) if next_key.created < kept_after
        ]

    def _now(self) -> int:
        return round(self._time() * SECOND)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold off other processes; the kernel lets go if this one dies."""
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _public(key: SigningKey) -> ECKey:
    public = key.private.as_dict(private=False)
    return ECKey.import_key(public, {"kid": key.kid, "use": "sig", "alg": "ES256"})


def _refuse_if_open(path: Path, mode: int, forbidden: int) -> None:
    if mode & forbidden:
        raise KeyStoreError(
            f"{path} has mode {mode & 0o777:04o} and is open to other users; "
            f"expected {mode & 0o777 & ~0o077:04o}"
        )


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
