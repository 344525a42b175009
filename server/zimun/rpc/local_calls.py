"""Calls of the server's methods from within its process, treated as calls from outside.

The interceptors and the dispatcher treat them as calls by gRPC: they are verified, admitted,
validated, counted and timed, and their errors are those of `error_status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

import grpc
from google.rpc.status_pb2 import Status

from zimun.domain.errors import OutcomeUnknown
from zimun.rpc.dispatch import Dispatcher, Handler
from zimun.rpc.error_status import status_of

Headers = Sequence[tuple[str, str]]
"""Names in lower case, and their values."""

_LATE = "the call took too long; repeat it with the same idempotency key to learn what became of it"

_Find = Callable[[Any], Awaitable[Any]]


class CallRefused(Exception):
    """The method returned an error, which `status` describes."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class LocalCalls:
    """Calls unary methods by their paths, by way of the server's interceptors."""

    def __init__(
        self, dispatcher: Dispatcher, interceptors: Sequence[grpc.aio.ServerInterceptor]
    ) -> None:
        async def find(details: Any) -> Handler:
            return dispatcher.service(details)

        self._find: _Find = find
        for interceptor in reversed(interceptors):
            self._find = partial(interceptor.intercept_service, self._find)

    async def call(self, path: str, request: bytes, headers: Headers, deadline: float) -> bytes:
        """The encoded response of a method; raises CallRefused.

        `deadline` is a time of the event loop, at which the call is cancelled, as gRPC cancels
        a call. The call is a task of its own, as the dispatcher sets context variables.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.create_task(self._call(path, request, headers, deadline))
        except TimeoutError as error:
            raise CallRefused(status_of(OutcomeUnknown(_LATE))) from error

    async def _call(self, path: str, request: bytes, headers: Headers, deadline: float) -> bytes:
        metadata = tuple(_Header(*header) for header in headers)
        handler = await self._find(_Details(path, metadata))
        context = _Context(request, metadata, deadline)
        response = await handler.stream_unary(None, context)
        if context.status is not None:
            raise CallRefused(context.status)
        encoded: bytes = handler.response_serializer(response)
        return encoded


class _Header(NamedTuple):
    """As the entries of gRPC's metadata, which have names."""

    key: str
    value: str


class _Details(NamedTuple):
    """As grpc.HandlerCallDetails."""

    method: str
    invocation_metadata: Headers


class _Context:
    """The part of grpc.aio.ServicerContext that the dispatcher and the interceptors use."""

    def __init__(self, request: bytes, headers: Headers, deadline: float) -> None:
        self._request, self._headers, self._deadline = request, headers, deadline
        self._code: grpc.StatusCode | None = None
        self.status: Status | None = None

    async def read(self) -> bytes:
        """The encoded request."""
        return self._request

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()
    ) -> NoReturn:
        """Keep the status of the error, which the dispatcher sends as trailing metadata."""
        del details
        self._code = code
        self.status = Status.FromString(dict(trailing_metadata)["grpc-status-details-bin"])
        raise grpc.aio.AbortError("the call is refused")

    def code(self) -> grpc.StatusCode | None:
        """The code of the error."""
        return self._code

    def details(self) -> str:
        """The message of the error."""
        return self.status.message if self.status else ""

    def invocation_metadata(self) -> Headers:
        """The headers of the call."""
        return self._headers

    def time_remaining(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def peer(self) -> str:
        """The name that gRPC gives to the same machine."""
        return "unix:"
