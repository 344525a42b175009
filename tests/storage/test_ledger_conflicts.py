"""Appends that a store refuses, and that a refusal leaves everything as it was."""

import asyncio
from dataclasses import replace

import pytest

from zimun.booking.store import (
    AppendRejected,
    LedgerStore,
)
from zimun.domain.catalog.entries import StaffMember
from zimun.domain.instant import DAY

from .appending import KEY, OTHER, Script, begun, response
from .engines import Engine, Tables
from .reading import all_rows, check_store, check_tables, read_one
from .sample_catalog import CUT, ORG, SPA, at


@pytest.mark.parametrize("what", ["booking", "catalogue", "response", "span"])
async def test_append_on_a_head_that_has_moved_writes_nothing_of_it_and_all_of_the_others(
    store: LedgerStore, engine: Engine, what: str
) -> None:
    stale, other, third = begun(), begun(OTHER), begun("o_third")
    for script in (stale, other, third):
        script.hold(1, capacity=5)
        await script.write(store)
    moved = begun_again(stale)
    moved.confirm(1)
    await moved.write(store)
    before = [row for row in all_rows(engine.tables()) if row[1] == ORG]

    stale.release(1)
    stale.hold(2, capacity=5)
    stale.keep(KEY, response())
    if what == "response":
        stale.written()
        stale.keep(KEY, response())
    if what == "catalogue":
        stale.put(SPA, StaffMember(id="t_new", name="New", time_zone="UTC"))
        other.put(SPA)
    if what == "span":
        stale.longest_span = other.longest_span = 99 * DAY
    for script in (other, third):
        script.release(1)
        script.hold(2, capacity=3)
        script.keep(KEY, response())
    appends = [other.append(), stale.append(), third.append()]
    if what == "response":
        # The script took its events for written; they are not.
        appends[1] = replace(
            appends[1], before=replace(appends[1].before, seq=3), after=replace(
                appends[1].after, seq=3
            ),
        )  # fmt: skip
    assert await store.append(appends) == {OTHER, "o_third"}
    assert [row for row in all_rows(engine.tables()) if row[1] == ORG] == before
    for script in (other, third):
        script.model.time = script.time
        await check_store(store, script)
    await check_store(store, moved)


def begun_again(script: Script) -> Script:
    """The same organization's script in other hands, as far as it is written."""
    again = Script(script.model.org_id)
    for event in script.model.events:
        again.model.add(event)
    again.model.time = script.model.time
    again.written()
    return again


async def test_append_twice_of_the_same_events_is_written_once(
    store: LedgerStore, engine: Engine
) -> None:
    script = begun()
    await script.write(store)
    script.hold(1)
    append = script.append()
    found = await asyncio.gather(*(store.append([append]) for _ in range(4)))
    assert sorted(map(len, found)) == [0, 0, 0, 1]
    script.model.time = script.time
    await check_store(store, script)
    check_tables(engine.tables(), script)


async def test_groups_that_meet_on_several_heads_write_each_of_them_once(
    store: LedgerStore, engine: Engine
) -> None:
    scripts = [begun(f"o_{number}") for number in range(6)]
    for script in scripts:
        await script.write(store)
        script.hold(1)
        script.model.reservations["h_1"] = script.model.reservations["h_1"]
    appends = [script.append() for script in scripts]
    groups = [appends[n % 3 :: 2] + appends[: n % 3] for n in range(8)]
    outcomes = await asyncio.gather(*(store.append(group) for group in groups))
    written = sorted(org_id for outcome in outcomes for org_id in outcome)
    assert written == sorted({append.before.org_id for group in groups for append in group})
    tables = engine.tables()
    for script in scripts:
        script.model.time = script.time
        await check_store(store, script)
        rows = [row for row in tables["events"] if row["org_id"] == script.model.org_id]
        assert len(rows) == script.model.seq


Refused = pytest.mark.parametrize("with_catalog", [False, True], ids=["plain", "catalogue"])


async def refused(
    store: LedgerStore, engine: Engine, script: Script, bystander: Script, with_catalog: bool
) -> str:
    """Assert that a group with these two is refused as a whole; answers what the store said."""
    bystander.hold(77, staff_id="t_chloe")
    if with_catalog:
        bystander.put(SPA)
        script.put(replace(CUT, name="Lost"))
    before = engine.tables()
    for group in ([bystander, script], [script, bystander], [script]):
        with pytest.raises(AppendRejected) as caught:
            await store.append([one.append() for one in group])
    assert engine.tables() == before
    # The store serves on, and the bystander can be written alone.
    await bystander.write(store)
    await check_store(store, bystander)
    return str(caught.value)


@Refused
@pytest.mark.parametrize(
    "busy",
    [
        (at(9), at(11)),
        (at(9), at(10) + 1),
        (at(10), at(10, 30)),
        (at(10, 30) - 1, at(12)),
        (at(10) + 1, at(10, 30) - 1),
    ],
)
async def test_append_that_overlaps_raises_conflict_and_leaves_everything_as_it_was(
    store: LedgerStore, engine: Engine, busy: tuple[int, int], with_catalog: bool
) -> None:
    script, bystander = begun(), begun(OTHER)
    script.hold(1, resource_ids=("r_room",))
    await script.write(store)
    await bystander.write(store)
    script.hold(2, staff_id="t_ben", start=at(6), end=at(7))
    script.hold(3, staff_id="t_ben", resource_ids=("r_room",), busy=busy)
    script.keep(KEY, response())
    message = await refused(store, engine, script, bystander, with_catalog)
    assert "overlap" in message or "allocations" in message


async def test_holds_that_only_touch_do_not_conflict(store: LedgerStore) -> None:
    script = begun()
    for number, hour in enumerate((10, 9, 11), 1):
        script.hold(number, start=at(hour), end=at(hour + 1))
    await script.write(store)
    await check_store(store, script)


@Refused
async def test_append_with_too_many_seats_raises_conflict_and_leaves_everything_as_it_was(
    store: LedgerStore, engine: Engine, with_catalog: bool
) -> None:
    script, bystander = begun(), begun(OTHER)
    script.hold(1, capacity=3, seats=2)
    await script.write(store)
    await bystander.write(store)
    script.hold(2, session_id="x_1", seats=2)
    message = await refused(store, engine, script, bystander, with_catalog)
    assert "sessions_are_not_oversold" in message


@Refused
async def test_append_of_a_revision_that_exists_raises_conflict_and_leaves_everything_as_it_was(
    store: LedgerStore, engine: Engine, with_catalog: bool
) -> None:
    script, bystander = begun(), begun(OTHER)
    script.hold(1)
    await script.write(store)
    await bystander.write(store)
    script.model.reservations["h_1"] = script.model.reservations["h_1"]._replace(revision=0)
    script.confirm(1)
    message = await refused(store, engine, script, bystander, with_catalog)
    assert "hold_id" in message or "events_by_revision" in message


@Refused
async def test_append_of_a_hold_that_exists_raises_conflict_and_leaves_everything_as_it_was(
    store: LedgerStore, engine: Engine, with_catalog: bool
) -> None:
    script, bystander = begun(), begun(OTHER)
    script.hold(1)
    await script.write(store)
    await bystander.write(store)
    again = begun_again(script)
    again.model.reservations.clear()
    again.written()
    again.hold(1, session_id="x_2", staff_id="t_ben", revision=2)
    await refused(store, engine, again, bystander, with_catalog)


async def left_out(
    store: LedgerStore, engine: Engine, script: Script, bystander: Script, with_catalog: bool
) -> None:
    """Assert that of a group with these two the bystander alone is written, in either order."""

    def rows() -> Tables:
        org_id = script.model.org_id
        return {
            table: [row for row in some if row.get("org_id") == org_id]
            for table, some in engine.tables().items()
        }

    if with_catalog:
        bystander.put(SPA)
        script.put(replace(CUT, name="Lost"))
    before, tables = rows(), engine.tables()
    assert await store.append([script.append()]) == set()
    assert engine.tables() == tables
    for number, group in enumerate(([bystander, script], [script, bystander]), 77):
        bystander.hold(number, staff_id="t_chloe", start=at(number), end=at(number + 1))
        assert await store.append([one.append() for one in group]) == {OTHER}
        bystander.written()
        assert rows() == before
        await check_store(store, bystander)


@Refused
async def test_append_with_a_key_that_is_kept_leaves_everything_as_it_was(
    store: LedgerStore, engine: Engine, with_catalog: bool
) -> None:
    script, bystander = begun(), begun(OTHER)
    script.keep(KEY, response())
    await script.write(store)
    await bystander.write(store)
    script.hold(1)
    script.keep(KEY, response(b"another"))
    await left_out(store, engine, script, bystander, with_catalog)
    assert (await read_one(store, keys=[KEY])).responses == {KEY: response()}


@Refused
async def test_append_that_overlaps_beside_one_with_a_key_that_is_kept_raises_conflict(
    store: LedgerStore, engine: Engine, with_catalog: bool
) -> None:
    repeated, overlapping, bystander = begun("o_repeated"), begun(), begun(OTHER)
    repeated.keep(KEY, response())
    overlapping.hold(1)
    for script in (repeated, overlapping, bystander):
        await script.write(store)
    repeated.keep(KEY, response(b"another"))
    overlapping.hold(2, busy=(at(9), at(11)))
    if with_catalog:
        overlapping.put(replace(CUT, name="Lost"))
    before = engine.tables()
    for scripts in ([repeated, overlapping], [overlapping, repeated]):
        with pytest.raises(AppendRejected):
            await store.append([script.append() for script in scripts])
    assert engine.tables() == before
    bystander.hold(1)
    await bystander.write(store)
