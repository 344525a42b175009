"""What is over: ended bookings can be deleted, once nobody needs them any more."""

from zimun.booking.store import LedgerStore

BATCH = 200
"""The most bookings that one transaction deletes, so that nobody waits long for it."""


async def prune(store: LedgerStore, before: int) -> int:
    """Delete the bookings of every organization that ended before an instant, and their events.

    Answers how many there were. What is yet to come, and what ended later, stays.
    """
    pruned = 0
    for org_id in await store.organization_ids():
        while found := await store.prune(org_id, before, BATCH):
            pruned += found
    return pruned
