"""Availability answers that are given again: never one that a fresh search would not give."""

from contextlib import suppress
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from zimun.booking.availability import AnswerCache, Availability, get_availability
from zimun.booking.reader import Reader
from zimun.clock import ManualClock
from zimun.domain.errors import ZimunError
from zimun.domain.instant import MINUTE
from zimun.domain.slot_request import DateRange, SlotRequest

from .desk import CALLER, CLASS, CUT, NOW, Desk, Engine, at, open_salon, put_catalog

TUESDAY = DateRange(first=date(2025, 12, 2), last=date(2025, 12, 2))


async def ask(desk: Desk, service_id: str, cache: AnswerCache) -> Availability:
    request = SlotRequest(service_id=service_id)
    return await get_availability(desk.stores.reader, cache, CALLER, request, TUESDAY)


async def check(desk: Desk, service_id: str, cache: AnswerCache) -> None:
    """Assert that the answer is, twice, that of a search which knows nothing yet."""
    fresh = await get_availability(
        Reader(desk.stores.ledgers, desk.clock),
        AnswerCache(),
        CALLER,
        SlotRequest(service_id=service_id),
        TUESDAY,
    )
    for _ in range(2):
        answer = await ask(desk, service_id, cache)
        assert (answer.slots, answer.days) == (fresh.slots, fresh.days)


@pytest.mark.parametrize("seed", range(6))
async def test_kept_answers_are_those_of_a_fresh_search(desk: Desk, seed: int) -> None:
    random, cache, held = Random(seed), AnswerCache(), []
    desk.clock.instant = at(8) if seed % 2 else NOW
    for _ in range(80):
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


async def test_answer_is_given_again_until_the_ledger_has_another_event(desk: Desk) -> None:
    cache = AnswerCache()
    first = await ask(desk, CUT.id, cache)
    desk.clock.advance(1)
    assert await ask(desk, CUT.id, cache) is first
    held = await desk.hold(at(10))
    second = await ask(desk, CUT.id, cache)
    assert second is not first
    assert await ask(desk, CUT.id, cache) is second
    await desk.release(held.hold_id)
    assert await ask(desk, CUT.id, cache) is not second
    third = await ask(desk, CUT.id, cache)
    await put_catalog(desk.stores, replace(CUT, duration=60 * MINUTE))
    fourth = await ask(desk, CUT.id, cache)
    assert fourth.slots != third.slots


async def test_answer_is_not_given_again_from_the_instant_that_a_hold_in_it_expires(
    desk: Desk,
) -> None:
    cache = AnswerCache()
    for _ in CUT.staff_ids:
        held = await desk.hold(at(10))
    first = await ask(desk, CUT.id, cache)
    assert at(10) not in {slot.start for slot in first.slots}
    desk.clock.instant = held.expires_at - 1
    assert await ask(desk, CUT.id, cache) is first
    desk.clock.instant = held.expires_at
    assert at(10) in {slot.start for slot in (await ask(desk, CUT.id, cache)).slots}


async def test_answer_of_one_request_is_not_given_to_another(desk: Desk) -> None:
    cache = AnswerCache()
    answers = [await ask(desk, service.id, cache) for service in (CUT, CLASS)]
    assert [answer.service_id for answer in answers] == [CUT.id, CLASS.id]
    await check(desk, CUT.id, cache)
    await check(desk, CLASS.id, cache)


async def test_another_server_changes_what_is_answered(engine: Engine) -> None:
    clock = ManualClock(NOW)
    async with engine.open(clock) as one, engine.open(clock) as other:
        await open_salon(one)
        desk, elsewhere, cache = Desk(one, clock), Desk(other, clock), AnswerCache()
        for hour in (10, 11, 12):
            await check(desk, CUT.id, cache)
            await elsewhere.hold(at(hour))
            await check(desk, CUT.id, cache)
