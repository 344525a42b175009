"""Limits of connections, below the limit of open files of the process.

Files and connections share the limit of descriptors: a server whose database file cannot be opened
takes no booking.
"""

import asyncio
import resource
from collections.abc import Callable

from aiohttp import web

MAX_FILES = 65_536
"""The limit of open files that a process sets, even where the system allows more."""

IDLE_TIME = 30.0
"""Seconds that a connection over HTTP may send no whole request."""


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


def bounded(server: web.Server, max_connections: int) -> Callable[[], asyncio.BaseProtocol]:
    """A protocol factory: the server's protocol, or beyond the limit one that closes at once."""
    return lambda: server() if len(server.connections) < max_connections else _Abort()


class _Abort(asyncio.Protocol):
    """Closes a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
