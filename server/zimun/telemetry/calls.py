"""Counts and times every call, and gives its log lines the request id."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

import grpc
from grpc import StatusCode

from zimun.histogram import Histogram
from zimun.rpc import validation
from zimun.rpc.dispatch import caller_or_none
from zimun.telemetry import logs

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Bounds of the latency histograms."""

MAX_SLOW_LINES = 10
"""Warnings of slow calls in a second, as under overload every call is slow."""

UNKNOWN_METHOD = "unknown"
"""The name under which calls of methods that do not exist are counted."""

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class MethodCalls:
    """The calls of one method (`package.Service/Method`): how many by code, and how long."""

    method: str
    codes: Counter[StatusCode] = field(default_factory=Counter)
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))


class CallObserver:
    """Counts and times unary calls; warns of those that take `slow_after` seconds (0: of none).

    It is the dispatcher's `Observer`. Streams (health Watch, reflection) are not counted: how long
    they take is for their callers to choose.
    """

    def __init__(self, slow_after: float = 0) -> None:
        self._slow_after = slow_after or float("inf")
        self._slow_lines = logs.Limiter(MAX_SLOW_LINES)
        names = (*validation.required_scopes(), "/grpc.health.v1.Health/Check")
        self._methods = {name: MethodCalls(name.removeprefix("/")) for name in names}
        self._unknown = MethodCalls(UNKNOWN_METHOD)
        self.active = 0
        self.enter_call = logs.enter_call

    @property
    def methods(self) -> list[MethodCalls]:
        """The calls of each method."""
        return [*self._methods.values(), self._unknown]

    def observed(self, path: str, handler: Handler) -> Handler:
        """The handler of a method, wrapped to observe its calls; unknown methods, whose path is
        empty, are counted together."""
        if handler.unary_unary is None:
            return handler
        return self._observe(self._methods.get(path, self._unknown), handler)

    def _observe(self, calls: MethodCalls, handler: Handler) -> Handler:
        run: Any = handler.unary_unary

        async def call(request: Any, context: Context) -> Any:
            begun, code = perf_counter(), None
            self.active += 1
            try:
                return await run(request, context)
            except asyncio.CancelledError:
                code = _code_of_cancelled(context)
                raise
            except Exception:
                code = context.code() or StatusCode.UNKNOWN
                raise
            finally:
                self.active -= 1
                self._count(calls, code or context.code() or StatusCode.OK, perf_counter() - begun)

        make: Any = grpc.unary_unary_rpc_method_handler
        observed: Handler = make(call, handler.request_deserializer, handler.response_serializer)
        return observed

    def _count(self, calls: MethodCalls, code: StatusCode, seconds: float) -> None:
        calls.codes[code] += 1
        calls.seconds.observe(seconds)
        if seconds >= self._slow_after:
            self._warn(calls.method, code, seconds)

    def _warn(self, method: str, code: StatusCode, seconds: float) -> None:
        left_out = self._slow_lines.admit()
        if left_out is None:
            return
        caller = caller_or_none()
        log.warning(
            "slow call: method=%s organization=%s code=%s seconds=%.3f%s",
            method,
            caller.org_id if caller else "",
            code.name,
            seconds,
            f" ({left_out} more were left out)" if left_out else "",
        )


def _code_of_cancelled(context: Context) -> StatusCode:
    """The code of a call that gRPC cancelled: its caller disconnected, or its deadline passed."""
    remaining = context.time_remaining()
    is_over = remaining is not None and remaining <= 0
    return StatusCode.DEADLINE_EXCEEDED if is_over else StatusCode.CANCELLED
