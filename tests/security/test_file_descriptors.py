"""Connections at the ports of a server leave descriptors for its database."""

import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest
import requests

from ..support.certificates import Authority
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
    for words in ("unable to open", "Too many open files", "Traceback"):
        assert words not in server.output()


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


def test_unfinished_tls_handshakes_count_as_connections(site: Site, tmp_path: Path) -> None:
    """At the port of tokens; those beyond the limit are closed, and nothing is logged of them."""
    pair = Authority(tmp_path).issue("zimun")
    tls = (f"ZIMUN_GRPC_TLS_CERTIFICATE={pair.certificate}", f"ZIMUN_GRPC_TLS_KEY={pair.key}")
    server = Server(site, started_by=("prlimit", f"--nofile={FILES}", "env", *tls))
    try:
        server.start()
        silent = [
            socket.create_connection(("127.0.0.1", server.auth_port), timeout=5)
            for _ in range(CONNECTIONS)
        ]
        until("the others to be closed", lambda: len(still_open(silent)) <= FILES // 8)
        for connection in silent:
            connection.close()
        until("a handshake to succeed", lambda: shakes_hands(server.auth_port))
        assert "Traceback" not in server.output()
        server.stop()
    finally:
        server.close()


def still_open(connections: Iterable[socket.socket]) -> list[socket.socket]:
    """The connections that the peer, which sends nothing, has not closed."""
    return [each for each in connections if not select.select([each], [], [], 0)[0]]


def shakes_hands(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as connection,
        ):
            return bool(connection.version())
    except OSError:
        return False
