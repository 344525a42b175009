"""Shared by the methods of the contract: backend, change requests, questions of page tokens."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from zimun.booking.availability import AnswerCache
from zimun.booking.change_request import ChangeRequest
from zimun.booking.reader import Reader
from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.domain.errors import InvalidRequest
from zimun.rpc.dispatch import caller, header, method
from zimun.rpc.page_tokens import PageTokens

Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")


@dataclass(frozen=True)
class Backend:
    """What the methods call."""

    store: LedgerStore
    reader: Reader
    writer: Writer
    pages: PageTokens
    answers: AnswerCache = field(default_factory=AnswerCache)


def change_request(request: Message, to_wire: Callable[[T], Message]) -> ChangeRequest:
    """Who asks for a change, by which method, under which Idempotency-Key."""
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


def question_of(request: Message) -> bytes:
    """What a page token belongs to: the caller's organization, the method, and its filters."""
    question = type(request)()
    question.CopyFrom(request)
    question.ClearField("page_token")
    question.ClearField("page_size")
    scope = f"{caller().org_id} {request.DESCRIPTOR.full_name} ".encode()
    return scope + question.SerializeToString(deterministic=True)
