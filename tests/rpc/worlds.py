"""Catalogues made by chance, a seed each, with bookings: in a store of their own."""

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from zimun.booking.catalog import CreateOrganization
from zimun.clock import ManualClock
from zimun.domain.catalog.entries import Organization
from zimun.domain.instant import MINUTE, from_datetime, rfc3339, to_datetime
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1.hold_pb2 import Hold
from zimun.v1.slot_pb2 import Slot

from ..support.rpc import Zimun, run_server
from . import at, confirm_of
from .calls import search
from .catalogue import (
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    WEEK,
    hours,
    minutes,
    put_override,
    update_organization,
    weekly,
)
from .time_off import put_time_off

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")

STARTS = {
    9: "2025-12-24T09:07:00Z",  # the next two dates are public holidays
    1: "2026-03-27T09:07:00Z",  # Berlin skips an hour on the 29th
    3: "2026-10-24T09:07:00Z",  # and repeats one on the 25th
}
"""When each seed's world is looked at; three dates are."""

COPIES = 20
"""Stores that are copied for each seed."""

Question = tuple[str, dict[str, Any]]

QUESTIONS: tuple[Question, ...] = (
    ("s_cut", {}),
    ("s_treat", {"location_id": "l_west"}),
    ("s_treat", {"location_id": "l_east", "duration": minutes(90)}),
    ("s_class", {}),
    ("s_class", {"seats": 2}),
    ("s_class", {"duration": minutes(60)}),
    ("s_court", {}),
)


@dataclass(frozen=True)
class World:
    """A server on a catalogue made by chance, and the dates to look at."""

    zimun: Zimun
    data_dir: Path
    seed: int

    @property
    def today(self) -> date:
        return date.fromisoformat(STARTS[self.seed][:10])

    @property
    def dates(self) -> dict[str, str]:
        return {
            "start_date": self.today.isoformat(),
            "end_date": (self.today + timedelta(days=2)).isoformat(),
        }

    async def slots(self, question: Question, **fields: Any) -> list[Slot]:
        service_id, asked = question
        found = await search(self.zimun, service_id, **{**self.dates, **asked, **fields})
        return list(found.slots)


def some_hours(chance: random.Random) -> list[dict[str, str]]:
    """One opening or two on most days of the week."""
    openings = []
    for day in WEEK:
        if chance.random() < 0.15:
            continue
        start = chance.randrange(0, 11 * 60, 30)
        middle = start + chance.randrange(2 * 60, 6 * 60, 30)
        end = min(middle + chance.randrange(3 * 60, 9 * 60, 30), 24 * 60)
        spans = [(start, end)] if chance.random() < 0.5 else [(start, middle), (middle + 60, end)]
        openings += [
            piece for a, b in spans if a < b for piece in weekly(clock_of(a), clock_of(b), [day])
        ]
    return openings


def clock_of(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def today(zimun: Zimun) -> date:
    return to_datetime(zimun.clock.now()).date()


def from_date(day: date, chance: random.Random) -> dict[str, Any]:
    """New weekly hours from a date on."""
    return {"valid_from": day.isoformat(), "weekly_hours": some_hours(chance)}


def limits_of(*limits: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"per": per, "period": period, "max_bookings": most} for per, period, most in limits]


async def create_catalog(zimun: Zimun, chance: random.Random) -> None:
    """People in four zones, rooms that two requirements share, a class, limits, overrides."""
    await update_organization(
        zimun,
        time_zone="Europe/Berlin",
        holiday_region="DE",
        holiday_categories=["catholic", "public"],
        weekly_hours=weekly("00:00", "24:00"),
        hold_length=minutes(15),
        booking_limits=limits_of(("STAFF_MEMBER", "WEEK", 4), ("RESOURCE", "DAY", 3)),
    )
    await LOCATION.create(zimun, id="l_east", weekly_hours=weekly("01:00", "22:30"))
    await LOCATION.create(zimun, id="l_west", time_zone="America/New_York", holiday_region="US-NY")
    places: dict[str, list[str]] = {}
    day = today(zimun) + timedelta(days=1)
    for n, zone in enumerate(ZONES):
        await STAFF.create(
            zimun,
            id=f"t_{n}",
            time_zone=zone,
            weekly_hours=some_hours(chance),
            weekly_hours_periods=chance.choice(([], [from_date(day, chance)])),
            daily_limit=chance.choice((0, 2, 4)),
        )
        places[f"t_{n}"] = chance.choice(([], [], ["l_east"], ["l_west"]))
    for n, place in enumerate(("", "", "l_west")):
        await RESOURCE.create(zimun, id=f"r_{n}", location_id=place)
    await SERVICE.create(
        zimun,
        id="s_cut",
        duration=minutes(30),
        slot_step=minutes(15),
        buffer_before=minutes(5),
        buffer_after=minutes(10),
        lead_time=hours(3),
        horizon=hours(60),
        location_ids=["l_east"],
        staff_ids=["t_0", "t_1", "t_3"],
        booking_limits=limits_of(("SERVICE", "DAY", 4), ("STAFF_MEMBER", "UPCOMING", 6)),
    )
    await SERVICE.create(
        zimun,
        id="s_treat",
        duration=hours(1),
        duration_options=[minutes(30), minutes(90)],
        slot_step=minutes(20),
        buffer_after=minutes(20),
        location_ids=["l_east", "l_west"],
        staff_ids=["t_1", "t_2"],
        resource_requirements=[{"resource_ids": ["r_0", "r_2"]}, {"resource_ids": ["r_0", "r_1"]}],
    )
    await SERVICE.create(
        zimun,
        id="s_class",
        duration=hours(1),
        duration_options=[minutes(30)],
        slot_alignment="HOUR",
        slot_step=minutes(30),
        capacity=3,
        staff_ids=["t_2", "t_3"],
        resource_requirements=[{"resource_ids": ["r_1"]}],
        weekly_hours=weekly("02:30", "23:00"),
        weekly_hours_periods=[from_date(day, chance)],
    )
    await SERVICE.create(
        zimun,
        id="s_court",
        duration=minutes(45),
        slot_step=hours(1),
        slot_alignment="HOUR",
        buffer_before=minutes(30),
        location_ids=["l_east"],
    )
    # Some move to where a service is not offered.
    for staff_id, location_ids in places.items():
        await STAFF.update(zimun, staff_id, ["location_ids"], location_ids=location_ids)


async def make_exceptions(world: World, chance: random.Random) -> None:
    for owner in ("o_demo", "l_east", "l_west", "t_0", "t_1", "t_2", "t_3"):
        for offset in range(-1, 4):
            if chance.random() < 0.7:
                continue
            openings = chance.choice(
                ((), (("00:00", "24:00"),), (("01:30", "03:30"), ("10:00", "21:15")))
            )
            day = (world.today + timedelta(days=offset)).isoformat()
            await put_override(world.zimun, owner, day, *openings, note="Exception")
    for owner in ("o_demo", "l_east", "l_west", "t_0", "t_1", "t_2", "t_3", "r_0", "r_1", "r_2"):
        if chance.random() < 0.6:
            day = (world.today + timedelta(days=chance.randrange(3))).isoformat()
            minute = chance.randrange(0, 24 * 60, 5)
            start = from_datetime(datetime.fromisoformat(f"{day}T{clock_of(minute)}:00Z"))
            end = start + chance.randrange(10, 6 * 60) * MINUTE
            await put_time_off(
                world.zimun, owner, rfc3339(start), rfc3339(end), allow_conflicts=True
            )


async def change_services(zimun: Zimun) -> None:
    """Change the services under the bookings that they have."""
    moved = await STAFF.get(zimun, "t_2")
    await STAFF.update(zimun, "t_2", ["location_ids"])
    await SERVICE.update(
        zimun,
        "s_cut",
        duration=minutes(40),
        buffer_before=minutes(15),
        staff_ids=["t_3", "t_1", "t_2"],
    )
    await STAFF.update(zimun, "t_2", ["location_ids"], location_ids=moved.location_ids)
    await SERVICE.update(zimun, "s_treat", ["buffer_after"])
    await SERVICE.update(zimun, "s_class", capacity=4, duration_options=[minutes(120)])
    await SERVICE.update(zimun, "s_court", duration=minutes(50), slot_step=minutes(20))
    await STAFF.update(zimun, "t_3", time_zone="Europe/Berlin", daily_limit=3)


async def book(world: World, chance: random.Random) -> None:
    """Holds that stay, run out or are given back; appointments that stay or are cancelled."""
    zimun = world.zimun
    for n in range(30):
        service_id, asked = chance.choice(QUESTIONS)
        slots = await world.slots((service_id, asked))
        if not slots:
            continue
        hold = await hold_slot(zimun, service_id, chance.choice(slots), asked)
        fate = chance.randrange(5)
        if fate == 0:
            await release_hold(zimun, hold)
        elif fate < 4:
            kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
            if fate == 3:
                cancel = appointments_pb2.CancelAppointmentRequest(
                    appointment_id=kept.appointment_id
                )
                await zimun.call(zimun.appointments.CancelAppointment, cancel)
        if n == 15:
            zimun.clock.advance(16 * 60)
            await change_services(zimun)


async def hold_slot(
    zimun: Zimun, service_id: str, slot: Slot, asked: dict[str, Any], **fields: Any
) -> Hold:
    request = appointments_pb2.HoldAppointmentRequest(
        service_id=service_id, appointment_time=slot.start_time, **{**asked, **fields}
    )
    held: Hold = await zimun.call(zimun.appointments.HoldAppointment, request)
    return held


async def release_hold(zimun: Zimun, hold: Hold) -> None:
    request = appointments_pb2.ReleaseHoldRequest(hold_id=hold.hold_id)
    await zimun.call(zimun.appointments.ReleaseHold, request)


def copy_store(source: Path, target: Path) -> None:
    """What a server would find had it been stopped now."""
    target.mkdir()
    with (
        closing(sqlite3.connect(source / "zimun.db")) as live,
        closing(sqlite3.connect(target / "zimun.db")) as copy,
    ):
        live.backup(copy)


async def build(data_dir: Path, seed: int) -> int:
    """Make the seed's catalogue and bookings in the directory; the instant at which they stand."""
    chance = random.Random(seed)
    async with run_server(data_dir, ManualClock(at(STARTS[seed]))) as zimun:
        organization = Organization(id="o_demo", name="We", time_zone="UTC")
        await zimun.stores.writer.run("o_demo", CreateOrganization(organization), creates=True)
        made = World(zimun, data_dir, seed)
        await create_catalog(zimun, chance)
        await make_exceptions(made, chance)
        await book(made, chance)
        return zimun.clock.now()


def instants(slots: Iterable[Slot]) -> list[tuple[Any, ...]]:
    """A slot without the words for its zone."""
    return [
        (
            slot.start_time.ToMicroseconds(),
            slot.end_time.ToMicroseconds(),
            tuple(slot.staff_ids),
            slot.seats_left,
        )
        for slot in slots
    ]
