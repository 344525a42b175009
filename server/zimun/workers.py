"""`zimun serve --workers N`: several servers on one machine, and the supervisor that restarts them.

Each worker is a process of its own, `zimun serve --worker`, with a gRPC port of its own, so that
Envoy can send all calls of an organization to one of them. The supervisor reserves the ports: a
worker that is replaced has the port of the one before it, and while it is renewed both listen there
(SO_REUSEPORT). The port of the tokens is shared by all workers.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from zimun.config import Settings
from zimun.rpc.ports import PortTaken
from zimun.stores import claimed
from zimun_gateway.child_process import (
    address_family,
    ending_with_parent,
    endpoint,
    port_problem,
    stop,
    wait_for_any,
)

MIN_PAUSE, MAX_PAUSE = 0.5, 10.0
"""Seconds between the death of a worker and the start of the next one in its place: they grow
while none comes to serve."""

STOP_TIME = 15.0
"""Seconds that a worker has to finish what it does before it is killed."""

READY = b"ready"
"""The line by which a worker says that it serves."""

log = logging.getLogger(__name__)


class Supervisor:
    """Keeps a worker running for each environment until it is told to stop.

    `command` starts a worker; it says READY on its standard output.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
        self._command = command
        self._environments = environments
        self._stopping = asyncio.Event()
        self._renewals = [asyncio.Event() for _ in environments]
        self._replacing = asyncio.Lock()
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
        await asyncio.gather(*map(self._keep, self._environments, self._renewals))

    async def wait_ready(self) -> None:
        """Return once every worker serves."""
        for _ in self._renewals:
            await self._ready.acquire()

    def _renew(self) -> None:
        for renewal in self._renewals:
            renewal.set()

    async def _keep(self, environment: Mapping[str, str], renewal: asyncio.Event) -> None:
        """Keep one worker running: start another when it ends, and when it is to be renewed."""
        worker, pause = await self._start(environment), MIN_PAUSE
        while not self._stopping.is_set():
            await wait_for_any(worker.wait(), renewal.wait(), self._stopping.wait())
            if worker.returncode is not None:
                log.error("a worker ended with status %s; starting another", worker.returncode)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                worker = await self._start(environment)
                pause = MIN_PAUSE if worker.returncode is None else min(2 * pause, MAX_PAUSE)
            elif renewal.is_set():
                renewal.clear()
                async with self._replacing:
                    worker = await self._replace(worker, environment)
        async with self._replacing:
            await stop(worker, STOP_TIME)

    async def _replace(
        self, worker: asyncio.subprocess.Process, environment: Mapping[str, str]
    ) -> asyncio.subprocess.Process:
        """The new worker, once the old one has ended; the old one where the new one fails."""
        successor = await self._start(environment)
        if self._stopping.is_set() or successor.returncode is not None:
            if not self._stopping.is_set():
                log.error("the new worker does not start; the old worker goes on")
            await stop(successor, STOP_TIME)
            return worker
        await stop(worker, STOP_TIME)
        return successor

    async def _start(self, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
        """Start a worker, and wait until it serves, has ended, or everything is to stop."""
        worker = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        await wait_for_any(self._wait_ready(worker), self._stopping.wait())
        return worker

    async def _wait_ready(self, worker: asyncio.subprocess.Process) -> None:
        assert worker.stdout
        if (await worker.stdout.readline()).strip() == READY:
            self._ready.release()
        else:
            await worker.wait()


async def work(settings: Settings) -> None:
    """Be one worker: serve, on ports that the supervisor reserved, until SIGTERM."""
    # A supervisor does without.
    from zimun import app

    stop = app.stop_signal()
    async with app.serve(settings, sharing=True):
        app.tune_garbage_collector()
        print(READY.decode(), flush=True)
        await stop.wait()


async def supervise(settings: Settings) -> None:
    """Run `settings.workers` workers until SIGINT or SIGTERM.

    Raises what `claimed` raises, and PortTaken.
    """
    with ExitStack() as stack:
        stack.enter_context(claimed(settings))
        workers = _reserve_ports(settings, stack)
        supervisor = Supervisor(_command(), [_environment(worker) for worker in workers])
        running = asyncio.create_task(supervisor.run())
        ready = asyncio.create_task(supervisor.wait_ready())
        await asyncio.wait((running, ready), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ports = [worker.grpc_port for worker in workers]
            print(format_addresses(settings, ports, workers[0].auth_port), flush=True)
        ready.cancel()
        await running


def format_addresses(settings: Settings, grpc_ports: Sequence[int], auth_port: int) -> str:
    """The first line of `zimun serve`: the address of each worker, and the port of the tokens."""
    addresses = ", ".join(endpoint(settings.grpc_host, port) for port in grpc_ports)
    return f"gRPC at {addresses}, tokens of {settings.public_issuer} at port {auth_port}"


def _reserve_ports(settings: Settings, stack: ExitStack) -> Sequence[Settings]:
    """The settings of each worker: its ports for gRPC and metrics are its own, that for tokens is
    the same for all.

    No other program gets these ports until the stack is closed. Raises PortTaken.
    """
    host = settings.grpc_host
    auth_port = _reserve_port(host, settings.auth_port, stack)
    metrics = [_reserve_port(settings.metrics_host, port, stack) for port in settings.metrics_ports]
    return [
        replace(
            settings,
            workers=1,
            grpc_port=_reserve_port(host, port, stack),
            auth_port=auth_port,
            metrics_port=metrics[number] if metrics else None,
        )
        for number, port in enumerate(settings.grpc_ports)
    ]


def _reserve_port(host: str, port: int, stack: ExitStack) -> int:
    """Reserve a port, any free one for port 0, for sockets of this user with SO_REUSEPORT."""
    if port_problem(host, port):
        raise PortTaken("", host, port)
    reserved = stack.enter_context(socket.socket(address_family(host)))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((host, port))
    # Needed to bind beside connections in TIME_WAIT; from now on it would let others bind, too,
    # while no worker listens.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    number: int = reserved.getsockname()[1]
    return number


def _command() -> list[str]:
    """The command of one worker, which does not outlive its supervisor, however that ends."""
    return ending_with_parent([sys.executable, "-m", "zimun", "serve", "--worker"])


def _environment(settings: Settings) -> Mapping[str, str]:
    """What tells a worker the settings: unlike a command, others cannot read it, and the database's
    URL may hold a password."""
    metrics = "" if settings.metrics_port is None else str(settings.metrics_port)
    return os.environ | {
        "ZIMUN_METRICS_PORT": metrics,
        "ZIMUN_WORKERS": str(settings.workers),
        "ZIMUN_GRPC_PORT": str(settings.grpc_port),
        "ZIMUN_AUTH_PORT": str(settings.auth_port),
        "ZIMUN_DATA_DIR": str(settings.data_dir),
        "ZIMUN_DATABASE_URL": settings.database_url,
    }
