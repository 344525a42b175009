"""BatchCheckAvailability: many checks at once."""

import grpc
import pytest

from zimun.domain.instant import MINUTE
from zimun.rpc.convert.booking import timestamp
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1.slot_pb2 import Slot

from ..support.rpc import Zimun
from . import at, stamp
from .calls import (
    MONDAY,
    TEN,
    batch_check,
    create_hold,
    error_of_refusal,
    error_of_status,
    hold_refused,
    search,
    slot_check,
)
from .catalogue import LOCATION, SERVICE, Fields, minutes, update_organization

# Many checks at once


async def test_a_hundred_checks_are_answered_in_their_order(zimun: Zimun) -> None:
    await create_hold(zimun, TEN, staff_id="t_ada")
    asked = [timestamp(at(f"{MONDAY}T08:00:00Z") + n * 5 * MINUTE) for n in range(100)]
    answers = await batch_check(
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
    request = availability_pb2.BatchCheckAvailabilityRequest(checks=[slot_check(TEN)] * 101)
    refused = await zimun.refused(zimun.availability.BatchCheckAvailability, request)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"checks"})


@pytest.mark.parametrize(
    ("check", "field"),
    [
        (availability_pb2.SlotCheck(service_id="s_123"), "checks[3].start_time"),
        (availability_pb2.SlotCheck(start_time=stamp(TEN)), "checks[3].service_id"),
        (slot_check(TEN, "s 9"), "checks[3].service_id"),
        (slot_check(TEN, location_id="!"), "checks[3].location_id"),
        (slot_check(TEN, seats=0), "checks[3].seats"),
        (slot_check(TEN, duration=minutes(-1)), "checks[3].duration"),
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
        checks=[slot_check(TEN)] * 3 + [check, slot_check(TEN)]
    )
    refused = await zimun.refused(zimun.availability.BatchCheckAvailability, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})


async def test_checks_name_an_unknown_zone_of_their_request(zimun: Zimun) -> None:
    request = availability_pb2.BatchCheckAvailabilityRequest(
        checks=[slot_check(TEN)], time_zone="Mars/Olympus"
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
    await update_organization(zimun, holiday_region="US")
    await SERVICE.create(zimun, id="s_gone")
    await SERVICE.archive(zimun, "s_gone")
    await LOCATION.create(zimun, id="l_nowhere")
    await create_hold(zimun, TEN, staff_id="t_ada")
    await create_hold(zimun, TEN, "s_yoga", seats=6)
    await create_hold(zimun, TEN, staff_id="t_ben")
    asked = [{"text": TEN, "service_id": "s_123"} | dict(fields) for fields in REFUSED]
    good = slot_check(f"{MONDAY}T13:00:00Z")
    checks = [one for fields in asked for one in (slot_check(**fields), good)]
    answers = await batch_check(zimun, *checks)
    assert {answer.WhichOneof("result") for answer in answers[1::2]} == {"slot"}
    for fields, answer in zip(asked, answers[::2], strict=True):
        assert answer.WhichOneof("result") == "error", fields
        refused = await hold_refused(zimun, **fields)
        assert error_of_status(answer.error) == error_of_refusal(refused), fields
        start = fields.pop("text")
        explaining = availability_pb2.ExplainSlotRequest(start_time=stamp(start), **fields)
        if refused.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
            told = await zimun.refused(zimun.availability.ExplainSlot, explaining)
            assert error_of_refusal(told) == error_of_refusal(refused), fields
        else:
            explained = await zimun.call(zimun.availability.ExplainSlot, explaining)
            assert error_of_status(explained.error) == error_of_refusal(refused), fields
            assert explained.obstacles


async def test_checks_do_not_take_from_each_other(zimun: Zimun) -> None:
    answers = await batch_check(zimun, *[slot_check(TEN, "s_yoga", seats=8)] * 3)
    assert [answer.slot.seats_left for answer in answers] == [8, 8, 8]
    answers = await batch_check(zimun, slot_check(TEN), time_zone="America/New_York")
    assert answers[0].slot.local_start_time == "2025-12-01T05:00:00-05:00"
