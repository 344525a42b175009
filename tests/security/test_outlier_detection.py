"""Callers cannot have Envoy eject a server: no status of a response counts against it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from zimun.v1.services_service_pb2 import ListServicesRequest, ListServicesResponse

from ..support.gateway import Gateway, run_gateway
from ..support.gateway_stubs import Context, StubServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 60
"""Several times the calls that once had both servers ejected."""

UNDECLARED = "/zimun.v1.ServicesService/NoSuchMethod"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Envoy in front of two servers, the second of which answers as a test configures it."""
    second = StubServer()
    await second.start()
    async with run_gateway(tmp_path_factory.mktemp("envoy"), also_grpc=(second.target,)) as gateway:
        gateway.server.behaviours = second.behaviours
        yield gateway
    await second.stop()


async def ejections(gateway: Gateway) -> dict[str, int]:
    """Envoy's counters of ejections, of every cluster."""
    stats = await gateway.admin(
        r"/stats?filter=outlier_detection.ejections_(enforced_total|active)$"
    )
    return {name: int(value) for name, value in (line.split(": ") for line in stats.splitlines())}


async def attempt(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_calls_of_unknown_methods_eject_no_server(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        method: Any = channel.unary_unary(UNDECLARED)
        codes = [await attempt(method(b"", metadata=gateway.metadata())) for _ in range(CALLS)]
    assert set(codes) == {grpc.StatusCode.UNIMPLEMENTED}
    assert set((await ejections(gateway)).values()) == {0}


async def test_health_checks_of_unknown_services_eject_no_server(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        ask = health_pb2_grpc.HealthStub(channel)
        unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
        codes = [await attempt(ask.Check(unknown)) for _ in range(CALLS)]
        undeclared: Any = channel.unary_unary("/grpc.health.v1.Health/NoSuchMethod")
        await asyncio.gather(*(attempt(undeclared(b"")) for _ in range(CALLS)))
    assert set(codes) == {grpc.StatusCode.NOT_FOUND}
    assert set((await ejections(gateway)).values()) == {0}


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE])
async def test_responses_of_any_status_eject_no_server(
    gateway: Gateway, code: grpc.StatusCode
) -> None:
    """A caller who makes a server fail, or overloads it, affects its own calls only."""

    async def fail(_: Any, context: Context) -> Message:
        await context.abort(code)
        raise AssertionError

    gateway.server.behaviours["ListServices"] = fail
    async with gateway.channel() as channel:
        method = gateway.stub(channel).ListServices
        for _ in range(CALLS):
            assert await attempt(method(ListServicesRequest(), metadata=gateway.metadata())) == code
    gateway.server.behaviours.clear()
    assert set((await ejections(gateway)).values()) == {0}


async def test_the_last_server_is_never_ejected(tmp_path: Any) -> None:
    """Also when it cannot be reached at all: it answers as soon as it is there again."""
    async with run_gateway(tmp_path) as gateway:
        port = int(gateway.server.target.rpartition(":")[2])
        await gateway.server.stop()
        async with gateway.channel() as channel:
            method = gateway.stub(channel).ListServices
            for _ in range(10):
                code = await attempt(method(ListServicesRequest(), metadata=gateway.metadata()))
                assert code == grpc.StatusCode.UNAVAILABLE
            assert set((await ejections(gateway)).values()) == {0}
            await gateway.server.start(port)
            answer = await method(ListServicesRequest(), metadata=gateway.metadata())
            assert answer == ListServicesResponse()
