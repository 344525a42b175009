"""The clients: a blocking one and one for asyncio."""

import asyncio
import copy
import uuid
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast, get_type_hints

import grpc
from google.protobuf.message import Message

from . import groups
from .channel import OPTIONS
from .credentials import ClientCredentials
from .errors import Unauthenticated, error_of, error_of_tokens
from .methods import AsyncGroup, SyncGroup

DEFAULT_TIMEOUT = 10.0
"""Seconds that a call may take, its repetitions included."""

R = TypeVar("R", bound=Message)


class _Options:
    """What every call of a client has."""

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

    def _metadata(self) -> Callable[[str], tuple[tuple[str, str], ...]]:
        """The metadata of a call and its repetition, by the token."""
        key = ("idempotency-key", self.idempotency_key or str(uuid.uuid4()))
        return lambda token: (("authorization", f"Bearer {token}"), key)


def _token(tokens: Callable[[], str]) -> str:
    """A token; raises a ClientError where there is none."""
    try:
        return tokens()
    except OSError as failed:
        raise error_of_tokens(failed) from failed


def _forgot(tokens: Callable[[], str], refused: str) -> bool:
    """Whether there may be another token than the refused one, which is forgotten."""
    if not isinstance(tokens, ClientCredentials):
        return False
    tokens.forget(refused)
    return True


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
        """`target` is host:port of the gRPC port or of Envoy; give `credentials` for TLS."""
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

        def send(token: str) -> R:
            try:
                answer: R = method(request, timeout=self.timeout, metadata=metadata(token))
            except grpc.RpcError as failed:
                raise error_of(failed) from failed
            return answer

        metadata, token = self._metadata(), _token(self._tokens)
        try:
            return send(token)
        except Unauthenticated:
            if not _forgot(self._tokens, token):
                raise
        return send(_token(self._tokens))

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
        """As `Client`. Tokens are got on a thread."""
        self._tokens = tokens
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

        async def send(token: str) -> R:
            try:
                answer: R = await method(request, timeout=self.timeout, metadata=metadata(token))
            except grpc.RpcError as failed:
                raise error_of(failed) from failed
            return answer

        metadata, token = self._metadata(), await asyncio.to_thread(_token, self._tokens)
        try:
            return await send(token)
        except Unauthenticated:
            if not await asyncio.to_thread(_forgot, self._tokens, token):
                raise
        return await send(await asyncio.to_thread(_token, self._tokens))

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
