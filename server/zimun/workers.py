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
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from zimun import app
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.rpc.server import PortTaken
from zimun_gateway import leash

RESTART_PAUSE = 0.5
"""Seconds between the death of a worker and the start of the next one in its place."""

STOP_TIME = 15.0
"""Seconds that a worker has to finish what it does before it is killed."""

READY = b"ready"
"""The line by which a worker says that it serves."""

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps so many workers running until it is told to stop.

    `command` starts one worker; it says READY on its standard output.
    """

    def __init__(self, command: Sequence[str], workers: int) -> None:
        self._command = command
        self._count = workers
        self._stopping = asyncio.Event()
        self._ready = asyncio.Semaphore(0)

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM, then stop the workers one after the other."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        turn = asyncio.Lock()
        await asyncio.gather(*(self._keep(number, turn) for number in range(self._count)))

    async def wait_ready(self) -> None:
        """Return once every worker serves."""
        for _ in range(self._count):
            await self._ready.acquire()

    async def _keep(self, number: int, turn: asyncio.Lock) -> None:
        """Start a worker, and another one whenever it ends before its time."""
        while not self._stopping.is_set():
            worker = await asyncio.create_subprocess_exec(
                *self._command, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
            try:
                await self._watch(worker)
            finally:
                async with turn:
                    await _end(worker)
            if not self._stopping.is_set():
                log.error(
                    "worker %d ended with status %s; starting another", number, worker.returncode
                )
                await self._pause()

    async def _watch(self, worker: asyncio.subprocess.Process) -> None:
        """Return when the worker has ended, or is to."""
        assert worker.stdout
        if (await worker.stdout.readline()).strip() == READY:
            self._ready.release()
        ended, stopping = (
            asyncio.create_task(wait) for wait in (worker.wait(), self._stopping.wait())
        )
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stopping):
            task.cancel()

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), RESTART_PAUSE)


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
        supervisor = Supervisor(_command(settings), settings.workers)
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


def _command(settings: Settings) -> list[str]:
    """The command of one worker: itself with the ports that were reserved."""
    return [
        # A worker does not outlive its supervisor, however that ends.
        *(sys.executable, "-I", "-S", leash.__file__, str(os.getpid())),
        sys.executable,
        "-m",
        "zimun",
        "serve",
        "--worker",
        "--grpc-port",
        str(settings.grpc_port),
        "--auth-port",
        str(settings.auth_port),
        "--data-dir",
        str(settings.data_dir),
        *(("--database-url", settings.database_url) if settings.database_url else ()),
    ]
