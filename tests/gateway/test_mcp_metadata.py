"""The metadata of the endpoints for agents (RFC 9728): where they are, what leads to them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from mcp.client.auth import utils as discovery

from zimun_gateway.rate_limits import SITE

from ..support.gateway import Answer, Gateway, raw, run_gateway
from ..support.processes import free_port

pytestmark = pytest.mark.asyncio(loop_scope="package")

NO_TOKEN: dict[str, str] = {}
ROOT = "/.well-known/oauth-protected-resource"
SCOPES = ["appointments:write", "availability:read", "org:read"]
PAGE = "https://agents.example"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """An Envoy that its callers reach at the address that it has, without rate limits."""
    port = free_port()
    settings: dict[str, Any] = {
        "listen_port": port,
        "resource": f"http://127.0.0.1:{port}",
        "rate_limit": 0,
    }
    workdir = tmp_path_factory.mktemp("mcp_metadata")
    async with run_gateway(workdir, **settings, cors_origins=(PAGE,)) as gateway:
        yield gateway


def path_of(org_id: str) -> str:
    return f"/o/{org_id}/mcp"


@pytest.mark.parametrize("org_id", ["o_1", "o_none", "0", "-", "_" * 64, "A-z_9"])
async def test_every_id_has_metadata_of_its_endpoint(gateway: Gateway, org_id: str) -> None:
    of_root = (await gateway.get(ROOT, NO_TOKEN)).json()
    answer = await gateway.get(ROOT + path_of(org_id), NO_TOKEN)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    resource = gateway.settings.resource + path_of(org_id)
    assert answer.json() == of_root | {"resource": resource, "scopes_supported": SCOPES}


async def test_metadata_say_nothing_that_a_caller_says(gateway: Gateway) -> None:
    known = await gateway.get(ROOT + path_of("o_1"), NO_TOKEN)
    claims = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    claims |= {"X-Forwarded-Proto": "https", "X-Envoy-Original-Path": "/o/o_2/mcp"}
    asked = await gateway.get(f"{ROOT}{path_of('o_1')}?resource=/o/o_2/mcp#/o/o_3/mcp", claims)
    assert (asked.status, asked.json()) == (200, known.json())


async def test_merged_slashes_name_the_endpoint_that_they_reach(gateway: Gateway) -> None:
    twice = f"/{ROOT}/{path_of('o_1').replace('/', '//')}"
    _, body = await raw(gateway.target, f"GET {twice} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert json.loads(body)["resource"] == gateway.settings.resource + path_of("o_1")


@pytest.mark.parametrize(
    "path",
    [
        path_of(""),
        path_of("a" * 65),
        path_of("o_1/x"),
        path_of("o_1;x"),
        path_of("o_1%22"),
        path_of("o%5F1"),
        path_of("o_1%0d%0ax:y"),
        path_of(".."),
        path_of("."),
        path_of('"'),
        path_of("%25REQ(x)%25"),
        path_of("ö"),
        "/o/o_1%2Fmcp",
        "/o/o_1/mcp/",
        "/o/o_1/mcp/x",
        "/o/o_1",
        "/",
        "/o/o_1/mcp/o/o_2/mcp",
    ],
)
async def test_path_of_no_endpoint_has_no_metadata(gateway: Gateway, path: str) -> None:
    request = f"GET {ROOT}{path} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
    head, body = await raw(gateway.target, request)
    assert head.split()[1] in (b"400", b"404"), head
    assert b"oauth-protected" not in head + body


async def test_metadata_are_read_and_not_written(gateway: Gateway) -> None:
    path = ROOT + path_of("o_1")
    head = await gateway.call("HEAD", path, NO_TOKEN)
    whole = await gateway.get(path, NO_TOKEN)
    assert (head.status, head.text) == (200, "")
    assert head.headers["content-length"] == str(len(whole.text))
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        refused = await gateway.call(method, path, NO_TOKEN)
        assert (refused.status, refused.reason()) == (404, "REQUEST_REFUSED")


async def refusals(gateway: Gateway, url: str) -> list[httpx2.Response]:
    """The answers to an agent without a token and to one with a token for another service."""
    tokens: list[dict[str, str]] = [NO_TOKEN, gateway.bearer(aud="else")]
    async with httpx2.AsyncClient(trust_env=False) as http:
        return [await http.post(url, json={}, headers=token) for token in tokens]


@pytest.mark.parametrize("query", ["", "?x=/o/o_2/mcp"])
async def test_client_of_the_package_finds_metadata_of_the_very_url_that_it_calls(
    gateway: Gateway, query: str
) -> None:
    """RFC 9728, 3.3: a client must not use metadata of another resource."""
    called = gateway.settings.resource + path_of("o_1")
    for refused in await refusals(gateway, called + query):
        assert refused.status_code == 401
        assert discovery.extract_scope_from_www_auth(refused) == " ".join(SCOPES)
        named = discovery.extract_resource_metadata_from_www_auth(refused)
        urls = discovery.build_protected_resource_metadata_discovery_urls(named, called)
        assert urls[0] == urls[1]  # what the refusal names is at the place of RFC 9728, 3.1
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(urls[0])
        metadata = await discovery.handle_protected_resource_response(answer)
        assert metadata is not None
        assert str(metadata.resource) == called


async def preflight(gateway: Gateway, path: str, origin: str, method: str = "GET") -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization,mcp-protocol-version"
    return await gateway.call("OPTIONS", path, asked)


@pytest.mark.parametrize("path", [ROOT, ROOT + path_of("o_1"), path_of("o_1"), "/openapi.json"])
async def test_allowed_page_can_ask_and_read(gateway: Gateway, path: str) -> None:
    """An agent in a browser; the endpoint answers GET, by which it asks for a stream, by 405."""
    allowed = await preflight(gateway, path, PAGE)
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "mcp-protocol-version" in allowed.headers["access-control-allow-headers"]
    read = await gateway.get(path, {"Origin": PAGE})
    assert read.status == (405 if path == path_of("o_1") else 200)
    assert read.headers["access-control-allow-origin"] == PAGE
    assert "www-authenticate" in read.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", [ROOT, ROOT + path_of("o_1"), path_of("o_1"), "/openapi.json"])
async def test_no_other_page_can_ask_or_read(gateway: Gateway, path: str) -> None:
    for origin in ("https://evil.example", f"{PAGE}.evil.example", "https://agentsXexample", ""):
        refused = await preflight(gateway, path, origin)
        assert refused.status in (404, 405)
        read = await gateway.get(path, {"Origin": origin})
        for answer in (refused, read):
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_page_can_call_the_endpoint_and_read_its_refusals(gateway: Gateway) -> None:
    assert (await preflight(gateway, path_of("o_1"), PAGE, "POST")).status == 200
    refused = await gateway.post(path_of("o_1"), {}, {"Origin": PAGE})
    assert refused.status == 401
    assert refused.headers["access-control-allow-origin"] == PAGE
    assert gateway.issuer.from_agents == []


async def test_without_a_site_agents_still_find_the_metadata(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, site=None) as gateway:
        metadata = (await gateway.get(ROOT + path_of("o_1"), NO_TOKEN)).json()
        assert metadata["resource"] == f"http://localhost:8080{path_of('o_1')}"
        assert "resource_documentation" not in metadata
        refused = await gateway.post(path_of("o_1"), {}, NO_TOKEN)
        assert f"{ROOT}{path_of('o_1')}" in refused.headers["www-authenticate"]


async def test_metadata_of_a_base_url_with_a_path_are_at_the_place_of_the_rfc(
    tmp_path: Path,
) -> None:
    """A proxy in front serves /booking, without it to Envoy, and leaves /.well-known as it is."""
    resource, issuer = "https://zimun.example/booking", "https://issuer.example/a%20b"
    changes: dict[str, Any] = {"resource": resource, "issuer": issuer, "jwks_uri": True}
    async with run_gateway(tmp_path, **changes, cors_origins=("*",)) as gateway:
        for path in (ROOT, f"{ROOT}/booking"):
            assert (await gateway.get(path, NO_TOKEN)).json()["resource"] == resource
        for path in (ROOT + path_of("o_1"), f"{ROOT}/booking{path_of('o_1')}"):
            answer = await gateway.get(path, {"Origin": "https://any.example"})
            assert answer.json()["resource"] == resource + path_of("o_1")
            assert answer.json()["authorization_servers"] == [issuer]
            assert answer.headers["access-control-allow-origin"] == "https://any.example"
        refused = await gateway.post(path_of("o_1"), {}, NO_TOKEN)
        named = f'resource_metadata="{resource}{ROOT}{path_of("o_1")}"'
        assert refused.headers["www-authenticate"].endswith(named)


async def test_unknown_base_url_has_no_metadata_and_refusals_name_scopes_alone(
    tmp_path: Path,
) -> None:
    async with run_gateway(tmp_path, resource="") as gateway:
        assert (await gateway.get(ROOT + path_of("o_1"), NO_TOKEN)).status == 404
        refused = await gateway.post(path_of("o_1"), {}, NO_TOKEN)
        challenge = f'Bearer realm="zimun", scope="{" ".join(SCOPES)}"'
        assert refused.headers["www-authenticate"] == challenge


async def test_metadata_are_limited_by_address_for_all_organizations_together(
    tmp_path: Path,
) -> None:
    """A page that may call can read the refusal, too."""
    async with run_gateway(tmp_path, cors_origins=(PAGE,)) as gateway:
        paths = [ROOT + path_of(f"o_{number}") for number in range(SITE.burst + 20)]
        answers = [await gateway.get(path, {"Origin": PAGE}) for path in paths]
        statuses = [answer.status for answer in answers]
        assert statuses[: SITE.burst] == [200] * SITE.burst
        assert 429 in statuses
        assert {answer.headers.get("access-control-allow-origin") for answer in answers} == {PAGE}
        for path in (paths[0], ROOT):
            other = await gateway.get(path, {"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers
