"""The catalogue in the store: what is put is what is read."""

from dataclasses import MISSING, fields, replace
from datetime import date

import pytest

from zimun.booking.holidays import public_holiday
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Entry, Location, Override, Resource, Service, StaffMember
from zimun.domain.catalog.holiday_calendar import HolidayCalendar
from zimun.domain.errors import TokenInvalid
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.events import CatalogEntry, CatalogValue, OverrideDeleted, TimeOffDeleted
from zimun.stores import Stores

from .catalog_reads import ReadServiceName, catalogs
from .complete_catalog import ENTRIES, LOCATION, ORGANIZATION, OVERRIDE, SERVICE, TIME_OFF
from .engines import Engine
from .sample_catalog import CUT, NOW, ORG, SPA, create_salon, put_catalog


def entry_of(catalog: Catalog, entry: CatalogEntry) -> Entry:
    """What the catalogue holds of the entry's kind under its id."""
    places = {
        Location: catalog.locations,
        StaffMember: catalog.staff,
        Resource: catalog.resources,
        Service: catalog.services,
    }
    return places[type(entry)][entry.id]


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
        found = entry_of(catalog, entry)
        assert found == entry
        assert repr(found) == repr(entry)  # tuples and enums, not what merely equals them


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
async def test_an_entry_that_is_put_again_replaces_the_first(
    engine: Engine, stores: Stores, entry: CatalogEntry
) -> None:
    later = replace(entry, name="renamed", active=True, metadata={})
    await put(stores, entry, replace(entry, id="other"), later)
    for catalog in await catalogs(engine, stores):
        assert entry_of(catalog, entry) == later
        assert entry_of(catalog, replace(entry, id="other")) == replace(entry, id="other")


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
        assert [entry_of(after, entry) for entry in ENTRIES] == ENTRIES


async def test_an_unknown_organization_is_a_token_that_is_not_valid(stores: Stores) -> None:
    await create_salon(stores)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await stores.reader.catalog("o_nobody")
        with pytest.raises(TokenInvalid):
            await stores.writer.run("o_nobody", ReadServiceName())


async def test_organizations_see_only_their_own_entries(engine: Engine, stores: Stores) -> None:
    await create_salon(stores)
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
