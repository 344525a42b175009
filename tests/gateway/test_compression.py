"""JSON answers are compressed for clients that ask for it, and nothing else is."""

import gzip
from typing import Any

import pytest

from zimun.rpc import page_tokens
from zimun.v1.appointment_pb2 import Appointment
from zimun.v1.appointments_service_pb2 import ListAppointmentsResponse
from zimun.v1.services_service_pb2 import ListServicesRequest, ListServicesResponse
from zimun_gateway.compression import MIN_BYTES

from ..support.gateway import Gateway
from ..support.gateway_stubs import Context

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def bytes_of(gateway: Gateway, method: str, path: str, **more: Any) -> tuple[Any, bytes]:
    """The headers of an answer, and its body as it was sent."""
    url = f"http://{gateway.target}{path}"
    headers = gateway.bearer() | more.pop("headers", {})
    async with gateway.http.request(
        method, url, headers=headers, auto_decompress=False, **more
    ) as answer:
        return answer.headers, await answer.read()


def answer_with(gateway: Gateway, name: str) -> None:
    """Let the server answer one service of this name."""

    async def one(_: Any, __: Context) -> ListServicesResponse:
        answer = ListServicesResponse()
        answer.items.add(id="s_1", name=name)
        return answer

    gateway.server.behaviours["ListServices"] = one


async def test_a_long_answer_is_compressed_for_a_client_that_asks(gateway: Gateway) -> None:
    answer_with(gateway, "x" * 10 * MIN_BYTES)
    headers, body = await bytes_of(
        gateway, "GET", "/api/v1/services", headers={"Accept-Encoding": "gzip"}
    )
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"].lower() == "accept-encoding"
    assert len(body) < MIN_BYTES
    assert b"x" * 10 * MIN_BYTES in gzip.decompress(body)


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br"])
async def test_a_client_that_does_not_ask_gets_plain_json(gateway: Gateway, accepted: str) -> None:
    answer_with(gateway, "x" * 10 * MIN_BYTES)
    headers, body = await bytes_of(
        gateway, "GET", "/api/v1/services", headers={"Accept-Encoding": accepted}
    )
    assert "content-encoding" not in headers
    assert b"x" * 10 * MIN_BYTES in body


async def test_a_short_answer_is_not_compressed(gateway: Gateway) -> None:
    headers, body = await bytes_of(
        gateway, "GET", "/api/v1/services", headers={"Accept-Encoding": "gzip"}
    )
    assert "content-encoding" not in headers
    assert len(body) < MIN_BYTES


async def test_an_answer_of_the_token_endpoint_is_never_compressed(gateway: Gateway) -> None:
    headers, body = await bytes_of(
        gateway,
        "POST",
        "/oauth/token",
        data={"grant_type": "x" * 10 * MIN_BYTES},
        headers={"Accept-Encoding": "gzip"},
    )
    assert "content-encoding" not in headers
    assert b"x" * 10 * MIN_BYTES in body


async def test_grpc_is_not_compressed_by_the_gateway(gateway: Gateway) -> None:
    answer_with(gateway, "x" * 10 * MIN_BYTES)
    async with gateway.channel() as channel:
        metadata = (*gateway.metadata(), ("accept-encoding", "gzip"))
        call = gateway.stub(channel).ListServices(ListServicesRequest(), metadata=metadata)
        assert len((await call).items[0].name) == 10 * MIN_BYTES
        assert "content-encoding" not in dict(await call.initial_metadata())


async def test_the_largest_page_passes_where_each_byte_takes_six_as_json(gateway: Gateway) -> None:
    one = Appointment(metadata={f"{n:<<64}": "<" * 1000 for n in range(50)})

    async def page(_: Any, __: Context) -> ListAppointmentsResponse:
        return ListAppointmentsResponse(items=page_tokens.messages_within_limit([one] * 1000))

    gateway.server.behaviours["ListAppointments"] = page
    answer = await gateway.get("/api/v1/appointments")
    assert answer.status == 200
    assert len(answer.json()["items"]) == page_tokens.MAX_PAGE // one.ByteSize()
