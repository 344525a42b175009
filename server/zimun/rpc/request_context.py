"""What servicer methods share: their dependencies, change requests, page requests."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import Message

from zimun.booking.availability import AvailabilityCache
from zimun.booking.change_request import ChangeRequest
from zimun.booking.reader import Reader
from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.domain.commands import Command
from zimun.domain.errors import InvalidRequest
from zimun.rpc.dispatch import caller, header, method
from zimun.rpc.page_tokens import PageRequest, PageTokens, page_size

Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")
M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Dependencies:
    """What servicer methods depend on: store, reader, writer, page tokens, cache."""

    store: LedgerStore
    reader: Reader
    writer: Writer
    pages: PageTokens
    availability_cache: AvailabilityCache = field(default_factory=AvailabilityCache)

    def submit(
        self, request: Message, command: Command, to_wire: Callable[[Any], M]
    ) -> Awaitable[M]:
        """The encoded response to a change: a request repeated with its key gets the same bytes."""
        change = change_request(request, to_wire)
        return cast("Awaitable[M]", self.writer.submit(change, command))

    def page_request(self, request: Any) -> PageRequest:
        """The page that a list request asks for; raises InvalidRequest."""
        size, query = page_size(request.page_size), _list_query(request)
        return PageRequest(size, query, self.pages.read(request.page_token, query))


def typed(encoded: bytes, _: type[M]) -> M:
    """An encoded response, typed as the message: the dispatcher sends bytes as they are."""
    return cast("M", encoded)


def change_request(request: Message, to_wire: Callable[[T], Message]) -> ChangeRequest:
    """The change request of a call: its caller, method, Idempotency-Key and encoder."""
    key = header("idempotency-key")
    if len(key) > 255:
        raise InvalidRequest({"idempotency-key": "must have at most 255 characters"})
    return ChangeRequest(
        caller=caller(),
        method=method(),
        key=key,
        fingerprint=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
        encode=lambda answer: to_wire(answer).SerializeToString(deterministic=True),
    )


def _list_query(request: Message) -> bytes:
    """The list query that a page token is for: the organization, the method and the filters."""
    filters = type(request)()
    filters.CopyFrom(request)
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    list_of = f"{caller().org_id} {request.DESCRIPTOR.full_name} ".encode()
    return list_of + filters.SerializeToString(deterministic=True)
