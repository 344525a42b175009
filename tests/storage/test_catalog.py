"""The catalogue in the store: what is put is what is read, and never an older state of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import MISSING, dataclass, fields, replace
from datetime import date

import pytest
from sqlalchemy import Connection

from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.holidays import public_holiday
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    McpAccess,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHoursPeriod
from zimun.domain.commands import Decision
from zimun.domain.errors import Overloaded, TokenInvalid
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import CatalogEntry, CatalogValue, OverrideDeleted, TimeOffDeleted
from zimun.domain.ledger.ledger import Ledger
from zimun.storage import catalog_rows
from zimun.storage.sqlite.database import SqliteDatabase
from zimun.stores import Stores

from .salon import (
    CLASS,
    CUT,
    NOW,
    ORG,
    SPA,
    Engine,
    SalonClient,
    add_events,
    at,
    booked,
    event_of,
    open_salon,
    put_catalog,
)

WEEK = {0: ((540, 720), (780, 1440)), 5: (), 6: ((0, 1440),)}
METADATA = {
    "": "empty key",
    "ключ": "žluťoučký 🐎",
    "json": '{"a": [1, "\\u0000"]}',
    "sql": "'; --",
}

PERIODS = (
    WeeklyHoursPeriod(valid_from=date(2031, 1, 1), weekly_hours={}),
    WeeklyHoursPeriod(valid_from=date(2030, 1, 1), weekly_hours=WEEK),
)
LIMITS = (
    BookingLimit(max_bookings=5, period=LimitPeriod.WEEK, per=LimitSubject.CUSTOMER),
    BookingLimit(max_bookings=100_000, period=LimitPeriod.UPCOMING, per=LimitSubject.RESOURCE),
)

LOCATION = Location(
    id="l_1",
    name="Zweigstelle Süd \u2028 'quoted' \"twice\"",
    active=False,
    metadata=METADATA,
    create_time=NOW,
    update_time=NOW + 1,
    revision=7,
    time_zone="Asia/Kathmandu",
    address="1 Main Street\n10115 Berlin",
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    holiday_region="CH-ZH",
    holiday_categories=("public", "half_day"),
)
STAFF_MEMBER = StaffMember(
    id="t_1",
    name="朝倉 🧖",
    active=False,
    metadata=METADATA,
    create_time=NOW,
    update_time=NOW + 1,
    revision=7,
    time_zone="America/St_Johns",
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    daily_limit=3,
    location_ids=("l_2", "l_1"),
)
RESOURCE = Resource(
    id="r_1",
    name="Fauteuil n° 1",
    location_id="l_1",
    active=False,
    metadata=METADATA,
    create_time=NOW,
    update_time=NOW + 1,
    revision=7,
)
SERVICE = Service(
    id="s_1",
    name="Haircut & beard ✂",
    active=False,
    metadata=METADATA,
    create_time=NOW,
    update_time=NOW + 1,
    revision=7,
    duration=25 * MINUTE,
    slot_step=1,
    horizon=(1 << 53) + 1,
    description="مرحبا\t\n",
    buffer_before=1,
    buffer_after=HOUR - 1,
    slot_alignment=SlotAlignment.HOUR,
    lead_time=2 * HOUR,
    capacity=12,
    cancellation_cutoff=DAY,
    reschedule_cutoff=DAY + 1,
    price={"currency_code": "EUR", "units": -3, "nanos": -750_000_000},
    staff_ids=("t_2", "t_1"),
    resource_requirements=(("r_2", "r_1"), ("r_1",)),
    location_ids=("l_2", "l_1"),
    duration_options=(HOUR, 5 * MINUTE),
    booking_limits=LIMITS,
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
)
ORGANIZATION = Organization(
    id=ORG,
    name="Zum goldenen Löwen",
    active=True,
    metadata=METADATA,
    create_time=NOW,
    update_time=NOW + 1,
    revision=7,
    time_zone="Europe/Berlin",
    holiday_region="DE-BE",
    holiday_categories=("school", "public"),
    weekly_hours=WEEK,
    weekly_hours_periods=PERIODS,
    hold_length=HOUR,
    booking_limits=LIMITS[:1],
    contact_retention=90 * DAY,
    service_defaults=ServiceDefaults(
        slot_step=1, lead_time=0, horizon=3, cancellation_cutoff=4, reschedule_cutoff=5
    ),
    mcp_access=McpAccess.READ_WRITE,
)
ENTRIES: list[CatalogEntry] = [LOCATION, STAFF_MEMBER, RESOURCE, SERVICE]
TIME_OFF = TimeOff(
    owner_id="t_1",
    start=NOW - 1,
    end=NOW + 2**50,
    note="Straße gesperrt",
    external_reference="hr/7",
    recurrence="FREQ=DAILY;COUNT=2",
    time_zone="Europe/Berlin",
    occurrences=((NOW - 1, NOW + 2**50), (NOW, NOW + 2**51)),
    id="f_1",
    create_time=NOW,
    update_time=NOW + 1,
    revision=3,
)
OVERRIDE = Override(
    owner_id="t_1",
    date=date(2026, 2, 28),
    hours=((0, 1), (1439, 1440)),
    note="Inventur 🎉",
    id="v_1",
    create_time=NOW,
    revision=2,
)


def kept(catalog: Catalog, entry: CatalogEntry) -> Entry:
    """What the catalogue holds of the entry's kind under its id."""
    places = {
        Location: catalog.locations,
        StaffMember: catalog.staff,
        Resource: catalog.resources,
        Service: catalog.services,
    }
    return places[type(entry)][entry.id]


async def catalogs(engine: Engine, stores: Stores, org_id: str = ORG) -> list[Catalog]:
    """The catalogue as the server has it that wrote it, and as one reads it that has just begun."""
    async with engine.open() as others:
        found = [await stores.reader.catalog(org_id), await others.reader.catalog(org_id)]
    assert found[0] == found[1]
    return found


async def put(stores: Stores, *values: CatalogValue) -> None:
    await put_catalog(stores, ORGANIZATION, *values)


@pytest.mark.parametrize("entry", [*ENTRIES, ORGANIZATION], ids=lambda entry: type(entry).__name__)
def test_the_entries_of_these_tests_say_something_in_every_field(entry: Entry) -> None:
    plain = [
        field.name
        for field in fields(entry)
        if field.default is not MISSING and getattr(entry, field.name) == field.default
    ]
    # An organization's `active` is not kept: there is no way to have an inactive one.
    assert plain == (["active"] if entry is ORGANIZATION else [])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
async def test_an_entry_reads_as_it_was_put_in_every_field(
    engine: Engine, stores: Stores, entry: CatalogEntry
) -> None:
    await put(stores, entry)
    for catalog in await catalogs(engine, stores):
        found = kept(catalog, entry)
        assert found == entry
        assert repr(found) == repr(entry)  # tuples and enums, not what merely equals them


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
async def test_an_entry_that_is_put_again_replaces_the_first(
    engine: Engine, stores: Stores, entry: CatalogEntry
) -> None:
    later = replace(entry, name="renamed", active=True, metadata={})
    await put(stores, entry, replace(entry, id="other"), later)
    for catalog in await catalogs(engine, stores):
        assert kept(catalog, entry) == later
        assert kept(catalog, replace(entry, id="other")) == replace(entry, id="other")


async def test_a_service_without_a_price_reads_as_one_without_a_price(
    engine: Engine, stores: Stores
) -> None:
    await put(stores, SERVICE, replace(SERVICE, price=None))
    for catalog in await catalogs(engine, stores):
        assert catalog.entry(Service, "s_1").price is None


async def test_an_organization_reads_as_it_was_put_in_every_field(
    engine: Engine, stores: Stores
) -> None:
    await put(stores)
    for catalog in await catalogs(engine, stores):
        assert catalog.organization == ORGANIZATION
        assert (catalog.services, catalog.staff, catalog.overrides) == ({}, {}, {})
        calendar = HolidayCalendar(ORGANIZATION.holiday_region, ORGANIZATION.holiday_categories)
        assert catalog.holiday(calendar, date(2026, 3, 8))  # a holiday in Berlin alone
        assert not catalog.holiday(calendar, date(2026, 3, 9))


def test_a_public_holiday_has_one_name_whatever_language_the_server_is_started_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = []
    for year, language in ((2031, "de_DE.UTF-8"), (2032, "uk_UA.UTF-8"), (2033, "C.UTF-8")):
        monkeypatch.setenv("LANGUAGE", language)
        names.append(public_holiday(HolidayCalendar("DE"), date(year, 5, 1)))
    assert names == [names[0]] * 3


async def test_overrides_are_kept_by_owner_and_date(engine: Engine, stores: Stores) -> None:
    closed = Override(owner_id=ORG, date=OVERRIDE.date)
    another_day = replace(OVERRIDE, id="v_2", date=date(2026, 3, 1), note="other")
    replaced = replace(OVERRIDE, hours=(), note="closed after all")

    await put(stores, OVERRIDE, closed, another_day)
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides == {
            ("t_1", OVERRIDE.date): OVERRIDE,
            (ORG, OVERRIDE.date): closed,
            ("t_1", another_day.date): another_day,
        }
    await put_catalog(stores, replaced)
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides["t_1", OVERRIDE.date] == replaced
        assert len(catalog.overrides) == 3


async def test_an_override_that_moves_to_another_date_leaves_the_first(
    engine: Engine, stores: Stores
) -> None:
    moved = replace(OVERRIDE, date=date(2026, 3, 1))
    await put(stores, OVERRIDE)
    await put_catalog(stores, moved)
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides == {("t_1", moved.date): moved}


async def test_an_override_of_several_dates_is_kept_by_each_of_them(
    engine: Engine, stores: Stores
) -> None:
    long = replace(OVERRIDE, last=date(2026, 3, 2))
    days = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)]
    await put(stores, long)
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides == {("t_1", day): long for day in days}
        assert list(catalog.distinct_overrides) == [long]
    await put(stores, replace(long, last=date(2026, 3, 1)))
    for catalog in await catalogs(engine, stores):
        assert [day for _, day in catalog.overrides] == days[:2]
    await put_catalog(stores, OverrideDeleted(OVERRIDE.id, OVERRIDE.owner_id, OVERRIDE.date))
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides == {}


async def test_a_deleted_override_is_there_no_more(engine: Engine, stores: Stores) -> None:
    other = replace(OVERRIDE, id="v_2", date=date(2026, 3, 1))
    await put(stores, OVERRIDE, other)
    await put_catalog(stores, OverrideDeleted(OVERRIDE.id, OVERRIDE.owner_id, OVERRIDE.date))
    for catalog in await catalogs(engine, stores):
        assert catalog.overrides == {("t_1", other.date): other}


async def test_time_off_is_kept_by_its_id_until_it_is_deleted(
    engine: Engine, stores: Stores
) -> None:
    other = replace(
        TIME_OFF, id="f_2", recurrence="", time_zone="", occurrences=(), external_reference=""
    )
    moved = replace(TIME_OFF, owner_id="r_1", start=NOW, end=NOW + 1, revision=4)
    await put(stores, TIME_OFF, other)
    for catalog in await catalogs(engine, stores):
        assert catalog.time_off == {"f_1": TIME_OFF, "f_2": other}
    await put(stores, moved)
    await put_catalog(stores, TimeOffDeleted("f_2"))
    for catalog in await catalogs(engine, stores):
        assert catalog.time_off == {"f_1": moved}


async def test_the_longest_span_never_shrinks(engine: Engine, stores: Stores) -> None:
    await put(stores, SERVICE)
    longest = SERVICE.buffer_before + max(SERVICE.duration_options) + SERVICE.buffer_after
    assert [one.longest_span for one in await catalogs(engine, stores)] == [longest] * 2

    await put(stores, replace(SERVICE, duration=MINUTE, buffer_before=0, buffer_after=0), LOCATION)
    assert [one.longest_span for one in await catalogs(engine, stores)] == [longest] * 2

    await put(stores, replace(SERVICE, id="s_2", duration=DAY))
    assert [one.longest_span for one in await catalogs(engine, stores)] == [DAY + HOUR] * 2


async def test_replacing_an_organization_keeps_its_catalogue_and_longest_span(
    engine: Engine, stores: Stores
) -> None:
    await put(stores, *ENTRIES)
    [before, _] = await catalogs(engine, stores)
    renamed = replace(ORGANIZATION, name="renamed", holiday_region="", weekly_hours={})
    await put_catalog(stores, renamed)
    for after in await catalogs(engine, stores):
        assert after.organization == renamed
        assert after.longest_span == before.longest_span
        assert [kept(after, entry) for entry in ENTRIES] == ENTRIES


async def test_an_unknown_organization_is_a_token_that_is_not_valid(stores: Stores) -> None:
    await open_salon(stores)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await stores.reader.catalog("o_nobody")
        with pytest.raises(TokenInvalid):
            await stores.writer.run("o_nobody", NameOfCut())


async def test_organizations_see_only_their_own_entries(engine: Engine, stores: Stores) -> None:
    await open_salon(stores)
    another = replace(CUT, name="another cut", duration=DAY)
    other = replace(ORGANIZATION, id="o_other")
    await put_catalog(stores, other, another, OVERRIDE, org_id="o_other")
    for catalog in await catalogs(engine, stores):
        assert catalog.entry(Service, "s_cut") == CUT
        assert catalog.overrides == {}
        assert catalog.longest_span == SPA.longest_span
    for catalog in await catalogs(engine, stores, "o_other"):
        assert [service.name for service in catalog.services.values()] == ["another cut"]
        assert (catalog.staff, catalog.resources) == ({}, {})
    assert sorted(await stores.ledgers.organization_ids()) == ["o_other", ORG]


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
        await open_salon(one)
        await put_catalog(one, Override(owner_id=ORG, date=date(2026, 3, 1), id="v_2"))
        await put_catalog(one, replace(TIME_OFF, id="f_2"))
        yield one, other


async def test_a_timetable_is_kept_while_nothing_is_put(client: SalonClient) -> None:
    first = await timetable(client.stores)
    await client.stores.ledgers.probe()
    await client.book(at(10))
    assert await timetable(client.stores) is first


async def test_a_timetable_is_kept_while_another_server_only_books(engine: Engine) -> None:
    async with two_servers(engine) as (one, other):
        first = await timetable(other)
        await add_events(one, event_of(booked(1)))
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
class NameOfCut:
    """A command that changes nothing; its result is what the cut is called."""

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision((), timetable.catalog.entry(Service, CUT.id).name)


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
            return made._replace(events=[*made.events, event_of(booked(1))])
        return made


async def names_of_cut(engine: Engine, stores: Stores) -> list[str]:
    names = [one.entry(Service, CUT.id).name for one in await catalogs(engine, stores)]
    return [*names, await stores.writer.run(ORG, NameOfCut())]


async def test_commands_of_a_group_see_the_catalogue_that_those_before_them_made(
    engine: Engine, stores: Stores
) -> None:
    await open_salon(stores)
    run = stores.writer.run
    names = await asyncio.gather(
        run(ORG, NameOfCut()),
        run(ORG, Rename("first")),
        run(ORG, NameOfCut()),
        run(ORG, Rename("second")),
        run(ORG, NameOfCut()),
    )
    assert [*names] == ["Cut", "first", "first", "second", "second"]
    assert await names_of_cut(engine, stores) == ["second"] * 3


BREAKS: dict[str, type[Exception]] = {"command": LookupError, "store": Overloaded}


@pytest.mark.parametrize("breaks", BREAKS)
async def test_a_change_that_was_not_committed_is_seen_by_nobody(
    engine: Engine, stores: Stores, breaks: str
) -> None:
    await open_salon(stores)
    await add_events(stores, event_of(booked(1)))
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
    await open_salon(stores)
    await add_events(stores, event_of(booked(1)))
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
    await open_salon(stores)
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


async def test_a_probe_of_the_store_changes_no_answer_of_it(client: SalonClient) -> None:
    stores = client.stores
    secret = await stores.credentials.secret("page_token")
    before = await timetable(stores)
    for _ in range(3):
        await stores.ledgers.probe()
    assert await timetable(stores) is before
    assert await stores.credentials.secret("page_token") == secret
    assert before.catalog.entry(Service, CLASS.id) == CLASS
