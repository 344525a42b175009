"""The database server goes away and comes back; Zimun stays, says so, and takes nothing twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path

import pytest
import requests
from google.rpc import error_details_pb2

from ..support import postgres
from ..support.answers import detail, refused
from ..support.processes import descendants, until
from ..support.program import HOLD_PATH, Zimun, closed_after
from ..support.server import Caller, details, outcome
from ..support.times import half_hours, workdays

APPOINTMENTS = "zimun.v1.AppointmentsService"
RETURNED = 5.0
"""Seconds in which service is back once the database is."""

Outcome = tuple[str, str]
OK, AWAY = ("OK", ""), ("UNAVAILABLE", "OVERLOADED")


@pytest.fixture
def database() -> Iterator[postgres.Postgres]:
    """A server that only this test stops."""
    with postgres.run_postgres() as server:
        yield server


@pytest.fixture
def zimun(database: postgres.Postgres, tmp_path: Path) -> Iterator[Zimun]:
    url = database.url(database.create())
    with closed_after(Zimun(tmp_path / "data", ZIMUN_DATABASE_URL=url)) as running:
        yield running.start()


@pytest.fixture
def caller(zimun: Zimun) -> Iterator[Caller]:
    with Caller(zimun.grpc_target, zimun.token()) as caller:
        yield caller


@pytest.fixture
def times() -> Iterator[str]:
    return (at for day in workdays(date(2026, 2, 2)) for at in half_hours(day))


class Customer:
    """Holds one slot after the other with a patience of three seconds, each with a key."""

    def __init__(self, zimun: Zimun) -> None:
        self.told: list[tuple[str, str, Outcome, float, str]] = []
        self.leaves = threading.Event()
        self._caller = Caller(zimun.grpc_target, zimun.token())
        self._times = (at for day in workdays(date(2026, 3, 2)) for at in half_hours(day))

    def works(self) -> None:
        numbers = count()
        while not self.leaves.is_set():
            at, key, began = next(self._times), f"customer {next(numbers)}", time.monotonic()
            call = self._caller.begin_hold(at, key, timeout=3)
            how = outcome(call)
            hold_id = call.result().hold_id if how == OK else ""
            self.told.append((at, key, how, time.monotonic() - began, hold_id))

    def held(self) -> int:
        return sum(how == OK for _, _, how, _, _ in self.told)

    def close(self) -> None:
        self._caller.close()


@contextmanager
def customers(zimun: Zimun, number: int) -> Iterator[list[Customer]]:
    """So many of them, at work while the context is open. They share nothing but the slots."""
    found = [Customer(zimun) for _ in range(number)]
    threads = [threading.Thread(target=one.works) for one in found]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        for one in found:
            one.leaves.set()
        for thread in threads:
            thread.join(20)
        for one in found:
            one.close()


def healthy(caller: Caller, wanted: str) -> None:
    for service in ("", APPOINTMENTS):
        until(
            f"{service or 'the server'} to be {wanted}",
            lambda service=service: caller.health(service) == wanted,  # type: ignore[misc]
            RETURNED,
        )


def told_over_grpc(caller: Caller, at: str) -> None:
    """Asserts that a call is told in time that the store is away, and when to come again."""
    began = time.monotonic()
    call = caller.begin_hold(at, key="during", timeout=3)
    assert outcome(call) == AWAY
    assert time.monotonic() - began < 3
    retry = error_details_pb2.RetryInfo()
    assert [one.Unpack(retry) for one in details(call)].count(True) == 1
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0


def told_over_http(answer: requests.Response) -> None:
    assert answer.elapsed.total_seconds() < 3
    refused(answer, 503, "UNAVAILABLE", "OVERLOADED")
    assert int(answer.headers["Retry-After"]) > 0
    assert detail(answer.json(), "RetryInfo")["retry_delay"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_while_the_database_is_away_callers_are_told_and_service_returns_with_it(
    zimun: Zimun,
    caller: Caller,
    database: postgres.Postgres,
    times: Iterator[str],
    how: int,
) -> None:
    early, at = next(times), next(times)
    body, late = {"service_id": "s_123", "appointment_time": early}, {"service_id": "s_123"}
    before = zimun.post(HOLD_PATH, body, key="before")
    assert before.status_code == 200
    healthy(caller, "SERVING")
    with customers(zimun, 1) as [customer]:
        until("some holds", lambda: customer.held() > 20)
        database.stop(how)
        healthy(caller, "NOT_SERVING")
        told_over_grpc(caller, at)
        told_over_http(zimun.post(HOLD_PATH, body, key="before"))
        told_over_http(zimun.post(HOLD_PATH, late | {"appointment_time": at}, key="during"))
        told_over_http(zimun.get("/api/v1/services"))
        told_over_http(zimun.get("/api/v1/availability", service_id="s_123", days_ahead=3))
        held = customer.held()

        database.start()
        until("a hold", lambda: customer.held() > held, RETURNED)
        healthy(caller, "SERVING")
        until("more holds", lambda: customer.held() > held + 20)

    # The keys of before and during: each has one effect and one answer.
    again = zimun.post(HOLD_PATH, body, key="before")
    assert (again.status_code, again.content) == (200, before.content)
    first, second = (
        zimun.post(HOLD_PATH, late | {"appointment_time": at}, key="during") for _ in range(2)
    )
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert len(zimun.free_staff(early)) == len(zimun.free_staff(at)) == 2
    taken_once(caller, customer)
    assert zimun.process.poll() is None


def test_many_who_want_one_slot_are_all_told_in_time_that_the_database_is_away(
    zimun: Zimun, caller: Caller, database: postgres.Postgres, times: Iterator[str]
) -> None:
    at = next(times)
    caller.free_staff(at)
    database.stop(signal.SIGQUIT)
    began = time.monotonic()
    calls = [caller.begin_hold(at, f"one of many {number}", timeout=10) for number in range(30)]
    assert {outcome(call) for call in calls} == {AWAY}
    assert time.monotonic() - began < RETURNED
    database.start()
    until("a hold", lambda: outcome(caller.begin_hold(at, timeout=3)) == OK, RETURNED)


def taken_once(caller: Caller, customer: Customer) -> None:
    """Asserts what a customer was told, and that each of their keys had one effect."""
    allowed = {OK[0], AWAY[0], "DEADLINE_EXCEEDED"}
    assert {how[0] for _, _, how, _, _ in customer.told} <= allowed, customer.told
    assert {how for _, _, how, _, _ in customer.told} >= {OK, AWAY}
    assert max(seconds for _, _, _, seconds, _ in customer.told) < 3.5
    troubled = [number for number, one in enumerate(customer.told) if one[2] != OK]
    around = range(max(troubled[0] - 10, 0), troubled[-1] + 1)
    for at, key, _, _, hold_id in customer.told[around.start : around.stop]:
        held = caller.hold(at, key)
        assert held.hold_id == (hold_id or held.hold_id), key
        assert len(caller.free_staff(at)) == 2, key


def test_a_database_that_hangs_for_a_while_breaks_nothing(
    zimun: Zimun, caller: Caller, database: postgres.Postgres, times: Iterator[str]
) -> None:
    hasty = next(times)
    patient = {next(times): f"patient {number}" for number in range(20)}
    family = [database.pid, *descendants(database.pid)]
    try:
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        calls = [caller.begin_hold(at, key) for at, key in patient.items()]
        # This one takes the two seconds for which the database hangs.
        code, _ = outcome(caller.begin_hold(hasty, "hasty", timeout=2))
        assert code in {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
    finally:
        for pid in reversed(family):
            os.kill(pid, signal.SIGCONT)
    assert {outcome(call) for call in calls} <= {OK, AWAY}

    healthy(caller, "SERVING")
    for (at, key), call in zip(patient.items(), calls, strict=True):
        held = caller.hold(at, key)
        assert outcome(call) == AWAY or held == call.result()
        assert len(caller.free_staff(at)) == 2
    caller.hold(hasty, "hasty")
    assert len(caller.free_staff(hasty)) == 2
    zimun.stop()
