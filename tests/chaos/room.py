"""Whether there was room: what stood, or may have stood, in the way of a start."""

from collections.abc import Iterable, Mapping, Sequence

from .ledger import Taking
from .scenario import Service

Standing = Mapping[str, Sequence[Taking]]
"""What was taken of each subject, of one organization and on one day."""


def was_room(
    standing: Standing, service: Service, start: int, staff_id: str, seats: int, own: str = ""
) -> bool:
    """Whether a staff member, or anybody, with all that is needed, was free for so many: nothing
    was in the way but the hold `own`, or only a session with room for them even if all that is
    standing was there at once."""
    return any(
        _left(standing, service, start, subjects, own) >= seats
        for subjects in service.combinations(staff_id)
    )


def slots(
    standing: Standing, service: Service, day: int
) -> dict[int, tuple[int, int, frozenset[str]]]:
    """By their starts, the end of each open slot, the seats left and the staff who are free, where
    `standing` is all that was there at one moment."""
    found = {}
    for start in service.grid(day):
        left = {
            one: max(_left(standing, service, start, some) for some in service.combinations(one))
            for one in service.staff or ("",)
        }
        if seats := max(left.values()):
            free = frozenset(one for one in service.staff if left[one])
            found[start] = (start + service.duration, seats, free)
    return found


def _left(
    standing: Standing, service: Service, start: int, subjects: Iterable[str], own: str = ""
) -> int:
    """How many seats are left of a service at a start with exactly these people and rooms."""
    begin, end = service.taken(start)
    taken: dict[str, int] = {}
    for subject in subjects:
        for one in standing.get(subject, ()):
            if one.hold_id == own or one.busy[0] >= end or begin >= one.busy[1]:
                continue
            if (one.service_id, one.start) != (service.id, start):
                return 0
            taken[one.hold_id] = one.seats
    return max(service.capacity - sum(taken.values()), 0)
