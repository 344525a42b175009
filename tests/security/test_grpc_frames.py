"""Malformed messages are INVALID_ARGUMENT at the gRPC port, at methods without a token, too."""

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from .attacks import AttackCounter
from .target import Target

NO_MESSAGE = [b"\x0a\xff", b"\xff", b"\x0a\x05ab", b"\x08", b"\x0a\x02\xff\xfe"]
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

pytestmark = pytest.mark.one_store


def begin(channel: grpc.Channel, path: str, message: bytes) -> object:
    """Call a method with bytes and wait for its first answer; raises RpcError."""
    if path == REFLECT:
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
        return next(stream(iter([message]), timeout=10))
    if path.endswith("/Watch"):
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
        return next(watch(message, timeout=10))
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return call(message, timeout=10)


@pytest.mark.parametrize("message", NO_MESSAGE)
@pytest.mark.parametrize(
    "path", ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", REFLECT]
)
def test_a_malformed_message_to_a_method_without_a_token_is_an_invalid_argument(
    target: Target, path: str, message: bytes, attacks: AttackCounter
) -> None:
    with (
        grpc.insecure_channel(target.program.grpc_target) as channel,
        pytest.raises(grpc.RpcError) as failed,
    ):
        begin(channel, path, message)
    found = rpc_status.from_call(failed.value)
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    info = ErrorInfo()
    assert found.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INVALID_FIELD", "zimun")
    attacks.count("gRPC, no message")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("grpc-encoding", "snappy"), grpc.StatusCode.INTERNAL),
        (("x-long", "a" * 80_000), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_headers_that_grpc_itself_refuses_get_an_answer_without_a_token_or_a_trace(
    target: Target, header: tuple[str, str], code: grpc.StatusCode
) -> None:
    """SECURITY.md says so; no code of ours runs for such a call."""
    logged = len(target.program.output())
    with grpc.insecure_channel(target.program.grpc_target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/zimun.v1.ServicesService/ListServices"
        )
        with pytest.raises(grpc.RpcError) as failed:
            call(b"", metadata=(header,), timeout=10)
        assert (failed.value.code(), rpc_status.from_call(failed.value)) == (code, None)
        with pytest.raises(grpc.RpcError) as after:
            call(b"", timeout=10)
        assert after.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "Traceback" not in target.program.output()[logged:]
