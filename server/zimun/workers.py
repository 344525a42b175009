"""`zimun serve --workers N`: several servers on one port, and who keeps them running.

Each worker is a process of its own, `zimun serve --worker`, that listens on the
same ports (SO_REUSEPORT): the kernel hands every new connection to one of them.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from zimun import app
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.rpc.server import PortTaken
from zimun_gateway import leash

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds between the death of a worker and the start of the next one in its place: they grow
while none comes to serve."""

STOP_TIME = 15.0
"""Seconds that a worker has to finish what it does before it is killed."""

READY = b"ready"
"""The line by which a worker says that it serves."""

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps so many workers running until it is told to stop.

    `command`, with `environment`, starts one worker; it says READY on its standard output.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], workers: int
    ) -> None:
        self._command = command
        self._environment = environment
        self._stopping = asyncio.Event()
        self._renewals = [asyncio.Event() for _ in range(workers)]
        self._turn = asyncio.Lock()
        self._ready = asyncio.Semaphore(0)

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM, then stop the workers one after the other.

        On SIGHUP each worker is replaced by a new one, which serves before the
        old one ends: the code may have changed.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._renew)
        await asyncio.gather(*(self._keep(renewal) for renewal in self._renewals))

    async def wait_ready(self) -> None:
        """Return once every worker serves."""
        for _ in self._renewals:
            await self._ready.acquire()

    def _renew(self) -> None:
        for renewal in self._renewals:
            renewal.set()

    async def _keep(self, renewal: asyncio.Event) -> None:
        """Keep one worker running: start another when it ends, and when it is to be renewed."""
        worker, pause = await self._start(), SHORTEST_PAUSE
        while not self._stopping.is_set():
            await _first(worker.wait(), renewal.wait(), self._stopping.wait())
            if worker.returncode is not None:
                log.error("a worker ended with status %s; starting another", worker.returncode)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                worker = await self._start()
                pause = (
                    SHORTEST_PAUSE if worker.returncode is None else min(2 * pause, LONGEST_PAUSE)
                )
            elif renewal.is_set():
                renewal.clear()
                async with self._turn:
                    worker = await self._replace(worker)
        async with self._turn:
            await _end(worker)

    async def _replace(self, worker: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        """The new worker, once the old one has ended; the old one where the new one fails."""
        successor = await self._start()
        if self._stopping.is_set() or successor.returncode is not None:
            if not self._stopping.is_set():
                log.error("the new worker does not serve; the one before it stays")
            await _end(successor)
            return worker
        await _end(worker)
        return successor

    async def _start(self) -> asyncio.subprocess.Process:
        """Start a worker, and wait until it serves, has ended, or everything is to stop."""
        worker = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        await _first(self._wait_serving(worker), self._stopping.wait())
        return worker

    async def _wait_serving(self, worker: asyncio.subprocess.Process) -> None:
        assert worker.stdout
        if (await worker.stdout.readline()).strip() == READY:
            self._ready.release()
        else:
            await worker.wait()


async def _first(*waiting: Coroutine[Any, Any, object]) -> None:
    """Return when one of them has."""
    tasks = [asyncio.create_task(one) for one in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _end(worker: asyncio.subprocess.Process) -> None:
    """Let a worker finish its calls; kill it if it does not."""
    if worker.returncode is not None:
        return
    worker.terminate()
    try:
        await asyncio.wait_for(worker.wait(), STOP_TIME)
    except TimeoutError:
        worker.kill()
        await worker.wait()


async def work(settings: Settings) -> None:
    """Be one worker: serve, on ports that others share, until SIGTERM."""
    stop = app.stop_signal()
    async with app.serve(settings, WallClock(), sharing=True):
        print(READY.decode(), flush=True)
        await stop.wait()


async def supervise(settings: Settings) -> None:
    """Run `settings.workers` workers until SIGINT or SIGTERM.

    Raises what `app.prepare` raises, and PortTaken.
    """
    app.prepare(settings)
    with ExitStack() as stack:
        settings = _reserve(settings, stack)
        supervisor = Supervisor(_command(), _environment(settings), settings.workers)
        running = asyncio.create_task(supervisor.run())
        ready = asyncio.create_task(supervisor.wait_ready())
        await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            print(where(settings, settings.grpc_port, settings.auth_port), flush=True)
        ready.cancel()
        await running


def where(settings: Settings, grpc_port: int, auth_port: int) -> str:
    """What an operator reads first."""
    return (
        f"gRPC at {settings.grpc_host}:{grpc_port}, "
        f"tokens of {settings.public_issuer} at port {auth_port}"
    )


def _reserve(settings: Settings, stack: ExitStack) -> Settings:
    """The settings with ports that all workers can share, and that nobody else takes meanwhile.

    Raises PortTaken.
    """
    host = settings.grpc_host
    return replace(
        settings,
        grpc_port=_hold(host, settings.grpc_port, stack),
        auth_port=_hold(host, settings.auth_port, stack),
    )


def _hold(host: str, port: int, stack: ExitStack) -> int:
    if port and _is_taken(host, port):
        raise PortTaken(f"port {port} is in use")
    held = stack.enter_context(socket.socket(_family(host)))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    reserved: int = held.getsockname()[1]
    return reserved


def _is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there, although they would let others listen, too."""
    with socket.socket(_family(host)) as probe:
        # Connections of a server that is gone linger (TIME_WAIT), and are nobody's.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _command() -> list[str]:
    """The command of one worker, which does not outlive its supervisor, however that ends."""
    watch = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()))
    return [*watch, sys.executable, "-m", "zimun", "serve", "--worker"]


def _environment(settings: Settings) -> Mapping[str, str]:
    """What tells a worker the settings: unlike a command, others cannot read it, and the database's
    URL may hold a password."""
    return os.environ | {
        "ZIMUN_GRPC_PORT": str(settings.grpc_port),
        "ZIMUN_AUTH_PORT": str(settings.auth_port),
        "ZIMUN_DATA_DIR": str(settings.data_dir),
        "ZIMUN_DATABASE_URL": settings.database_url,
    }
