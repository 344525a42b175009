"""Running tests on a mutant, in a fork of this process each time."""

import functools
import gc
import math
import os
import resource
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from .mutants import Mutant, changed_functions

MIN_CPU_SECONDS = 10
"""The processor time that tests have on a mutant, besides a multiple of what they usually need."""

SLOWER_TIMES = 5
"""That multiple."""

ARGUMENTS = ("-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Of pytest: Hypothesis is imported before pytest begins."""

INVALID = 70
"""The exit status of a process in which the mutant could not be imported."""


class Outcome(NamedTuple):
    """`killed`, `survived`, or `invalid` for a module that cannot be imported; and what killed."""

    result: str
    killer: str = ""


def in_a_fork(cpu_seconds: float, run: Callable[[Callable[[str], None]], int]) -> Outcome:
    """Run tests in a fork: `run` is given a function to call with the name of a test that failed,
    and returns an exit status."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _run_and_exit(cpu_seconds, writing, run)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        killer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return Outcome("killed", f"signal {os.WTERMSIG(status)}")
    results = {0: "survived", INVALID: "invalid"}
    return Outcome(results.get(os.WEXITSTATUS(status), "killed"), killer)


def _run_and_exit(
    cpu_seconds: float, writing: int, run: Callable[[Callable[[str], None]], int]
) -> None:
    limit = math.ceil(cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    status = 99
    try:
        status = run(lambda name: (os.write(writing, name.encode()), None)[1])
    finally:
        os._exit(status)


def cpu_limit(usual_seconds: float) -> float:
    """The processor time that tests have on a mutant that usually need so much."""
    return MIN_CPU_SECONDS + SLOWER_TIMES * usual_seconds


def quicken_hypothesis() -> None:
    """Let Hypothesis stop at the first failure, without shrinking it or keeping it."""
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", settings(), database=None, phases=phases)
    settings.load_profile("mutants")


class Replaceable(NamedTuple):
    """The functions of a module, wherever they are, and the caches of all functions."""

    functions: "list[FunctionType]"
    caches: "list[functools._lru_cache_wrapper[object]]"


def replaceable(path: Path) -> Replaceable:
    """What a mutant of a module replaces and empties."""
    gc.unfreeze()  # what tests/conftest.py froze is not listed otherwise
    objects = gc.get_objects()
    gc.freeze()
    return Replaceable(
        [
            thing
            for thing in objects
            if type(thing) is FunctionType and thing.__code__.co_filename == str(path.resolve())
        ],
        [thing for thing in objects if type(thing) is functools._lru_cache_wrapper],
    )


def run_collected(
    path: Path,
    mutant: Mutant,
    replaced: Replaceable,
    items: Sequence[pytest.Item],
    usual_seconds: float,
) -> Outcome | None:
    """Run tests that are collected already, with the code of functions replaced; None where the
    mutant changes more than functions."""
    changed = changed_functions(path, mutant)
    if not changed:
        return None

    def run(tell: Callable[[str], None]) -> int:
        for function in replaced.functions:
            code = function.__code__
            function.__code__ = changed.get((code.co_qualname, code.co_firstlineno), code)
        for cache in replaced.caches:
            cache.cache_clear()
        for item, following in zip(items, [*items[1:], None], strict=True):
            reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                tell(item.nodeid)
                return 1
        return 0

    return in_a_fork(cpu_limit(usual_seconds), run)


def run_anew(path: Path, mutant: Mutant, arguments: Sequence[str], usual_seconds: float) -> Outcome:
    """Run tests where nothing of the program is imported yet: all of it sees the mutant."""

    def run(tell: Callable[[str], None]) -> int:
        plugin = _Reporting(tell)
        _replace_source(path, mutant)
        name = ".".join(path.relative_to("server").with_suffix("").parts)
        try:
            __import__(name)
        except Exception:
            return INVALID
        return int(pytest.main([*ARGUMENTS, *arguments], plugins=[plugin]))

    return in_a_fork(cpu_limit(usual_seconds), run)


def _replace_source(path: Path, mutant: Mutant) -> None:
    """Let the module be imported from the mutant's source."""
    original = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        if Path(loader.path) == path.resolve():
            return compile(mutant.source, loader.path, "exec")
        return original(loader, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment, method-assign]
    assert not any(name.startswith("zimun.") for name in sys.modules)


class _Reporting:
    """Tells the first test that fails."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def pytest_sessionstart(self) -> None:
        quicken_hypothesis()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._tell(report.nodeid)
