"""Which calls a server takes on: as many as it can serve in time, shared by organization.

Calls run at once while they are few. Once they have kept the event loop for
ROUND, new ones wait while those that the network holds ready are let in, so that
there is a choice; then they have their turns in the order of what their
organizations have had (start-time fair queueing, Goyal et al. 1996). A call that
would wait too long is refused as soon as it comes; the room is shared by dynamic
thresholds (Choudhury and Hahne 1998), so that no organization can fill it alone.
Health checks and reflection pass by all this.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator
from enum import StrEnum
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar

from zimun.domain.errors import Overloaded

MAX_WAIT = 0.5
"""Seconds of waiting that a call is taken on with, about."""

SHARE = 4
"""How many times what is still free an organization may take of the room: alone, four fifths."""

MIN_ROOM = 8
"""How many calls of a kind may wait, however long they take."""

MAX_READS = 64
"""The most reads that run at a time: they wait for the store, and share looks at heads."""

ROUND = 0.005
"""Seconds of work after which those who wait in the network are let in."""

MAX_GATHERING = 0.02
"""Seconds for which they are let in at the most."""

MAX_REFUSALS = 8
"""How many of them are refused at the most: to refuse costs a good part of what to serve does."""

QUIET_TURNS = 4
"""Turns of the event loop without a new call after which nobody else waits in the network."""

MAX_BATCH = 16
"""The most reads that begin in one turn of the event loop."""

STEP = 0.001
"""Seconds of reading that are begun in one turn of the event loop."""

_WEIGHT = 1 / 32
"""How much the latest call counts for the average cost of its kind."""

T = TypeVar("T")


class Kind(StrEnum):
    """What is bounded apart; LONG are reads that take more than a step (`booking.pause`)."""

    READ = "read"
    WRITE = "write"
    LONG = "long"


class _Room:
    """How many calls of a kind may be taken on, in all and of one organization."""

    def __init__(self) -> None:
        self.cost = 0.0005
        self.refused = 0
        self._held: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def take(self, org_id: str) -> None:
        """Count one more; raises Overloaded where the organization has its share of the room."""
        room = max(MIN_ROOM, MAX_WAIT / self.cost)
        if self._held[org_id] >= SHARE * (room - self._total):
            self.refused += 1
            raise Overloaded("the server has too much to do")
        self._held[org_id] += 1
        self._total += 1

    def give_back(self, org_id: str) -> None:
        """Count one less."""
        self._total -= 1
        self._held[org_id] -= 1
        if not self._held[org_id]:
            del self._held[org_id]

    def learn(self, cost: float) -> None:
        """Take the cost of a call, in seconds, into the average."""
        self.cost += (cost - self.cost) * _WEIGHT


class FairQueue:
    """Futures that wait for their turn: next is the organization that has had least.

    Its virtual time is in seconds of work; what a turn has cost beyond the
    estimate is settled afterwards.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._order: list[tuple[float, int, str]] = []
        self._had: dict[str, float] = {}
        self._now = 0.0
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, org_id: str, future: "asyncio.Future[None]") -> None:
        """Wait behind the others of the same organization."""
        if org_id in self._waiting:
            self._waiting[org_id].append(future)
            return
        self._waiting[org_id] = deque((future,))
        self._enlist(org_id)

    def _enlist(self, org_id: str) -> None:
        since = max(self._now, self._had.get(org_id, 0.0))
        heappush(self._order, (since, next(self._numbers), org_id))

    def begin_next(self, estimate: float) -> bool:
        """Let the next one begin, whose turn is taken to cost `estimate`; False if it has gone.

        Call it only where there is one.
        """
        since, _, org_id = heappop(self._order)
        self._now = since
        self._had[org_id] = max(since, self._had.get(org_id, 0.0)) + estimate
        futures = self._waiting[org_id]
        future = futures.popleft()
        if futures:
            self._enlist(org_id)
        else:
            del self._waiting[org_id]
        if not self._waiting:
            self._had.clear()
            self._now = 0.0
        if future.done():
            return False
        future.set_result(None)
        return True

    def settle(self, org_id: str, more: float) -> None:
        """Count what a turn has cost beyond its estimate, while others wait."""
        if org_id in self._had:
            self._had[org_id] += more


class _Queue:
    """The calls of one kind: those that run, up to a limit, and those that wait."""

    def __init__(self, limit: int) -> None:
        self.limit, self.running = limit, 0
        self.room, self.waiting = _Room(), FairQueue()

    @property
    def can_begin(self) -> bool:
        return self.running < self.limit

    def begin_next(self) -> None:
        """Let the next one begin, if it has not gone meanwhile."""
        self.running += self.waiting.begin_next(self.room.cost)


class Turn:
    """One call: what it has cost so far, and how it goes on where it is long."""

    __slots__ = (
        "_admission",
        "_begun",
        "_is_long",
        "_queue",
        "org_id",
        "seconds",
        "settled",
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
        self.seconds, self.settled, self._is_long = 0.0, 0.0, False

    async def begin(self) -> None:
        """Wait for the turn to come."""
        assert self.waiting
        try:
            await self.waiting
        except asyncio.CancelledError:
            if self.waiting.done() and not self.waiting.cancelled():
                self._admission.end(self._queue)
            raise
        finally:
            self._queue.room.give_back(self.org_id)
        self._begun = perf_counter()

    def charge(self, seconds: float) -> None:
        """Count seconds for which the call has kept the event loop."""
        self.seconds += seconds
        self._admission.charge(seconds)

    async def step(self) -> None:
        """Wait until a long call may go on; raises Overloaded where too many are long."""
        await self._admission.step(self)

    def lengthen(self, room: _Room) -> None:
        """Count as a long call from now on; raises Overloaded."""
        if not self._is_long:
            room.take(self.org_id)
            self._is_long = True
            self._admission.end(self._queue)

    def leave(self) -> None:
        """The call is over."""
        if self._is_long:
            self._admission.end_long(self)
            return
        # Calls that wait for the store together share its time, as many as may run.
        queue = self._queue
        cost = max(self.seconds, (perf_counter() - self._begun) / queue.limit)
        queue.waiting.settle(self.org_id, cost - queue.room.cost)
        queue.room.learn(cost)
        self._admission.end(queue)


class Admission:
    """Takes calls on, or refuses them. Use it on one event loop.

    Count every call in `arrivals` as soon as it comes out of the network.
    """

    def __init__(self, max_writes: int) -> None:
        self._queues = {Kind.READ: _Queue(MAX_READS), Kind.WRITE: _Queue(max_writes)}
        self._long_room, self._long_steps = _Room(), FairQueue()
        self._work = 0.0
        self.arrivals = self._seen = self._quiet = self._refusals = 0
        self._is_gathering = self._is_turning = False
        self._gather_until = 0.0

    @property
    def waiting(self) -> dict[str, int]:
        """How many calls of each kind wait; of long ones, how many there are."""
        counts: dict[str, int] = {kind: len(one.room) for kind, one in self._queues.items()}
        return counts | {Kind.LONG: len(self._long_room)}

    @property
    def refused(self) -> dict[str, int]:
        """How many calls of each kind have been refused."""
        counts: dict[str, int] = {kind: one.room.refused for kind, one in self._queues.items()}
        return counts | {Kind.LONG: self._long_room.refused}

    def enter(self, kind: Kind, org_id: str) -> Turn:
        """A turn for a call; where it is `waiting`, it is to `begin` first. Raises Overloaded."""
        queue = self._queues[kind]
        if self._work < ROUND and queue.running < queue.limit and not queue.waiting:
            queue.running += 1
            return Turn(self, queue, org_id, None)
        try:
            queue.room.take(org_id)
        except Overloaded:
            self._refusals += 1
            raise
        future = asyncio.get_running_loop().create_future()
        queue.waiting.add(org_id, future)
        self._go_on()
        return Turn(self, queue, org_id, future)

    def charge(self, seconds: float) -> None:
        """Count seconds for which a call has kept the event loop."""
        self._work += seconds

    async def step(self, turn: Turn) -> None:
        """As `Turn.step`: one of all long calls goes on in one turn of the event loop."""
        turn.lengthen(self._long_room)
        self._long_steps.settle(turn.org_id, turn.seconds - turn.settled)
        turn.settled = turn.seconds
        future = asyncio.get_running_loop().create_future()
        self._long_steps.add(turn.org_id, future)
        self._go_on()
        await future

    def end(self, queue: _Queue) -> None:
        """A call of this kind does not run any more."""
        queue.running -= 1
        if queue.waiting:
            self._go_on()

    def end_long(self, turn: Turn) -> None:
        """A long call does not run any more."""
        self._long_room.learn(turn.seconds)
        self._long_room.give_back(turn.org_id)

    def _go_on(self) -> None:
        """Give out turns from the next turn of the event loop on."""
        if self._is_turning:
            return
        self._is_turning = True
        self._gather_if_due()
        asyncio.get_running_loop().call_soon(self._turn)

    def _gather_if_due(self) -> None:
        if self._work >= ROUND:
            self._is_gathering, self._quiet, self._seen = True, 0, self.arrivals
            self._gather_until, self._refusals = perf_counter() + MAX_GATHERING, 0

    def _turn(self) -> None:
        """Let those in who wait in the network, or let some who wait here begin."""
        if self._is_gathering:
            self._quiet = self._quiet + 1 if self.arrivals == self._seen else 0
            self._seen = self.arrivals
            more = self._quiet < QUIET_TURNS and self._refusals < MAX_REFUSALS
            if more and perf_counter() < self._gather_until:
                asyncio.get_running_loop().call_soon(self._turn)
                return
            self._is_gathering, self._work = False, 0.0
        self._begin_some()
        self._is_turning = False
        if self._long_steps or any(one.waiting and one.can_begin for one in self._queues.values()):
            self._go_on()

    def _begin_some(self) -> None:
        writes, reads = self._queues[Kind.WRITE], self._queues[Kind.READ]
        while writes.waiting and writes.can_begin:
            writes.begin_next()
        for _ in range(max(1, min(MAX_BATCH, int(STEP / reads.room.cost)))):
            if not reads.waiting or not reads.can_begin:
                break
            reads.begin_next()
        if self._long_steps:
            self._long_steps.begin_next(0.0)


@coroutine
def metered(
    work: Coroutine[Any, Any, T], charge: Callable[[float], None]
) -> Generator[Any, Any, T]:
    """Run a coroutine, charging the seconds for which each of its steps keeps the event loop."""
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
        try:
            resume, value = work.send, (yield awaited)
        except BaseException as error:
            resume, value = work.throw, error
