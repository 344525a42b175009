"""Recording the expiry of holds (HOLD_EXPIRED) that no command has recorded yet."""

import asyncio

from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.clock import Clock
from zimun.domain.commands import ExpireHold

MAX_EXPIRIES = 500
"""The most holds whose expiry is recorded at a time."""


async def expire_holds(store: LedgerStore, writer: Writer, clock: Clock) -> int:
    """Record the expired holds of all organizations; returns the number of those recorded.

    A hold ends at its instant, recorded or not (`reservation.as_of`): nothing waits for this.
    """
    expired = await store.expired_holds(clock.now(), MAX_EXPIRIES)
    recorded = await asyncio.gather(
        *(writer.run(org_id, ExpireHold(hold_id)) for org_id, hold_id in expired)
    )
    return sum(recorded)
