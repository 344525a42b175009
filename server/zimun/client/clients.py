"""The clients: a blocking one and one for asyncio."""

import asyncio
import copy
import uuid
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Self, TypeVar, cast, get_type_hints

import grpc
from google.protobuf.message import Message

from . import groups
from .channel import OPTIONS
from .credentials import ClientCredentials
from .errors import Unauthenticated, error_of, no_token_in_time
from .methods import AsyncGroup, SyncGroup

DEFAULT_TIMEOUT = 10.0
"""Seconds that a call may take, its repetitions and requests for tokens included."""

R = TypeVar("R", bound=Message)


class _Options:
    """Options of every call."""

    timeout: float = DEFAULT_TIMEOUT
    idempotency_key: str = ""

    def with_options(
        self, *, timeout: float | None = None, idempotency_key: str | None = None
    ) -> Self:
        """A client on the same channel: `timeout` in seconds for each of its calls, and the key
        of all its changes, which is for one change and its repetitions."""
        other = copy.copy(self)
        other.timeout = self.timeout if timeout is None else timeout
        other.idempotency_key = idempotency_key or self.idempotency_key
        other._make_groups()
        return other

    def _make_groups(self) -> None:
        """Set each attribute that is declared as a group."""
        for name, kind in get_type_hints(type(self)).items():
            if isinstance(kind, type) and issubclass(kind, SyncGroup | AsyncGroup):
                setattr(self, name, kind(cast("Any", self)))


class _Call:
    """The deadline and the key of a call, which its repetition with another token shares."""

    def __init__(self, options: _Options) -> None:
        self._deadline = monotonic() + options.timeout
        self._key = options.idempotency_key or str(uuid.uuid4())

    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._deadline - monotonic())

    def arguments(self, token: str) -> dict[str, Any]:
        """What gRPC gets beside the request."""
        metadata = (("authorization", f"Bearer {token}"), ("idempotency-key", self._key))
        return {"timeout": self.seconds_left(), "metadata": metadata}


def _forget(tokens: Callable[[], str], refused: str) -> bool:
    """Have the source forget a token that was refused; whether it can."""
    forget = getattr(tokens, "forget", None)
    if forget is None:
        return False
    forget(refused)
    return True


class _AsyncTokens:
    """The tokens of a source for asyncio, which all clients of one channel share."""

    def __init__(self, source: Callable[[], str]) -> None:
        self.source = source
        self._renewal: asyncio.Future[str] | None = None

    async def get(self, seconds_left: float) -> str:
        """The current token at once, or one got on a thread."""
        current: Callable[[], str | None] | None = getattr(self.source, "current", None)
        if current is None:
            return await asyncio.to_thread(self.source)
        return current() or await self._renew(seconds_left)

    async def _renew(self, seconds_left: float) -> str:
        """The next token; calls at the same time share the request for it."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().run_in_executor(None, self.source)
            self._renewal.add_done_callback(_retrieve_error)
        renewal = self._renewal
        await asyncio.wait([renewal], timeout=seconds_left)
        if not renewal.done():
            raise no_token_in_time()
        return renewal.result()


def _retrieve_error(done: asyncio.Future[str]) -> None:
    """Keep asyncio from logging an error for which no call waits any more."""
    if not done.cancelled():
        done.exception()


class Client(_Options):
    """Calls Zimun and waits for its answers; threads may share it."""

    services: groups.Services
    staff: groups.Staff
    resources: groups.Resources
    locations: groups.Locations
    overrides: groups.Overrides
    time_off: groups.ClientTimeOff
    organization: groups.OrganizationSettings
    availability: groups.Availability
    appointments: groups.Appointments
    contacts: groups.Contacts

    def __init__(
        self,
        target: str,
        tokens: Callable[[], str],
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """`target` is host:port of the gRPC port or of Envoy; give `credentials` for TLS.

        `tokens` is a ClientCredentials or another function that returns a token. Errors of
        another function reach the caller as they are; its time is part of the call's timeout,
        which does not end it. Where it has a method `forget`, that is called with a refused
        token, and the call is sent once more.
        """
        self._tokens = tokens
        self._channel = (
            grpc.secure_channel(target, credentials, OPTIONS)
            if credentials
            else grpc.insecure_channel(target, OPTIONS)
        )
        self._make_groups()

    def call(self, path: str, request: Message, response: type[R]) -> R:
        """Send one call; raises a ClientError."""
        method = self._channel.unary_unary(
            path, type(request).SerializeToString, response.FromString
        )
        call = _Call(self)
        token = self._token(call)
        try:
            return self._send(method, request, call.arguments(token))
        except Unauthenticated:
            if not _forget(self._tokens, token):
                raise
        token = self._token(call)
        return self._send(method, request, call.arguments(token))

    def _token(self, call: _Call) -> str:
        if isinstance(self._tokens, ClientCredentials):
            return self._tokens(call.seconds_left())
        return self._tokens()

    def _send(self, method: Callable[..., R], request: Message, arguments: dict[str, Any]) -> R:
        try:
            return method(request, **arguments)
        except grpc.RpcError as failed:
            raise error_of(failed) from failed

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Options):
    """Calls Zimun on asyncio's event loop; tasks may share it."""

    services: groups.AsyncServices
    staff: groups.AsyncStaff
    resources: groups.AsyncResources
    locations: groups.AsyncLocations
    overrides: groups.AsyncOverrides
    time_off: groups.AsyncTimeOff
    organization: groups.AsyncOrganizationSettings
    availability: groups.AsyncAvailability
    appointments: groups.AsyncAppointments
    contacts: groups.AsyncContacts

    def __init__(
        self,
        target: str,
        tokens: Callable[[], str],
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """As `Client`. `tokens` is called on a thread.

        Where it has a method `current`, which returns a token or None at once, it is called only
        after None, and calls at the same time share the token that it returns.
        """
        self._tokens = _AsyncTokens(tokens)
        self._channel = (
            grpc.aio.secure_channel(target, credentials, OPTIONS)
            if credentials
            else grpc.aio.insecure_channel(target, OPTIONS)
        )
        self._make_groups()

    async def call(self, path: str, request: Message, response: type[R]) -> R:
        """Send one call; raises a ClientError."""
        method: Any = self._channel.unary_unary(
            path, type(request).SerializeToString, response.FromString
        )
        call = _Call(self)
        token = await self._tokens.get(call.seconds_left())
        try:
            return await self._send(method, request, call.arguments(token))
        except Unauthenticated:
            if not await asyncio.to_thread(_forget, self._tokens.source, token):
                raise
        token = await self._tokens.get(call.seconds_left())
        return await self._send(method, request, call.arguments(token))

    async def _send(
        self, method: Callable[..., Awaitable[R]], request: Message, arguments: dict[str, Any]
    ) -> R:
        try:
            return await method(request, **arguments)
        except grpc.RpcError as failed:
            raise error_of(failed) from failed

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
