"""Calls of methods by the server itself."""

import asyncio
from typing import Any, cast

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zimun.rpc.dispatch import Dispatcher
from zimun.rpc.local_calls import CallRefused, LocalCalls
from zimun.telemetry import tracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Stuck:
    """A dispatcher whose method never answers; `left` is the time that it had when cancelled."""

    left: float | None = None

    def service(self, _: grpc.HandlerCallDetails) -> Any:
        make: Any = grpc.stream_unary_rpc_method_handler
        return make(self._wait)

    async def _wait(self, _: None, context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.left = context.time_remaining()


async def test_call_that_takes_too_long_is_cancelled_with_deadline_exceeded() -> None:
    stuck = Stuck()
    calls = LocalCalls(cast("Dispatcher", stuck), [])
    deadline = asyncio.get_running_loop().time() + 0.01
    with pytest.raises(CallRefused) as refused:
        await asyncio.wait_for(calls.call("/x/Y", b"", [], deadline), 5)
    assert refused.value.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert stuck.left == 0


class Echo:
    """A dispatcher whose method answers its request."""

    def service(self, _: grpc.HandlerCallDetails) -> Any:
        make: Any = grpc.stream_unary_rpc_method_handler
        return make(self._answer, response_serializer=bytes)

    async def _answer(self, _: None, context: Any) -> Any:
        return await context.read()


async def test_call_belongs_to_the_trace_of_its_headers() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    calls = LocalCalls(cast("Dispatcher", Echo()), [tracing._interceptor(provider)])
    headers = [("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01")]
    deadline = asyncio.get_running_loop().time() + 5
    path = "/zimun.v1.ServicesService/ListServices"
    assert await calls.call(path, b"request", headers, deadline) == b"request"
    [span] = exporter.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == TRACE_ID
