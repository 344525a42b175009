"""Writing ledgers: what the writer does where memory and the store disagree."""

import asyncio
import itertools
import logging
import zlib
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

import pytest

from zimun.booking import deferred_commands
from zimun.booking.catalog import CreateOrganization
from zimun.booking.store import Append, LedgerRead, LedgerUpdate
from zimun.clock import ManualClock
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Decision, ExtendHold, ReleaseHold
from zimun.domain.errors import HoldNotFound, TokenInvalid
from zimun.domain.instant import DAY, SECOND
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Loaded, Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation, State
from zimun.stores import Stores

from .booking_client import BookingClient, CountedCommand
from .engines import Engine
from .factories import add_events, make_event, make_hold
from .sample_catalog import (
    CALLER,
    KIOSK,
    NOW,
    ORG,
    SALON,
    PutCatalog,
    at,
    put_catalog,
    salon_entries,
)


def forget_bookings(client: BookingClient) -> None:
    """Remove the bookings of the kiosk from memory; the store keeps them."""
    memory = client.stores.reader.memory(ORG)
    assert memory.ledger
    head = memory.ledger
    wrong = Loaded(Needs(blocks={(f"{KIOSK.id}@", at(10) // BLOCK)}))
    memory.ledger = Ledger(ORG, head.seq, head.time, head.catalog_version).with_loaded(wrong)


async def test_a_group_that_meets_a_constraint_is_decided_again_from_a_fresh_read(
    client: BookingClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.book(at(10), KIOSK.id)
    forget_bookings(client)
    starts = (at(10), at(11), at(12))
    with caplog.at_level(logging.WARNING):
        got = await asyncio.gather(
            *(client.hold(start, KIOSK.id) for start in starts), return_exceptions=True
        )
    assert [type(one) for one in got] == [SlotUnavailable, Reservation, Reservation]
    [record] = caplog.records
    assert "the store rejects a group" in record.getMessage()
    assert "allocations" in record.getMessage()


async def test_command_beside_the_making_of_its_organization_is_refused_and_takes_no_effect(
    stores: Stores, engine: Engine
) -> None:
    """It came while there was no such organization, whatever else is in its group."""
    client = BookingClient(stores, ManualClock(NOW), CALLER)
    creation = CreateOrganization(SALON, salon_entries())
    got: list[object] = await asyncio.gather(
        client.hold(at(10), KIOSK.id),
        stores.writer.run(ORG, creation, creates=True),
        return_exceptions=True,
    )
    assert isinstance(got[0], TokenInvalid)
    assert got[1] is True
    assert engine.tables()["reservations"] == []


async def test_organization_that_many_make_at_once_is_made_once(
    stores: Stores, engine: Engine
) -> None:
    creation = CreateOrganization(SALON, salon_entries())
    made = await asyncio.gather(
        *(stores.writer.run(ORG, creation, creates=True) for _ in range(20))
    )
    assert sorted(made) == [False] * 19 + [True]
    assert len(engine.tables()["organizations"]) == 1


def another_organization_of_the_lane(lanes: int) -> str:
    """The id of an organization whose commands can be in one group with those of the salon."""
    lane = zlib.crc32(ORG.encode()) % lanes
    ids = (f"o_{number}" for number in itertools.count())
    return next(org_id for org_id in ids if zlib.crc32(org_id.encode()) % lanes == lane)


async def test_only_the_ledger_that_needs_more_is_read_and_decided_again(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = client.stores
    other = another_organization_of_the_lane(stores.ledgers.lanes)
    await put_catalog(stores, replace(SALON, id=other), org_id=other)
    stores.reader.forget()
    reads: Counter[str] = Counter()
    read = stores.ledgers.read

    async def counted(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
        reads.update(request.org_id for request in requests)
        return await read(requests)

    monkeypatch.setattr(stores.ledgers, "read", counted)
    change = CountedCommand(PutCatalog([replace(SALON, id=other, name="Barber")]))
    release = CountedCommand(ReleaseHold("h_unknown"))
    outcomes: list[object] = await asyncio.gather(
        stores.writer.run(other, change), stores.writer.run(ORG, release), return_exceptions=True
    )
    assert not isinstance(outcomes[0], Exception)
    assert isinstance(outcomes[1], HoldNotFound)
    assert (change.decisions, release.decisions) == (1, 2)
    # What the other lacks is read beside the group, and the refusal confirmed by a read.
    assert reads == {other: 1, ORG: 3}
    assert (await stores.reader.catalog(other)).organization.name == "Barber"


async def test_hold_that_another_server_extends_after_the_read_has_not_expired(
    client: BookingClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that passes between read and decision brings the hold beyond its first end."""
    stores = client.stores
    hold = await client.hold(at(10))
    stores.reader.memory(ORG).is_likely_current = False
    read = stores.ledgers.read
    async with engine.open(client.clock) as elsewhere:

        async def slow(requests: Sequence[LedgerRead]) -> Sequence[LedgerUpdate]:
            updates = await read(requests)
            if client.clock.now() < hold.expires_at:
                client.clock.advance((hold.expires_at - client.clock.now()) / SECOND - 1)
                await elsewhere.writer.run(ORG, ExtendHold(hold.hold_id))
                client.clock.advance(2)
            return updates

        monkeypatch.setattr(stores.ledgers, "read", slow)
        assert (await client.confirm(hold.hold_id)).state is State.CONFIRMED


async def test_ledger_that_another_server_moves_before_its_group_is_written_is_decided_again(
    client: BookingClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = client.stores
    other = another_organization_of_the_lane(stores.ledgers.lanes)
    await put_catalog(stores, replace(SALON, id=other), org_id=other)
    stores.reader.forget()
    change = CountedCommand(PutCatalog([replace(SALON, id=other, name="Barber")]))
    append = stores.ledgers.append

    async with engine.open(client.clock) as elsewhere:

        async def overtaken(appends: Sequence[Append]) -> Set[str]:
            if change.decisions == 1:
                await put_catalog(elsewhere, replace(SALON, id=other, name="Spa"), org_id=other)
            return await append(appends)

        monkeypatch.setattr(stores.ledgers, "append", overtaken)
        outcomes: list[object] = await asyncio.gather(
            stores.writer.run(other, change),
            stores.writer.run(ORG, ReleaseHold("h_unknown")),
            return_exceptions=True,
        )
        assert not isinstance(outcomes[0], Exception)
        assert isinstance(outcomes[1], HoldNotFound)
        assert change.decisions == 2
        catalogs = [await each.reader.catalog(other) for each in (stores, elsewhere)]
    assert [catalog.organization.name for catalog in catalogs] == ["Barber"] * 2


@dataclass
class NeedyCommand:
    """A command that needs one more block at each decision, and notes how long a list then is."""

    ticks: list[None]
    noted: list[int] = field(default_factory=list)

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.noted.append(len(self.ticks))
        raise NotLoaded(Needs(blocks={("t_ada", len(self.noted))}))


async def test_command_that_never_has_what_it_needs_fails_and_lets_other_tasks_run(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred_commands, "MAX_ROUNDS", 4)
    ticks: list[None] = []

    async def tick() -> None:
        while True:
            ticks.append(None)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    command = NeedyCommand(ticks)
    with pytest.raises(AssertionError):
        await client.stores.writer.run(ORG, command)
    ticking.cancel()
    _, *after_reads = command.noted
    assert len(after_reads) == 4
    assert after_reads == sorted({*after_reads})


async def test_command_of_an_unknown_organization_leaves_nothing_in_memory(
    client: BookingClient,
) -> None:
    memory = client.stores.reader.memory("o_unknown")
    with pytest.raises(TokenInvalid):
        await client.stores.writer.run("o_unknown", ReleaseHold("h_1"))
    assert memory.ledger is None
    assert memory.timetable is None


@dataclass
class CommandOfManyDays:
    """A command that needs the sessions of many blocks, and notes how many each decision lacks."""

    lacking: list[int] = field(default_factory=list)

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        first = now // BLOCK
        needs = Needs(group_blocks={(ORG, first + number) for number in range(20)})
        missing = ledger.lacks(needs)
        self.lacking.append(len(missing.group_blocks))
        if missing:
            raise NotLoaded(missing)
        return Decision((), None)


async def test_much_that_a_command_needs_is_loaded_a_part_at_a_time(client: BookingClient) -> None:
    client.stores.reader.forget()
    command = CommandOfManyDays()
    await client.stores.writer.run(ORG, command)
    assert command.lacking == [20, 16, 12, 8, 4, 0]


async def test_session_that_is_longer_than_those_of_any_service_is_the_longest_in_the_store(
    salon_stores: Stores, engine: Engine
) -> None:
    for days in (3, 2):
        held = make_hold(days, start=at(24 * days * days), end=at(24 * days * days) + days * DAY)
        await add_events(salon_stores, make_event(held))
        [organization] = engine.tables()["organizations"]
        assert organization["longest_span"] == 3 * DAY
