"""zimun.v1.AppointmentsService."""

from zimun.booking import appointments
from zimun.booking.change_request import new_id
from zimun.domain.appointment_commands import (
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
)
from zimun.domain.commands import (
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
from zimun.rpc.page_tokens import write_page
from zimun.rpc.request_context import Context, Dependencies
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
    hold_pb2,
)


class AppointmentsServicer(appointments_service_pb2_grpc.AppointmentsServiceServicer):
    """The methods of zimun.v1.AppointmentsService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies, self._pages = dependencies, dependencies.pages
        self._store, self._reader = dependencies.store, dependencies.reader

    async def HoldAppointment(
        self, request: appointments_service_pb2.HoldAppointmentRequest, context: Context
    ) -> hold_pb2.Hold:
        """Hold a slot for the caller until the hold expires."""
        start = convert.instant(request.appointment_time)
        command = Hold(convert.slot_request(request), start, new_id("h"), new_id("x"))
        return await self._dependencies.submit(request, command, convert.hold)

    async def GetHold(
        self, request: appointments_service_pb2.GetHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        """Return a hold by its id."""
        return convert.hold(await appointments.get_hold(self._reader, caller(), request.hold_id))

    async def ListHolds(
        self, request: appointments_service_pb2.ListHoldsRequest, context: Context
    ) -> appointments_service_pb2.ListHoldsResponse:
        """Return a page of the holds that match a filter."""
        size, query, after = self._dependencies.page_request(request)
        holds, next_key = await appointments.list_holds(
            self._reader, self._store, caller(), hold_filter(request), size, after
        )
        page = await write_page(holds, next_key, convert.hold, appointments.hold_key_of)
        return appointments_service_pb2.ListHoldsResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def ExtendHold(
        self, request: appointments_service_pb2.ExtendHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        """Extend a hold by the organization's hold length."""
        command = ExtendHold(request.hold_id)
        return await self._dependencies.submit(request, command, convert.hold)

    async def ReleaseHold(
        self, request: appointments_service_pb2.ReleaseHoldRequest, context: Context
    ) -> hold_pb2.Hold:
        """Give a hold back before it expires."""
        command = ReleaseHold(request.hold_id)
        return await self._dependencies.submit(request, command, convert.hold)

    async def ConfirmAppointment(
        self, request: appointments_service_pb2.ConfirmAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Make a hold an appointment with a contact."""
        ignored = convert.ignored_rules(request.ignored_rules)
        command = ConfirmHold(request.hold_id, new_id("a"), convert.contact(request), ignored)
        return await self._dependencies.submit(request, command, convert.appointment)

    async def BookAppointment(
        self, request: appointments_service_pb2.BookAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Book an appointment in one step, without a hold."""
        return await self._dependencies.submit(request, book(request), convert.appointment)

    async def UpdateAppointment(
        self, request: appointments_service_pb2.UpdateAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Change the fields of an appointment that the mask names (AIP-134)."""
        return await self._dependencies.submit(request, update(request), convert.appointment)

    async def CompleteAppointment(
        self, request: appointments_service_pb2.CompleteAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Record that an appointment took place."""
        command = CompleteAppointment(request.appointment_id, request.etag)
        return await self._dependencies.submit(request, command, convert.appointment)

    async def MarkNoShow(
        self, request: appointments_service_pb2.MarkNoShowRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Record that the customer of an appointment did not come."""
        command = MarkNoShow(request.appointment_id, request.etag)
        return await self._dependencies.submit(request, command, convert.appointment)

    async def ReopenAppointment(
        self, request: appointments_service_pb2.ReopenAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Undo the completion or the no-show of an appointment."""
        command = ReopenAppointment(request.appointment_id, request.etag)
        return await self._dependencies.submit(request, command, convert.appointment)

    async def RescheduleAppointment(
        self, request: appointments_service_pb2.RescheduleAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Move an appointment to another start, and to another staff member if one is named."""
        command = convert.reschedule(request, new_id("x"))
        return await self._dependencies.submit(request, command, convert.appointment)

    async def CancelAppointment(
        self, request: appointments_service_pb2.CancelAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Cancel an appointment."""
        command = convert.cancel(request)
        return await self._dependencies.submit(request, command, convert.appointment)

    async def GetAppointment(
        self, request: appointments_service_pb2.GetAppointmentRequest, context: Context
    ) -> appointment_pb2.Appointment:
        """Return an appointment by its id."""
        reservation = await appointments.get_appointment(
            self._reader, caller(), request.appointment_id
        )
        return convert.appointment(reservation)

    async def ListAppointments(
        self, request: appointments_service_pb2.ListAppointmentsRequest, context: Context
    ) -> appointments_service_pb2.ListAppointmentsResponse:
        """Return a page of the appointments that match a filter."""
        size, query, after = self._dependencies.page_request(request)
        reservations, next_key = await appointments.list_appointments(
            self._store, caller(), appointment_filter(request), size, after
        )
        page = await write_page(reservations, next_key, convert.appointment, appointments.key_of)
        return appointments_service_pb2.ListAppointmentsResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def ListAppointmentChanges(
        self, request: appointments_service_pb2.ListAppointmentChangesRequest, context: Context
    ) -> appointments_service_pb2.ListAppointmentChangesResponse:
        """Return a page of the changes of an appointment."""
        size, query, after = self._dependencies.page_request(request)
        changes, next_key = await appointments.list_changes(
            self._reader, self._store, caller(), request.appointment_id, size, after
        )
        page = await write_page(changes, next_key, appointment_change, appointments.change_key_of)
        return appointments_service_pb2.ListAppointmentChangesResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )
