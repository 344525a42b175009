"""Running functions in forks of this process, which end in time and leave no files."""

import os
import pickle
import resource
import select
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import NamedTuple, TypeVar

MIN_CPU_SECONDS = 5
"""The processor time that a test has on a mutant, besides a multiple of what it usually needs."""

SLOWER_TIMES = 5
"""That multiple."""

IDLE_SECONDS = 5
"""For how long a process may wait without computing: what it waits for will not come."""

LONG_PAUSE = 3.0
"""Seconds between two looks at a process, one second apart, that tell that this one was stopped."""

MAX_TRIES = 3
"""The most runs of a mutant while this process is stopped again and again."""

OUT_OF_CPU_TIME = f"signal {signal.SIGXCPU}"
"""What kills a process that has used more than its processor time."""

INVALID = 70
"""The exit status of a process in which the mutant could not be imported."""

T = TypeVar("T")

Run = Callable[[Callable[[str], None]], int]
"""What runs tests: it is given a function to call with the name of a test that failed, and returns
an exit status."""


class Outcome(NamedTuple):
    """`killed`, `survived`, or `invalid` for a module that cannot be imported; and what killed."""

    result: str
    killer: str = ""


def result_of_fork(run: Callable[[], T]) -> T:
    """What a function returns in a fork; nothing that it opens, starts or imports is left here."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(run(), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        pickled = pipe.read()
    os.wait()
    result: T = pickle.loads(pickled)
    return result


def outcome_of_fork(run: Run) -> Outcome:
    """The outcome of tests that run in a fork.

    Tests that fail after this process was stopped for a while run again: they may have missed a
    deadline, but have not used more processor time than otherwise.
    """
    for _ in range(MAX_TRIES):
        outcome, pause = _run_in_fork(run)
        is_sure = outcome.result != "killed" or outcome.killer == OUT_OF_CPU_TIME
        if is_sure or pause < LONG_PAUSE:
            break
    return outcome


def _run_in_fork(run: Run) -> tuple[Outcome, float]:
    """The outcome, and the seconds of the longest pause of this process meanwhile.

    The fork has a folder of its own for temporary files.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        child = os.fork()
        if not child:
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            _run_and_exit(writing, run)
        os.close(writing)
        killer, pause = _watch(child, reading)
        os.close(reading)
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Outcome("killed", f"signal {os.WTERMSIG(status)}"), pause
    results = {0: "survived", INVALID: "invalid"}
    return Outcome(results.get(os.WEXITSTATUS(status), "killed"), killer), pause


def limit_cpu(usual_seconds: float) -> None:
    """Let a signal end this process unless tests that usually need so much end in time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = used.ru_utime + used.ru_stime + MIN_CPU_SECONDS + SLOWER_TIMES * usual_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, resource.RLIM_INFINITY))


def _run_and_exit(writing: int, run: Run) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    status = 99
    try:
        status = run(lambda name: (os.write(writing, name.encode()), None)[1])
    finally:
        os._exit(status)


def _watch(child: int, reading: int) -> tuple[str, float]:
    """What a process writes until it ends, and the longest pause of this one; a process that only
    waits is killed."""
    written, idle, used, longest, before = b"", 0, -1, 0.0, monotonic()
    while idle < IDLE_SECONDS:
        is_readable = select.select([reading], (), (), 1)[0]
        before, pause = monotonic(), monotonic() - before
        longest = max(longest, pause)
        if is_readable:
            if not (part := os.read(reading, 1024)):
                return written.decode(), longest
            written += part
        else:
            used_before = used
            state, used = _state(child)
            idle = idle + 1 if state == "S" and used - used_before <= 1 else 0
    os.kill(child, signal.SIGKILL)
    return written.decode(), longest


def _state(process: int) -> tuple[str, int]:
    """The state of a process (S while it waits), and its processor time in ticks; see proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return fields[0], int(fields[11]) + int(fields[12])
