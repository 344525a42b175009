"""FindNextAvailable: the next slots, and what every request about slots refuses."""

import grpc
import pytest
from google.protobuf.message import Message

from zimun.domain.instant import DAY
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import availability_service_pb2 as availability_pb2

from ..support.rpc import FRIDAY_MORNING, Zimun
from . import at, stamp
from .calls import MONDAY, TEN, create_hold, find_next, hold_and_confirm, search, starts
from .catalogue import (
    LOCATION,
    SERVICE,
    STAFF,
    Fields,
    days,
    hours,
    minutes,
    put_override,
)

# The next slots


@pytest.mark.parametrize("count", [1, 2, 17, 100])
@pytest.mark.parametrize("service_id", ["s_123", "s_treatment", "s_yoga"])
async def test_the_next_slots_are_the_first_of_a_search(
    zimun: Zimun, service_id: str, count: int
) -> None:
    await hold_and_confirm(zimun, f"{MONDAY}T09:00:00Z", service_id)
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
async def test_start_time_from_in_the_past_is_now(zimun: Zimun, service_id: str, text: str) -> None:
    now = await find_next(zimun, service_id, count=10)
    assert await find_next(zimun, service_id, count=10, start_time_from=stamp(text)) == now


async def test_the_next_slots_are_of_whom_and_for_as_many_as_asked(zimun: Zimun) -> None:
    await hold_and_confirm(zimun, "2025-11-28T09:00:00Z", staff_id="t_ben")
    found = await find_next(zimun, "s_123", staff_id="t_ben", count=2)
    assert starts(found.slots) == ["2025-11-28T09:30:00Z", "2025-11-28T10:00:00Z"]
    assert [list(slot.staff_ids) for slot in found.slots] == [["t_ben"]] * 2
    await create_hold(zimun, "2025-11-28T09:00:00Z", "s_yoga", seats=6)
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
async def test_every_availability_method_refuses_alike(
    zimun: Zimun, fields: Fields, told: str
) -> None:
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
