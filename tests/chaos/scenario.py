"""What is offered under load, as plain facts: the judge must not learn them from the server."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

HOLD_LENGTH = 8 * SECOND
"""Mostly a move of the clock ends a hold; it is short enough that time alone does, too."""

HOLD_LIMIT = 3
"""How many hold lengths a hold lasts at the most, as the contract says of ExtendHold."""

ORGS = ("o_north", "o_south")
STAFF = ("t_ada", "t_ben", "t_chloe")
ROOMS = ("r_one", "r_two", "r_three")
LOCATIONS = ("l_east", "l_west")

OFF_OWNERS = ("t_ada", "t_ben", "r_one", "r_two", *LOCATIONS)
"""Owners that get time off; none that the group service needs."""

RECURRENCES = ("", *("FREQ=DAILY;COUNT=3",) * 2, "FREQ=DAILY;INTERVAL=2;COUNT=3")
"""How time off recurs under load, if it does."""

IGNORED = ["OPENING_HOURS", "GRID"]
"""Rules that callers with that scope set aside."""

OPENS, CLOSES = 9, 12
"""The hours of a day between which everything is; few starts, so that callers want the same."""


@dataclass(frozen=True)
class Service:
    """A service's facts, in microseconds; `rooms` has one tuple of choices per requirement."""

    id: str
    duration: int
    step: int
    starts: int
    before: int = 0
    after: int = 0
    capacity: int = 1
    staff: tuple[str, ...] = ()
    rooms: tuple[tuple[str, ...], ...] = ()
    locations: tuple[str, ...] = ("",)
    max_a_day: int = 0
    """The most bookings that start on a day, at all its locations together; 0 for any number."""
    max_of_a_customer: int = 0
    """The most appointments that start on a day of customers with the same e-mail address."""
    walks_in: bool = False
    """Whether it is booked within a minute before its start, which no opening hours know."""

    def taken(self, start: int) -> tuple[int, int]:
        """From when to when it takes its people and rooms, buffers included."""
        return start - self.before, start + self.duration + self.after

    def own(self, location_id: str) -> str:
        """What is taken of a service without staff and resources: itself, at a location."""
        return f"{self.id}@{location_id}"

    def subjects(self, location_id: str) -> tuple[str, ...]:
        """The staff members and resources that it can take at a location."""
        rooms = {room for choices in self.rooms for room in choices}
        return (*self.staff, *rooms) or (self.own(location_id),)

    def combinations(self, location_id: str, staff_id: str = "") -> Iterator[tuple[str, ...]]:
        """Every way to staff and house it: the subjects that are taken together."""
        if not self.staff and not self.rooms:
            yield (self.own(location_id),)
            return
        people = [(one,) for one in self.staff if staff_id in ("", one)] if self.staff else [()]
        for person in people:
            for rooms in itertools.product(*self.rooms):
                if len(set(rooms)) == len(rooms):
                    yield (*person, *rooms)

    def times(self, day: int) -> list[int]:
        """The starts of a day that callers ask for."""
        return [day + OPENS * HOUR + number * self.step for number in range(self.starts)]

    def grid(self, day: int) -> range:
        """Every start of a day on which it is offered while nothing is taken."""
        return range(day + OPENS * HOUR, day + CLOSES * HOUR - self.duration + 1, self.step)


SERVICES = {
    service.id: service
    for service in (
        Service("s_cut", 30 * MINUTE, 30 * MINUTE, 4, staff=STAFF, max_of_a_customer=2),
        Service(
            "s_spa",
            HOUR,
            15 * MINUTE,
            6,
            before=10 * MINUTE,
            after=20 * MINUTE,
            staff=("t_ada", "t_ben"),
            rooms=(("r_one", "r_two"),),
        ),
        Service("s_duo", HOUR, 30 * MINUTE, 3, rooms=(("r_one", "r_two"), ("r_two", "r_three"))),
        Service("s_class", HOUR, HOUR, 2, capacity=4, staff=("t_chloe",), rooms=(("r_three",),)),
        Service("s_kiosk", 10 * MINUTE, 10 * MINUTE, 8, after=5 * MINUTE, max_of_a_customer=1),
        Service("s_visit", 30 * MINUTE, 30 * MINUTE, 4, staff=("t_ben",), locations=LOCATIONS),
        Service("s_desk", 20 * MINUTE, 20 * MINUTE, 4, locations=LOCATIONS, max_a_day=3),
        Service("s_walk", 5 * SECOND, HOUR, 2, locations=LOCATIONS, walks_in=True),
    )
}


def occurrences(start: int, end: int, recurrence: str) -> list[tuple[int, int]]:
    """When time off is: once, or every so many days, which are UTC's here."""
    parts = dict(part.split("=") for part in recurrence.split(";")) if recurrence else {}
    step = int(parts.get("INTERVAL", 1)) * DAY
    return [(start + n * step, end + n * step) for n in range(int(parts.get("COUNT", 1)))]


def customer_of(email: str) -> str:
    """Whose address it is: letters of either case are the same."""
    return email.casefold()
