"""The judge names the fault of servers that were made to fail."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .faulty_server import FAULTS
from .test_chaos import chaos

pytestmark = pytest.mark.chaos

ENGINE_RATE = {"embedded": 500, "shared": 250}
"""Attempts per second of the recorded runs (`docs/chaos.md`)."""


def calm(engine: str, seconds: int = 4) -> tuple[str, ...]:
    """Options of a run without faults, which has its attempts on a busy machine too."""
    attempts = seconds * ENGINE_RATE[engine]
    return f"--seconds={seconds}", f"--min-attempts={attempts}", "--no-faults", "--settling=2"


ENDS = ("--seconds=10", "--min-attempts=3000", "--move-rate=3", "--settling=2")
"""Options of a run in which the clock often moves to where a hold ends."""


def without(*constraints: str) -> tuple[str, ...]:
    """Options that take constraints of PostgreSQL's tables away, each as TABLE.NAME."""
    named = (constraint.split(".") for constraint in constraints)
    return tuple(f"--weaken=ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in named)


OVERLAPPING = "--weaken=DROP TRIGGER allocations_do_not_overlap"
UNCONSTRAINED = (
    *without(
        "allocations.allocations_do_not_overlap",
        "allocations.allocations_pkey",
        "sessions.sessions_are_not_oversold",
        "events.events_pkey",
    ),
    "--weaken=DROP INDEX events_by_revision",
)

PLANTED = {
    ("embedded", "early"): (*ENDS, "--seconds=24", "--more-reads=0.5"),
    ("embedded", "late"): ENDS,
    ("shared", "late"): ENDS,
    ("embedded", "blind+unrepeated"): (*calm("embedded", 6), OVERLAPPING),
    ("embedded", "skipping"): (*calm("embedded"), "--more-reads=0.5"),
    ("shared", "skipping"): (*calm("shared", 8), "--more-reads=0.5"),
    ("shared", "uncompared"): (*calm("shared"), *UNCONSTRAINED),
    ("shared", "premature"): calm("shared", 2),
    ("shared", "undropped"): calm("shared", 6),
    ("shared", "outdated"): (*calm("shared", 12), "--more-reads=0.5"),
    ("embedded", "outdated"): (*calm("embedded", 16), "--more-reads=0.5"),
    ("embedded", "hasty"): calm("embedded", 2),
    ("shared", "hasty"): calm("shared", 2),
    ("embedded", "split"): ("--seconds=10", "--settling=5"),
    ("shared", "unconfirmed"): calm("shared", 6),
    ("embedded", "unlimited+uncounted+located+unclosed+unasked+unemptied+unrewritten"): (
        *calm("embedded", 6),
        OVERLAPPING,
    ),
    ("shared", "backwards"): (*calm("shared", 2), "--skew=2"),
}
"""How servers of `faulty_server` fail, and what is asked of each run, long runs first."""

TOLD = {
    "blind": "overlap",
    "skipping": "misread",
    "uncompared": "the event after number",
    "premature": "unjustified refusal",
    "undropped": "misread|unjustified refusal",
    "outdated": "misread",
    "hasty": "and is not there",
    "split": "has no matching request",
    "backwards": "ledger time runs back",
    "early": "misread",
    "late": "of a hold until",
    "unconfirmed": "unjustified refusal",
    "unlimited": "beyond the limit of 3",
    "uncounted": "beyond the customer's limit of",
    "unrepeated": "it was booked in the time off f_[0-9]+ that recurs",
    "located": "overlap on t_ben",
    "unemptied": "still has [cC][0-9]+@",
    "unrewritten": "was erased, and is stored for",
    "unclosed": "it was booked in the time off",
    "unasked": "time off was made over the bookings",
}
"""What the judge must say of each, among other things (a regular expression)."""

Judged = Callable[[str, str], list[str]]


@pytest.fixture(scope="module")
def violations() -> Iterator[Judged]:
    """What the judge says of a planted fault; three runs go on at a time."""
    with ThreadPoolExecutor(3) as pool:
        running = {
            (engine, fault): pool.submit(
                chaos, engine, f"--serve-with=tests.chaos.faulty_server {fault}", *options
            )
            for (engine, fault), options in PLANTED.items()
        }
        yield lambda engine, fault: running[engine, fault].result()["violations"]


@pytest.mark.parametrize(("engine", "fault"), PLANTED)
def test_judge_of_servers_with_a_planted_fault_names_it(
    violations: Judged, engine: str, fault: str
) -> None:
    found = violations(engine, fault)
    for each in fault.split("+"):
        assert any(re.search(TOLD[each], one) for one in found), (each, found[:20])


def test_every_planted_fault_is_run() -> None:
    run = {each for _, faults in PLANTED for each in faults.split("+")}
    assert FAULTS.keys() == run == TOLD.keys()
