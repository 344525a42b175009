"""Recording the expiry of holds (HOLD_EXPIRED) that no command has recorded yet."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.clock import Clock
from zimun.domain.commands import ExpireHold

MAX_EXPIRIES = 500
"""The most holds whose expiry is recorded at a time."""

MAX_SHARE = 100
"""The most of these that are of one organization while others have any."""

BATCH = 50
"""How many are given to the writer at once: changes that come meanwhile wait for no more."""


async def expire_holds(store: LedgerStore, writer: Writer, clock: Clock) -> int:
    """Record the expired holds of all organizations; returns the number of those recorded.

    A hold ends at its instant, recorded or not (`reservation.as_of`): nothing waits for this.
    """
    due = await _due(store, clock.now())
    recorded = 0
    for begin in range(0, len(due), BATCH):
        commands = (
            writer.run(org_id, ExpireHold(hold_id))
            for org_id, hold_id in due[begin : begin + BATCH]
        )
        recorded += sum(await asyncio.gather(*commands))
    return recorded


async def _due(store: LedgerStore, now: int) -> Sequence[tuple[str, str]]:
    """The holds to record, oldest first, those beyond an organization's share after all others."""
    within: list[tuple[str, str]] = []
    beyond: list[tuple[str, str]] = []
    counts: Counter[str] = Counter()
    while len(within) < MAX_EXPIRIES:
        limit = MAX_EXPIRIES - len(within)
        found = await store.expired_holds(now, limit, tuple(counts))
        for org_id, hold_id in found:
            counts[org_id] += 1
            (within if counts[org_id] <= MAX_SHARE else beyond).append((org_id, hold_id))
        if len(found) < limit:
            break
    return [*within, *beyond][:MAX_EXPIRIES]
