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
        _was_free(standing, service, start, subjects, seats, own)
        for subjects in service.combinations(staff_id)
    )


def _was_free(
    standing: Standing,
    service: Service,
    start: int,
    subjects: Iterable[str],
    seats: int,
    own: str,
) -> bool:
    begin, end = service.taken(start)
    taken: dict[str, int] = {}
    for subject in subjects:
        for one in standing[subject]:
            if one.hold_id == own or one.busy[0] >= end or begin >= one.busy[1]:
                continue
            if (one.service_id, one.start) != (service.id, start):
                return False
            taken[one.hold_id] = one.seats
    return sum(taken.values()) + seats <= service.capacity
