"""Dispatch of every gRPC call: authorization, admission, validation, and the status of errors."""

from __future__ import annotations

import contextvars
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from zimun.booking.deferred_commands import leave_queue
from zimun.booking.pause import next_step
from zimun.domain.errors import InvalidRequest, Overloaded, ScopeMissing, TokenInvalid, ZimunError
from zimun.domain.identity import Caller
from zimun.rpc import error_status, validation
from zimun.rpc.admission import Admission, CallType, metered

Verify = Callable[[str], Awaitable[Caller]]
"""Returns the caller of a bearer token; raises TokenInvalid."""

Context = grpc.aio.ServicerContext[Any, Any]

Metadata = Sequence[tuple[str, str | bytes]]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Observer(Protocol):
    """Observes calls; an interceptor would cost each call two coroutines more."""

    def enter_call(self, metadata: Metadata) -> None:
        """Note the metadata of a call, in its context, before anything else."""

    def observed(self, path: str, handler: Handler) -> Handler:
        """Wrap a method's handler to observe its calls; `path` is empty for unknown methods."""


_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller")
_method: contextvars.ContextVar[str] = contextvars.ContextVar("method")
_metadata: contextvars.ContextVar[Metadata] = contextvars.ContextVar("metadata")


def caller() -> Caller:
    """The caller of the running method."""
    return _caller.get()


def caller_or_none() -> Caller | None:
    """The caller of this task's call; None before the token has been verified."""
    return _caller.get(None)


def method() -> str:
    """The name of the method that is running, without its service."""
    return _method.get()


class Dispatcher(grpc.GenericRpcHandler):
    """Calls methods of the contract, for callers whose token is valid and has the method's scope.

    Tokens are verified here although Envoy verifies them as well: a caller may
    connect to the gRPC port directly. Health and reflection need no token. A
    method of the contract without a declared scope keeps the server from starting.
    """

    def __init__(
        self,
        verify: Verify,
        admission: Admission,
        handlers: Mapping[str, Handler],
        observer: Observer,
    ) -> None:
        self._verify, self._admission, self._enter_call = verify, admission, observer.enter_call
        by_path = {path: decoding(handler) for path, handler in handlers.items()}
        for path, scope in validation.required_scopes().items():
            by_path[path] = self._authorized(path, handlers[path], scope)
        self._handlers = {
            path: _reading(observer.observed(path, handler)) for path, handler in by_path.items()
        }
        self._unknown = _reading(observer.observed("", _UNKNOWN))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """The handler of a method; to be asked as a call begins, in the context of the call."""
        self._admission.arrivals += 1
        metadata: Metadata = handler_call_details.invocation_metadata
        self._enter_call(metadata)
        _metadata.set(metadata)
        return self._handlers.get(handler_call_details.method, self._unknown)

    def _authorized(self, path: str, handler: Handler, scope: str) -> Handler:
        """A handler that authorizes, admits and validates a request before its method runs."""
        name = path.rpartition("/")[2]
        call_type = CallType.WRITE if scope.endswith(":write") else CallType.READ
        decode: Any = handler.request_deserializer
        run: Any = handler.unary_unary

        async def serve(raw: bytes, context: Context) -> bytes | Message:
            request = _decode(decode, raw)
            for field_scope in validation.scopes_of(request):
                _require(_caller.get(), field_scope)
            validation.check(request)
            _method.set(name)
            response: bytes | Message = await run(request, context)
            return response

        async def call(raw: bytes, context: Context) -> bytes | Message:
            try:
                admitted = self._admission.admit(call_type, await self._authorize(scope))
                if admitted.waiting:
                    await admitted.begin()
                next_step.set(admitted.step)
                leave_queue.set(admitted.leave_queue)
                try:
                    return await metered(serve(raw, context), admitted.charge)
                finally:
                    admitted.finish()
            except ZimunError as error:
                status, headers = error_status.status_of(error), _headers(error)
            except Exception as error:
                status, headers = error_status.internal_error(error), ()
            return await _refuse(context, status, headers)

        return _handler(grpc.unary_unary_rpc_method_handler, call, _encode)

    async def _authorize(self, scope: str) -> str:
        """Set the caller; returns its organization. Raises TokenInvalid or ScopeMissing."""
        caller_of_token = await self._verify(bearer_token(_authorization()))
        _require(caller_of_token, scope)
        _caller.set(caller_of_token)
        return caller_of_token.org_id


def bearer_token(authorization: str) -> str:
    """The token of an Authorization header (RFC 6750, 2.1); raises TokenInvalid."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenInvalid("a bearer token is required")
    return token.strip()


def _require(caller_of_token: Caller, scope: str) -> None:
    """Raise ScopeMissing where a caller does not have a scope."""
    if scope not in caller_of_token.scopes:
        raise ScopeMissing(scope)


def _handler(make: Any, call: Callable[[Any, Context], Any], encode: Any) -> Handler:
    """A handler that `make` of grpc makes: it gets encoded requests, and encodes responses."""
    return cast("Handler", make(call, response_serializer=encode))


async def _refuse_unknown_method(_: bytes, context: Context) -> bytes:
    return await _refuse(context, error_status.UNKNOWN_METHOD, ())


def header(name: str) -> str:
    """The value of a header (lower-case name) of the running call; empty without the header.

    Raises InvalidRequest where it is repeated, as a proxy may have read another of the values, and
    where it is there without a value.
    """
    values = [value for key, value in _metadata.get() if key == name]
    if len(values) > 1:
        raise InvalidRequest({name: "must not be there more than once"})
    if values == [""]:
        raise InvalidRequest({name: "must not be empty"})
    value = values[0] if values else ""
    return value if isinstance(value, str) else value.decode("ascii", "replace")


def _authorization() -> str:
    try:
        return header("authorization")
    except InvalidRequest as error:
        raise TokenInvalid(f"the header {error.message}") from error


def decoding(handler: Handler) -> Handler:
    """A handler that answers INVALID_ARGUMENT to a malformed message; grpc.aio answers UNKNOWN."""
    if handler.stream_stream:
        return _decoding_stream(handler)
    run: Any = handler.unary_unary or handler.unary_stream

    async def call(raw: bytes, context: Context) -> Any:
        try:
            request = _decode(handler.request_deserializer, raw)
        except InvalidRequest as error:
            return await _refuse(context, error_status.status_of(error), ())
        return await run(request, context)

    make: Any = grpc.unary_unary_rpc_method_handler
    if handler.unary_stream:
        make = grpc.unary_stream_rpc_method_handler
    return _handler(make, call, handler.response_serializer)


def _decoding_stream(handler: Handler) -> Handler:
    run: Any = handler.stream_stream

    async def decoded(requests: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for raw in requests:
            yield _decode(handler.request_deserializer, raw)

    async def call(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
        try:
            async for response in run(decoded(requests), context):
                yield response
        except InvalidRequest as error:
            await _refuse(context, error_status.status_of(error), ())

    return _handler(grpc.stream_stream_rpc_method_handler, call, handler.response_serializer)


def _reading(handler: Handler) -> Handler:
    """A handler of a unary method that reads the request itself.

    grpc.aio never answers a unary call whose caller ends its stream before a whole message: such
    calls would keep their places in Envoy's limit of requests until they time out.
    """
    if handler.unary_unary is None:
        return handler
    run: Any = handler.unary_unary

    async def call(_: object, context: Context) -> Any:
        return await run(await context.read(), context)

    return _handler(grpc.stream_unary_rpc_method_handler, call, handler.response_serializer)


def _decode(deserialize: Any, raw: object) -> Message:
    if raw is grpc.aio.EOF:
        raise InvalidRequest({"request": "is missing or ends early"})
    try:
        message: Message = deserialize(raw)
        return message
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest({"request": "is not a message of this method"}) from error


def _encode(response: bytes | Message) -> bytes:
    """The bytes of a response; changes answer bytes, which are stored for their Idempotency-Key."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _headers(error: ZimunError) -> tuple[tuple[str, str], ...]:
    """The headers of an error for HTTP clients: WWW-Authenticate (RFC 6750), Retry-After."""
    if isinstance(error, TokenInvalid):
        return (("www-authenticate", 'Bearer error="invalid_token"'),)
    if isinstance(error, Overloaded):
        return (("retry-after", str(math.ceil(error.retry_after))),)
    return ()


async def _refuse(context: Context, status: Status, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Abort the call with a status; the bytes that are returned are never sent."""
    details = ("grpc-status-details-bin", status.SerializeToString())
    try:
        await context.abort(_CODES[status.code], status.message, (details, *headers))
    except grpc.aio.AbortError as error:
        # The call keeps the error, whose traceback would keep the call: thousands of them would
        # wait for the garbage collector, which then stops the server for a fifth of a second.
        error.__traceback__ = None
    except grpc.aio.InternalError:
        # The caller has gone. grpc finds the call ended by the abort, whatever became of it.
        pass
    return b""


_UNKNOWN = _handler(grpc.unary_unary_rpc_method_handler, _refuse_unknown_method, _encode)

_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
