"""The tests, collected and run once, and then on each mutant of functions."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

from .mutants import mutants
from .results import ModuleResults
from .running import quicken_hypothesis, run_collected


class Covering(NamedTuple):
    """Which tests ran which lines of a module, and how long each test took in seconds."""

    tests: dict[int, list[str]]
    seconds: dict[str, float]

    def of_line(self, line: int) -> list[str]:
        """The tests that run a line, or the last one before it; the quick ones first."""
        line = max((other for other in self.tests if other <= line), default=0)
        return self._quick_first(self.tests.get(line, ()))

    def of_module(self) -> list[str]:
        """The tests that run anything of the module; the quick ones first."""
        return self._quick_first(name for names in self.tests.values() for name in names)

    def usual_seconds(self, names: Sequence[str]) -> float:
        """How long some tests take."""
        return sum(self.seconds[name] for name in names)

    def _quick_first(self, names: Iterable[str]) -> list[str]:
        return sorted(set(names) - {""}, key=lambda name: self.seconds[name])


class Session:
    """A plugin of pytest; `covering` is what it measured of each module."""

    def __init__(self, paths: Sequence[Path], run_mutants: bool) -> None:
        self.paths, self.run_mutants = paths, run_mutants
        self.covering: dict[Path, Covering] = {}

    def pytest_sessionstart(self) -> None:
        """Before tests are collected, which take over the settings of Hypothesis."""
        quicken_hypothesis()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests, and then the mutants."""
        self.covering = self._measure(session.items)
        items = {item.nodeid: item for item in session.items}
        if self.run_mutants and not session.testsfailed:
            for path, covering in self.covering.items():
                self._run_mutants(path, covering, items)
        return True

    def _measure(self, items: Sequence[pytest.Item]) -> dict[Path, Covering]:
        modules = [str(path.resolve()) for path in self.paths]
        collecting = coverage.Coverage(data_file=None, config_file=False, include=modules)
        seconds: dict[str, float] = {}
        collecting.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            collecting.switch_context(item.nodeid)
            begun = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = time.process_time() - begun
        collecting.stop()
        data = collecting.get_data()
        return {
            path: Covering(data.contexts_by_lineno(module), seconds)
            for path, module in zip(self.paths, modules, strict=True)
        }

    def _run_mutants(self, path: Path, covering: Covering, items: dict[str, pytest.Item]) -> None:
        results = ModuleResults(path)
        for mutant in mutants(path):
            if not results.result(mutant):
                names = covering.of_line(mutant.line)
                chosen = [items[name] for name in names]
                outcome = run_collected(path, mutant, chosen, covering.usual_seconds(names))
                if outcome:
                    results.add(mutant, outcome)
