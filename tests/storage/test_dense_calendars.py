"""Calendars where more is booked than one search looks at: the same slots, in more steps."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from zimun.booking.availability import AvailabilityCache, find_next, get_availability
from zimun.booking.group_decision import MAX_DECISION
from zimun.booking.time_off import CreateTimeOff
from zimun.clock import ManualClock
from zimun.domain.availability import slot_request
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable, TooManyBookings
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Decision
from zimun.domain.instant import HOUR
from zimun.domain.ledger import ledger
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs
from zimun.storage import loading
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.stores import Stores

from .booking_client import BookingClient
from .reading import read_one, recorded_queries
from .sample_catalog import CALLER, CUT, KIOSK, NOW, ORG, SAM, at, put_catalog

T = TypeVar("T")

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


def time_off(owner_id: str, begin: int, end: int) -> CreateTimeOff:
    """Time off that leaves what it meets."""
    return CreateTimeOff(TimeOff(owner_id=owner_id, start=begin, end=end), allow_conflicts=True)


async def test_sessions_of_the_organization_are_loaded_until_they_have_many_appointments(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (0, 8, 16):
        for hour in (8, 9):
            await client.book(at(24 * days + hour), KIOSK.id)
    keys = {(ORG, at(24 * days) // BLOCK) for days in (0, 8, 16)}
    store = client.stores.ledgers
    for limit, blocks in [(6, 3), (5, 1), (1, 1)]:
        monkeypatch.setattr(loading, "MAX_OF_BLOCKS", limit)
        loaded = (await read_one(store, ORG, needs=Needs(group_blocks=keys))).loaded
        assert loaded.needs.group_blocks == set(sorted(keys)[:blocks])
        assert len(loaded.sessions) == 2 * blocks
    off = time_off(ORG, at(0), at(24 * 17))
    assert (await client.stores.writer.run(ORG, off)).conflicts.total == 6


async def test_time_off_where_eight_days_have_too_many_appointments_is_refused(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, off = client.stores.writer, time_off(ORG, at(14), at(15))
    booked = [await client.book(at(hour), KIOSK.id) for hour in (8, 9)]
    monkeypatch.setattr(loading, "MAX_OF_BLOCK", 1)
    for _ in range(2):
        with pytest.raises(TooManyBookings):
            await writer.run(ORG, off)
    # So it stays for a while, without another read.
    await client.cancel(booked[0].appointment_id)
    monkeypatch.setattr(loading, "MAX_OF_BLOCK", 2)
    with pytest.raises(TooManyBookings):
        await writer.run(ORG, off)
    monkeypatch.setattr(ledger, "CROWDED_SEQS", 1)
    assert not (await writer.run(ORG, off)).conflicts.total


async def test_limit_of_a_customer_with_too_many_appointments_is_not_counted(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in (8, 9):
        await client.book(at(hour), KIOSK.id)
    limit = BookingLimit(max_bookings=9, period=LimitPeriod.DAY, per=LimitSubject.CUSTOMER)
    await put_catalog(client.stores, replace(KIOSK, booking_limits=(limit,)))
    monkeypatch.setattr(loading, "MAX_PAGE", 1)
    monkeypatch.setattr(loading, "MAX_OF_CONTACT", 1)
    with pytest.raises(TooManyBookings):
        await client.book_at_once(at(10), KIOSK.id)
    client.stores.reader.forget()
    monkeypatch.setattr(loading, "MAX_OF_CONTACT", 2)
    await client.book_at_once(at(10), KIOSK.id)


async def test_what_is_long_is_read_beside_the_event_loop(
    sqlite_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = BookingClient(sqlite_stores, ManualClock(NOW))
    for hour in (8, 9):
        await client.book(at(hour), KIOSK.id)
    beside: list[object] = []
    load = SqliteDatabase.load

    async def noted(database: SqliteDatabase, fn: Callable[[Connection], T]) -> T:
        beside.append(fn)
        return await load(database, fn)

    monkeypatch.setattr(SqliteDatabase, "load", noted)
    block = Needs(blocks={(KIOSK_SUBJECT, at(8) // BLOCK)})
    contact = Needs(contacts={SAM.email})
    for needs, name in [(block, "MAX_ALLOCATIONS"), (contact, "MAX_PAGE")]:
        short = await read_one(client.stores.ledgers, ORG, needs=needs)
        assert not beside
        monkeypatch.setattr(loading, name, 1)
        assert await read_one(client.stores.ledgers, ORG, needs=needs) == short
        assert len(beside) == 1
        beside.clear()
