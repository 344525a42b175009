"""Streams of callers without a token are limited for each address, and apart from other calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from zimun_gateway import routes
from zimun_gateway.clusters import MAX_OPEN_STREAMS
from zimun_gateway.rate_limits import REFLECTION, WATCH, Streams

from ..support.gateway import Gateway, run_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVING = health_pb2.HealthCheckResponse.SERVING
EVERYTHING = health_pb2.HealthCheckRequest()

FEW = Streams(burst=3, interval=10, lifetime=1.5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Envoy that trusts X-Forwarded-For, so that a test can have any number of addresses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "WATCH", FEW)
        async with run_gateway(tmp_path_factory.mktemp("envoy"), trusted_proxies=1) as gateway:
            yield gateway


def sent_from(address: str) -> tuple[tuple[str, str], ...]:
    return (("x-forwarded-for", address),)


@asynccontextmanager
async def watching(gateway: Gateway, number: int, address: str) -> AsyncIterator[list[Any]]:
    """Watch health several times; for each the first answer, or the code of the refusal."""
    async with gateway.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        calls = [stub.Watch(EVERYTHING, metadata=sent_from(address)) for _ in range(number)]
        yield await asyncio.gather(*map(first_answer, calls))


async def first_answer(call: Any) -> Any:
    try:
        return (await call.read()).status
    except grpc.aio.AioRpcError as error:
        return error.code()


async def checked(gateway: Gateway, address: str) -> Any:
    async with gateway.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return (await stub.Check(EVERYTHING, metadata=sent_from(address))).status


async def test_an_address_has_a_small_part_of_all_streams() -> None:
    assert WATCH.max_streams == 16
    assert max(WATCH.max_streams, REFLECTION.max_streams) <= MAX_OPEN_STREAMS // 8


async def test_an_address_that_watches_much_is_refused_and_no_other(gateway: Gateway) -> None:
    async with watching(gateway, 65, "192.0.2.1") as many:
        assert many.count(SERVING) == FEW.burst
        assert many.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 65 - FEW.burst
        async with watching(gateway, 1, "192.0.2.2") as one:
            assert one == [SERVING]
        assert await checked(gateway, "192.0.2.1") == SERVING
        assert (await gateway.get("/api/v1/services")).status == 200


NETWORKS = {
    "one IPv4 address": ("198.51.100.7", FEW.burst),
    "IPv4 addresses": ("198.51.101.{}", 6),
    "one IPv4 address, written as IPv6": ("::ffff:203.0.113.7", FEW.burst),
    "IPv4 addresses, written as IPv6": ("::ffff:203.0.114.{}", 6),
    "one IPv6 /64": ("2001:db8:1:1::{}", FEW.burst),
    "IPv6 networks": ("2001:db8:2:{}::1", 6),
}


@pytest.mark.parametrize("network", NETWORKS)
async def test_each_subscriber_has_a_limit_of_its_own(gateway: Gateway, network: str) -> None:
    address, admitted = NETWORKS[network]
    async with AsyncExitStack() as watches:
        found = [
            await watches.enter_async_context(watching(gateway, 1, address.format(number)))
            for number in range(6)
        ]
        assert found.count([SERVING]) == admitted


async def test_a_stream_ends_after_its_time(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        call = stub.Watch(EVERYTHING, metadata=sent_from("192.0.2.3"))
        assert await first_answer(call) == SERVING
        async with asyncio.timeout(5 * FEW.lifetime):
            with contextlib.suppress(grpc.aio.AioRpcError):
                assert await call.read() is grpc.aio.EOF
        assert call.done()


async def test_streams_without_a_token_do_not_delay_calls_with_one(gateway: Gateway) -> None:
    """Streams of reflection from many addresses; a channel carries a hundred of them."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(gateway.target, own) for _ in range(4)]
    calls = []
    for number in range(MAX_OPEN_STREAMS + 40):
        stub = reflection_pb2_grpc.ServerReflectionStub(channels[number % 4])
        address = sent_from(f"198.51.{number // 250}.{number % 250}")
        calls.append(stub.ServerReflectionInfo(metadata=address))
    asked = await asyncio.gather(*(is_answered(call) for call in calls))
    assert asked.count(True) == MAX_OPEN_STREAMS
    assert await checked(gateway, "192.0.2.4") == SERVING
    assert (await gateway.get("/api/v1/services")).status == 200
    for call in calls:
        call.cancel()
    for channel in channels:
        await channel.close()


async def is_answered(call: Any) -> bool:
    """Whether a stream of reflection, which stays open, gets its first answer."""
    try:
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        return await call.read() is not grpc.aio.EOF
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return False
