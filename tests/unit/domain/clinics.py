"""Random organizations with many people, rooms and bookings, asked about four weeks."""

import random
from datetime import timedelta

from hypothesis import strategies as st

from zimun.domain.availability.slots import Session
from zimun.domain.catalog.entries import Override, Resource, SlotAlignment, StaffMember
from zimun.domain.instant import DAY, HOUR, MINUTE

from .build import (
    ALL_DAY,
    CHANGES,
    World,
    location,
    member,
    organization,
    resource,
    service,
    session,
    utc,
    world,
)
from .random_worlds import zones

WEEKS = timedelta(days=27)


class _Clinic:
    """A random organization with many people, rooms and bookings, asked about four weeks."""

    def __init__(self, seed: int, zone: str) -> None:
        self.random = random.Random(seed)
        self.zone = zone
        self.first = self.random.choice(CHANGES[zone]) - timedelta(days=self.random.randint(0, 27))
        self.last = self.first + WEEKS
        self.noon = utc(f"{self.first}T12:00")

    def world(self) -> World:
        staff = [self._member(n) for n in range(self.random.choice([0, 1, 12, 60]))]
        rooms = [self._room(n) for n in range(self.random.choice([0, 3, 8]))]
        length = self.random.choice([15, 30, 60])
        offered = service(
            duration=length * MINUTE,
            slot_step=self.random.choice([15, 20, 60]) * MINUTE,
            slot_alignment=self.random.choice([*SlotAlignment]),
            buffer_before=self.random.choice([0, 0, 10]) * MINUTE,
            buffer_after=self.random.choice([0, 5]) * MINUTE,
            lead_time=self.random.choice([0, HOUR, 3 * DAY]),
            horizon=self.random.choice([12, 400]) * DAY,
            capacity=self.random.choice([1, 1, 4]),
            staff_ids=tuple(one.id for one in staff),
            resource_requirements=tuple(self._requirement(rooms) for _ in rooms[:2]),
            location_ids=("l_1",),
        )
        return world(
            offered,
            self.first,
            self.last,
            now=self.noon - self.random.choice([0, 3]) * DAY,
            organization=organization(time_zone="UTC", holiday_region="DE"),
            locations=[location(time_zone=self.zone, weekly_hours=self._week())],
            staff=staff,
            resources=rooms,
            overrides=[self._override(one.id) for one in staff for _ in range(2)]
            + [self._override(self.random.choice(["o_1", "l_1"])) for _ in range(3)],
            holidays={self.first + timedelta(days=self.random.randint(0, 27)): "Holiday"},
            taken=tuple(self._taken(offered.subjects("l_1"))),
            sessions=tuple(self._sessions(offered.staff_ids, length * MINUTE)),
            starts=tuple(
                (one.id, self._instant(5)) for one in staff if one.daily_limit for _ in range(40)
            ),
            staff_id=self.random.choice(["", "", "", *(one.id for one in staff[:1])]),
            seats=self.random.choice([1, offered.capacity]),
        )

    def _instant(self, tick: int) -> int:
        return self.noon + self.random.randint(-12 * 60 // tick, 28 * 1440 // tick) * tick * MINUTE

    def _hours(self) -> tuple[tuple[int, int], ...]:
        start = self.random.choice([0, 480, 540, 545])
        return self.random.choice(
            [
                ((start, 1020),),
                ((start, 720), (750, 1080)),
                ((1200, 1440), (0, 120)),
                ALL_DAY,
                ALL_DAY,
                (),
            ]
        )

    def _week(self) -> dict[int, tuple[tuple[int, int], ...]]:
        usual = self._hours()
        return {day: self.random.choice([usual, usual, self._hours()]) for day in range(7)}

    def _member(self, number: int) -> StaffMember:
        return member(
            id=f"t_{number}",
            active=self.random.random() < 0.9,
            time_zone=self.random.choice([self.zone, self.zone, "Europe/Berlin", "Asia/Kolkata"]),
            weekly_hours=self._week(),
            daily_limit=self.random.choice([0, 0, 2]),
            location_ids=self.random.choice([(), (), ("l_1",), ("l_2",)]),
        )

    def _room(self, number: int) -> Resource:
        return resource(
            id=f"r_{number}",
            active=self.random.random() < 0.9,
            location_id=self.random.choice(["", "l_1", "l_1", "l_2"]),
        )

    def _requirement(self, rooms: list[Resource]) -> tuple[str, ...]:
        return tuple(one.id for one in self.random.sample(rooms, self.random.randint(1, 3)))

    def _override(self, owner_id: str) -> Override:
        day = self.first + timedelta(days=self.random.randint(-1, 28))
        return Override(owner_id=owner_id, date=day, hours=self._hours())

    def _taken(self, subjects: tuple[str, ...]) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        for subject in subjects:
            edges = sorted({self._instant(5) for _ in range(self.random.choice([0, 20, 160]))})
            for start, end in zip(edges[::2], edges[1::2], strict=False):
                found.append((subject, start, min(end, start + 90 * MINUTE)))
        return found

    def _sessions(self, staff_ids: tuple[str, ...], length: int) -> list[Session]:
        return [
            session(
                session_id=f"x_{n}",
                start=start,
                end=start + length,
                staff_id=self.random.choice(staff_ids or ("",)),
                location_id="l_1",
                seats_taken=self.random.randint(1, 4),
            )
            for n, start in enumerate(self._instant(60) for _ in range(60))
        ]


def clinics() -> st.SearchStrategy[World]:
    return st.builds(lambda seed, zone: _Clinic(seed, zone).world(), st.integers(0, 2**32), zones)
