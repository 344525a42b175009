"""Running tests on a mutant, in a fork of this process each time."""

import functools
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from .forks import INVALID, Outcome, limit_cpu, outcome_of_fork
from .mutants import Mutant

ARGUMENTS = ("-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Of pytest: Hypothesis is imported before pytest begins."""


def quicken_hypothesis() -> None:
    """Let Hypothesis stop at the first failure, without shrinking it or keeping it."""
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", settings(), database=None, phases=phases)
    settings.load_profile("mutants")


class Replaceable(NamedTuple):
    """The functions of a module, and the caches of all functions but those of the tests.

    They are sought once, before any fork: a fork that looks at all objects copies all memory.
    """

    functions: Sequence[FunctionType]
    caches: "Sequence[functools._lru_cache_wrapper[object]]"

    def replace(self, changed: Mapping[tuple[str, int], CodeType]) -> None:
        """Replace the code of some functions, and forget what functions have cached."""
        for function in self.functions:
            code = function.__code__
            function.__code__ = changed.get((code.co_qualname, code.co_firstlineno), code)
        self.clear_caches()

    def clear_caches(self) -> None:
        """Forget what functions have cached."""
        for cache in self.caches:
            cache.cache_clear()


def find_replaceable(path: Path) -> Replaceable:
    """What there is to replace of a module that is imported."""
    # What tests/conftest.py froze is not listed otherwise.
    gc.unfreeze()
    functions, caches = [], []
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == str(path.resolve()):
            functions.append(thing)
        elif type(thing) is functools._lru_cache_wrapper:
            caches.append(thing)
    gc.freeze()
    return Replaceable(
        functions, [cache for cache in caches if not cache.__module__.startswith("tests.")]
    )


def run_collected(
    replaceable: Replaceable,
    changed: Mapping[tuple[str, int], CodeType],
    items: Sequence[pytest.Item],
    seconds: Mapping[str, float],
) -> Outcome:
    """Run tests that are collected already, with the code of functions replaced.

    `seconds` are what tests usually need.
    """
    # The tests of a folder may share a server; those of the first test's folder come first.
    folders = list(dict.fromkeys(item.path.parent for item in items))
    items = sorted(items, key=lambda item: folders.index(item.path.parent))

    def run(tell: Callable[[str], None]) -> int:
        replaceable.replace(changed)
        for item, following in zip(items, [*items[1:], None], strict=True):
            limit_cpu(seconds[item.nodeid])
            reports = runtestprotocol(item, log=False, nextitem=following)
            if any(report.failed for report in reports):
                tell(item.nodeid)
                return 1
        return 0

    return outcome_of_fork(run)


def run_anew(path: Path, mutant: Mutant, arguments: Sequence[str], usual_seconds: float) -> Outcome:
    """Run tests where nothing of the program is imported yet: all of it sees the mutant."""

    def run(tell: Callable[[str], None]) -> int:
        limit_cpu(usual_seconds)
        plugin = _Reporting(tell)
        _replace_source(path, mutant)
        name = ".".join(path.relative_to("server").with_suffix("").parts)
        try:
            __import__(name)
        except Exception:
            return INVALID
        return int(pytest.main([*ARGUMENTS, *arguments], plugins=[plugin]))

    return outcome_of_fork(run)


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
