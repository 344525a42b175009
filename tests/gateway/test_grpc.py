"""gRPC and gRPC-Web through the same port."""

import asyncio
import base64
import struct
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from zimun.v1.services_service_pb2 import ListServicesRequest, ListServicesResponse

from ..support.gateway import Gateway
from ..support.gateway_stubs import Context

pytestmark = pytest.mark.asyncio(loop_scope="package")

LIST = "/zimun.v1.ServicesService/ListServices"


def reason(error: grpc.aio.AioRpcError) -> str:
    info = ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return str(info.reason)


async def failure(
    gateway: Gateway, request: ListServicesRequest | None = None, **options: Any
) -> grpc.aio.AioRpcError:
    async with gateway.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await gateway.stub(channel).ListServices(request or ListServicesRequest(), **options)
        return error.value


async def test_a_call_reaches_the_server(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        answer = await gateway.stub(channel).ListServices(
            ListServicesRequest(page_size=5), metadata=gateway.metadata()
        )
    assert answer == ListServicesResponse()
    assert gateway.server.last().request.page_size == 5


@pytest.mark.parametrize("forged", [(), (("x-envoy-original-path", "/api/v1/services"),)])
async def test_a_call_without_a_token_is_refused(
    gateway: Gateway, forged: tuple[tuple[str, str], ...]
) -> None:
    error = await failure(gateway, metadata=forged)
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
    assert reason(error) == "TOKEN_INVALID"
    assert gateway.server.calls == []


async def test_a_token_for_another_audience_is_refused(gateway: Gateway) -> None:
    error = await failure(gateway, metadata=gateway.metadata(aud="somebody"))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_the_deadline_of_the_caller_or_else_of_the_gateway_applies(gateway: Gateway) -> None:
    """The caller's reaches the server; without one the gateway's holds."""

    async def wait(_: Any, __: Context) -> ListServicesResponse:
        await asyncio.Event().wait()
        raise AssertionError

    gateway.server.behaviours["ListServices"] = wait
    error = await failure(gateway, metadata=gateway.metadata(), timeout=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    remaining = gateway.server.last().time_remaining
    assert remaining is not None
    assert remaining < 0.25
    error = await failure(gateway, metadata=gateway.metadata())
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert gateway.server.last().time_remaining


async def test_a_request_beyond_the_limit_is_refused(gateway: Gateway) -> None:
    large = ListServicesRequest(page_token="x" * 300_000)
    error = await failure(gateway, large, metadata=gateway.metadata())
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_REFUSED")


@pytest.mark.parametrize(
    "path", ["/zimun.v1.ServicesService/Nope", "/nope.X/Y", "/api/v1/services"]
)
async def test_unknown_methods_are_unimplemented(gateway: Gateway, path: str) -> None:
    async with gateway.channel() as channel:
        method: Any = channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await method(b"", metadata=gateway.metadata())
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_health_needs_no_token(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_grpcurl_needs_no_token_to_look_around(gateway: Gateway, repository: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        repository / ".venv/bin/grpcurl",
        *("-plaintext", gateway.target, "list"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await program.communicate()
    assert b"zimun.v1.AppointmentsService" in output


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text"])
async def test_grpc_web_calls_reach_the_server_with_a_token_alone(
    gateway: Gateway, kind: str
) -> None:
    frame = b"\0" + struct.pack(">I", 0)
    body = base64.b64encode(frame) if kind.endswith("text") else frame
    headers = {"Content-Type": kind}
    answer = await gateway.post(LIST, body, gateway.bearer() | headers)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert gateway.server.last().method == "ListServices"
    refused = await gateway.post(LIST, body, headers)
    assert refused.headers["grpc-status"] == "16"
    assert refused.headers["grpc-status-details-bin"]
