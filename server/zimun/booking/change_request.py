"""A request for a change: its caller, and how its repetition is recognized.

The rules of Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the
response is kept in the transaction of the change itself, so that there is never
one without the other. A refused request keeps nothing.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zimun.booking.store import IdempotencyKey, StoredResponse
from zimun.domain.identity import Caller
from zimun.domain.instant import DAY
from zimun.domain.ledger.reservation import Reservation, contact_key

RESPONSE_LIFETIME = DAY
"""How long a key and its response are stored."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """The caller of a change, and its method.

    `key` is the caller's Idempotency-Key, or empty; `fingerprint` stands for
    the request's content; `encode` writes the result as it goes on the wire.
    """

    caller: Caller
    method: str
    key: str
    fingerprint: bytes
    encode: Callable[[Any], bytes]

    @property
    def identity(self) -> IdempotencyKey:
        """The key under which the response is stored."""
        return IdempotencyKey(self.caller.client_id, self.method, self.key)

    def to_store(self, response: bytes, result: Any, now: int) -> StoredResponse:
        """The response to a result as it is stored."""
        contact = contact_key(result.contact.email) if isinstance(result, Reservation) else ""
        return StoredResponse(self.fingerprint, response, now + RESPONSE_LIFETIME, contact)


def new_id(prefix: str) -> str:
    """A new opaque id: the prefix, the time in milliseconds, 80 random bits.

    As in a UUID of version 7 (RFC 9562 section 5.7), ids made together sort
    together: their rows share pages of every index, and a group of changes
    writes few of them.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
