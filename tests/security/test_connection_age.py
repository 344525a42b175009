"""No call at the gRPC port lasts for longer than its connection may."""

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from zimun.clock import ManualClock
from zimun.rpc import server

from ..support.rpc import FRIDAY_MORNING, run_server

FASTER = 600
"""The options of the server give half a second and a tenth instead of 300 and 60 seconds."""


@pytest.mark.asyncio
@pytest.mark.one_store
async def test_calls_whose_request_never_comes_and_streams_end_with_their_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [
        (name, value // FASTER if "connection_age" in name else value)
        for name, value in server._OPTIONS
    ]
    monkeypatch.setattr(server, "_OPTIONS", options)
    async with (
        run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as zimun,
        grpc.aio.insecure_channel(zimun.target) as channel,
    ):
        method = "/zimun.v1.ServicesService/ListServices"
        silent: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(method)(timeout=30)
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert await silent.code() == grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in watching:
                pass
        assert await watching.code() == grpc.StatusCode.UNAVAILABLE
