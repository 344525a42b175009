"""The catalogue in the store: what is put is what is read, and never an older state of it."""

import asyncio
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from datetime import date
from typing import TypeVar

import pytest

from zimun.booking.holidays import public_holidays
from zimun.booking.store import CatalogEntry, Store, Transaction
from zimun.domain.catalog import (
    Catalog,
    Entry,
    Location,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.errors import TokenInvalid
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.timetable import Timetable
from zimun.storage.credentials import Credentials
from zimun.storage.database import StoreDatabase

from .desk import CLASS, CUT, NOW, ORG, SPA, open_salon

T = TypeVar("T")

WEEK = {0: ((540, 720), (780, 1440)), 5: (), 6: ((0, 1440),)}
METADATA = {
    "": "empty key",
    "ключ": "žluťoučký 🐎",
    "json": '{"a": [1, "\\u0000"]}',
    "sql": "'; --",
}

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
    weekly_hours=WEEK,
    hold_length=HOUR,
    service_defaults=ServiceDefaults(
        slot_step=1, lead_time=0, horizon=3, cancellation_cutoff=4, reschedule_cutoff=5
    ),
)
ENTRIES: list[CatalogEntry] = [LOCATION, STAFF_MEMBER, RESOURCE, SERVICE]
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


async def catalogs(store: Store, org_id: str = ORG) -> list[Catalog]:
    """The catalogue as every kind of transaction sees it."""
    ways = (store.read, store.scan, store.write)
    return [(await way(lambda tx: tx.timetable(org_id))).catalog for way in ways]


async def put(store: Store, *entries: CatalogEntry) -> None:
    def run(tx: Transaction) -> None:
        tx.put_organization(ORGANIZATION)
        for entry in entries:
            tx.put_entry(ORG, entry)

    await store.write(run)


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
    store: Store, entry: CatalogEntry
) -> None:
    await put(store, entry)
    for catalog in await catalogs(store):
        found = kept(catalog, entry)
        assert found == entry
        assert repr(found) == repr(entry)  # tuples and enums, not what merely equals them


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
async def test_an_entry_that_is_put_again_replaces_the_first(
    store: Store, entry: CatalogEntry
) -> None:
    later = replace(entry, name="renamed", active=True, metadata={})
    await put(store, entry, replace(entry, id="other"), later)
    for catalog in await catalogs(store):
        assert kept(catalog, entry) == later
        assert kept(catalog, replace(entry, id="other")) == replace(entry, id="other")


async def test_a_service_without_a_price_reads_as_one_without_a_price(store: Store) -> None:
    await put(store, SERVICE, replace(SERVICE, price=None))
    for catalog in await catalogs(store):
        assert catalog.entry(Service, "s_1").price is None


async def test_an_organization_reads_as_it_was_put_in_every_field(store: Store) -> None:
    await put(store)
    for catalog in await catalogs(store):
        assert catalog.organization == ORGANIZATION
        assert catalog.holiday(date(2026, 3, 8))  # a holiday in Berlin alone
        assert not catalog.holiday(date(2026, 3, 9))
        assert (catalog.services, catalog.staff, catalog.overrides) == ({}, {}, {})


def test_a_public_holiday_has_one_name_whatever_language_the_server_is_started_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = []
    for year, language in ((2031, "de_DE.UTF-8"), (2032, "uk_UA.UTF-8"), (2033, "C.UTF-8")):
        monkeypatch.setenv("LANGUAGE", language)
        names.append(public_holidays("DE")(date(year, 5, 1)))
    assert names == [names[0]] * 3


async def test_overrides_are_kept_by_owner_and_date(store: Store) -> None:
    closed = Override(owner_id=ORG, date=OVERRIDE.date)
    another_day = replace(OVERRIDE, id="v_2", date=date(2026, 3, 1), note="other")
    replaced = replace(OVERRIDE, hours=(), note="closed after all")

    def run(tx: Transaction) -> None:
        tx.put_organization(ORGANIZATION)
        for override in (OVERRIDE, closed, another_day):
            tx.put_override(ORG, override)

    await store.write(run)
    for catalog in await catalogs(store):
        assert catalog.overrides == {
            ("t_1", OVERRIDE.date): OVERRIDE,
            (ORG, OVERRIDE.date): closed,
            ("t_1", another_day.date): another_day,
        }
    await store.write(lambda tx: tx.put_override(ORG, replaced))
    for catalog in await catalogs(store):
        assert catalog.overrides["t_1", OVERRIDE.date] == replaced
        assert len(catalog.overrides) == 3


async def test_the_longest_span_never_shrinks(store: Store) -> None:
    await put(store, SERVICE)
    longest = SERVICE.buffer_before + max(SERVICE.duration_options) + SERVICE.buffer_after
    assert [catalog.longest_span for catalog in await catalogs(store)] == [longest] * 3

    await put(store, replace(SERVICE, duration=MINUTE, buffer_before=0, buffer_after=0), LOCATION)
    assert [catalog.longest_span for catalog in await catalogs(store)] == [longest] * 3

    await put(store, replace(SERVICE, id="s_2", duration=DAY))
    assert [catalog.longest_span for catalog in await catalogs(store)] == [DAY + HOUR] * 3


async def test_replacing_an_organization_keeps_its_catalogue_and_longest_span(
    store: Store,
) -> None:
    await put(store, *ENTRIES)
    [before, *_] = await catalogs(store)
    renamed = replace(ORGANIZATION, name="renamed", holiday_region="", weekly_hours={})
    await store.write(lambda tx: tx.put_organization(renamed))
    for after in await catalogs(store):
        assert after.organization == renamed
        assert after.longest_span == before.longest_span
        assert [kept(after, entry) for entry in ENTRIES] == ENTRIES


async def test_an_unknown_organization_is_a_token_that_is_not_valid(store: Store) -> None:
    await store.write(open_salon)
    for way in (store.read, store.scan, store.write):
        with pytest.raises(TokenInvalid):
            await way(lambda tx: tx.timetable("o_nobody"))


async def test_organizations_see_only_their_own_entries(store: Store) -> None:
    def run(tx: Transaction) -> None:
        open_salon(tx)
        tx.put_organization(replace(ORGANIZATION, id="o_other"))
        tx.put_entry("o_other", replace(CUT, name="another cut", duration=DAY))
        tx.put_override("o_other", OVERRIDE)

    await store.write(run)
    for catalog in await catalogs(store):
        assert catalog.entry(Service, "s_cut") == CUT
        assert catalog.overrides == {}
        assert catalog.longest_span == SPA.longest_span
    for catalog in await catalogs(store, "o_other"):
        assert [service.name for service in catalog.services.values()] == ["another cut"]
        assert (catalog.staff, catalog.resources) == ({}, {})
    assert await store.read(lambda tx: sorted(tx.organization_ids())) == ["o_other", ORG]


PUTS: dict[str, Callable[[Transaction], None]] = {
    "organization": lambda tx: tx.put_organization(ORGANIZATION),
    "service": lambda tx: tx.put_entry(ORG, replace(CUT, name="Trim")),
    "staff member": lambda tx: tx.put_entry(ORG, STAFF_MEMBER),
    "resource": lambda tx: tx.put_entry(ORG, RESOURCE),
    "location": lambda tx: tx.put_entry(ORG, LOCATION),
    "override": lambda tx: tx.put_override(ORG, OVERRIDE),
    "no override": lambda tx: tx.delete_override(ORG, "v_9"),
}


async def timetables(store: Store) -> list[Timetable]:
    return [
        await way(lambda tx: tx.timetable(ORG)) for way in (store.read, store.scan, store.write)
    ]


async def test_a_timetable_is_kept_while_nothing_is_put(store: Store) -> None:
    await store.write(open_salon)
    [first, *others] = await timetables(store)
    await store.write(lambda tx: tx.touch())
    assert all(other is first for other in (*others, *await timetables(store)))


@pytest.mark.parametrize("what", PUTS)
async def test_every_put_makes_the_next_reader_load_the_catalogue_again(
    store: Store, what: str
) -> None:
    await store.write(open_salon)
    [before, *_] = await timetables(store)
    await store.write(PUTS[what])
    for after in await timetables(store):
        assert after.catalog.version != before.catalog.version
        assert after.catalog != before.catalog


async def test_what_another_organization_puts_leaves_a_timetable_kept(store: Store) -> None:
    await store.write(open_salon)
    [before, *_] = await timetables(store)

    def run(tx: Transaction) -> None:
        tx.put_organization(replace(ORGANIZATION, id="o_other"))
        tx.put_entry("o_other", CUT)

    await store.write(run)
    assert all(after is before for after in await timetables(store))


def name_of_cut(tx: Transaction) -> str:
    return tx.timetable(ORG).catalog.entry(Service, CUT.id).name


def rename(name: str, then: Exception | None = None) -> Callable[[Transaction], str]:
    """Rename the cut, look at the catalogue inside the transaction, and roll back with `then`."""

    def run(tx: Transaction) -> str:
        name_of_cut(tx)
        tx.put_entry(ORG, replace(CUT, name=name))
        found = name_of_cut(tx)
        assert found == name
        if then:
            raise then
        return found

    return run


async def names_of_cut(store: Store) -> list[str]:
    return [await way(name_of_cut) for way in (store.read, store.scan, store.write)]


async def test_a_transaction_sees_its_own_puts_and_nobody_sees_one_that_was_rolled_back(
    store: Store,
) -> None:
    await store.write(open_salon)
    with pytest.raises(LookupError):
        await store.write(rename("lost", LookupError()))
    assert await names_of_cut(store) == ["Cut"] * 3
    assert await store.write(rename("kept")) == "kept"
    assert await names_of_cut(store) == ["kept"] * 3


async def test_a_put_after_one_that_was_rolled_back_is_never_taken_for_it(store: Store) -> None:
    await store.write(open_salon)
    for number in range(20):
        with pytest.raises(LookupError):
            await store.write(rename(f"lost {number}", LookupError()))
        await store.write(lambda tx, n=number: tx.put_entry(ORG, replace(CUT, name=f"kept {n}")))  # type: ignore[misc]
        assert await names_of_cut(store) == [f"kept {number}"] * 3


async def test_puts_that_are_committed_and_rolled_back_side_by_side_leave_the_last_committed(
    store: Store,
) -> None:
    await store.write(open_salon)
    outcomes = await asyncio.gather(
        *(
            store.write(rename(f"name {number}", LookupError() if number % 2 else None))
            for number in range(40)
        ),
        return_exceptions=True,
    )
    committed = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert committed == [f"name {number}" for number in range(0, 40, 2)]
    [found] = set(await names_of_cut(store))
    assert found in committed


async def test_a_scan_sees_one_snapshot_while_others_commit(store: Store) -> None:
    await store.write(open_salon)
    committed: list[bool] = []

    def run(tx: Transaction) -> tuple[str, str]:
        first = name_of_cut(tx)
        begun.set_result(None)
        for _ in range(1_000_000):
            if committed:
                break
            tx.organization_ids()
        return first, name_of_cut(tx)

    async def put_meanwhile() -> None:
        await begun
        await store.write(lambda tx: tx.put_entry(ORG, replace(CUT, name="Trim")))
        committed.append(True)

    begun = _Begun()
    seen, _ = await asyncio.gather(store.scan(run), put_meanwhile())
    assert committed
    assert seen == ("Cut", "Cut")
    assert await names_of_cut(store) == ["Trim"] * 3


class _Begun:
    """A future that any thread may resolve."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def set_result(self, result: None) -> None:
        self._loop.call_soon_threadsafe(self._future.set_result, result)

    def __await__(self):  # type: ignore[no-untyped-def]
        return self._future.__await__()


async def test_touching_the_store_changes_no_answer_of_it(store: Store) -> None:
    credentials = Credentials(StoreDatabase(store))
    secret = await credentials.secret("page_token")
    await store.write(open_salon)
    [before, *_] = await timetables(store)
    for _ in range(3):
        await store.write(lambda tx: tx.touch())
    [after, *_] = await timetables(store)
    assert after is before
    assert await credentials.secret("page_token") == secret
    assert after.catalog.entry(Service, CLASS.id) == CLASS
