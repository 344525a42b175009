"""Availability answers that are given again: never one that a fresh search would not give."""

from contextlib import suppress
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from zimun.booking import availability
from zimun.booking.availability import Availability, AvailabilityCache, get_availability
from zimun.booking.reader import Reader
from zimun.clock import ManualClock
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.errors import ZimunError
from zimun.domain.instant import HOUR, MINUTE, to_datetime
from zimun.domain.ledger.loading import BLOCK

from .booking_client import BookingClient
from .engines import Engine
from .reading import recorded_queries
from .sample_catalog import CALLER, CLASS, CUT, KIOSK, NOW, SPA, at, create_salon, put_catalog

TUESDAY = DateRange(first=date(2025, 12, 2), last=date(2025, 12, 2))


async def ask(client: BookingClient, service_id: str, cache: AvailabilityCache) -> Availability:
    request = SlotRequest(service_id=service_id)
    return await get_availability(client.stores.reader, cache, CALLER, request, TUESDAY)


async def check(client: BookingClient, service_id: str, cache: AvailabilityCache) -> None:
    """Assert that the answer is, twice, that of a search which knows nothing yet."""
    fresh = await get_availability(
        Reader(client.stores.ledgers, client.clock),
        AvailabilityCache(),
        CALLER,
        SlotRequest(service_id=service_id),
        TUESDAY,
    )
    for _ in range(2):
        answer = await ask(client, service_id, cache)
        assert (answer.slots, answer.days) == (fresh.slots, fresh.days)


@pytest.mark.parametrize("seed", range(6))
async def test_kept_answers_are_those_of_a_fresh_search(client: BookingClient, seed: int) -> None:
    random, cache, held = Random(seed), AvailabilityCache(), []
    client.clock.instant = at(8) if seed % 2 else NOW
    for _ in range(80):
        service = random.choice((CUT, CLASS, KIOSK))
        match random.randrange(5):
            case 0 | 1:
                day = random.choice((0, 0, 9)) * 24
                with suppress(ZimunError):
                    held.append(await client.hold(at(day + random.randrange(9, 17)), service.id))
            case 2 if held:
                with suppress(ZimunError):
                    await client.release(random.choice(held).hold_id)
            case 3 if held:
                # To the instant at which a hold ends, or just before it.
                ends = random.choice(held).expires_at - random.randrange(2)
                client.clock.instant = max(client.clock.instant, ends)
            case _:
                client.clock.instant += random.choice((-1, 1, MINUTE, 30 * MINUTE))
        await check(client, service.id, cache)


async def test_answer_is_given_again_until_its_staff_are_booked(client: BookingClient) -> None:
    cache = AvailabilityCache()
    first = await ask(client, CUT.id, cache)
    client.clock.advance(1)
    assert await ask(client, CUT.id, cache) is first
    held = await client.hold(at(10))
    second = await ask(client, CUT.id, cache)
    assert second is not first
    assert await ask(client, CUT.id, cache) is second
    await client.release(held.hold_id)
    assert await ask(client, CUT.id, cache) is not second
    third = await ask(client, CUT.id, cache)
    await put_catalog(client.stores, replace(CUT, duration=60 * MINUTE))
    fourth = await ask(client, CUT.id, cache)
    assert fourth.slots != third.slots


async def test_answer_is_given_again_after_bookings_of_others_and_of_other_weeks(
    client: BookingClient,
) -> None:
    cache = AvailabilityCache()
    first = await ask(client, CUT.id, cache)
    await client.hold(at(10 + 14 * 24))
    await client.hold(at(10), KIOSK.id)
    assert await ask(client, CUT.id, cache) is first
    await check(client, CUT.id, cache)


async def test_answer_is_not_given_again_from_the_instant_that_a_hold_in_it_expires(
    client: BookingClient,
) -> None:
    cache = AvailabilityCache()
    for _ in CUT.staff_ids:
        held = await client.hold(at(10))
    first = await ask(client, CUT.id, cache)
    assert at(10) not in {slot.start for slot in first.slots}
    client.clock.instant = held.expires_at - 1
    assert await ask(client, CUT.id, cache) is first
    client.clock.instant = held.expires_at
    assert at(10) in {slot.start for slot in (await ask(client, CUT.id, cache)).slots}


async def test_answer_of_one_request_is_not_given_to_another(client: BookingClient) -> None:
    cache = AvailabilityCache()
    answers = [await ask(client, service.id, cache) for service in (CUT, CLASS)]
    assert [answer.service_id for answer in answers] == [CUT.id, CLASS.id]
    await check(client, CUT.id, cache)
    await check(client, CLASS.id, cache)


async def test_another_server_changes_what_is_answered(engine: Engine) -> None:
    clock = ManualClock(NOW)
    async with engine.open(clock) as one, engine.open(clock) as other:
        await create_salon(one)
        client, elsewhere, cache = (
            BookingClient(one, clock),
            BookingClient(other, clock),
            AvailabilityCache(),
        )
        for hour in (10, 11, 12):
            await check(client, CUT.id, cache)
            await elsewhere.hold(at(hour))
            await check(client, CUT.id, cache)


@pytest.mark.parametrize("days_at_once", [1, 3, 14])
async def test_dates_that_are_read_in_parts_have_the_slots_of_all_of_them(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch, days_at_once: int
) -> None:
    fortnight = DateRange(first=date(2025, 12, 1), last=date(2025, 12, 14))
    for staff_id in CUT.staff_ids:
        await client.hold(at(10), staff_id=staff_id)
    arguments = (CALLER, SlotRequest(service_id=CUT.id), fortnight)
    whole = await get_availability(client.stores.reader, AvailabilityCache(), *arguments)
    subjects = len(CUT.staff_ids)
    monkeypatch.setattr(availability, "MAX_SUBJECT_DAYS", subjects * days_at_once)
    queries = recorded_queries(client.stores.reader, monkeypatch)
    found = await get_availability(client.stores.reader, AvailabilityCache(), *arguments)
    assert (found.slots, found.days) == (whole.slots, whole.days)
    assert at(10) not in {slot.start for slot in found.slots}
    assert len(queries) == -(-14 // days_at_once)


async def dates_are_fresh(
    client: BookingClient, service_id: str, first: int, cache: AvailabilityCache
) -> bool:
    """Whether the answer for an instant's date is that of a search which knows nothing yet."""
    day = to_datetime(first).date()
    arguments = (CALLER, SlotRequest(service_id=service_id), DateRange(first=day, last=day))
    answer = await get_availability(client.stores.reader, cache, *arguments)
    reader = Reader(client.stores.ledgers, client.clock)
    fresh = await get_availability(reader, AvailabilityCache(), *arguments)
    return answer.slots == fresh.slots


async def test_seats_of_a_small_class_are_offered_again_as_soon_as_a_hold_expires(
    client: BookingClient,
) -> None:
    await put_catalog(client.stores, replace(CLASS, capacity=2))
    cache, first = AvailabilityCache(), await client.hold(at(10), CLASS.id)
    client.clock.advance(60)
    second = await client.hold(at(10), CLASS.id)
    for instant in (client.clock.instant, first.expires_at, second.expires_at):
        client.clock.instant = instant
        await check(client, CLASS.id, cache)


async def test_dates_at_the_horizon_have_more_slots_as_it_moves_on(client: BookingClient) -> None:
    cache, last = AvailabilityCache(), NOW + KIOSK.horizon
    for _ in range(2):
        assert await dates_are_fresh(client, KIOSK.id, last, cache)
        client.clock.instant += HOUR


async def test_booking_beyond_the_dates_takes_the_slots_that_last_until_it(
    client: BookingClient,
) -> None:
    """What is booked lies in another block of the ledger than the dates."""
    border = (at(10) // BLOCK + 1) * BLOCK
    cache = AvailabilityCache()
    assert await dates_are_fresh(client, SPA.id, border - HOUR, cache)
    for staff_id in SPA.staff_ids:
        await client.hold(border, CUT.id, staff_id=staff_id)
    assert await dates_are_fresh(client, SPA.id, border - HOUR, cache)
