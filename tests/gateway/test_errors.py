"""All errors have one shape, those of Envoy and those of the server."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from zimun.v1.hold_pb2 import Hold
from zimun.v1.services_service_pb2 import ListServicesResponse
from zimun.v1.slot_pb2 import SlotAlternatives

from ..support.gateway import Gateway, raw, run_gateway
from ..support.gateway_stubs import Context, StubServer
from ..support.processes import free_port
from ..support.program import HOLD_PATH

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES = "/api/v1/services"


def taken() -> Status:
    """An ABORTED with every kind of detail that Zimun sends."""
    status = Status(code=10, message='the "slot" is gone é')
    bad = BadRequest()
    bad.field_violations.add(field="date", description="not a date")
    retry = RetryInfo()
    retry.retry_delay.seconds = 1
    slots = SlotAlternatives()
    slots.slots.add(local_start_time="2026-02-20T11:00:00+01:00").start_time.seconds = 1771581600
    info = ErrorInfo(reason="SLOT_UNAVAILABLE", domain="zimun", metadata={"service_id": "s_1"})
    for detail in (info, bad, retry, slots):
        status.details.add().Pack(detail)
    return status


def aborting(code: grpc.StatusCode) -> Any:
    async def abort(_: Any, context: Context) -> ListServicesResponse:
        await context.abort(code, 'because "so"')

    return abort


async def test_the_servers_details_are_the_body(gateway: Gateway) -> None:
    async def abort(_: Any, context: Context) -> ListServicesResponse:
        await context.abort_with_status(rpc_status.to_status(taken()))

    gateway.server.behaviours["ListServices"] = abort
    answer = await gateway.get(SERVICES)
    assert (answer.status, answer.reason()) == (409, "SLOT_UNAVAILABLE")
    body = answer.json()
    assert (body["code"], body["message"]) == (10, 'the "slot" is gone é')
    info, bad, retry, slots = body["details"]
    assert info["metadata"] == {"service_id": "s_1"}
    assert bad["field_violations"][0]["field"] == "date"
    assert retry == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "1s"}
    assert slots["@type"] == "type.googleapis.com/zimun.v1.SlotAlternatives"
    assert slots["slots"][0]["start_time"] == "2026-02-20T10:00:00Z"


async def test_trailing_metadata_of_an_abort_becomes_headers(gateway: Gateway) -> None:
    async def abort(_: Any, context: Context) -> ListServicesResponse:
        status = rpc_status.to_status(taken())
        await context.abort(
            status.code,
            status.details,
            (*status.trailing_metadata, ("retry-after", "7"), ("www-authenticate", "Bearer")),
        )

    gateway.server.behaviours["ListServices"] = abort
    answer = await gateway.get(SERVICES)
    assert answer.reason() == "SLOT_UNAVAILABLE"
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "grpc-status-details-bin" not in answer.headers


@pytest.mark.parametrize(
    ("code", "http"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.FAILED_PRECONDITION, 400),
        (grpc.StatusCode.UNAUTHENTICATED, 401),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.ABORTED, 409),
        (grpc.StatusCode.ALREADY_EXISTS, 409),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        (grpc.StatusCode.INTERNAL, 500),
        (grpc.StatusCode.UNIMPLEMENTED, 501),
        (grpc.StatusCode.UNAVAILABLE, 503),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    ],
)
async def test_codes_of_grpc_have_their_http_status(
    gateway: Gateway, code: grpc.StatusCode, http: int
) -> None:
    gateway.server.behaviours["ListServices"] = aborting(code)
    answer = await gateway.get(SERVICES)
    assert answer.status == http
    assert answer.json() == {"code": code.value[0], "message": 'because "so"', "details": []}


async def test_an_unavailable_server_is_never_asked_twice(gateway: Gateway) -> None:
    gateway.server.behaviours["HoldAppointment"] = aborting(grpc.StatusCode.UNAVAILABLE)
    retry = {"x-envoy-retry-on": "5xx", "x-envoy-retry-grpc-on": "unavailable"}
    answer = await gateway.post(HOLD_PATH, {}, gateway.bearer() | retry)
    assert answer.status == 503
    assert len(gateway.server.calls) == 1


def cancelling_once(answer: Message) -> Any:
    """Cancels one call, as a server that stops, and answers those that follow."""
    calls = count()

    async def behave(_: Any, context: Context) -> Message:
        if not next(calls):
            await context.abort(grpc.StatusCode.CANCELLED, "stopping")
        return answer

    return behave


@pytest.mark.parametrize(
    ("headers", "status", "calls"),
    [
        ({"idempotency-key": "k"}, 200, 2),
        ({}, 499, 1),
    ],
)
async def test_what_a_stopping_server_cancels_is_repeated_where_it_takes_effect_once(
    gateway: Gateway, headers: dict[str, str], status: int, calls: int
) -> None:
    gateway.server.behaviours["HoldAppointment"] = cancelling_once(Hold())
    answer = await gateway.post(HOLD_PATH, {}, gateway.bearer() | headers)
    assert (answer.status, len(gateway.server.calls)) == (status, calls)


async def test_all_that_a_stopping_server_had_is_repeated(tmp_path: Path) -> None:
    """With the usual time limit: the server has to get all of them first."""
    had, begun, all_there = 40, count(1), asyncio.Event()

    async def behave(_: Any, context: Context) -> Message:
        number = next(begun)
        if number <= had:
            if number == had:
                all_there.set()
            await all_there.wait()
            await context.abort(grpc.StatusCode.CANCELLED, "stopping")
        return ListServicesResponse()

    async with run_gateway(tmp_path) as gateway:
        gateway.server.behaviours["ListServices"] = behave
        answers = await asyncio.gather(*(gateway.get(SERVICES) for _ in range(had)))
    assert {answer.status for answer in answers} == {200}


async def test_a_read_that_a_stopping_server_cancels_is_repeated(gateway: Gateway) -> None:
    gateway.server.behaviours["ListServices"] = cancelling_once(ListServicesResponse())
    assert (await gateway.get(SERVICES)).status == 200
    assert len(gateway.server.calls) == 2


@pytest.mark.parametrize("headers", [{}, {"grpc-timeout": "100m"}])
async def test_a_call_beyond_its_time_limit_is_ended(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    """The gateway's own limit (half a second here) or the caller's."""
    gone = asyncio.Event()

    async def wait(_: Any, __: Context) -> ListServicesResponse:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    gateway.server.behaviours["ListServices"] = wait
    answer = await gateway.get(SERVICES, gateway.bearer() | headers)
    assert (answer.status, answer.json()["code"]) == (504, 4)
    if not headers:  # with a deadline of its own the server may be the first to say so
        assert answer.reason() == "DEADLINE_EXCEEDED"
    await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /api/v1/services HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: x\r\nfoo_bar: 1\r\n\r\n",
        b'GET /a"b HTTP/1.1\r\nhost: "x\r\nconnection: close\r\n\r\n',
        b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=["nonsense", "no_host", "underscore", "quotes", "smuggling", "long_header"],
)
async def test_malformed_http_is_answered_in_json(gateway: Gateway, sent: bytes) -> None:
    head, body = await raw(gateway.target, sent)
    assert head.startswith(b"http/1.1 4")
    assert b"content-type: application/json" in head
    assert b'"reason":"REQUEST_REFUSED"' in body


async def test_a_stopped_server_is_overloaded(tmp_path: Path) -> None:
    async with run_gateway(tmp_path) as gateway:
        await gateway.server.stop()
        await gateway.issuer.stop()
        answer = await gateway.get(SERVICES)
        assert (answer.status, answer.reason()) == (503, "OVERLOADED")
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["details"][1] == {
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retry_delay": "1s",
        }


async def test_a_server_that_hangs_up_may_have_done_it(tmp_path: Path) -> None:
    """The answer must not promise that nothing happened."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.close()

    port = free_port()
    async with (
        await asyncio.start_server(hang_up, "127.0.0.1", port),
        run_gateway(tmp_path, grpc_endpoints=(f"127.0.0.1:{port}",)) as gateway,
    ):
        answer = await gateway.get(SERVICES)
    assert (answer.status, answer.json()["code"], answer.reason()) == (502, 14, "INTERNAL")
    assert answer.json()["details"][0]["metadata"] == {"error_id": answer.headers["x-request-id"]}


async def test_call_beyond_max_concurrent_requests_is_overloaded(tmp_path: Path) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_: Any, __: Context) -> ListServicesResponse:
        entered.set()
        await leave.wait()
        return ListServicesResponse()

    async with run_gateway(tmp_path, max_concurrent_requests=1) as gateway:
        gateway.server.behaviours["ListServices"] = wait
        first = asyncio.create_task(gateway.get(SERVICES))
        await asyncio.wait_for(entered.wait(), 5)
        second = await gateway.get(SERVICES)
        leave.set()
        assert (await first).status == 200
        assert (second.status, second.reason()) == (503, "OVERLOADED")
        assert second.headers["retry-after"] == "1"


async def test_method_unknown_to_an_older_server_is_unimplemented(tmp_path: Path) -> None:
    older = StubServer()
    await older.start(leave_out="ListServices")
    async with run_gateway(tmp_path, grpc_endpoints=(older.target,)) as gateway:
        answer = await gateway.get(SERVICES)
    await older.stop()
    assert answer.status == 501
    assert answer.json() == {"code": 12, "message": "Method not found!", "details": []}


async def test_answer_beyond_max_response_bytes_is_internal(tmp_path: Path) -> None:
    async def long(_: Any, __: Context) -> ListServicesResponse:
        return ListServicesResponse(next_page_token="x" * 2000)

    async with run_gateway(tmp_path, max_response_bytes=1000) as gateway:
        gateway.server.behaviours["ListServices"] = long
        answer = await gateway.get(SERVICES)
    assert (answer.status, answer.json()["code"], answer.reason()) == (500, 13, "INTERNAL")
