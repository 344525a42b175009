"""Organizations and catalogues as a store writes them, with bookings in the same append."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from zimun.booking.store import LedgerStore
from zimun.clock import ManualClock
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.instant import HOUR
from zimun.domain.ledger.events import CatalogEntry, OverrideDeleted

from .appending import KEY, OTHER, Script, begun, response
from .engines import Engine
from .reading import all_rows, check_store, check_tables, read_one
from .sample_catalog import CUT, NOW, ORG, SPA


async def test_organization_that_is_created_twice_at_once_is_made_once(
    engine: Engine, clock: ManualClock
) -> None:
    async with engine.open(clock) as one, engine.open(clock) as other:
        for number in range(5):
            org_id = f"o_{number}"
            scripts = [begun(org_id) for _ in range(4)]
            for n, script in enumerate(scripts):
                script.hold(n + 1)
            outcomes = await asyncio.gather(
                *(
                    (one, other)[n % 2].ledgers.append([script.append()])
                    for n, script in enumerate(scripts)
                )
            )
            assert sorted(map(len, outcomes)) == [0, 0, 0, 1]
            [made] = [script for script, outcome in zip(scripts, outcomes, strict=True) if outcome]
            made.model.time = NOW
            for stores in (one, other):
                await check_store(stores.ledgers, made)


async def test_organization_that_exists_is_not_made_again_and_the_others_are_written(
    store: LedgerStore, engine: Engine
) -> None:
    known, other = begun(), begun(OTHER)
    known.hold(1)
    await known.write(store)
    await other.write(store)
    again, new = begun(), begun("o_new")
    again.put(SPA)
    again.hold(2, staff_id="t_ben")
    new.hold(1)
    other.confirm(other.hold(1).seats)
    before = [row for row in all_rows(engine.tables()) if row[1] == ORG]
    written = await store.append([again.append(), new.append(), other.append()])
    assert written == {"o_new", OTHER}
    assert [row for row in all_rows(engine.tables()) if row[1] == ORG] == before
    for script in (new, other):
        script.model.time = script.time
        await check_store(store, script)


ENTRIES: Sequence[CatalogEntry] = (
    replace(CUT, description="Ünïcode", price=None, duration_options=(HOUR, 2 * HOUR)),
    replace(SPA, staff_ids=(), location_ids=("l_1",), resource_requirements=(("r_1", "r_2"),)),
    StaffMember(
        id="t_ada",
        name="Ada",
        time_zone="Europe/Berlin",
        weekly_hours={0: ((540, 720), (780, 1020)), 6: ()},
        daily_limit=3,
        location_ids=("l_1",),
        metadata={"ключ": "значение"},
    ),
    Resource(id="r_1", name="Room", location_id="l_1", active=False),
    Location(id="l_1", name="North", time_zone="Asia/Kathmandu", address="1 Main St"),
)

OVERRIDE = Override(
    owner_id="t_ada", date=date(2025, 12, 24), hours=((600, 660),), note="Half", id="v_1"
)


def catalog_of(
    catalog: Catalog | None,
) -> tuple[dict[str, object], dict[tuple[str, date], Override]]:
    assert catalog
    entries: dict[str, object] = {}
    for kind in (Service, StaffMember, Resource, Location):
        entries |= catalog.all(kind)
    return entries, dict(catalog.overrides)


async def test_catalogue_values_of_every_kind_are_written_with_bookings_in_one_append(
    store: LedgerStore, engine: Engine
) -> None:
    script = Script()
    script.organization()
    script.put(*ENTRIES, OVERRIDE)
    script.hold(1, resource_ids=("r_1",))
    script.put(Organization(id=ORG, name="Second name", time_zone="Asia/Tokyo", revision=2))
    script.confirm(1)
    script.keep(KEY, response())
    await script.write(store)
    await check_store(store, script)
    check_tables(engine.tables(), script)
    found = (await read_one(store)).catalog
    assert found
    assert (found.organization.name, found.organization.time_zone) == ("Second name", "Asia/Tokyo")
    entries, overrides = catalog_of(found)
    assert entries == {value.id: value for value in ENTRIES}
    assert overrides == {("t_ada", OVERRIDE.date): OVERRIDE}
    assert found.version == script.model.catalog_version == script.model.seq - 1


async def test_catalogue_values_replace_those_of_their_keys_and_overrides_move(
    store: LedgerStore,
) -> None:
    script = Script()
    script.organization()
    script.put(*ENTRIES, OVERRIDE, replace(OVERRIDE, id="v_2", date=date(2025, 12, 31)))
    await script.write(store)
    moved = replace(OVERRIDE, owner_id="l_1", date=date(2026, 1, 1), revision=2)
    taken = replace(OVERRIDE, id="v_3", date=date(2025, 12, 31))
    renamed = [replace(value, name="Renamed", revision=2) for value in ENTRIES]
    script.put(*renamed, moved, taken)
    await script.write(store)
    entries, overrides = catalog_of((await read_one(store)).catalog)
    assert list(entries.values()) == renamed
    assert overrides == {("l_1", moved.date): moved, ("t_ada", taken.date): taken}
    script.put(OverrideDeleted("v_3", taken.owner_id, taken.date))
    script.hold(1)
    await script.write(store)
    entries, overrides = catalog_of((await read_one(store)).catalog)
    assert overrides == {("l_1", moved.date): moved}
    await check_store(store, script)


async def test_catalogues_of_organizations_are_apart(store: LedgerStore) -> None:
    one, other = begun(), begun(OTHER)
    one.put(*ENTRIES, OVERRIDE)
    other.put(*ENTRIES, OVERRIDE)
    await one.write(store)
    await other.write(store)
    before = await read_one(store, OTHER)
    one.put(replace(CUT, name="Ours"), OverrideDeleted("v_1", "t_ada", OVERRIDE.date))
    await one.write(store)
    assert catalog_of((await read_one(store, OTHER)).catalog) == catalog_of(before.catalog)
    assert catalog_of((await read_one(store)).catalog)[1] == {}
