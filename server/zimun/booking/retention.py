"""Retention: deletes bookings that ended long ago, with their history."""

from zimun.booking.store import LedgerStore

BATCH = 200
"""Bookings that one transaction deletes, so that others do not wait long for it."""


async def prune(store: LedgerStore, before: int) -> int:
    """Delete the bookings of every organization that ended before an instant, and their events.

    Returns how many there were. Bookings that are to come or ended later stay.
    """
    pruned = 0
    for org_id in await store.organization_ids():
        while count := await store.prune(org_id, before, BATCH):
            pruned += count
    return pruned
