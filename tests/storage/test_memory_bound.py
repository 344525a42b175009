"""What readers keep of ledgers in memory: its bound, what is dropped first, and locked memory."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from zimun.booking import reader as reading
from zimun.booking.reader import Reader
from zimun.booking.store import Head, LedgerRead, LedgerUpdate
from zimun.domain.availability.timetable import Timetable
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded

from .booking_client import BookingClient
from .sample_catalog import KIOSK, ORG, SALON, at, put_catalog, salon_entries
from .sqlite_commands import run_ready

ORGS = [ORG, "o_2", "o_3"]


def seq(ledger: Ledger, timetable: Timetable, now: int) -> int:
    return ledger.seq


@pytest.fixture
async def reads(client: BookingClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The organizations that are read from now on; there are three with the same catalogue."""
    for org_id in ORGS[1:]:
        organization = replace(SALON, id=org_id)
        await put_catalog(client.stores, organization, *salon_entries(), org_id=org_id)
    org_ids: list[str] = []
    read = client.stores.ledgers.read

    async def noted(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        org_ids.extend(request.org_id for request in requests)
        return await read(requests)

    monkeypatch.setattr(client.stores.ledgers, "read", noted)
    return org_ids


async def rows_of(client: BookingClient, *org_ids: str) -> int:
    """The rows in memory that these ledgers take."""
    reader = Reader(client.stores.ledgers, client.clock)
    for org_id in org_ids:
        await reader.query(org_id, seq)
    return reader.rows


async def test_least_recently_used_ledger_is_dropped_first(
    client: BookingClient, reads: list[str]
) -> None:
    reader = Reader(client.stores.ledgers, client.clock, await rows_of(client, *ORGS[:2]))
    reads.clear()
    for org_id in (ORGS[0], ORGS[1], ORGS[0], ORGS[2]):
        await reader.query(org_id, seq)
    assert reads == ORGS
    reads.clear()
    await reader.query(ORGS[0], seq)
    await reader.query(ORGS[2], seq)
    assert reads == []
    await reader.query(ORGS[1], seq)
    assert reads == [ORGS[1]]


async def test_ledger_that_is_being_written_is_not_dropped(
    client: BookingClient, reads: list[str]
) -> None:
    reader = Reader(client.stores.ledgers, client.clock, await rows_of(client, *ORGS[:2]))
    await reader.query(ORGS[0], seq)
    await reader.query(ORGS[1], seq)
    async with reader.memory(ORGS[0]).lock:
        reader.memory(ORGS[1])
        await reader.query(ORGS[2], seq)
    reads.clear()
    await reader.query(ORGS[0], seq)
    assert reads == []
    await reader.query(ORGS[1], seq)
    assert reads == [ORGS[1]]


async def test_only_ledger_that_is_too_large_forgets_its_grids_and_what_was_not_used_lately(
    client: BookingClient,
) -> None:
    await client.slots(KIOSK.id)
    whole = client.stores.reader.rows
    limited = Reader(client.stores.ledgers, client.clock, max_rows=1)
    await limited.query(ORG, seq)
    assert 0 < limited.rows < whole


async def test_shrinking_forgets_grids_at_once_and_what_is_not_used_until_the_next_time(
    client: BookingClient,
) -> None:
    await client.slots(KIOSK.id)
    memory = client.stores.reader.memory(ORG)
    assert memory.timetable
    assert memory.ledger
    grids, rows = memory.timetable.size, memory.rows
    memory.shrink()
    assert memory.timetable.size < grids
    assert memory.rows == memory.ledger.size() > 0
    memory.shrink()
    assert memory.rows == memory.ledger.size() < rows


async def test_rows_that_are_counted_as_they_are_loaded_are_those_of_the_ledger(
    client: BookingClient,
) -> None:
    held = [await client.hold(at(10 + n)) for n in range(3)]
    reader = client.stores.reader
    reader.forget()
    memory = reader.memory(ORG)
    await client.slots()
    assert memory.ledger
    assert memory.rows == memory.ledger.size() > 3
    for hold in held:
        await reader.query(ORG, lambda ledger, *_, hold=hold: ledger.reservation(hold.hold_id))
        assert memory.rows == memory.ledger.size()


async def test_rows_in_memory_are_those_of_all_ledgers(
    client: BookingClient, reads: list[str]
) -> None:
    reader = Reader(client.stores.ledgers, client.clock)
    for org_id in ORGS:
        await reader.query(org_id, seq)
    sizes = [reader.memory(org_id).size for org_id in ORGS]
    assert all(sizes)
    assert reader.rows == sum(sizes)
    reader.memory(ORGS[1]).leave()
    assert reader.rows == sizes[0] + sizes[2]
    reader.forget()
    assert reader.rows == 0


async def test_query_does_not_wait_for_a_commit_that_takes_long(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_WAIT", 0)
    await client.hold(at(10), KIOSK.id)
    reader = Reader(client.stores.ledgers, client.clock)
    memory = reader.memory(ORG)
    async with memory.lock:
        found = await reader.query(ORG, lambda ledger, timetable, now: (ledger.seq, timetable))
        assert memory.ledger is None, "the locked memory is left as it is"
    assert found[0] == await client.stores.reader.query(ORG, seq)
    assert found[1].catalog == await client.stores.reader.catalog(ORG)
    assert reader.rows == 0, "what is read for one query alone is not kept"


async def test_query_that_never_has_what_it_needs_fails(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_ROUNDS", 3)
    tried: list[int] = []

    def needy(ledger: Ledger, timetable: Timetable, now: int) -> None:
        tried.append(now)
        raise NotLoaded(Needs(blocks={(KIOSK.id, len(tried))}))

    await client.stores.reader.query(ORG, seq)
    with pytest.raises(AssertionError):
        await client.stores.reader.query(ORG, needy)
    assert len(tried) == 3


async def test_query_alone_does_not_delay_the_next_one(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEAD_READ_INTERVAL", 3600)
    reader = Reader(client.stores.ledgers, client.clock)
    async with asyncio.timeout(20):
        for _ in range(3):
            await reader.query(ORG, seq)


async def test_read_of_heads_after_one_for_several_queries_waits_for_more_of_them(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEAD_READ_INTERVAL", 3600)
    reads: list[set[str]] = []
    heads = client.stores.ledgers.heads

    async def noted(org_ids: set[str]) -> Mapping[str, Head]:
        reads.append(org_ids)
        return await heads(org_ids)

    monkeypatch.setattr(client.stores.ledgers, "heads", noted)
    reader = Reader(client.stores.ledgers, client.clock)
    await asyncio.gather(reader.query(ORG, seq), reader.query(ORG, seq))
    late = asyncio.ensure_future(reader.query(ORG, seq))
    await run_ready()
    assert reads == [{ORG}]
    late.cancel()
