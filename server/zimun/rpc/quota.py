"""The limit of the calls of one kind that wait, and the share of each organization in it."""

from collections import Counter

from zimun.domain.errors import Overloaded

MAX_WAIT = 0.5
"""Seconds, about, that an accepted call may wait in its queue."""

MAX_MULTIPLE_OF_FREE = 4
"""An organization may have this many times as many calls in a queue as the queue has free places:
with 4, an organization that waits alone gets 4/5 of the places."""

MIN_QUEUE_LENGTH = 8
"""The least number of places in a queue, however long its calls take."""

_WEIGHT = 1 / 32
"""The weight of the latest call in the average cost of its kind (exponential moving average)."""


class Quota:
    """Counts the waiting calls of one kind, and limits them in all and for each organization.

    Of long calls it counts those that are under way. `cost` is the average seconds of a call.
    """

    def __init__(self) -> None:
        self.cost = 0.0005
        self.refused = 0
        self._counts: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    @property
    def organizations(self) -> int:
        """The number of organizations that have calls of the kind."""
        return len(self._counts)

    def acquire(self, org_id: str) -> None:
        """Count a call; raises Overloaded where the organization has reached its share.

        While fewer organizations than there are places have calls, each may have one, though those
        of one organization have taken the places.
        """
        limit = max(MIN_QUEUE_LENGTH, MAX_WAIT / self.cost)
        count = self._counts[org_id]
        is_within_share = count < MAX_MULTIPLE_OF_FREE * (limit - self._total)
        if not is_within_share and (count or self.organizations >= limit):
            self.refused += 1
            raise Overloaded("the server has too much to do")
        self._counts[org_id] += 1
        self._total += 1

    def release(self, org_id: str) -> None:
        """Remove a call from the count."""
        self._total -= 1
        self._counts[org_id] -= 1
        if not self._counts[org_id]:
            del self._counts[org_id]

    def record_cost(self, seconds: float) -> None:
        """Add the cost of a call to the moving average."""
        self.cost += (seconds - self.cost) * _WEIGHT
