"""`zimun serve --workers 2`: workers that are replaced, renewed and stopped, and their keys."""

import os
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

import grpc
import pytest
import requests

from ..support.postgres import shared
from ..support.processes import BIN, alive, free_port, free_ports, listens, run, until
from ..support.program import DEMO_STAFF
from ..support.server import Caller, Server, Site, outcome, outcome_of, starts

TIME, ANOTHER_TIME = islice(starts(), 2)


@contextmanager
def writers_wait(site: Site) -> Iterator[None]:
    """Keeps whoever writes waiting while the context is open."""
    if not site.database:
        with closing(sqlite3.connect(site.data_dir / "zimun.db", isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
            file.execute("ROLLBACK")
        return
    server, _ = shared()
    with server.session(site.database["ZIMUN_DATABASE_URL"]) as execute:
        execute("BEGIN; LOCK TABLE reservations IN ACCESS EXCLUSIVE MODE")
        yield
        execute("ROLLBACK")


def test_a_password_of_the_database_is_not_in_a_command(
    serve: Callable[..., Server], site: Site
) -> None:
    server = serve(workers=2).start()
    for pid in server.children():
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert "--worker" in command
        assert "postgresql" not in command
        assert str(site.data_dir) not in command
    server.stop()


def test_a_killed_worker_is_replaced_while_the_other_serves(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).start()
    first = server.children()
    victim, other = server.grpc_ports
    pid = server.worker(victim)
    server.token()
    os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        with server.caller(other) as caller:
            assert caller.services(timeout=5)
        # A process that is killed has its sockets until it is scheduled.
        return not alive(pid) and server.listens()

    until("another worker at the same port", replaced, 10)
    assert pid not in server.children()
    assert len(server.children() & first) == 1
    with server.caller_at_each_worker() as callers:
        for number, caller in enumerate(callers.values()):
            assert caller.hold((TIME, ANOTHER_TIME)[number]).staff_id in DEMO_STAFF
    assert "worker" in server.output().splitlines()[-1]
    server.stop()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_workers_and_answers_what_they_are_doing(
    serve: Callable[..., Server], site: Site, how: int
) -> None:
    server = serve(workers=2).start()
    family = server.children()
    with server.caller_at_each_worker() as callers:
        with writers_wait(site):
            calls = [
                caller.begin_hold(time)
                for caller, time in zip(callers.values(), (TIME, ANOTHER_TIME), strict=True)
            ]
            for caller in callers.values():
                # What comes later on a connection is answered when the server has what came before.
                assert caller.services()
            server.process.send_signal(how)
            # One after the other: the second serves until the first has ended.
            until("a worker to listen no more", lambda: server.listeners().total() == 1)
            assert not any(call.done() for call in calls)
            assert server.process.poll() is None
        assert [outcome(call) for call in calls] == [("OK", "")] * 2
        assert {call.result().staff_id for call in calls} <= DEMO_STAFF
    server.wait_stopped(family)


@pytest.mark.about_the_program
def test_a_signal_while_the_workers_start_leaves_nothing(serve: Callable[..., Server]) -> None:
    server = serve(workers=2)
    server.spawn()
    until("the workers", lambda: len(server.children()) == 2)
    family = server.children()
    server.process.send_signal(signal.SIGTERM)
    server.wait_stopped(family)


def served(caller: Caller) -> bool:
    """Whether a call is answered; a server that stops may cancel what it has not begun."""
    try:
        return bool(caller.services(timeout=5))
    except grpc.RpcError as error:
        if outcome_of(error)[0] != "CANCELLED":
            raise
        return False


@pytest.mark.about_the_program
def test_workers_are_renewed_one_after_the_other_while_others_serve(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=2).start()
    first = server.children()
    server.token()
    asked = 0
    server.process.send_signal(signal.SIGHUP)

    def renewed() -> bool:
        nonlocal asked
        for port in server.grpc_ports:
            with server.caller(port) as caller:
                for _ in range(20):
                    asked += served(caller)
        assert server.listeners() >= Counter(server.grpc_ports)
        return server.listens() and not server.children() & first

    until("two new workers", renewed, 30)
    assert asked > 20
    server.stop()


@contextmanager
def schema_too_new(site: Site) -> Iterator[None]:
    """Lets no server start on the database while the context is open."""

    def update(sql: str) -> None:
        with closing(sqlite3.connect(site.data_dir / "zimun.db")) as file, file:
            file.execute(sql)

    update("UPDATE alembic_version SET version_num = 'x' || version_num")
    yield
    update("UPDATE alembic_version SET version_num = substr(version_num, 2)")


@pytest.mark.about_the_program
def test_workers_that_cannot_be_renewed_stay(serve: Callable[..., Server], site: Site) -> None:
    server = serve(workers=2).start()
    first = server.children()
    with schema_too_new(site):
        server.process.send_signal(signal.SIGHUP)
        told = "the new worker does not start; the old worker goes on"
        until("both to give it up", lambda: server.output().count(told) == 2, 30)
    assert server.children() == first
    with server.caller() as caller:
        assert caller.services()
    server.stop()


@pytest.mark.about_the_program
def test_a_worker_that_does_not_start_is_tried_again_while_the_other_serves(
    serve: Callable[..., Server], site: Site
) -> None:
    server = serve(workers=2).start()
    server.token()
    with schema_too_new(site):
        vacant, other = server.grpc_ports
        os.kill(server.worker(vacant), signal.SIGKILL)
        until("two failures", lambda: server.output().count("this Zimun does not know") >= 2, 20)
        with server.caller(other) as caller:
            assert caller.services()
        # No other program can listen there meanwhile, although it asks with SO_REUSEADDR.
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", vacant))
    until("another worker", server.listens, 20)
    server.stop()


@pytest.mark.about_the_program
def test_a_signal_ends_workers_that_somebody_watches(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).start()
    family = server.children()
    with server.caller_at_each_worker() as callers:
        watches = [caller.watch() for caller in callers.values()]
        assert [next(watch) for watch in watches] == ["SERVING"] * 2
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert [next(watch) for watch in watches] == ["NOT_SERVING"] * 2
        server.wait_stopped(family)
        # Far below the time that calls under way are given.
        assert time.monotonic() - began < 8


@pytest.mark.about_the_program
def test_no_worker_outlives_a_killed_supervisor(serve: Callable[..., Server]) -> None:
    server = serve(workers=2, grpc_port=free_ports(2), auth_port=free_port()).start()
    family = server.children()
    server.process.kill()
    server.process.wait(10)
    until("the workers to end", lambda: not [pid for pid in family if alive(pid)], 5)
    until("their ports to be free", lambda: not any(map(listens, server.grpc_ports)), 5)
    # Whoever comes next gets the same ports at once.
    again = serve(workers=2, grpc_port=server.grpc_port, auth_port=server.auth_port)
    again.start().stop()


def keys(site: Site, *arguments: str) -> str:
    """What `zimun keys …` prints."""
    done = run(
        str(BIN / "zimun"), "keys", *arguments,
        "--data-dir", str(site.data_dir), **site.database,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_workers_follow_the_keys_that_an_operator_rotates_and_removes(
    serve: Callable[..., Server], site: Site
) -> None:
    server = serve(workers=2).start()
    with server.caller_at_each_worker() as callers:
        [(_, old)] = [line.split() for line in keys(site, "list").splitlines()]
        new = keys(site, "rotate").split()[1]
        assert [line.split()[1] for line in keys(site, "list").splitlines()] == [old, new]

        def published() -> bool:
            url = f"http://127.0.0.1:{server.auth_port}/.well-known/jwks.json"
            seen = [requests.get(url, timeout=20).json()["keys"] for _ in range(12)]
            return all([key["kid"] for key in found] == [old, new] for found in seen)

        until("both workers to publish it", published, 15)
        assert keys(site, "remove", old, "--now") == f"removed {old}\n"

        def refused() -> bool:
            calls = [caller.begin_hold(TIME) for caller in callers.values()]
            return [outcome(call) for call in calls] == [("UNAUTHENTICATED", "TOKEN_INVALID")] * 2

        until("both workers to refuse what it signed", refused, 15)
    with Caller(server.target, server.new_token()) as caller:
        assert caller.services()
    server.stop()
