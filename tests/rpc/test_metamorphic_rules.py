"""What has to be true of time off, limits and hours of any catalogue: of a few made by chance."""

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from zimun.domain.instant import MINUTE, rfc3339
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import overrides_service_pb2, time_off_service_pb2
from zimun.v1.booking_limit_pb2 import BookingLimit
from zimun.v1.slot_pb2 import Slot

from ..support.rpc import Zimun
from .calls import search
from .catalogue import (
    LOCATION,
    SERVICE,
    STAFF,
    drop_override,
    organization,
    update_organization,
    weekly,
)
from .time_off import put_time_off
from .worlds import QUESTIONS, World

Answers = Sequence[Sequence[Slot]]
"""The slots of each question."""

OWNERS = ("o_demo", "l_east", "l_west", "t_0", "t_1", "t_2", "t_3", "r_0", "r_1", "r_2")


async def answers(world: World) -> Answers:
    return [await world.slots(question) for question in QUESTIONS]


def check_narrower(after: Answers, before: Answers) -> None:
    """Whatever is offered was offered before, by the same people and for as many, or by more."""
    for fewer, more in zip(after, before, strict=True):
        known = {slot.start_time.ToMicroseconds(): slot for slot in more}
        for slot in fewer:
            was = known[slot.start_time.ToMicroseconds()]
            assert set(slot.staff_ids) <= set(was.staff_ids)
            assert slot.seats_left <= was.seats_left


async def test_time_off_never_opens_anything_and_without_it_all_is_as_before(world: World) -> None:
    zimun, chance = world.zimun, random.Random(world.seed)
    first = before = await answers(world)
    made = []
    for owner_id in (*chance.sample(OWNERS[1:], 4), "o_demo"):
        shown = chance.choice([slot for slots in before for slot in slots])
        start = shown.start_time.ToMicroseconds() - chance.randrange(0, 60, 5) * MINUTE
        end = start + chance.randrange(65, 5 * 60) * MINUTE
        times = rfc3339(start), rfc3339(end)
        made.append(await put_time_off(zimun, owner_id, *times, allow_conflicts=True))
        after = await answers(world)
        check_narrower(after, before)
        before = after
    assert before != first
    for one in made:
        request = time_off_service_pb2.DeleteTimeOffRequest(time_off_id=one.id)
        await zimun.call(zimun.time_off.DeleteTimeOff, request)
    assert await answers(world) == first


async def set_limits(zimun: Zimun, limits: Mapping[str, Sequence[BookingLimit]]) -> None:
    """Give the organization and services their limits."""
    for owner_id, some in limits.items():
        if owner_id == "o_demo":
            await update_organization(zimun, ["booking_limits"], booking_limits=some)
        else:
            await SERVICE.update(zimun, owner_id, ["booking_limits"], booking_limits=some)


async def test_higher_limits_never_close_anything_and_the_same_ones_answer_the_same(
    world: World,
) -> None:
    zimun, chance = world.zimun, random.Random(world.seed)
    services = ("s_cut", "s_treat", "s_class", "s_court")
    ours = await organization(zimun)
    limits: dict[str, list[BookingLimit]] = {"o_demo": list(ours.booking_limits)}
    for service_id in services:
        limits[service_id] = list((await SERVICE.get(zimun, service_id)).booking_limits)
    first = await answers(world)
    lower = {key: with_another(some, chance) for key, some in limits.items()}
    await set_limits(zimun, lower)
    lowest = await answers(world)
    check_narrower(lowest, first)
    assert lowest != first
    before = lowest
    for _ in range(2):
        lower = {key: [higher(limit) for limit in some] for key, some in lower.items()}
        await set_limits(zimun, lower)
        after = await answers(world)
        check_narrower(before, after)
        before = after
    await set_limits(zimun, limits)
    assert await answers(world) == first
    await set_limits(zimun, dict.fromkeys(limits, ()))
    check_narrower(first, await answers(world))


def with_another(limits: Sequence[BookingLimit], chance: random.Random) -> list[BookingLimit]:
    """The same with a limit of one, which may be instead of a higher one."""
    per = chance.choice(("STAFF_MEMBER", "SERVICE", "RESOURCE"))
    period = chance.choice(("DAY", "WEEK", "MONTH", "UPCOMING"))
    one = BookingLimit(per=per, period=period, max_bookings=1)
    others = [each for each in limits if (each.per, each.period) != (one.per, one.period)]
    return [*others, one]


def higher(limit: BookingLimit) -> BookingLimit:
    """One more."""
    most = limit.max_bookings + 1
    return BookingLimit(per=limit.per, period=limit.period, max_bookings=most)


async def test_an_appointment_that_is_cancelled_leaves_limits_as_they_were(world: World) -> None:
    zimun = world.zimun
    before = await answers(world)
    for (service_id, asked), slots in zip(QUESTIONS, before, strict=True):
        for slot in slots[:: max(len(slots) // 2, 1)][:2]:
            request = appointments_pb2.BookAppointmentRequest(
                service_id=service_id,
                appointment_time=slot.start_time,
                contact_name="Sam",
                contact_email="sam@example.com",
                **asked,
            )
            booked = await zimun.call(zimun.appointments.BookAppointment, request)
            during = await answers(world)
            assert during != before
            check_narrower(during, before)
            cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=booked.appointment_id)
            await zimun.call(zimun.appointments.CancelAppointment, cancel)
            assert await answers(world) == before


def repeated(entry: Any, days: Sequence[date]) -> list[dict[str, Any]]:
    """The hours of an entry once more: from each of some dates on those that are valid then."""
    known = {one.valid_from: one.weekly_hours for one in entry.weekly_hours_periods}
    for day in map(date.isoformat, days):
        begun = [one for one in sorted(known) if one <= day]
        known.setdefault(day, known[begun[-1]] if begun else entry.weekly_hours)
    return [{"valid_from": one, "weekly_hours": known[one]} for one in sorted(known)]


async def test_periods_that_repeat_weekly_hours_change_nothing(world: World) -> None:
    zimun = world.zimun
    before = [await search(zimun, one, **world.dates, **asked) for one, asked in QUESTIONS]
    days = [world.today + timedelta(days=offset) for offset in (-3, 0, 1, 2)]
    field = "weekly_hours_periods"
    entries = [(STAFF, f"t_{n}") for n in range(4)] + [(LOCATION, "l_east"), (SERVICE, "s_class")]
    for kind, entry_id in entries:
        periods = repeated(await kind.get(zimun, entry_id), days)
        await kind.update(zimun, entry_id, [field], **{field: periods})
    ours = repeated(await organization(zimun), days)
    await update_organization(zimun, [field], weekly_hours_periods=ours)
    after = [await search(zimun, one, **world.dates, **asked) for one, asked in QUESTIONS]
    assert after == before


async def drop_overrides(zimun: Zimun, *owner_ids: str) -> None:
    """Delete the overrides of some owners."""
    request = overrides_service_pb2.ListOverridesRequest(page_size=1000)
    for override in (await zimun.call(zimun.overrides.ListOverrides, request)).items:
        if override.owner_id in owner_ids:
            await drop_override(zimun, override.id)


async def test_hours_of_a_service_that_are_those_of_its_place_change_nothing(world: World) -> None:
    """Where an override opens the place longer, the service keeps its own hours."""
    zimun = world.zimun
    places = {"s_cut": weekly("01:00", "22:30"), "s_court": weekly("00:00", "24:00")}
    for service_id, hours in places.items():
        before = await world.slots((service_id, {}))
        await SERVICE.update(zimun, service_id, ["weekly_hours"], weekly_hours=hours)
        after = await world.slots((service_id, {}))
        check_narrower([after], [before])
        assert service_id == "s_cut" or after == before
    await drop_overrides(zimun, "o_demo", "l_east")
    for service_id in places:
        with_hours = await world.slots((service_id, {}))
        await SERVICE.update(zimun, service_id, ["weekly_hours"])
        assert with_hours
        assert with_hours == await world.slots((service_id, {}))
