"""Headers of one caller affect no other caller, and only known headers reach the server."""

import asyncio
import contextlib
import random
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from zimun.v1.services_service_pb2 import ListServicesRequest
from zimun_gateway.request_checks import MAX_HEADERS_KIB

from ..support.gateway import Gateway, raw
from .attacks import AttackCounter, cases, seeded

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = "/api/v1/services"
LIST = "/zimun.v1.ServicesService/ListServices"
HEALTH = "/grpc.health.v1.Health/Check"
READ = {"authorization", "idempotency-key", "traceparent", "tracestate", "x-request-id"}
"""Headers of a caller that reach the server; gRPC itself reads some more."""


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 12)))


def malformed_headers(rng: random.Random) -> dict[str, str]:
    """Malformed headers of names that gRPC parses."""
    return {
        "grpc-timeout": word(rng),
        "grpc-encoding": word(rng),
        "grpc-tags-bin": f"*{word(rng)}*",
        f"{word(rng)}-bin": f"*{word(rng)}*",
        "grpc-previous-rpc-attempts": word(rng),
        "grpc-retry-pushback-ms": word(rng),
        "te": word(rng),
    }


async def attack(gateway: Gateway, rng: random.Random, stop: asyncio.Event) -> int:
    """Send malformed headers on every route until `stop`; the number of requests."""
    sent = 0
    while not stop.is_set():
        headers = malformed_headers(rng)
        await gateway.get(SERVICES, gateway.bearer() | headers)
        await gateway.get(HEALTH, headers)
        await gateway.post("/oauth/token", "", headers)
        await asyncio.to_thread(send_malformed_by_grpc, gateway, headers)
        sent += 5
    return sent


def send_malformed_by_grpc(gateway: Gateway, headers: dict[str, str]) -> None:
    """Send headers as gRPC, with a token, and to health without; gRPC clients would refuse to."""
    token = gateway.bearer()["Authorization"]
    for path, more in ((LIST, {"authorization": token}), (HEALTH, {})):
        text = headers | more | {"content-type": "application/grpc", "content-length": "5"}
        head = "".join(f"{name}: {value}\r\n" for name, value in text.items())
        request = f"POST {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode() + bytes(5)
        asyncio.run(_quietly(gateway.target, request))


async def _quietly(target: str, request: bytes) -> None:
    """Send a request; a gRPC response over HTTP/1.1 need not have a length."""
    with contextlib.suppress(asyncio.IncompleteReadError, ValueError):
        await raw(target, request)


async def honest(gateway: Gateway, calls: int) -> Counter[str]:
    """Codes of calls and health checks as a client of gRPC makes them, each with a deadline."""
    codes: Counter[str] = Counter()
    async with gateway.channel() as channel:
        stub, health = gateway.stub(channel), health_pb2_grpc.HealthStub(channel)
        for number in range(calls):
            try:
                await stub.ListServices(
                    ListServicesRequest(), metadata=gateway.metadata(), timeout=5 + number % 7
                )
                await health.Check(health_pb2.HealthCheckRequest(), timeout=5 + number % 5)
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1
    return codes


@pytest.mark.parametrize("attempt", ["first", "second"])
async def test_malformed_headers_of_one_caller_fail_no_call_of_another(
    gateway: Gateway, attempt: str, attacks: AttackCounter
) -> None:
    stop = asyncio.Event()
    attacker = asyncio.create_task(attack(gateway, seeded(f"poison {attempt}"), stop))
    codes = await honest(gateway, cases(200))
    stop.set()
    sent = await attacker
    attacks.count("header, malformed", "harmless", sent)
    assert sent >= 5
    assert codes == {"OK": cases(200)}


async def test_only_the_headers_that_the_server_reads_go_on(
    gateway: Gateway, attacks: AttackCounter
) -> None:
    rng = seeded("unread headers")
    for _ in range(cases(20)):
        headers = {f"x-{word(rng)}": word(rng), word(rng): word(rng), "cookie": word(rng)}
        steering = {"x-forwarded-for": "10.0.0.1", "x-envoy-original-path": "/", "user-agent": "u"}
        await gateway.get(SERVICES, gateway.bearer() | headers | steering | malformed_headers(rng))
        assert set(gateway.server.last().metadata) <= READ
        attacks.count("header, unread", "removed")
    async with gateway.channel() as channel:
        metadata = (*gateway.metadata(), ("x-more", "1"), ("x-more-bin", b"1"), ("a_b", "1"))
        await gateway.stub(channel).ListServices(ListServicesRequest(), metadata=metadata)
    assert set(gateway.server.last().metadata) <= READ


MALFORMED = {
    "idempotency-key": ["", "k" * 256, "k\u00e9", "\xff"],
    "if-match": ['"e1"', "*"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values]
)
async def test_a_malformed_header_is_named(
    gateway: Gateway, name: str, value: str, attacks: AttackCounter
) -> None:
    token = gateway.bearer()["Authorization"].encode()
    request = b"GET %s HTTP/1.1\r\nhost: x\r\nauthorization: %s\r\n%s: %s\r\n\r\n"
    sent = request % (SERVICES.encode(), token, name.encode(), value.encode("latin-1"))
    head, body = await raw(gateway.target, sent)
    assert head.startswith(b"http/1.1 400 ")
    assert b'"reason":"INVALID_FIELD"' in body
    assert f'"metadata":{{"field":"{name}"}}'.encode() in body
    attacks.count("header, malformed and read")


async def failure(call: Callable[..., Any], gateway: Gateway, *more: tuple[str, str]) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(ListServicesRequest(), metadata=(*gateway.metadata(), *more))
    return error.value


async def test_a_malformed_header_is_named_to_grpc_callers(gateway: Gateway) -> None:
    async with gateway.channel() as channel:
        error = await failure(
            gateway.stub(channel).ListServices, gateway, ("idempotency-key", "k" * 256)
        )
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    bad = BadRequest()
    assert [detail.Unpack(bad) for detail in rpc_status.from_call(error).details] == [False, True]
    assert bad.field_violations[0].field == "idempotency-key"


@pytest.mark.parametrize("kib", [8, 12, 16, 31])
async def test_headers_below_the_limit_are_taken(gateway: Gateway, kib: int) -> None:
    padding = {"x-padding": "x" * (kib * 1024 - 900)}
    for _ in range(5):
        assert (await gateway.get(SERVICES, gateway.bearer() | padding)).status == 200


@pytest.mark.parametrize("path", [SERVICES, "/oauth/token", "/nowhere"])
async def test_headers_above_the_limit_are_431(
    gateway: Gateway, path: str, attacks: AttackCounter
) -> None:
    for kib in (MAX_HEADERS_KIB, 40, 64, 90):
        answer = await gateway.get(path, {"x-padding": "x" * kib * 1024})
        assert answer.status == 431
        attacks.count("header, large")
    if path != "/oauth/token":
        assert answer.reason() == "REQUEST_REFUSED"


async def test_a_long_id_is_a_malformed_field(gateway: Gateway) -> None:
    """It reaches the server as a field, whose length the server judges."""
    assert (await gateway.get(f"{SERVICES}/{'a' * 20_000}")).status == 200
    assert len(gateway.server.last().request.service_id) == 20_000


async def test_the_scheme_of_a_token_has_no_case(gateway: Gateway) -> None:
    token = gateway.issuer.token()
    for scheme in ("bearer", "BEARER", "bEaReR"):
        answer = await gateway.get(SERVICES, {"Authorization": f"{scheme} {token}"})
        assert answer.status == 200
