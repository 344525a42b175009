"""Health checks (grpc.health.v1) of a server that can stop while clients watch."""

import asyncio
from typing import Any

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)

WATCH_END_TIME = 0.1
"""Seconds in which watching clients are sent NOT_SERVING before their watch ends."""


class Health(health.aio.HealthServicer):  # type: ignore[misc]
    """The health service, whose watches end when the server stops: it need not wait for them."""

    def __init__(self) -> None:
        super().__init__()
        self._stopping = asyncio.Event()

    async def Watch(self, request: HealthCheckRequest, context: Any) -> None:
        """Send the health of a service now and after each change, until the server stops."""
        watch = asyncio.create_task(super().Watch(request, context))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((watch, stopping), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((watch,), timeout=WATCH_END_TIME)
        finally:
            watch.cancel()
            stopping.cancel()

    async def List(self, _: HealthListRequest, __: Any) -> HealthListResponse:
        """Return the health of every service; the base class raises NotImplementedError."""
        statuses = self._server_status.items()
        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=status) for name, status in statuses}
        )

    async def enter_graceful_shutdown(self) -> None:
        """Report NOT_SERVING to all clients, and end their watches."""
        await super().enter_graceful_shutdown()
        self._stopping.set()
