"""What was taken at one moment, and whether a start was free beside it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .ledger import Taking, bookings_key, customer_key, time_off_key
from .scenario import LOCATIONS, SERVICES, Service

Occupancy = Mapping[str, Sequence[Taking]]
"""What was taken of each subject, was time off (`ledger.time_off_key`) and counted for a limit
(`ledger.bookings_key`), of one organization and on one day."""


class SlotQuery(NamedTuple):
    """A start of a service: its place, its staff member (empty: any of them) and its seats.

    What the hold `own` takes is not counted. `email` is that of the appointment's customer.
    """

    service: Service
    location_id: str
    start: int
    staff_id: str = ""
    seats: int = 1
    own: str = ""
    email: str = ""


def has_capacity(occupancy: Occupancy, query: SlotQuery) -> bool:
    """Whether the staff member, or any of them, and all that is needed had the seats.

    A session has them if it has them even with all that is taken there at once. Limits do not
    count.
    """
    return any(
        _left(occupancy, query, subjects) >= query.seats
        for subjects in query.service.combinations(query.location_id, query.staff_id)
    )


def is_limited(occupancy: Occupancy, query: SlotQuery) -> bool:
    """Whether there were as many bookings on the day as the service's limit allows."""
    limit = query.service.max_a_day
    there = {one.hold_id for one in occupancy.get(bookings_key(query.service.id), ())}
    return bool(limit) and len(there - {query.own}) >= limit


def is_customer_limited(occupancy: Occupancy, query: SlotQuery) -> bool:
    """Whether the customer had as many appointments on the day as the service's limit allows."""
    limit = query.service.max_of_a_customer
    there = {one.hold_id for one in occupancy.get(customer_key(query.service.id, query.email), ())}
    return bool(limit and query.email) and len(there - {query.own}) >= limit


def conflicts(occupancy: Occupancy, owner_id: str, span: tuple[int, int]) -> set[str]:
    """The holds of a staff member, a room or a location that overlap a time."""
    of_owner = occupancy.get(owner_id, ())
    if owner_id in LOCATIONS:
        there = (one for some in occupancy.values() for one in some)
        of_owner = [one for one in there if one.location_id == owner_id]
    return {
        one.hold_id
        for one in of_owner
        if one.start < span[1] and span[0] < one.start + SERVICES[one.service_id].duration
    }


def time_off_alone(occupancy: Occupancy) -> Occupancy:
    """What there would be if nothing were booked."""
    return {key: occupancy[key] for key in occupancy if key.startswith(time_off_key(""))}


def slots(
    occupancy: Occupancy, service: Service, location_id: str, day: int
) -> dict[int, tuple[int, int, frozenset[str]]]:
    """By their starts, the end of each open slot, the seats left and the staff who are free, where
    `occupancy` is all that was there at one moment."""
    found = {}
    for start in service.grid(day):
        query = SlotQuery(service, location_id, start)
        if is_limited(occupancy, query):
            continue
        left = {
            one: max(
                _left(occupancy, query, some) for some in service.combinations(location_id, one)
            )
            for one in service.staff or ("",)
        }
        if seats := max(left.values()):
            free = frozenset(one for one in service.staff if left[one])
            found[start] = (start + service.duration, seats, free)
    return found


def _left(occupancy: Occupancy, query: SlotQuery, subjects: Sequence[str]) -> int:
    """How many seats are left of a service at a start with exactly these people and rooms."""
    service, start = query.service, query.start
    ends = start + service.duration
    for owner in (*subjects, query.location_id):
        if any(
            one.busy[0] < ends and start < one.busy[1]
            for one in occupancy.get(time_off_key(owner), ())
        ):
            return 0
    begin, end = service.taken(start)
    taken: dict[str, int] = {}
    for subject in subjects:
        for one in occupancy.get(subject, ()):
            if one.hold_id == query.own or one.busy[0] >= end or begin >= one.busy[1]:
                continue
            if (one.service_id, one.start) != (service.id, start):
                return 0
            taken[one.hold_id] = one.seats
    return max(service.capacity - sum(taken.values()), 0)
