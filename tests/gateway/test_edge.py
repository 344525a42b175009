"""What the port lets in and lets out."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from zimun.v1.services_service_pb2 import ListServicesRequest

from ..support.gateway import Gateway, run_gateway
from ..support.gateway_stubs import StubServer
from ..support.processes import free_port
from ..support.program import HOLD_PATH
from .test_configuration import certificate

pytestmark = pytest.mark.asyncio(loop_scope="package")

SERVICES = "/api/v1/services"


async def test_answers_do_not_show_envoy_in_their_headers(gateway: Gateway) -> None:
    headers = (await gateway.get(SERVICES)).headers
    assert headers["server"] == "zimun"
    assert not [name for name in headers if name.startswith("x-envoy")]


async def test_clients_cannot_steer_envoy(gateway: Gateway) -> None:
    """From loopback too, which Envoy would call internal; nothing of it reaches the server."""
    steering = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-internal": "true",
        "x-envoy-max-retries": "9",
        "x-forwarded-client-cert": "By=me",
        "x-forwarded-proto": "https",
    }
    assert (await gateway.get(SERVICES, gateway.bearer() | steering)).status == 200
    assert not set(steering) & set(gateway.server.last().metadata)


async def test_the_log_has_the_request_and_no_token(tmp_path: Path) -> None:
    async with run_gateway(tmp_path) as gateway:
        answer = await gateway.get(f"{SERVICES}?page_size=1")
        token = gateway.bearer()["Authorization"].split(".")[0]
        log = tmp_path / "access.log"
        async with asyncio.timeout(5):
            while not log.read_text():  # noqa: ASYNC110 - Envoy writes it when it likes
                await asyncio.sleep(0.02)
        text = log.read_text()
    line: dict[str, Any] = json.loads(text.splitlines()[-1])
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["path"]) == ("GET", "/api/v1/services")
    assert (line["status"], line["client_id"]) == (200, "c_1")
    assert token not in text


async def test_cors_answers_the_origins_that_are_set_and_no_other(tmp_path: Path) -> None:
    ask = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    async with run_gateway(tmp_path, cors_origins=("https://shop.example",)) as gateway:
        preflight = await gateway.call("OPTIONS", HOLD_PATH, ask)
        answer = await gateway.get(SERVICES, gateway.bearer() | {"Origin": ask["Origin"]})
        refused = await gateway.get(SERVICES, {"Origin": ask["Origin"]})
        other = await gateway.get(SERVICES, gateway.bearer() | {"Origin": "https://evil.example"})
    assert preflight.status == 200
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"]
    allowed = preflight.headers["access-control-allow-methods"].split(",")
    assert {"GET", "POST", "PATCH", "DELETE"} <= set(allowed)
    for seen in (preflight, answer, refused):
        assert seen.headers["access-control-allow-origin"] == "https://shop.example"
    assert "retry-after" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers


async def test_without_origins_there_are_no_cors_headers(gateway: Gateway) -> None:
    headers = gateway.bearer() | {"Origin": "https://shop.example"}
    assert "access-control-allow-origin" not in (await gateway.get(SERVICES, headers)).headers


async def test_tls_serves_grpc_and_refuses_plain_http(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    async with run_gateway(tmp_path, tls_certificate=chain, tls_key=key) as gateway:
        port = gateway.settings.listen_port
        credentials = grpc.ssl_channel_credentials(chain.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            await gateway.stub(channel).ListServices(
                ListServicesRequest(), metadata=gateway.metadata()
            )
        assert gateway.server.last().method == "ListServices"
        with pytest.raises(aiohttp.ClientError):
            await gateway.get(SERVICES)


async def test_calls_succeed_at_the_second_machine_while_the_first_is_dead(tmp_path: Path) -> None:
    """A connection that cannot be made is tried elsewhere: no caller sees the dead machine."""
    alive = StubServer()
    await alive.start()
    endpoints = (f"127.0.0.1:{free_port()}", alive.target)
    async with run_gateway(tmp_path, grpc_endpoints=endpoints) as gateway:
        answers = await asyncio.gather(*(gateway.get(SERVICES) for _ in range(10)))
    await alive.stop()
    assert {answer.status for answer in answers} == {200}
    assert len(alive.calls) == 10
