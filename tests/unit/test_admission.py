"""Admission control: calls wait for those behind them to be read, and begin in a fair order."""

import asyncio
from dataclasses import dataclass

import pytest

from zimun.rpc import admission
from zimun.rpc.admission import MAX_GATHER_TIME, MAX_WORK, MIX_TIME, QUIET_TIME, Admission, CallType


@dataclass
class Stopwatch:
    """A clock in seconds that stands still."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    clock = Stopwatch()
    monkeypatch.setattr(admission, "perf_counter", clock)
    return clock


async def iterate(count: int = 50) -> None:
    """Leave the event loop to others for many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


def arrive(control: Admission, org_id: str, begun: list[str]) -> asyncio.Task[None]:
    """A read that has been read from its socket; it occupies the event loop for MAX_WORK."""

    async def run() -> None:
        call = control.admit(CallType.READ, org_id)
        if call.waiting:
            await call.begin()
        begun.append(org_id)
        call.charge(MAX_WORK)
        call.finish()

    control.arrivals += 1
    return asyncio.create_task(run())


async def test_a_call_that_is_read_late_overtakes_those_of_a_noisy_organization(
    stopwatch: Stopwatch,
) -> None:
    """Calls are handed over one by one, with many iterations of the event loop in between."""
    control, begun = Admission(max_writes=10), list[str]()
    calls = [arrive(control, "o_noisy", begun)]
    await iterate()
    for org_id in ("o_noisy", "o_noisy", "o_noisy", "o_quiet"):
        stopwatch.now += QUIET_TIME / 2
        calls.append(arrive(control, org_id, begun))
        await iterate()
    assert begun == ["o_noisy"]
    while len(begun) < len(calls):
        stopwatch.now += QUIET_TIME
        await iterate()
    assert begun.index("o_quiet") == 2


async def test_calls_are_still_read_after_a_thread_had_the_interpreter_for_long(
    stopwatch: Stopwatch,
) -> None:
    """Time without iterations of the event loop does not tell that no call is left."""
    control, begun = Admission(max_writes=10), list[str]()
    arrive(control, "o_noisy", begun)
    await iterate()
    for _ in range(3):
        arrive(control, "o_noisy", begun)
    await iterate(3)
    stopwatch.now += 3 * QUIET_TIME
    await iterate(3)
    arrive(control, "o_quiet", begun)
    while len(begun) < 5:
        await iterate()
        stopwatch.now += QUIET_TIME
    assert begun[:3] == ["o_noisy", "o_noisy", "o_quiet"]


async def test_queued_calls_begin_though_calls_arrive_without_end(stopwatch: Stopwatch) -> None:
    control, begun = Admission(max_writes=10), list[str]()
    arrive(control, "o_noisy", begun)
    await iterate()
    begin = stopwatch.now
    while len(begun) < 2:
        stopwatch.now += QUIET_TIME / 2
        arrive(control, "o_noisy", begun)
        await iterate()
    assert stopwatch.now - begin <= MAX_GATHER_TIME + QUIET_TIME


async def test_calls_of_one_organization_alone_wait_for_no_others(stopwatch: Stopwatch) -> None:
    control, begun = Admission(max_writes=10), list[str]()
    arrive(control, "o_only", begun)
    await iterate()
    stopwatch.now += MIX_TIME
    for _ in range(3):
        arrive(control, "o_only", begun)
    await iterate()
    assert len(begun) == 4


async def test_call_that_leaves_its_queue_lets_one_other_begin() -> None:
    control = Admission(max_writes=1)
    call = control.admit(CallType.WRITE, "o_one")
    others = [control.admit(CallType.WRITE, "o_other").waiting for _ in range(2)]
    call.leave_queue()
    call.leave_queue()
    call.finish()
    await iterate()
    assert [waiting.done() for waiting in others if waiting] == [True, False]


async def test_call_that_has_ended_leaves_no_queue() -> None:
    control = Admission(max_writes=1)
    call = control.admit(CallType.WRITE, "o_one")
    call.finish()
    call.leave_queue()
    assert not control.admit(CallType.WRITE, "o_one").waiting
    assert control.admit(CallType.WRITE, "o_one").waiting


async def test_waits_of_calls_that_have_left_their_queue_make_it_no_shorter(
    stopwatch: Stopwatch,
) -> None:
    control = Admission(max_writes=1)
    for _ in range(100):
        call = control.admit(CallType.WRITE, "o_one")
        call.leave_queue()
        stopwatch.now += 10
        call.finish()
    for _ in range(500):
        control.admit(CallType.WRITE, "o_one")
    assert control.refused[CallType.WRITE] == 0
