"""The files that Envoy serves by itself: which they are, how, and that no others are."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from zimun_gateway import site
from zimun_gateway.rate_limits import SITE
from zimun_gateway.static_files import HEADERS, SWAGGER_FILES, swagger_ui

from ..support.gateway import Gateway, raw, run_gateway
from .test_openapi import OPERATIONS

NO_TOKEN: dict[str, str] = {}

FILES = {path: site.DIRECTORY / name for path, name in site.PATHS.items()} | {
    f"/docs/swagger-ui/{name}": swagger_ui() / name for name in SWAGGER_FILES
}

TYPES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/page.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui/swagger-ui.css": "text/css; charset=utf-8",
    "/openapi.json": "application/json",
    "/openapi.yaml": "application/yaml",
    "/llms.txt": "text/plain; charset=utf-8",
}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def unlimited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """An Envoy without rate limits, as these tests ask more than callers without a token may."""
    async with run_gateway(tmp_path_factory.mktemp("files"), rate_limit=0) as gateway:
        yield gateway


async def get(gateway: Gateway, path: str, method: str = "GET") -> Any:
    """The response and its body; redirects are not followed."""
    url = f"http://{gateway.target}{path}"
    async with gateway.http.request(method, url, allow_redirects=False) as response:
        return response, await response.read()


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("path", FILES)
async def test_file_is_served_whole_with_a_strict_policy(unlimited: Gateway, path: str) -> None:
    file = FILES[path] / "index.html" if FILES[path].is_dir() else FILES[path]
    response, body = await get(unlimited, path)
    assert (response.status, body) == (200, file.read_bytes())
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in response.headers["content-security-policy"]
    if path in TYPES:
        assert response.headers["content-type"] == TYPES[path]


@pytest.mark.asyncio(loop_scope="package")
async def test_head_has_the_headers_alone(unlimited: Gateway) -> None:
    response, body = await get(unlimited, "/openapi.json", "HEAD")
    size = FILES["/openapi.json"].stat().st_size
    assert (response.status, response.headers["content-length"]) == (200, str(size))
    assert body == b""


@pytest.mark.asyncio(loop_scope="package")
async def test_root_leads_to_the_page(unlimited: Gateway) -> None:
    response, _ = await get(unlimited, "/")
    assert response.status == 302
    assert response.headers["location"].endswith("/docs")


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize(
    "path",
    [
        "/docs/index.html",
        "/docs/other.js",
        "/docs/swagger-ui/",
        "/docs/swagger-ui/swagger-ui.js",
        "/docs/swagger-ui/../../site.py",
        "/docs/swagger-ui/..%2f..%2fsite.py",
        "/docs/swagger-ui/%2e%2e/%2e%2e/site.py",
        "/docs/page.js/",
        "/docs/page.js%00",
        "/well-known/api-catalog",
        "/.well-known/",
        "/openapi.json/..",
    ],
)
async def test_no_other_path_is_a_file(unlimited: Gateway, path: str) -> None:
    head, body = await raw(unlimited.target, f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert re.match(rb"http/1\.1 (400|404) ", head), head
    assert json.loads(body)["details"][0]["reason"] == "REQUEST_REFUSED"


@pytest.mark.asyncio(loop_scope="package")
async def test_only_get_and_head_read_files(unlimited: Gateway) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = await unlimited.call(method, "/docs", NO_TOKEN)
        assert (answer.status, answer.reason()) == (404, "REQUEST_REFUSED")


@pytest.mark.asyncio(loop_scope="package")
async def test_range_is_not_read(unlimited: Gateway) -> None:
    answer = await unlimited.get("/openapi.yaml", {"Range": "bytes=5-9"})
    assert answer.status == 200
    assert answer.text == FILES["/openapi.yaml"].read_text()


@pytest.mark.asyncio(loop_scope="package")
async def test_catalogue_of_the_api_leads_to_what_there_is(unlimited: Gateway) -> None:
    response, body = await get(unlimited, "/.well-known/api-catalog")
    assert response.content_type == "application/linkset+json"
    catalog, api = json.loads(body)["linkset"]
    assert catalog == {"anchor": "/.well-known/api-catalog", "item": [{"href": api["anchor"]}]}
    links = [link for relation in api.values() if isinstance(relation, list) for link in relation]
    for link in links:
        served, _ = await get(unlimited, link["href"])
        assert (served.status, served.content_type) == (200, link["type"])


@pytest.mark.asyncio(loop_scope="package")
async def test_metadata_of_the_resource_names_its_issuer(unlimited: Gateway) -> None:
    answer = await unlimited.get("/.well-known/oauth-protected-resource", NO_TOKEN)
    metadata = answer.json()
    issuer = unlimited.settings.issuer
    assert (metadata["resource"], metadata["authorization_servers"]) == (issuer, [issuer])
    assert "appointments:write" in metadata["scopes_supported"]


def test_llms_txt_names_every_operation() -> None:
    text = FILES["/llms.txt"].read_text()
    assert text.startswith("# Zimun\n\n> ")
    for operation in OPERATIONS.values():
        assert operation["summary"] in text


@pytest.mark.asyncio(loop_scope="package")
async def test_slow_readers_take_no_memory(unlimited: Gateway) -> None:
    before = resident(unlimited.envoy.pid)
    readers = [await slow_reader(unlimited) for _ in range(100)]
    try:
        for reader, _ in readers:
            async with asyncio.timeout(10):
                await reader.readuntil(b"\r\n\r\n")
        # All together they asked for 168 MB.
        assert resident(unlimited.envoy.pid) - before < 30 * 1024
    finally:
        for _, writer in readers:
            writer.close()


async def slow_reader(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A caller that asks for the largest file and reads next to nothing of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", gateway.settings.listen_port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
    writer.write(b"GET /docs/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n")
    return reader, writer


def resident(pid: int) -> int:
    """The resident memory of a process in KiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_downloads_without_a_token_are_limited(tmp_path: Path) -> None:
    async with run_gateway(tmp_path) as gateway:
        answers = [await gateway.get("/llms.txt", NO_TOKEN) for _ in range(SITE.burst + 20)]
        statuses = [answer.status for answer in answers]
        assert statuses[: SITE.burst] == [200] * SITE.burst
        assert 429 in statuses
        assert answers[statuses.index(429)].reason() == "RATE_LIMITED"


async def test_without_a_site_there_are_no_files(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, site=None) as gateway:
        for path in ("/", "/docs", "/openapi.json", "/.well-known/oauth-protected-resource"):
            answer = await gateway.get(path, NO_TOKEN)
            assert (answer.status, answer.reason()) == (404, "REQUEST_REFUSED")


async def test_outside_provider_is_named_by_the_metadata_of_the_resource(tmp_path: Path) -> None:
    resource = "https://zimun.example/booking"
    async with run_gateway(tmp_path, jwks_uri=True, resource=resource) as gateway:
        answer = await gateway.get("/.well-known/oauth-protected-resource", NO_TOKEN)
        named = answer.json()
        assert named["resource"] == resource
        assert named["resource_documentation"] == f"{resource}/docs"
        assert named["authorization_servers"] == [gateway.settings.issuer]
        refused = await gateway.post("/o/o_1/mcp", {}, NO_TOKEN)
        metadata = f'resource_metadata="{resource}/.well-known/oauth-protected-resource/o/o_1/mcp"'
        assert metadata in refused.headers["www-authenticate"]
        pages = {"Origin": "https://zimun.example"} | gateway.bearer()
        assert (await gateway.post("/o/o_1/mcp", {}, pages)).status == 200


async def test_resource_without_a_known_address_has_no_metadata(tmp_path: Path) -> None:
    async with run_gateway(tmp_path, jwks_uri=True, resource="") as gateway:
        assert (await gateway.get("/docs", NO_TOKEN)).status == 200
        answer = await gateway.get("/.well-known/oauth-protected-resource", NO_TOKEN)
        assert answer.status == 404
