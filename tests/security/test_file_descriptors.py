"""Connections at the ports of a server leave descriptors for its database."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice

import pytest
import requests

from ..support.processes import until
from ..support.server import Server, Site, starts

pytestmark = pytest.mark.one_store

FILES = 256
"""What the system allows the server; it starts with half of it."""

CONNECTIONS = 2 * FILES


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    server = Server(site, started_by=("prlimit", f"--nofile={FILES // 2}:{FILES}"))
    yield server.start()
    server.close()


@pytest.mark.parametrize("port", ["grpc_port", "auth_port"])
def test_idle_connections_leave_files_to_open(server: Server, port: str) -> None:
    """A connected caller goes on booking, and tokens are issued meanwhile."""
    times = list(islice(starts(), 10))
    with server.caller() as caller, requests.Session() as session, ExitStack() as stack:
        assert gets_a_token(server, session)
        caller.services()
        address = ("127.0.0.1", getattr(server, port))
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(address, timeout=5))
        for time in times:
            caller.begin_hold(time).result()
            assert gets_a_token(server, session)
        stack.close()
        until("a new caller is served", lambda: serves_a_new_connection(server))
    assert "unable to open" not in server.output()
    assert "Too many open files" not in server.output()


def gets_a_token(server: Server, session: requests.Session) -> bool:
    """Whether a token is issued on the session's connection."""
    answer = session.post(
        f"http://127.0.0.1:{server.auth_port}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=server.site.credentials,
        timeout=5,
    )
    return answer.status_code == 200


def serves_a_new_connection(server: Server) -> bool:
    with server.caller() as newcomer:
        return bool(newcomer.services(timeout=2))


def test_unfinished_handshakes_and_bodies_are_closed(server: Server) -> None:
    """Ten seconds for a client's first frame at the gRPC port, and for the body of a request."""
    begun = (
        b"POST /oauth/token HTTP/1.1\r\nHost: a\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\ngrant"
    )
    with (
        socket.create_connection(("127.0.0.1", server.auth_port), timeout=15) as slow,
        socket.create_connection(("127.0.0.1", server.grpc_port), timeout=15) as idle,
    ):
        slow.sendall(begun)
        while idle.recv(1000):
            pass
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
