"""A pooler of PostgreSQL's sessions, which does to connections what PgBouncer does."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import URL, make_url

TLS_REQUEST = (80877103).to_bytes(4)
ACCEPTED = {b"user", b"database", b"client_encoding", b"application_name"}
"""Parameters of a first message that it takes, among others that no driver of ours sends."""

READY, KEY, QUIT, ERROR = b"Z", b"K", b"X", b"E"
IDLE = b"I"


class _Session:
    """A connection to the server, which serves one connection of a caller at a time."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._lock = asyncio.Lock()
        self._caller: StreamWriter | None = None
        self.greeting = b""

    async def greet(self) -> None:
        """Read what the server says first; the process that it names is none of its own."""
        while not self.greeting.endswith(READY + (5).to_bytes(4) + IDLE):
            kind, body = await _message(self._reader)
            self.greeting += _packed(kind, bytes(len(body)) if kind == KEY else body)

    async def answer(self) -> None:
        """Send what the server answers to the caller, who has the session for a transaction."""
        while True:
            kind, body = await _message(self._reader)
            assert self._caller
            self._caller.write(_packed(kind, body))
            if kind == READY and body == IDLE:
                self._caller = None
                self._lock.release()

    async def ask(self, caller: StreamWriter, message: bytes) -> None:
        if self._caller is not caller:
            await self._lock.acquire()
            self._caller = caller
        self.writer.write(message)


class _Pooler:
    def __init__(self, server: URL, mode: str) -> None:
        self._address = server.host, server.port
        self._shared: _Session | None = None
        self._shares = mode == "transaction"
        self._sessions: dict[asyncio.Task[None], _Session] = {}

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        startup = await _startup(reader)
        if startup == TLS_REQUEST:
            writer.write(b"N")
            startup = await _startup(reader)
        names = startup[4:].split(b"\0")[::2]
        if refused := [name for name in names if name and name not in ACCEPTED]:
            text = b"unsupported startup parameter: " + refused[0]
            writer.write(_packed(ERROR, b"SFATAL\0C08P01\0M" + text + b"\0\0"))
            return
        session = self._shared or await self._begin(startup)
        writer.write(session.greeting)
        while (message := await _message(reader))[0] != QUIT:
            await session.ask(writer, _packed(*message))

    async def _begin(self, startup: bytes) -> _Session:
        reader, writer = await asyncio.open_connection(*self._address)
        session = _Session(reader, writer)
        writer.write((len(startup) + 4).to_bytes(4) + startup)
        await session.greet()
        self._sessions[asyncio.create_task(session.answer())] = session
        if self._shares:
            self._shared = session
        return session

    async def close(self) -> None:
        for answering, session in self._sessions.items():
            answering.cancel()
            session.writer.close()
            await session.writer.wait_closed()


@asynccontextmanager
async def run_pooler(server: str, mode: str) -> AsyncIterator[str]:
    """The URL of a database through a pooler in session or transaction mode."""
    pooler = _Pooler(make_url(server), mode)
    listening = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield make_url(server).set(port=port).render_as_string(hide_password=False)
    await pooler.close()


async def _startup(reader: StreamReader) -> bytes:
    """A first message, which has no type."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)


async def _message(reader: StreamReader) -> tuple[bytes, bytes]:
    """The type and the body of a message."""
    kind = await reader.readexactly(1)
    return kind, await _startup(reader)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body
