"""`python -m tests.mutation server/zimun/domain/ledger/layers.py --tests tests/unit/domain`.

Each mutant is run against the tests that cover its line, the quick ones first, until one fails.
A mutant that has a result in build/mutants is not run again, except with --survivors.
"""

import argparse
import os
import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from .mutants import mutants
from .results import ModuleResults
from .running import ARGUMENTS, run_anew
from .session import Covering, Session


def main() -> None:
    """Run the mutants, and print those that survive and how many had each result."""
    options = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    options.add_argument("modules", nargs="+", type=Path)
    options.add_argument("--tests", nargs="+", default=["tests/unit/domain"])
    options.add_argument("--profile", default="dev", help="of Hypothesis, for --survivors")
    options.add_argument(
        "--survivors", action="store_true", help="run those again that survived before"
    )
    chosen = options.parse_args()
    covering = run_session(chosen.modules, chosen.tests, run_mutants=not chosen.survivors)
    for path in chosen.modules:
        rerun(path, covering[path], "survived" if chosen.survivors else "", chosen.profile)
        report(path)


def run_session(
    paths: Sequence[Path], tests: Sequence[str], run_mutants: bool
) -> dict[Path, Covering]:
    """Run the session in a fork, so that this process has nothing of the program imported."""
    reading, writing = os.pipe()
    if not os.fork():
        session = Session(paths, run_mutants)
        status = pytest.main(["-s", *ARGUMENTS, *tests], plugins=[session])
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(session.covering, pipe)
        os._exit(int(status))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        covering: dict[Path, Covering] = pickle.load(pipe)
    _, status = os.wait()
    if status:
        raise SystemExit("The tests fail without any mutant.")
    return covering


def rerun(path: Path, covering: Covering, result: str, profile: str) -> None:
    """Run the mutants with a result (empty: none) in processes that import the program anew."""
    results = ModuleResults(path)
    for mutant in mutants(path):
        if results.result(mutant) == result:
            names = covering.of_line(mutant.line) if result else covering.of_module()
            arguments = ["--hypothesis-profile", profile, *names]
            seconds = covering.usual_seconds(names) * (10 if profile == "ci" else 1)
            results.add(mutant, run_anew(path, mutant, arguments, seconds))


def report(path: Path) -> None:
    """Print the survivors and the counts of a module."""
    results, made = ModuleResults(path), mutants(path)
    for mutant in made:
        if results.result(mutant) == "survived":
            print(f"{path}:{mutant.line} {mutant.operator}\n{mutant.change}")
    print(path, dict(Counter(map(results.result, made))), flush=True)


if __name__ == "__main__":
    main()
