"""The judge is judged: servers that were made to fail, and it must say so."""

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


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("embedded", ["--serve-with=tests.chaos.weakened blind", f"--weaken={OVERLAP}"]),
        ("shared", ["--serve-with=tests.chaos.weakened unlocked", *WALLS]),
    ],
)
def test_finds_what_is_sold_twice_without_walls_and_locks(engine: str, options: list[str]) -> None:
    found = chaos(engine, "--seconds=4", "--no-faults", "--settling=2", *options)["violations"]
    assert any("overlap" in one for one in found), found[:20]


def test_finds_an_answer_kept_in_another_transaction() -> None:
    options = "--serve-with=tests.chaos.weakened split", "--seconds=8", "--settling=5"
    found = chaos("embedded", *options)["violations"]
    assert any("which no request explains" in one for one in found), found[:20]


def test_finds_offers_of_what_has_been_taken() -> None:
    options = "--serve-with=tests.chaos.weakened stale", "--seconds=4", "--no-faults"
    found = chaos("embedded", *options, "--settling=2")["violations"]
    assert any("never free together" in one for one in found), found[:20]


@pytest.mark.parametrize(
    ("engine", "fault"), [("embedded", "early"), ("embedded", "late"), ("shared", "late")]
)
def test_finds_holds_whose_end_is_missed_by_a_fifth_of_a_second(engine: str, fault: str) -> None:
    options = f"--serve-with=tests.chaos.weakened {fault}", "--seconds=20", "--settling=5"
    assert chaos(engine, *options)["violations"]
