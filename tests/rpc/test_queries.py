"""The questions of availability: next, check, explain; lengths, seats, and one's own time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from zimun.domain.instant import DAY, MINUTE
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Obstacle, Slot

from ..support.rpc import FRIDAY_MORNING, Zimun
from . import at, hold_of, stamp
from .asking import (
    booked,
    explain,
    find_next,
    held,
    hold_refused,
    move_of,
    search,
    times,
    told_by,
    told_in,
)
from .catalogue import (
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    Fields,
    days,
    hours,
    minutes,
    put_override,
    settle,
    weekly,
)

MONDAY = "2025-12-01"
TUESDAY = "2025-12-02"
TEN = f"{MONDAY}T10:00:00Z"
ELEVEN = f"{MONDAY}T11:00:00Z"


def starts(slots: Any) -> list[str]:
    return [slot.start_time.ToJsonString() for slot in slots]


async def moved(zimun: Zimun, appointment_id: str, start: Any, **fields: Any) -> Any:
    return await zimun.call(
        zimun.appointments.RescheduleAppointment, move_of(appointment_id, start, **fields)
    )


# The next slots


@pytest.mark.parametrize("count", [1, 2, 17, 100])
@pytest.mark.parametrize("service_id", ["s_123", "s_treatment", "s_yoga"])
async def test_the_next_slots_are_the_first_of_a_search(
    zimun: Zimun, service_id: str, count: int
) -> None:
    await booked(zimun, f"{MONDAY}T09:00:00Z", service_id)
    found = await find_next(zimun, service_id, count=count)
    searched = await search(zimun, service_id, days_ahead=60)
    assert list(found.slots) == list(searched.slots)[:count]
    assert len(found.slots) == count
    assert (found.service_id, found.time_zone) == (service_id, "UTC")


async def test_one_slot_is_found_unless_more_are_wanted(zimun: Zimun) -> None:
    found = await find_next(zimun, "s_123")
    assert starts(found.slots) == ["2025-11-28T09:00:00Z"]


@pytest.mark.parametrize("count", [0, -1, 101])
async def test_a_count_is_one_to_a_hundred(zimun: Zimun, count: int) -> None:
    request = availability_pb2.FindNextAvailableRequest(service_id="s_123", count=count)
    refused = await zimun.refused(zimun.availability.FindNextAvailable, request)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"count"})


async def test_the_next_slots_lie_beyond_closed_weeks(zimun: Zimun) -> None:
    member = await STAFF.create(zimun)
    service = await SERVICE.create(zimun, staff_ids=[member.id], horizon=days(400))
    assert list((await find_next(zimun, service.id, count=5)).slots) == []
    await put_override(zimun, member.id, "2026-12-31", ("10:00", "11:00"))
    found = await find_next(zimun, service.id, count=5)
    assert starts(found.slots) == ["2026-12-31T10:00:00Z", "2026-12-31T10:30:00Z"]
    await put_override(zimun, member.id, "2026-06-01", ("23:30", "24:00"))
    found = await find_next(zimun, service.id, count=2, time_zone="Asia/Tokyo")
    assert starts(found.slots) == ["2026-06-01T23:30:00Z", "2026-12-31T10:00:00Z"]
    assert found.time_zone == "Asia/Tokyo"
    assert found.slots[0].local_start_time == "2026-06-02T08:30:00+09:00"


async def test_the_next_slots_end_with_the_horizon(zimun: Zimun) -> None:
    service = await SERVICE.create(zimun, duration=hours(1), horizon=days(2))
    found = await find_next(zimun, service.id, count=100)
    assert len(found.slots) == 49
    assert starts(found.slots)[-1] == "2025-11-30T09:00:00Z"
    zimun.clock.instant += 1
    found = await find_next(zimun, service.id, count=100)
    assert starts(found.slots)[0] == "2025-11-28T10:00:00Z"
    assert starts(found.slots)[-1] == "2025-11-30T09:00:00Z"
    later = timestamp(FRIDAY_MORNING + 2 * DAY + 2)
    assert not (await find_next(zimun, service.id, count=100, start_time_from=later)).slots


async def test_the_next_slots_start_no_sooner_than_asked(zimun: Zimun) -> None:
    at_ten = await find_next(zimun, "s_123", start_time_from=stamp(TEN))
    assert starts(at_ten.slots) == [TEN]
    past_ten = await find_next(zimun, "s_123", start_time_from=timestamp(at(TEN) + 1))
    assert starts(past_ten.slots) == [f"{MONDAY}T10:30:00Z"]


@pytest.mark.parametrize("service_id", ["s_123", "s_treatment"])
@pytest.mark.parametrize(
    "text", ["2025-11-28T08:59:59Z", "2024-02-29T00:00:00Z", "1971-01-02T00:00:00Z"]
)
async def test_from_the_past_means_from_now(zimun: Zimun, service_id: str, text: str) -> None:
    now = await find_next(zimun, service_id, count=10)
    assert await find_next(zimun, service_id, count=10, start_time_from=stamp(text)) == now


async def test_the_next_slots_are_of_whom_and_for_as_many_as_asked(zimun: Zimun) -> None:
    await booked(zimun, "2025-11-28T09:00:00Z", staff_id="t_ben")
    found = await find_next(zimun, "s_123", staff_id="t_ben", count=2)
    assert starts(found.slots) == ["2025-11-28T09:30:00Z", "2025-11-28T10:00:00Z"]
    assert [list(slot.staff_ids) for slot in found.slots] == [["t_ben"]] * 2
    await held(zimun, "2025-11-28T09:00:00Z", "s_yoga", seats=6)
    for seats, first in ((2, "09"), (3, "10"), (8, "10")):
        found = await find_next(zimun, "s_yoga", seats=seats)
        assert starts(found.slots) == [f"2025-11-28T{first}:00:00Z"]


# What every question refuses


WRONG: list[tuple[Fields, str]] = [
    ({"service_id": ""}, "service_id"),
    ({"service_id": "s 1"}, "service_id"),
    ({"service_id": "s_9"}, "SERVICE_NOT_FOUND"),
    ({"location_id": "l_9"}, "LOCATION_NOT_FOUND"),
    ({"staff_id": "t_9"}, "STAFF_NOT_FOUND"),
    ({"ignore_appointment_id": "a_9"}, "APPOINTMENT_NOT_FOUND"),
    ({"ignore_appointment_id": "a 9"}, "ignore_appointment_id"),
    ({"service_id": "s_yoga", "staff_id": "t_ada"}, "staff_id"),
    ({"seats": 0}, "seats"),
    ({"seats": -1}, "seats"),
    ({"seats": 2}, "seats"),
    ({"service_id": "s_yoga", "seats": 9}, "seats"),
    ({"duration": minutes(45)}, "duration"),
    ({"duration": minutes(0)}, "duration"),
    ({"duration": minutes(-30)}, "duration"),
    ({"duration": {"seconds": 1800, "nanos": 1}}, "duration"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
]

QUESTIONS: dict[str, Fields] = {
    "GetAvailability": {"date": MONDAY},
    "FindNextAvailable": {},
    "ExplainSlot": {"start_time": stamp(TEN)},
}


@pytest.mark.parametrize(("fields", "told"), WRONG)
async def test_every_question_refuses_alike(zimun: Zimun, fields: Fields, told: str) -> None:
    for question, usual in QUESTIONS.items():
        request = getattr(availability_pb2, f"{question}Request")(
            **{"service_id": "s_123", **usual, **fields}
        )
        refused = await zimun.refused(getattr(zimun.availability, question), request)
        if told.isupper():
            assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, told), question
        else:
            assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
            assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {told}), question


@pytest.mark.parametrize("question", QUESTIONS)
async def test_where_a_service_has_several_locations_a_question_names_one(
    zimun: Zimun, question: str
) -> None:
    places = [(await LOCATION.create(zimun)).id for _ in range(3)]
    service = await SERVICE.create(zimun, location_ids=places[:2])
    build = getattr(availability_pb2, f"{question}Request")
    ask = getattr(zimun.availability, question)
    for chosen in ("", places[2]):
        said = {"service_id": service.id, "location_id": chosen, **QUESTIONS[question]}
        refused = await zimun.refused(ask, build(**said))
        assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"location_id"})
    said = {"service_id": service.id, "location_id": places[1], **QUESTIONS[question]}
    assert (await zimun.call(ask, build(**said))).service_id == service.id


@pytest.mark.parametrize("question", QUESTIONS)
async def test_another_organizations_things_are_not_asked_about(
    zimun: Zimun, question: str
) -> None:
    ask = getattr(zimun.availability, question)
    request = getattr(availability_pb2, f"{question}Request")(
        service_id="s_123", **QUESTIONS[question]
    )
    refused = await zimun.refused(ask, request, org_id="o_other")
    assert refused.reason == "SERVICE_NOT_FOUND"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (availability_pb2.ExplainSlotRequest(service_id="s_123"), "start_time"),
        (
            availability_pb2.ExplainSlotRequest(
                service_id="s_123", start_time=stamp("9998-12-01T10:00:00Z")
            ),
            "start_time",
        ),
        (availability_pb2.BatchCheckAvailabilityRequest(), "checks"),
        (
            availability_pb2.FindNextAvailableRequest(
                service_id="s_123", start_time_from={"seconds": 0, "nanos": 1}
            ),
            "start_time_from",
        ),
    ],
)
async def test_a_question_without_a_time_is_refused(
    zimun: Zimun, request_: Message, field: str
) -> None:
    ask = getattr(zimun.availability, type(request_).__name__.removesuffix("Request"))
    refused = await zimun.refused(ask, request_)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})


# Many checks at once


def check_of(text: str, service_id: str = "s_123", **fields: Any) -> availability_pb2.SlotCheck:
    return availability_pb2.SlotCheck(service_id=service_id, start_time=stamp(text), **fields)


async def checked(zimun: Zimun, *checks: availability_pb2.SlotCheck, **fields: Any) -> list[Any]:
    request = availability_pb2.BatchCheckAvailabilityRequest(checks=checks, **fields)
    answer = await zimun.call(zimun.availability.BatchCheckAvailability, request)
    return list(answer.results)


async def test_a_hundred_checks_are_answered_in_their_order(zimun: Zimun) -> None:
    await held(zimun, TEN, staff_id="t_ada")
    asked = [timestamp(at(f"{MONDAY}T08:00:00Z") + n * 5 * MINUTE) for n in range(100)]
    answers = await checked(
        zimun, *(availability_pb2.SlotCheck(service_id="s_123", start_time=each) for each in asked)
    )
    offered = {
        slot.start_time.ToMicroseconds(): slot
        for slot in (await search(zimun, "s_123", MONDAY)).slots
    }
    assert len(answers) == 100
    for each, answer in zip(asked, answers, strict=True):
        slot = offered.get(each.ToMicroseconds())
        assert answer.WhichOneof("result") == ("slot" if slot else "error")
        assert answer.slot == (slot or Slot())
    assert sum(answer.HasField("slot") for answer in answers) == 15


async def test_a_hundred_and_one_checks_are_refused(zimun: Zimun) -> None:
    request = availability_pb2.BatchCheckAvailabilityRequest(checks=[check_of(TEN)] * 101)
    refused = await zimun.refused(zimun.availability.BatchCheckAvailability, request)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"checks"})


@pytest.mark.parametrize(
    ("check", "field"),
    [
        (availability_pb2.SlotCheck(service_id="s_123"), "checks[3].start_time"),
        (availability_pb2.SlotCheck(start_time=stamp(TEN)), "checks[3].service_id"),
        (check_of(TEN, "s 9"), "checks[3].service_id"),
        (check_of(TEN, location_id="!"), "checks[3].location_id"),
        (check_of(TEN, seats=0), "checks[3].seats"),
        (check_of(TEN, duration=minutes(-1)), "checks[3].duration"),
        (
            availability_pb2.SlotCheck(service_id="s_123", start_time={"nanos": 1}),
            "checks[3].start_time",
        ),
    ],
)
async def test_a_malformed_check_is_refused_by_its_number(
    zimun: Zimun, check: availability_pb2.SlotCheck, field: str
) -> None:
    request = availability_pb2.BatchCheckAvailabilityRequest(
        checks=[check_of(TEN)] * 3 + [check, check_of(TEN)]
    )
    refused = await zimun.refused(zimun.availability.BatchCheckAvailability, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})


async def test_checks_name_an_unknown_zone_of_their_request(zimun: Zimun) -> None:
    request = availability_pb2.BatchCheckAvailabilityRequest(
        checks=[check_of(TEN)], time_zone="Mars/Olympus"
    )
    refused = await zimun.refused(zimun.availability.BatchCheckAvailability, request)
    assert set(refused.fields) == {"time_zone"}


REFUSED: list[Fields] = [
    {"service_id": "s_9"},
    {"location_id": "l_9"},
    {"staff_id": "t_9"},
    {"service_id": "s_yoga", "staff_id": "t_ada"},
    {"seats": 2},
    {"service_id": "s_yoga", "seats": 9},
    {"duration": minutes(45)},
    {"text": f"{MONDAY}T10:10:00Z"},
    {"text": f"{MONDAY}T08:00:00Z"},
    {"text": "2025-11-29T10:00:00Z"},
    {"text": "2025-11-27T10:00:00Z"},
    {"text": "2026-11-27T10:00:00Z"},
    {"text": "2025-12-25T10:00:00Z"},
    {"staff_id": "t_ada"},
    {"service_id": "s_yoga", "seats": 3},
    {"service_id": "s_treatment"},
    {"service_id": "s_treatment", "text": "2025-11-28T10:30:00Z"},
    {"service_id": "s_gone"},
    {"location_id": "l_nowhere"},
]


async def test_the_error_of_a_check_is_the_one_of_a_hold(zimun: Zimun) -> None:
    """And of an explanation; each check stands by itself between those that can be had."""
    await settle(zimun, holiday_region="US")
    await SERVICE.create(zimun, id="s_gone")
    await SERVICE.archive(zimun, "s_gone")
    await LOCATION.create(zimun, id="l_nowhere")
    await held(zimun, TEN, staff_id="t_ada")
    await held(zimun, TEN, "s_yoga", seats=6)
    await held(zimun, TEN, staff_id="t_ben")
    asked = [{"text": TEN, "service_id": "s_123"} | dict(fields) for fields in REFUSED]
    good = check_of(f"{MONDAY}T13:00:00Z")
    checks = [one for fields in asked for one in (check_of(**fields), good)]
    answers = await checked(zimun, *checks)
    assert {answer.WhichOneof("result") for answer in answers[1::2]} == {"slot"}
    for fields, answer in zip(asked, answers[::2], strict=True):
        assert answer.WhichOneof("result") == "error", fields
        refused = await hold_refused(zimun, **fields)
        assert told_by(answer.error) == told_in(refused), fields
        start = fields.pop("text")
        explaining = availability_pb2.ExplainSlotRequest(start_time=stamp(start), **fields)
        if refused.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
            told = await zimun.refused(zimun.availability.ExplainSlot, explaining)
            assert told_in(told) == told_in(refused), fields
        else:
            explained = await zimun.call(zimun.availability.ExplainSlot, explaining)
            assert told_by(explained.error) == told_in(refused), fields
            assert explained.obstacles


async def test_checks_do_not_take_from_each_other(zimun: Zimun) -> None:
    answers = await checked(zimun, *[check_of(TEN, "s_yoga", seats=8)] * 3)
    assert [answer.slot.seats_left for answer in answers] == [8, 8, 8]
    answers = await checked(zimun, check_of(TEN), time_zone="America/New_York")
    assert answers[0].slot.local_start_time == "2025-12-01T05:00:00-05:00"


# Explanations


Setup = Callable[[Zimun], Awaitable[Fields]]
"""Makes a service `s_x` and what stands in its way; gives what to ask."""


@dataclass(frozen=True)
class Case:
    """A time that cannot be had: why, as people would say, and with which error."""

    setup: Setup
    rules: list[tuple[str, str]]
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)


async def service(zimun: Zimun, **fields: Any) -> None:
    await SERVICE.create(zimun, **{"id": "s_x", "duration": hours(1), **fields})


async def member(zimun: Zimun, **fields: Any) -> None:
    await STAFF.create(zimun, **{"id": "t_x", "weekly_hours": weekly("08:00", "18:00"), **fields})


async def _service_inactive(zimun: Zimun) -> Fields:
    await service(zimun)
    await SERVICE.archive(zimun, "s_x")
    return {}


async def _location_inactive(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await service(zimun, location_ids=["l_x"])
    await LOCATION.archive(zimun, "l_x")
    return {}


async def _holiday(zimun: Zimun) -> Fields:
    await settle(zimun, holiday_region="GB-SCT")
    await service(zimun)
    return {}


async def _closed(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x", weekly_hours=weekly("08:00", "10:59"))
    await service(zimun, location_ids=["l_x"])
    return {}


async def _closed_by_override(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await put_override(zimun, "l_x", MONDAY, note="Burst pipe")
    await service(zimun, location_ids=["l_x"])
    return {}


async def _not_on_grid(zimun: Zimun) -> Fields:
    await service(zimun, slot_step=minutes(45))
    return {}


async def _lead_time(zimun: Zimun) -> Fields:
    await service(zimun, lead_time=minutes(73 * 60 + 1))
    return {}


async def _horizon(zimun: Zimun) -> Fields:
    await service(zimun, horizon=minutes(73 * 60 - 1))
    return {}


async def _staff_inactive(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"])
    await STAFF.archive(zimun, "t_x")
    return {}


async def _staff_elsewhere(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], location_ids=["l_x"])
    await STAFF.update(zimun, "t_x", location_ids=["l_main"])
    return {}


async def _staff_closed(zimun: Zimun) -> Fields:
    await member(zimun, weekly_hours=weekly("08:00", "10:30"))
    await service(zimun, staff_ids=["t_x"])
    return {}


async def _staff_busy(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], buffer_before=minutes(10), buffer_after=minutes(20))
    await held(zimun, TEN, "s_x")
    return {}


async def _limit_reached(zimun: Zimun) -> Fields:
    await service(zimun, booking_limits=[{"max_bookings": 1, "period": "MONTH", "per": "SERVICE"}])
    await held(zimun, f"{MONDAY}T14:00:00Z", "s_x")
    return {}


async def _staff_daily_limit(zimun: Zimun) -> Fields:
    await member(zimun, daily_limit=1)
    await service(zimun, staff_ids=["t_x"])
    await held(zimun, f"{MONDAY}T14:00:00Z", "s_x")
    return {}


async def _resource_inactive(zimun: Zimun) -> Fields:
    await RESOURCE.create(zimun, id="r_x")
    await service(zimun, resource_requirements=[{"resource_ids": ["r_x"]}])
    await RESOURCE.archive(zimun, "r_x")
    return {}


async def _resource_elsewhere(zimun: Zimun) -> Fields:
    await LOCATION.create(zimun, id="l_x")
    await RESOURCE.create(zimun, id="r_x", location_id="l_x")
    await service(zimun, resource_requirements=[{"resource_ids": ["r_x"]}], location_ids=["l_x"])
    await RESOURCE.update(zimun, "r_x", location_id="l_main")
    return {}


async def _resource_busy(zimun: Zimun) -> Fields:
    await RESOURCE.create(zimun, id="r_x")
    await service(
        zimun,
        resource_requirements=[{"resource_ids": ["r_x"]}],
        buffer_before=minutes(10),
        buffer_after=minutes(20),
    )
    await held(zimun, TEN, "s_x")
    return {}


async def _resources_shared(zimun: Zimun) -> Fields:
    for name in ("r_x", "r_y"):
        await RESOURCE.create(zimun, id=name)
    await service(
        zimun,
        resource_requirements=[{"resource_ids": ["r_x", "r_y"]}, {"resource_ids": ["r_x"]}],
    )
    await SERVICE.create(
        zimun, id="s_y", duration=hours(1), resource_requirements=[{"resource_ids": ["r_y"]}]
    )
    await held(zimun, TEN, "s_y")
    return {}


async def _service_busy(zimun: Zimun) -> Fields:
    await service(zimun, buffer_before=minutes(10), buffer_after=minutes(20))
    await held(zimun, TEN, "s_x")
    return {}


async def _seats_taken(zimun: Zimun) -> Fields:
    await member(zimun)
    await service(zimun, staff_ids=["t_x"], capacity=5)
    await held(zimun, TEN, "s_x", seats=4)
    return {"seats": 2}


CASES = {
    "SERVICE_INACTIVE": Case(
        _service_inactive,
        [("SERVICE_INACTIVE", "s_x")],
        "NOT_A_SLOT",
        {"rule": "SERVICE_INACTIVE"},
    ),
    "LOCATION_INACTIVE": Case(
        _location_inactive,
        [("LOCATION_INACTIVE", "l_x")],
        "NOT_A_SLOT",
        {"rule": "LOCATION_INACTIVE"},
    ),
    "HOLIDAY": Case(
        _holiday,
        [("HOLIDAY", "o_demo")],
        "NOT_A_SLOT",
        {"rule": "HOLIDAY", "note": "Saint Andrew's Day (observed)"},
    ),
    "CLOSED": Case(_closed, [("CLOSED", "l_x")], "NOT_A_SLOT", {"rule": "CLOSED"}),
    "CLOSED by an override": Case(
        _closed_by_override,
        [("CLOSED", "l_x")],
        "NOT_A_SLOT",
        {"rule": "CLOSED", "note": "Burst pipe"},
    ),
    "NOT_ON_GRID": Case(
        _not_on_grid, [("NOT_ON_GRID", "s_x")], "NOT_A_SLOT", {"rule": "NOT_ON_GRID"}
    ),
    "LEAD_TIME": Case(
        _lead_time,
        [("LEAD_TIME", "s_x")],
        "OUTSIDE_BOOKING_WINDOW",
        {"rule": "LEAD_TIME", "opens": "2025-12-01T10:01:00Z", "closes": "2026-01-27T09:00:00Z"},
    ),
    "HORIZON": Case(
        _horizon,
        [("HORIZON", "s_x")],
        "OUTSIDE_BOOKING_WINDOW",
        {"rule": "HORIZON", "opens": "2025-11-28T09:00:00Z", "closes": "2025-12-01T09:59:00Z"},
    ),
    "STAFF_INACTIVE": Case(
        _staff_inactive, [("STAFF_INACTIVE", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_INACTIVE"}
    ),
    "STAFF_ELSEWHERE": Case(
        _staff_elsewhere, [("STAFF_ELSEWHERE", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_ELSEWHERE"}
    ),
    "STAFF_CLOSED": Case(
        _staff_closed, [("STAFF_CLOSED", "t_x")], "NOT_A_SLOT", {"rule": "STAFF_CLOSED"}
    ),
    "STAFF_BUSY": Case(_staff_busy, [("STAFF_BUSY", "t_x")], "SLOT_UNAVAILABLE"),
    "STAFF_DAILY_LIMIT": Case(
        _staff_daily_limit, [("STAFF_DAILY_LIMIT", "t_x")], "SLOT_UNAVAILABLE"
    ),
    "LIMIT_REACHED": Case(
        _limit_reached,
        [("LIMIT_REACHED", "s_x")],
        "LIMIT_REACHED",
        {
            "per": "SERVICE",
            "period": "MONTH",
            "max_bookings": "1",
            "owner_id": "s_x",
            "subject_id": "s_x",
            "ends": "2026-01-01T00:00:00Z",
        },
    ),
    "RESOURCE_INACTIVE": Case(
        _resource_inactive,
        [("RESOURCE_INACTIVE", "r_x")],
        "NOT_A_SLOT",
        {"rule": "RESOURCE_INACTIVE"},
    ),
    "RESOURCE_ELSEWHERE": Case(
        _resource_elsewhere,
        [("RESOURCE_ELSEWHERE", "r_x")],
        "NOT_A_SLOT",
        {"rule": "RESOURCE_ELSEWHERE"},
    ),
    "RESOURCE_BUSY": Case(_resource_busy, [("RESOURCE_BUSY", "r_x")], "SLOT_UNAVAILABLE"),
    "RESOURCES_SHARED": Case(
        _resources_shared,
        [("RESOURCE_BUSY", "r_y"), ("RESOURCES_SHARED", "s_x")],
        "SLOT_UNAVAILABLE",
    ),
    "SERVICE_BUSY": Case(_service_busy, [("SERVICE_BUSY", "s_x")], "SLOT_UNAVAILABLE"),
    "SEATS_TAKEN": Case(_seats_taken, [("SEATS_TAKEN", "s_x")], "SLOT_UNAVAILABLE"),
}


@pytest.mark.parametrize("name", CASES)
async def test_an_explanation_names_the_rule_and_whom_it_is_about(zimun: Zimun, name: str) -> None:
    case = CASES[name]
    fields = await case.setup(zimun)
    explained = await explain(zimun, "s_x", TEN, **fields)
    found = [(Obstacle.Rule.Name(each.rule), each.subject_id) for each in explained.obstacles]
    assert found == case.rules
    assert all(each.message for each in explained.obstacles)
    assert explained.WhichOneof("result") == "error"
    refused = await hold_refused(zimun, TEN, "s_x", **fields)
    assert told_by(explained.error) == told_in(refused)
    assert refused.reason == case.reason
    assert case.metadata.get("rule", found[0][0]) == found[0][0]
    wanted = case.metadata or {"service_id": "s_x"}
    assert dict(refused.info.metadata) == wanted
    (answer,) = await checked(zimun, check_of(TEN, "s_x", **fields))
    assert told_by(answer.error) == told_in(refused)
    assert TEN not in starts((await search(zimun, "s_x", MONDAY, **fields)).slots)
    if note := wanted.get("note", ""):
        assert note in {each.note for each in explained.obstacles}


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].reason == "NOT_A_SLOT"])
async def test_the_rule_of_a_refusal_is_one_that_error_reason_lists(
    zimun: Zimun, name: str
) -> None:
    fields = await CASES[name].setup(zimun)
    refused = await hold_refused(zimun, TEN, "s_x", **fields)
    listed = {
        "SERVICE_INACTIVE",
        "LOCATION_INACTIVE",
        "HOLIDAY",
        "CLOSED",
        "STAFF_INACTIVE",
        "STAFF_ELSEWHERE",
        "STAFF_CLOSED",
        "NOT_ON_GRID",
        "RESOURCE_INACTIVE",
        "RESOURCE_ELSEWHERE",
    }
    assert refused.info.metadata["rule"] in listed


def test_every_rule_is_explained_here() -> None:
    explained = {rule for case in CASES.values() for rule, _ in case.rules}
    assert explained == set(Obstacle.Rule.keys()) - {"RULE_UNSPECIFIED"}


@pytest.mark.parametrize("name", ["STAFF_BUSY", "RESOURCE_BUSY", "SERVICE_BUSY"])
@pytest.mark.parametrize("start", [f"{MONDAY}T09:00:00Z", TEN, ELEVEN])
async def test_what_is_taken_is_taken_with_its_buffers(zimun: Zimun, name: str, start: str) -> None:
    fields = await CASES[name].setup(zimun)
    explained = await explain(zimun, "s_x", start, **fields)
    (obstacle,) = explained.obstacles
    assert obstacle.busy_start == stamp(f"{MONDAY}T09:50:00Z")
    assert obstacle.busy_end == stamp(f"{MONDAY}T11:20:00Z")


async def test_what_is_taken_for_no_one_is_not_said(zimun: Zimun) -> None:
    fields = await CASES["NOT_ON_GRID"].setup(zimun)
    (obstacle,) = (await explain(zimun, "s_x", TEN, **fields)).obstacles
    assert not obstacle.HasField("busy_start")
    assert not obstacle.HasField("busy_end")


async def test_an_explanation_says_everything_that_stands_in_the_way(zimun: Zimun) -> None:
    """The service and the place, each staff member, each resource; in the request's order."""
    for name, week in (("t_p", "10:30"), ("t_q", "18:00"), ("t_r", "18:00")):
        await STAFF.create(zimun, id=name, weekly_hours=weekly("08:00", week))
    await RESOURCE.create(zimun, id="r_x")
    await service(
        zimun,
        staff_ids=["t_r", "t_q", "t_p"],
        resource_requirements=[{"resource_ids": ["r_x"]}],
        slot_alignment="HOUR",
    )
    await held(zimun, TEN, "s_x", staff_id="t_q")
    await STAFF.archive(zimun, "t_r")
    await SERVICE.update(zimun, "s_x", lead_time=days(10))
    await SERVICE.archive(zimun, "s_x")
    await put_override(zimun, "o_demo", MONDAY)
    explained = await explain(zimun, "s_x", f"{MONDAY}T10:20:00Z")
    found = [(Obstacle.Rule.Name(each.rule), each.subject_id) for each in explained.obstacles]
    subjects = [subject for _, subject in found]
    assert set(found) >= {
        ("SERVICE_INACTIVE", "s_x"),
        ("CLOSED", "o_demo"),
        ("LEAD_TIME", "s_x"),
        ("STAFF_INACTIVE", "t_r"),
        ("STAFF_BUSY", "t_q"),
        ("STAFF_CLOSED", "t_p"),
        ("RESOURCE_BUSY", "r_x"),
    }
    ranks = [{"s_": 0, "o_": 0, "t_": 1, "r_": 2}[subject[:2]] for subject in subjects]
    assert ranks == sorted(ranks)
    refused = await hold_refused(zimun, f"{MONDAY}T10:20:00Z", "s_x")
    assert told_by(explained.error) == told_in(refused)


async def test_who_is_busy_does_not_matter_while_somebody_is_free(zimun: Zimun) -> None:
    await held(zimun, TEN, staff_id="t_ada")
    explained = await explain(zimun, "s_123", TEN, time_zone="Asia/Tokyo")
    assert (explained.service_id, explained.time_zone) == ("s_123", "Asia/Tokyo")
    assert explained.WhichOneof("result") == "slot"
    assert list(explained.obstacles) == []
    assert list(explained.slot.staff_ids) == ["t_ben", "t_chloe"]
    assert explained.slot.local_start_time == "2025-12-01T19:00:00+09:00"
    explained = await explain(zimun, "s_123", TEN, staff_id="t_ada")
    assert [each.subject_id for each in explained.obstacles] == ["t_ada"]
    refused = await hold_refused(zimun, TEN, staff_id="t_ada")
    assert told_by(explained.error) == told_in(refused)


# Lengths


async def lengthy(zimun: Zimun, **fields: Any) -> str:
    """A service of half an hour, an hour or two hours, given by one person from nine to noon."""
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"))
    made = await SERVICE.create(
        zimun,
        duration=minutes(30),
        slot_step=minutes(30),
        duration_options=[hours(1), hours(2)],
        staff_ids=["t_x"],
        **fields,
    )
    return str(made.id)


async def test_a_search_is_for_the_length_that_is_chosen(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    for length, last in ((None, "11:30"), (30, "11:30"), (60, "11:00"), (120, "10:00")):
        fields = {"duration": minutes(length)} if length else {}
        found = await search(zimun, service_id, MONDAY, **fields)
        assert found.slots[-1].local_start_time[11:16] == last
        for slot in found.slots:
            span = slot.end_time.ToMicroseconds() - slot.start_time.ToMicroseconds()
            assert span == (length or 30) * MINUTE
        nearest = await find_next(
            zimun, service_id, count=100, start_time_from=stamp(f"{MONDAY}T00:00:00Z"), **fields
        )
        assert list(nearest.slots)[: len(found.slots)] == list(found.slots)


async def test_a_hold_lasts_as_long_as_is_chosen(zimun: Zimun) -> None:
    service_id = await lengthy(zimun, buffer_after=minutes(30))
    hold = await held(zimun, f"{MONDAY}T09:30:00Z", service_id, duration=hours(1))
    assert hold.end_time == stamp(f"{MONDAY}T10:30:00Z")
    assert await times(zimun, service_id, MONDAY) == ["11:00", "11:30"]
    assert await times(zimun, service_id, MONDAY, duration=hours(1)) == ["11:00"]
    assert await times(zimun, service_id, MONDAY, duration=hours(2)) == []
    refused = await hold_refused(zimun, ELEVEN, service_id, duration=hours(2))
    assert (refused.reason, refused.info.metadata["rule"]) == ("NOT_A_SLOT", "STAFF_CLOSED")
    explained = await explain(zimun, service_id, ELEVEN, duration=hours(2))
    assert told_by(explained.error) == told_in(refused)
    explained = await explain(zimun, service_id, ELEVEN, duration=hours(1))
    assert explained.slot.end_time == stamp(f"{MONDAY}T12:00:00Z")
    refused = await hold_refused(zimun, TEN, service_id, duration=hours(1))
    assert refused.reason == "SLOT_UNAVAILABLE"
    assert refused.alternatives
    for slot in refused.alternatives:
        assert slot.end_time.seconds - slot.start_time.seconds == 3600
        held_ = hold_of(slot.start_time.ToJsonString(), service_id, duration=hours(1))
        await zimun.call(zimun.appointments.HoldAppointment, held_)


@pytest.mark.parametrize("length", [1, 15, 45, 90, 180])
async def test_a_length_that_is_not_offered_is_refused(zimun: Zimun, length: int) -> None:
    service_id = await lengthy(zimun)
    refused = await hold_refused(zimun, TEN, service_id, duration=minutes(length))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"duration"})
    requests = (
        availability_pb2.GetAvailabilityRequest(
            service_id=service_id, date=MONDAY, duration=minutes(length)
        ),
        availability_pb2.FindNextAvailableRequest(service_id=service_id, duration=minutes(length)),
        availability_pb2.ExplainSlotRequest(
            service_id=service_id, start_time=stamp(TEN), duration=minutes(length)
        ),
    )
    for request in requests:
        ask = getattr(zimun.availability, type(request).__name__.removesuffix("Request"))
        assert set((await zimun.refused(ask, request)).fields) == {"duration"}


async def test_a_rescheduled_appointment_keeps_its_length(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    kept = await booked(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(2))
    assert kept.end_time == stamp(ELEVEN)
    other = await moved(zimun, kept.appointment_id, TEN)
    assert (other.start_time, other.end_time) == (stamp(TEN), stamp(f"{MONDAY}T12:00:00Z"))
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment, move_of(kept.appointment_id, ELEVEN)
    )
    assert (refused.reason, refused.info.metadata["rule"]) == ("NOT_A_SLOT", "STAFF_CLOSED")


async def test_an_appointment_keeps_a_length_that_is_not_offered_any_more(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    kept = await booked(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(2))
    await SERVICE.update(zimun, service_id, ["duration", "duration_options"], duration=hours(1))
    other = await moved(zimun, kept.appointment_id, TEN)
    assert other.end_time == stamp(f"{MONDAY}T12:00:00Z")
    found = await search(zimun, service_id, MONDAY, ignore_appointment_id=kept.appointment_id)
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {7200}


# One's own time


async def test_ones_own_time_is_offered_and_others_are_not(zimun: Zimun) -> None:
    service_id = await lengthy(zimun, buffer_after=minutes(30))
    mine = await booked(zimun, f"{MONDAY}T09:30:00Z", service_id)
    other = await booked(zimun, ELEVEN, service_id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, service_id, MONDAY) == []
    assert await times(zimun, service_id, MONDAY, **own) == ["09:00", "09:30", "10:00"]
    theirs = {"ignore_appointment_id": other.appointment_id}
    assert await times(zimun, service_id, MONDAY, **theirs) == ["10:30", "11:00", "11:30"]
    found = await find_next(
        zimun, service_id, start_time_from=stamp(f"{MONDAY}T00:00:00Z"), count=3, **own
    )
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "09:30", "10:00")]
    explained = await explain(zimun, service_id, f"{MONDAY}T09:30:00Z", **own)
    assert explained.WhichOneof("result") == "slot"
    explained = await explain(zimun, service_id, ELEVEN, **own)
    assert [each.subject_id for each in explained.obstacles] == ["t_x"]
    answers = await checked(
        zimun,
        check_of(f"{MONDAY}T09:30:00Z", service_id, **own),
        check_of(f"{MONDAY}T09:30:00Z", service_id),
        check_of(f"{MONDAY}T09:30:00Z", service_id, ignore_appointment_id="a_9"),
    )
    assert [answer.WhichOneof("result") for answer in answers] == ["slot", "error", "error"]
    assert told_by(answers[2].error)[2] == "APPOINTMENT_NOT_FOUND"


async def test_what_ones_own_search_offers_can_be_rescheduled_to_and_nothing_else(
    zimun: Zimun,
) -> None:
    service_id = await lengthy(zimun, buffer_before=minutes(15), buffer_after=minutes(15))
    await booked(zimun, f"{MONDAY}T11:30:00Z", service_id)
    mine = await booked(zimun, f"{MONDAY}T09:00:00Z", service_id, duration=hours(1))
    own = {"ignore_appointment_id": mine.appointment_id}
    offered = await times(zimun, service_id, MONDAY, **own)
    assert offered == ["09:00", "09:30", "10:00"]
    for minute in range(8 * 60, 13 * 60, 15):
        time = f"{minute // 60:02}:{minute % 60:02}"
        request = move_of(mine.appointment_id, f"{MONDAY}T{time}:00Z")
        if time in offered:
            await zimun.call(zimun.appointments.RescheduleAppointment, request)
        else:
            refused = await zimun.refused(zimun.appointments.RescheduleAppointment, request)
            explained = await explain(zimun, service_id, request.start_time, **own)
            assert told_by(explained.error) == told_in(refused)
        assert await times(zimun, service_id, MONDAY, **own) == offered


async def test_an_appointments_place_seats_and_length_are_asked_about(zimun: Zimun) -> None:
    places = [(await LOCATION.create(zimun, time_zone=zone)).id for zone in ("UTC", "Asia/Tokyo")]
    service_id = await lengthy(zimun, location_ids=places, capacity=6)
    mine = await booked(zimun, TEN, service_id, location_id=places[1], seats=4, duration=hours(1))
    await booked(zimun, TEN, service_id, location_id=places[1], seats=1, duration=hours(1))
    own = {"ignore_appointment_id": mine.appointment_id}
    found = await search(zimun, service_id, MONDAY, **own)
    assert found.time_zone == "Asia/Tokyo"
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "10:00", "11:00")]
    assert [slot.seats_left for slot in found.slots] == [6, 5, 6]
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {3600}
    await held(zimun, ELEVEN, service_id, location_id=places[1], seats=3, duration=hours(1))
    found = await search(zimun, service_id, MONDAY, **own)
    assert starts(found.slots) == [f"{MONDAY}T{time}:00Z" for time in ("09:00", "10:00")]
    found = await search(zimun, service_id, MONDAY, **own, seats=1)
    assert ELEVEN in starts(found.slots)
    found = await search(zimun, service_id, MONDAY, **own, seats=1, duration=minutes(30))
    assert f"{MONDAY}T09:30:00Z" in starts(found.slots)
    found = await search(zimun, service_id, MONDAY, **own, location_id=places[0])
    assert found.time_zone == "UTC"
    assert TEN not in starts(found.slots)


async def test_an_appointment_of_another_service_frees_its_time_alone(zimun: Zimun) -> None:
    first = await lengthy(zimun)
    second = await SERVICE.create(
        zimun, duration=minutes(45), slot_step=minutes(15), staff_ids=["t_x"]
    )
    mine = await booked(zimun, f"{MONDAY}T09:00:00Z", first, duration=hours(2))
    assert await times(zimun, second.id, MONDAY) == ["11:00", "11:15"]
    found = await search(zimun, second.id, MONDAY, ignore_appointment_id=mine.appointment_id)
    assert len(found.slots) == 10
    assert {slot.end_time.seconds - slot.start_time.seconds for slot in found.slots} == {2700}


async def test_another_organizations_appointment_is_not_found(zimun: Zimun) -> None:
    create = SERVICE.creation(id="s_123")
    await zimun.call(zimun.services.CreateService, create, org_id="o_other")
    refused = await zimun.refused(
        zimun.availability.GetAvailability,
        availability_pb2.GetAvailabilityRequest(
            service_id="s_123", date=MONDAY, ignore_appointment_id="a_123"
        ),
        org_id="o_other",
    )
    assert refused.reason == "APPOINTMENT_NOT_FOUND"


async def test_ignoring_a_cancelled_appointment_frees_nothing_more(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    mine = await booked(zimun, TEN, service_id)
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=mine.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)
    await booked(zimun, TEN, service_id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, service_id, MONDAY, **own) == await times(zimun, service_id, MONDAY)


async def test_the_alternatives_of_a_refused_move_include_ones_own_time(zimun: Zimun) -> None:
    service_id = await lengthy(zimun)
    mine = await booked(zimun, TEN, service_id)
    for time in ("09:00", "09:30", "10:30", "11:00"):
        await booked(zimun, f"{MONDAY}T{time}:00Z", service_id)
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment,
        move_of(mine.appointment_id, f"{MONDAY}T10:30:00Z"),
    )
    assert refused.reason == "SLOT_UNAVAILABLE"
    alternatives = starts(refused.alternatives)
    assert alternatives[:2] == [TEN, f"{MONDAY}T11:30:00Z"]
    for slot in refused.alternatives:
        await moved(zimun, mine.appointment_id, slot.start_time)


# Daily limits and seats


async def test_a_daily_limit_counts_the_dates_of_the_persons_zone(zimun: Zimun) -> None:
    """In Auckland (UTC+13) Tuesday begins on Monday at 11:00 UTC."""
    await STAFF.create(
        zimun,
        id="t_x",
        time_zone="Pacific/Auckland",
        weekly_hours=weekly("00:00", "24:00"),
        daily_limit=2,
    )
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"], horizon=days(5))
    both = {"start_date": MONDAY, "end_date": TUESDAY}
    everything = starts((await search(zimun, made.id, **both)).slots)
    assert len(everything) == 48
    of_tuesday = everything[11:35]
    for time in ("08:00", "10:00"):
        await booked(zimun, f"{MONDAY}T{time}:00Z", made.id)
    assert starts((await search(zimun, made.id, **both)).slots) == everything[11:]
    for start in (of_tuesday[0], of_tuesday[-1]):
        (explained,) = await checked(zimun, check_of(start, made.id))
        assert explained.WhichOneof("result") == "slot"
        await booked(zimun, start, made.id)
    assert starts((await search(zimun, made.id, **both)).slots) == everything[35:]
    for start in (everything[0], of_tuesday[5]):
        (obstacle,) = (await explain(zimun, made.id, start)).obstacles
        assert (obstacle.rule, obstacle.subject_id) == (Obstacle.STAFF_DAILY_LIMIT, "t_x")
        assert (await hold_refused(zimun, start, made.id)).reason == "SLOT_UNAVAILABLE"


async def test_a_daily_limit_counts_a_group_session_once(zimun: Zimun) -> None:
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"), daily_limit=1)
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"], capacity=3)
    for left in (3, 2, 1):
        found = await search(zimun, made.id, MONDAY)
        assert {slot.start_time.ToJsonString(): slot.seats_left for slot in found.slots}[
            TEN
        ] == left
        await held(zimun, TEN, made.id)
        assert (await hold_refused(zimun, ELEVEN, made.id)).reason == "SLOT_UNAVAILABLE"
    assert await times(zimun, made.id, MONDAY) == []
    (obstacle,) = (await explain(zimun, made.id, ELEVEN)).obstacles
    assert obstacle.rule == Obstacle.STAFF_DAILY_LIMIT


async def test_a_daily_limit_lets_an_appointment_move_within_its_date(zimun: Zimun) -> None:
    await STAFF.create(zimun, id="t_x", weekly_hours=weekly("09:00", "12:00"), daily_limit=1)
    made = await SERVICE.create(zimun, duration=hours(1), staff_ids=["t_x"])
    mine = await booked(zimun, TEN, made.id)
    await booked(zimun, f"{TUESDAY}T10:00:00Z", made.id)
    own = {"ignore_appointment_id": mine.appointment_id}
    assert await times(zimun, made.id, MONDAY) == []
    assert await times(zimun, made.id, MONDAY, **own) == ["09:00", "10:00", "11:00"]
    assert await times(zimun, made.id, TUESDAY, **own) == []
    await moved(zimun, mine.appointment_id, ELEVEN)
    refused = await zimun.refused(
        zimun.appointments.RescheduleAppointment,
        move_of(mine.appointment_id, f"{TUESDAY}T11:00:00Z"),
    )
    assert refused.reason == "SLOT_UNAVAILABLE"
    cancel = appointments_pb2.CancelAppointmentRequest(appointment_id=mine.appointment_id)
    await zimun.call(zimun.appointments.CancelAppointment, cancel)
    assert await times(zimun, made.id, MONDAY) == ["09:00", "10:00", "11:00"]


async def test_a_search_for_seats_shows_sessions_with_so_many_left(zimun: Zimun) -> None:
    await held(zimun, f"{MONDAY}T09:00:00Z", "s_yoga", seats=8)
    await held(zimun, TEN, "s_yoga", seats=5)
    for seats, first in ((1, "10:00"), (3, "10:00"), (4, "11:00"), (8, "11:00")):
        found = await search(zimun, "s_yoga", MONDAY, seats=seats)
        left = {slot.local_start_time[11:16]: slot.seats_left for slot in found.slots}
        assert next(iter(left)) == first
        assert left.pop("10:00", 3) == 3
        assert set(left.values()) == {8}
    assert (await held(zimun, TEN, "s_yoga", seats=3)).seats == 3
    assert (await hold_refused(zimun, TEN, "s_yoga")).reason == "SLOT_UNAVAILABLE"
