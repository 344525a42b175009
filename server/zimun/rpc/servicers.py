"""The methods about time: availability, holds, appointments. Each decodes, calls, encodes."""

from collections.abc import Iterable
from typing import Any

from zimun.booking import appointments, availability
from zimun.booking.pause import Pause
from zimun.booking.requests import new_id
from zimun.domain.commands import (
    CancelAppointment,
    ConfirmHold,
    ExtendHold,
    Hold,
    ReleaseHold,
)
from zimun.domain.errors import ZimunError
from zimun.rpc import convert, status
from zimun.rpc.calls import Backend, Context, change_request, question_of
from zimun.rpc.dispatch import caller
from zimun.rpc.paging import page_size, write_page
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
    availability_service_pb2,
    availability_service_pb2_grpc,
)


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    """The methods of zimun.v1.AvailabilityService."""

    def __init__(self, backend: Backend) -> None:
        self._reader, self._answers = backend.reader, backend.answers

    async def GetAvailability(
        self, request: availability_service_pb2.GetAvailabilityRequest, context: Context
    ) -> bytes:
        asked, dates = convert.slot_request(request), convert.date_range(request)
        view = convert.view(request)
        found = await availability.get_availability(
            self._reader, self._answers, caller(), asked, dates, view
        )
        return await _joined(convert.availability(found, view))

    async def FindNextAvailable(
        self, request: availability_service_pb2.FindNextAvailableRequest, context: Context
    ) -> availability_service_pb2.FindNextAvailableResponse:
        asked, start_from = convert.slot_request(request), convert.instant(request.start_time_from)
        slots, place = await availability.find_next(
            self._reader, caller(), asked, start_from, convert.count(request)
        )
        zone = request.time_zone or place.time_zone
        return availability_service_pb2.FindNextAvailableResponse(
            service_id=request.service_id,
            time_zone=zone,
            slots=[convert.slot(slot, zone) for slot in slots],
        )

    async def BatchCheckAvailability(
        self, request: availability_service_pb2.BatchCheckAvailabilityRequest, context: Context
    ) -> availability_service_pb2.BatchCheckAvailabilityResponse:
        times = [convert.time_to_check(check, n) for n, check in enumerate(request.checks)]
        found = await availability.check(self._reader, caller(), times)
        return availability_service_pb2.BatchCheckAvailabilityResponse(
            results=[
                availability_service_pb2.SlotCheckResult(
                    **_verdict(verdict, request.time_zone or zone)
                )
                for verdict, zone in found
            ]
        )

    async def ExplainSlot(
        self, request: availability_service_pb2.ExplainSlotRequest, context: Context
    ) -> availability_service_pb2.ExplainSlotResponse:
        asked, start = convert.slot_request(request), convert.instant(request.start_time)
        found = await availability.explain(self._reader, caller(), asked, start)
        zone = request.time_zone or found.time_zone
        return availability_service_pb2.ExplainSlotResponse(
            service_id=found.service_id,
            time_zone=zone,
            obstacles=map(convert.obstacle, found.obstacles),
            **_verdict(found.verdict, zone),
        )


async def _joined(pieces: Iterable[bytes]) -> bytes:
    """The bytes of all pieces; other tasks run while they are written."""
    written, pause = [], Pause()
    for piece in pieces:
        written.append(piece)
        if pause.is_due:
            await pause.take()
    return b"".join(written)


def _verdict(verdict: availability.Verdict, zone: str) -> dict[str, Any]:
    """The slot, or the status of the error, as the fields of an answer."""
    if isinstance(verdict, ZimunError):
        return {"error": status.status_of(verdict)}
    return {"slot": convert.slot(verdict, zone)}


class AppointmentsServicer(appointments_service_pb2_grpc.AppointmentsServiceServicer):
    """The methods of zimun.v1.AppointmentsService."""

    def __init__(self, backend: Backend) -> None:
        self._store, self._reader, self._writer = backend.store, backend.reader, backend.writer
        self._pages = backend.pages

    async def HoldAppointment(
        self, request: appointments_service_pb2.HoldAppointmentRequest, context: Context
    ) -> bytes:
        start = convert.instant(request.appointment_time)
        command = Hold(convert.slot_request(request), start, new_id("h"), new_id("x"))
        return await self._writer.submit(change_request(request, convert.hold), command)

    async def ExtendHold(
        self, request: appointments_service_pb2.ExtendHoldRequest, context: Context
    ) -> bytes:
        command = ExtendHold(request.hold_id)
        return await self._writer.submit(change_request(request, convert.hold), command)

    async def ReleaseHold(
        self, request: appointments_service_pb2.ReleaseHoldRequest, context: Context
    ) -> bytes:
        command = ReleaseHold(request.hold_id)
        return await self._writer.submit(change_request(request, convert.hold), command)

    async def ConfirmAppointment(
        self, request: appointments_service_pb2.ConfirmAppointmentRequest, context: Context
    ) -> bytes:
        change = change_request(request, convert.appointment)
        command = ConfirmHold(request.hold_id, new_id("a"), convert.contact(request))
        return await self._writer.submit(change, command)

    async def RescheduleAppointment(
        self, request: appointments_service_pb2.RescheduleAppointmentRequest, context: Context
    ) -> bytes:
        change = change_request(request, convert.appointment)
        return await self._writer.submit(change, convert.reschedule(request, new_id("x")))

    async def CancelAppointment(
        self, request: appointments_service_pb2.CancelAppointmentRequest, context: Context
    ) -> bytes:
        change = change_request(request, convert.appointment)
        command = CancelAppointment(request.appointment_id, request.cancel_reason, request.etag)
        return await self._writer.submit(change, command)

    async def GetAppointment(
        self, request: appointments_service_pb2.GetAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        found = await appointments.get_appointment(self._reader, caller(), request.appointment_id)
        return convert.appointment(found)

    async def ListAppointments(
        self, request: appointments_service_pb2.ListAppointmentsRequest, context: Context
    ) -> appointments_service_pb2.ListAppointmentsResponse:
        size, question = page_size(request.page_size), question_of(request)
        after = self._pages.read(request.page_token, question)
        wanted = convert.appointment_filter(request)
        found, next_key = await appointments.list_appointments(
            self._store, caller(), wanted, size, after
        )
        page = await write_page(found, next_key, convert.appointment, appointments.key_of)
        return appointments_service_pb2.ListAppointmentsResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, question)
        )
