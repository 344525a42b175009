"""The methods about time: availability, holds, appointments. Each decodes, calls, encodes."""

from typing import Any

from zimun.booking import appointments, availability
from zimun.booking.turns import Turns
from zimun.domain.errors import ZimunError
from zimun.rpc import convert, status
from zimun.rpc.calls import Backend, Context, change_of, question_of
from zimun.rpc.interceptors import caller
from zimun.rpc.paging import page_size
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
    availability_service_pb2,
    availability_service_pb2_grpc,
)


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    def __init__(self, backend: Backend) -> None:
        self._store, self._clock = backend.store, backend.clock
        self._answers = availability.Answers()

    async def GetAvailability(
        self, request: availability_service_pb2.GetAvailabilityRequest, context: Context
    ) -> bytes:
        wanted, asked = convert.wanted(request), convert.date_range(request)
        now = self._clock.now()
        found = await availability.get_availability(
            self._store, now, caller(), wanted, asked, self._answers
        )
        return convert.availability(found)

    async def FindNextAvailable(
        self, request: availability_service_pb2.FindNextAvailableRequest, context: Context
    ) -> availability_service_pb2.FindNextAvailableResponse:
        wanted, start_from = convert.wanted(request), convert.instant(request.start_time_from)
        slots, place = await availability.find_next(
            self._store, self._clock.now(), caller(), wanted, start_from, convert.count(request)
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
        found = await availability.check(self._store, self._clock.now(), caller(), times)
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
        wanted, start = convert.wanted(request), convert.instant(request.start_time)
        found = await availability.explain(self._store, self._clock.now(), caller(), wanted, start)
        zone = request.time_zone or found.time_zone
        return availability_service_pb2.ExplainSlotResponse(
            service_id=found.service_id,
            time_zone=zone,
            obstacles=map(convert.obstacle, found.obstacles),
            **_verdict(found.verdict, zone),
        )


def _verdict(verdict: availability.Verdict, zone: str) -> dict[str, Any]:
    """The slot, or the status of the error, as the fields of an answer."""
    if isinstance(verdict, ZimunError):
        return {"error": status.status_of(verdict)}
    return {"slot": convert.slot(verdict, zone)}


class AppointmentsServicer(appointments_service_pb2_grpc.AppointmentsServiceServicer):
    def __init__(self, backend: Backend) -> None:
        self._store, self._clock, self._pages = backend.store, backend.clock, backend.pages
        self._turns = Turns()

    async def HoldAppointment(
        self, request: appointments_service_pb2.HoldAppointmentRequest, context: Context
    ) -> bytes:
        change = change_of("HoldAppointment", request, context, convert.hold)
        start = convert.instant(request.appointment_time)
        wanted = convert.wanted(request)
        return await appointments.hold(self._store, self._clock, change, wanted, start, self._turns)

    async def ExtendHold(
        self, request: appointments_service_pb2.ExtendHoldRequest, context: Context
    ) -> bytes:
        change = change_of("ExtendHold", request, context, convert.hold)
        return await appointments.extend_hold(self._store, self._clock, change, request.hold_id)

    async def ReleaseHold(
        self, request: appointments_service_pb2.ReleaseHoldRequest, context: Context
    ) -> bytes:
        change = change_of("ReleaseHold", request, context, convert.hold)
        return await appointments.release_hold(self._store, self._clock, change, request.hold_id)

    async def ConfirmAppointment(
        self, request: appointments_service_pb2.ConfirmAppointmentRequest, context: Context
    ) -> bytes:
        change = change_of("ConfirmAppointment", request, context, convert.appointment)
        contact = convert.contact(request)
        return await appointments.confirm(
            self._store, self._clock, change, request.hold_id, contact
        )

    async def RescheduleAppointment(
        self, request: appointments_service_pb2.RescheduleAppointmentRequest, context: Context
    ) -> bytes:
        change = change_of("RescheduleAppointment", request, context, convert.appointment)
        return await appointments.reschedule(
            self._store,
            self._clock,
            change,
            request.appointment_id,
            convert.instant(request.start_time),
            request.staff_id,
            request.etag,
        )

    async def CancelAppointment(
        self, request: appointments_service_pb2.CancelAppointmentRequest, context: Context
    ) -> bytes:
        change = change_of("CancelAppointment", request, context, convert.appointment)
        return await appointments.cancel(
            self._store,
            self._clock,
            change,
            request.appointment_id,
            request.cancel_reason,
            request.etag,
        )

    async def GetAppointment(
        self, request: appointments_service_pb2.GetAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        found = await appointments.get_appointment(self._store, caller(), request.appointment_id)
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
        return appointments_service_pb2.ListAppointmentsResponse(
            items=map(convert.appointment, found),
            next_page_token=self._pages.write(next_key, question),
        )
