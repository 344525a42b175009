"""Server processes that are killed, paused and started again; none outlives its run."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..support.processes import environment, free_port, listens, until

READY_SECONDS = 20.0
STOP_SECONDS = 15.0

SERVING = ("tests.chaos.serving",)
"""The module that is started as a server; tests start servers with a planted fault."""


class Server:
    """One server on ports that stay its own, by the clock in a file, so many microseconds ahead."""

    def __init__(
        self,
        number: int,
        data_dir: Path,
        database_url: str,
        clock: Path,
        module: Sequence[str] = SERVING,
        skew: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are more ZIMUN_ variables."""
        self.port, self._auth_port = free_port(), free_port()
        self.log = data_dir.with_name(f"server-{number}.log")
        self._data_dir = data_dir
        self._database_url = database_url
        self._clock = clock
        self._module = module
        self._skew = skew
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def spawn(self) -> None:
        """Start it without waiting."""
        settings = environment(
            ZIMUN_GRPC_PORT=str(self.port),
            ZIMUN_AUTH_PORT=str(self._auth_port),
            ZIMUN_DATA_DIR=str(self._data_dir),
            ZIMUN_DATABASE_URL=self._database_url,
            ZIMUN_LOG_LEVEL="WARNING",
            **self._settings,
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._module, self._clock, str(self._skew)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=settings,
                cwd=Path(__file__).parents[2],
            )

    def wait_ready(self) -> None:
        """Return once it listens; one that ended instead is started again, as a supervisor would,
        since its database may have been away when it began."""

        def ready() -> bool:
            if self._running.poll() is not None:
                self.spawn()
            return listens(self.port)

        try:
            until(f"{self.target} to listen", ready, READY_SECONDS)
        except AssertionError as error:
            error.add_note(self.log.read_text(errors="replace")[-2000:])
            raise

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "not started"
        return self._process

    def signal(self, number: int) -> None:
        """Send it a signal; one that is gone already does not mind."""
        with contextlib.suppress(ProcessLookupError):
            self._running.send_signal(number)

    def is_stopped(self) -> bool:
        """Whether it is stopped by SIGSTOP."""
        stat = Path(f"/proc/{self._running.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def kill(self) -> None:
        """As a power cut would."""
        self._running.kill()
        self._running.wait(STOP_SECONDS)

    def limit_files(self, size: int) -> None:
        """Let no file of its grow beyond a size from now on; -1 for any."""
        limits = (size if size >= 0 else resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self._running.pid, resource.RLIMIT_FSIZE, limits)

    def stop(self) -> str:
        """Ask it to stop, and answer what went wrong with that, in words."""
        self._running.terminate()
        try:
            status = self._running.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"did not stop within {STOP_SECONDS:g} s"
        return f"ended with status {status}" if status else ""

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)
            self.kill()
