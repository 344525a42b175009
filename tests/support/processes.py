"""Processes: to start them, to wait for what they do, and to find those that are left."""

import fcntl
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

BIN = Path(sys.executable).parent
READY_SECONDS = 20.0
STOP_SECONDS = 15.0


def until(what: str, probe: Callable[[], T | None], seconds: float = 10.0) -> T:
    """Asks `probe` again and again until it answers something true."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


# Each process of pytest-xdist draws from a part of its own.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4
_ports = range(20_000 + 3_000 * _worker, 23_000 + 3_000 * _worker)
_drawn = iter(random.sample(_ports, len(_ports)))
_given: set[int] = set()
# A process that has drawn a port keeps the lock of this byte until it ends.
_locks = os.open(
    Path(tempfile.gettempdir(), f"zimun-test-ports-{os.getuid()}"), os.O_CREAT | os.O_WRONLY, 0o600
)


def free_port() -> int:
    """A free port that no other process has drawn, below the ports of outgoing connections."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """The first of so many free ports in a row."""
    for first in _drawn:
        row = range(first, first + number)
        if row[-1] in _ports and _given.isdisjoint(row) and all(map(_is_free, row)):
            _given.update(row)
            return first
    raise RuntimeError("no ports left")


def _is_free(port: int) -> bool:
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes() -> Iterator[tuple[int, int, str, str]]:
    """Every process as (pid, parent, state, name)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            name = stat[stat.index("(") + 1 : stat.rindex(")")]
            state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
            yield int(entry.name), int(parent), state, name


def descendants(pid: int) -> dict[int, str]:
    """The children of `pid`, their children and so on: pid -> name."""
    everyone = list(processes())
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {p: name for p, parent, _, name in everyone if parent in parents}
        found |= children
        parents = set(children)
    return found


def alive(pid: int) -> bool:
    """Whether `pid` still runs; one that waits to be reaped does not."""
    return any(p == pid and state not in "ZX" for p, _, state, _ in processes())


def environment(**extra: str) -> dict[str, str]:
    """This environment without ZIMUN_ variables, with the venv's programs first on PATH."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ZIMUN_")}
    return {**clean, "PATH": f"{BIN}:{clean.get('PATH', '')}", **extra}


def run(*command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env=environment(**env)
    )
