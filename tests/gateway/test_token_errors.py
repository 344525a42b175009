"""On the token endpoint Envoy answers as RFC 6749, 5.2, has it."""

import asyncio
import json
from pathlib import Path

import pytest

from ..support.gateway import Answer, Gateway, raw, run_gateway
from ..support.processes import free_port

pytestmark = pytest.mark.asyncio(loop_scope="package")

TOKEN = "/oauth/token"


def refusal(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    return answer.status, answer.json()["error"], answer.json()["error_description"]


@pytest.mark.parametrize("path", [TOKEN, f"{TOKEN}?a=1"])
async def test_requests_beyond_the_rate_limit_are_refused(tmp_path: Path, path: str) -> None:
    async with run_gateway(tmp_path, token_rate_limit=1) as gateway:
        await gateway.post(path, "", {})
        answer = await gateway.post(path, "", {})
        published = [await gateway.get("/.well-known/jwks.json", {}) for _ in range(3)]
    assert refusal(answer) == (429, "temporarily_unavailable", "too many requests")
    assert answer.headers["retry-after"] == "1"
    assert {one.status for one in published} == {200}


async def test_stopped_token_endpoint_is_temporarily_unavailable(tmp_path: Path) -> None:
    async with run_gateway(tmp_path) as gateway:
        await gateway.issuer.stop()
        answer = await gateway.post(TOKEN, "", {})
        other = await gateway.get("/.well-known/oauth-authorization-server", {})
    says = (503, "temporarily_unavailable", "the token endpoint cannot answer now")
    assert refusal(answer) == says
    assert answer.headers["retry-after"] == "1"
    assert (other.status, other.reason()) == (503, "OVERLOADED")


@pytest.mark.parametrize(
    ("hangs_up", "says"),
    [
        (True, (503, "temporarily_unavailable", "the token endpoint cannot answer now")),
        (False, (504, "temporarily_unavailable", "the request took too long")),
    ],
)
async def test_a_token_endpoint_that_does_not_answer_is_temporarily_unavailable(
    tmp_path: Path, hangs_up: bool, says: tuple[int, str, str]
) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not hangs_up and await reader.read(65536):
            pass
        await reader.read(65536)
        writer.close()

    port = free_port()
    async with (
        await asyncio.start_server(server, "127.0.0.1", port),
        run_gateway(
            tmp_path, auth_endpoints=(f"127.0.0.1:{port}",), request_timeout=0.5
        ) as gateway,
    ):
        answer = await gateway.post(TOKEN, "", {})
    assert refusal(answer) == says


async def test_a_body_beyond_the_limit_is_refused(gateway: Gateway) -> None:
    answer = await gateway.post(TOKEN, "x" * 300_000, {})
    assert refusal(answer) == (413, "invalid_request", "the request is too large")


async def test_malformed_http_is_an_invalid_request(gateway: Gateway) -> None:
    head, body = await raw(gateway.target, b"POST /oauth/token HTTP/1.1\r\n\r\n")
    assert head.startswith(b"http/1.1 400")
    assert b"cache-control: no-store" in head
    assert json.loads(body) == {
        "error": "invalid_request",
        "error_description": "the request cannot be understood",
    }


async def test_token_endpoint_of_an_outside_provider_is_not_found_here(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, jwks_uri=True) as gateway:
        answer = await gateway.post(TOKEN, "", {})
    assert (answer.status, answer.reason()) == (404, "REQUEST_REFUSED")
