"""Readers that have read different parts of the events, in any order, come to the same state."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from zimun.booking.catalog import CreateOrganization
from zimun.booking.reader import Query, Reader
from zimun.booking.store import LedgerStore
from zimun.clock import ManualClock
from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.slots import Busy
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Service, StaffMember
from zimun.domain.errors import ZimunError
from zimun.domain.identity import SCOPES, Caller
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK
from zimun.domain.ledger.reservation import Reservation, State
from zimun.stores import Stores

from ..support.profiles import examples
from .appending import KEY, Script, begun, response
from .booking_client import BookingClient
from .engines import Engine
from .reading import check_store
from .sample_catalog import (
    ALWAYS,
    CLASS,
    CUT,
    KIOSK,
    NOW,
    SALON,
    SPA,
    STAFF,
    at,
    put_catalog,
    salon_entries,
)

few_examples = examples(12, HealthCheck.function_scoped_fixture)

organization_numbers = count()
"""Every example has an organization of its own."""

BORDER = (at(10) // BLOCK + 1) * BLOCK
"""Where one block ends and the next begins, some days after NOW."""

picks = st.integers(0, 11)


@dataclass(frozen=True)
class Step:
    """An event of some kind about something; `ends` says whether the append ends with it."""

    kind: str
    pick: int
    slot: int
    ends: bool

    @property
    def start(self) -> int:
        """When a session begins: an hour or two before a border of blocks, or at it."""
        return BORDER + self.slot // 3 * BLOCK - self.slot % 3 * HOUR

    @property
    def subjects(self) -> Mapping[str, Any]:
        """Who and what a session takes."""
        resource_ids = ((), ("r_room",))[self.pick % 2]
        return {"staff_id": ("t_ada", "t_ben", "")[self.pick % 3], "resource_ids": resource_ids}


KINDS = (
    "hold", "hold", "join", "join", "confirm", "extend", "release", "expire", "cancel", "move",
    "put", "keep",
)  # fmt: skip

steps = st.lists(
    st.builds(Step, st.sampled_from(KINDS), picks, st.integers(0, 8), st.booleans()),
    min_size=5,
    max_size=60,
)


def is_free(script: Script, step: Step) -> bool:
    """Whether nothing takes the subjects of a step near its start."""
    staff_id, resource_ids = step.subjects["staff_id"], step.subjects["resource_ids"]
    subjects = {staff_id, *resource_ids} - {""} or {f"{CUT.id}@"}
    return not any(
        subjects & {*session.subjects}
        for session in script.model.sessions.values()
        if session.busy[0] < step.start + 2 * HOUR and step.start - HOUR < session.busy[1]
    )


def take(script: Script, step: Step) -> None:
    """Add the event of a step, where it is possible."""
    times = {"start": step.start, "end": step.start + HOUR}
    live = [
        one
        for one in script.model.reservations.values()
        if one.state in (State.HELD, State.CONFIRMED)
    ]
    if step.kind == "hold" and is_free(script, step):
        busy = (step.start - HOUR, step.start + 2 * HOUR)
        number = len(script.model.reservations) + 1
        script.hold(
            number, busy=busy, capacity=4, booked_at=NOW + step.pick, **times, **step.subjects
        )
    elif step.kind == "put":
        script.put(replace(CUT, name=f"Cut {step.pick}"))
    elif step.kind == "keep":
        key = KEY._replace(key=f"{len(script.model.responses)}")
        script.keep(key, response(f"response {step.pick}".encode()))
    elif live:
        take_with(script, step, live[step.pick % len(live)], times)


def take_with(script: Script, step: Step, picked: Reservation, times: Mapping[str, int]) -> None:
    """Add the event of a step about a live reservation, where it is possible."""
    number = int(picked.hold_id.removeprefix("h_"))
    held = picked.state is State.HELD
    match step.kind:
        case "join" if script.model.sessions[picked.session_id].seats_taken < 4:
            names = ("session_id", "staff_id", "resource_ids", "start", "end")
            same = {name: getattr(picked, name) for name in names}
            new = len(script.model.reservations) + 1
            script.hold(new, expires_at=NOW + step.pick, **same)
        case "extend" if held:
            script.extend(number, picked.expires_at + step.pick)
        case "confirm" | "release" | "expire" if held:
            getattr(script, step.kind)(number)
        case "cancel" if not held:
            script.cancel(number)
        case "move" if is_free(script, step):
            session_id = f"x_moved_{script.model.seq}"
            script.move(number, session_id, capacity=4, **times, **step.subjects)


@few_examples
@given(steps=steps)
async def test_any_order_of_events_in_any_appends_reads_as_the_model_says(
    store: LedgerStore, steps: list[Step]
) -> None:
    script = begun(f"o_script_{next(organization_numbers)}")
    script.longest_span = 3 * HOUR
    for step in steps:
        take(script, step)
        script.time += 1
        if step.ends:
            await script.write(store)
    await script.write(store)
    await check_store(store, script)


# The same by commands, at two servers.

SERVICES = (CUT, SPA, CLASS, KIOSK)


@dataclass(frozen=True)
class Call:
    """A call of some kind about something; `there` says at which server."""

    kind: str
    pick: int
    slot: int
    there: bool

    @property
    def service(self) -> Service:
        """The service that is held, or asked about."""
        return SERVICES[self.pick % len(SERVICES)]

    @property
    def start(self) -> int:
        """Near the border of two blocks, mostly; SPA's buffers reach over it."""
        return BORDER + (0, HOUR, 2 * HOUR, DAY, BLOCK)[self.slot % 5] - HOUR * (self.slot % 2)


CALLS = (
    "hold", "hold", "hold", "confirm", "confirm", "extend", "release", "cancel", "reschedule",
    "expire", "pass", "put", "ask", "ask", "ask",
)  # fmt: skip

calls = st.lists(
    st.builds(Call, st.sampled_from(CALLS), picks, st.integers(0, 9), st.booleans()),
    min_size=10,
    max_size=60,
)

Answers = tuple[Busy, Mapping[str, int], Sequence[Reservation]]


def question(call: Call, hold_ids: Sequence[str]) -> Query[Answers]:
    """What a call asks: what is busy around its start, staff load of that day, and reservations."""
    day = (call.start // DAY * DAY, (call.start // DAY + 1) * DAY)
    within = (call.start - call.slot * HOUR, call.start + 1 + call.pick * HOUR)

    def ask(ledger: Ledger, timetable: Timetable, now: int) -> Answers:
        catalog = timetable.catalog
        leaving = ledger.reservation(hold_ids[0]) if hold_ids and call.there else None
        return (
            busy_time(
                ledger, catalog, catalog.entry(Service, call.service.id), "", within, now, leaving
            ),
            # Of the last bookings those that were cancelled since may count or not.
            {one: load[0] for one, load in ledger.staff_load(STAFF, day, now).items()},
            [ledger.reservation(hold_id) for hold_id in hold_ids],
        )

    return ask


class Salon:
    """One salon at two servers, and the reservations that their calls made."""

    def __init__(self, servers: Sequence[Stores], clock: ManualClock) -> None:
        self.org_id = f"o_calls_{next(organization_numbers)}"
        self._servers, self._clock = servers, clock
        caller = Caller(self.org_id, "c_desk", frozenset(SCOPES))
        self._desks = [BookingClient(stores, clock, caller) for stores in servers]
        self._held: list[Reservation] = []

    async def open(self) -> None:
        """Make it, with a daily limit for one member of its staff."""
        creation = CreateOrganization(replace(SALON, id=self.org_id), salon_entries())
        await self._servers[0].writer.run(self.org_id, creation, creates=True)
        limited = StaffMember(
            id="t_ben", name="Ben", time_zone="UTC", weekly_hours=ALWAYS, daily_limit=3
        )
        await put_catalog(self._servers[0], limited, org_id=self.org_id)

    async def make(self, call: Call) -> None:
        """Make a call, whatever comes of it."""
        client = self._desks[call.there]
        own = self._held[-1 - call.pick % len(self._held)] if self._held else None
        with suppress(ZimunError):
            match call.kind:
                case "hold":
                    seats = 1 + call.pick % call.service.capacity
                    found = await client.hold(call.start, call.service.id, seats=seats)
                    self._held.append(found)
                case "pass":
                    self._clock.advance((1, MINUTE, 5 * MINUTE, 10 * MINUTE)[call.pick % 4])
                case "expire":
                    await client.expire_holds()
                case "put":
                    changed = replace(CUT, name=f"Cut {call.pick}")
                    await put_catalog(client.stores, changed, org_id=self.org_id)
                case "ask":
                    await self.check(call)
                case "confirm" | "extend" | "release" if own:
                    changed_ = await getattr(client, call.kind)(own.hold_id)
                    self._held[self._held.index(own)] = changed_
                case "cancel" if own:
                    await client.cancel(own.appointment_id)
                case "reschedule" if own:
                    await client.reschedule(own.appointment_id, call.start)

    async def check(self, call: Call, fresh: Reader | None = None) -> None:
        """Assert that both servers answer as a reader does that has caught up with nothing."""
        hold_ids = [one.hold_id for one in self._held[call.pick % 3 :: 3]]
        asked = question(call, hold_ids)
        fresh = fresh or Reader(self._servers[0].ledgers, self._clock)
        expected = await fresh.query(self.org_id, asked)
        for stores in self._servers:
            assert await stores.reader.query(self.org_id, asked) == expected

    async def check_all(self) -> None:
        """The same for every service, around every start."""
        fresh = Reader(self._servers[0].ledgers, self._clock)
        for pick in range(len(SERVICES)):
            for slot in range(5):
                await self.check(Call("ask", 8 + pick, slot, bool(slot % 2)), fresh)


@few_examples
@given(calls=calls)
async def test_reader_that_caught_up_answers_as_one_with_empty_memory(
    engine: Engine, calls: list[Call]
) -> None:
    clock = ManualClock(NOW)
    async with engine.open(clock) as here, engine.open(clock) as there:
        salon = Salon((here, there), clock)
        await salon.open()
        for call in calls:
            await salon.make(call)
        await salon.check_all()
