"""A timetable is kept until its catalogue changes; no server answers from an older one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date

import pytest
from sqlalchemy import Connection

from zimun.booking.catalog_changes import catalog_decision
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Override, Service
from zimun.domain.commands import Decision
from zimun.domain.errors import Overloaded
from zimun.domain.ledger.events import CatalogValue, OverrideDeleted, TimeOffDeleted
from zimun.domain.ledger.ledger import Ledger
from zimun.storage import catalog_rows
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.stores import Stores

from .booking_client import BookingClient
from .catalog_reads import ReadServiceName, catalogs
from .complete_catalog import LOCATION, ORGANIZATION, OVERRIDE, RESOURCE, STAFF_MEMBER, TIME_OFF
from .engines import Engine
from .factories import add_events, make_event, make_hold
from .sample_catalog import CLASS, CUT, ORG, at, create_salon, put_catalog

PUTS: dict[str, CatalogValue] = {
    "organization": ORGANIZATION,
    "service": replace(CUT, name="Trim"),
    "staff member": STAFF_MEMBER,
    "resource": RESOURCE,
    "location": LOCATION,
    "override": OVERRIDE,
    "no override": OverrideDeleted("v_2", ORG, date(2026, 3, 1)),
    "time off": TIME_OFF,
    "no time off": TimeOffDeleted("f_2"),
}
"""What changes the catalogue of `two_servers`."""


async def timetable(stores: Stores) -> Timetable:
    return await stores.reader.query(ORG, lambda ledger, timetable, now: timetable)


@asynccontextmanager
async def two_servers(engine: Engine) -> AsyncIterator[tuple[Stores, Stores]]:
    """Servers of one database with the salon in it, an override of a date, and time off."""
    async with engine.open() as one, engine.open() as other:
        await create_salon(one)
        await put_catalog(one, Override(owner_id=ORG, date=date(2026, 3, 1), id="v_2"))
        await put_catalog(one, replace(TIME_OFF, id="f_2"))
        yield one, other


async def test_a_timetable_is_kept_while_nothing_is_put(client: BookingClient) -> None:
    first = await timetable(client.stores)
    await client.stores.ledgers.probe()
    await client.book(at(10))
    assert await timetable(client.stores) is first


async def test_a_timetable_is_kept_while_another_server_only_books(engine: Engine) -> None:
    async with two_servers(engine) as (one, other):
        first = await timetable(other)
        await add_events(one, make_event(make_hold(1)))
        assert await timetable(other) is first


@pytest.mark.parametrize("what", PUTS)
async def test_a_change_of_the_catalogue_is_seen_at_every_server_that_is_asked_next(
    engine: Engine, what: str
) -> None:
    async with two_servers(engine) as stores:
        before = [(await timetable(one)).catalog for one in stores]
        await put_catalog(stores[0], PUTS[what])
        after = [(await timetable(one)).catalog for one in stores]
    for one in (before, after):
        assert one[0] == one[1]
    assert after[0].version == before[0].version + 1
    assert replace(after[0], version=0) != replace(before[0], version=0)


async def test_what_another_organization_puts_leaves_a_timetable_kept(engine: Engine) -> None:
    async with two_servers(engine) as stores:
        before = [await timetable(one) for one in stores]
        await put_catalog(stores[0], replace(ORGANIZATION, id="o_other"), CUT, org_id="o_other")
        assert [await timetable(one) for one in stores] == before


@dataclass(frozen=True)
class Rename:
    """The command to rename the cut; with `breaks` the store refuses it, or it raises LookupError.

    Its result is the new name.
    """

    name: str
    breaks: str = ""

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        if self.breaks == "command":
            raise LookupError
        values = [replace(CUT, name=self.name)]
        made = catalog_decision(timetable.catalog, client_id, values, self.name)
        if self.breaks == "store":
            # Revision 1 of a hold is there already.
            return made._replace(events=[*made.events, make_event(make_hold(1))])
        return made


async def names_of_cut(engine: Engine, stores: Stores) -> list[str]:
    names = [one.entry(Service, CUT.id).name for one in await catalogs(engine, stores)]
    return [*names, await stores.writer.run(ORG, ReadServiceName())]


async def test_commands_of_a_group_see_the_catalogue_that_those_before_them_made(
    engine: Engine, stores: Stores
) -> None:
    await create_salon(stores)
    run = stores.writer.run
    names = await asyncio.gather(
        run(ORG, ReadServiceName()),
        run(ORG, Rename("first")),
        run(ORG, ReadServiceName()),
        run(ORG, Rename("second")),
        run(ORG, ReadServiceName()),
    )
    assert [*names] == ["Cut", "first", "first", "second", "second"]
    assert await names_of_cut(engine, stores) == ["second"] * 3


BREAKS: dict[str, type[Exception]] = {"command": LookupError, "store": Overloaded}


@pytest.mark.parametrize("breaks", BREAKS)
async def test_a_change_that_was_not_committed_is_seen_by_nobody(
    engine: Engine, stores: Stores, breaks: str
) -> None:
    await create_salon(stores)
    await add_events(stores, make_event(make_hold(1)))
    for number in range(3):
        before = await names_of_cut(engine, stores)
        with pytest.raises(BREAKS[breaks]):
            await stores.writer.run(ORG, Rename(f"lost {number}", breaks))
        assert await names_of_cut(engine, stores) == before
        await stores.writer.run(ORG, Rename(f"kept {number}"))
        assert await names_of_cut(engine, stores) == [f"kept {number}"] * 3


@pytest.mark.parametrize("breaks", BREAKS)
async def test_changes_of_a_group_of_which_some_fail_leave_the_last_that_did_not(
    engine: Engine, stores: Stores, breaks: str
) -> None:
    await create_salon(stores)
    await add_events(stores, make_event(make_hold(1)))
    commands = [Rename(f"name {n}", breaks if n % 4 == 3 else "") for n in range(12)]
    outcomes = await asyncio.gather(
        *(stores.writer.run(ORG, command) for command in commands), return_exceptions=True
    )
    for command, outcome in zip(commands, outcomes, strict=True):
        if command.breaks:
            assert isinstance(outcome, BREAKS[breaks])
        else:
            assert outcome == command.name
    assert await names_of_cut(engine, stores) == ["name 10"] * 3


async def test_a_read_of_several_statements_sees_one_snapshot_while_others_commit(
    stores: Stores,
) -> None:
    await create_salon(stores)
    begun, committed = _Begun(), list[bool]()

    def name(connection: Connection) -> str:
        return catalog_rows.load_catalog(connection, ORG).entry(Service, CUT.id).name

    def read(connection: Connection) -> tuple[str, str]:
        first = name(connection)
        begun.set_result(None)
        for _ in range(1_000_000):
            if committed:
                break
            name(connection)
        return first, name(connection)

    async def put_meanwhile() -> None:
        await begun
        await stores.writer.run(ORG, Rename("Trim"))
        committed.append(True)

    database = stores.database
    # On SQLite a read of its own thread: others go on meanwhile.
    way = database.scan if isinstance(database, SqliteDatabase) else database.read
    seen, _ = await asyncio.gather(way(read), put_meanwhile())
    assert committed
    assert seen == ("Cut", "Cut")
    assert (await stores.reader.catalog(ORG)).entry(Service, CUT.id).name == "Trim"


class _Begun:
    """A future that any thread may resolve."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def set_result(self, result: None) -> None:
        self._loop.call_soon_threadsafe(self._future.set_result, result)

    def __await__(self):  # type: ignore[no-untyped-def]
        return self._future.__await__()


async def test_a_probe_of_the_store_changes_no_answer_of_it(client: BookingClient) -> None:
    stores = client.stores
    secret = await stores.credentials.secret("page_token")
    before = await timetable(stores)
    for _ in range(3):
        await stores.ledgers.probe()
    assert await timetable(stores) is before
    assert await stores.credentials.secret("page_token") == secret
    assert before.catalog.entry(Service, CLASS.id) == CLASS
