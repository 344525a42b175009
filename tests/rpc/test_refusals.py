"""Every refusal has its code, its reason, and names what to mend."""

import gc
from types import FrameType
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from zimun.v1 import appointments_service_pb2 as appointments_pb2
from zimun.v1 import availability_service_pb2 as availability_pb2
from zimun.v1 import services_service_pb2 as services_pb2
from zimun.v1.service_pb2 import Service

from ..support.rpc import Zimun, refusal
from . import confirm_of, hold_of, stamp
from .calls import create_hold

PHONE = "must be a phone number of the country that follows the +"
Query = availability_pb2.GetAvailabilityRequest


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (appointments_pb2.HoldAppointmentRequest(), "service_id"),
        (appointments_pb2.HoldAppointmentRequest(service_id="s_123"), "appointment_time"),
        (hold_of("2025-12-01T10:00:00Z", service_id="s 123"), "service_id"),
        (hold_of("2025-12-01T10:00:00Z", service_id="s" * 65), "service_id"),
        (hold_of("2025-12-01T10:00:00Z", location_id="ü"), "location_id"),
        (hold_of("2025-12-01T10:00:00Z", seats=0), "seats"),
        (hold_of("2025-12-01T10:00:00Z", seats=2), "seats"),
        (hold_of("2025-12-01T10:00:00Z", "s_yoga", seats=9), "seats"),
        (hold_of("2025-12-01T10:00:00Z", "s_yoga", staff_id="t_ada"), "staff_id"),
        (hold_of("0001-01-02T10:00:00+00:00"), "appointment_time"),
        (hold_of("9998-12-01T10:00:00Z"), "appointment_time"),
    ],
)
async def test_a_hold_names_its_wrong_field(zimun: Zimun, request_: Any, field: str) -> None:
    told = await zimun.refused(zimun.appointments.HoldAppointment, request_)
    assert told.code is grpc.StatusCode.INVALID_ARGUMENT
    assert told.reason == "INVALID_FIELD"
    assert field in told.fields


async def test_a_refused_call_leaves_nothing_to_the_garbage_collector(zimun: Zimun) -> None:
    """Or it would stop the server for all that thousands of them left."""
    await zimun.refused(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:01Z"))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            await zimun.refused(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:01Z"))
        gc.collect()
        frames = [one.f_code for one in gc.garbage if isinstance(one, FrameType)]
        assert [code.co_qualname for code in frames if "/rpc/dispatch" in code.co_filename] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_nanoseconds_are_refused_rather_than_cut(zimun: Zimun) -> None:
    request = hold_of("2025-12-01T10:00:00Z")
    request.appointment_time.nanos = 1
    told = await zimun.refused(zimun.appointments.HoldAppointment, request)
    assert told.fields == {"appointment_time": "must be whole microseconds"}


@pytest.mark.parametrize(
    ("field", "text", "violation"),
    [
        ("contact_name", "   ", "must not be blank"),
        ("contact_name", "X\r\nBcc: all@example.com", "must not have the character U+000D"),
        ("contact_name", "Ann\u202eann", "must not have the character U+202E"),
        ("contact_phone", "\n", "must not have the character U+000A"),
        ("contact_phone", "+999 1234567", PHONE),
        ("contact_phone", "+49", PHONE),
        ("contact_phone", "+1 555 0100 555 0100 555", PHONE),
        ("notes", "a\x07", "must not have the character U+0007"),
        ("metadata", {"k": "\u2067"}, "must not have the character U+2067"),
        ("metadata", {"k\n": ""}, "must not have the character U+000A"),
    ],
)
async def test_a_contact_with_a_text_that_its_field_does_not_allow_is_refused(
    zimun: Zimun, field: str, text: Any, violation: str
) -> None:
    request = confirm_of("h_1", **{field: text})
    told = await zimun.refused(zimun.appointments.ConfirmAppointment, request)
    assert (told.reason, told.fields) == ("INVALID_FIELD", {field: violation})


async def test_a_contact_has_texts_of_every_script_and_notes_of_several_lines(zimun: Zimun) -> None:
    hold = await create_hold(zimun, "2025-12-01T10:00:00Z")
    contact = {
        "contact_name": "‏דנה 🧑‍🤝‍🧑 O'Neil",
        "contact_phone": "+44 20 7946 0000 ext. 5",
        "notes": "one\r\n\ttwo\n",
        "metadata": {"": "a\nb"},
    }
    request = confirm_of(hold.hold_id, **contact)
    kept = await zimun.call(zimun.appointments.ConfirmAppointment, request)
    assert {name: getattr(kept, name) for name in contact} == contact
    told = await zimun.refused(
        zimun.appointments.CancelAppointment,
        appointments_pb2.CancelAppointmentRequest(
            appointment_id=kept.appointment_id, cancel_reason="ill\x1b[2J"
        ),
    )
    assert set(told.fields) == {"cancel_reason"}


async def test_every_wrong_field_is_named_at_once(zimun: Zimun) -> None:
    request = confirm_of(
        "h!", contact_name="n" * 201, contact_email="?", contact_phone="0" * 65, notes="n" * 2001
    )
    request.metadata.update({f"k{n}": "v" for n in range(51)})
    told = await zimun.refused(zimun.appointments.ConfirmAppointment, request)
    assert set(told.fields) == {
        "hold_id",
        "contact_name",
        "contact_email",
        "contact_phone",
        "notes",
        "metadata",
    }


@pytest.mark.parametrize("address", ["dana", "dana@", "@example.com", "dana lee@example.com"])
async def test_what_is_no_address_is_refused(zimun: Zimun, address: str) -> None:
    request = confirm_of("h_1", contact_email=address)
    told = await zimun.refused(zimun.appointments.ConfirmAppointment, request)
    assert set(told.fields) == {"contact_email"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (Query(service_id="s_123"), "date"),
        (Query(service_id="s_123", date="2025-12-01", days_ahead=7), "date"),
        (Query(service_id="s_123", date="2025-02-29"), "date"),
        (Query(service_id="s_123", date="20251201"), "date"),
        (Query(service_id="s_123", date="9999-12-31"), "date"),
        (Query(service_id="s_123", days_ahead=0), "days_ahead"),
        (Query(service_id="s_123", days_ahead=93), "days_ahead"),
        (Query(service_id="s_123", start_date="2025-12-01"), "end_date"),
        (Query(service_id="s_123", start_date="2025-12-02", end_date="2025-12-01"), "end_date"),
        (Query(service_id="s_123", start_date="2025-12-01", end_date="2026-03-03"), "end_date"),
        (Query(service_id="s_123", date="2025-12-01", time_zone="Mars/Olympus"), "time_zone"),
        (Query(service_id="s_123", date="2025-12-01", seats=-1), "seats"),
    ],
)
async def test_a_search_names_its_wrong_field(zimun: Zimun, query: Query, field: str) -> None:
    told = await zimun.refused(zimun.availability.GetAvailability, query)
    assert told.reason == "INVALID_FIELD"
    assert set(told.fields) == {field}


async def test_unknown_ids_are_not_found(zimun: Zimun) -> None:
    cases = [
        (zimun.services.GetService, services_pb2.GetServiceRequest(service_id="s_9"), "SERVICE"),
        (zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z", "s_9"), "SERVICE"),
        (
            zimun.appointments.HoldAppointment,
            hold_of("2025-12-01T10:00:00Z", location_id="l_9"),
            "LOCATION",
        ),
        (
            zimun.appointments.HoldAppointment,
            hold_of("2025-12-01T10:00:00Z", staff_id="t_9"),
            "STAFF",
        ),
        (zimun.appointments.ConfirmAppointment, confirm_of("h_9"), "HOLD"),
        (
            zimun.appointments.ExtendHold,
            appointments_pb2.ExtendHoldRequest(hold_id="h_9"),
            "HOLD",
        ),
        (
            zimun.appointments.CancelAppointment,
            appointments_pb2.CancelAppointmentRequest(appointment_id="a_9"),
            "APPOINTMENT",
        ),
        (
            zimun.appointments.RescheduleAppointment,
            appointments_pb2.RescheduleAppointmentRequest(
                appointment_id="a_9", start_time=stamp("2025-12-01T10:00:00Z")
            ),
            "APPOINTMENT",
        ),
    ]
    for method, request, noun in cases:
        told = await zimun.refused(method, request)
        assert told.code is grpc.StatusCode.NOT_FOUND
        assert told.reason == f"{noun}_NOT_FOUND"


async def test_appointment_of_another_organization_is_refused_like_an_unknown_one(
    zimun: Zimun,
) -> None:
    get = appointments_pb2.GetAppointmentRequest(appointment_id="a_123")
    mine = await zimun.refused(
        zimun.appointments.GetAppointment,
        appointments_pb2.GetAppointmentRequest(appointment_id="a_124"),
    )
    theirs = await zimun.refused(zimun.appointments.GetAppointment, get, org_id="o_other")
    assert theirs.code is mine.code
    assert theirs.reason == mine.reason
    assert theirs.message == mine.message.replace("a_124", "a_123")
    told = await zimun.refused(
        zimun.appointments.CancelAppointment,
        appointments_pb2.CancelAppointmentRequest(appointment_id="a_123"),
        org_id="o_other",
    )
    assert told.reason == "APPOINTMENT_NOT_FOUND"
    assert (await zimun.call(zimun.appointments.GetAppointment, get)).appointment_id == "a_123"


@pytest.mark.parametrize(
    ("time", "reason", "rule"),
    [
        ("2025-12-01T10:10:00Z", "NOT_A_SLOT", "NOT_ON_GRID"),
        ("2025-12-01T08:30:00Z", "NOT_A_SLOT", "STAFF_CLOSED"),
        ("2025-11-29T10:00:00Z", "NOT_A_SLOT", "STAFF_CLOSED"),
        ("2025-11-27T10:00:00Z", "OUTSIDE_BOOKING_WINDOW", "LEAD_TIME"),
        ("2026-06-01T10:00:00Z", "OUTSIDE_BOOKING_WINDOW", "HORIZON"),
    ],
)
async def test_a_time_outside_the_rules_names_the_rule(
    zimun: Zimun, time: str, reason: str, rule: str
) -> None:
    told = await zimun.refused(zimun.appointments.HoldAppointment, hold_of(time))
    assert told.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (told.reason, told.info.metadata["rule"]) == (reason, rule)


async def test_bytes_that_are_no_message_are_refused(zimun: Zimun) -> None:
    raw: Any = zimun.channel.unary_unary("/zimun.v1.ServicesService/GetService")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(b"\xff\xff\xff", metadata=zimun.bearer())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_method_is_refused_with_a_reason(zimun: Zimun) -> None:
    raw: Any = zimun.channel.unary_unary("/zimun.v1.ServicesService/Conjure")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(b"", metadata=zimun.bearer())
    told = refusal(caught.value)
    assert (told.code, told.reason) == (grpc.StatusCode.UNIMPLEMENTED, "REQUEST_REFUSED")


async def test_an_unknown_state_is_refused(zimun: Zimun) -> None:
    told = await zimun.refused(
        zimun.appointments.ListAppointments,
        appointments_pb2.ListAppointmentsRequest(state=99),  # type: ignore[arg-type]
    )
    assert set(told.fields) == {"state"}


async def test_an_unforeseen_error_shows_an_id_and_nothing_else(
    zimun: Zimun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(zimun.clock, "now", broken)
    told = await zimun.refused(zimun.appointments.HoldAppointment, hold_of("2025-12-01T10:00:00Z"))
    assert (told.code, told.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in told.message
    assert told.info.metadata["error_id"] in caplog.text
    assert "the secret inside" in caplog.text


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["x" * 100_000], "a field's path has at most 128 characters"),
        (["name"] * 65, "must name at most 64 fields"),
        (["名" * 128], f"{'名' * 128!r} is no field"),
    ],
)
async def test_a_refusal_of_what_a_caller_sent_fits_into_headers(
    zimun: Zimun, paths: list[str], told: str
) -> None:
    """An error travels in headers: with a long path in it, gRPC would refuse to send it."""
    request = services_pb2.UpdateServiceRequest(service=Service(id="s_123", name="Talk"))
    request.update_mask.paths.extend(paths)
    refused = await zimun.refused(zimun.services.UpdateService, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == {"update_mask": told}


@pytest.mark.parametrize("nanos", [-1000, 1_000_000_000, 2_000_000_000])
async def test_a_duration_whose_nanos_are_more_than_a_second_is_refused(
    zimun: Zimun, nanos: int
) -> None:
    request = hold_of("2025-12-01T10:00:00Z", duration=Duration(seconds=1799, nanos=nanos))
    refused = await zimun.refused(zimun.appointments.HoldAppointment, request)
    assert list(refused.fields) == ["duration"]
