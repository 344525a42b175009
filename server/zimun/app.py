"""The composition root: it connects stores, servers and settings."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from zimun.auth.http_server import Runner
from zimun.auth.rate_limits import TokenLimits
from zimun.auth.remote_jwks import ProviderKeys
from zimun.auth.signing_keys import KeyStore
from zimun.auth.token_endpoint import application
from zimun.auth.tokens import PROVIDER, Issuer, Verifier
from zimun.booking import contacts, expiry
from zimun.booking.credentials import CredentialStore
from zimun.booking.store import LedgerStore
from zimun.clock import Clock, WallClock
from zimun.config import Settings
from zimun.connections import IDLE_TIME, Listener, bind, max_http_connections, max_rpc_connections
from zimun.domain.errors import OutcomeUnknown, Overloaded
from zimun.mcp.endpoint import PATH as MCP_PATH
from zimun.mcp.endpoint import McpEndpoint
from zimun.rpc.dispatch import Verify
from zimun.rpc.page_tokens import PageTokens
from zimun.rpc.ports import PortTaken
from zimun.rpc.request_context import Dependencies
from zimun.rpc.server import RpcServer
from zimun.storage.clock_offset import read_clock_offset, write_clock_offset
from zimun.storage.database import Database
from zimun.storage.hold_counts import HoldCounts, count_holds
from zimun.stores import Stores, open_stores
from zimun.telemetry.calls import CallObserver
from zimun.telemetry.endpoint import MetricsEndpoint, count_statuses
from zimun.telemetry.metrics import ServerCollector, Sources
from zimun.telemetry.tracing import tracing
from zimun.tls import ServerTls, server_tls

GRACE = 10.0
"""Seconds that calls under way have when the server stops."""

EXPIRY_INTERVAL = 1.0
"""Seconds between two recordings of what has expired."""

RESPONSE_INTERVAL = 60.0
"""Seconds between two deletions of stored responses whose lifetime is over."""

RETENTION_INTERVAL = 10.0
"""Seconds between two erasures of contacts whose retention is over, of a few organizations."""

KEY_INTERVAL = 5.0
"""Seconds between two reads of the signing keys, which another server may have changed."""

PROBE_INTERVAL = 2.0
"""Seconds between two probes of the store."""

PROBE_TIME = 3.0
"""Seconds after which a store that does not answer counts as unusable."""

UNUSABLE = (Overloaded, OutcomeUnknown)
"""Errors of a store that cannot be used now."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartedServer:
    """A running server: its stores and its ports.

    `metrics_port` is None where metrics are not enabled.
    """

    stores: Stores
    grpc_port: int
    auth_port: int
    metrics_port: int | None = None


@asynccontextmanager
async def serve(
    settings: Settings, clock: Clock | None = None, sharing: bool = False
) -> AsyncIterator[StartedServer]:
    """Serve while the context is open; leaving it finishes what is in flight, then closes.

    A clock is the booking clock of the database from then on; without one it is the clock that
    the database has. With `sharing` other servers may listen on the same ports.
    Raises PortTaken, TracingMissing, and what `open_stores` and `KeyStore.open` raise.
    """
    async with AsyncExitStack() as stack:
        # The supervisor of workers has checked the database.
        stores = await stack.enter_async_context(open_stores(settings, clock, not sharing))
        if clock:
            await _publish_offset(stores.database, clock)
        verify, endpoints = await _tokens(settings, stores.credentials, stack)
        pages = PageTokens(await stores.credentials.secret("page_token"))
        dependencies = Dependencies(stores.ledgers, stores.reader, stores.writer, pages)
        observer = CallObserver(settings.slow_request)
        traced = await stack.enter_async_context(
            tracing(settings.otlp_endpoint, settings.trace_ratio)
        )
        server = RpcServer(dependencies, verify, max_rpc_connections(), observer, sharing, traced)
        statuses: Counter[int] = Counter()
        endpoints.middlewares.insert(0, count_statuses(statuses))
        mcp = McpEndpoint(verify, stores.reader, server.local_calls, settings.resource)
        endpoints.router.add_post(MCP_PATH, mcp.post)
        stack.push_async_callback(mcp.close)
        tls = server_tls(settings)
        auth_port = await _listen_http(
            endpoints, settings.grpc_host, settings.auth_port, "auth", stack, sharing, tls
        )
        metrics_port = None
        if settings.metrics_port is not None:
            metrics = _metrics(stores, server, observer, statuses)
            metrics_port = await _listen_http(
                metrics, settings.metrics_host, settings.metrics_port, "metrics", stack, sharing
            )
        await server.start(settings.grpc_host, settings.grpc_port, tls.grpc if tls else None)
        stack.push_async_callback(server.stop, GRACE)
        await _probe(stores.ledgers, server)
        _start_background_work(stores, server, stack)
        yield StartedServer(stores, server.port, auth_port, metrics_port)


def _start_background_work(stores: Stores, server: RpcServer, stack: AsyncExitStack) -> None:
    """Record expiries, delete old responses and probe the store until the stack is closed."""
    for task in (
        _every(
            EXPIRY_INTERVAL,
            lambda: expiry.expire_holds(stores.ledgers, stores.writer, stores.clock),
        ),
        _every(RETENTION_INTERVAL, contacts.Retention(stores.ledgers, stores.clock).sweep),
        _every(RESPONSE_INTERVAL, lambda: stores.ledgers.drop_responses(stores.clock.now())),
        _every(PROBE_INTERVAL, lambda: _probe(stores.ledgers, server)),
    ):
        stack.push_async_callback(_cancel, asyncio.create_task(task))


async def _publish_offset(database: Database, clock: Clock) -> None:
    """Store the clock's offset, so that commands such as `zimun import` have the server's time."""
    offset = clock.offset if isinstance(clock, WallClock) else 0
    if await database.read(read_clock_offset) != offset:
        await database.write(lambda connection: write_clock_offset(connection, offset))


def tune_garbage_collector() -> None:
    """Exclude permanent objects from garbage collection: modules, descriptors, statements.

    Call it once in a process, when its server has started. Young objects are collected often, as
    the event loop waits for each collection (about 0.5 ms for 1,000 objects), all objects rarely,
    as calls leave hardly any cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 2, 7_000)


async def _tokens(
    settings: Settings, credentials: CredentialStore, stack: AsyncExitStack
) -> tuple[Verify, web.Application]:
    """How tokens are verified, and the endpoints that issue them (none for an outside provider)."""
    if settings.jwks_url:
        provider = ProviderKeys(settings.jwks_url)
        stack.push_async_callback(provider.close)
        outside = Verifier(provider, settings.issuer, settings.audience, PROVIDER)
        return outside.verify, web.Application()
    keys = await KeyStore.open(credentials)
    stack.push_async_callback(_cancel, asyncio.create_task(_every(KEY_INTERVAL, keys.reload)))
    issuer = Issuer(keys, settings.public_issuer, settings.audience, settings.token_lifetime)
    verifier = Verifier(keys, settings.public_issuer, settings.audience)
    limits = TokenLimits() if settings.rate_limit else None
    return verifier.verify, application(credentials, issuer, limits=limits)


def _metrics(
    stores: Stores,
    server: RpcServer,
    observer: CallObserver,
    statuses: Mapping[int, int],
) -> web.Application:
    """The endpoint of the metrics of this process."""
    sources = Sources(
        methods=lambda: observer.methods,
        active=lambda: observer.active,
        counters=stores.reader.counters,
        waiting=lambda: stores.writer.waiting,
        rows=lambda: stores.reader.rows,
        connections=stores.database.connections_in_use,
        serving=lambda: server.serving,
        calls_waiting=lambda: server.admission.waiting,
        calls_refused=lambda: server.admission.refused,
        token_requests=statuses,
    )

    async def holds() -> HoldCounts:
        return await stores.database.read(partial(count_holds, now=stores.clock.now()))

    return MetricsEndpoint(ServerCollector(sources), holds).application()


async def _listen_http(
    endpoints: web.Application,
    host: str,
    port: int,
    name: str,
    stack: AsyncExitStack,
    sharing: bool,
    tls: ServerTls | None = None,
) -> int:
    """Listen until the stack is closed; returns the port. Raises PortTaken."""
    runner = Runner(endpoints, access_log=None, keepalive_timeout=IDLE_TIME)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server
    listener = Listener(runner.server, max_http_connections(), tls.http if tls else None)
    try:
        sockets = bind(host, port, sharing)
    except OSError as error:
        raise PortTaken(name, host, port) from error
    for listening in sockets:
        stack.enter_context(listening)
        stack.push_async_callback(_cancel, asyncio.create_task(listener.accept(listening)))
    number: int = sockets[0].getsockname()[1]
    return number


async def _probe(store: LedgerStore, server: RpcServer) -> None:
    """Read and write the store as a caller would, and set the health of the services."""
    # The id of no organization; an empty list would read nothing.
    readable = await _works(store.heads(("",)))
    writable = await _works(store.probe())
    await server.set_health(readable, writable)


async def _works(attempt: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIME):
            await attempt
    except (*UNUSABLE, TimeoutError):
        return False
    return True


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Repeat the work; of failures in a row the first is logged, and the work goes on."""
    fails = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
            fails = False
        except UNUSABLE as error:
            log.log(
                logging.DEBUG if fails else logging.WARNING,
                "background work waits for the store: %s",
                error,
            )
            fails = True
        except Exception:
            log.exception("background work failed")


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def stop_signal() -> asyncio.Event:
    """An event that SIGINT or SIGTERM sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
