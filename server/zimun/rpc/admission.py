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
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from enum import StrEnum
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar

from zimun.domain.errors import Overloaded
from zimun.rpc.fair_queue import FairQueue

MAX_WAIT = 0.5
"""Seconds, about, that an accepted call may wait in its queue."""

MAX_MULTIPLE_OF_FREE = 4
"""An organization may have this many times as many calls in a queue as the queue has free places:
with 4, an organization that waits alone gets 4/5 of the places."""

MIN_QUEUE_LENGTH = 8
"""The least number of places in a queue, however long its calls take."""

MAX_READS = 64
"""Reads that run at the same time: they wait for the store, and share reads of heads."""

MAX_WORK = 0.005
"""Seconds of calls on the event loop, added up, after which new calls are queued and the sockets
are read."""

MAX_GATHER_TIME = 0.02
"""Seconds for which requests are read from the sockets before queued calls begin."""

MAX_REFUSALS = 8
"""Calls refused during MAX_GATHER_TIME after which queued calls begin: a refusal takes a good part
of the time of a short call."""

MAX_QUIET_ITERATIONS = 4
"""Iterations of the event loop without a new call after which queued calls begin: no request is
left on the sockets."""

MAX_BATCH = 16
"""Reads that begin in one iteration of the event loop."""

MAX_BATCH_TIME = 0.001
"""Seconds of reading, as estimated, that begin in one iteration of the event loop."""

MAX_REST = 0.002
"""Seconds for which long calls wait, after a step, while short calls are under way: each of these
takes several iterations of the event loop, and would wait for a step in every one."""

_WEIGHT = 1 / 32
"""The weight of the latest call in the average cost of its kind (exponential moving average)."""

T = TypeVar("T")


class CallType(StrEnum):
    """Kinds of calls, each with a limit; LONG: reads of more than one step (`booking.pause`)."""

    READ = "read"
    WRITE = "write"
    LONG = "long"


class _Quota:
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

    def acquire(self, org_id: str) -> None:
        """Count a call; raises Overloaded where the organization has reached its share."""
        limit = max(MIN_QUEUE_LENGTH, MAX_WAIT / self.cost)
        if self._counts[org_id] >= MAX_MULTIPLE_OF_FREE * (limit - self._total):
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


class _Queue:
    """The calls of one kind: up to `limit` run, the others wait."""

    def __init__(self, limit: int) -> None:
        self.limit, self.active = limit, 0
        self.quota, self.waiting = _Quota(), FairQueue()

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
        "_is_long",
        "_queue",
        "org_id",
        "recorded",
        "seconds",
        "waiting",
    )

    def __init__(
        self,
        admission: "Admission",
        queue: _Queue,
        org_id: str,
        waiting: "asyncio.Future[None] | None",
    ) -> None:
        self._admission, self._queue, self.org_id = admission, queue, org_id
        self.waiting = waiting
        self._begun = 0.0 if waiting else perf_counter()
        self.seconds, self.recorded, self._is_long = 0.0, 0.0, False

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
            self._queue.quota.release(self.org_id)
        self._begun = perf_counter()

    def charge(self, seconds: float) -> None:
        """Count seconds for which the call has occupied the event loop."""
        self.seconds += seconds
        self._admission.charge(seconds)

    async def step(self) -> None:
        """Wait until the call may go on as a long one; raises Overloaded."""
        await self._admission.step(self)

    def become_long(self, quota: _Quota) -> None:
        """Count as a long call from now on; raises Overloaded."""
        if not self._is_long:
            quota.acquire(self.org_id)
            self._is_long = True
            self._admission.end(self._queue)

    def finish(self) -> None:
        """Record the cost of a call that has ended, and let others begin."""
        if self._is_long:
            self._admission.end_long(self)
            return
        # Calls that wait for the store at the same time share that time.
        queue = self._queue
        cost = max(self.seconds, (perf_counter() - self._begun) / queue.limit)
        queue.waiting.correct(self.org_id, cost - queue.quota.cost)
        queue.quota.record_cost(cost)
        self._admission.end(queue)


class Admission:
    """Accepts or refuses calls, and decides when they begin. Use it on one event loop.

    Count every call in `arrivals` as soon as it has been read from its socket.
    """

    def __init__(self, max_writes: int) -> None:
        self._queues = {CallType.READ: _Queue(MAX_READS), CallType.WRITE: _Queue(max_writes)}
        self._long_quota, self._long_steps = _Quota(), FairQueue()
        self._work = 0.0
        self.arrivals = self._seen = self._quiet = self._refusals = 0
        self._is_gathering = self._is_scheduled = False
        self._gather_until = 0.0
        self._rest_until, self._rest_arrivals, self._rest_iterations = 0.0, 0, 0
        self._rest: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> dict[str, int]:
        """Calls of each kind that wait; of long calls, all that are under way."""
        counts: dict[str, int] = {
            call_type: len(queue.quota) for call_type, queue in self._queues.items()
        }
        return counts | {CallType.LONG: len(self._long_quota)}

    @property
    def refused(self) -> dict[str, int]:
        """Calls of each kind that have been refused."""
        counts: dict[str, int] = {
            call_type: queue.quota.refused for call_type, queue in self._queues.items()
        }
        return counts | {CallType.LONG: self._long_quota.refused}

    def admit(self, call_type: CallType, org_id: str) -> AdmittedCall:
        """Accept a call; if it is `waiting`, await its `begin`. Raises Overloaded."""
        queue = self._queues[call_type]
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

    async def step(self, call: AdmittedCall) -> None:
        """Wait until a long call may go on: in each iteration of the event loop one of them does.

        Raises Overloaded where there are too many.
        """
        call.become_long(self._long_quota)
        self._long_steps.correct(call.org_id, call.seconds - call.recorded)
        call.recorded = call.seconds
        future = asyncio.get_running_loop().create_future()
        self._long_steps.add(call.org_id, future)
        self._wake()
        await future

    def end(self, queue: _Queue) -> None:
        """Let another call of the queue begin in place of one that has ended."""
        queue.active -= 1
        if queue.waiting or (self._long_steps and not queue.active):
            self._wake()

    def end_long(self, call: AdmittedCall) -> None:
        """Record the cost of a long call that has ended."""
        self._long_quota.record_cost(call.seconds)
        self._long_quota.release(call.org_id)

    def _wake(self) -> None:
        """Let calls begin from the next iteration of the event loop on."""
        if self._is_scheduled:
            return
        self._is_scheduled = True
        self._gather_if_due()
        asyncio.get_running_loop().call_soon(self._run)

    def _gather_if_due(self) -> None:
        if self._work >= MAX_WORK:
            self._is_gathering, self._quiet, self._seen = True, 0, self.arrivals
            self._gather_until, self._refusals = perf_counter() + MAX_GATHER_TIME, 0

    def _run(self) -> None:
        """Leave an iteration to requests that arrive, or let some queued calls begin."""
        if self._is_gathering:
            self._quiet = self._quiet + 1 if self.arrivals == self._seen else 0
            self._seen = self.arrivals
            more = self._quiet < MAX_QUIET_ITERATIONS and self._refusals < MAX_REFUSALS
            if more and perf_counter() < self._gather_until:
                asyncio.get_running_loop().call_soon(self._run)
                return
            self._is_gathering, self._work = False, 0.0
        self._begin_queued()
        self._is_scheduled = False
        if any(queue.waiting and queue.can_begin for queue in self._queues.values()):
            self._wake()
        elif self._long_steps:
            self._wake_after_rest()

    def _wake_after_rest(self) -> None:
        """Find out again later whether a step of a long call may begin."""
        rest = self._rest_until - perf_counter()
        if rest <= 0 or not self._has_short_calls:
            self._wake()
        elif self._rest is None:
            self._rest = asyncio.get_running_loop().call_later(rest, self._end_rest)

    @property
    def _has_short_calls(self) -> bool:
        return any(queue.active for queue in self._queues.values())

    def _end_rest(self) -> None:
        self._rest = None
        if self._long_steps:
            self._wake()

    def _can_step(self) -> bool:
        """Whether a long call may go on: no short call is under way or arrives, or for too long."""
        is_quiet = self.arrivals == self._rest_arrivals and not self._has_short_calls
        self._rest_iterations = self._rest_iterations + 1 if is_quiet else 0
        self._rest_arrivals = self.arrivals
        if self._rest_iterations < MAX_QUIET_ITERATIONS and perf_counter() < self._rest_until:
            return False
        self._rest_iterations = 0
        return True

    def _begin_queued(self) -> None:
        writes, reads = self._queues[CallType.WRITE], self._queues[CallType.READ]
        while writes.waiting and writes.can_begin:
            writes.begin_next()
        for _ in range(max(1, min(MAX_BATCH, int(MAX_BATCH_TIME / reads.quota.cost)))):
            if not reads.waiting or not reads.can_begin:
                break
            reads.begin_next()
        if self._long_steps and self._can_step() and self._long_steps.begin_next(0.0):
            self._rest_until = perf_counter() + MAX_REST


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
