"""Many, idle and slow connections at Envoy's port do not keep other callers out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from zimun.rpc.server import MAX_CONNECTION_AGE
from zimun.v1.services_service_pb2 import ListServicesRequest, ListServicesResponse
from zimun_gateway import clusters
from zimun_gateway.clusters import GRPC_AGE

from ..support.gateway import Gateway, run_gateway
from ..support.gateway_stubs import Context, StubServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = "/api/v1/services"
CONNECTIONS = 20
IDLE = 1.0
BEGUN = b"GET /api/v1/services HTTP/1.1\r\nHost: a\r\nX-Slow: "

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with run_gateway(
        tmp_path_factory.mktemp("envoy"),
        max_connections=CONNECTIONS,
        idle_timeout=IDLE,
        request_timeout=2.0,
    ) as gateway:
        yield gateway


@asynccontextmanager
async def opened(gateway: Gateway, number: int, sent: bytes = b"") -> AsyncIterator[Any]:
    """Open connections and send the same bytes on each."""
    port = gateway.settings.listen_port
    made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    for _, writer in made:
        writer.write(sent)
    try:
        yield made
    finally:
        for _, writer in made:
            writer.close()


async def closed_by_peer(connection: Connection, limit: float = 5.0) -> None:
    """Wait until the peer closes the connection."""
    async with asyncio.timeout(limit):
        with suppress(ConnectionResetError):
            while await connection[0].read(65536):
                pass


async def test_connections_beyond_the_limit_are_closed_and_open_ones_are_served(
    gateway: Gateway,
) -> None:
    """A connected caller is served on; another is accepted once idle connections are closed."""
    assert (await gateway.get(SERVICES)).status == 200
    before = await refused(gateway)
    async with opened(gateway, CONNECTIONS + 10) as many:
        left = {asyncio.create_task(closed_by_peer(one)) for one in many}
        while len(left) > CONNECTIONS - 1:
            _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        assert await refused(gateway) - before == 11
        assert (await gateway.get(SERVICES)).status == 200
        await asyncio.gather(*left)
        async with opened(gateway, 1, request(gateway)) as [newcomer]:
            assert (await newcomer[0].readline()).startswith(b"HTTP/1.1 200")


def request(gateway: Gateway) -> bytes:
    token = gateway.bearer()["Authorization"]
    return f"GET {SERVICES} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\r\n".encode()


async def test_a_connection_with_slow_headers_is_closed(gateway: Gateway) -> None:
    async with opened(gateway, 5, BEGUN) as slow:
        dripping = asyncio.create_task(drip(slow))
        answers = [(await reader.readline()).split()[1] for reader, _ in slow]
        dripping.cancel()
    assert set(answers) == {b"408"}


async def test_a_request_with_a_slow_body_is_refused(gateway: Gateway) -> None:
    begun = request(gateway).replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\n")
    begun += b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    gateway.server.calls.clear()
    async with opened(gateway, 5, begun) as slow:
        dripping = asyncio.create_task(drip(slow))
        answers = [(await reader.readline()).split()[1] for reader, _ in slow]
        dripping.cancel()
    assert set(answers) == {b"408"}
    assert gateway.server.calls == []


async def drip(connections: list[Connection]) -> None:
    """A byte of each every tenth of a second."""
    while True:
        for _, writer in connections:
            writer.write(b" ")
        await asyncio.sleep(0.1)


async def test_connections_of_slow_readers_are_closed(gateway: Gateway) -> None:
    """A response that is not read is dropped with its connection, so Envoy frees its memory."""

    async def much(_: Any, __: Context) -> ListServicesResponse:
        return ListServicesResponse(next_page_token="x" * 4_000_000)

    gateway.server.behaviours["ListServices"] = much
    async with opened(gateway, 2) as readers:
        for reader, writer in readers:
            writer.write(request(gateway))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            reader._transport.pause_reading()
        async with asyncio.timeout(15):
            while await connections(gateway) > 1:  # noqa: ASYNC110 - Envoy can only be asked
                await asyncio.sleep(0.05)
    gateway.server.behaviours.clear()


async def connections(gateway: Gateway) -> int:
    """How many are open."""
    return (await statistics(gateway, "downstream_cx_active"))["http.zimun.downstream_cx_active"]


async def refused(gateway: Gateway) -> int:
    """How many connections were beyond the limit; before the first, Envoy has no such counter."""
    return sum((await statistics(gateway, "downstream_global_cx_overflow")).values())


async def statistics(gateway: Gateway, ending: str) -> dict[str, int]:
    """Envoy's counters whose names end so."""
    found = json.loads(await gateway.admin(f"/stats?format=json&filter={ending}$"))["stats"]
    return {one["name"]: one["value"] for one in found}


async def test_answers_are_whole_while_connections_to_servers_age(tmp_path: Path) -> None:
    """Envoy closes first: where a server does, Envoy forwards only a part of the response."""
    assert GRPC_AGE < 0.9 * MAX_CONNECTION_AGE
    aging = StubServer()
    await aging.start(max_connection_age_ms=1000)

    async def much(_: Any, __: Context) -> ListServicesResponse:
        await asyncio.sleep(0.005)
        return ListServicesResponse(next_page_token="x" * 100_000)

    aging.behaviours["ListServices"] = much
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "GRPC_AGE", 0.8)
        async with (
            run_gateway(tmp_path, grpc_endpoints=(aging.target,)) as gateway,
            gateway.channel() as channel,
        ):
            await asyncio.gather(*(ask_for(gateway, channel, seconds=4) for _ in range(8)))
    await aging.stop()
    assert len(aging.calls) > 50


async def ask_for(gateway: Gateway, channel: Any, seconds: float) -> None:
    """Repeat a call; raises its failure."""
    stub = gateway.stub(channel)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await stub.ListServices(ListServicesRequest(), metadata=gateway.metadata())
