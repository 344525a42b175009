"""An organization's ledger in memory: the state after its events, as far as it is loaded.

`evolve(ledger, event)` is the only way from one number (`seq`) to the next
(Chassaing, "Functional event sourcing decider"). A query of something that has not
been loaded raises `NotLoaded`, which names all that is missing; once that is loaded
the query is run again.

Busy time is kept by subject and *block*, eight days at a time. What is not
loaded needs no evolving: it is read as it is when a query needs it. The file is
a little long, as the queries and `evolve` share how blocks are laid out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TypeVar

from zimun.domain import slots
from zimun.domain.blocks import Block, block_numbers, block_of
from zimun.domain.catalog import Catalog, Service
from zimun.domain.errors import AppointmentNotFound, HoldNotFound
from zimun.domain.events import FOREVER, CatalogEvent, Event, Member, ReservationEvent, Session
from zimun.domain.intervals import Interval
from zimun.domain.layers import Layer, new_layer
from zimun.domain.loading import BLOCK, OPEN_BLOCK, Allocation, BlockKey, Loaded, Needs, NotLoaded
from zimun.domain.reservation import LIVE, Reservation, State, contact_key
from zimun.domain.slots import Busy
from zimun.domain.tallies import count

V = TypeVar("V")

_ABSENT = Reservation(
    org_id="",
    hold_id="",
    session_id="",
    service_id="",
    location_id="",
    staff_id="",
    resource_ids=(),
    seats=0,
    start=0,
    end=0,
    state=State.EXPIRED,
    expires_at=0,
    create_time=0,
    update_time=0,
)
"""What is loaded of an id that no reservation has."""

_MAPS = (
    "blocks",
    "group_blocks",
    "sessions",
    "reservations",
    "appointments",
    "last_booked",
    "contacts",
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of an organization at one number.

    `time` is the latest instant at which anything was decided: ledger time does
    not run back. `catalog_version` is the number of the catalogue's last change.
    A ledger shares what was loaded with those that evolved from it, until
    `merged`: then only the merged one may be used. All of them have the same
    `origin`, and no ledger that was read afresh has.
    """

    org_id: str
    seq: int
    time: int
    catalog_version: int
    blocks: "Layer[BlockKey, Block]" = field(default_factory=new_layer)
    group_blocks: "Layer[BlockKey, tuple[str, ...]]" = field(default_factory=new_layer)
    sessions: "Layer[str, Session]" = field(default_factory=new_layer)
    reservations: "Layer[str, Reservation]" = field(default_factory=new_layer)
    appointments: "Layer[str, str]" = field(default_factory=new_layer)
    last_booked: "Layer[str, int]" = field(default_factory=new_layer)
    contacts: "Layer[str, tuple[str, ...]]" = field(default_factory=new_layer)
    origin: object = field(default_factory=object, compare=False)

    def reservation(self, hold_id: str) -> Reservation:
        """The reservation of a hold; raises HoldNotFound or NotLoaded."""
        reservation = self.reservations.get(hold_id)
        if reservation is None:
            raise NotLoaded(Needs(hold_ids={hold_id}))
        if reservation is _ABSENT:
            raise HoldNotFound(hold_id)
        return reservation

    def appointment(self, appointment_id: str) -> Reservation:
        """The reservation of an appointment; raises AppointmentNotFound or NotLoaded."""
        hold_id = self.appointments.get(appointment_id)
        if hold_id is None:
            raise NotLoaded(Needs(appointment_ids={appointment_id}))
        if not hold_id:
            raise AppointmentNotFound(appointment_id)
        return self.reservation(hold_id)

    def session(self, session_id: str) -> Session:
        """A session that has not ended, with its members; raises NotLoaded."""
        session = self.sessions.get(session_id)
        if session is None:
            raise NotLoaded(Needs(session_ids={session_id}))
        return session

    def allocations(
        self, subjects: Iterable[str], within: Interval
    ) -> Iterator[tuple[str, Sequence[Allocation]]]:
        """For each subject what is recorded to take it within an interval, in order.

        What has expired is among it until that is recorded. Raises NotLoaded.
        """
        needs = Needs()
        allocations = self.lookup(subjects, within, needs)
        if needs:
            raise NotLoaded(needs)
        return iter(allocations)

    def lookup(
        self, subjects: Iterable[str], within: Interval, needs: Needs
    ) -> list[tuple[str, Sequence[Allocation]]]:
        """As `allocations`; what is not loaded is added to `needs`."""
        numbers = block_numbers(*within)
        allocations: list[tuple[str, Sequence[Allocation]]] = []
        get = self.blocks.get
        for subject in subjects:
            taken: Sequence[Allocation] = ()
            for number in numbers:
                block = get((subject, number))
                if block is None:
                    needs.blocks.add((subject, number))
                elif number == numbers.start:
                    taken = block.overlapping(within)
                else:
                    # What reaches into it from the block before is there already.
                    taken = (*taken, *block.beginning((number * BLOCK, within[1])))
            allocations.append((subject, taken))
        return allocations

    def has_changed(self, subjects: Iterable[str], within: Interval, seq: int) -> bool:
        """Whether what takes any of some subjects may have changed within an interval since a
        number of this ledger, or is not loaded."""
        get, numbers = self.blocks.get, block_numbers(*within)
        for subject in subjects:
            for number in numbers:
                block = get((subject, number))
                if block is None or block.seq > seq:
                    return True
        return False

    def busy(
        self,
        catalog: Catalog,
        service: Service,
        location_id: str,
        within: Interval,
        now: int,
        leaving: Reservation | None = None,
    ) -> Busy:
        """What is taken within an interval, at `now`, of all that a service could take there.

        What the reservation `leaving` takes does not count. Raises NotLoaded.
        """
        if within[0] >= within[1]:
            return Busy({})
        needs = Needs()
        vacated = _collect(needs, lambda: self._vacated(leaving, now)) if leaving else ""
        taken: dict[str, Sequence[Interval]] = {}
        over: dict[str, list[str]] = {}
        stands_until = FOREVER
        demand = catalog.demand(service, location_id)
        for subject, allocations in self.lookup(demand.subjects, within, needs):
            if not allocations:
                continue
            intervals = []
            for begin, end, until, _, session_id in allocations:
                if until <= now:
                    over.setdefault(subject, []).append(session_id)
                elif session_id != vacated:
                    intervals.append((begin, end))
                    if until < stands_until:
                        stands_until = until
            if intervals:
                taken[subject] = intervals
        tallies = None
        if demand.limits:
            moving = leaving if leaving and leaving.service_id == service.id else None
            asked = self, catalog, service, location_id, within, now, vacated or "", moving
            tallies = _collect(needs, lambda: count(*asked))
        sessions = None
        if service.capacity > 1:
            sessions = _collect(needs, lambda: self._group_sessions(service, within, now, leaving))
        if needs:
            raise NotLoaded(needs)
        if tallies:
            stands_until = min(stands_until, tallies.stands_until)
        return Busy(
            taken, sessions or {}, tallies.by_subject if tallies else {}, stands_until, over
        )

    def _vacated(self, leaving: Reservation, now: int) -> str:
        """The session that ends when a reservation leaves it; empty where others stay."""
        if leaving.state not in LIVE:
            return ""
        session = self.session(leaving.session_id)
        members = (session.members or {}).items()
        stays = any(key != leaving.hold_id and member.until > now for key, member in members)
        return "" if stays else leaving.session_id

    def _group_sessions(
        self, service: Service, within: Interval, now: int, leaving: Reservation | None
    ) -> dict[int, Sequence[slots.Session]]:
        """The sessions of a group service by their start, with the seats taken at `now`."""
        sessions: dict[int, list[slots.Session]] = {}
        left = leaving.hold_id if leaving else ""
        for session in self.sessions_of(service.id, within):
            seats = sum(
                member.seats
                for hold_id, member in (session.members or {}).items()
                if member.until > now and hold_id != left
            )
            if seats:
                shown = slots.Session(
                    session.session_id,
                    session.start,
                    session.end,
                    session.staff_id,
                    session.resource_ids,
                    session.location_id,
                    seats,
                )
                sessions.setdefault(session.start, []).append(shown)
        return {
            start: sorted(some, key=attrgetter("session_id")) for start, some in sessions.items()
        }

    def sessions_of(self, service_id: str, within: Interval) -> list[Session]:
        """The sessions of a service that start within an interval; raises NotLoaded."""
        numbers = block_numbers(*within)
        ids: list[str] = []
        needs = Needs()
        for number in numbers:
            block = self.group_blocks.get((service_id, number))
            if block is None:
                needs.group_blocks.add((service_id, number))
            else:
                ids += block
        sessions = [self.sessions.get(session_id) for session_id in ids]
        needs.session_ids |= {
            one for one, session in zip(ids, sessions, strict=True) if not session
        }
        if needs:
            raise NotLoaded(needs)
        return [one for one in sessions if one and within[0] <= one.start < within[1]]

    def appointments_of(self, contact: str) -> list[Reservation]:
        """The live appointments of a contact, by `contact_key`, from LOOK_BACK before ledger time
        on; raises NotLoaded."""
        hold_ids = self.contacts.get(contact)
        if hold_ids is None:
            raise NotLoaded(Needs(contacts={contact}))
        reservations = [self.reservations.get(hold_id) for hold_id in hold_ids]
        if None in reservations:
            missing = zip(hold_ids, reservations, strict=True)
            raise NotLoaded(Needs(hold_ids={hold_id for hold_id, one in missing if not one}))
        return [
            one
            for one in reservations
            if one and one.state in LIVE and contact_key(one.contact.email) == contact
        ]

    def staff_load(
        self, staff_ids: Sequence[str], day: Interval, now: int
    ) -> Mapping[str, tuple[int, int]]:
        """Each staff member's (bookings that start within the day, instant of the last booking).

        A last booking that has been cancelled since may count or not. Raises NotLoaded.
        """
        needs = Needs()
        load = {}
        parts = [
            (number, (max(number * BLOCK, day[0]), min((number + 1) * BLOCK, day[1])))
            for number in block_numbers(*day)
        ]
        for staff_id in staff_ids:
            count, last = 0, self.last_booked.get(staff_id)
            if last is None:
                needs.staff_ids.add(staff_id)
            for number, part in parts:
                block = self.blocks.get((staff_id, number))
                if block is None:
                    needs.blocks.add((staff_id, number))
                else:
                    count += block.count_starts(part, now)
            load[staff_id] = (count, last or 0)
        if needs:
            raise NotLoaded(needs)
        return load

    def with_loaded(self, loaded: Loaded) -> "Ledger":
        """The ledger with what was read at its number."""
        needs = loaded.needs
        blocks: dict[BlockKey, list[Allocation]] = {key: [] for key in needs.blocks}
        for subject, allocation in loaded.allocations:
            for number in (*block_numbers(allocation.busy_start, allocation.busy_end), OPEN_BLOCK):
                if (block := blocks.get((subject, number))) is not None:
                    block.append(allocation)
        groups: dict[BlockKey, list[str]] = {key: [] for key in needs.group_blocks}
        for session in loaded.sessions:
            for number in (session.start // BLOCK, OPEN_BLOCK):
                if (group := groups.get((session.service_id, number))) is not None:
                    group.append(session.session_id)
        appointments = {
            one.appointment_id: one.hold_id for one in loaded.reservations if one.appointment_id
        }
        contacts: dict[str, list[str]] = {contact: [] for contact in needs.contacts}
        for one in loaded.reservations:
            if (
                one.appointment_id
                and (own := contacts.get(contact_key(one.contact.email))) is not None
            ):
                own.append(one.hold_id)
        return replace(
            self,
            blocks=self.blocks.with_changes(
                {key: block_of(block, self.seq) for key, block in blocks.items()}
            ),
            group_blocks=self.group_blocks.with_changes(
                {key: tuple(group) for key, group in groups.items()}
            ),
            sessions=self.sessions.with_changes({one.session_id: one for one in loaded.sessions}),
            reservations=self.reservations.with_changes(
                dict.fromkeys(needs.hold_ids, _ABSENT)
                | {one.hold_id: one for one in loaded.reservations}
            ),
            appointments=self.appointments.with_changes(
                dict.fromkeys(needs.appointment_ids, "") | appointments
            ),
            last_booked=self.last_booked.with_changes(
                dict.fromkeys(needs.staff_ids, 0) | dict(loaded.last_booked)
            ),
            contacts=self.contacts.with_changes(
                {contact: tuple(hold_ids) for contact, hold_ids in contacts.items()}
            ),
        ).merged()

    def lacks(self, needs: Needs) -> Needs:
        """What of some needs is not loaded by now."""
        return Needs(
            {key for key in needs.blocks if self.blocks.get(key) is None},
            {key for key in needs.group_blocks if self.group_blocks.get(key) is None},
            {key for key in needs.hold_ids if self.reservations.get(key) is None},
            {key for key in needs.appointment_ids if self.appointments.get(key) is None},
            {key for key in needs.session_ids if self.sessions.get(key) is None},
            {key for key in needs.staff_ids if self.last_booked.get(key) is None},
            {key for key in needs.contacts if self.contacts.get(key) is None},
        )

    def merged(self, time: int | None = None) -> "Ledger":
        """The same ledger (at another time, if given), its changes where all later ones share
        them."""
        return Ledger(
            self.org_id,
            self.seq,
            self.time if time is None else time,
            self.catalog_version,
            self.blocks.merged(),
            self.group_blocks.merged(),
            self.sessions.merged(),
            self.reservations.merged(),
            self.appointments.merged(),
            self.last_booked.merged(),
            self.contacts.merged(),
            self.origin,
        )

    def age(self) -> None:
        """Forget what has not been used since this was last called."""
        for name in _MAPS:
            getattr(self, name).base.age()

    def size(self) -> int:
        """About how many rows it holds: the measure of the bound on memory."""
        blocks = sum(1 + len(block.allocations) for block in self.blocks.base.values())
        lists = (*self.group_blocks.base.values(), *self.contacts.base.values())
        groups = sum(1 + len(group) for group in lists)
        others = (self.sessions, self.reservations, self.appointments)
        return blocks + groups + sum(4 * sum(1 for _ in one.base.values()) for one in others)


def evolve(ledger: Ledger, event: Event) -> Ledger:
    """The ledger after its next event; pure, so that a group can be decided and thrown away."""
    seq = ledger.seq + 1
    if isinstance(event, CatalogEvent):
        return replace(ledger, seq=seq, catalog_version=seq)
    own = event.reservation
    blocks: dict[BlockKey, Block] = {}
    groups: dict[BlockKey, tuple[str, ...]] = {}
    sessions: dict[str, Session] = {}
    last_booked: dict[str, int] = {}
    for session in event.sessions:
        _set_allocation(ledger, blocks, session)
        _set_group(ledger, groups, session)
        if session.members is not None:
            sessions[session.session_id] = session
        elif (members := _members(ledger, event, session)) is not None:
            sessions[session.session_id] = session._replace(members=members)
        if session.until and session.staff_id and session.booked_at:
            before = ledger.last_booked.get(session.staff_id)
            if before is not None and before < session.booked_at:
                last_booked[session.staff_id] = session.booked_at
    return Ledger(
        ledger.org_id,
        seq,
        ledger.time,
        ledger.catalog_version,
        ledger.blocks.with_changes(blocks),
        ledger.group_blocks.with_changes(groups),
        ledger.sessions.with_changes(sessions),
        ledger.reservations.with_changes({own.hold_id: own}),
        ledger.appointments.with_changes(
            {own.appointment_id: own.hold_id} if own.appointment_id else {}
        ),
        ledger.last_booked.with_changes(last_booked),
        _contacts(ledger, own),
        ledger.origin,
    )


def _members(
    ledger: Ledger, event: ReservationEvent, session: Session
) -> Mapping[str, Member] | None:
    """The members of a session after an event that does not tell them; None where those before
    are not loaded."""
    existing = ledger.sessions.get(session.session_id)
    if existing is not None and existing.members is not None:
        return event.members_after(session, existing.members)
    after = event.members_after(session, {})
    alone = sum(member.seats for member in after.values()) == session.seats_taken
    return after if alone else None


def _contacts(ledger: Ledger, own: Reservation) -> "Layer[str, tuple[str, ...]]":
    """The appointments by contact; one that has left a contact stays listed."""
    if not own.appointment_id or not own.contact.email:
        return ledger.contacts
    key = contact_key(own.contact.email)
    hold_ids = ledger.contacts.get(key)
    if hold_ids is None or own.hold_id in hold_ids:
        return ledger.contacts
    return ledger.contacts.with_changes({key: (*hold_ids, own.hold_id)})


def _set_allocation(ledger: Ledger, blocks: dict[BlockKey, Block], session: Session) -> None:
    begin, end = session.busy
    new = Allocation(begin, end, session.until, session.start, session.session_id)
    for subject in session.subjects:
        for number in (*block_numbers(begin, end), OPEN_BLOCK):
            key = (subject, number)
            block = blocks.get(key) or ledger.blocks.get(key)
            if block is not None:
                blocks[key] = block.replaced(new, ledger.seq + 1)


def _set_group(ledger: Ledger, groups: dict[BlockKey, tuple[str, ...]], session: Session) -> None:
    for number in (session.start // BLOCK, OPEN_BLOCK):
        key = (session.service_id, number)
        group = groups[key] if key in groups else ledger.group_blocks.get(key)
        if group is not None:
            others = tuple([one for one in group if one != session.session_id])
            groups[key] = (*others, session.session_id) if session.until else others


def _collect(needs: Needs, query: Callable[[], V]) -> V | None:
    """The answer, or None with what it lacks added to `needs`."""
    try:
        return query()
    except NotLoaded as lacking:
        needs |= lacking.needs
        return None
