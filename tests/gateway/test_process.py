"""Envoy as a child."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from zimun.v1.services_service_pb2 import ListServicesResponse
from zimun_gateway import Settings
from zimun_gateway.envoy_process import Envoy, EnvoyError

from ..support.gateway import DESCRIPTORS, run_gateway
from ..support.gateway_stubs import Context
from ..support.processes import free_port

SERVICES = "/api/v1/services"


def lonely() -> Settings:
    """Of a gateway with nothing behind it."""
    return Settings(
        listen_address="127.0.0.1",
        listen_port=free_port(),
        admin_port=0,
        grpc_endpoints=("127.0.0.1:1",),
        auth_endpoints=("127.0.0.1:1",),
        descriptors=DESCRIPTORS,
        access_log="",
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - another process, nothing to wait on
            await asyncio.sleep(0.01)


@pytest.mark.quiet
async def test_envoy_is_ready_within_a_second(tmp_path: Path) -> None:
    """Also when nothing behind it answers."""
    envoy = Envoy(lonely(), tmp_path)
    began = time.monotonic()
    await envoy.start()
    await envoy.wait_ready()
    took = time.monotonic() - began
    await envoy.stop()
    assert took < 1


async def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    settings = lonely()
    async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", settings.listen_port):
        with pytest.raises(EnvoyError, match=rf"^port {settings.listen_port} is in use$"):
            await Envoy(settings, tmp_path).start()


async def test_two_envoys_share_a_machine_but_not_a_port(tmp_path: Path) -> None:
    one, two = Envoy(lonely(), tmp_path / "one"), Envoy(lonely(), tmp_path / "two")
    for envoy in (one, two):
        await envoy.start()
        await envoy.wait_ready()
    assert one.admin_address != two.admin_address
    third = Envoy(replace(lonely(), listen_port=one.settings.listen_port), tmp_path / "three")
    with pytest.raises(EnvoyError, match="is in use"):
        await third.start()
    await one.stop()
    await two.stop()


async def test_envoy_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    broken = replace(lonely(), tls_certificate=tmp_path / "no.pem", tls_key=tmp_path / "no.key")
    envoy = Envoy(broken, tmp_path)
    await envoy.start()
    with pytest.raises(EnvoyError, match=r"^envoy ended: error .*no\.key`$"):
        await envoy.wait_ready()
    assert await envoy.wait_closed() != 0
    await envoy.stop()


async def test_envoy_that_is_not_ready_in_time_is_an_error(tmp_path: Path) -> None:
    envoy = Envoy(lonely(), tmp_path)
    await envoy.start()
    with pytest.raises(EnvoyError, match="not ready"):
        await envoy.wait_ready(0)
    await envoy.stop()


async def test_envoy_that_is_killed_later_is_noticed(tmp_path: Path) -> None:
    envoy = Envoy(lonely(), tmp_path)
    await envoy.start()
    await envoy.wait_ready()
    os.kill(envoy.pid, signal.SIGKILL)
    assert await envoy.wait_closed() == -signal.SIGKILL
    await envoy.stop()


async def test_envoy_has_a_session_of_its_own_out_of_reach_of_ctrl_c(tmp_path: Path) -> None:
    envoy = Envoy(lonely(), tmp_path)
    await envoy.start()
    await envoy.wait_ready()
    assert os.getsid(envoy.pid) != os.getsid(0)
    await envoy.stop()


async def test_drain_answers_pending_requests_and_refuses_new_connections(tmp_path: Path) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_: Any, __: Context) -> ListServicesResponse:
        entered.set()
        await leave.wait()
        return ListServicesResponse()

    async with run_gateway(tmp_path) as gateway:
        gateway.server.behaviours["ListServices"] = wait
        request = asyncio.create_task(gateway.get(SERVICES))
        await asyncio.wait_for(entered.wait(), 5)
        draining = asyncio.create_task(gateway.envoy.drain())
        await until(lambda: not accepts(gateway.settings.listen_port))
        assert not draining.done()
        leave.set()
        answer = await request
        await asyncio.wait_for(draining, 5)
        async with aiohttp.ClientSession() as newcomer:
            with pytest.raises(aiohttp.ClientConnectionError):
                await newcomer.get(f"http://{gateway.target}{SERVICES}")
    assert answer.status == 200


def accepts(port: int) -> bool:
    """Whether a process listens on the port."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(
        int(local.rpartition(":")[2], 16) == port and state == "0A"
        for _, local, _, state, *_ in (line.split() for line in table)
    )


PARENT = """
import asyncio, sys
from pathlib import Path
from zimun_gateway import Settings
from zimun_gateway.envoy_process import Envoy

async def main():
    port, descriptors, workdir = sys.argv[1:]
    settings = Settings(listen_address="127.0.0.1", listen_port=int(port), admin_port=0,
        descriptors=Path(descriptors), access_log="")
    envoy = Envoy(settings, Path(workdir))
    await envoy.start()
    await envoy.wait_ready()
    print(envoy.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_envoy_is_killed_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PARENT, str(free_port()), str(DESCRIPTORS), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Running; a zombie, which its parent has not reaped, is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
