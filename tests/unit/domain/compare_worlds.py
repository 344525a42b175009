"""Many random catalogues against the oracle, with a seed each: for longer runs than tests are.

    python -m tests.unit.domain.compare_worlds --first 1000 --count 50000

Every world's slots and refusals are compared, every fourth one's explanations, and every fourth
one's starts with rules set aside. A seed with a difference makes the same world again.
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter

from zimun.domain.ignored_rules import BookingRule

from .random_worlds import world_of
from .test_availability import check_answers
from .test_explanation import check_explained
from .test_ignored_rules import check_ignored

REPORT_SECONDS = 60


def compare(seed: int) -> list[str]:
    """The names of what was compared of a seed's world; raises AssertionError."""
    asked, chance = world_of(seed), random.Random(seed)
    check_answers(asked)
    if seed % 4 == 1:
        check_explained(asked)
        return ["answers", "explanations"]
    if seed % 4 == 3:
        check_ignored(asked, frozenset(rule for rule in BookingRule if chance.random() < 0.4))
        return ["answers", "rules set aside"]
    return ["answers"]


def main() -> None:
    """Compare worlds until there were so many; end with status 1 where any differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.domain.compare_worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=50_000, help="how many worlds")
    options = parser.parse_args()
    passed: Counter[str] = Counter()
    differing: list[int] = []
    last_report = time.monotonic()
    for seed in range(options.first, options.first + options.count):
        try:
            passed.update(compare(seed))
        except Exception:
            traceback.print_exc()
            differing.append(seed)
        if time.monotonic() - last_report > REPORT_SECONDS:
            last_report = time.monotonic()
            print(f"to seed {seed}: {dict(passed)}, differing: {differing}", flush=True)
    print(f"{options.count} worlds: {dict(passed)}, differing: {differing}", flush=True)
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
