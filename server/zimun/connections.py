"""How many connections a process takes: fewer than the files that it may have open.

Files are descriptors, too: a database whose file cannot be opened takes no booking, however many
callers are connected.
"""

import asyncio
import resource
from collections.abc import Callable

from aiohttp import web

MAX_FILES = 65_536
"""More than this is never asked for, whatever the system allows."""

IDLE_TIME = 30.0
"""Seconds that a connection over HTTP may send no whole request."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files, which children inherit, to the hard one; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def rpc_share() -> int:
    """Connections at the gRPC port: half of the files."""
    return raise_file_limit() // 2


def http_share() -> int:
    """Connections at the port of tokens or of metrics: an eighth of the files each; a quarter of
    all is left for the database and for logs."""
    return raise_file_limit() // 8


def gateway_share() -> int:
    """Connections at Envoy's port: three quarters of the files; it has others to the servers."""
    return raise_file_limit() * 3 // 4


def bounded(server: web.Server, most: int) -> Callable[[], asyncio.BaseProtocol]:
    """A protocol factory: what `server` does for a connection, or for one too many a hang-up."""
    return lambda: server() if len(server.connections) < most else _HangUp()


class _HangUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
