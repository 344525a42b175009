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

OPENS, CLOSES = 9, 12
"""The hours of a day between which everything is; few starts, so that everybody collides."""


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

    def taken(self, start: int) -> tuple[int, int]:
        """From when to when it takes its people and rooms, buffers included."""
        return start - self.before, start + self.duration + self.after

    @property
    def own(self) -> str:
        """What is taken of a service that needs nobody and no room: itself, at no location."""
        return f"{self.id}@"

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everybody and everything that it can take."""
        return (*self.staff, *{room for choices in self.rooms for room in choices}) or (self.own,)

    def combinations(self, staff_id: str = "") -> Iterator[tuple[str, ...]]:
        """Every way to staff and house it: the subjects that are taken together."""
        if not self.staff and not self.rooms:
            yield (self.own,)
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
        Service("s_cut", 30 * MINUTE, 30 * MINUTE, 4, staff=STAFF),
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
        Service("s_kiosk", 10 * MINUTE, 10 * MINUTE, 4, after=5 * MINUTE),
    )
}
