"""The number and the seed of the attacks of a run, and the count of their outcomes."""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator

SEED = int(os.environ.get("SECURITY_SEED", "11"))
"""The seed of all random values; `make security SEED=…` sets it."""

FACTOR = int(os.environ.get("SECURITY_FACTOR", "1"))
"""Multiple of the cases of CI that a run tries; `make security FACTOR=…` sets it."""


def cases(number: int) -> int:
    """How many random cases to try where CI tries `number`."""
    return number * FACTOR


def seeded(kind: str) -> random.Random:
    """A random number generator of its own for each kind of attack."""
    return random.Random(f"{SEED} {kind}")


class AttackCounter:
    """Counts attacks by kind and outcome, for the summary at the end of a run."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._notes: list[str] = []

    def count(self, kind: str, outcome: str = "refused", number: int = 1) -> None:
        """Add attacks of a kind that ended alike: "refused", "answered as unknown" and so on."""
        self._counts[kind][outcome] += number

    def note(self, text: str) -> None:
        """Add a line to the summary, such as what was measured."""
        self._notes.append(text)

    def report(self) -> Iterator[str]:
        """A line for each kind, and one for their sum."""
        for kind, outcomes in sorted(self._counts.items()):
            yield f"{kind:32} {outcomes.total():>9,} tried: {_list_outcomes(outcomes)}"
        if self._counts:
            total = sum((outcomes for outcomes in self._counts.values()), Counter[str]())
            yield f"{'all':32} {total.total():>9,} tried with seed {SEED}"
        yield from self._notes


def _list_outcomes(outcomes: Counter[str]) -> str:
    return ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(outcomes.items()))
