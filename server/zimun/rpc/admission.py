"""Admission control: a server accepts the calls that it can serve in time, shared by organization.

Calls run at once while they are few. Their time on the event loop is added up; when
the sum reaches MAX_WORK seconds, new calls are queued while the requests that have
arrived on the sockets are read, so that there is a choice, and the sum begins at 0
again. Queued calls then begin in the order of
the time that their organizations have used (start-time fair queueing, Goyal et al.
1996). A call that would wait too long is refused as soon as it arrives; the length
of a queue is shared by dynamic thresholds (Choudhury and Hahne 1998), so that no
organization can fill a queue alone. Health checks and reflection are not subject to
admission.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from enum import StrEnum
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar

from zimun.domain.errors import Overloaded
from zimun.rpc.fair_queue import FairQueue
from zimun.rpc.long_calls import LongCalls
from zimun.rpc.quota import CallQuota

MAX_READS = 64
"""Reads that run at the same time: they wait for the store, and share reads of heads."""

MAX_WORK = 0.005
"""Seconds of calls on the event loop, added up, after which new calls are queued and the sockets
are read."""

MIX_TIME = 1.0
"""Seconds after calls of different organizations came one after the other for which requests are
read from the sockets before queued calls begin: without them there is nothing to choose from."""

MAX_GATHER_TIME = 0.01
"""Seconds for which requests are read from the sockets before queued calls begin."""

QUIET_TIME = 0.001
"""Seconds without a new call after which no request is left on the sockets: a thread of gRPC reads
them, and hands over one call after the other."""

QUIET_ITERATIONS = 16
"""Iterations of the event loop that these seconds have at the least. One call comes about six after
the other; a thread that has the interpreter meanwhile makes the seconds, not the iterations."""

MAX_REFUSALS = 8
"""Calls refused during MAX_GATHER_TIME after which queued calls begin: a refusal takes a good part
of the time of a short call."""

MAX_BATCH = 16
"""Reads that begin in one iteration of the event loop."""

MAX_BATCH_TIME = 0.001
"""Seconds of reading, as estimated, that begin in one iteration of the event loop."""

T = TypeVar("T")


class CallType(StrEnum):
    """Kinds of calls, each with a limit; LONG: reads of more than one step (`booking.pause`)."""

    READ = "read"
    WRITE = "write"
    LONG = "long"


class _Queue:
    """The calls of one kind: up to `limit` run, the others wait."""

    def __init__(self, limit: int) -> None:
        self.limit, self.active = limit, 0
        self.quota, self.waiting = CallQuota(), FairQueue()

    @property
    def can_begin(self) -> bool:
        return self.active < self.limit

    def begin_next(self) -> None:
        """Let the next call begin, unless it was cancelled."""
        self.active += self.waiting.begin_next(self.quota.cost)


class AdmittedCall:
    """An accepted call: its queue, its cost so far, and the steps of a long one."""

    __slots__ = (
        "_admission",
        "_begun",
        "_has_left",
        "_is_long",
        "_org_id",
        "_queue",
        "_recorded",
        "_seconds",
        "waiting",
    )

    def __init__(
        self,
        admission: "Admission",
        queue: _Queue,
        org_id: str,
        waiting: "asyncio.Future[None] | None",
    ) -> None:
        self._admission, self._queue, self._org_id = admission, queue, org_id
        self.waiting = waiting
        self._begun = 0.0 if waiting else perf_counter()
        self._seconds, self._recorded = 0.0, 0.0
        self._has_left = self._is_long = False

    async def begin(self) -> None:
        """Wait in the queue until the call may begin."""
        assert self.waiting
        try:
            await self.waiting
        except asyncio.CancelledError:
            if self.waiting.done() and not self.waiting.cancelled():
                self._admission.end(self._queue)
            raise
        finally:
            self._queue.quota.release(self._org_id)
        self._begun = perf_counter()

    def charge(self, seconds: float) -> None:
        """Count seconds for which the call has occupied the event loop."""
        self._seconds += seconds
        self._admission.charge(seconds)

    async def step(self) -> None:
        """Wait until the call may go on as a long one; raises Overloaded."""
        if not self._is_long:
            self._admission.long_calls.quota.acquire(self._org_id)
            self._is_long = True
            self.leave_queue()
        cost, self._recorded = self._seconds - self._recorded, self._seconds
        await self._admission.long_calls.step(self._org_id, cost)

    def leave_queue(self) -> None:
        """Let another call begin in place of this one, which may take long."""
        if not self._has_left:
            self._has_left = True
            self._admission.end(self._queue)

    def finish(self) -> None:
        """Record the cost of a call that has ended, and let others begin."""
        if self._is_long:
            self._admission.long_calls.end(self._org_id, perf_counter() - self._begun)
            return
        # Calls that wait for the store at the same time share that time.
        queue = self._queue
        cost = max(self._seconds, (perf_counter() - self._begun) / queue.limit)
        queue.waiting.correct(self._org_id, cost - queue.quota.cost)
        if not self._has_left:
            queue.quota.record_cost(cost)
            self.leave_queue()


class Admission:
    """Accepts or refuses calls, and decides when they begin. Use it on one event loop.

    Count every call in `arrivals` as soon as it has been read from its socket.
    """

    def __init__(self, max_writes: int) -> None:
        self._queues = {CallType.READ: _Queue(MAX_READS), CallType.WRITE: _Queue(max_writes)}
        self.long_calls = LongCalls(self._wake)
        self._quotas = {call_type: queue.quota for call_type, queue in self._queues.items()}
        self._quotas[CallType.LONG] = self.long_calls.quota
        self._work = 0.0
        self.arrivals = self._refusals = 0
        self._is_gathering = self._is_scheduled = False
        self._gather_until = self._quiet_until = 0.0
        self._gathered = 0  # of the arrivals
        self._quiet_iterations = 0
        self._latest_org_id, self._mixed_until = "", 0.0

    @property
    def waiting(self) -> dict[str, int]:
        """Calls of each kind that wait; of long calls, all that are under way."""
        return {call_type: len(quota) for call_type, quota in self._quotas.items()}

    @property
    def refused(self) -> dict[str, int]:
        """Calls of each kind that have been refused."""
        return {call_type: quota.refused for call_type, quota in self._quotas.items()}

    def admit(self, call_type: CallType, org_id: str) -> AdmittedCall:
        """Accept a call; if it is `waiting`, await its `begin`. Raises Overloaded."""
        queue = self._queues[call_type]
        if org_id != self._latest_org_id:
            self._latest_org_id, self._mixed_until = org_id, perf_counter() + MIX_TIME
        if self._work < MAX_WORK and queue.active < queue.limit and not queue.waiting:
            queue.active += 1
            return AdmittedCall(self, queue, org_id, None)
        try:
            queue.quota.acquire(org_id)
        except Overloaded:
            self._refusals += 1
            raise
        future = asyncio.get_running_loop().create_future()
        queue.waiting.add(org_id, future)
        self._wake()
        return AdmittedCall(self, queue, org_id, future)

    def charge(self, seconds: float) -> None:
        """Count seconds for which a call has occupied the event loop."""
        self._work += seconds

    def end(self, queue: _Queue) -> None:
        """Let another call of the queue begin in place of one that has ended."""
        queue.active -= 1
        if queue.waiting or (self.long_calls and not queue.active):
            self._wake()

    def _wake(self) -> None:
        """Let calls begin from the next iteration of the event loop on."""
        if self._is_scheduled:
            return
        self._is_scheduled = True
        self._gather_if_due()
        asyncio.get_running_loop().call_soon(self._run)

    def _gather_if_due(self) -> None:
        if self._work >= MAX_WORK:
            now = perf_counter()
            self._is_gathering, self._refusals = True, 0
            self._gather_until = now + MAX_GATHER_TIME if now < self._mixed_until else now
            self._quiet_until, self._quiet_iterations = now + QUIET_TIME, 0

    def _run(self) -> None:
        """Leave an iteration to requests that arrive, or let some queued calls begin."""
        if self._is_gathering:
            if self._goes_on_gathering():
                asyncio.get_running_loop().call_soon(self._run)
                return
            self._is_gathering, self._work = False, 0.0
        self._begin_queued()
        self._is_scheduled = False
        if any(queue.waiting and queue.can_begin for queue in self._queues.values()):
            self._wake()
        elif self.long_calls:
            self.long_calls.wake_after_rest(self._has_short_calls)

    def _goes_on_gathering(self) -> bool:
        """Whether requests may be left on the sockets, and queued calls can wait for them."""
        now = perf_counter()
        self._quiet_iterations += 1
        if self.arrivals != self._gathered:
            self._gathered, self._quiet_until = self.arrivals, now + QUIET_TIME
            self._quiet_iterations = 0
        is_quiet = now >= self._quiet_until and self._quiet_iterations >= QUIET_ITERATIONS
        return now < self._gather_until and not is_quiet and self._refusals < MAX_REFUSALS

    @property
    def _has_short_calls(self) -> bool:
        return any(queue.active for queue in self._queues.values())

    def _begin_queued(self) -> None:
        writes, reads = self._queues[CallType.WRITE], self._queues[CallType.READ]
        while writes.waiting and writes.can_begin:
            writes.begin_next()
        for _ in range(max(1, min(MAX_BATCH, int(MAX_BATCH_TIME / reads.quota.cost)))):
            if not reads.waiting or not reads.can_begin:
                break
            reads.begin_next()
        if self.long_calls:
            self.long_calls.begin_next(self.arrivals, self._has_short_calls)


@coroutine
def metered(
    work: Coroutine[Any, Any, T], charge: Callable[[float], None]
) -> Generator[Any, Any, T]:
    """Run a coroutine, charging the seconds for which each step occupies the event loop."""
    resume: Callable[[Any], Any] = work.send
    value: Any = None
    while True:
        begin = perf_counter()
        try:
            awaited = resume(value)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            charge(perf_counter() - begin)
            value = None
        try:
            resume, value = work.send, (yield awaited)
        except BaseException as error:
            resume, value = work.throw, error
        finally:
            # A future refers to its error, and the error to this frame: no reference may close the
            # cycle.
            del awaited
