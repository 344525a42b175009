"""Callers and their scopes, API clients, signing keys."""

import re
from dataclasses import dataclass, field

DEFAULT_SCOPES = (
    "org:read", "org:write", "availability:read", "appointments:read", "appointments:write",
)  # fmt: skip
"""The scopes of a client for which none are named."""

SCOPES = (*DEFAULT_SCOPES, "appointments:override")
"""Every scope there is, in the order in which it is documented."""


ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The pattern of every id, and of a client id."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of an organization that a verified token names."""

    org_id: str
    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Client:
    """An API client (`c_…`): credentials of an organization, with the scopes it may ask for.

    Secrets are stored as hashes only. After a rotation the old secret may be
    valid until `old_secret_until` (instant, microseconds). A client with a
    `revoke_time` gets no more tokens.
    """

    client_id: str
    org_id: str
    name: str
    scopes: tuple[str, ...]
    secret_hash: str
    create_time: int
    old_secret_hash: str | None = None
    old_secret_until: int | None = None
    revoke_time: int | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key that signs tokens: its RFC 7638 thumbprint, its time of creation (instant,
    microseconds), and the key (PKCS #8, PEM)."""

    kid: str
    create_time: int
    pem: bytes = field(repr=False)
