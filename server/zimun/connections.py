"""Limits of connections, below the limit of open files of the process.

Files and connections share the limit of descriptors: a server whose database file cannot be opened
takes no booking.
"""

import asyncio
import resource
import socket
import ssl
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

MAX_FILES = 65_536
"""The limit of open files that a process sets, even where the system allows more."""

IDLE_TIME = 30.0
"""Seconds that a connection over HTTP may send no whole request."""

HANDSHAKE_TIME = 10.0
"""Seconds of a TLS handshake at these ports; the gRPC port has as many."""

ACCEPT_PAUSE = 0.1
"""Seconds after a connection that could not be accepted."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files, which children inherit, to the hard one; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return MAX_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def max_rpc_connections() -> int:
    """Connections at the gRPC port: half of the files."""
    return raise_file_limit() // 2


def max_http_connections() -> int:
    """Connections at the port of tokens or of metrics: an eighth of the files each; a quarter of
    all is left for the database and for logs."""
    return raise_file_limit() // 8


def max_gateway_connections() -> int:
    """Connections at Envoy's port: three quarters of the files; it has others to the servers."""
    return raise_file_limit() * 3 // 4


def bind(host: str, port: int, sharing: bool) -> list[socket.socket]:
    """Sockets that listen at every address of a host, all on one port (0: any free one).

    With `sharing` other processes may listen there, too. Raises OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    with ExitStack() as stack:
        for family, _, _, _, (address, *_) in dict.fromkeys(found):
            listening = socket.create_server((address, port), family=family, reuse_port=sharing)
            sockets.append(stack.enter_context(listening))
            port = listening.getsockname()[1]
        stack.pop_all()
    return sockets


class Listener:
    """Accepts connections of an HTTP server at sockets, and closes those beyond the limit at once.

    It accepts by itself, as a server of asyncio accepts any number of connections whose TLS
    handshake is not complete.
    """

    def __init__(
        self, server: "web.Server", max_connections: int, context: ssl.SSLContext | None
    ) -> None:
        self._server, self._max_connections, self._context = server, max_connections, context
        self._opening: set[asyncio.Task[None]] = set()

    async def accept(self, listening: socket.socket) -> None:
        """Accept connections until the task is cancelled; then those in a handshake are closed."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listening)
                except OSError:
                    # The caller has gone, or no descriptor is left.
                    await asyncio.sleep(ACCEPT_PAUSE)
                else:
                    self._open(connection)
        finally:
            for task in self._opening:
                task.cancel()

    def _open(self, connection: socket.socket) -> None:
        if len(self._server.connections) + len(self._opening) >= self._max_connections:
            connection.close()
            return
        task = asyncio.create_task(self._connect(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, connection: socket.socket) -> None:
        """Serve a connection, after its handshake where there is TLS; it may fail."""
        timeout = HANDSHAKE_TIME if self._context else None
        with suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server, connection, ssl=self._context, ssl_handshake_timeout=timeout
            )
