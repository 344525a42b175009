"""Long calls: reads of more than one step (`booking.pause`)."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from zimun.rpc.fair_queue import FairQueue
from zimun.rpc.quiet_iterations import QuietIterations
from zimun.rpc.quota import Quota

MAX_REST = 0.002
"""Seconds for which long calls wait, after a step, while short calls are under way: each of these
takes several iterations of the event loop, and would wait for a step in every one."""


class LongCalls:
    """Limits the long calls, and decides when they go on: one step at a time of all of them.

    After a step they rest, until no short call is under way or arrives, for MAX_REST at the most.
    `wake` is called when a step may begin. True while a step waits.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.quota, self._steps, self._wake = Quota(), FairQueue(), wake
        self._rest_until, self._quiet = 0.0, QuietIterations(0)
        self._rest: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._steps)

    async def step(self, org_id: str, cost: float) -> None:
        """Wait until a call may go on, whose latest step took `cost` seconds."""
        self._steps.correct(org_id, cost)
        future = asyncio.get_running_loop().create_future()
        self._steps.add(org_id, future)
        self._wake()
        await future

    def end(self, org_id: str, seconds: float) -> None:
        """Record the cost of a call that has ended."""
        self.quota.record_cost(seconds)
        self.quota.release(org_id)

    def begin_next(self, arrivals: int, has_short_calls: bool) -> None:
        """Let the next step begin, unless its call was cancelled or the rest is not over."""
        self._quiet.count(arrivals, has_short_calls)
        if not self._quiet.are_enough and perf_counter() < self._rest_until:
            return
        if self._steps.begin_next(0.0):
            self._rest_until = perf_counter() + MAX_REST
            self._quiet = QuietIterations(arrivals)

    def wake_after_rest(self, has_short_calls: bool) -> None:
        """Find out again later whether a step may begin."""
        rest = self._rest_until - perf_counter()
        if rest <= 0 or not has_short_calls:
            self._wake()
        elif self._rest is None:
            self._rest = asyncio.get_running_loop().call_later(rest, self._end_rest)

    def _end_rest(self) -> None:
        self._rest = None
        if self._steps:
            self._wake()
