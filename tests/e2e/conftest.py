"""One running Zimun for the session, private ones on demand, and times nobody else uses."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from .running import NOW, Zimun, closed_after, half_hours, workdays


@pytest.fixture(scope="session")
def zimun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zimun]:
    """The shared instance: use your own `time`, `day` or `class_time` on it."""
    with closed_after(Zimun(tmp_path_factory.mktemp("e2e") / "data")) as shared:
        yield shared.start()
        shared.stop()


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Callable[..., Zimun]]:
    """Makes an instance of one's own, not started: private(now=…, ZIMUN_RATE_LIMIT=…)."""
    with ExitStack() as stack:
        made: list[Zimun] = []

        def make(now: str = NOW, **env: str) -> Zimun:
            made.append(Zimun(tmp_path / f"data{len(made)}", now, **env))
            return stack.enter_context(closed_after(made[-1]))

        yield make


@pytest.fixture(scope="session")
def other_client(zimun: Zimun) -> tuple[str, str]:
    """A second client of the demo organization."""
    return zimun.new_client()


@pytest.fixture(scope="session")
def stranger(zimun: Zimun) -> tuple[str, str]:
    """A client of another organization."""
    zimun.cli("org", "create", "o_other", "--name", "Another organization")
    return zimun.new_client(org="o_other")


@pytest.fixture(scope="session")
def _times() -> Iterator[str]:
    return (time for day in workdays(date(2026, 2, 2)) for time in half_hours(day))


@pytest.fixture(scope="session")
def _days() -> Iterator[str]:
    return workdays(date(2026, 4, 1))


@pytest.fixture(scope="session")
def _near_days() -> Iterator[str]:
    return workdays(date(2025, 12, 8))


@pytest.fixture
def time(_times: Iterator[str]) -> str:
    """A start of s_123 that only this test uses, with all three staff free."""
    return next(_times)


@pytest.fixture
def times(_times: Iterator[str]) -> Callable[[], str]:
    """Gives more such starts."""
    return lambda: next(_times)


@pytest.fixture
def day(_days: Iterator[str]) -> str:
    """A working day that only this test uses, for s_123."""
    return next(_days)


@pytest.fixture
def near_day(_near_days: Iterator[str]) -> str:
    """A working day that only this test uses, within the horizon of every service."""
    return next(_near_days)
