"""A file that is loaded into a catalogue that exists: what changes, what stays, and overrides."""

from dataclasses import replace

import pytest

from zimun.booking.catalog_import import Counts
from zimun.clock import ManualClock
from zimun.domain.catalog.entries import Service
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND
from zimun.stores import Stores

from .catalog_files import EXAMPLE, NEW, catalog, exported, faults, load
from .engines import Engine
from .sample_catalog import CUT, NOW, ORG


async def test_same_file_loaded_again_changes_nothing(
    engine: Engine, stores: Stores, clock: ManualClock
) -> None:
    text = EXAMPLE.read_text()
    first = await load(stores, text)
    before = engine.tables()
    clock.instant = NOW + DAY
    assert await load(stores, text) == Counts(0, 0, first.created)
    assert engine.tables() == before


async def test_entry_in_the_file_is_replaced_whole_and_other_entries_stay(
    salon_stores: Stores, clock: ManualClock
) -> None:
    before = await catalog(salon_stores)
    text = "services: [{id: s_cut, name: Cut, duration: 45m, staff_ids: [t_ben]}]"
    clock.instant = NOW + HOUR
    assert await load(salon_stores, text, ORG) == Counts(created=0, changed=1, unchanged=0)
    after = await catalog(salon_stores)
    assert after.services["s_cut"] == replace(
        CUT,
        duration=45 * MINUTE,
        slot_step=45 * MINUTE,
        horizon=60 * DAY,
        staff_ids=("t_ben",),
        update_time=NOW + HOUR,
        revision=2,
    )
    assert {**after.services, "s_cut": CUT} == before.services
    assert (after.staff, after.resources) == (before.staff, before.resources)
    assert after.organization == before.organization


async def test_an_archived_entry_stays_archived_until_it_is_named(stores: Stores) -> None:
    one = "resources:\n- {id: r_1, name: A, active: false}"
    await load(stores, NEW + one)
    await load(stores, NEW + "resources: [{id: r_2, name: B}]")
    assert not (await catalog(stores, "o_new")).resources["r_1"].active
    assert await load(stores, NEW + one.replace(", active: false", "")) == Counts(0, 1, 1)
    assert (await catalog(stores, "o_new")).resources["r_1"].active


async def test_a_change_of_the_organization_reaches_entries_of_the_file_alone(
    stores: Stores,
) -> None:
    entries = "staff: [{id: t_1, name: A}]\nservices: [{id: s_1, name: A, duration: 1h}]"
    await load(
        stores, f"{NEW}{entries}, {{id: s_2, name: B, duration: 1h}}]".replace("}], ", "}, ")
    )
    moved = NEW.replace("Berlin", "Oslo").replace("}", ", service_defaults: {lead_time: 1h}}")
    assert await load(stores, moved + entries) == Counts(created=0, changed=3, unchanged=0)
    found = await catalog(stores, "o_new")
    assert found.staff["t_1"].time_zone == "Europe/Oslo"
    assert (found.services["s_1"].lead_time, found.services["s_2"].lead_time) == (HOUR, 0)


async def test_new_entries_are_listed_in_the_order_of_the_file_after_those_before(
    stores: Stores, clock: ManualClock
) -> None:
    def rooms(*names: str) -> str:
        return f"{NEW}resources: [{', '.join(f'{{id: r_{name}, name: A}}' for name in names)}]"

    await load(stores, rooms("m", "c", "z"))
    clock.instant = NOW + SECOND
    await load(stores, rooms("b", "z", "a"))
    text = await exported(stores, "o_new")
    positions = [text.index(f"r_{name}") for name in "mczba"]
    assert positions == sorted(positions)


def overrides(*said: str) -> str:
    return "overrides:\n" + "".join(f"- {{{one}, status: CLOSED}}\n" for one in said)


ADA_1, ADA_2, ADA_3 = (f"owner_id: t_ada, date: 2026-01-0{n}" for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("before", "after", "counts", "kept"),
    [
        pytest.param(
            [f"id: v_1, {ADA_1}"], [ADA_1], (0, 0, 1), {"v_1": 1}, id="its date names it, too"
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_2, {ADA_1}"],
            (0, 1, 0),
            {"v_2": 1},
            id="another id for a date",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_1, {ADA_2}"],
            (0, 1, 0),
            {"v_1": 2},
            id="another date for an id",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}", f"id: v_2, {ADA_2}"],
            [f"id: v_2, {ADA_1}", f"id: v_1, {ADA_2}"],
            (0, 2, 0),
            {"v_2": 1, "v_1": 2},
            id="two that swap dates",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}", f"id: v_2, {ADA_2}"],
            [f"id: v_1, {ADA_2}"],
            (0, 1, 0),
            {"v_1": 2},
            id="one that takes another's date",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_2, {ADA_2}"],
            (1, 0, 0),
            {"v_1": 1, "v_2": 2},
            id="one more",
        ),
    ],
)
async def test_an_override_is_the_one_of_its_id_and_of_its_date(
    salon_stores: Stores,
    before: list[str],
    after: list[str],
    counts: tuple[int, int, int],
    kept: dict[str, int],
) -> None:
    await load(salon_stores, overrides(*before), ORG)
    assert await load(salon_stores, overrides(*after), ORG) == Counts(*counts)
    found = (await catalog(salon_stores)).overrides.values()
    assert {one.id: one.date.day for one in found} == kept


async def test_an_override_without_an_id_leaves_to_others_what_they_claim(
    salon_stores: Stores,
) -> None:
    await load(salon_stores, overrides(f"id: v_1, {ADA_1}"), ORG)
    await load(salon_stores, overrides(ADA_1, f"id: v_1, {ADA_3}"), ORG)
    found = {one.date.day: one.id for one in (await catalog(salon_stores)).overrides.values()}
    assert found.keys() == {1, 3}
    assert found[3] == "v_1"
    assert found[1] not in ("", "v_1")


async def test_a_changed_override_counts_its_revisions(
    salon_stores: Stores, clock: ManualClock
) -> None:
    await load(salon_stores, overrides(f"id: v_1, {ADA_1}"), ORG)
    noted = overrides(f"id: v_1, {ADA_1}, note: Ill")
    clock.instant = NOW + DAY
    assert await load(salon_stores, noted, ORG) == Counts(0, 1, 0)
    [override] = (await catalog(salon_stores)).overrides.values()
    assert (override.note, override.revision, override.create_time) == ("Ill", 2, NOW + 1)


async def test_a_change_of_the_file_is_seen_by_those_who_read_before(salon_stores: Stores) -> None:
    async def names() -> list[str]:
        return [one.name for one in (await catalog(salon_stores)).listed(Service)]

    before = await names()
    await load(salon_stores, "services: [{id: s_new, name: New, duration: 1h}]", ORG)
    assert await names() == [*before, "New"]


async def test_what_an_entry_violates_already_does_not_refuse_its_file(stores: Stores) -> None:
    """A staff member who has moved works at none of the service's locations any more."""
    places = "locations: [{id: l_1, name: A}, {id: l_2, name: B}]\n"
    staff = "staff: [{id: t_1, name: Ada, location_ids: [%s]}]\n"
    service = (
        "services: [{id: s_1, name: Cut, duration: 30m, staff_ids: [t_1], location_ids: [%s]}]\n"
    )
    await load(stores, NEW + places + staff % "l_1" + service % "l_1")
    await load(stores, NEW + staff % "l_2")
    count = 1 + 2 + 1 + 1
    assert await load(stores, await exported(stores, "o_new")) == Counts(0, 0, count)
    moved = "works at none of the service's locations"
    assert moved in "".join(await faults(stores, NEW + service.replace("s_1", "s_2") % "l_1", ""))


@pytest.mark.parametrize("is_new", [True, False])
async def test_export_is_taken_whole_wherever_staff_and_resources_have_moved(
    stores: Stores, is_new: bool
) -> None:
    """Also into an organization that is there already, with nothing in it."""
    places = "locations: [{id: l_1, name: A}, {id: l_2, name: B}]\n"
    staff = "staff: [{id: t_1, name: Ada, location_ids: [%s]}]\n"
    service = (
        "services: [{id: s_1, name: Cut, duration: 30m, staff_ids: [t_1], location_ids: [l_1], "
        "resource_requirements: [{resource_ids: [r_1]}]}]\n"
    )
    room = "resources: [{id: r_1, name: Room, location_id: %s}]\n"
    await load(stores, NEW + places + staff % "l_1" + room % "l_1" + service)
    await load(stores, NEW + staff % "l_2" + room % "l_2")
    text = (await exported(stores, "o_new")).replace("o_new", "o_copy")
    if not is_new:
        await load(stores, NEW.replace("o_new", "o_copy"))
    await load(stores, text)
    assert await exported(stores, "o_copy") == text
    alone = NEW + service.replace("s_1", "s_2")
    refused = "".join(await faults(stores, alone, ""))
    assert "works at none of the service's locations" in refused
    assert "can never be met together" in refused
