"""What Envoy alone decides at the endpoint for agents."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ..support.gateway import Answer, Gateway, run_gateway

pytestmark = pytest.mark.asyncio(loop_scope="package")

PATH = "/o/o_1/mcp"
METADATA = f'resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource{PATH}"'
RATE = 3
PAGE = "https://agents.example"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    workdir = tmp_path_factory.mktemp("mcp")
    async with run_gateway(workdir, mcp_rate_limit=RATE, cors_origins=(PAGE,)) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def unheard(gateway: Gateway) -> None:
    gateway.issuer.from_agents.clear()


async def ask(gateway: Gateway, client: str, **headers: str) -> Answer:
    """A message as a client with buckets of its own."""
    return await gateway.post(PATH, {}, gateway.bearer(client) | headers)


async def test_message_reaches_the_server_with_the_headers_of_the_protocol_alone(
    gateway: Gateway,
) -> None:
    sent = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "x"}
    others = {"Idempotency-Key": "k", "Cookie": "c", "X-Zimun-Address": "1.2.3.4"}
    others["X-Zimun-Timeout"] = "600"
    answer = await ask(gateway, "c_headers", **sent, **others, Accept="application/json")
    assert answer.status == 200
    (heard,) = gateway.issuer.from_agents
    assert heard["mcp-method"] == "tools/call"
    assert heard["x-zimun-timeout"] == "15"
    known = {"mcp-protocol-version", "mcp-method", "mcp-name", "accept", "authorization"}
    known.add("x-zimun-timeout")
    usual = {"host", "content-type", "content-length", "x-request-id", "transfer-encoding"}
    assert known <= set(heard) <= known | usual


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
async def test_only_post_is_a_method_of_the_endpoint(gateway: Gateway, method: str) -> None:
    answer = await gateway.call(method, PATH)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert method == "HEAD" or answer.reason() == "REQUEST_REFUSED"
    assert gateway.issuer.from_agents == []


async def test_refusal_of_a_token_names_the_metadata_of_the_resource(gateway: Gateway) -> None:
    missing = await gateway.post(PATH, {}, {})
    wrong = await gateway.post(PATH, {}, gateway.bearer(aud="else"))
    for answer in (missing, wrong):
        assert (answer.status, answer.reason()) == (401, "TOKEN_INVALID")
        assert answer.headers["www-authenticate"].endswith(f", {METADATA}")
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    elsewhere = await gateway.get("/api/v1/services", {})
    assert METADATA not in elsewhere.headers["www-authenticate"]
    assert gateway.issuer.from_agents == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        (PAGE, 200),
        ("http://localhost:8081", 403),
        ("https://localhost:8080", 403),
        ("http://localhost:8080.evil.example", 403),
        ("https://agentsXexample", 403),
        ("null", 403),
    ],
)
async def test_pages_of_other_origins_are_refused(
    gateway: Gateway, origin: str, status: int
) -> None:
    answer = await ask(gateway, f"c_{abs(hash(origin))}", Origin=origin)
    assert answer.status == status
    assert status == 200 or answer.reason() == "REQUEST_REFUSED"
    assert len(gateway.issuer.from_agents) == (status == 200)


async def test_body_beyond_the_limit_is_refused(gateway: Gateway) -> None:
    body = "x" * (gateway.settings.max_request_bytes + 1)
    answer = await gateway.post(PATH, body, gateway.bearer("c_large"))
    assert (answer.status, answer.reason()) == (413, "REQUEST_REFUSED")
    assert gateway.issuer.from_agents == []


@pytest.mark.parametrize("path", ["/o//mcp", "/o/o_1/mcp/x", "/o/o%201/mcp", f"/o/{'a' * 65}/mcp"])
async def test_path_without_an_id_is_no_endpoint(gateway: Gateway, path: str) -> None:
    answer = await gateway.post(path, {})
    assert answer.status in (400, 404)
    assert gateway.issuer.from_agents == []


async def test_client_has_a_bucket_for_agents_beside_that_for_the_api(gateway: Gateway) -> None:
    burst = [ask(gateway, "c_often") for _ in range(4 * RATE)]
    answers = await asyncio.gather(*burst)
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= RATE
    assert {answer.reason() for answer in refused} == {"RATE_LIMITED"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert (await ask(gateway, "c_other")).status == 200
    api = await gateway.get("/api/v1/services", gateway.bearer("c_often"))
    assert api.status == 200


async def test_agents_of_an_outside_provider_reach_the_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    outside: dict[str, Any] = {"jwks_uri": True, "resource": ""}
    async with run_gateway(tmp_path_factory.mktemp("outside"), **outside) as gateway:
        assert (await ask(gateway, "c_1")).status == 200
        page = await ask(gateway, "c_1", Origin=gateway.settings.issuer)
        assert (page.status, page.reason()) == (403, "REQUEST_REFUSED")
        missing = await gateway.post(PATH, {}, {})
        assert "resource_metadata" not in missing.headers["www-authenticate"]
