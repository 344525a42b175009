"""The access log: bounded lines, few of callers without a token, bounded files, nothing private."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ..support.gateway import LOG_RATE, Gateway, run_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = "/api/v1/services"
BURST = 20
"""Lines of callers without a token at once; then one a second."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    rate = tmp_path_factory.mktemp("rate") / "rate.yaml"
    text = LOG_RATE.read_text().replace("_tokens: 500", f"_tokens: {BURST}")
    rate.write_text(text.replace("fill: 100", "fill: 1"))
    async with run_gateway(tmp_path_factory.mktemp("envoy"), log_rate=rate) as gateway:
        yield gateway


async def logged(gateway: Gateway, request_id: str) -> str:
    """The line of a request, once it is written; the log may be renamed meanwhile."""
    async with asyncio.timeout(5):
        while True:
            for line in (*lines(gateway), *lines(gateway, "access.log.1")):
                if request_id in line:
                    return line
            await asyncio.sleep(0.05)


def lines(gateway: Gateway, name: str = "access.log") -> list[str]:
    """The lines of a log file; none while there is no such file."""
    try:
        return Path(gateway.settings.access_log).with_name(name).read_text().splitlines()
    except FileNotFoundError:
        return []


async def line_of(gateway: Gateway, path: str, headers: dict[str, str]) -> dict[str, Any]:
    answer = await gateway.get(path, headers)
    line = await logged(gateway, answer.headers["x-request-id"])
    assert len(line) < 1500
    found: dict[str, Any] = json.loads(line)
    return found


async def test_every_field_is_bounded(gateway: Gateway) -> None:
    long = {"User-Agent": '"' * 6000, "X-Forwarded-For": "x" * 6000, "Referer": "y" * 6000}
    line = await line_of(gateway, f"/{'n' * 3000}/{'/m' * 2000}?{'q' * 3000}", long)
    assert line["path"] == "/*/*/*/*/*/*/*/*"
    line = await line_of(gateway, SERVICES, gateway.bearer("c_" + "c" * 3000) | long)
    assert len(line["client_id"]) == 64
    assert len(line["user_agent"]) == 100


@pytest.mark.parametrize(
    ("path", "template"),
    [
        (f"{SERVICES}?contact_email=dana@example.com", SERVICES),
        ("/api/v1/appointments/a_secret", "/api/v1/appointments/*"),
        ("/api/v1/appointments/confirm?contact_name=Dana", "/api/v1/appointments/confirm"),
        ("/dana@example.com", "/*"),
        ("/api/v1/dana@example.com;x?a_secret", "/api/v1/*"),
        ("/zimun.v1.ServicesService/Dana", "/zimun.v1.ServicesService/*"),
    ],
)
async def test_paths_are_logged_as_templates(gateway: Gateway, path: str, template: str) -> None:
    """With and without a token: identifiers, queries and unknown words stay out of the log."""
    for headers in ({}, gateway.bearer()):
        line = await line_of(gateway, path, headers)
        assert line["path"] == template
        assert not {"dana", "secret"} & set(json.dumps(line).lower().split('"'))
        assert "dana" not in json.dumps(line).lower()
        assert "secret" not in json.dumps(line)


async def test_callers_without_a_token_have_few_lines_and_hide_none_of_a_client(
    gateway: Gateway,
) -> None:
    began = time.monotonic()
    for _ in range(3 * BURST):
        assert (await gateway.get(SERVICES, {"User-Agent": "stranger"})).status == 401
    refilled = time.monotonic() - began + 1
    own = [await gateway.get(SERVICES) for _ in range(3 * BURST)]
    for answer in own:
        await logged(gateway, answer.headers["x-request-id"])
    assert 1 <= len([line for line in lines(gateway) if '"stranger"' in line]) <= BURST + refilled


async def test_the_size_of_log_files_is_bounded(tmp_path: Path) -> None:
    limit = 20_000
    async with run_gateway(tmp_path, max_log_bytes=limit) as gateway:
        log = tmp_path / "access.log"
        async with asyncio.timeout(20):
            while not log.with_name("access.log.3").exists():
                await asyncio.gather(*(gateway.get(SERVICES) for _ in range(60)))
                await asyncio.sleep(0.1)
        answer = await gateway.get(SERVICES)
        await logged(gateway, answer.headers["x-request-id"])
    assert not log.with_name("access.log.4").exists()


async def test_logs_are_emptied_where_the_disk_is_nearly_full(tmp_path: Path) -> None:
    """With a reserve larger than any disk the log is emptied, and callers are served.

    A renamed log that cannot be removed, as another program's directory, keeps no other log.
    """
    old = tmp_path / "access.log.1"
    (tmp_path / "access.log.2").mkdir()
    async with run_gateway(tmp_path, disk_reserve=1 << 60) as gateway:
        old.write_text("old")
        for _ in range(20):
            assert (await gateway.get(SERVICES)).status == 200
        async with asyncio.timeout(10):
            while old.exists() or (tmp_path / "access.log").stat().st_size:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await gateway.get(SERVICES)).status == 200
