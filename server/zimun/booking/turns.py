"""Turns: callers of one server who want the same thing at once.

Where a store runs transactions side by side, those that want the same slot
would wait for each other's locks only to learn, one by one, that it is taken.
Here one of them tries, the others wait; before the next one tries, somebody
looks, and if nothing is left all who were waiting by then are told at once.
Nobody is told anything that was not looked up after they came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
W = TypeVar("W")

Look = Callable[[Sequence[W]], Awaitable[Sequence[Exception | None]]]
"""From those who wait to the refusal of each; None for those who had better try."""


LINGER = 1.0
"""Seconds for which those who come look before they try, after somebody has failed."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    who: object
    turn: "asyncio.Future[None]"


@dataclass(eq=False)
class _Queue:
    """Who waits. `busy`: somebody tries or looks; `gone`: nothing was left a moment ago."""

    waiting: list[_Waiting] = field(default_factory=list)
    busy: bool = False
    gone: bool = False


class Turns:
    """Who waits for what. Use it on one event loop.

    Whoever comes within `linger` seconds of a failure looks before they try.
    """

    def __init__(self, linger: float = LINGER) -> None:
        self._linger = linger
        self._queues: dict[Hashable, _Queue] = {}
        self._passing: set[asyncio.Task[None]] = set()

    async def take(
        self, what: Hashable, who: W, look: "Look[W]", attempt: Callable[[], Awaitable[T]]
    ) -> T:
        """Run `attempt` when nobody else of this server does for the same thing.

        Raises what `attempt` raises, or the refusal that `look` found for
        `who` after this call began.
        """
        queue = self._queues.setdefault(what, _Queue())
        if queue.busy or queue.gone:
            await self._wait(what, queue, who, look)
        queue.busy, queue.gone = True, False
        try:
            return await attempt()
        except Exception:
            queue.gone = True
            raise
        finally:
            self._pass_on(what, queue, look)

    async def _wait(self, what: Hashable, queue: _Queue, who: W, look: "Look[W]") -> None:
        waiting = _Waiting(who, asyncio.get_running_loop().create_future())
        queue.waiting.append(waiting)
        if not queue.busy:
            self._pass_on(what, queue, look)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            turn = waiting.turn
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The turn came at the moment at which its caller went.
                self._pass_on(what, queue, look)
            raise

    def _pass_on(self, what: Hashable, queue: _Queue, look: "Look[W]") -> None:
        if not queue.waiting:
            self._rest(what, queue)
            return
        queue.busy = True
        task = asyncio.create_task(self._next(what, queue, look))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _next(self, what: Hashable, queue: _Queue, look: "Look[W]") -> None:
        """Refuse those for whom nothing is left, until one is found who had better try."""
        while asking := [waiting for waiting in queue.waiting if not waiting.turn.done()]:
            for waiting, refusal in zip(asking, await _refusals(look, asking), strict=True):
                if waiting.turn.done():
                    continue
                if refusal is None:
                    queue.waiting = [one for one in queue.waiting if not one.turn.done()]
                    queue.waiting.remove(waiting)
                    waiting.turn.set_result(None)
                    return
                waiting.turn.set_exception(refusal)
            queue.waiting = [one for one in queue.waiting if not one.turn.done()]
            queue.gone = True
        queue.waiting = []
        self._rest(what, queue)

    def _rest(self, what: Hashable, queue: _Queue) -> None:
        """Nobody is there; what is known to be gone is remembered for a moment."""
        queue.busy = False
        if queue.gone:
            asyncio.get_running_loop().call_later(self._linger, self._forget, what, queue)
        else:
            del self._queues[what]

    def _forget(self, what: Hashable, queue: _Queue) -> None:
        if not queue.busy and self._queues.get(what) is queue:
            del self._queues[what]


async def _refusals(look: "Look[W]", asking: Sequence[_Waiting]) -> Sequence[Exception | None]:
    """Where nobody can look, each has to try."""
    try:
        return await look([waiting.who for waiting in asking])  # type: ignore[misc]
    except Exception:
        return [None] * len(asking)
