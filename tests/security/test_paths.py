"""Paths have one spelling, and malformed request lines get an error of the common shape."""

import json

import pytest

from ..support.gateway import Gateway, raw
from ..support.program import HOLD_PATH
from .attacks import AttackCounter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def sent(
    gateway: Gateway, line: str, *headers: str, body: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the response to a request line, with a good token."""
    token = gateway.bearer()["Authorization"]
    lines = [line, "host: x", f"authorization: {token}", *headers, "", body]
    head, answer = await raw(gateway.target, "\r\n".join(lines).encode("latin-1"))
    first, *rest = head.decode().strip().split("\r\n")
    return int(first.split()[1]), dict(name.split(": ", 1) for name in rest), answer


def assert_one_shape(body: bytes, code: int = 3) -> None:
    answer = json.loads(body)
    assert set(answer) == {"code", "message", "details"}
    assert (answer["code"], answer["details"][0]["reason"]) == (code, "REQUEST_REFUSED")


PATHS = [
    "/api/v1/services/",
    "/api/v1/services;/..;/staff",
    "/api/v1/services/..;/staff",
    "/api/v1/services;x=1",
    "/api/v1/services/../staff",
    "/api/v1/services/%2e%2e/staff",
    "/api/v1/services/.%2E/staff",
    "/api/v1/./services",
    "/api/v1/services/.",
    "/api/v1/services%2fs_1",
    "/api/v1/services%5Cs_1",
    "/api/v1\\services",
    "/api/v1/services/%00",
    "/api/v1/services/s%0a",
    "/api/v1/services/%zz",
    "/api/v1/services/%4",
    "/api/v1/services/\xe9",
    "/api/v1/services#x",
    "/oauth/../api/v1/services",
    "/zimun.v1.ServicesService/%2e%2e/x",
]


@pytest.mark.parametrize("path", PATHS)
async def test_another_way_to_write_a_path_is_refused(
    gateway: Gateway, path: str, attacks: AttackCounter
) -> None:
    gateway.server.calls.clear()
    status, _, body = await sent(gateway, f"GET {path} HTTP/1.1")
    assert status == 400
    assert_one_shape(body)
    assert gateway.server.calls == []
    attacks.count("path, written otherwise")


@pytest.mark.parametrize("path", ["//api/v1/services", "/api//v1///services"])
async def test_slashes_are_merged(gateway: Gateway, path: str) -> None:
    assert (await sent(gateway, f"GET {path} HTTP/1.1"))[0] == 200
    assert gateway.server.last().method == "ListServices"


LINES = {
    "GET /api/v1/services": 505,
    "GET /api/v1/services HTTP/0.9": 505,
    "GET /api/v1/services HTTP/1.0": 505,
    "GET /api/v1/services HTTP/2.0": 505,
    "get /api/v1/services HTTP/1.1": 400,
    "NONE /api/v1/services HTTP/1.1": 400,
    "CONNECT example.com:443 HTTP/1.1": 400,
    "CONNECT /api/v1/services HTTP/1.1": 400,
    "OPTIONS * HTTP/1.1": 404,
    "TRACE /api/v1/services HTTP/1.1": 405,
}


@pytest.mark.parametrize(("line", "status"), LINES.items())
async def test_a_malformed_request_line_is_refused_at_once(
    gateway: Gateway, line: str, status: int, attacks: AttackCounter
) -> None:
    got, _, body = await sent(gateway, line)
    assert got == status
    assert_one_shape(body, {404: 5, 405: 12}.get(status, 3))
    attacks.count("first line, malformed")


async def test_an_unknown_transfer_coding_is_unimplemented(gateway: Gateway) -> None:
    line = f"POST {HOLD_PATH} HTTP/1.1"
    status, _, body = await sent(gateway, line, "transfer-encoding: gzip, x")
    assert status == 501
    assert_one_shape(body, 12)


async def test_upgrade_to_another_protocol_is_ignored(gateway: Gateway) -> None:
    """A server may go on in the protocol that is spoken (RFC 9110, 7.8)."""
    upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
    status, headers, _ = await sent(gateway, "GET /api/v1/services HTTP/1.1", *upgrade)
    assert (status, "upgrade" in headers) == (200, False)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/api/v1/services", "application/grpc"),
        ("POST", "/", "application/grpc-web"),
        ("POST", "/zimun.v1.ServicesService", "application/grpc-web+proto"),
        ("GET", "/zimun.v1.ServicesService/ListServices", "application/grpc-web"),
        ("GET", "/zimun.v1.ServicesService/ListServices", "application/grpc"),
        ("GET", "/grpc.health.v1.Health/Check", "application/grpc"),
    ],
)
async def test_grpc_on_an_unknown_path_has_status_and_details(
    gateway: Gateway, method: str, path: str, kind: str, attacks: AttackCounter
) -> None:
    """As gRPC answers: status 200 and the rest in the headers."""
    token = gateway.bearer()
    async with gateway.http.request(
        method, f"http://{gateway.target}{path}", headers=token | {"content-type": kind}
    ) as response:
        assert (response.status, response.headers["grpc-status"]) == (200, "12")
        assert response.headers["grpc-message"]
        assert response.headers["grpc-status-details-bin"]
        assert await response.read() == b""
    attacks.count("gRPC without a method")


async def test_a_content_type_that_only_begins_like_grpc_is_json(gateway: Gateway) -> None:
    kind = ("content-type: application/grpcx", "content-length: 2")
    status, _, _ = await sent(gateway, "POST /api/v1/holds/release HTTP/1.1", *kind, body="{}")
    assert status == 200
    assert gateway.server.last().method == "ReleaseHold"
