"""The judge is judged: servers that were made to fail, and it must say so."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .test_chaos import chaos

OVERLAP = "DROP TRIGGER allocations_do_not_overlap"
WALLS = [
    f"--weaken=ALTER TABLE {table} DROP CONSTRAINT {name}"
    for table, name in (
        ("allocations", "allocations_do_not_overlap"),
        ("allocations", "allocations_pkey"),
        ("sessions", "sessions_are_not_oversold"),
    )
]
CALM = ("--seconds=4", "--no-faults", "--settling=2")
ENDS = ("--seconds=20", "--settling=5")

PLANTED = {
    ("embedded", "blind"): (*CALM, f"--weaken={OVERLAP}"),
    ("shared", "unlocked"): (*CALM, *WALLS),
    ("embedded", "split"): ("--seconds=8", "--settling=5"),
    ("embedded", "stale"): CALM,
    ("embedded", "early"): ENDS,
    ("embedded", "late"): ENDS,
    ("shared", "late"): ENDS,
}
"""The ways in which `weakened` servers fail, and what is asked of each run."""

Judged = Callable[[str, str], list[str]]


@pytest.fixture(scope="module")
def violations() -> Iterator[Judged]:
    """What the judge says of a planted fault; two runs go on at a time."""
    with ThreadPoolExecutor(2) as pool:
        running = {
            (engine, fault): pool.submit(
                chaos, engine, f"--serve-with=tests.chaos.weakened {fault}", *options
            )
            for (engine, fault), options in PLANTED.items()
        }
        yield lambda engine, fault: running[engine, fault].result()["violations"]


@pytest.mark.parametrize(
    ("engine", "fault", "told"),
    [
        ("embedded", "blind", "overlap"),
        ("shared", "unlocked", "overlap"),
        ("embedded", "split", "which no request explains"),
        ("embedded", "stale", "never free together"),
        ("embedded", "early", ""),
        ("embedded", "late", ""),
        ("shared", "late", ""),
    ],
)
def test_finds_what_was_planted(violations: Judged, engine: str, fault: str, told: str) -> None:
    """Sold twice without walls and locks; an answer kept in another transaction; offers of what has
    been taken; holds whose end is missed by a fifth of a second."""
    found = violations(engine, fault)
    assert any(told in one for one in found), found[:20]
