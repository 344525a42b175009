"""The ports of `zimun serve --workers 2`: which they are, and what is refused."""

import socket
from collections.abc import Callable

import pytest
import requests

from ..support.processes import BIN, free_port, free_ports, listens, run
from ..support.program import DEMO_STAFF
from ..support.server import Server, Site, starts

TIME = next(starts())


def test_each_worker_answers_at_a_port_of_its_own_from_the_given_one_on(
    serve: Callable[..., Server],
) -> None:
    first = free_ports(3)
    server = serve(workers=2, grpc_port=first, auth_port=first + 2).start()
    assert server.grpc_ports == [first, first + 1]
    assert server.auth_port == first + 2
    assert len(server.children()) == 2
    assert server.listens()
    with server.caller_at_each_worker() as callers:
        assert callers.keys() == server.children()
        for caller in callers.values():
            assert caller.services()[0].id == "s_123"
            assert caller.health() == "SERVING"
    server.stop()
    assert not any(map(listens, (*server.grpc_ports, server.auth_port)))


def test_each_worker_has_a_port_that_the_system_chose(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).start()
    assert len({*server.grpc_ports, server.auth_port} - {0}) == 3
    with server.caller_at_each_worker() as callers:
        one, other = callers.values()
        held = one.hold(TIME)
        assert other.free_staff(TIME) == DEMO_STAFF - {held.staff_id}
    server.stop()


@pytest.mark.about_the_program
def test_the_same_ports_can_be_had_again_at_once(serve: Callable[..., Server]) -> None:
    # Connections that the server closed linger as TIME_WAIT; nobody listens there.
    server = serve(workers=2, grpc_port=free_ports(2), auth_port=free_port()).start()
    with requests.Session() as session, server.caller() as caller:
        keys = session.get(f"http://127.0.0.1:{server.auth_port}/.well-known/jwks.json", timeout=20)
        assert keys.status_code == 200
        assert caller.services()
        server.stop()
    server.start()
    with server.caller() as caller:
        assert caller.services()
    server.stop()


def refusal(site: Site, **ports: int) -> str:
    """The one line with which two workers refuse to start."""
    options = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    done = run(
        str(BIN / "zimun"), "serve", "--workers", "2", *options,
        "--data-dir", str(site.data_dir), **site.database,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.about_the_program
@pytest.mark.parametrize("taken", ["first", "second", "auth"])
def test_a_taken_port_is_refused_in_one_line(site: Site, taken: str) -> None:
    first, auth = free_ports(2), free_port()
    port = {"first": first, "second": first + 1, "auth": auth}[taken]
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        assert refusal(site, grpc=first, auth=auth) == f"zimun: port {port} is in use"


@pytest.mark.about_the_program
def test_a_port_for_tokens_and_for_a_worker_is_refused_in_one_line(site: Site) -> None:
    first = free_ports(2)
    line = refusal(site, grpc=first, auth=first + 1)
    assert line.startswith(f"zimun: ZIMUN_AUTH_PORT={first + 1} is a gRPC port")


@pytest.mark.about_the_program
def test_workers_share_their_ports_with_nobody_else(
    serve: Callable[..., Server], site: Site
) -> None:
    server = serve(workers=2).start()
    ports = [*(("grpc", port) for port in server.grpc_ports), ("auth", server.auth_port)]
    for taken, port in ports:
        line = refusal(site, **{"grpc": free_ports(2), "auth": free_port(), taken: port})
        assert f"port {port} is in use" in line
        # Nor does a server without workers get in between.
        alone = serve(**{"grpc_port": free_port(), "auth_port": free_port(), f"{taken}_port": port})
        alone.spawn()
        assert alone.process.wait(10) == 1
        [line] = alone.output().splitlines()
        assert f"port {port} is in use" in line
    assert server.listens()
    server.stop()
