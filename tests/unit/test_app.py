"""Work in the background of a server: what it makes of a store that cannot be used."""

import asyncio
import contextlib

import pytest

from zimun import app
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError


@pytest.mark.parametrize("told", [Overloaded("busy"), OutcomeUnknown("lost"), TimeoutError()])
async def test_a_store_that_does_not_do_what_it_is_asked_does_not_work(told: Exception) -> None:
    async def attempt() -> None:
        raise told

    assert not await app._works(attempt())


@pytest.mark.parametrize("told", [Overloaded("busy"), OutcomeUnknown("lost")])
async def test_background_work_waits_for_a_store_that_cannot_be_used(
    told: ZimunError, caplog: pytest.LogCaptureFixture
) -> None:
    turns = asyncio.Semaphore(0)

    async def work() -> None:
        turns.release()
        raise told

    working = asyncio.create_task(app._every(0, work))
    for _ in range(3):
        await asyncio.wait_for(turns.acquire(), 5)
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    assert {record.levelname for record in caplog.records} == {"WARNING"}
