"""A TCP proxy between the servers and their database, which can cut, stall, deafen and lose."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = 1 << 16


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Event] = set()
        self._asking = asyncio.Event()
        self._answering = asyncio.Event()
        self.heal()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Take connections while the context is open; gives the port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    def cut(self) -> None:
        """Break every connection, whatever is under way."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def stall(self) -> None:
        """Let nothing through, in either direction, until `heal`."""
        self._asking.clear()
        self._answering.clear()

    def deafen(self) -> None:
        """Let questions through and keep the answers, until `heal`: a COMMIT takes effect and its
        answer is lost where `cut` follows."""
        self._answering.clear()

    def lose(self) -> None:
        """Let nothing through any more on the connections that there are, and tell neither end: as
        a firewall does that has forgotten them. New ones are taken."""
        for kept in self._kept:
            kept.clear()

    def heal(self) -> None:
        self._asking.set()
        self._answering.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._join(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, questions = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, questions}
        self._writers |= both
        kept = asyncio.Event()
        kept.set()
        self._kept.add(kept)
        pumps = [
            asyncio.create_task(_pump(reader, questions, self._asking, kept)),
            asyncio.create_task(_pump(answers, writer, self._answering, kept)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers -= both
            self._kept.discard(kept)
            for one in both:
                one.transport.abort()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *gates: asyncio.Event
) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            for gate in gates:
                await gate.wait()
            writer.write(chunk)
            await writer.drain()
