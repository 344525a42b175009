"""Envoy as a child process: started, awaited, drained, stopped."""

import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from .bootstrap import build
from .child_process import ending_with_parent, port_problem, stop
from .log_files import INTERVAL, LogFiles
from .settings import Settings

QUIET = ("--component-log-level", "misc:error")
"""Warnings of this component are about features that Envoy calls work in progress or deprecated."""

_POLL = 0.02

_ORIGIN = re.compile(r"^(\[[^]]*\] ?)+(error initializing configuration '[^']*': )?")
"""Time, place and, where Envoy only validates, the file of an error."""


class EnvoyError(Exception):
    """Envoy cannot be started, or has ended; the message is one line for the operator."""


class Envoy:
    """One Envoy, with its files in `workdir`: envoy.json, envoy.log and the admin address.

    Call `start` from the main thread: Envoy is killed when the thread that started it ends. It has
    a session of its own, so that Ctrl-C reaches only the parent, which drains first.
    """

    def __init__(self, settings: Settings, workdir: Path, concurrency: int = 2) -> None:
        self.settings = settings
        self._workdir = workdir
        self._concurrency = concurrency
        self._process: asyncio.subprocess.Process | None = None
        self._logs: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises EnvoyError before the start."""
        return self._started_process().pid

    @property
    def admin_address(self) -> str:
        """`host:port`, known when Envoy is ready."""
        return self._admin_file.read_text()

    async def start(self) -> None:
        """Write the configuration and start; EnvoyError if the port is taken or Envoy missing."""
        ensure_port_free(self.settings.listen_address, self.settings.listen_port)
        binary = envoy_binary()
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._admin_file.unlink(missing_ok=True)
        config = self._workdir / "envoy.json"
        config.write_text(json.dumps(build(self.settings)))
        self._log.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *ending_with_parent([str(binary), "-c", str(config), *self._flags()]),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self._logs = asyncio.create_task(self._keep_logs())

    async def wait_ready(self, seconds: float = 10.0) -> None:
        """Wait until the listener is open, after the first attempt to fetch keys and health.

        EnvoyError if Envoy ends first or it takes longer than `seconds`.
        """
        try:
            async with asyncio.timeout(seconds):
                await _until(self._is_ready)
        except TimeoutError:
            raise EnvoyError(
                f"envoy is not ready after {seconds:g} s: {self._last_error()}"
            ) from None

    async def wait_closed(self) -> int:
        """The exit status, once Envoy has ended; negative for a signal."""
        return await self._started_process().wait()

    async def drain(self, seconds: float = 5.0) -> None:
        """Accept no more connections, ask clients to close theirs, and wait for requests to end.

        It waits at most `seconds`.
        """
        with contextlib.suppress(TimeoutError, OSError, http.client.HTTPException):
            async with asyncio.timeout(seconds):
                await self._admin("POST", "/healthcheck/fail")
                await self._admin("POST", "/drain_listeners")
                await _until(self._is_idle)

    async def stop(self, seconds: float = 5.0) -> None:
        """End Envoy with SIGTERM, and with SIGKILL after `seconds`; nothing if it has ended."""
        if self._logs:
            self._logs.cancel()
        if self._process:
            await stop(self._process, seconds)

    @property
    def _admin_file(self) -> Path:
        return self._workdir / "admin_address"

    @property
    def _log(self) -> Path:
        return self._workdir / "envoy.log"

    def _flags(self) -> list[str]:
        """The command line; without hot restart, so that several Envoys can share a machine."""
        return [
            "--disable-hot-restart",
            *("--admin-address-path", str(self._admin_file)),
            *("--concurrency", str(self._concurrency)),
            *("--log-level", "warning"),
            *QUIET,
            *("--file-flush-interval-msec", "500"),
        ]

    def _started_process(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise EnvoyError("envoy was not started")
        return self._process

    async def _is_ready(self) -> bool:
        if self._started_process().returncode is not None:
            raise EnvoyError(f"envoy ended: {self._last_error()}")
        if not self._admin_file.exists():
            return False
        with contextlib.suppress(OSError, http.client.HTTPException):
            return await self._admin("GET", "/ready") == "LIVE\n"
        return False

    async def _keep_logs(self) -> None:
        """Keep the logs within their bounds for as long as Envoy runs."""
        settings = self.settings
        access = Path(settings.access_log)
        files = LogFiles(access, self._log, settings.max_log_bytes, settings.disk_reserve)
        while True:
            await asyncio.sleep(INTERVAL)
            with contextlib.suppress(OSError, http.client.HTTPException):
                if files.enforce_limits():
                    await self._admin("POST", "/reopen_logs")

    async def _is_idle(self) -> bool:
        stats = await self._admin("GET", r"/stats?filter=^http\.zimun\.downstream_rq_active$")
        return int(stats.rpartition(":")[2]) == 0

    async def _admin(self, method: str, path: str) -> str:
        """The body of a response of the admin interface, requested on a thread."""
        return await asyncio.to_thread(_request, self.admin_address, method, path)

    def _last_error(self) -> str:
        return _last_error(self._log.read_text(errors="replace"))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Poll until a condition holds: Envoy's admin port has no way to wait for one."""
    while not await condition():  # noqa: ASYNC110
        await asyncio.sleep(_POLL)


def _request(address: str, method: str, path: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=1.0)
    with contextlib.closing(connection):
        connection.request(method, path)
        return connection.getresponse().read().decode()


def _last_error(log: str) -> str:
    """The last error in a log of Envoy, without time and origin, cut to one line."""
    lines = log.splitlines() or ["it said nothing"]
    fatal = [line for line in lines if "[critical]" in line]
    words = re.sub(_ORIGIN, "", (fatal or lines)[-1])
    return words.partition(" initializing config")[0][:300]


def envoy_command(config: Path) -> list[str]:
    """The command line of an Envoy alone; without hot restart, as `Envoy` has it."""
    return [str(envoy_binary()), "--disable-hot-restart", *QUIET, "-c", str(config)]


def validate(config: Path) -> None:
    """Raise EnvoyError for a configuration that Envoy refuses, such as of a missing certificate."""
    command = [*envoy_command(config), "--mode", "validate", "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        raise EnvoyError(f"envoy refuses its configuration: {_last_error(done.stderr)}")


def envoy_binary() -> Path:
    """The path of Envoy's executable; the script of the same name would start Python first."""
    package = find_spec("envoy")
    roots = list(package.submodule_search_locations or ()) if package else []
    candidates = [Path(root) / "_bin" / "envoy" for root in roots]
    candidates.append(Path(sysconfig.get_path("scripts")) / "envoy")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise EnvoyError("there is no envoy: install the extra zimun[gateway]")


def ensure_port_free(address: str, port: int) -> None:
    """Raise EnvoyError for a port in use, which Envoy would share silently (SO_REUSEPORT)."""
    if problem := port_problem(address, port):
        raise EnvoyError(f"port {port} {problem}")
