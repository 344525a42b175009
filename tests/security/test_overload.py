"""Overload: calls beyond capacity are refused at once, and organizations share the server fairly.

The load itself is `python -m bench.overload`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from zimun.booking.pause import Pause, next_step
from zimun.clock import ManualClock
from zimun.domain.errors import Overloaded
from zimun.rpc import admission, long_calls, quota, server
from zimun.rpc.admission import Admission, AdmittedCall, CallType, metered
from zimun.rpc.fair_queue import FairQueue
from zimun.rpc.long_calls import LongCalls
from zimun.v1 import services_service_pb2

from ..support.rpc import FRIDAY_MORNING, Zimun, run_server, seed

FLOOD = 10_000


def waiting(queue: FairQueue, org_id: str, count: int) -> list["asyncio.Future[None]"]:
    futures = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for future in futures:
        queue.add(org_id, future)
    return futures


def full_admission(monkeypatch: pytest.MonkeyPatch) -> Admission:
    """An admission in which no read begins by itself."""
    monkeypatch.setattr(admission, "MAX_READS", 0)
    return Admission(max_writes=1)


def admit_all(all_calls: Admission, org_id: str) -> list[AdmittedCall]:
    """As many reads of an organization as may wait."""
    calls: list[AdmittedCall] = []
    with contextlib.suppress(Overloaded):
        calls.extend(all_calls.admit(CallType.READ, org_id) for _ in range(FLOOD))
    return calls


async def test_a_flood_of_one_organization_is_refused_and_others_are_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_calls = full_admission(monkeypatch)
    noisy = admit_all(all_calls, "o_noisy")
    quiet = admit_all(all_calls, "o_quiet")
    assert len(noisy) < FLOOD
    assert len(quiet) >= len(noisy) // 8
    assert all_calls.waiting[CallType.READ] == len(noisy) + len(quiet)
    assert all_calls.refused[CallType.READ] == 2


async def test_fewer_calls_are_accepted_when_calls_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    all_calls = full_admission(monkeypatch)
    short = len(admit_all(all_calls, "o_one"))
    slow = full_admission(monkeypatch)
    for _ in range(100):
        slow._queues[CallType.READ].quota.record_cost(0.02)
    assert len(admit_all(slow, "o_one")) < short / 4


async def test_five_hundred_calls_at_once_are_accepted_by_an_idle_server() -> None:
    all_calls = Admission(max_writes=64)
    for _ in range(200):
        call = all_calls.admit(CallType.WRITE, "o_one")
        call._begun -= 0.02  # the time of a commit
        call.finish()
    for _ in range(500):
        all_calls.admit(CallType.WRITE, "o_one")
    assert all_calls.refused[CallType.WRITE] == 0


async def test_calls_of_other_organizations_begin_before_a_flood_of_one() -> None:
    queue = FairQueue()
    flood = waiting(queue, "o_noisy", 100)
    others = [waiting(queue, f"o_{n}", 1)[0] for n in range(10)]
    for _ in range(11):
        queue.begin_next(0.001)
    assert all(future.done() for future in others)
    assert sum(future.done() for future in flood) == 1


async def test_organizations_share_the_server_by_the_cost_of_their_calls() -> None:
    queue = FairQueue()
    expensive, cheap = waiting(queue, "o_expensive", 100), waiting(queue, "o_cheap", 100)
    for _ in range(50):
        before = sum(future.done() for future in expensive)
        queue.begin_next(0.001)
        if sum(future.done() for future in expensive) > before:
            queue.correct("o_expensive", 0.009)
    assert 4 <= sum(future.done() for future in expensive) <= 6
    assert 44 <= sum(future.done() for future in cheap) <= 46


async def test_a_cancelled_call_never_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    all_calls = full_admission(monkeypatch)
    call = all_calls.admit(CallType.READ, "o_one")
    task = asyncio.create_task(call.begin())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_calls.waiting[CallType.READ] == 0
    assert not all_calls._queues[CallType.READ].waiting.begin_next(0.001)


async def test_a_call_cancelled_as_it_begins_frees_its_place() -> None:
    all_calls = Admission(max_writes=1)
    first = all_calls.admit(CallType.WRITE, "o_one")
    second = all_calls.admit(CallType.WRITE, "o_one")
    task = asyncio.create_task(second.begin())
    await asyncio.sleep(0)
    first.finish()
    all_calls._queues[CallType.WRITE].begin_next()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_calls._queues[CallType.WRITE].active == 0


async def iterations(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_long_call_rests_while_a_short_call_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_calls, "MAX_REST", 3600)
    all_calls = Admission(max_writes=2)
    long_call = all_calls.admit(CallType.READ, "o_one")
    await long_call.step()
    short_call = all_calls.admit(CallType.WRITE, "o_other")
    step = asyncio.create_task(long_call.step())
    await iterations()
    assert not step.done()
    short_call.finish()
    await iterations()
    assert step.done()


async def test_a_long_call_rests_while_calls_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_calls, "MAX_REST", 3600)
    all_calls = Admission(max_writes=2)
    long_call = all_calls.admit(CallType.READ, "o_one")
    await long_call.step()
    step = asyncio.create_task(long_call.step())
    for _ in range(20):
        all_calls.arrivals += 1
        await iterations(1)
    assert not step.done()
    await iterations()
    assert step.done()


async def test_a_long_call_goes_on_beside_short_calls_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_calls, "MAX_REST", 0.001)
    all_calls = Admission(max_writes=2)
    all_calls.admit(CallType.WRITE, "o_other")
    long_call = all_calls.admit(CallType.READ, "o_one")
    async with asyncio.timeout(10):
        for _ in range(5):
            await long_call.step()


async def test_a_cancelled_step_of_a_long_call_starts_no_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_calls, "MAX_REST", 3600)
    all_calls = Admission(max_writes=2)
    all_calls.admit(CallType.WRITE, "o_other")
    cancelled, step = (
        asyncio.create_task(all_calls.admit(CallType.READ, "o_one").step()) for _ in range(2)
    )
    await iterations(1)
    cancelled.cancel()
    await iterations()
    assert step.done()


def steps_of(long_calls: LongCalls, org_ids: Sequence[str]) -> list["asyncio.Task[None]"]:
    """A step of a long call of each organization; it waits after an iteration."""
    for org_id in org_ids:
        long_calls.quota.acquire(org_id)
    return [asyncio.create_task(long_calls.step(org_id, 0.0)) for org_id in org_ids]


@pytest.mark.parametrize(("organizations", "steps"), [(1, 1), (2, 1), (4, 2), (10, 5), (100, 8)])
async def test_half_of_the_organizations_have_a_step_before_long_calls_rest(
    monkeypatch: pytest.MonkeyPatch, organizations: int, steps: int
) -> None:
    monkeypatch.setattr(long_calls, "MAX_REST", 3600)
    calls = LongCalls(lambda: None)
    waiting = steps_of(calls, [f"o_{n}" for n in range(organizations)])
    await iterations(1)
    for arrivals in range(20):
        calls.begin_next(arrivals, has_short_calls=True)
        await iterations(1)
    assert sum(step.done() for step in waiting) == steps


@pytest.mark.parametrize("organizations", [1, 2, 6])
async def test_each_organization_has_as_many_steps_beside_short_calls_as_if_alone(
    monkeypatch: pytest.MonkeyPatch, organizations: int
) -> None:
    now = 0.0
    monkeypatch.setattr(long_calls, "perf_counter", lambda: now)
    calls = LongCalls(lambda: None)
    waiting = steps_of(calls, [f"o_{n}" for n in range(organizations)] * 20)
    await iterations(1)
    for arrivals in range(1000):
        now = arrivals * long_calls.MAX_REST / 100
        calls.begin_next(arrivals, has_short_calls=True)
    await iterations(1)
    assert sum(step.done() for step in waiting) == 10 * organizations


async def test_fewer_long_calls_are_accepted_when_they_wait_for_short_ones() -> None:
    calls = LongCalls(lambda: None)
    for _ in range(100):
        for org_id in ("o_one", "o_other"):
            calls.quota.acquire(org_id)
        for org_id in ("o_one", "o_other"):
            calls.end(org_id, 0.1)
    with contextlib.suppress(Overloaded):
        for number in range(FLOOD):
            calls.quota.acquire(f"o_{number}")
    assert len(calls.quota) == pytest.approx(quota.MAX_WAIT / 0.075, abs=2)


async def test_calls_wait_at_the_limit_and_all_are_served() -> None:
    all_calls = Admission(max_writes=2)
    highest = running = 0

    async def write(org_id: str) -> None:
        nonlocal highest, running
        call = all_calls.admit(CallType.WRITE, org_id)
        if call.waiting:
            await call.begin()
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1
        call.finish()

    async with asyncio.timeout(10):
        await asyncio.gather(*(write(f"o_{n % 3}") for n in range(50)))
    assert highest == 2
    assert all_calls.waiting == dict.fromkeys(CallType, 0)


async def test_long_reads_go_on_one_step_at_a_time_and_are_bounded() -> None:
    all_calls = Admission(max_writes=1)
    steps: list[str] = []

    async def long_read(org_id: str) -> None:
        call = all_calls.admit(CallType.READ, org_id)
        next_step.set(call.step)
        try:
            for _ in range(5):
                await Pause().take()
                steps.append(org_id)
        finally:
            call.finish()

    async with asyncio.timeout(10):
        flood = [asyncio.create_task(long_read("o_noisy")) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.create_task(long_read("o_quiet"))
        begun = len(steps)
        await asyncio.gather(*flood)
    assert begun < 20
    assert all_calls.waiting[CallType.LONG] == 0
    all_calls.long_calls.quota.record_cost(1e6)
    for number in range(quota.MIN_QUEUE_LENGTH):
        all_calls.long_calls.quota.acquire(f"o_{number}")
    with pytest.raises(Overloaded):
        await long_read("o_third")
    assert all_calls.refused[CallType.LONG] == 1


async def test_metered_work_is_charged_for_its_steps_and_fails_as_it_would() -> None:
    charges: list[float] = []

    async def work(fails: bool) -> int:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return 2
        if fails:
            raise ValueError
        return 1

    assert await metered(work(fails=False), charges.append) == 1
    assert len(charges) == 2
    with pytest.raises(ValueError, match=r"^$"):
        await metered(work(fails=True), charges.append)
    task = asyncio.create_task(_as_coroutine(metered(work(fails=False), charges.append)))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == 2


async def _as_coroutine(awaitable: Awaitable[int]) -> int:
    return await awaitable


async def on_a_full_server(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ask: Callable[[Zimun, Admission], Awaitable[None]],
) -> None:
    """A server whose reads all wait, and the admission in it."""
    made: list[Admission] = []

    def make(max_writes: int) -> Admission:
        made.append(full_admission(monkeypatch))
        return made[0]

    monkeypatch.setattr(server, "Admission", make)
    async with run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as running:
        await seed(running.stores.writer)
        await ask(running, made[0])


async def test_a_refusal_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quota, "MIN_QUEUE_LENGTH", 0)
    monkeypatch.setattr(quota, "MAX_WAIT", 0)

    async def ask(zimun: Zimun, _: Admission) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await zimun.call(
                zimun.services.ListServices, services_service_pb2.ListServicesRequest()
            )
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        trailers = dict(caught.value.trailing_metadata())
        assert trailers["retry-after"] == "1"
        status = Status.FromString(trailers["grpc-status-details-bin"])
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(retry)
        assert info.reason == "OVERLOADED"
        assert retry.retry_delay.seconds == 1

    await on_a_full_server(monkeypatch, tmp_path, ask)


async def test_a_call_whose_deadline_has_passed_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def ask(zimun: Zimun, all_calls: Admission) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await zimun.services.ListServices(
                services_service_pb2.ListServicesRequest(), metadata=zimun.bearer(), timeout=0.2
            )
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(10):
            while all_calls.waiting[CallType.READ]:  # noqa: ASYNC110 - only looking tells
                await asyncio.sleep(0.01)

    await on_a_full_server(monkeypatch, tmp_path, ask)
