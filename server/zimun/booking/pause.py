"""Long work on the event loop, in steps that leave it to others in between."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

MAX_STEP = 0.002
"""Seconds for which a piece of long work keeps the event loop at once, but for its last step."""


async def _let_others_run() -> None:
    await asyncio.sleep(0)


next_step: ContextVar[Callable[[], Awaitable[None]]] = ContextVar(
    "next_step", default=_let_others_run
)
"""How the work that is running waits until it may go on."""


class Pause:
    """Gives the event loop to others when this work has had it for MAX_STEP."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether to `take` it: asked for first, as most work is short."""
        return time.perf_counter() - self._since > MAX_STEP

    async def take(self) -> None:
        """Let others run until this may go on; raises Overloaded where too much is to do."""
        await next_step.get()()
        self._since = time.perf_counter()
