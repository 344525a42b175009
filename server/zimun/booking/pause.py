"""Long work on the event loop in steps; between them other tasks run."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

MAX_STEP = 0.0005
"""Seconds after which work on the event loop pauses."""


async def _yield_to_event_loop() -> None:
    await asyncio.sleep(0)


next_step: ContextVar[Callable[[], Awaitable[None]]] = ContextVar(
    "next_step", default=_yield_to_event_loop
)
"""How the running work waits until its next step may begin; `rpc.admission` sets it for long
reads."""


class Pause:
    """Lets other tasks run when this one has occupied the event loop for a while."""

    def __init__(self, seconds: float = MAX_STEP) -> None:
        self._seconds = seconds
        self._since = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether it is time to `take` a pause: a cheap test, as most work is short."""
        return time.perf_counter() - self._since > self._seconds

    async def take(self) -> None:
        """Let other tasks run until the next step may begin; raises Overloaded where too many long
        reads are under way."""
        await next_step.get()()
        self._since = time.perf_counter()
