"""The Makefile: help names every target, and targets for parts run every folder of tests."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def test_make_help_names_every_phony_target() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    named = [line.split()[0] for line in done.stdout.splitlines()]
    assert sorted(named) == sorted(phony.split())


def test_every_folder_of_tests_is_run_by_a_target_beside_test() -> None:
    """As .github/workflows/ci.yml does not run `make test`, but its parts side by side."""
    folders = {path.relative_to(ROOT).parts[1] for path in ROOT.glob("tests/*/**/test_*.py")}
    assert folders == set(re.findall(r"\btests/([a-z0-9]+)\b", MAKEFILE))
