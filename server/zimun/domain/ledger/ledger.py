"""An organization's ledger in memory: the state after its events, as far as it is loaded.

`evolve` leads from one number (`seq`) to the next. A query of something that has not
been loaded raises `NotLoaded`, which names all that is missing; once that is loaded
the query is run again.

Busy time is kept by subject and *block*, eight days at a time. What is not
loaded needs no evolving: it is read as it is when a query needs it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from zimun.domain.booking_errors import TooManyBookings
from zimun.domain.errors import AppointmentNotFound, HoldNotFound
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.ledger.blocks import Block, block_numbers, block_of
from zimun.domain.ledger.events import Session
from zimun.domain.ledger.layers import Layer, new_layer
from zimun.domain.ledger.loading import (
    BLOCK,
    CROWDED_SEQS,
    MAX_OF_BLOCK,
    MAX_OF_CONTACT,
    OPEN_BLOCK,
    Allocation,
    BlockKey,
    Loaded,
    Needs,
    NotLoaded,
)
from zimun.domain.ledger.reservation import (
    ENTRY_ROWS,
    LIVE,
    Reservation,
    State,
    contact_key,
    rows_of,
)

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
"""Loaded for an id that no reservation has."""

_MAPS = (
    "blocks",
    "group_blocks",
    "sessions",
    "reservations",
    "appointments",
    "last_booked",
    "contacts",
    "crowded",
)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of an organization at one number.

    `time` is the latest instant at which anything was decided: ledger time does
    not run back. `catalog_version` is the number of the catalogue's last change.
    `crowded` are the blocks and contacts with too many bookings to load, each with the number at
    which that was found. A ledger shares what was loaded with those that evolved from it, until
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
    crowded: "Layer[BlockKey | str, int]" = field(default_factory=new_layer)
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

        Expired holds are among it until their expiry is recorded. Raises NotLoaded.
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

    def count(self, subjects: Iterable[str], within: Interval) -> int:
        """How many allocations of some subjects overlap an interval; raises NotLoaded."""
        return sum(len(taken) for _, taken in self.allocations(subjects, within))

    def has_at_most(self, number: int, subjects: Iterable[str], within: Interval) -> bool:
        """Whether all of an interval is loaded, and its blocks have so few allocations of some
        subjects: cheaper than `count`."""
        numbers, total = block_numbers(*within), 0
        for key in product(subjects, numbers):
            block = self.blocks.get(key)
            if block is None:
                return False
            total += len(block.allocations)
        return total <= number

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

    def sessions_of(self, service_id: str, within: Interval) -> list[Session]:
        """The sessions of a service that start within an interval; raises NotLoaded."""
        return self._sessions(service_id, within)

    def all_sessions(self, within: Interval) -> list[Session]:
        """The sessions of all services that start within an interval; raises NotLoaded, or
        TooManyBookings where a block has more than MAX_OF_BLOCK appointments."""
        return self._sessions(self.org_id, within)

    def _sessions(self, owner_id: str, within: Interval) -> list[Session]:
        """The sessions of a service or of the organization."""
        ids: list[str] = []
        needs = Needs()
        for number in block_numbers(*within):
            block = self.group_blocks.get((owner_id, number))
            if block is None:
                if self._is_crowded((owner_id, number)):
                    days = f"the organization's appointments in {BLOCK // DAY} days"
                    raise TooManyBookings(days, MAX_OF_BLOCK)
                needs.group_blocks.add((owner_id, number))
            else:
                ids += block
        sessions = self.sessions.get_all(ids)
        if not all(sessions):
            needs.session_ids |= {
                session_id for session_id, session in zip(ids, sessions, strict=True) if not session
            }
        if needs:
            raise NotLoaded(needs)
        return [
            session for session in sessions if session and within[0] <= session.start < within[1]
        ]

    def appointments_of(self, contact: str) -> list[Reservation]:
        """The live appointments of a contact, by `contact_key`, from LOOK_BACK before ledger time
        on; raises NotLoaded, or TooManyBookings where they are more than MAX_OF_CONTACT."""
        hold_ids = self.contacts.get(contact)
        if hold_ids is None:
            if self._is_crowded(contact):
                raise TooManyBookings("the contact's appointments", MAX_OF_CONTACT)
            raise NotLoaded(Needs(contacts={contact}))
        reservations = [self.reservations.get(hold_id) for hold_id in hold_ids]
        if None in reservations:
            missing = zip(hold_ids, reservations, strict=True)
            raise NotLoaded(
                Needs(hold_ids={hold_id for hold_id, reservation in missing if not reservation})
            )
        return [
            reservation
            for reservation in reservations
            if reservation
            and reservation.state in LIVE
            and contact_key(reservation.contact.email) == contact
        ]

    def _is_crowded(self, key: BlockKey | str) -> bool:
        """Whether there were too many bookings to load, lately."""
        found = self.crowded.get(key)
        return found is not None and self.seq < found + CROWDED_SEQS

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
        """The ledger with what was loaded from the store at its number."""
        needs, reservations = loaded.needs, loaded.reservations
        appointments = {
            reservation.appointment_id: reservation.hold_id
            for reservation in reservations
            if reservation.appointment_id
        }
        return replace(
            self,
            blocks=self.blocks.with_changes(_loaded_blocks(loaded, self.seq)),
            group_blocks=self.group_blocks.with_changes(_loaded_group_blocks(loaded, self.org_id)),
            sessions=self.sessions.with_changes(
                {session.session_id: session for session in loaded.sessions}
            ),
            reservations=self.reservations.with_changes(
                dict.fromkeys(needs.hold_ids, _ABSENT)
                | {reservation.hold_id: reservation for reservation in reservations}
            ),
            appointments=self.appointments.with_changes(
                dict.fromkeys(needs.appointment_ids, "") | appointments
            ),
            last_booked=self.last_booked.with_changes(
                dict.fromkeys(needs.staff_ids, 0) | dict(loaded.last_booked)
            ),
            contacts=self.contacts.with_changes(_loaded_contacts(loaded)),
            crowded=self.crowded.with_changes(dict.fromkeys(loaded.crowded, self.seq)),
        ).merged()

    def lacks(self, needs: Needs) -> Needs:
        """The part of some needs that is not loaded."""
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
        """The same ledger (at another time, if given), its changes merged into the shared
        mappings."""
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
            self.crowded.merged(),
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
        reservations = sum(map(rows_of, self.reservations.base.values()))
        others = (self.sessions, self.appointments)
        entries = sum(sum(1 for _ in layer.base.values()) for layer in others)
        return blocks + groups + reservations + ENTRY_ROWS * entries


def _loaded_blocks(loaded: Loaded, seq: int) -> dict[BlockKey, Block]:
    """The blocks of busy time that were needed."""
    blocks: dict[BlockKey, list[Allocation]] = {key: [] for key in loaded.needs.blocks}
    for subject, allocation in loaded.allocations:
        for number in (*block_numbers(allocation.busy_start, allocation.busy_end), OPEN_BLOCK):
            if (block := blocks.get((subject, number))) is not None:
                block.append(allocation)
    return {key: block_of(block, seq) for key, block in blocks.items()}


def _loaded_group_blocks(loaded: Loaded, org_id: str) -> dict[BlockKey, tuple[str, ...]]:
    """The blocks of sessions, of services or of the organization, that were needed."""
    groups: dict[BlockKey, list[str]] = {key: [] for key in loaded.needs.group_blocks}
    for session in loaded.sessions:
        number = session.start // BLOCK
        service_id = session.service_id
        for key in ((service_id, number), (service_id, OPEN_BLOCK), (org_id, number)):
            if (group := groups.get(key)) is not None:
                group.append(session.session_id)
    return {key: tuple(group) for key, group in groups.items()}


def _loaded_contacts(loaded: Loaded) -> dict[str, tuple[str, ...]]:
    """The appointments of the contacts that were needed."""
    contacts: dict[str, list[str]] = {contact: [] for contact in loaded.needs.contacts}
    for reservation in loaded.reservations:
        hold_ids = contacts.get(contact_key(reservation.contact.email))
        if reservation.appointment_id and hold_ids is not None:
            hold_ids.append(reservation.hold_id)
    return {contact: tuple(hold_ids) for contact, hold_ids in contacts.items()}
