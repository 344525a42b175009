"""Calendars where more is booked than one search looks at: the same slots, in more steps."""

import asyncio
import time
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import pytest

from zimun.booking.availability import AvailabilityCache, find_next, get_availability
from zimun.booking.group_decision import MAX_DECISION
from zimun.domain.availability import slot_request
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.commands import Decision
from zimun.domain.instant import HOUR
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs
from zimun.storage import loading

from .booking_client import BookingClient
from .reading import read_one, recorded_queries
from .sample_catalog import CALLER, CUT, KIOSK, at

HOURS = range(2, 22)
KIOSK_SUBJECT = service_subject(KIOSK.id, "")


@pytest.fixture
async def booked(client: BookingClient) -> BookingClient:
    """Every hour of two staff members is booked, for half an hour, and so is the kiosk."""
    for hour in HOURS:
        for staff_id in CUT.staff_ids[:2]:
            await client.hold(at(hour), staff_id=staff_id)
        await client.hold(at(hour), KIOSK.id)
    return client


async def slots_of_week(client: BookingClient) -> list[Slot]:
    week = DateRange(first=date(2025, 12, 1), last=date(2025, 12, 7))
    request = SlotRequest(service_id=CUT.id)
    reader = client.stores.reader
    found = await get_availability(reader, AvailabilityCache(), CALLER, request, week)
    return [*found.slots]


@pytest.mark.parametrize("max_taken", [1, 7, 30])
async def test_dates_with_many_bookings_are_searched_in_parts(
    booked: BookingClient, monkeypatch: pytest.MonkeyPatch, max_taken: int
) -> None:
    queries = recorded_queries(booked.stores.reader, monkeypatch)
    expected = await slots_of_week(booked)
    [_] = queries
    monkeypatch.setattr(slot_request, "MAX_TAKEN", max_taken)
    assert await slots_of_week(booked) == expected
    assert len(queries) > 2


async def test_next_slots_after_many_bookings_are_searched_in_parts(
    booked: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (booked.stores.reader, CALLER, SlotRequest(service_id=CUT.id), at(3), 200)
    expected, _ = await find_next(*arguments)
    monkeypatch.setattr(slot_request, "MAX_TAKEN", 7)
    queries = recorded_queries(booked.stores.reader, monkeypatch)
    found, _ = await find_next(*arguments)
    assert found == expected
    assert len(queries) > 2


async def refused(client: BookingClient, start: int) -> list[int]:
    with pytest.raises(SlotUnavailable) as refusal:
        await client.hold(start, KIOSK.id)
    return [slot.start for slot in refusal.value.alternatives]


async def test_alternatives_to_a_refused_hold_are_as_near_as_one_search_can_look(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = at(8), at(12)
    for start in range(first, last, KIOSK.slot_step):
        await client.hold(start, KIOSK.id)
    wanted = at(10)
    step = KIOSK.slot_step
    assert await refused(client, wanted) == [last, first - step, last + step]
    client.stores.reader.memory(CALLER.org_id).refused_holds.clear()
    monkeypatch.setattr(slot_request, "MAX_TAKEN", 1)
    assert await refused(client, wanted) == []
    near = await refused(client, first)
    assert near[0] == first - step
    assert all(abs(start - first) <= HOUR for start in near)


@dataclass(frozen=True)
class Long:
    """A command whose decision takes a while, as `clock` tells."""

    clock: list[float]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.clock[0] += 2 * MAX_DECISION
        return Decision((), None)


async def test_other_tasks_run_between_two_long_decisions_of_a_group(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.perf_counter()]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    seen: list[float] = []

    async def watch() -> None:
        while True:
            if not seen or seen[-1] != clock[0]:
                seen.append(clock[0])
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    writer = client.stores.writer
    await asyncio.gather(*(writer.run(CALLER.org_id, Long(clock)) for _ in range(3)))
    watching.cancel()
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) == pytest.approx(2 * MAX_DECISION)


async def test_blocks_are_loaded_until_they_have_many_allocations(
    booked: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = len(HOURS)
    keys = {(subject, at(0) // BLOCK) for subject in (*CUT.staff_ids, KIOSK_SUBJECT)}
    store = booked.stores.ledgers
    for limit, blocks in [(3 * kept, 4), (3 * kept - 1, 1), (1, 1)]:
        monkeypatch.setattr(loading, "MAX_ALLOCATIONS", limit)
        loaded = (await read_one(store, CALLER.org_id, needs=Needs(blocks=keys))).loaded
        assert len(loaded.needs.blocks) == blocks
        assert loaded.needs.blocks <= keys
        subjects = {subject for subject, _ in loaded.needs.blocks}
        assert {subject for subject, _ in loaded.allocations} <= subjects
        assert len(loaded.allocations) == kept * len(subjects - {CUT.staff_ids[2]})


async def test_query_gets_all_blocks_however_few_are_loaded_at_once(
    booked: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await slots_of_week(booked)
    monkeypatch.setattr(loading, "MAX_ALLOCATIONS", 1)
    booked.stores.reader.forget()
    assert await slots_of_week(booked) == expected
    booked.stores.reader.forget()
    assert await refused(booked, at(3)) != []
