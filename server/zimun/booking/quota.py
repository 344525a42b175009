"""A limit of what waits, and the share of each organization in it.

The limit of an organization follows from what is free (dynamic thresholds, Choudhury and Hahne
1998), so that none can take all places alone.
"""

from collections import Counter

from zimun.domain.errors import Overloaded

MAX_MULTIPLE_OF_FREE = 4
"""An organization may have this many times as many places as are free: with 4, one that waits alone
gets 4/5 of the places."""


class Quota:
    """Counts what waits, and limits it in all, to about `limit`, and for each organization."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.refused = 0
        self._counts: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    @property
    def organizations(self) -> int:
        """The number of organizations that have places."""
        return len(self._counts)

    def acquire(self, org_id: str) -> None:
        """Take a place; raises Overloaded where the organization has reached its share.

        While fewer organizations than there are places have any, each may have one, though others
        have taken them.
        """
        count = self._counts[org_id]
        is_within_share = count < MAX_MULTIPLE_OF_FREE * (self.limit - self._total)
        if not is_within_share and (count or self.organizations >= self.limit):
            self.refused += 1
            raise Overloaded("the server has too much to do")
        self._counts[org_id] += 1
        self._total += 1

    def release(self, org_id: str) -> None:
        """Give a place back."""
        self._total -= 1
        self._counts[org_id] -= 1
        if not self._counts[org_id]:
            del self._counts[org_id]
