"""Calls of methods by the server itself."""

import asyncio
from typing import Any, cast

import grpc
import pytest

from zimun.rpc.dispatch import Dispatcher
from zimun.rpc.local_calls import CallRefused, LocalCalls


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
