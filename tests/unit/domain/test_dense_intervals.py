"""Whether a ledger has few enough allocations to be searched at once."""

import pytest

from zimun.domain.instant import HOUR
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Allocation, Loaded, Needs

ADA, BEN = "t_ada", "t_ben"


def hour(number: int) -> Allocation:
    start = number * HOUR
    return Allocation(start, start + HOUR, 1 << 62, start, f"a_{number}")


@pytest.fixture
def ledger() -> Ledger:
    """Two blocks of Ada with three hours each, and one of Ben with one."""
    day = BLOCK // HOUR
    ada = [(ADA, hour(number)) for number in (0, 1, 2, day, day + 1, day + 2)]
    needs = Needs(blocks={(ADA, 0), (ADA, 1), (BEN, 0)})
    return Ledger("o_1", 1, 0, 1).with_loaded(Loaded(needs, [*ada, (BEN, hour(5))]))


@pytest.mark.parametrize(
    ("number", "subjects", "within", "expected"),
    [
        (6, [ADA], (0, 2 * BLOCK), True),
        (5, [ADA], (0, 2 * BLOCK), False),
        (4, [ADA, BEN], (0, BLOCK), True),
        (3, [ADA, BEN], (0, BLOCK), False),
        (3, [ADA], (10 * HOUR, 11 * HOUR), True),
        (2, [ADA], (10 * HOUR, 11 * HOUR), False),
        (100, [ADA, BEN], (0, 2 * BLOCK), False),
        (0, [], (0, BLOCK), True),
    ],
)
def test_all_blocks_are_loaded_and_have_few_enough_allocations(
    ledger: Ledger, number: int, subjects: list[str], within: tuple[int, int], expected: bool
) -> None:
    assert ledger.has_at_most(number, subjects, within) == expected
