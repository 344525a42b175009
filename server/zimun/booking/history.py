"""What is over: ended bookings can be deleted, once nobody needs them any more."""

from functools import partial

from zimun.booking.store import Store, Transaction

BATCH = 200
"""The most bookings that one transaction deletes, so that nobody waits long for it."""


async def prune(store: Store, before: int) -> int:
    """Delete the bookings of every organization that ended before an instant, and their events.

    Answers how many there were. What is yet to come, and what ended later, stays.
    """
    pruned = 0
    for org_id in await store.read(lambda tx: tx.organization_ids()):
        while found := await store.write(partial(_prune, org_id=org_id, before=before)):
            pruned += found
    return pruned


def _prune(tx: Transaction, org_id: str, before: int) -> int:
    return tx.prune(org_id, before, BATCH)
