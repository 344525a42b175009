"""Availability answers that are given again: never one that a fresh search would not give."""

from contextlib import suppress
from datetime import date
from random import Random

import pytest

from zimun.booking.availability import Answers, Availability, DateRange, Wanted, get_availability
from zimun.domain.errors import ZimunError
from zimun.domain.instant import MINUTE

from .desk import CALLER, CLASS, CUT, NOW, Desk, Embedded, at, open_salon

TUESDAY = DateRange(first=date(2025, 12, 2), last=date(2025, 12, 2))


async def ask(desk: Desk, service_id: str, answers: Answers | None = None) -> Availability:
    wanted = Wanted(service_id=service_id)
    return await get_availability(desk.store, desk.clock.now(), CALLER, wanted, TUESDAY, answers)


async def check(desk: Desk, service_id: str, answers: Answers) -> None:
    fresh = await ask(desk, service_id)
    for _ in range(2):
        given = await ask(desk, service_id, answers)
        assert (given.slots, given.days) == (fresh.slots, fresh.days)


@pytest.mark.parametrize("seed", range(6))
async def test_kept_answers_are_those_of_a_fresh_search(desk: Desk, seed: int) -> None:
    random, answers, held = Random(seed), Answers(), []
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
        await check(desk, service.id, answers)


async def test_an_answer_is_given_again_while_nothing_changes(embedded: Embedded) -> None:
    async with embedded.open() as store:
        await store.write(open_salon)
        await check_given_again(Desk(store))


async def check_given_again(desk: Desk) -> None:
    answers = Answers()
    first = await ask(desk, CUT.id, answers)
    desk.clock.advance(1)
    assert await ask(desk, CUT.id, answers) is first
    await desk.hold(at(10))
    assert await ask(desk, CUT.id, answers) is not first


async def test_another_process_changes_what_is_answered(embedded: Embedded) -> None:
    async with embedded.open() as one, embedded.open() as other:
        await one.write(open_salon)
        desk, elsewhere, answers = Desk(one), Desk(other), Answers()
        for hour in (10, 11, 12):
            await check(desk, CUT.id, answers)
            await elsewhere.hold(at(hour))
            await check(desk, CUT.id, answers)
