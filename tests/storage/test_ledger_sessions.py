"""What sessions take of people and things, and their members, as a store writes and reads them."""

from dataclasses import replace
from itertools import chain

import pytest

from zimun.booking.store import (
    LedgerStore,
)
from zimun.domain.catalog.entries import Organization
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.instant import DAY, HOUR
from zimun.domain.ledger.blocks import block_of
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.loading import BLOCK, OPEN_BLOCK, Needs
from zimun.domain.ledger.reservation import Reservation
from zimun.storage import loading

from .appending import OTHER, Script, begun, by_id
from .engines import Engine
from .reading import check_loaded, check_store, check_tables, loaded, read_one
from .sample_catalog import CLASS, CUT, KIOSK, NOW, ORG, SPA, at

# What takes people and things.


async def test_hold_takes_its_subjects_until_its_expiry_and_an_appointment_for_ever(
    store: LedgerStore,
) -> None:
    script = begun()
    held = script.hold(1, resource_ids=("r_room",), busy=(at(9), at(12)))
    await script.write(store)
    for expected in (held.expires_at, held.expires_at + 5, FOREVER):
        if expected == FOREVER:
            script.confirm(1)
        elif expected != held.expires_at:
            script.extend(1, expected)
        if script.append().events:
            await script.write(store)
        ledger = await loaded(store, Needs(blocks={("t_ada", at(10) // BLOCK)}))
        [(_, [allocation])] = ledger.allocations(["t_ada"], (at(11), at(11, 30)))
        assert (allocation.busy_start, allocation.busy_end) == (at(9), at(12))
        assert (allocation.start, allocation.until) == (at(10), expected)
        await check_loaded(store, script)


async def test_service_that_needs_nobody_is_itself_taken(store: LedgerStore) -> None:
    script = begun()
    made = script.hold(1, service_id=KIOSK.id, staff_id="")
    await script.write(store)
    taken = service_subject(KIOSK.id, made.location_id)
    ledger = await loaded(store, Needs(blocks={(taken, at(10) // BLOCK)}))
    [(subject, [allocation])] = ledger.allocations([taken], (at(10), at(11)))
    assert (subject, allocation.session_id) == (taken, "x_1")


@pytest.mark.parametrize("end", ["release", "expire", "cancel", "move"])
async def test_session_that_ends_takes_nothing_any_more(
    store: LedgerStore, engine: Engine, end: str
) -> None:
    script = begun()
    script.hold(1, resource_ids=("r_room",))
    script.hold(2, start=at(12), end=at(13))
    if end in ("cancel", "move"):
        script.confirm(1)
    await script.write(store)
    if end == "move":
        script.move(1, "x_3", start=at(15), end=at(16))
    else:
        getattr(script, end)(1)
    await script.write(store)
    sessions = {row["session_id"] for row in engine.tables()["allocations"]}
    assert sessions == ({"x_2", "x_3"} if end == "move" else {"x_2"})
    await check_store(store, script)


async def test_change_touches_no_other_session_and_no_other_organization(
    store: LedgerStore, engine: Engine
) -> None:
    here, there = begun(), begun(OTHER)
    for script in (here, there):
        script.hold(1)
        script.hold(2, start=at(12), end=at(13), capacity=2)
        await script.write(store)
    before = engine.tables()
    here.confirm(1)
    here.release(2)
    await here.write(store)
    after = engine.tables()
    for table in ("allocations", "sessions", "reservations", "events", "ledgers"):
        theirs = [row for row in before[table] if row["org_id"] == OTHER]
        assert theirs
        assert [row for row in after[table] if row["org_id"] == OTHER] == theirs
    await check_store(store, here)
    await check_store(store, there)


async def test_place_that_is_given_up_can_be_taken_in_the_same_append(store: LedgerStore) -> None:
    script = begun()
    script.hold(1, capacity=4)
    script.hold(2, staff_id="t_ben")
    await script.write(store)
    script.release(1)
    script.hold(3, capacity=2)
    script.hold(4, session_id="x_3")
    script.confirm(2)
    script.move(2, "x_5", staff_id="t_ben", start=at(10, 10), end=at(11))
    await script.write(store)
    await check_store(store, script)


async def test_session_that_is_made_and_ends_in_one_append_leaves_its_reservation_alone(
    store: LedgerStore, engine: Engine
) -> None:
    script = begun()
    script.hold(1, capacity=4)
    script.confirm(1)
    script.cancel(1)
    await script.write(store)
    tables = engine.tables()
    assert (tables["allocations"], tables["sessions"]) == ([], [])
    assert len(tables["reservations"]) == 1
    await check_store(store, script)


async def test_long_allocations_that_begin_before_a_block_are_found_in_every_block_they_touch(
    store: LedgerStore,
) -> None:
    script = begun()
    first = at(10) // BLOCK * BLOCK
    script.hold(1, busy=(first - 20 * DAY, first + BLOCK + 1))
    script.hold(2, staff_id="t_ben", busy=(first - DAY, first))
    script.hold(3, staff_id="t_ben", busy=(first + BLOCK - 1, first + BLOCK + 1))
    script.longest_span = 20 * DAY + BLOCK + 1
    await script.write(store)
    await check_loaded(store, script)
    # Each block by itself is as it is among all of them.
    for number in range(first // BLOCK - 4, first // BLOCK + 3):
        for subject in ("t_ada", "t_ben"):
            ledger = await loaded(store, Needs(blocks={(subject, number)}))
            expected = block_of(script.model.block((subject, number)), ledger.seq)
            assert ledger.blocks.get((subject, number)) == expected


async def test_longest_span_never_becomes_shorter(store: LedgerStore, engine: Engine) -> None:
    script = begun()
    script.hold(1, busy=(at(-48), at(11)))
    script.longest_span = 59 * HOUR
    await script.write(store)
    script.hold(2, staff_id="t_ben")
    script.longest_span = HOUR
    await script.write(store)
    script.put(replace(CUT, name="Trim"), Organization(id=ORG, name="Salon 2", time_zone="UTC"))
    await script.write(store)
    [row] = engine.tables()["organizations"]
    assert row["longest_span"] == 59 * HOUR
    script.put(replace(SPA, duration=60 * HOUR, slot_step=HOUR))
    await script.write(store)
    [row] = engine.tables()["organizations"]
    assert row["longest_span"] == 60 * HOUR + SPA.buffer_before + SPA.buffer_after


async def test_last_booking_of_staff_is_the_latest_that_still_stands(store: LedgerStore) -> None:
    script = begun()
    script.hold(1, booked_at=NOW - 3)
    script.hold(2, booked_at=NOW - 1, start=at(12), end=at(13))
    script.hold(3, booked_at=NOW - 5, staff_id="t_ben")
    await script.write(store)
    needs = Needs(staff_ids={"t_ada", "t_ben", "t_chloe"})
    assert dict((await read_one(store, needs=needs)).loaded.last_booked) == {
        "t_ada": NOW - 1,
        "t_ben": NOW - 5,
    }
    script.release(2)
    await script.write(store)
    assert (await read_one(store, needs=needs)).loaded.last_booked["t_ada"] == NOW - 3


# Sessions of groups.


def class_seat(script: Script, number: int, **changes: object) -> Reservation:
    """A hold of a seat of the class at ten."""
    usual: dict[str, object] = {
        "session_id": "x_class",
        "service_id": CLASS.id,
        "staff_id": "t_chloe",
        "resource_ids": ("r_hall",),
        "end": at(11),
        "capacity": 8,
    }
    return script.hold(number, **{**usual, **changes})  # type: ignore[arg-type]


async def test_session_of_a_group_has_its_live_members_with_their_seats(
    store: LedgerStore, engine: Engine
) -> None:
    script = begun()
    class_seat(script, 1, expires_at=NOW + 5)
    class_seat(script, 2, seats=3, expires_at=NOW + 9)
    class_seat(script, 3)
    class_seat(script, 4, session_id="x_b", start=at(12), end=at(13), seats=2)
    await script.write(store)
    script.release(3)
    script.confirm(1)
    await script.write(store)
    ledger = await loaded(store, Needs(group_blocks={(CLASS.id, at(10) // BLOCK)}))
    one, other = sorted(ledger.sessions_of(CLASS.id, (at(0), at(24))), key=lambda s: s.start)
    assert one == script.model.sessions["x_class"]
    assert other == script.model.sessions["x_b"]
    assert (one.seats_taken, one.until, other.seats_taken) == (4, FOREVER, 2)
    check_tables(engine.tables(), script)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_sessions_are_the_same_whatever_the_size_of_pages_and_lists_of_ids(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(loading, "MAX_PAGE", size)
    monkeypatch.setattr(loading, "MAX_IDS", size)
    script = begun()
    for number in range(1, 5):
        class_seat(script, number, seats=number % 2 + 1)
    for number in range(5, 10):
        script.hold(number, start=at(number), end=at(number) + 1, service_id=SPA.id, staff_id="")
    for number in (1, 3, 5, 6, 8):
        script.confirm(number)
    script.cancel(6)
    await script.write(store)
    await check_loaded(store, script)
    open_blocks = {(CLASS.id, OPEN_BLOCK), (SPA.id, OPEN_BLOCK)}
    ledger = await loaded(store, Needs(group_blocks=open_blocks))
    of_services = [ledger.sessions_of(one.id, (NOW, FOREVER)) for one in (CLASS, SPA)]
    assert by_id(chain(*of_services)) == script.model.sessions


async def test_session_ends_with_its_last_live_member(store: LedgerStore, engine: Engine) -> None:
    script = begun()
    class_seat(script, 1, expires_at=NOW + 5)
    class_seat(script, 2, expires_at=NOW + 9)
    await script.write(store)
    script.expire(2)
    await script.write(store)
    assert {row["expires_at"] for row in engine.tables()["allocations"]} == {NOW + 5}
    await check_store(store, script)
    script.release(1)
    await script.write(store)
    tables = engine.tables()
    assert (tables["allocations"], tables["sessions"]) == ([], [])
    await check_store(store, script)


async def test_members_move_between_sessions(store: LedgerStore, engine: Engine) -> None:
    script = begun()
    for number in (1, 2, 3):
        class_seat(script, number, seats=number)
        script.confirm(number)
    class_seat(script, 4, session_id="x_b", start=at(12), end=at(13))
    await script.write(store)
    script.move(1, "x_b", start=at(12), end=at(13))
    script.move(2, "x_c", start=at(14), end=at(15), capacity=8)
    await script.write(store)
    check_tables(engine.tables(), script)
    await check_store(store, script)
    script.move(3, "x_c", start=at(14), end=at(15))
    await script.write(store)
    check_tables(engine.tables(), script)
    await check_store(store, script)
