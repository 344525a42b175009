"""The small client, against a channel whose other end the test plays (grpcio-testing)."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from zimun.client import error_info, with_headers
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import appointments_service_pb2_grpc
from zimun.v1.hold_pb2 import Hold

SERVICE = appointments_pb2.DESCRIPTOR.services_by_name["AppointmentsService"]
METHOD = SERVICE.methods_by_name["HoldAppointment"]


class Played:
    """A method of a played channel; grpcio-testing does not know the newest arguments of a call."""

    def __init__(self, method: Any) -> None:
        self._method = method

    def with_call(
        self, request: Any, wait_for_ready: object, compression: object, **options: Any
    ) -> Any:
        return self._method.with_call(request, **options)


class PlayedChannel:
    """What an interceptor needs of a channel, played by the test."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def unary_unary(self, *arguments: Any) -> Played:
        return Played(self._channel.unary_unary(*arguments))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


class Conversation:
    """A stub that calls on a thread, and the other end of its channel."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
        played: Any = PlayedChannel(self.channel)
        self._plain, self._dressed = (
            appointments_service_pb2_grpc.AppointmentsServiceStub(each)
            for each in (self.channel, with_headers(played, lambda: "the-token"))
        )

    def hold(self, dressed: bool = True, **metadata: str) -> "Future[Any]":
        request = appointments_pb2.HoldAppointmentRequest(service_id="s_1")
        sent = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
        stub = self._dressed if dressed else self._plain
        return self._pool.submit(stub.HoldAppointment, request, metadata=sent, timeout=5)

    def answer(self, code: grpc.StatusCode, *trailers: tuple[str, bytes]) -> dict[str, str]:
        """Answer the call and say which metadata came with it."""
        metadata, request, call = self.channel.take_unary_unary(METHOD)
        assert request.service_id == "s_1"
        call.send_initial_metadata(())
        call.terminate(Hold(hold_id="h_1"), trailers, code, "")
        return dict(metadata)


@pytest.fixture
def conversation() -> Iterator[Conversation]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield Conversation(pool)


def test_a_call_carries_the_token_and_a_key_of_its_own(conversation: Conversation) -> None:
    keys = set()
    for _ in range(2):
        call = conversation.hold()
        metadata = conversation.answer(grpc.StatusCode.OK)
        assert call.result().hold_id == "h_1"
        assert metadata["authorization"] == "Bearer the-token"
        keys.add(metadata["idempotency-key"])
    assert len(keys) == 2


def test_a_key_that_the_caller_chose_is_kept(conversation: Conversation) -> None:
    call = conversation.hold(idempotency_key="mine")
    assert conversation.answer(grpc.StatusCode.OK)["idempotency-key"] == "mine"
    assert call.result().hold_id == "h_1"


def test_a_refusal_tells_its_reason(conversation: Conversation) -> None:
    status = Status(code=10)
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason="SLOT_UNAVAILABLE", domain="zimun"))
    status.details.append(packed)
    call = conversation.hold(dressed=False)
    conversation.answer(
        grpc.StatusCode.ABORTED, ("grpc-status-details-bin", status.SerializeToString())
    )
    error = call.exception()
    assert isinstance(error, grpc.RpcError)
    info = error_info(error)
    assert info is not None
    assert info.reason == "SLOT_UNAVAILABLE"


def test_an_error_without_details_has_no_reason(conversation: Conversation) -> None:
    call = conversation.hold(dressed=False)
    conversation.answer(grpc.StatusCode.UNAVAILABLE)
    error = call.exception()
    assert isinstance(error, grpc.RpcError)
    assert error_info(error) is None
