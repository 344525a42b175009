"""`python -m bench.slot_search`: what a search of slots costs, without rows and messages.

Milliseconds of processor time: the first search with a new catalogue, one that
follows (median), and the longest step of each when it goes date by date. Garbage is
collected as rarely as by the programs.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from zimun.app import tune_garbage_collector
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Busy, Slot
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Organization, Place, Resource, Service, StaffMember
from zimun.domain.catalog.weekly_hours import WeeklyHours
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime
from zimun.domain.intervals import Interval

FIRST = date(2026, 3, 2)
MIDNIGHT = from_datetime(datetime(2026, 3, 2, tzinfo=UTC))
OFFICE: WeeklyHours = dict.fromkeys(range(7), ((9 * 60, 17 * 60),))
HALF_HOURS = 16


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A question, and what is booked: so many half hours of each person's day at random."""

    name: str
    days: int
    people: int
    booked: int = 6
    own_hours: bool = False
    archived_room: bool = False
    step: int = 30

    def catalog(self) -> Catalog:
        """The catalogue, with a service that all of its people give."""
        staff = {f"t_{n}": self._member(n) for n in range(self.people)}
        room = Resource(id="r_1", name="Room", active=False)
        service = Service(
            id="s_1",
            name="Service",
            duration=30 * MINUTE,
            slot_step=self.step * MINUTE,
            horizon=2_000 * DAY,
            staff_ids=tuple(staff),
            resource_requirements=(("r_1",),) if self.archived_room else (),
        )
        return Catalog(
            version=1,
            organization=Organization(id="o_1", name="Bench", time_zone="Europe/Berlin"),
            services={"s_1": service},
            locations={},
            staff=staff,
            resources={"r_1": room},
            overrides={},
            longest_span=DAY,
        )

    def _member(self, n: int) -> StaffMember:
        own = ((480 + n % 300, 720 + n % 30), (750 + n % 30, 1020 + n % 300))
        week = dict.fromkeys(range(7), own) if self.own_hours else OFFICE
        return StaffMember(id=f"t_{n}", name="Person", time_zone="Europe/Berlin", weekly_hours=week)

    def busy(self) -> Busy:
        """The bookings of all staff members."""
        random = Random(1)
        return Busy({f"t_{n}": self._booked(random) for n in range(self.people) if self.booked})

    def _booked(self, random: Random) -> list[Interval]:
        return [
            (start, start + 30 * MINUTE)
            for day in range(self.days)
            for slot in sorted(random.sample(range(HALF_HOURS), self.booked))
            for start in [MIDNIGHT + day * DAY + 8 * HOUR + slot * 30 * MINUTE]
        ]


SCENARIOS = (
    Scenario(name="1 day, 5 people", days=1, people=5, booked=8),
    Scenario(name="31 days, 50 people, 10,000 bookings", days=31, people=50),
    Scenario(name="31 days, 50 people, five-minute steps", days=31, people=50, step=5),
    Scenario(name="92 days, 200 people, 110,000 bookings", days=92, people=200),
    Scenario(name="92 days, 300 people, 166,000 bookings", days=92, people=300),
    Scenario(name="  the same, each with hours of their own", days=92, people=300, own_hours=True),
    Scenario(
        name="1,096 days, 200 people, no room",
        days=1_096,
        people=200,
        booked=0,
        archived_room=True,
    ),
)


class Measured:
    """The searches of a scenario with one timetable."""

    def __init__(self, scenario: Scenario) -> None:
        self.catalog, self.busy = scenario.catalog(), scenario.busy()
        self.last = FIRST + timedelta(days=scenario.days - 1)
        self.timetable = Timetable(self.catalog)

    def search(self) -> Search:
        """The question, asked anew."""
        place = Place("", self.catalog.organization.time_zone)
        return Search(
            self.timetable, self.catalog.services["s_1"], place, self.busy, MIDNIGHT - DAY
        )

    def steps(self) -> Sequence[float]:
        """Milliseconds of each step of a search date by date."""
        spent: list[float] = []
        dates = self.search().slots_by_day(FIRST, self.last)
        slots: list[Slot] | None = []
        while slots is not None:
            begin = time.process_time()
            slots = next(dates, None)
            spent.append((time.process_time() - begin) * 1000)
        return spent

    def all(self) -> float:
        """Milliseconds of a search as a whole."""
        begin = time.process_time()
        self.search().slots(FIRST, self.last)
        return (time.process_time() - begin) * 1000


def main(turns: int) -> None:
    """Measure and print each scenario."""
    tune_garbage_collector()
    heads = ("first", "next", "longest step", "of the next")
    print(f"{'milliseconds':<44}" + "".join(f"{head:>14}" for head in heads))
    for scenario in SCENARIOS:
        cold = max(Measured(scenario).steps())
        measured = Measured(scenario)
        first = measured.all()
        following = statistics.median(measured.all() for _ in range(turns))
        warm = max(measured.steps())
        row = (first, following, cold, warm)
        print(f"{scenario.name:<44}" + "".join(f"{spent:>14.3f}" for spent in row))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.slot_search", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    main(**vars(parser.parse_args()))
