"""The tests, collected and run once, and then on each mutant of functions."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

from .forks import result_of_fork
from .mutants import Mutant, changed_functions
from .results import ModuleResults
from .running import find_replaceable, quicken_hypothesis, run_collected


class Covering(NamedTuple):
    """Which tests ran which lines of a module, and how long each test took in seconds."""

    tests: dict[int, list[str]]
    seconds: dict[str, float]

    def of_line(self, line: int, kills: Mapping[str, int], max_seconds: float) -> list[str]:
        """The tests that run a line, or the last one before it, as far as they take so long in
        all: those with the least time for each of their kills first."""
        line = max((other for other in self.tests if other <= line), default=0)
        return self._first(self.tests.get(line, ()), kills, max_seconds)

    def of_module(self, kills: Mapping[str, int], max_seconds: float) -> list[str]:
        """The tests that run anything of the module (all of a module without functions), in the
        same order, as far as they take so long."""
        names = {name for names in self.tests.values() for name in names}
        return self._first(names or self.seconds, kills, max_seconds)

    def usual_seconds(self, names: Sequence[str]) -> float:
        """How long some tests take."""
        return sum(self.seconds[name] for name in names)

    def _first(
        self, names: Iterable[str], kills: Mapping[str, int], max_seconds: float
    ) -> list[str]:
        def seconds_for_each_kill(name: str) -> tuple[float, str]:
            return self.seconds[name] / (1 + kills.get(name, 0)), name

        ordered = sorted(set(names) & self.seconds.keys(), key=seconds_for_each_kill)
        total = accumulate(self.seconds[name] for name in ordered)
        return [name for name, seconds in zip(ordered, total, strict=True) if seconds < max_seconds]


class Session:
    """A plugin of pytest; `covering` is what it measured of each module.

    It runs `chosen` mutants, each with tests that take `max_seconds` at the most.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        chosen: Mapping[Path, Sequence[Mutant]],
        max_seconds: float,
    ) -> None:
        self.paths, self.chosen, self.max_seconds = paths, chosen, max_seconds
        self.covering: dict[Path, Covering] = {}

    def pytest_sessionstart(self) -> None:
        """Before tests are collected, which take over the settings of Hypothesis."""
        quicken_hypothesis()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests, and then the mutants.

        The tests run in a fork, as no server, thread or event loop of theirs may be in the process
        that forks for each mutant.
        """
        self.covering = result_of_fork(lambda: self._measure(session))
        if engines := sys.modules.get("tests.storage.engines"):
            # Each fork would make it for itself.
            engines._migrated()
        items = {item.nodeid: item for item in session.items}
        for path, covering in self.covering.items():
            self._run_mutants(path, covering, items)
        return True

    def _measure(self, session: pytest.Session) -> dict[Path, Covering]:
        """What covers the modules: tests that fail without any mutant are left out."""
        modules = [str(path.resolve()) for path in self.paths]
        collecting = coverage.Coverage(data_file=None, config_file=False, include=modules)
        # Of a module without functions, which is imported before.
        collecting.set_option("run:disable_warnings", ["no-data-collected"])
        seconds: dict[str, float] = {}
        replaceable = find_replaceable(self.paths[0])
        collecting.start()
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            # What an earlier test had computed would not be run.
            replaceable.clear_caches()
            collecting.switch_context(item.nodeid)
            begun, failed = time.process_time(), session.testsfailed
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed == failed:
                seconds[item.nodeid] = time.process_time() - begun
            else:
                print(f"fails without any mutant: {item.nodeid}", flush=True)
        collecting.stop()
        data = collecting.get_data()
        return {
            path: Covering(data.contexts_by_lineno(module), seconds)
            for path, module in zip(self.paths, modules, strict=True)
        }

    def _run_mutants(self, path: Path, covering: Covering, items: dict[str, pytest.Item]) -> None:
        """Run the mutants of a module that change functions alone."""
        results, replaceable = ModuleResults(path), find_replaceable(path)
        for mutant in self.chosen.get(path, ()):
            changed = {} if results.result(mutant) else changed_functions(path, mutant)
            if changed:
                names = covering.of_line(mutant.line, results.kills, self.max_seconds)
                chosen = [items[name] for name in names]
                outcome = run_collected(replaceable, changed, chosen, covering.seconds)
                results.add(mutant, outcome)
