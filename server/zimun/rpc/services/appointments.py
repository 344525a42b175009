"""zimun.v1.AppointmentsService."""

from zimun.booking import appointments
from zimun.booking.change_request import new_id
from zimun.domain.commands import (
    CancelAppointment,
    ConfirmHold,
    ExtendHold,
    Hold,
    ReleaseHold,
)
from zimun.rpc.convert import booking as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import page_size, write_page
from zimun.rpc.request_context import Backend, Context, question_of
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
    hold_pb2,
)


class AppointmentsServicer(appointments_service_pb2_grpc.AppointmentsServiceServicer):
    """The methods of zimun.v1.AppointmentsService."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._pages = backend, backend.pages
        self._store, self._reader = backend.store, backend.reader

    async def HoldAppointment(
        self, request: appointments_service_pb2.HoldAppointmentRequest, context: Context
    ) -> hold_pb2.Hold:
        start = convert.instant(request.appointment_time)
        command = Hold(convert.slot_request(request), start, new_id("h"), new_id("x"))
        return await self._backend.submit(request, command, convert.hold)

    async def ExtendHold(
        self, request: appointments_service_pb2.ExtendHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        command = ExtendHold(request.hold_id)
        return await self._backend.submit(request, command, convert.hold)

    async def ReleaseHold(
        self, request: appointments_service_pb2.ReleaseHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        command = ReleaseHold(request.hold_id)
        return await self._backend.submit(request, command, convert.hold)

    async def ConfirmAppointment(
        self, request: appointments_service_pb2.ConfirmAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = ConfirmHold(request.hold_id, new_id("a"), convert.contact(request))
        return await self._backend.submit(request, command, convert.appointment)

    async def RescheduleAppointment(
        self, request: appointments_service_pb2.RescheduleAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = convert.reschedule(request, new_id("x"))
        return await self._backend.submit(request, command, convert.appointment)

    async def CancelAppointment(
        self, request: appointments_service_pb2.CancelAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = CancelAppointment(request.appointment_id, request.cancel_reason, request.etag)
        return await self._backend.submit(request, command, convert.appointment)

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
