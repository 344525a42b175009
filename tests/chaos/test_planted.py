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
    return f"--seconds={seconds}", f"--min-attempts={attempts}", "--no-faults", "--recovery=2"


ENDS = ("--seconds=10", "--min-attempts=3000", "--move-rate=3", "--recovery=2")
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

IGNORED = "+".join(
    (
        "limits_ignored",
        "customer_limit_ignored",
        "location_ignores_bookings",
        "time_off_ignored",
        "time_off_over_bookings",
        "events_not_erased",
        "responses_not_erased",
    )
)
"""Faults of one run, as the judge tells them apart."""

PLANTED = {
    ("embedded", "holds_end_early"): (*ENDS, "--seconds=24", "--more-reads=0.5"),
    ("embedded", "holds_end_late"): ENDS,
    ("shared", "holds_end_late"): ENDS,
    ("embedded", "search_ignores_bookings+recurrence_ignored"): (*calm("embedded", 6), OVERLAPPING),
    ("embedded", "catch_up_skips_holds"): (*calm("embedded"), "--more-reads=0.5"),
    ("shared", "catch_up_skips_holds"): (*calm("shared", 8), "--more-reads=0.5"),
    ("shared", "head_not_compared"): (*calm("shared"), *UNCONSTRAINED),
    ("shared", "memory_before_commit"): calm("shared", 2),
    ("shared", "memory_kept_after_failure"): calm("shared", 6),
    ("shared", "stale_head"): (*calm("shared", 12), "--more-reads=0.5"),
    ("embedded", "stale_head"): (*calm("embedded", 16), "--more-reads=0.5"),
    ("embedded", "answer_before_commit"): calm("embedded", 2),
    ("shared", "answer_before_commit"): calm("shared", 2),
    ("embedded", "responses_written_apart"): ("--seconds=10", "--recovery=5"),
    ("shared", "refusal_not_confirmed"): calm("shared", 6),
    ("embedded", IGNORED): (*calm("embedded", 6), OVERLAPPING),
    ("shared", "clock_without_ledger_time"): (*calm("shared", 2), "--skew=2"),
}
"""How servers of `faulty_server` fail, and what is asked of each run, long runs first."""

TOLD = {
    "search_ignores_bookings": "overlap",
    "catch_up_skips_holds": "misread",
    "head_not_compared": "the event after number",
    "memory_before_commit": "unjustified refusal",
    "memory_kept_after_failure": "misread|unjustified refusal",
    "stale_head": "misread",
    "answer_before_commit": "and is not there",
    "responses_written_apart": "has no matching request",
    "clock_without_ledger_time": "ledger time runs back",
    "holds_end_early": "misread",
    "holds_end_late": "of a hold until",
    "refusal_not_confirmed": "unjustified refusal",
    "limits_ignored": "beyond the limit of 3",
    "customer_limit_ignored": "beyond the customer's limit of",
    "recurrence_ignored": "it was booked in the time off f_[0-9]+ that recurs",
    "location_ignores_bookings": "overlap on t_ben",
    "events_not_erased": "still has [cC][0-9]+@",
    "responses_not_erased": "was erased, and is stored for",
    "time_off_ignored": "it was booked in the time off",
    "time_off_over_bookings": "time off was made over the bookings",
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
