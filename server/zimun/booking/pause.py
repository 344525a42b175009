"""Long work on the event loop, in steps that leave it to others in between."""

import asyncio
import time

MAX_STEP = 0.002
"""Seconds for which a piece of long work keeps the event loop at once, but for its last step."""


class Pause:
    """Gives the event loop to others when this work has had it for MAX_STEP."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether to `take` it: asked for first, as most work is short."""
        return time.perf_counter() - self._since > MAX_STEP

    async def take(self) -> None:
        """Let everything else that can run do so once."""
        await asyncio.sleep(0)
        self._since = time.perf_counter()
