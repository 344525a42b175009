"""Callers who want the same thing: as many try as there is room for, and all learn what is gone."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Sequence
from functools import partial

import pytest

from zimun.booking.turns import TRIES, Turns


class Gone(Exception):
    """Nothing is left."""


class Shelf:
    """So many things, one of which each caller takes; it counts who tries and who looks."""

    def __init__(self, things: int) -> None:
        self.things = things
        self.turns = Turns(linger=0, pace=0)
        self.trying = self.most_trying = self.tries = self.looks = 0
        self.answered: set[object] = set()

    async def take(self, who: object, what: str = "thing") -> object:
        return await self.turns.take(what, who, self.look, lambda: self.attempt(who))

    async def look(self, others: Sequence[object]) -> tuple[Sequence[Exception | None], int]:
        self.looks += 1
        left = self.things
        await asyncio.sleep(0)
        return [None if left or who in self.answered else Gone() for who in others], left

    async def attempt(self, who: object) -> tuple[object, int] | None:
        self.tries += 1
        self.trying += 1
        self.most_trying = max(self.most_trying, self.trying)
        await asyncio.sleep(0)
        self.trying -= 1
        if who not in self.answered:
            if not self.things:
                return None
            self.things -= 1
        return who, self.things


async def outcomes(shelf: Shelf, callers: int) -> list[object]:
    asked = (shelf.take(who) for who in range(callers))
    return await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize("things", [0, 1, 3, 50])
async def test_as_many_have_one_as_there_are_and_in_the_order_in_which_they_came(
    things: int,
) -> None:
    shelf = Shelf(things)
    found = await outcomes(shelf, 50)
    assert found[:things] == list(range(things))
    assert [type(refused) for refused in found[things:]] == [Gone] * (50 - things)
    assert shelf.most_trying <= max(things - 1, 1)


async def test_who_waits_for_what_is_gone_is_told_without_trying() -> None:
    shelf = Shelf(4)
    await outcomes(shelf, 500)
    assert shelf.tries == 4
    assert shelf.most_trying == 3
    assert shelf.looks == 1


async def test_who_comes_within_a_moment_of_a_failure_looks_before_they_try() -> None:
    shelf = Shelf(1)
    shelf.turns = Turns(linger=3600, pace=0)
    await shelf.take("first")
    with pytest.raises(Gone):
        await shelf.take("second")
    assert (shelf.tries, shelf.looks) == (2, 1)
    for who in range(3):
        with pytest.raises(Gone):
            await shelf.take(who)
    assert (shelf.tries, shelf.looks) == (2, 4)
    # What is there again can be had at once, and then whoever comes tries.
    shelf.things = 2
    assert [await shelf.take("third"), await shelf.take("fourth")] == ["third", "fourth"]
    assert (shelf.tries, shelf.looks) == (4, 5)


async def test_those_who_come_soon_after_each_other_to_what_is_gone_share_a_look() -> None:
    shelf = Shelf(0)
    shelf.turns = Turns(linger=3600, pace=0.05)
    for who in range(2):
        with pytest.raises(Gone):
            await shelf.take(who)
    assert (shelf.tries, shelf.looks) == (1, 2)
    coming = [asyncio.create_task(shelf.take(who)) for who in range(4)]
    await asyncio.sleep(0)
    coming += [asyncio.create_task(shelf.take(who)) for who in range(4)]
    found = await asyncio.gather(*coming, return_exceptions=True)
    assert [type(one) for one in found] == [Gone] * 8
    assert shelf.looks == 3


async def test_who_was_answered_before_tries_all_the_same() -> None:
    shelf = Shelf(1)
    shelf.answered = {7, 30}
    found = await outcomes(shelf, 50)
    assert [who for who in found if not isinstance(who, Gone)] == [0, 7, 30]


async def test_callers_of_different_things_do_not_wait_for_each_other() -> None:
    shelf = Shelf(9)
    await asyncio.gather(*(shelf.take(who, what=f"{who}") for who in range(9)))
    assert (shelf.most_trying, shelf.looks) == (9, 0)


async def test_where_nobody_can_look_each_tries() -> None:
    shelf = Shelf(1)

    async def look(_: Sequence[object]) -> tuple[Sequence[Exception | None], int]:
        raise OSError

    found = await asyncio.gather(
        *(shelf.turns.take("thing", who, look, partial(shelf.attempt, who)) for who in range(5)),
        return_exceptions=True,
    )
    assert found == [0, None, None, None, None]
    assert (shelf.tries, shelf.most_trying) == (1 + 4 * TRIES, 1)


async def test_who_was_too_late_tries_again_where_there_is_something_again() -> None:
    shelf = Shelf(1)
    await shelf.take("first")
    real = shelf.look

    async def look(others: Sequence[object]) -> tuple[Sequence[Exception | None], int]:
        shelf.things = 1
        return await real(others)

    shelf.look = look  # type: ignore[method-assign]
    assert await shelf.take("second") == "second"
    assert (shelf.tries, shelf.looks) == (3, 1)


@pytest.mark.parametrize("gone", [0, 1, 2, 4])
@pytest.mark.parametrize("steps", range(8))
async def test_a_caller_who_goes_keeps_nobody_waiting(gone: int, steps: int) -> None:
    """Whether it was trying, waiting, or about to have its turn."""
    shelf = Shelf(9)
    tasks = [asyncio.create_task(shelf.take(who)) for who in range(5)]
    for _ in range(steps):
        await asyncio.sleep(0)
    tasks[gone].cancel()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    others = [who for who in range(5) if who != gone]
    assert [found[who] for who in others] == others
    assert await shelf.take("next") == "next"


async def test_a_refusal_is_gone_with_who_handled_it() -> None:
    """Without the garbage collector, which would stop the server for all that many callers left."""
    told: list[weakref.ref[Gone]] = []

    async def look(others: Sequence[object]) -> tuple[Sequence[Exception | None], int]:
        refusals = [Gone() for _ in others]
        told.extend(map(weakref.ref, refusals))
        return refusals, 0

    async def caller(who: int) -> None:
        with contextlib.suppress(Gone):
            await shelf.turns.take("thing", who, look, partial(shelf.attempt, who))

    shelf = Shelf(0)
    gc.disable()
    try:
        await asyncio.gather(*(caller(who) for who in range(10)))
        assert [refusal() for refusal in told] == [None] * 10
    finally:
        gc.enable()


async def test_nothing_is_kept_when_nobody_waits() -> None:
    shelf = Shelf(2)
    await outcomes(shelf, 20)
    # What is forgotten is forgotten by the loop's timer, and so after this one.
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(0.001, over.set)
    await over.wait()
    assert shelf.turns._queues == {}


@pytest.mark.parametrize("steps", range(12))
async def test_a_caller_who_goes_as_they_are_refused_passes_no_turn_on(steps: int) -> None:
    """They never had one: whoever came later has it, and nobody else beside them."""
    shelf = Shelf(1)
    tasks = [asyncio.create_task(shelf.take(who)) for who in range(4)]
    real = shelf.look

    async def look(others: Sequence[object]) -> tuple[Sequence[Exception | None], int]:
        found = await real(others)
        asyncio.get_running_loop().call_soon(tasks[1].cancel)
        return found

    shelf.look = look  # type: ignore[method-assign]
    for _ in range(steps):
        await asyncio.sleep(0)
    tasks += [asyncio.create_task(shelf.take(who)) for who in range(4, 8)]
    shelf.answered = {5, 6, 7}
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert [found[who] for who in (0, 5, 6, 7)] == [0, 5, 6, 7]
    assert shelf.most_trying == 1
