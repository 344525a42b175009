"""zimun.v1.AppointmentsService."""

from typing import Any

from zimun.booking import appointments
from zimun.booking.change_request import new_id
from zimun.domain.appointment_commands import (
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
)
from zimun.domain.commands import (
    CancelAppointment,
    ConfirmHold,
    ExtendHold,
    Hold,
    ReleaseHold,
)
from zimun.rpc.convert import booking as convert
from zimun.rpc.convert.appointments import (
    appointment_change,
    appointment_filter,
    book,
    hold_filter,
    update,
)
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import PageRequest, page_size, write_page
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

    async def GetHold(
        self, request: appointments_service_pb2.GetHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        return convert.hold(await appointments.get_hold(self._reader, caller(), request.hold_id))

    async def ListHolds(
        self, request: appointments_service_pb2.ListHoldsRequest, context: Context
    ) -> appointments_service_pb2.ListHoldsResponse:
        asked = self._asked(request)
        found, next_key = await appointments.list_holds(
            self._reader, self._store, caller(), hold_filter(request), asked.size, asked.after
        )
        page = await write_page(found, next_key, convert.hold, appointments.hold_key_of)
        return appointments_service_pb2.ListHoldsResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, asked.question)
        )

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

    async def BookAppointment(
        self, request: appointments_service_pb2.BookAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        return await self._backend.submit(request, book(request), convert.appointment)

    async def UpdateAppointment(
        self, request: appointments_service_pb2.UpdateAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        return await self._backend.submit(request, update(request), convert.appointment)

    async def CompleteAppointment(
        self, request: appointments_service_pb2.CompleteAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = CompleteAppointment(request.appointment_id, request.etag)
        return await self._backend.submit(request, command, convert.appointment)

    async def MarkNoShow(
        self, request: appointments_service_pb2.MarkNoShowRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = MarkNoShow(request.appointment_id, request.etag)
        return await self._backend.submit(request, command, convert.appointment)

    async def ReopenAppointment(
        self, request: appointments_service_pb2.ReopenAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        command = ReopenAppointment(request.appointment_id, request.etag)
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
        asked = self._asked(request)
        found, next_key = await appointments.list_appointments(
            self._store, caller(), appointment_filter(request), asked.size, asked.after
        )
        page = await write_page(found, next_key, convert.appointment, appointments.key_of)
        return appointments_service_pb2.ListAppointmentsResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, asked.question)
        )

    async def ListAppointmentChanges(
        self, request: appointments_service_pb2.ListAppointmentChangesRequest, context: Context
    ) -> appointments_service_pb2.ListAppointmentChangesResponse:
        asked, appointment_id = self._asked(request), request.appointment_id
        found, next_key = await appointments.list_changes(
            self._reader, self._store, caller(), appointment_id, asked.size, asked.after
        )
        page = await write_page(found, next_key, appointment_change, appointments.change_key_of)
        return appointments_service_pb2.ListAppointmentChangesResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, asked.question)
        )

    def _asked(self, request: Any) -> PageRequest:
        question = question_of(request)
        after = self._pages.read(request.page_token, question)
        return PageRequest(page_size(request.page_size), question, after)
