"""Memory, responses and catalogues are limited in bytes."""

import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import grpc
import pytest

from zimun.booking import availability, catalog_changes
from zimun.booking.availability import Availability, AvailabilityCache
from zimun.booking.catalog import ArchiveEntry, CreateEntry, UpdateEntry
from zimun.booking.catalog_changes import evolve_catalog
from zimun.booking.reader import LedgerMemory
from zimun.clock import ManualClock
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.timetable import MAX_GRID_BYTES, Timetable
from zimun.domain.catalog.catalog import Catalog, empty_catalog
from zimun.domain.catalog.entries import Organization, Override, Place, Service, StaffMember
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHoursPeriod
from zimun.domain.errors import CatalogLimitReached
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.ledger.events import (
    CatalogEvent,
    EventType,
    OverrideDeleted,
    ReservationEvent,
    TimeOffDeleted,
)
from zimun.domain.ledger.evolve import evolve
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation, State
from zimun.domain.memory_size import ROW_BYTES
from zimun.rpc import page_tokens
from zimun.rpc.convert import booking
from zimun.rpc.convert import catalog as entries
from zimun.rpc.services import catalog_entries
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1 import service_pb2, services_service_pb2

from ..support.rpc import FRIDAY_MORNING, Zimun, refusal, run_server, seed

METADATA = {f"k{n}": "x" * 1000 for n in range(50)}
EVERY_DAY = dict.fromkeys(range(7), ((0, 1440),))
PLACE = Place("", "UTC")
FIRST = date(2026, 1, 1)


def organized(*entries: Service | StaffMember) -> Catalog:
    """An organization that is always open, with some entries."""
    organization = Organization(id="o_1", name="One", time_zone="UTC", weekly_hours=EVERY_DAY)
    return evolve_catalog(empty_catalog("o_1"), [organization, *entries])


def a_service(number: int = 0, **fields: object) -> Service:
    said = {"duration": MINUTE, "slot_step": MINUTE, "horizon": 366 * DAY, **fields}
    return Service(id=f"s_{number}", name="Service", **said)  # type: ignore[arg-type]


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_old_catalogue_is_freed_at_once_with_its_grids() -> None:
    known = organized(a_service())
    with without_collector():
        memory = LedgerMemory("o_1")
        memory.evolved(Ledger("o_1", 1, 0, 0), Timetable(known), [])
        assert memory.timetable
        assert [*memory.timetable.range_grids(known.services["s_0"], PLACE, FIRST, FIRST)]
        old, old_catalog = weakref.ref(memory.timetable), weakref.ref(known)
        changed = evolve_catalog(known, [a_service(1)])
        events = [CatalogEvent("c_1", OverrideDeleted("v_1", "o_1", FIRST))]
        memory.evolved(Ledger("o_1", 2, 0, 0), Timetable(changed), events)
        del known
        assert old() is None
        assert old_catalog() is None


def test_grids_of_many_dates_stay_within_their_bytes() -> None:
    timetable = Timetable(organized(a_service()))
    service = timetable.catalog.services["s_0"]
    for number in range(1500):
        day = FIRST + timedelta(days=number)
        timetable.range_grid(service, PLACE, day, day)
        assert timetable.size - timetable.catalog.size <= MAX_GRID_BYTES
    assert timetable.range_grid.cache_info().currsize < 1000


def test_memory_counts_the_catalogue_and_its_grids() -> None:
    memory = LedgerMemory("o_1")
    timetable = Timetable(organized(*(a_service(n, metadata=METADATA) for n in range(20))))
    memory.evolved(Ledger("o_1", 1, 0, 0), timetable, [])
    assert memory.size * ROW_BYTES > 20 * 50_000
    memory.drop()
    assert memory.size == 0


def test_memory_counts_notes_and_metadata_of_appointments() -> None:
    contact = Contact(name="A", email="a@example.com", notes="x" * 2000, metadata=METADATA)
    booked = Reservation(
        "o_1", "h_1", "x_1", "s_0", "", "", (), 1, 0, MINUTE, State.CONFIRMED, 0, 0, 0,
        appointment_id="a_1", contact=contact,
    )  # fmt: skip
    event = ReservationEvent(EventType.APPOINTMENT_CONFIRMED, "c_1", booked, ())
    memory = LedgerMemory("o_1")
    ledger = evolve(Ledger("o_1", 0, 0, 0), event).merged()
    memory.evolved(ledger, Timetable(organized()), [event])
    assert 52_000 < memory.rows * ROW_BYTES < 80_000
    memory.shrink()
    assert 52_000 < memory.rows * ROW_BYTES < 80_000


def test_a_catalogue_has_the_same_size_however_it_was_built() -> None:
    one = organized(a_service(metadata=METADATA), a_service(1))
    again = evolve_catalog(organized(a_service()), [a_service(1), a_service(metadata=METADATA)])
    assert one.size == again.size
    smaller = evolve_catalog(again, [a_service()])
    assert again.size - smaller.size > 50_000


def test_overrides_and_time_off_count_as_long_as_they_are_there() -> None:
    override = Override(id="v_1", owner_id="o_1", date=FIRST, note="x" * 200)
    off = TimeOff(id="f_1", owner_id="o_1", start=0, end=DAY, note="x" * 200)
    empty = organized()
    with_both = evolve_catalog(empty, [override, off])
    assert with_both.size - empty.size >= 2 * 200
    again = evolve_catalog(with_both, [replace(override, note=""), replace(off, note="")])
    assert with_both.size - again.size == 2 * 200
    gone = evolve_catalog(again, [OverrideDeleted("v_1", "o_1", FIRST), TimeOffDeleted("f_1")])
    assert gone.size == empty.size
    assert with_both.weigh().size == with_both.size


def test_time_off_of_the_organization_is_not_kept_again_for_each_location() -> None:
    occurrences = tuple((n * DAY, n * DAY + MINUTE) for n in range(1000))
    everywhere = TimeOff(id="f_o", owner_id="o_1", start=0, end=MINUTE, occurrences=occurrences)
    each = [TimeOff(id=f"f_{n}", owner_id=f"l_{n}", start=0, end=MINUTE) for n in range(50)]
    timetable = Timetable(evolve_catalog(organized(), [everywhere, *each]))
    tracemalloc.start()
    try:
        for number in range(50):
            assert timetable.time_off.of_place(f"l_{number}", (0, DAY)).intervals == [(0, MINUTE)]
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()


def test_a_catalogue_has_a_limit_of_bytes_and_may_always_shrink(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timetable = Timetable(organized(a_service(metadata=METADATA)))
    ledger = Ledger("o_1", 1, 0, 0)
    monkeypatch.setattr(catalog_changes, "MAX_CATALOG_BYTES", timetable.catalog.size - 1)
    create = CreateEntry(Service, {"name": "Another", "duration": MINUTE})
    with pytest.raises(CatalogLimitReached) as caught:
        create.decide(ledger, timetable, 0, "c_1")
    assert caught.value.metadata["of"] == "bytes"
    edit = UpdateEntry(Service, "s_0", "", lambda entry: replace(entry, metadata={}))
    assert edit.decide(ledger, timetable, 0, "c_1").events
    assert ArchiveEntry(Service, "s_0", "").decide(ledger, timetable, 0, "c_1").events


def test_a_catalogue_has_a_limit_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_changes, "MAX_ENTRIES", 1)
    timetable = Timetable(organized(a_service()))
    create = CreateEntry(Service, {"name": "Another", "duration": MINUTE})
    with pytest.raises(CatalogLimitReached, match="at most 1 entries"):
        create.decide(Ledger("o_1", 1, 0, 0), timetable, 0, "c_1")


def an_answer(slots: int, staff: int) -> Availability:
    names = tuple(f"t_{n}" for n in range(staff))
    found = [Slot(n, n + 1, names, 1, ()) for n in range(slots)]
    return Availability("s_0", "UTC", found, ())


def kept(answer: Availability, ledger: Ledger) -> availability._CachedAvailability:
    return availability._CachedAvailability(ledger.origin, ledger.seq, 0, (), (0, 0), 0, 1, answer)


def test_kept_answers_are_limited_in_bytes() -> None:
    ledger, answer = Ledger("o_1", 1, 0, 0), an_answer(slots=1000, staff=10)
    cache = AvailabilityCache(max_bytes=10 * answer.size)
    for number in range(100):
        cache.put(number, kept(answer, ledger))
    held = [number for number in range(100) if cache.get(number, ledger, 0)]
    assert 4 <= len(held) <= 10


def test_large_messages_are_not_kept() -> None:
    booking._short_availability.cache_clear()
    large = an_answer(slots=10, staff=500)
    assert len(b"".join(booking.availability(large, availability.View.FULL))) > 10_000
    assert booking._short_availability.cache_info().currsize == 0
    entry = a_service(metadata=METADATA)
    assert entries.service(entry) is not entries.service(entry)
    small = a_service()
    assert entries.service(small) is entries.service(small)
    weekly = dict.fromkeys(range(7), tuple((n * 100, n * 100 + 50) for n in range(10)))
    periods = tuple(
        WeeklyHoursPeriod(valid_from=date(2026, 1, n), weekly_hours=weekly) for n in range(1, 21)
    )
    busy = StaffMember(id="t_1", name="Ada", time_zone="UTC", weekly_hours_periods=periods)
    assert entries.staff_member(busy) is not entries.staff_member(busy)


def test_a_page_ends_before_it_is_too_large() -> None:
    message = service_pb2.Service(id="s_1", metadata=METADATA)
    fitting = list(page_tokens.messages_within_limit([message] * 1000))
    assert 10 < len(fitting) <= page_tokens.MAX_PAGE // message.ByteSize()
    huge = service_pb2.Service(description="x" * (page_tokens.MAX_PAGE + 1))
    assert list(page_tokens.messages_within_limit([huge, huge])) == [huge]


async def test_a_list_of_large_entries_comes_in_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page_tokens, "MAX_PAGE", 1)
    monkeypatch.setattr(catalog_entries, "MAX_CACHED_PAGE_BYTES", 0)
    async with run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as zimun:
        await seed(zimun.stores.writer)
        walked, token = [], ""
        while True:
            request = services_service_pb2.ListServicesRequest(page_size=1000, page_token=token)
            page = await zimun.call(zimun.services.ListServices, request)
            assert len(page.items) == 1
            walked += [item.id for item in page.items]
            if not (token := page.next_page_token):
                break
        assert len(set(walked)) == len(walked) > 2


async def test_an_answer_that_is_too_large_names_the_field_to_narrow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(availability, "MAX_RESPONSE_BYTES", 2000)
    async with run_server(tmp_path, ManualClock(FRIDAY_MORNING)) as zimun:
        await seed(zimun.stores.writer)
        for fields, field in (
            ({"date": "2025-12-01"}, "date"),
            ({"days_ahead": 14}, "days_ahead"),
            ({"start_date": "2025-12-01", "end_date": "2025-12-09"}, "end_date"),
        ):
            request = availability_pb2.GetAvailabilityRequest(service_id="s_123", **fields)
            await _is_too_large(zimun, request, field)


async def _is_too_large(
    zimun: Zimun, request: availability_pb2.GetAvailabilityRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await zimun.call(zimun.availability.GetAvailability, request)
    told = refusal(caught.value)
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT
    assert told.reason == "REQUEST_REFUSED"
    assert list(told.fields) == [field]
