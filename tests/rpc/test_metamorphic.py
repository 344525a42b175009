"""What has to be true of any catalogue: of a few made by chance, through the real server."""

import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from zimun.booking.catalog import CreateOrganization
from zimun.clock import ManualClock
from zimun.domain.catalog.entries import Organization
from zimun.domain.instant import DAY, MINUTE, from_datetime, rfc3339, to_datetime
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.hold_pb2 import Hold
from zimun.v1.slot_pb2 import Obstacle, Slot

from ..support.rpc import Zimun, refusal, serving
from . import at, confirm_of
from .calls import (
    ErrorParts,
    error_of_refusal,
    error_of_status,
    find_next,
    reschedule_request,
    search,
)
from .catalogue import (
    KINDS,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    WEEK,
    hours,
    minutes,
    put_override,
    settle,
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


def zimun_date(zimun: Zimun) -> date:
    return to_datetime(zimun.clock.now()).date()


def from_date(day: date, chance: random.Random) -> dict[str, Any]:
    """New weekly hours from a date on."""
    return {"valid_from": day.isoformat(), "weekly_hours": some_hours(chance)}


def limits_of(*limits: tuple[str, str, int]) -> list[dict[str, Any]]:
    return [{"per": per, "period": period, "max_bookings": most} for per, period, most in limits]


async def furnish(zimun: Zimun, chance: random.Random) -> None:
    """People in four zones, rooms that two requirements share, a class, limits, overrides."""
    await settle(
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
    day = zimun_date(zimun) + timedelta(days=1)
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


async def rearrange(zimun: Zimun) -> None:
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
        hold = await hold_of(zimun, service_id, chance.choice(slots), asked)
        fate = chance.randrange(5)
        if fate == 0:
            await release(zimun, hold)
        elif fate < 4:
            kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
            if fate == 3:
                cancel = appointments_pb2.CancelAppointmentRequest(
                    appointment_id=kept.appointment_id
                )
                await zimun.call(zimun.appointments.CancelAppointment, cancel)
        if n == 15:
            zimun.clock.advance(16 * 60)
            await rearrange(zimun)


async def hold_of(
    zimun: Zimun, service_id: str, slot: Slot, asked: dict[str, Any], **fields: Any
) -> Hold:
    request = appointments_pb2.HoldAppointmentRequest(
        service_id=service_id, appointment_time=slot.start_time, **{**asked, **fields}
    )
    held: Hold = await zimun.call(zimun.appointments.HoldAppointment, request)
    return held


async def release(zimun: Zimun, hold: Hold) -> None:
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
    async with serving(data_dir, ManualClock(at(STARTS[seed]))) as zimun:
        organization = Organization(id="o_demo", name="We", time_zone="UTC")
        await zimun.stores.writer.run("o_demo", CreateOrganization(organization), creates=True)
        made = World(zimun, data_dir, seed)
        await furnish(zimun, chance)
        await make_exceptions(made, chance)
        await book(made, chance)
        return zimun.clock.now()


@pytest.fixture(scope="module")
def built() -> dict[int, tuple[Path, int]]:
    """Each seed's store, once it is made, and the instant at which it stands."""
    return {}


@pytest_asyncio.fixture(loop_scope="package", params=STARTS, ids=lambda seed: f"seed{seed}")
async def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    built: dict[int, tuple[Path, int]],
) -> AsyncIterator[World]:
    seed: int = request.param
    if seed not in built:
        template = tmp_path_factory.mktemp("built")
        built[seed] = (template, await build(template, seed))
    template, now = built[seed]
    copy_store(template, tmp_path / "world")
    async with serving(tmp_path / "world", ManualClock(now)) as zimun:
        yield World(zimun, tmp_path / "world", seed)


async def test_everything_shown_can_be_held_in_a_copy_of_its_own(
    world: World, tmp_path: Path
) -> None:
    shown = [(question, slot) for question in QUESTIONS for slot in await world.slots(question)]
    assert len(shown) > COPIES
    for n, ((service_id, asked), slot) in enumerate(shown[:: len(shown) // COPIES + 1]):
        copied = tmp_path / f"copy{n}"
        copy_store(world.data_dir, copied)
        async with serving(copied, ManualClock(world.zimun.clock.now())) as zimun:
            hold = await hold_of(zimun, service_id, slot, asked)
            assert (hold.start_time, hold.end_time) == (slot.start_time, slot.end_time)
            assert hold.staff_id in (slot.staff_ids or [""])
            kept = await zimun.call(zimun.appointments.ConfirmAppointment, confirm_of(hold.hold_id))
            assert (kept.start_time, kept.staff_id) == (hold.start_time, hold.staff_id)
        shutil.rmtree(copied)


async def test_everything_shown_can_be_held_and_giving_it_back_restores_the_answer(
    world: World,
) -> None:
    for question in QUESTIONS:
        service_id, asked = question
        before = await world.slots(question)
        for n, slot in enumerate(before):
            hold = await hold_of(world.zimun, service_id, slot, asked)
            assert (hold.start_time, hold.end_time) == (slot.start_time, slot.end_time)
            assert hold.staff_id in (slot.staff_ids or [""])
            day = slot.local_start_time[:10]
            of_day = [each for each in before if each.local_start_time[:10] == day]
            if n % 4 == 0:
                assert await world.slots(question, start_date=day, end_date=day) != of_day
            await release(world.zimun, hold)
            if n % 4 == 0:
                assert await world.slots(question, start_date=day, end_date=day) == of_day
        assert await world.slots(question) == before


async def test_a_slot_has_the_people_and_the_seats_that_it_shows(world: World) -> None:
    """Each of them, and no other, can be asked for by name; so many seats, and no more."""
    zimun, chance = world.zimun, random.Random(world.seed)
    for question in QUESTIONS:
        service_id, asked = question
        shown = await world.slots(question)
        service = await SERVICE.get(zimun, service_id)
        for slot in chance.sample(shown, min(10, len(shown))):
            for staff_id in service.staff_ids:
                asking = hold_of(zimun, service_id, slot, asked, staff_id=staff_id)
                if staff_id in slot.staff_ids:
                    hold = await asking
                    assert hold.staff_id == staff_id
                    await release(zimun, hold)
                else:
                    with pytest.raises(grpc.aio.AioRpcError):
                        await asking
            most = await hold_of(zimun, service_id, slot, asked, seats=slot.seats_left)
            await release(zimun, most)
            if slot.seats_left < service.capacity:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await hold_of(zimun, service_id, slot, asked, seats=slot.seats_left + 1)
                assert refusal(caught.value).reason == "SLOT_UNAVAILABLE"


def times_around(world: World, chance: random.Random) -> list[int]:
    """Twenty minutes apart, and others by chance, from a day before the dates to a day after."""
    first = from_datetime(datetime.fromisoformat(f"{world.today}T00:00:00Z")) - DAY
    steps = range(first, first + 5 * DAY, 20 * MINUTE)
    return [*steps, *(chance.randrange(first, first + 5 * DAY, MINUTE) for _ in range(40))]


async def errors_of(world: World, question: Question, times: list[int]) -> dict[int, ErrorParts]:
    """What stands in the way of each time that cannot be had, by checks of a hundred."""
    service_id, asked = question
    checks = [
        availability_pb2.SlotCheck(service_id=service_id, start_time=timestamp(time), **asked)
        for time in times
    ]
    results: list[Any] = []
    for n in range(0, len(checks), 100):
        request = availability_pb2.BatchCheckAvailabilityRequest(checks=checks[n : n + 100])
        answer = await world.zimun.call(world.zimun.availability.BatchCheckAvailability, request)
        results += answer.results
    return {
        time: error_of_status(result.error)
        for time, result in zip(times, results, strict=True)
        if result.HasField("error")
    }


async def test_everything_not_shown_is_refused_as_it_is_explained(world: World) -> None:
    zimun, chance = world.zimun, random.Random(world.seed)
    refused_for = set()
    for question in QUESTIONS:
        service_id, asked = question
        wide = {
            "start_date": (world.today - timedelta(days=2)).isoformat(),
            "end_date": (world.today + timedelta(days=5)).isoformat(),
        }
        shown = {slot.start_time.ToMicroseconds() for slot in await world.slots(question, **wide)}
        times = times_around(world, chance)
        errors = await errors_of(world, question, times)
        assert set(times) - set(errors) == set(times) & shown
        of_reason: dict[tuple[str, str], list[int]] = {}
        for time, told in errors.items():
            of_reason.setdefault((told[2], told[3].get("rule", "")), []).append(time)
        refused_for |= set(of_reason)
        for time in (
            time for them in of_reason.values() for time in chance.sample(them, min(6, len(them)))
        ):
            named = {"service_id": service_id, **asked}
            refused = await zimun.refused(
                zimun.appointments.HoldAppointment,
                appointments_pb2.HoldAppointmentRequest(appointment_time=timestamp(time), **named),
            )
            assert error_of_refusal(refused) == errors[time]
            explained = await zimun.call(
                zimun.availability.ExplainSlot,
                availability_pb2.ExplainSlotRequest(start_time=timestamp(time), **named),
            )
            assert error_of_status(explained.error) == errors[time]
            assert explained.obstacles
            first = Obstacle.Rule.Name(explained.obstacles[0].rule)
            assert errors[time][3].get("rule", first) == first
            assert {slot.start_time.ToMicroseconds() for slot in refused.alternatives} <= shown
            for slot in refused.alternatives:
                hold = await hold_of(zimun, service_id, slot, asked)
                await release(zimun, hold)
    assert {reason for reason, _ in refused_for} == {
        "LIMIT_REACHED",
        "NOT_A_SLOT",
        "OUTSIDE_BOOKING_WINDOW",
        "SLOT_UNAVAILABLE",
    }


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


async def test_every_time_zone_shows_the_same_instants(world: World) -> None:
    first = from_datetime(datetime.fromisoformat(f"{world.today}T00:00:00Z"))
    wide = {
        "start_date": (world.today - timedelta(days=1)).isoformat(),
        "end_date": (world.today + timedelta(days=3)).isoformat(),
    }
    seen = 0
    for question in QUESTIONS:
        found = {}
        for zone in (*ZONES, "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"):
            slots = await world.slots(question, **wide, time_zone=zone)
            for slot in slots:
                for local, utc in (
                    (slot.local_start_time, slot.start_time),
                    (slot.local_end_time, slot.end_time),
                ):
                    assert from_datetime(datetime.fromisoformat(local)) == utc.ToMicroseconds()
                    assert wide["start_date"] <= slot.local_start_time[:10] <= wide["end_date"]
            found[zone] = [
                slot for slot in instants(slots) if first + DAY // 2 <= slot[0] < first + 3 * DAY
            ]
            assert found[zone] == found["Europe/Berlin"]
        seen += len(found["UTC"])
    assert seen > COPIES


async def test_a_range_is_its_dates_and_days_ahead_are_a_range(world: World) -> None:
    for question in QUESTIONS:
        service_id, asked = question
        whole = await search(world.zimun, service_id, **world.dates, **asked)
        single = [
            await search(
                world.zimun, service_id, (world.today + timedelta(days=n)).isoformat(), **asked
            )
            for n in range(3)
        ]
        assert list(whole.slots) == [slot for found in single for slot in found.slots]
        assert list(whole.days) == [day for found in single for day in found.days]
        ahead = await search(
            world.zimun, service_id, days_ahead=3, **asked, time_zone="Europe/Berlin"
        )
        again = await search(
            world.zimun, service_id, **world.dates, **asked, time_zone="Europe/Berlin"
        )
        assert ahead == again
        following = await find_next(world.zimun, service_id, count=100, **asked)
        wide = await search(world.zimun, service_id, days_ahead=92, **asked)
        assert list(following.slots) == list(wide.slots)[:100]


async def test_asking_for_a_person_or_for_seats_only_narrows(world: World) -> None:
    for question in QUESTIONS:
        service_id, _ = question
        everything = await world.slots(question)
        for staff_id in (await SERVICE.get(world.zimun, service_id)).staff_ids:
            theirs = await world.slots(question, staff_id=staff_id)
            assert [slot.start_time for slot in theirs] == [
                slot.start_time for slot in everything if staff_id in slot.staff_ids
            ]
            assert all(list(slot.staff_ids) == [staff_id] for slot in theirs)
    one = await world.slots(("s_class", {}))
    for seats in (1, 2, 3):
        enough = await world.slots(("s_class", {"seats": seats}))
        assert [slot.start_time for slot in enough] == [
            slot.start_time for slot in one if slot.seats_left >= seats
        ]


async def test_one_more_booking_never_opens_anything(world: World) -> None:
    """Of any service: what is offered after it was offered before, for as many or more."""
    zimun, chance = world.zimun, random.Random(world.seed)
    before = {n: await world.slots(question) for n, question in enumerate(QUESTIONS)}
    for _ in range(12):
        n = chance.randrange(len(QUESTIONS))
        if not before[n]:
            continue
        service_id, asked = QUESTIONS[n]
        await hold_of(zimun, service_id, chance.choice(before[n]), asked)
        for other, question in enumerate(QUESTIONS):
            after = await world.slots(question)
            known = {slot.start_time.ToMicroseconds(): slot for slot in before[other]}
            for slot in after:
                was = known[slot.start_time.ToMicroseconds()]
                assert set(slot.staff_ids) <= set(was.staff_ids)
                assert slot.seats_left <= was.seats_left
            before[other] = after


async def test_to_ignore_an_appointment_is_to_search_as_if_it_were_cancelled(
    world: World, tmp_path: Path
) -> None:
    """And what is offered so can be rescheduled to."""
    zimun, chance = world.zimun, random.Random(world.seed)
    request = appointments_pb2.ListAppointmentsRequest(state="CONFIRMED")
    kept = list((await zimun.call(zimun.appointments.ListAppointments, request)).items)
    assert len(kept) > 5
    for n, appointment in enumerate(chance.sample(kept, 5)):
        named = {"appointment_id": appointment.appointment_id}
        copied = tmp_path / f"copy{n}"
        copy_store(world.data_dir, copied)
        async with serving(copied, ManualClock(zimun.clock.now())) as other:
            cancel = appointments_pb2.CancelAppointmentRequest(**named)
            await other.call(other.appointments.CancelAppointment, cancel)
            for service_id, asked in QUESTIONS:
                said = {
                    "seats": 1,
                    "duration": (await SERVICE.get(zimun, service_id)).duration,
                    "location_id": "" if service_id == "s_class" else "l_east",
                    **asked,
                }
                ignoring = await search(
                    zimun,
                    service_id,
                    **world.dates,
                    **said,
                    ignore_appointment_id=appointment.appointment_id,
                )
                assert ignoring == await search(other, service_id, **world.dates, **said)
        shutil.rmtree(copied)
        own = await search(
            zimun,
            appointment.service_id,
            **world.dates,
            ignore_appointment_id=appointment.appointment_id,
        )
        if appointment.start_time not in [slot.start_time for slot in own.slots]:
            staying = reschedule_request(appointment.appointment_id, appointment.start_time)
            refused = await zimun.refused(zimun.appointments.RescheduleAppointment, staying)
            assert refused.reason in ("NOT_A_SLOT", "OUTSIDE_BOOKING_WINDOW")
        for slot in chance.sample(list(own.slots), min(5, len(own.slots))):
            moved = await zimun.call(
                zimun.appointments.RescheduleAppointment,
                reschedule_request(appointment.appointment_id, slot.start_time),
            )
            assert (moved.start_time, moved.end_time) == (slot.start_time, slot.end_time)


async def test_a_server_that_starts_again_answers_the_same(world: World, tmp_path: Path) -> None:
    copy_store(world.data_dir, tmp_path / "copy")
    async with serving(tmp_path / "copy", ManualClock(world.zimun.clock.now())) as again:
        for service_id, asked in QUESTIONS:
            asking = {**world.dates, **asked}
            before = await search(world.zimun, service_id, **asking)
            assert await search(again, service_id, **asking) == before
        for kind in KINDS:
            before_all = await kind.listed(world.zimun, archived=True)
            assert await kind.listed(again, archived=True) == before_all
