"""A fair queue: organizations share the server by the time that their calls take."""

import asyncio
from collections import deque
from heapq import heappop, heappush
from itertools import count


class FairQueue:
    """A fair queue of futures: the next is of the organization that has used the least time.

    Virtual time is in seconds of work. A call is counted by an estimate when it
    begins; the difference to its cost is added when it ends.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._order: list[tuple[float, int, str]] = []
        self._used: dict[str, float] = {}
        self._now = 0.0
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, org_id: str, future: "asyncio.Future[None]") -> None:
        """Append a future to the queue of its organization."""
        if org_id in self._waiting:
            self._waiting[org_id].append(future)
            return
        self._waiting[org_id] = deque((future,))
        self._schedule(org_id)

    def _schedule(self, org_id: str) -> None:
        start = max(self._now, self._used.get(org_id, 0.0))
        heappush(self._order, (start, next(self._numbers), org_id))

    def begin_next(self, estimate: float) -> bool:
        """Let the next call begin, at an estimated cost; False if it was cancelled.

        The queue must not be empty.
        """
        start, _, org_id = heappop(self._order)
        self._now = start
        self._used[org_id] = max(start, self._used.get(org_id, 0.0)) + estimate
        futures = self._waiting[org_id]
        future = futures.popleft()
        if futures:
            self._schedule(org_id)
        else:
            del self._waiting[org_id]
        if not self._waiting:
            self._used.clear()
            self._now = 0.0
        if future.done():
            return False
        future.set_result(None)
        return True

    def correct(self, org_id: str, difference: float) -> None:
        """Add the difference between a call's cost and its estimate, while calls wait."""
        if org_id in self._used:
            self._used[org_id] += difference
