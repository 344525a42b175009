"""Every method of a store of ledgers, in every way that makes another statement of it."""

from dataclasses import replace

from zimun.booking.store import (
    AppointmentFilter,
    HoldFilter,
    LedgerRead,
    LedgerStore,
    ShownContact,
)
from zimun.domain.catalog.entries import Location, Override, Resource, StaffMember
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.instant import DAY, to_datetime
from zimun.domain.ledger.events import OverrideDeleted, TimeOffDeleted
from zimun.domain.ledger.loading import BLOCK, OPEN_BLOCK, Needs
from zimun.domain.ledger.reservation import State

from .appending import KEY, OTHER, Script, begun, response
from .sample_catalog import CLASS, NOW, ORG, TUESDAY, at

FILTERS = (
    AppointmentFilter(),
    AppointmentFilter(service_id="s_spa"),
    AppointmentFilter(staff_id="t_ada"),
    AppointmentFilter(state=State.CONFIRMED),
    AppointmentFilter(start_from=1),
    AppointmentFilter(start_before=1),
    AppointmentFilter(contact_email="Sam@Example.com"),
    AppointmentFilter(location_id="l_1"),
    AppointmentFilter(resource_id="r_1"),
    AppointmentFilter(update_from=NOW),
    AppointmentFilter(descending=True),
    AppointmentFilter("s_spa", "t_ada", State.CONFIRMED, 1, 2),
    AppointmentFilter(contact_email="sam@example.com", start_from=1, descending=True),
)

HOLD_FILTERS = (
    HoldFilter(),
    HoldFilter("s_spa", "t_ada", "l_1"),
    HoldFilter(state=State.HELD),
    HoldFilter(state=State.EXPIRED),
    HoldFilter(state=State.CONFIRMED),
    HoldFilter(state=State.RELEASED),
)

METHODS = frozenset(name for name in vars(LedgerStore) if not name.startswith("_")) - {
    "lanes",
    "shares_transactions",
}


async def run_every_statement(store: LedgerStore) -> None:
    """Call every method; the store is empty before."""
    one, other = begun(), begun(OTHER)
    for script in (one, other):
        await _append(store, script)
    await _append_together(store, one, other)
    await _read(store)
    await store.heads([ORG, OTHER])
    await store.expired_holds(NOW + DAY, 10)
    await store.expired_holds(NOW + DAY, 10, ["o_other"])
    for wanted in FILTERS:
        for after in (None, (1, "a_1")):
            await store.appointments(ORG, wanted, after, 10)
    for holds in HOLD_FILTERS:
        for after_id in ("", "h_1"):
            await store.holds(ORG, holds, NOW, after_id, 10)
    await store.appointment_changes(ORG, "h_1", 1, 10)
    await _erase_contacts(store)
    assert await store.prune(ORG, at(48), 10)
    await store.drop_responses(NOW, [(ORG, *KEY), (OTHER, *KEY)])
    await store.drop_responses(NOW + DAY)
    await store.organization_ids()
    await store.probe()


async def _erase_contacts(store: LedgerStore) -> None:
    await store.contact_holds(ORG, "sam@example.com", "h_1", 10)
    await store.upcoming_of_contact(ORG, "sam@example.com", NOW, 10)
    await store.erase_contact(ORG, ["h_1"], "sam@example.com", "c_desk", NOW, True)
    shown = ShownContact("sam@example.com", "h_1", 2, b"")
    await store.empty_responses(ORG, "sam@example.com", lambda *_: shown, 0.0)
    await store.organizations_with_retention("", 10)
    await store.erase_ended_contacts(ORG, NOW + 10 * DAY, 10)


async def _append(store: LedgerStore, script: Script) -> None:
    """Every kind of change, of one organization."""
    override = Override(owner_id="t_ada", date=to_datetime(TUESDAY).date(), id="v_1")
    time_off = TimeOff(id="f_1", owner_id="t_ada", start=at(1), end=at(2))
    script.put(
        StaffMember(id="t_ada", name="Ada", time_zone="UTC"),
        Resource(id="r_room", name="Room"),
        Location(id="l_1", name="North", time_zone="UTC"),
        override,
        time_off,
    )
    script.longest_span = DAY
    await script.write(store)
    script.put(
        OverrideDeleted(override.id, override.owner_id, override.date), TimeOffDeleted(time_off.id)
    )
    await script.write(store)
    _hold(script)
    await script.write(store)
    _change(script)
    await script.write(store)


async def _append_together(store: LedgerStore, *scripts: Script) -> None:
    """The same changes of several organizations in one group."""
    for change in (_hold, _change):
        for script in scripts:
            change(script)
            script.model.time = script.time
        written = await store.append([script.append() for script in scripts])
        assert len(written) == len(scripts)
        for script in scripts:
            script.written()


def _hold(script: Script) -> None:
    """Holds in five sessions, two of them with seats; they are the last ones made."""
    n = len(script.model.reservations)
    for number in range(n + 1, n + 6):
        start = at(number)
        script.hold(number, start=start, end=start + 1, capacity=1 + 3 * (number % 2))
    script.keep(KEY._replace(key=f"{n}"), response())


def _change(script: Script) -> None:
    """Change each of them in another way."""
    n = len(script.model.reservations) - 5
    script.confirm(n + 1)
    script.release(n + 2)
    script.expire(n + 3)
    script.extend(n + 4, NOW + DAY)
    script.confirm(n + 5)
    script.move(n + 5, f"x_moved_{n}", start=at(n + 20), end=at(n + 21), capacity=4)
    script.keep(KEY._replace(key=f"changed {n}"), response())


async def _read(store: LedgerStore) -> None:
    """What is new, and everything that can be asked for, of few and of many."""
    keys = (KEY._replace(key="0"), KEY)
    head = (await store.heads([ORG]))[ORG]
    block = at(0) // BLOCK
    for count in (1, 2):
        some = range(count)
        needs = Needs(
            blocks={(f"t_{n}", number) for n in some for number in (block, OPEN_BLOCK)},
            group_blocks={
                (CLASS.id, block),
                (CLASS.id, OPEN_BLOCK),
                (ORG, block),
                *((f"s_{number}", block) for number in range(16 * count)),
            },
            hold_ids={f"h_{n}" for n in some},
            appointment_ids={f"a_{n}" for n in some},
            session_ids={f"x_{n}" for n in some},
            staff_ids={f"t_{n}" for n in some},
            contacts={f"sam{n}@example.com" for n in some},
        )
        for seq in (None, 1, head.seq):
            asked = LedgerRead(ORG, seq, head.catalog_version if seq else None, needs, keys)
            await store.read([asked, replace(asked, org_id=OTHER, needs=Needs())])
