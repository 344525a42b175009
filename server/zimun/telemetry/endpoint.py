"""The port of the metrics: GET /metrics, for Prometheus."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client.exposition import choose_encoder

from zimun.domain.errors import OutcomeUnknown, Overloaded
from zimun.storage.hold_counts import HoldCounts
from zimun.telemetry import logs
from zimun.telemetry.metrics import ServerCollector, registry

HOLDS_INTERVAL = 10.0
"""Seconds for which a count of holds is used, as counting reads every hold."""

HOLDS_TIME = 2.0
"""Seconds that counting holds may take; without a count the other metrics are answered."""

log = logging.getLogger(__name__)


class MetricsEndpoint:
    """Serves the metrics of a collector; `count_holds` counts the holds in the store."""

    def __init__(
        self, collector: ServerCollector, count_holds: Callable[[], Awaitable[HoldCounts]]
    ) -> None:
        self._collector = collector
        self._registry = registry(collector)
        self._count_holds = count_holds
        self._counted_at = -HOLDS_INTERVAL

    def application(self) -> web.Application:
        """The web application of GET /metrics."""
        app = web.Application(client_max_size=1)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        await self._refresh_holds()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # aiohttp's content_type refuses a character set.
        response = web.Response(body=encode(self._registry))
        response.headers["Content-Type"] = content_type
        return response

    async def _refresh_holds(self) -> None:
        if time.monotonic() < self._counted_at + HOLDS_INTERVAL:
            return
        self._counted_at = time.monotonic()
        try:
            async with asyncio.timeout(HOLDS_TIME):
                self._collector.holds = await self._count_holds()
        except (Overloaded, OutcomeUnknown, TimeoutError) as error:
            self._collector.holds = None
            log.warning("holds cannot be counted: %s", error)


def count_statuses(statuses: Counter[int]) -> Middleware:
    """A middleware, to be the outermost, that counts answers and gives log lines the request id."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        logs.enter_call((("x-request-id", request.headers.get("x-request-id", "")),))
        response = await handler(request)
        statuses[response.status] += 1
        return response

    return observe
