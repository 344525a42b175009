"""Changes that happen once, however often they are asked for.

The rules of Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the
answer is kept in the transaction of the change itself, so that there is never
one without the other. A refused request keeps nothing, as its transaction is
rolled back.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from zimun.booking.store import Answer, Identity, Store, Transaction
from zimun.clock import Clock
from zimun.domain.access import Caller
from zimun.domain.errors import IdempotencyKeyReused, OutcomeUnknown, Overloaded
from zimun.domain.instant import DAY

ANSWER_LIFETIME = DAY
"""How long a key and its answer are kept."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One request for a change: who asks, and how to know it when it comes again.

    `key` is the caller's Idempotency-Key, or empty; `fingerprint` stands for
    the request's content; `encode` writes the answer as it goes on the wire.
    """

    caller: Caller
    method: str
    key: str
    fingerprint: bytes
    encode: Callable[[T], bytes]

    @property
    def identity(self) -> Identity:
        """What its answer is kept under."""
        return self.caller.org_id, self.caller.client_id, self.method, self.key


async def apply(
    store: Store, clock: Clock, change: Change[T], fn: Callable[[Transaction, int], T]
) -> bytes:
    """Run `fn(transaction, now)` at most once for the change's key, and answer its bytes.

    Raises IdempotencyKeyReused for another request under the same key, what
    `fn` raises, and OutcomeUnknown for a change without a key that was lost
    while it committed.
    """
    now = clock.now()

    def run(tx: Transaction) -> bytes:
        return _once(tx, now, change, fn)

    try:
        return await store.write(run)
    except OutcomeUnknown:
        if not change.key:
            raise
    # The answer is kept in the transaction of the change: if it is there, so is the change.
    try:
        return await store.write(run)
    except Overloaded as error:
        raise OutcomeUnknown("the store was lost while it committed") from error


def _once(
    tx: Transaction, now: int, change: Change[T], fn: Callable[[Transaction, int], T]
) -> bytes:
    if not change.key:
        return change.encode(fn(tx, now))
    identity = change.identity
    kept = tx.recall(*identity, locking=True)
    if kept and now < kept.expires_at:
        if kept.fingerprint != change.fingerprint:
            raise IdempotencyKeyReused(change.method)
        return kept.response
    if kept:
        tx.forget(change.caller.org_id, now)
    response = change.encode(fn(tx, now))
    tx.remember(*identity, Answer(change.fingerprint, response, now + ANSWER_LIFETIME))
    return response


def new_id(prefix: str) -> str:
    """A new opaque id: the prefix, the time in milliseconds, 80 random bits.

    As in a UUID of version 7 (RFC 9562 section 5.7), ids made together sort
    together: their rows share pages of every index, and a group of changes
    writes few of them.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
