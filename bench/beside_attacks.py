"""`python -m bench.beside_attacks`: honest callers through Envoy, alone and beside each attack.

The attacks are those of tests/security that need no more than the open port, each from a process of
its own: malformed gRPC headers, unknown methods and health services, health streams and idle
connections without end, long requests without a token. Calls of fifty organizations go on
meanwhile; none may fail for it, and their p99 should at most double.
"""

import argparse
import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop
from grpc_health.v1 import health_pb2

from bench import site
from bench.http2_client import connect, header_block, message
from bench.overload import Calls, Outcome, centile, open_loop

HONEST_RATE = 100.0
"""Honest calls a second: a tenth to a quarter of what the machine can serve."""

HEALTH = "/grpc.health.v1.Health"
UNKNOWN = message(health_pb2.HealthCheckRequest(service="no.such.Service").SerializeToString())

Attack = Callable[[int], Coroutine[Any, Any, None]]


async def send_malformed_headers(port: int) -> None:
    """Requests with headers that gRPC cannot parse, fifty a second, on open and closed paths."""
    headers = "grpc-timeout: abc\r\nx-bin: *a*\r\ngrpc-encoding: abc\r\nte: abc\r\n"
    paths = ("GET /api/v1/services", f"GET {HEALTH}/Check", "POST /oauth/token")
    async for path in _paced(cycle(paths), 50):
        await _request(port, f"{path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n{headers}\r\n")


async def call_unknown_methods(port: int) -> None:
    """A thousand gRPC calls a second of unknown methods and health services."""
    connections = cycle(await connect(port, 10))
    paths = ("/zimun.v1.ServicesService/NoSuchMethod", f"{HEALTH}/NoSuch", f"{HEALTH}/Check")
    async for path in _paced(cycle(paths), 1_000):
        connection = next(connections)
        if connection.is_free:
            connection.call(header_block(path, ()), UNKNOWN, lambda _: None)


async def watch_health(port: int) -> None:
    """Health streams that never end, as many as are accepted; a thousand attempts a second."""
    watch, everything = header_block(f"{HEALTH}/Watch", ()), message(b"")
    connections = await connect(port, 10)
    async for n in _paced(cycle(range(10)), 1_000):
        if not connections[n].is_free:
            connections[n].close()
            [connections[n]] = await connect(port, 1)
        connections[n].call(watch, everything, lambda _: None)


async def hold_idle_connections(port: int) -> None:
    """1,400 connections that send nothing; one that is closed is opened again."""

    async def hold() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await reader.read()
                writer.close()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(hold() for _ in range(1_400)))


async def send_long_requests(port: int) -> None:
    """850 requests a second without a token, with long paths and headers."""
    path = f"/{'n' * 3_000}?{'q' * 2_000}"
    request = f"GET {path} HTTP/1.1\r\nhost: a\r\nuser-agent: {'u' * 2_000}\r\n\r\n"
    tasks = set[asyncio.Task[None]]()
    async for _ in _paced(cycle((0,)), 850):
        if len(tasks) < 200:
            tasks.add(task := asyncio.create_task(_request(port, request)))
            task.add_done_callback(tasks.discard)


ATTACKS: Mapping[str, Attack] = {
    "malformed headers": send_malformed_headers,
    "unknown methods": call_unknown_methods,
    "health streams": watch_health,
    "idle connections": hold_idle_connections,
    "long requests": send_long_requests,
}


async def _paced(values: Iterator[Any], rate: float) -> AsyncIterator[Any]:
    """Values at a rate per second, late ones at once."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for value in values:
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        due += 1 / rate
        yield value


async def _request(port: int, request: str) -> None:
    """Send a request on a connection of its own; its answer, if there is one, is not looked at."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request.encode())
            await reader.read(1_000)
            writer.close()


def _run(attack: str, port: int) -> None:
    asyncio.run(ATTACKS[attack](port))


@contextmanager
def attacked(attack: str, port: int) -> Iterator[None]:
    """An attack goes on while the context is open."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(attack, port))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


async def measure(server: dict[str, Any], seconds: float, directory: Path) -> None:
    """Measure one server: before each attack and beside it."""
    async with site.edge(server, directory) as envoy:
        port = envoy.settings.listen_port
        calls, org_ids = Calls(server), list(server["tokens"])
        mixed = (calls.of(org_id) for org_id in cycle(org_ids))
        connections = await connect(port, 20)

        async def honest(length: float) -> Outcome:
            [outcome] = await open_loop(connections, [(mixed, HONEST_RATE)], length)
            return outcome

        await honest(5)
        for attack in ATTACKS:
            alone = await honest(seconds)
            with attacked(attack, port):
                await honest(2)
                beside = await honest(seconds)
            print(f"{attack:18} {_describe(alone)}, beside it {_describe(beside)}", flush=True)


def _describe(outcome: Outcome) -> str:
    failed = sum(outcome.statuses.values()) - outcome.statuses[0]
    return (
        f"p50 {1000 * centile(outcome.served, 50):.0f} ms"
        f" p99 {1000 * centile(outcome.served, 99):.0f} ms {failed} failed"
    )


def main(seconds: float, stores: Sequence[str]) -> None:
    """Measure each store."""
    for store in stores:
        print(store, flush=True)
        with site.on_store(store, "many") as (server, directory):
            uvloop.run(measure(server, seconds, directory))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.beside_attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="alone, and beside each attack")
    parser.add_argument("--stores", nargs="+", default=["SQLite", "PostgreSQL"])
    main(**vars(parser.parse_args()))
