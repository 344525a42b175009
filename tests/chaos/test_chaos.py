"""The runs that every change must pass: seeded faults under load, and nothing sold twice."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from .clock import SharedClock
from .faults import moves, plan
from .history import CATALOG_CHANGE, READS
from .scenario import SECOND

pytestmark = pytest.mark.chaos

ROOT = Path(__file__).parents[2]
MAX_SECONDS = 240


def chaos(engine: str, *options: str) -> dict[str, Any]:
    """What a run of `python -m tests.chaos` reports; in a process of its own, as it starts and
    kills others."""
    with TemporaryDirectory(prefix="zimun-chaos-report-") as directory:
        report = Path(directory) / "report.json"
        done = subprocess.run(
            [sys.executable, "-m", "tests.chaos", "--engine", engine, "--report", report, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        return {**json.loads(report.read_text()), "summary": done.stdout}


LONG = ("--seconds=60", "--min-attempts=8000", "--seed=7")
"""Options of a run with enough attempts of each kind on a busy machine, too."""

RUNS = {
    "embedded": ("embedded", *LONG),
    "shared": ("shared", *LONG),
    "skewed": ("shared", "--seconds=20", "--min-attempts=1500", "--seed=7", "--skew=2"),
}
"""The runs of CI, by name: an engine and options."""

Reports = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def report() -> Iterator[Reports]:
    """The report of a run; all runs go on at the same time."""
    with ThreadPoolExecutor() as pool:
        running = {name: pool.submit(chaos, *options) for name, options in RUNS.items()}
        yield lambda name: running[name].result()


@pytest.mark.parametrize(
    ("engine", "kinds"),
    [
        ("embedded", {"kill", "pause", "full"}),
        ("shared", {"kill", "pause", "cut", "stall", "deafen", "fast", "immediate"}),
    ],
)
def test_nothing_is_sold_twice_whatever_goes_wrong(
    engine: str, kinds: set[str], report: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report(engine)
    with capsys.disabled():
        print(found["summary"])
    assert found["violations"] == []
    assert {"internal error", "background work failed"}.isdisjoint(found["logged"])
    faults, refusals = found["faults"], found["refusals"]
    assert kinds <= faults.keys(), "a run in which little went wrong proves nothing"
    assert faults["jump"] > 5
    assert faults["edge"] > 5
    assert found["operations"] > 2000
    assert found["outcomes"]["ok"] > 1000
    assert found["events"]["HOLD_EXPIRED"] > 50
    assert found["methods"][CATALOG_CHANGE] > 10
    assert all(found["methods"][method] > 50 for method in READS)
    assert refusals["SLOT_UNAVAILABLE"] > 100
    assert refusals["HOLD_EXPIRED"] > 10
    assert all(refusals[reason] for reason in ("LIMIT_REACHED", "NOT_A_SLOT", "TIME_OFF_CONFLICTS"))
    events = found["events"]
    assert events["TIME_OFF_SET"] > events["TIME_OFF_DELETED"] > 3
    assert events["APPOINTMENT_CONTACT_ERASED"] > 10
    assert found["methods"]["ExportContact"] > 5
    assert events["APPOINTMENT_COMPLETED"] + events["APPOINTMENT_NO_SHOW"] > 3


def test_ledger_of_servers_whose_clocks_differ_by_two_seconds_is_one_history(
    report: Reports,
) -> None:
    found = report("skewed")
    assert found["violations"] == []
    assert found["outcomes"]["ok"] > 200
    assert found["events"]["HOLD_EXPIRED"] > 10


def test_plan_of_faults_has_only_the_kinds_that_were_named() -> None:
    assert {fault.kind for fault in plan(7, "shared", 2, 50, ("cut", "lose"))} == {"cut", "lose"}


def test_equal_seeds_give_equal_plans_and_moves() -> None:
    assert plan(7, "shared", 2, 50) == plan(7, "shared", 2, 50) != plan(8, "shared", 2, 50)
    assert moves(7, 50) == moves(7, 50) != moves(8, 50)


def test_the_clock_moves_for_all_processes_and_never_back(tmp_path: Path) -> None:
    mine = SharedClock.create(tmp_path / "clock")
    theirs = SharedClock(mine.path)
    before = theirs.now()
    mine.move_on(60 * SECOND)
    mine.move_on(-30 * SECOND)
    assert theirs.ahead == 60 * SECOND
    assert before + 60 * SECOND <= theirs.now() <= mine.now()
