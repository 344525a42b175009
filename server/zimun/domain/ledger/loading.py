"""Loading parts of a ledger: what a query needs, and what was read for it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from operator import itemgetter
from typing import NamedTuple

from zimun.domain.instant import DAY
from zimun.domain.ledger.events import Session
from zimun.domain.ledger.reservation import Reservation

BLOCK = 8 * DAY
"""How much of a subject's time is loaded at once (microseconds)."""

OPEN_BLOCK = 1 << 40
"""The number of the block of all that is to come: from when it is loaded, without an end."""

LOOK_BACK = 40 * DAY
"""How long before ledger time the appointments of a contact begin that are loaded: longer than any
period of a limit."""

MAX_OF_BLOCK = 100_000
"""The most appointments in a block of the organization that are loaded."""

MAX_OF_CONTACT = 20_000
"""The most appointments that a contact may have, cancelled ones among them, to be loaded."""

CROWDED_SEQS = 1000
"""For how many numbers of the ledger something that has too many bookings counts as such."""

BlockKey = tuple[str, int]
"""A subject (or, of sessions, a service or the organization) and the number of a block since 1970.
"""


class Allocation(NamedTuple):
    """The time for which a session takes a subject; it counts while now < `until`."""

    busy_start: int
    busy_end: int
    until: int
    start: int
    session_id: str


@dataclass(slots=True)
class Needs:
    """The parts of a ledger that a query needs and that are not loaded.

    `blocks` are of subjects, `group_blocks` of services or the organization (their sessions),
    `staff_ids` are those whose last booking is needed, `contacts` those whose
    appointments are.
    """

    blocks: set[BlockKey] = field(default_factory=set)
    group_blocks: set[BlockKey] = field(default_factory=set)
    hold_ids: set[str] = field(default_factory=set)
    appointment_ids: set[str] = field(default_factory=set)
    session_ids: set[str] = field(default_factory=set)
    staff_ids: set[str] = field(default_factory=set)
    contacts: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(
            self.blocks
            or self.group_blocks
            or self.hold_ids
            or self.appointment_ids
            or self.session_ids
            or self.staff_ids
            or self.contacts
        )

    def __ior__(self, other: "Needs") -> "Needs":
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))
        return self

    def parts(self, size: int) -> Iterator["Needs"]:
        """The same in parts, at least one: each of at most `size` blocks of subjects and a quarter
        as many of sessions, as these have more."""
        blocks = sorted(self.blocks, key=itemgetter(1, 0))
        groups = sorted(self.group_blocks, key=itemgetter(1, 0))
        share = size // 4
        yield replace(self, blocks=set(blocks[:size]), group_blocks=set(groups[:share]))
        for number in range(1, max(ceil(len(blocks) / size), ceil(len(groups) / share))):
            yield Needs(
                set(blocks[number * size : (number + 1) * size]),
                set(groups[number * share : (number + 1) * share]),
            )


class NotLoaded(Exception):
    """A query needs parts of the ledger that are not loaded; no caller ever gets it."""

    def __init__(self, needs: Needs) -> None:
        super().__init__()
        self.needs = needs


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read for some `needs`, all at one number of the ledger.

    It may have fewer blocks than were requested, as `needs` tells, but at least one of them.
    `crowded` are the blocks of the organization with more than MAX_OF_BLOCK appointments, and the
    contacts with more than MAX_OF_CONTACT, which are not loaded.
    `allocations` come with their subjects; `sessions` know their members; no
    reservation is among `reservations` twice; `last_booked` has the instant of each staff
    member's last booking.
    """

    needs: Needs
    allocations: Sequence[tuple[str, Allocation]] = ()
    sessions: Sequence[Session] = ()
    reservations: Sequence[Reservation] = ()
    last_booked: Mapping[str, int] = field(default_factory=dict)
    crowded: Collection[BlockKey | str] = ()

    def __bool__(self) -> bool:
        return bool(self.needs or self.crowded)
