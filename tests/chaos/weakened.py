"""Servers with a fault of their own, which the judge must find: `python -m tests.chaos.weakened`.

The first argument names the fault, the other is that of `serving`.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from zimun.storage.queries import Queries
from zimun.storage.transactions import EmbeddedStore

from zimun.booking import appointments, change
from zimun.booking.store import Answer, Store
from zimun.domain import reservation as booking
from zimun.domain.availability import Busy
from zimun.domain.catalog import Catalog, Service
from zimun.domain.intervals import Interval
from zimun.domain.reservation import Reservation
from zimun.storage import dialect

from .serving import main

GAP = 0.05
"""Seconds between a change and its answer's being kept, so that a kill falls between them."""

MOMENT = 200_000
"""Microseconds by which a hold's end is missed: so many that a busy machine meets it, too."""


def blind() -> None:
    """The search sees nothing taken."""

    def see(*_: object) -> Busy:
        return Busy({})

    Queries.busy = see  # type: ignore[assignment, method-assign]


def unlocked() -> None:
    """Nobody waits for anybody."""

    def lock(*_: object) -> bool:
        return True

    dialect.lock = lock  # type: ignore[assignment]


def split() -> None:
    """The answer is kept in a transaction of its own, after the change's."""
    once = change._once

    async def apply(store: Store, clock: Any, one: Any, fn: Any) -> bytes:
        now = clock.now()
        kept = await store.read(
            lambda tx: tx.recall(one.caller.org_id, one.caller.client_id, one.method, one.key)
        )
        if kept:
            return await store.write(lambda tx: once(tx, now, one, fn))
        bare = change.Change(one.caller, one.method, "", one.fingerprint, one.encode)
        response = await store.write(lambda tx: once(tx, now, bare, fn))
        await asyncio.sleep(GAP)
        answer = Answer(one.fingerprint, response, now + change.ANSWER_LIFETIME)
        identity = one.caller.org_id, one.caller.client_id, one.method, one.key
        await store.write(lambda tx: tx.remember(*identity, answer))
        return response

    patched: Any = apply
    appointments.apply = patched  # type: ignore[attr-defined]


def stale() -> None:
    """Whoever asks again what is open is told what was, whatever has changed meanwhile."""
    EmbeddedStore.version = lambda _: 1  # type: ignore[assignment, method-assign]


def late() -> None:
    """A hold still stands for a moment when its time has run out."""
    standing = booking.standing

    def stand(reservation: Reservation, now: int) -> Reservation:
        return standing(reservation, now - MOMENT)

    booking.standing = stand


def early() -> None:
    """The search sees holds end a moment before they do."""
    busy = Queries.busy

    def see(
        self: Queries,
        catalog: Catalog,
        service: Service,
        within: Interval,
        now: int,
        leaving: Reservation | None = None,
    ) -> Busy:
        return busy(self, catalog, service, within, now + MOMENT, leaving)

    Queries.busy = see  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "blind": blind,
    "unlocked": unlocked,
    "split": split,
    "stale": stale,
    "late": late,
    "early": early,
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    main()
