"""The attacks of `bench.attacks`, each of a process of its own, and as many harmless attempts."""

import asyncio
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple

import uvloop
from grpc_health.v1 import health_pb2

from bench.burst import CODES
from bench.http2_client import RESET, Connection, connect_from, header_block, message
from bench.json_channel import Metadata
from zimun.connections import raise_file_limit

ADDRESSES = tuple(f"127.0.1.{n}" for n in range(1, 41))
"""Where attackers come from."""

MAX_AT_ONCE = 500
"""Attempts of an attacker that are not answered yet; it waits with others."""

HEALTH = "/grpc.health.v1.Health"
EVERYTHING = message(b"")
UNKNOWN = message(health_pb2.HealthCheckRequest(service="no.such.Service").SerializeToString())


class Ports(NamedTuple):
    envoy: int
    grpc: int
    auth: int


class Attacker:
    """What attacks send with, and the count of what came of it."""

    def __init__(self, ports: Ports, token: str, harmless: bool) -> None:
        self.ports, self.harmless = ports, harmless
        self.bearer: Metadata = (("authorization", f"Bearer {token}"),)
        self.came = Counter[str]()
        self.idle = deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
        self._connections: dict[str, Connection] = {}

    async def connect(self, n: int, port: int) -> Any:
        """A connection from one address after the other."""
        source = (ADDRESSES[n % len(ADDRESSES)], 0)
        return await asyncio.open_connection("127.0.0.1", port, local_addr=source)

    async def request(self, n: int, text: str, metadata: Metadata) -> None:
        """Send an HTTP/1.1 request to Envoy on a connection of its own."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in metadata)
        reader, writer = await self.connect(n, self.ports.envoy)
        writer.write(f"{text} HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode())
        status = (await reader.read(100))[9:12].decode()
        self.came[status or "closed"] += 1
        writer.close()

    async def call(self, n: int, path: str, body: bytes, metadata: Metadata = ()) -> None:
        """Call Envoy by gRPC on the kept connection of an address, without waiting for an end."""
        address = ADDRESSES[n % len(ADDRESSES)]
        connection = self._connections.get(address)
        if not connection or not connection.is_free:
            connection = await connect_from(address, self.ports.envoy)
            self._connections[address] = connection
        self.came["open"] += 1
        connection.call(header_block(path, metadata), body, self._count)

    def _count(self, status: int) -> None:
        self.came["open"] -= 1
        self.came["reset" if status == RESET else CODES[status]] += 1


ROUTES = (
    "GET /api/v1/services",
    "POST /api/v1/appointments/hold",
    "GET /docs",
    "GET /.well-known/jwks.json",
    "POST /oauth/token",
    "POST /o/o_many_0/mcp",
    "POST /zimun.v1.ServicesService/ListServices",
    f"POST {HEALTH}/Check",
    f"GET {HEALTH}/Check",
)


async def malformed_headers(attacker: Attacker, n: int) -> None:
    """Headers that gRPC cannot parse, on all routes, with and without a token."""
    route = ROUTES[n % len(ROUTES)]
    kind = "grpc" if "Service" in route or HEALTH in route else "json"
    metadata = (*attacker.bearer[n % 2 :], ("content-type", f"application/{kind}"))
    if not attacker.harmless:
        names = ("grpc-timeout", "grpc-encoding", "grpc-tags-bin", f"x{n}-bin", "te")
        metadata += tuple((name, f"*{n}*") for name in names)
    await attacker.request(n, route, (*metadata, ("content-length", "0")))


async def unknown_methods(attacker: Attacker, n: int) -> None:
    """Methods and health services that there are not; harmless: health of the whole."""
    path, body, metadata = (
        ("/zimun.v1.ServicesService/NoSuchMethod", EVERYTHING, attacker.bearer),
        (f"{HEALTH}/NoSuch", EVERYTHING, ()),
        (f"{HEALTH}/Check", UNKNOWN, ()),
    )[n % 3]
    if attacker.harmless:
        path, body, metadata = f"{HEALTH}/Check", EVERYTHING, ()
    await attacker.call(n, path, body, metadata)


async def health_streams(attacker: Attacker, n: int) -> None:
    """Watch of health, which never ends; harmless: Check, which does."""
    await attacker.call(n, f"{HEALTH}/{'Check' if attacker.harmless else 'Watch'}", EVERYTHING)


IDLE = 9_000


async def idle_connections(attacker: Attacker, n: int) -> None:
    """Connections at all ports that send nothing, the last IDLE of them open; harmless: closed."""
    connection = await attacker.connect(n, attacker.ports[n % 3])
    attacker.came["made"] += 1
    attacker.idle.append(connection)
    if attacker.harmless or len(attacker.idle) > IDLE:
        reader, writer = attacker.idle.popleft()
        attacker.came["closed by the peer"] += reader.at_eof()
        writer.close()


async def long_requests(attacker: Attacker, n: int) -> None:
    """Paths and headers of 28 kB without a token; harmless: short ones."""
    size = 1 if attacker.harmless else 7_000
    path = f"/{'n' * size}?{'q' * size}"
    await attacker.request(n, f"GET {path}", (("user-agent", '"' * size), ("referer", "r" * size)))


Attempt = Callable[[Attacker, int], Awaitable[None]]

ATTACKS: Mapping[str, tuple[Attempt, float]] = {
    "malformed headers": (malformed_headers, 100),
    "unknown methods": (unknown_methods, 1_000),
    "health streams": (health_streams, 1_000),
    "idle connections": (idle_connections, 1_000),
    "long requests": (long_requests, 850),
}
"""Attempts a second of each."""


async def _attack(name: str, attacker: Attacker, pipe: Pipe) -> None:
    """Attempts, announced in the pipe, until it has an answer; then their rate and count."""
    attempt, rate = ATTACKS[name]
    tasks, made = set[asyncio.Task[None]](), 0

    async def once(n: int) -> None:
        try:
            async with asyncio.timeout(2):
                await attempt(attacker, n)
        except (OSError, EOFError) as error:
            attacker.came[type(error).__name__] += 1

    pipe.send(None)
    begin = time.perf_counter()
    async for n in _paced(rate):
        if pipe.poll():
            break
        if len(tasks) < MAX_AT_ONCE:
            tasks.add(task := asyncio.create_task(once(n)))
            task.add_done_callback(tasks.discard)
            made += 1
    pipe.send((made / (time.perf_counter() - begin), +attacker.came))


async def _paced(rate: float) -> AsyncIterator[int]:
    """Numbers at a rate per second, late ones at once."""
    due = time.perf_counter()
    for n in count():
        await asyncio.sleep(max(0, due - time.perf_counter()))
        due += 1 / rate
        yield n


def _run(name: str, ports: Ports, token: str, harmless: bool, pipe: Pipe) -> None:
    raise_file_limit()
    uvloop.run(_attack(name, Attacker(ports, token, harmless), pipe))


@contextmanager
def attacked(*arguments: Any) -> Iterator[Pipe]:
    """An attack, of the arguments of `_run`, which ends when it is sent anything by the pipe."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_run, args=(*arguments, theirs))
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield ours
    finally:
        process.kill()
        process.join()
