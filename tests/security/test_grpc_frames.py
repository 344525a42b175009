"""What gRPC and Zimun answer to malformed messages and headers at the gRPC port."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, PingAckReceived, ResponseReceived, TrailersReceived
from h2.exceptions import ProtocolError

from zimun import app
from zimun.clock import ManualClock
from zimun.rpc.server import RpcServer
from zimun.v1.services_service_pb2 import ListServicesRequest

from ..support.processes import until
from ..support.rpc import FRIDAY_MORNING, run_server, seed
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


LIST = "/zimun.v1.ServicesService/ListServices"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (("grpc-encoding", "snappy"), grpc.StatusCode.INTERNAL),
        (("grpc-timeout", "abc"), grpc.StatusCode.INTERNAL),
        (("x-short", "a"), grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_headers_that_grpc_itself_refuses_are_answered_in_its_words(
    target: Target, header: tuple[str, str], code: grpc.StatusCode
) -> None:
    """SECURITY.md says so; no code of ours runs for such a call."""
    headers = answer(target.program.grpc_port, header)
    assert int(headers["grpc-status"]) == code.value[0]
    is_ours = code is grpc.StatusCode.UNAUTHENTICATED
    assert ("grpc-status-details-bin" in headers) == is_ours


def test_headers_of_more_than_64_kib_are_refused_by_grpc_itself(target: Target) -> None:
    with grpc.insecure_channel(target.program.grpc_target) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)
        with pytest.raises(grpc.RpcError) as failed:
            call(b"", metadata=(("x-long", "a" * 80_000),), timeout=10)
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rpc_status.from_call(failed.value) is None


@pytest.mark.parametrize("sent", [b"", b"\0", bytes(4), b"\0\0\0\0\x09abc"])
@pytest.mark.parametrize("port", ["port", "grpc_port"])
def test_a_call_without_a_whole_message_is_answered_at_once(
    target: Target, port: str, sent: bytes, attacks: AttackCounter
) -> None:
    """It would keep its place in Envoy's limit of requests: a few hundred stop the service."""
    bearer = ("authorization", f"Bearer {target.token()}")
    headers = answer(getattr(target.program, port), bearer, sent)
    assert int(headers["grpc-status"]) == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "request: is missing or ends early" in headers["grpc-message"]
    assert "grpc-status-details-bin" in headers
    attacks.count("gRPC, no whole message")


HEALTH = "/grpc.health.v1.Health/Check"


@pytest.mark.parametrize("te", [None, "TRAILERS"])
@pytest.mark.parametrize("path", [LIST, HEALTH])
def test_a_call_through_envoy_needs_no_te_header(
    target: Target, path: str, te: str | None, attacks: AttackCounter
) -> None:
    """gRPC's server resets its stream, which Envoy would repeat and then tell as a lost answer."""
    bearer = ("authorization", f"Bearer {target.token()}")
    headers = answer(target.program.port, bearer, path=path, te=te)
    assert headers["grpc-status"] == "0"
    attacks.count("gRPC, no te header")


def test_a_path_that_is_not_utf_8_does_not_close_the_port(
    target: Target, attacks: AttackCounter
) -> None:
    """The main loop of grpc.aio's server ends there."""
    bearer = ("authorization", f"Bearer {target.token()}")
    for _ in range(3):
        with contextlib.suppress(AssertionError, ConnectionError, ProtocolError):
            answer(target.program.grpc_port, bearer, path="/zimun.v1.\udcff/A")
        with grpc.insecure_channel(target.program.grpc_target) as channel:
            until("the port to be served again", partial(is_served, channel, bearer))
        assert answer(target.program.port, bearer)["grpc-status"] == "0"
        attacks.count("gRPC, path that is not UTF-8")


async def test_a_port_that_is_taken_meanwhile_is_served_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    class Crowded(RpcServer):
        """Its port is another program's when it listens for the second time."""

        async def _listen(self, host: str, port: int, credentials: Any) -> None:
            tries.append(port)
            with (
                socket.create_server((host, port)) if len(tries) == 2 else contextlib.nullcontext()
            ):
                await super()._listen(host, port, credentials)

    monkeypatch.setattr(app, "RpcServer", Crowded)
    async with run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as zimun:
        await seed(zimun.stores.writer)
        port = int(zimun.target.rpartition(":")[2])
        with contextlib.suppress(AssertionError, ConnectionError, ProtocolError):
            await asyncio.to_thread(answer, port, zimun.bearer()[0], path="/zimun.v1.\udcff/A")
        await zimun.services.ListServices(
            ListServicesRequest(), metadata=zimun.bearer(), wait_for_ready=True, timeout=20
        )
    assert len(tries) == 3
    assert set(tries[1:]) == {port}


async def test_calls_that_come_while_the_event_loop_is_busy_are_not_cancelled(
    tmp_path: Path, attacks: AttackCounter
) -> None:
    """gRPC cancels calls beyond a number that no one has accepted, those of others, too."""
    async with run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as zimun:
        port = int(zimun.target.rpartition(":")[2])
        with contextlib.ExitStack() as stack:
            # The event loop of the server waits for all of it.
            crowd = [stack.enter_context(waiting_calls(port, 256)) for _ in range(10)]
            for connection, client in crowd:
                statuses = await asyncio.to_thread(read_statuses, connection, client, 256)
                assert statuses == {str(grpc.StatusCode.UNAUTHENTICATED.value[0]): 256}
    attacks.count("gRPC, calls while the event loop is busy")


def read_statuses(connection: socket.socket, client: H2Connection, number: int) -> Counter[str]:
    answers = islice(trailers(connection, client), number)
    return Counter(headers["grpc-status"] for headers in answers)


@contextlib.contextmanager
def waiting_calls(port: int, number: int) -> Iterator[tuple[socket.socket, H2Connection]]:
    """A connection with so many calls that gRPC has read."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    for stream in range(1, 2 * number, 2):
        client.send_headers(stream, [*pseudo_headers(LIST.encode()), *GRPC_HEADERS])
        client.send_data(stream, bytes(5), end_stream=True)
    client.ping(bytes(8))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(client.data_to_send())
        events: list[Event] = []
        while not any(isinstance(event, PingAckReceived) for event in events):
            data = connection.recv(1 << 16)
            assert data, "the connection ended"
            events = client.receive_data(data)
        yield connection, client


def is_served(channel: grpc.Channel, bearer: tuple[str, str]) -> bool:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(LIST)
    with contextlib.suppress(grpc.RpcError):
        call(b"", metadata=(bearer,), timeout=5)
        return True
    return False


def answer(
    port: int,
    header: tuple[str, str],
    sent: bytes = bytes(5),
    path: str = LIST,
    te: str | None = "trailers",
) -> dict[str, str]:
    """The headers of the answer to a call with a header, as no library would send it."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    client.initiate_connection()
    fields = [*pseudo_headers(path.encode(errors="surrogateescape")), *GRPC_HEADERS[:1], header]
    client.send_headers(1, [*fields, *([("te", te)] if te else [])])
    client.send_data(1, sent, end_stream=True)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(client.data_to_send())
        return next(trailers(connection, client))


def pseudo_headers(path: bytes) -> list[tuple[str, str | bytes]]:
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "zimun")]


GRPC_HEADERS = (("content-type", "application/grpc"), ("te", "trailers"))


def trailers(connection: socket.socket, client: H2Connection) -> Iterator[dict[str, str]]:
    """The headers of the answers with their grpc-status."""
    while data := connection.recv(1 << 16):
        events = client.receive_data(data)
        connection.sendall(client.data_to_send())
        for event in events:
            if isinstance(event, ResponseReceived | TrailersReceived):
                found = {str(name): str(value) for name, value in event.headers or ()}
                if "grpc-status" in found:
                    yield found
    raise AssertionError("the connection ended without an answer")
