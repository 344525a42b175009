"""The subjects of a hold: a staff member by fairness, a resource for each requirement."""

from collections.abc import Mapping, Sequence, Set
from itertools import compress

from zimun.domain.availability.slots import Choice, Slot
from zimun.domain.catalog.entries import Service

MAX_CACHED_ASSIGNMENTS, MAX_CACHED_FLAGS = 512, 1 << 17
"""How many assignments of one service at one place are cached, and flags of all of them."""


def choose(slot: Slot, load: Mapping[str, tuple[int, int]]) -> Choice:
    """The staff member and the resources that a hold of the slot takes.

    The fullest session with free seats, so that others stay empty; else a new one
    with the staff member who has the fewest bookings that day, then the one
    unused the longest, then the first by the service's list. `load` gives each
    free staff member's (bookings that day, instant of the last booking).
    """
    if slot.joinable:
        session = max(slot.joinable, key=lambda session: (session.seats_taken, session.session_id))
        return Choice(session.staff_id, session.resource_ids, session.session_id)
    assert slot.resource_ids is not None
    staff_id = min(slot.staff_ids, key=lambda staff_id: load.get(staff_id, (0, 0)), default="")
    return Choice(staff_id, slot.resource_ids)


def match(options: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Give each requirement one of its options, no option twice; None where that cannot be."""
    holder = _most_matched(options)
    if len(holder) < len(options):
        return None
    chosen = {requirement: option for option, requirement in holder.items()}
    return tuple(chosen[requirement] for requirement in range(len(options)))


def unmet(options: Sequence[Sequence[str]]) -> list[int]:
    """The requirements that one more option could help: those that can be left out while as many
    as possible are met (Dulmage and Mendelsohn 1958)."""
    max_matched = len(_most_matched(options))
    return [
        n
        for n in range(len(options))
        if len(_most_matched([*options[:n], *options[n + 1 :]])) == max_matched
    ]


def _most_matched(options: Sequence[Sequence[str]]) -> Mapping[str, int]:
    """The requirement that each option is given to, such that as many as possible have one.

    Augmenting paths (Kuhn 1955): a requirement may push another to its next option.
    """
    holder: dict[str, int] = {}

    def place(requirement: int, tried: set[str]) -> bool:
        for option in options[requirement]:
            if option in tried:
                continue
            tried.add(option)
            if option not in holder or place(holder[option], tried):
                holder[option] = requirement
                return True
        return False

    for requirement in range(len(options)):
        place(requirement, set())
    return holder


def assign(service: Service, usable: Set[str]) -> tuple[str, ...] | None:
    """One of the resources for each requirement, all different; None where that cannot be."""
    requirements = service.resource_requirements
    return match(
        [
            [resource_id for resource_id in one_of if resource_id in usable]
            for one_of in requirements
        ]
    )


class Assignments(dict[bytes, tuple[str, ...] | None]):
    """A cache of assignments by flags of the resources that are free."""

    def __init__(self, service: Service, usable: tuple[str, ...]) -> None:
        super().__init__()
        self._service, self._usable = service, usable
        self._max_sets = min(MAX_CACHED_ASSIGNMENTS, MAX_CACHED_FLAGS // max(len(usable), 1))

    def __missing__(self, flags: bytes) -> tuple[str, ...] | None:
        if len(self) >= self._max_sets:
            del self[next(iter(self))]
        self[flags] = assignment = assign(self._service, set(compress(self._usable, flags)))
        return assignment
