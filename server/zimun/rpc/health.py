"""Health checks (grpc.health.v1) of a server that can stop while clients watch."""

import asyncio
from typing import Any

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest

WATCH_END_TIME = 0.1
"""Seconds in which watching clients are sent NOT_SERVING before their watch ends."""


class Health(health.aio.HealthServicer):  # type: ignore[misc]
    """Watches end with the server, rather than keep it waiting for the whole of its grace."""

    def __init__(self) -> None:
        super().__init__()
        self._over = asyncio.Event()

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:
        """Send the health now, and whenever it changes."""
        watch = asyncio.create_task(super().Watch(request, context))
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait((watch, over), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((watch,), timeout=WATCH_END_TIME)
        finally:
            watch.cancel()
            over.cancel()

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING to all clients, from now on."""
        await super().enter_graceful_shutdown()
        self._over.set()
