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
from zimun.rpc.request_context import Backend, Context, change_request, question_of
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
)


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
