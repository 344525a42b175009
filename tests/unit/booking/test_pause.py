"""Pauses of long work: when one is due, and what runs meanwhile."""

import asyncio
import time

import pytest

from zimun.booking.pause import MAX_STEP, Pause, next_step


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `time.perf_counter` tells."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


async def test_pause_is_due_after_a_step_and_lets_other_tasks_run(clock: list[float]) -> None:
    pause = Pause()
    assert not pause.is_due
    clock[0] += MAX_STEP / 2
    assert not pause.is_due
    clock[0] += MAX_STEP
    assert pause.is_due
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "another task")
    await pause.take()
    assert ran == ["another task"]
    assert not pause.is_due


async def test_pause_waits_for_the_next_step_of_the_running_work(clock: list[float]) -> None:
    waited: list[str] = []

    async def step() -> None:
        waited.append("step")

    token = next_step.set(step)
    await Pause().take()
    next_step.reset(token)
    assert waited == ["step"]
