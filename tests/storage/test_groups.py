"""How commands that wait are gathered into groups, and what is counted of groups."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from zimun.booking import writer
from zimun.booking.store import LedgerStore
from zimun.booking.writer import Writer
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.commands import Decision
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Reservation

from .booking_client import BookingClient
from .engines import Engine
from .sample_catalog import KIOSK, ORG, SALON, at, put_catalog
from .sqlite_commands import run_ready
from .test_writer import another_organization_of_the_lane


class CountedGroups:
    """How many groups there have been since, and of how many commands."""

    def __init__(self, client: BookingClient) -> None:
        self._sizes = client.stores.writer.counters.group_sizes
        self._before = self._read()

    def _read(self) -> tuple[int, float]:
        return self._sizes.count, self._sizes.sum

    @property
    def counts(self) -> tuple[int, float]:
        groups, commands = self._read()
        return groups - self._before[0], commands - self._before[1]


async def refuse(client: BookingClient) -> None:
    """A refusal of the kiosk at 10:00, which is kept."""
    await client.hold(at(10), KIOSK.id)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), KIOSK.id)


async def test_group_has_at_most_so_many_commands(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_GROUP", 4)
    groups = CountedGroups(client)
    await asyncio.gather(*(client.hold(at(10, 10 * n), KIOSK.id) for n in range(9)))
    assert groups.counts == (3, 9)


async def test_group_of_holds_of_a_refused_slot_may_be_larger(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_GROUP", 4)
    monkeypatch.setattr(writer, "MAX_COMMANDS", 10)
    await refuse(client)
    groups = CountedGroups(client)
    holds = (client.hold(at(10), KIOSK.id) for _ in range(21))
    outcomes = await asyncio.gather(*holds, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {SlotUnavailable}
    assert groups.counts == (3, 21)


async def test_holds_of_a_refused_slot_gather_until_another_command_comes(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "HEAD_READ_INTERVAL", 3600)
    await refuse(client)
    with pytest.raises(SlotUnavailable):
        await client.hold(at(10), KIOSK.id)
    groups = CountedGroups(client)
    refused = [asyncio.ensure_future(client.hold(at(10), KIOSK.id)) for _ in range(3)]
    await run_ready()
    assert groups.counts == (0, 0)
    assert client.stores.writer.waiting == 3
    await client.hold(at(11), KIOSK.id)
    outcomes = await asyncio.gather(*refused, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {SlotUnavailable}
    assert groups.counts == (1, 4)
    assert client.stores.writer.waiting == 0


async def test_cancelled_command_is_dropped_from_its_group(client: BookingClient) -> None:
    groups = CountedGroups(client)
    cancelled, stays = (
        asyncio.ensure_future(client.hold(start, KIOSK.id)) for start in (at(10), at(11))
    )
    await asyncio.sleep(0)
    cancelled.cancel()
    await stays
    assert groups.counts == (1, 1)
    assert at(10) in await client.slots(KIOSK.id)


async def test_command_beyond_those_that_may_wait_is_refused_at_once(
    client: BookingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 2)
    holds = (client.hold(at(10, 10 * n), KIOSK.id) for n in range(3))
    outcomes = await asyncio.gather(*holds, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Reservation, Reservation, Overloaded]


class OfOneOrganization:
    """A store that writes groups of one organization only, as on a distributed database."""

    shares_transactions = False

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass(frozen=True)
class Note:
    """A command that changes nothing and adds its name to a list."""

    name: str
    decided: list[str]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.decided.append(self.name)
        return Decision((), None)


async def test_group_is_of_one_organization_where_the_store_asks_for_it(
    client: BookingClient,
) -> None:
    stores = client.stores
    other = another_organization_of_the_lane(stores.ledgers.lanes)
    await put_catalog(stores, replace(SALON, id=other), org_id=other)
    for org_id in (ORG, other):
        await stores.reader.catalog(org_id)
    decided: list[str] = []
    async with Writer(OfOneOrganization(stores.ledgers), stores.reader, client.clock) as alone:
        groups = CountedGroups(client)
        runs = (
            alone.run(org_id, Note(f"{org_id} {n}", decided))
            for n in range(3)
            for org_id in (ORG, other)
        )
        await asyncio.gather(*runs)
    assert decided == [f"{org_id} {n}" for org_id in (ORG, other) for n in range(3)]
    assert groups.counts == (2, 6)


async def test_commands_of_a_ledger_that_another_server_has_moved_are_counted(
    client: BookingClient, engine: Engine
) -> None:
    counters = client.stores.writer.counters
    await client.hold(at(10), KIOSK.id)
    async with engine.open(client.clock) as stores:
        await BookingClient(stores, client.clock).hold(at(11), KIOSK.id)
    assert (counters.moved, counters.catch_ups, counters.conflicts) == (0, 0, 0)
    await client.hold(at(12), KIOSK.id)
    assert (counters.moved, counters.catch_ups, counters.conflicts) == (1, 1, 0)
