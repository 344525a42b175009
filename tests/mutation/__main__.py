"""`python -m tests.mutation server/zimun/domain/ledger/layers.py --tests tests/unit/domain`.

Each mutant is run against the tests that cover its line, the quick ones first, until one fails.
A mutant that has a result in build/mutants is not run again, except with --survivors.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from random import Random

import pytest

from .forks import result_of_fork
from .mutants import Mutant, mutants
from .results import ModuleResults
from .running import ARGUMENTS, run_anew
from .session import Covering, Session


def main() -> None:
    """Run the mutants, and print those that survive and how many had each result."""
    options = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    options.add_argument("modules", nargs="+", type=Path)
    options.add_argument("--tests", nargs="+", default=["tests/unit/domain"])
    options.add_argument("-k", default="", help="which of those tests, as pytest takes it")
    options.add_argument("--profile", default="dev", help="of Hypothesis, for --survivors")
    options.add_argument(
        "--survivors", action="store_true", help="run those again that survived before"
    )
    options.add_argument("--seconds", type=float, default=inf, help="of tests for each mutant")
    options.add_argument("--sample", type=int, help="at most so many mutants of each module")
    options.add_argument("--seed", type=int, default=1, help="of the sample")
    given = options.parse_args()
    chosen = {path: sampled(mutants(path), given.sample, given.seed) for path in given.modules}
    first_run = {} if given.survivors else chosen
    covering = run_session(given.modules, [*given.tests, "-k", given.k], first_run, given.seconds)
    for path, made in chosen.items():
        result = "survived" if given.survivors else ""
        rerun(path, made, covering[path], result, given.profile, given.seconds)
        report(path, made)


def sampled(made: Sequence[Mutant], size: int | None, seed: int) -> Sequence[Mutant]:
    """So many mutants chosen by a seed, in the same order; all where there are no more."""
    if size is None or size >= len(made):
        return made
    return [made[n] for n in sorted(Random(seed).sample(range(len(made)), size))]


def run_session(
    paths: Sequence[Path],
    tests: Sequence[str],
    chosen: Mapping[Path, Sequence[Mutant]],
    max_seconds: float,
) -> dict[Path, Covering]:
    """Run the session in a fork, so that this process has nothing of the program imported."""

    def run() -> dict[Path, Covering]:
        session = Session(paths, chosen, max_seconds)
        pytest.main(["-s", *ARGUMENTS, *tests], plugins=[session])
        return session.covering

    return result_of_fork(run)


def rerun(
    path: Path,
    made: Sequence[Mutant],
    covering: Covering,
    result: str,
    profile: str,
    max_seconds: float,
) -> None:
    """Run the mutants with a result (empty: none) in processes that import the program anew."""
    results = ModuleResults(path)
    for mutant in made:
        if results.result(mutant) == result:
            names = covering.of_module(results.kills, max_seconds)
            arguments = ["--hypothesis-profile", profile, *names]
            seconds = covering.usual_seconds(names) * (10 if profile == "ci" else 1)
            results.add(mutant, run_anew(path, mutant, arguments, seconds))


def report(path: Path, made: Sequence[Mutant]) -> None:
    """Print the survivors and the counts of a module."""
    results = ModuleResults(path)
    for mutant in made:
        if results.result(mutant) == "survived":
            print(f"{path}:{mutant.line} {mutant.operator}\n{mutant.change}")
    print(path, dict(Counter(map(results.result, made))), flush=True)


if __name__ == "__main__":
    main()
