"""`zimun gateway` before the workers of `zimun serve`: which one answers, and when it dies."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
import yaml

from ..support.processes import BIN, alive, free_ports, run, until
from ..support.server import Caller, Server, Site, starts
from .gateway_process import Gateway, gateway_before


def new_token(server: Server, organization: str) -> str:
    """A token of a new client of a new organization."""
    where = ("--data-dir", str(server.site.data_dir))

    def zimun(*arguments: str) -> str:
        done = run(str(BIN / "zimun"), *arguments, *where, **server.site.database)
        assert done.returncode == 0, done.stderr
        return done.stdout

    zimun("org", "create", organization, "--name", "Another")
    printed = zimun("client", "create", "--org", organization, "--name", "A test")
    client = dict(re.findall(r"^client (id|secret)\s+(\S+)$", printed, re.MULTILINE))
    return server.new_token((client["id"], client["secret"]))


@pytest.mark.about_the_program
def test_calls_of_one_organization_reach_one_worker_and_those_of_many_reach_all(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(workers=2).start()
    with gateway_before(server, log=tmp_path / "gateway.log") as gateway:

        def workers_of(token: str) -> set[int]:
            """Which ones answer calls of this token, JSON and gRPC."""
            workers = {gateway.worker_of(lambda: gateway.services(token)) for _ in range(6)}
            for _ in range(3):
                with Caller(gateway.target, token) as caller:
                    workers.add(gateway.worker_of(caller.services))
            return workers

        [own] = workers_of(server.token())
        assert own in server.grpc_ports
        # Each other organization has the other worker with a probability of one half.
        others = (workers_of(new_token(server, f"o_other{number}")) for number in range(25))
        for workers in others:
            assert len(workers) == 1
            if workers != {own}:
                break
        else:
            pytest.fail("no organization has the other worker")
    server.stop()


@pytest.mark.about_the_program
def test_calls_of_a_killed_worker_succeed_at_another_one_and_come_back(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(workers=2).start()
    token = server.token()
    with gateway_before(server, log=tmp_path / "gateway.log") as gateway:
        own = gateway.worker_of(lambda: gateway.services(token))
        [other] = set(server.grpc_ports) - {own}
        before = gateway.count_answers()[other]
        with calls_under_way(gateway, token) as calls:
            until("calls", lambda: gateway.count_answers()[own] > 20)
            pid = server.worker(own)
            os.kill(pid, signal.SIGKILL)
            until("its end", lambda: not alive(pid))
            until("calls at the other worker", lambda: gateway.count_answers()[other] > before + 20)
            until("another worker", server.listens, 20)
            answered = gateway.count_answers()[own]
            until(
                "calls at the new worker", lambda: gateway.count_answers()[own] > answered + 20, 20
            )
        answers = [answer for call in calls for answer in call.result()]
        assert {answer.status_code for answer in answers} == {200}
        assert gateway.worker_of(lambda: gateway.services(token)) == own
        holds = [answer.json()["hold_id"] for answer in answers if answer.request.method == "POST"]
        assert len(holds) == len(set(holds)) > 10
    server.stop()


@pytest.mark.about_the_program
def test_calls_of_a_worker_that_hangs_reach_another_one_and_come_back(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(workers=2).start()
    token = server.token()
    with gateway_before(server, log=tmp_path / "gateway.log") as gateway:
        own = gateway.worker_of(lambda: gateway.services(token))
        [other] = set(server.grpc_ports) - {own}
        pid = server.worker(own)

        def answers_at(port: int) -> bool:
            before = gateway.count_answers()[port]
            try:
                return gateway.services(token, timeout=1).ok and (
                    gateway.count_answers()[port] > before
                )
            except requests.Timeout:
                return False

        os.kill(pid, signal.SIGSTOP)
        try:
            # Its health checks fail; no connection breaks.
            until("calls at the other worker", lambda: answers_at(other), 20)
        finally:
            os.kill(pid, signal.SIGCONT)
        until("calls at the same worker again", lambda: answers_at(own), 20)
        assert server.worker(own) == pid
    server.stop()


@contextmanager
def calls_under_way(
    gateway: Gateway, token: str
) -> Iterator[list["Future[list[requests.Response]]"]]:
    """Two threads that read and two that hold, one call after the other while the context is open.

    The number of the thread and of the call make the key of a hold.
    """
    over = Event()

    def read(_: int) -> list[requests.Response]:
        answers = []
        while not over.wait(0.02):
            answers.append(gateway.services(token))
        return answers

    def hold(thread: int) -> list[requests.Response]:
        answers = []
        for number, time in enumerate(islice(starts(), thread, None, 2)):
            if over.wait(0.02):
                break
            answers.append(gateway.hold(token, time, f"{thread} {number}"))
        return answers

    with ThreadPoolExecutor(4) as pool:
        try:
            yield [pool.submit(call, thread) for call in (read, hold) for thread in range(2)]
        finally:
            over.set()


@pytest.mark.about_the_program
def test_a_gateway_with_the_settings_of_the_workers_knows_their_addresses(site: Site) -> None:
    first = free_ports(3)
    printed = run(
        str(BIN / "zimun"), "gateway", "--print",
        ZIMUN_WORKERS="3", ZIMUN_GRPC_PORT=str(first), ZIMUN_DATA_DIR=str(site.data_dir),
    )  # fmt: skip
    [cluster] = [
        cluster
        for cluster in yaml.safe_load(printed.stdout)["static_resources"]["clusters"]
        if cluster["name"] == "zimun"
    ]
    endpoints: list[Any] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    addresses = [endpoint["endpoint"]["address"]["socket_address"] for endpoint in endpoints]
    assert addresses == [
        {"address": "127.0.0.1", "port_value": port} for port in range(first, first + 3)
    ]
