"""The short run that every change must pass: seeded faults under load, and nothing sold twice."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 180


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
            timeout=LONGEST,
            check=False,
        )
        assert report.exists(), done.stdout + done.stderr
        print(done.stdout)
        found: dict[str, Any] = json.loads(report.read_text())
        return found


@pytest.mark.parametrize("engine", ["embedded", "shared"])
def test_nothing_is_sold_twice_whatever_goes_wrong(engine: str) -> None:
    found = chaos(engine, "--seconds=25", "--seed=7", "--settling=10")
    assert found["violations"] == []
    assert found["operations"] > 400
    assert found["outcomes"]["ok"] > 200
    assert found["refusals"]["SLOT_UNAVAILABLE"] > 20
    assert sum(found["faults"].values()) >= 4
