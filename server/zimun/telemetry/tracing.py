"""OpenTelemetry traces of calls, joined to Envoy's by W3C Trace Context in the metadata.

Nothing of OpenTelemetry is imported unless a collector is named (`zimun[tracing]` installs it).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import grpc

from zimun.rpc import validation

FLUSH_TIME = 2.0
"""Seconds for sending the last spans when the server stops."""


class TracingMissing(Exception):
    """A collector is set and OpenTelemetry is not installed; the message says what to install."""


@asynccontextmanager
async def tracing(
    endpoint: str, ratio: float
) -> AsyncIterator[tuple[grpc.aio.ServerInterceptor, ...]]:
    """The interceptor that traces the methods of the contract; none without an endpoint.

    Envoy decides for its callers whether a call is sampled; of direct calls
    without a trace context, the share `ratio` is. Raises TracingMissing.
    """
    if not endpoint:
        yield ()
        return
    provider = _provider(endpoint, ratio)
    try:
        yield (_interceptor(provider),)
    finally:
        await asyncio.to_thread(provider.force_flush, int(FLUSH_TIME * 1000))
        await asyncio.to_thread(provider.shutdown)


def _provider(endpoint: str, ratio: float) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as error:
        raise TracingMissing("ZIMUN_OTLP_ENDPOINT needs the extra zimun[tracing]") from error
    resource = Resource.create({"service.name": "zimun", "service.version": version("zimun")})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=FLUSH_TIME)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _interceptor(provider: Any) -> grpc.aio.ServerInterceptor:
    from opentelemetry.instrumentation import grpc as instrumentation

    methods = validation.required_scopes()
    make: Any = instrumentation.aio_server_interceptor
    interceptor: grpc.aio.ServerInterceptor = make(
        provider, filter_=lambda details: details.method in methods
    )
    return interceptor
