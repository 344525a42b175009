"""Availability answers that are given again: never one that a fresh search would not give."""

from contextlib import suppress
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from zimun.booking.availability import AnswerCache, Availability, get_availability
from zimun.clock import ManualClock
from zimun.domain.errors import ZimunError
from zimun.domain.instant import MINUTE
from zimun.domain.slot_request import DateRange, SlotRequest

from .desk import CALLER, CLASS, CUT, NOW, Desk, Engine, at, open_salon, put_catalog

TUESDAY = DateRange(first=date(2025, 12, 2), last=date(2025, 12, 2))


async def ask(desk: Desk, service_id: str, cache: AnswerCache | None = None) -> Availability:
    request = SlotRequest(service_id=service_id)
    return await get_availability(
        desk.stores.reader, cache or AnswerCache(), CALLER, request, TUESDAY
    )


async def check(desk: Desk, service_id: str, cache: AnswerCache) -> None:
    fresh = await ask(desk, service_id)
    for _ in range(2):
        given = await ask(desk, service_id, cache)
        assert (given.slots, given.days) == (fresh.slots, fresh.days)


@pytest.mark.parametrize("seed", range(6))
async def test_kept_answers_are_those_of_a_fresh_search(desk: Desk, seed: int) -> None:
    random, cache, held = Random(seed), AnswerCache(), []
    desk.clock.instant = at(8) if seed % 2 else NOW
    for _ in range(120):
        service = random.choice((CUT, CLASS))
        match random.randrange(5):
            case 0 | 1:
                with suppress(ZimunError):
                    held.append(await desk.hold(at(random.randrange(9, 17)), service.id))
            case 2 if held:
                with suppress(ZimunError):
                    await desk.release(random.choice(held).hold_id)
            case 3 if held:
                # To the instant at which a hold ends, or just before it.
                ends = random.choice(held).expires_at - random.randrange(2)
                desk.clock.instant = max(desk.clock.instant, ends)
            case _:
                desk.clock.instant += random.choice((-1, 1, MINUTE, 30 * MINUTE))
        await check(desk, service.id, cache)


async def test_an_answer_is_given_again_while_nothing_changes(desk: Desk) -> None:
    cache = AnswerCache()
    first = await ask(desk, CUT.id, cache)
    desk.clock.advance(1)
    assert await ask(desk, CUT.id, cache) is first
    held = await desk.hold(at(10))
    second = await ask(desk, CUT.id, cache)
    assert second is not first
    desk.clock.instant = held.expires_at - 1
    assert await ask(desk, CUT.id, cache) is second
    desk.clock.instant += 1
    assert await ask(desk, CUT.id, cache) is not second


async def test_another_server_changes_what_is_answered(engine: Engine, clock: ManualClock) -> None:
    async with engine.open(clock) as one, engine.open(clock) as other:
        await open_salon(one)
        desk, elsewhere, cache = Desk(one, clock), Desk(other, clock), AnswerCache()
        for hour in (10, 11, 12):
            await check(desk, CUT.id, cache)
            await elsewhere.hold(at(hour))
            await check(desk, CUT.id, cache)
        await put_catalog(other, replace(CUT, slot_step=15 * MINUTE))
        await check(desk, CUT.id, cache)
