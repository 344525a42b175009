"""Idempotency-Keys of gRPC calls: whose they are, what is refused, how long they are stored."""

import asyncio
from typing import Any

import grpc
import pytest

from zimun.domain.instant import DAY

from ..support.rpc import FRIDAY_MORNING, Zimun, refusal
from . import hold_of

HOLD = "/zimun.v1.AppointmentsService/HoldAppointment"


async def test_fifty_callers_with_one_key_make_one_hold(zimun: Zimun) -> None:
    raw: Any = zimun.channel.unary_unary(HOLD)
    request = hold_of("2025-12-01T10:00:00Z").SerializeToString()
    bearer = zimun.bearer("k1")
    answers = await asyncio.gather(*(raw(request, metadata=bearer) for _ in range(50)))
    assert len(set(answers)) == 1
    for _ in range(2):
        await zimun.call(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
    told = await zimun.refused(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
    assert told.reason == "SLOT_UNAVAILABLE"


async def test_the_same_key_with_another_request_is_refused(zimun: Zimun) -> None:
    await zimun.call(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"), "k")
    told = await zimun.refused(
        zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:30:00Z"), "k"
    )
    assert told.code is grpc.StatusCode.ALREADY_EXISTS
    assert (told.reason, told.info.metadata["method"]) == (
        "IDEMPOTENCY_KEY_REUSED",
        "HoldAppointment",
    )


async def test_keys_belong_to_a_client(zimun: Zimun) -> None:
    request = hold_of("2025-12-01T10:00:00Z")
    first = await zimun.call(zimun.appointments.HoldAppointment, request, "k")
    other = await zimun.call(zimun.appointments.HoldAppointment, request, "k", client_id="c_2")
    assert other.hold_id != first.hold_id


async def test_a_refused_request_keeps_no_key(zimun: Zimun) -> None:
    told = await zimun.refused(
        zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:10:00Z"), "k"
    )
    assert told.reason == "NOT_A_SLOT"
    held = await zimun.call(
        zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"), "k"
    )
    assert held.hold_id


async def test_a_key_is_free_again_after_a_day(zimun: Zimun) -> None:
    request = hold_of("2025-12-01T10:00:00Z")
    first = await zimun.call(zimun.appointments.HoldAppointment, request, "k")
    zimun.clock.instant = FRIDAY_MORNING + DAY - 1
    assert await zimun.call(zimun.appointments.HoldAppointment, request, "k") == first
    zimun.clock.instant = FRIDAY_MORNING + DAY
    again = await zimun.call(zimun.appointments.HoldAppointment, request, "k")
    assert again.hold_id != first.hold_id


async def test_a_key_that_is_empty_is_refused(zimun: Zimun) -> None:
    request = hold_of("2025-12-01T10:00:00Z")
    metadata = (*zimun.bearer(), ("idempotency-key", ""))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await zimun.appointments.HoldAppointment(request, metadata=metadata, timeout=10)
    told = refusal(caught.value)
    assert (told.reason, told.fields) == ("INVALID_FIELD", {"idempotency-key": "must not be empty"})


async def test_an_overlong_key_is_refused(zimun: Zimun) -> None:
    told = await zimun.refused(
        zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"), "k" * 256
    )
    assert set(told.fields) == {"idempotency-key"}
