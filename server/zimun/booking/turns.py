"""Turns: callers of one server who want the same thing at once.

Those who want the same slot would each run a transaction, and wait for each
other's, only to learn one by one that it is taken. Here one of them tries, the
others wait. Who gets it says how much more there was, and so many try next;
when somebody finds nothing, one looks for all who wait by then, and these are
told at once. Nobody is told anything that was not looked up after they came.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
W = TypeVar("W")

Look = Callable[[Sequence[W]], Awaitable[tuple[Sequence[Exception | None], int]]]
"""From those who wait to the refusal of each, None where there is none; and how many of those who
are not refused may try before somebody looks again."""

Attempt = Callable[[], Awaitable[tuple[T, int] | None]]
"""What the caller gets, and how many more could have had one; or None where nothing is left."""

TRIES = 2
"""How often a caller tries at the most; between two they wait for a look."""

LINGER = 1.0
"""Seconds for which those who come look before they try, after somebody has failed."""

PACE = 0.01
"""Seconds from one look that found nothing left to the next: those who come meanwhile share it."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    who: object
    turn: "asyncio.Future[None]"


@dataclass(eq=False)
class _Queue:
    """Who waits, how many try, and how many more may before somebody looks.

    `gone`: nothing was left a moment ago, or it is not known; nobody looks again before
    `next_look` (the loop's time).
    """

    waiting: deque[_Waiting] = field(default_factory=deque)
    trying: int = 0
    room: int = 0
    looking: bool = False
    gone: bool = False
    next_look: float = 0.0

    @property
    def busy(self) -> bool:
        return self.trying > 0 or self.looking


def _came(turn: "asyncio.Future[None]") -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None


class Turns:
    """Who waits for what. Use it on one event loop.

    Whoever comes within `linger` seconds of a failure looks before they try.
    """

    def __init__(self, linger: float = LINGER, pace: float = PACE) -> None:
        self._linger = linger
        self._pace = pace
        self._queues: dict[Hashable, _Queue] = {}
        self._looks: set[asyncio.Task[None]] = set()

    async def take(
        self, what: Hashable, who: W, look: "Look[W]", attempt: "Attempt[T]"
    ) -> T | None:
        """Run `attempt` when there may be something left for it.

        None where others were quicker each time. Raises what `attempt` raises,
        or the refusal that `look` found for `who` after this call began.
        """
        for _ in range(TRIES):
            queue = self._queues.setdefault(what, _Queue())
            if queue.busy or queue.gone:
                await self._wait(what, queue, who, look)
            else:
                queue.trying += 1
            found = None
            try:
                found = await attempt()
            finally:
                queue.trying -= 1
                queue.gone = found is None
                queue.room = max(found[1] - queue.trying, 0) if found else 0
                self._go_on(what, queue, look)
            if found:
                return found[0]
        return None

    async def _wait(self, what: Hashable, queue: _Queue, who: W, look: "Look[W]") -> None:
        """Return when it is the caller's turn; it counts as one who tries from then on."""
        waiting = _Waiting(who, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiting)
        self._go_on(what, queue, look)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if _came(waiting.turn):
                # The turn came at the moment at which its caller went.
                queue.trying -= 1
                self._go_on(what, queue, look)
            raise
        finally:
            # What a refusal's traceback holds does not hold it, or it would be left to the
            # garbage collector.
            del waiting

    def _go_on(self, what: Hashable, queue: _Queue, look: "Look[W]") -> None:
        """Give turns to as many as there is room for, or look, or let it rest."""
        while queue.room and queue.waiting:
            waiting = queue.waiting.popleft()
            if not waiting.turn.done():
                queue.room, queue.trying = queue.room - 1, queue.trying + 1
                waiting.turn.set_result(None)
        if queue.busy:
            return
        queue.room = 0
        if queue.waiting:
            queue.looking = True
            task = asyncio.create_task(self._look(what, queue, look))
            self._looks.add(task)
            task.add_done_callback(self._looks.discard)
        elif queue.gone:
            asyncio.get_running_loop().call_later(self._linger, self._forget, what, queue)
        else:
            self._forget(what, queue)

    async def _look(self, what: Hashable, queue: _Queue, look: "Look[W]") -> None:
        """Refuse those for whom nothing is left; as many of the others may try as there is room."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(queue.next_look - loop.time())
        asking = [waiting for waiting in queue.waiting if not waiting.turn.done()]
        try:
            refusals, room = await look([waiting.who for waiting in asking])  # type: ignore[misc]
        except Exception:
            # Where nobody can look, each has to try.
            refusals, room = [None] * len(asking), 1
        for waiting, refusal in zip(asking, refusals, strict=True):
            if refusal and not waiting.turn.done():
                waiting.turn.set_exception(refusal)
        queue.waiting = deque(waiting for waiting in queue.waiting if not waiting.turn.done())
        queue.gone = None not in refusals
        queue.next_look = loop.time() + self._pace if queue.gone else 0.0
        queue.room = 0 if queue.gone else max(room, 1)
        queue.looking = False
        self._go_on(what, queue, look)

    def _forget(self, what: Hashable, queue: _Queue) -> None:
        if not queue.busy and self._queues.get(what) is queue:
            del self._queues[what]
