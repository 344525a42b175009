"""Work in the background of a server, and the clock that it shares with commands beside it."""

import asyncio
import contextlib
import gc
import sys
from pathlib import Path

import pytest

from zimun import app
from zimun.booking.catalog import CreateOrganization
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization
from zimun.domain.errors import OutcomeUnknown, Overloaded, ZimunError
from zimun.domain.instant import DAY, MINUTE
from zimun.gateway_settings import gateway_settings
from zimun.stores import open_stores
from zimun_gateway import bootstrap


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


def test_gateway_without_the_page_needs_no_files_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_swagger_ui", None)
    bootstrap.dump(gateway_settings(Settings(docs=False)))
    with pytest.raises(FileNotFoundError, match="Swagger UI"):
        gateway_settings(Settings())


@pytest.mark.parametrize("days", [-365, 0, 365])
async def test_command_beside_a_server_with_another_clock_decides_by_that_clock(
    days: int, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    start = WallClock().now() + days * DAY
    # What another server left is not what counts.
    for offset in (30 * DAY, days * DAY):
        async with app.serve(settings, WallClock(offset)):
            pass
    command = CreateOrganization(Organization(id="o_1", name="One", time_zone="UTC"))
    async with open_stores(settings) as stores:
        assert await stores.writer.run("o_1", command, creates=True)
        heads = await stores.ledgers.heads(("o_1",))
    assert start <= heads["o_1"].time < start + 10 * MINUTE


async def test_server_without_a_clock_has_the_clock_of_the_database(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, grpc_port=0, auth_port=0)
    for clock, days in ((None, 0), (WallClock(-90 * DAY), -90), (None, -90), (WallClock(), 0)):
        async with app.serve(settings, clock) as server:
            expected = WallClock(days * DAY).now()
            assert expected - MINUTE < server.stores.clock.now() < expected + MINUTE


def test_a_collection_of_young_objects_is_short() -> None:
    """The event loop waits for it: it must not look at tens of thousands of objects."""
    looked_at: list[int] = []

    def observe(phase: str, collection: dict[str, int]) -> None:
        if phase == "start" and (last := collection["generation"]) < 2:
            looked_at.append(sum(len(gc.get_objects(young)) for young in range(last + 1)))

    thresholds = gc.get_threshold()
    app.tune_garbage_collector()
    gc.callbacks.append(observe)
    try:
        kept = [[number] for number in range(50_000)]
    finally:
        gc.callbacks.remove(observe)
        gc.set_threshold(*thresholds)
    assert len(kept) > 10 * max(looked_at) > 0
