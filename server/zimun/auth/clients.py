"""API clients: credentials of an organization. `now` is real time, instant microseconds."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

from zimun.booking.credentials import CredentialStore
from zimun.domain.errors import InvalidRequest
from zimun.domain.identity import ID, SCOPES, Client
from zimun.domain.instant import SECOND

_NAME_LENGTH = 200

_log = logging.getLogger(__name__)

_NO_HASH = "0" * 64
"""The hash to compare with where a client has none: no secret has this hash."""


async def create_client(
    credentials: CredentialStore,
    now: int,
    org_id: str,
    name: str,
    scopes: Iterable[str],
    client_id: str | None = None,
    secret: str | None = None,
) -> tuple[Client, str]:
    """Create a client; returns it with its secret, which is not stored.

    Id and secret are generated unless given. Raises InvalidRequest, and IdTaken where any
    organization has a client with this id.
    """
    secret = secret or _new_secret()
    client = Client(
        client_id=_checked_id("client_id", client_id or f"c_{secrets.token_hex(10)}"),
        org_id=_checked_id("org_id", org_id),
        name=_checked_name(name),
        scopes=_checked_scopes(scopes),
        secret_hash=hash_secret(secret),
        create_time=now,
    )
    await credentials.add_client(client)
    return client, secret


async def list_clients(credentials: CredentialStore, org_id: str) -> list[Client]:
    """Every client of the organization, revoked ones too, oldest first."""
    return await credentials.clients(org_id)


async def rotate_secret(
    credentials: CredentialStore, now: int, client_id: str, grace_seconds: int = 0
) -> str:
    """Replace the secret; returns the new one. The old secret is valid for `grace_seconds` more.

    Raises InvalidRequest for a client that does not exist or is revoked.
    """
    if grace_seconds < 0:
        raise InvalidRequest({"grace_seconds": "must not be negative"})
    secret = _new_secret()

    def rotate(client: Client) -> Client:
        if client.revoke_time is not None:
            raise InvalidRequest({"client_id": f"client {client_id} is revoked"})
        return replace(
            client,
            secret_hash=hash_secret(secret),
            old_secret_hash=client.secret_hash if grace_seconds else None,
            old_secret_until=now + grace_seconds * SECOND if grace_seconds else None,
        )

    await _change_client(credentials, client_id, rotate)
    return secret


async def revoke_client(credentials: CredentialStore, now: int, client_id: str) -> Client:
    """Revoke a client: it gets no more tokens; those that it has are valid until they expire.

    Revoking twice changes nothing. Raises InvalidRequest where there is no such client.
    """

    def revoke(client: Client) -> Client:
        return client if client.revoke_time is not None else replace(client, revoke_time=now)

    return await _change_client(credentials, client_id, revoke)


async def authenticate(
    credentials: CredentialStore, client_id: str, secret: str, now: int
) -> Client | None:
    """The client with these credentials; None for an unknown or revoked client or a wrong secret.

    A wrong id takes as long as a wrong secret, and comparisons take constant time, so
    that the time of a refusal does not tell the cause. Raises Overloaded where the
    store cannot be read.
    """
    client = None
    if ID.fullmatch(client_id):
        client = await credentials.client(client_id)
    presented = hash_secret(secret)
    fits_new = hmac.compare_digest(presented, client.secret_hash if client else _NO_HASH)
    fits_old = hmac.compare_digest(presented, _old_hash(client, now))
    if client is None:
        # Not the id: clients have sent their secret in its place.
        _log.info("refused an unknown client")
    elif client.revoke_time is not None:
        _log.info("refused client %s: it is revoked", client_id)
    elif not (fits_new or fits_old):
        _log.info("refused client %s: wrong secret", client_id)
    else:
        return client
    return None


def hash_secret(secret: str) -> str:
    """SHA-256 in hex, without salt or stretching.

    Salt and stretching protect passwords that can be guessed. Our secrets are 256
    random bits; a slow hash would only slow the token endpoint down.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _new_secret() -> str:
    """A secret of 256 random bits, with a prefix by which scanners for leaked secrets find it."""
    return f"zs_{secrets.token_urlsafe(32)}"


def _old_hash(client: Client | None, now: int) -> str:
    """The hash of the secret before the last rotation, while that secret is valid."""
    if client is None or client.old_secret_hash is None or client.old_secret_until is None:
        return _NO_HASH
    return client.old_secret_hash if now < client.old_secret_until else _NO_HASH


async def _change_client(
    credentials: CredentialStore, client_id: str, change: Callable[[Client], Client]
) -> Client:
    """Store `change(client)` and return it; decide again if another writer changed the client.

    Raises InvalidRequest if there is no such client.
    """
    while True:
        before = await credentials.client(client_id)
        if before is None:
            raise InvalidRequest({"client_id": f"no client {client_id}"})
        after = change(before)
        if after == before or await credentials.replace_client(before, after):
            return after


def _checked_id(field: str, value: str) -> str:
    if not ID.fullmatch(value):
        raise InvalidRequest({field: "must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -"})
    return value


def _checked_name(name: str) -> str:
    if not 1 <= len(name.strip()) <= _NAME_LENGTH or not name.isprintable():
        raise InvalidRequest({"name": f"must be 1 to {_NAME_LENGTH} printable characters"})
    return name.strip()


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes once each, in the documented order."""
    requested = set(scopes)
    if not requested or not requested <= set(SCOPES):
        raise InvalidRequest({"scopes": f"must be one or more of {', '.join(SCOPES)}"})
    return tuple(scope for scope in SCOPES if scope in requested)
