"""Long calls: reads of more than one step (`booking.pause`)."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from zimun.rpc.fair_queue import FairQueue
from zimun.rpc.quota import CallQuota

MAX_REST = 0.002
"""Seconds for which a long call waits, after a step, while short calls are under way: each of these
takes several iterations of the event loop, and would wait for a step in every one."""

MAX_STEPS = 8
"""Steps that begin in one iteration of the event loop."""

QUIET_ITERATIONS = 4
"""Iterations of the event loop in a row without a short call, after which a rest is over."""


class LongCalls:
    """Limits the long calls, and decides when they go on: some steps at a time of all of them.

    After a step they rest, until no short call is under way or arrives, for MAX_REST at the most.
    Calls of several organizations rest for a part of it, and half of the organizations have a step
    at a time: each has the same share of the event loop beside the short calls.
    `wake` is called when a step may begin. True while a step waits.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.quota, self._steps, self._wake = CallQuota(), FairQueue(), wake
        self._rest_until, self._quiet_iterations, self._arrivals = 0.0, 0, 0
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
        """Record a call that has ended, which took so many seconds beside the others."""
        self.quota.record_cost(seconds / len(self.quota))
        self.quota.release(org_id)

    def begin_next(self, arrivals: int, has_short_calls: bool) -> None:
        """Let the next steps begin, unless the rest is not over; cancelled calls have none."""
        is_quiet = arrivals == self._arrivals and not has_short_calls
        self._quiet_iterations = self._quiet_iterations + 1 if is_quiet else 0
        self._arrivals = arrivals
        if self._quiet_iterations < QUIET_ITERATIONS and perf_counter() < self._rest_until:
            return
        organizations = max(1, self.quota.organizations)
        places = min(MAX_STEPS, (organizations + 1) // 2)
        if begun := sum(self._begin_step() for _ in range(places)):
            self._rest_until = perf_counter() + MAX_REST * begun / organizations
            self._quiet_iterations = 0

    def _begin_step(self) -> bool:
        return bool(self._steps) and self._steps.begin_next(0.0)

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
