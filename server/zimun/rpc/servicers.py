"""The methods of the contract: each decodes, calls, encodes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from zimun.booking import appointments, availability, catalog
from zimun.booking.change import Change
from zimun.booking.store import Store
from zimun.clock import Clock
from zimun.domain.errors import InvalidRequest
from zimun.rpc import convert
from zimun.rpc.interceptors import caller, header
from zimun.rpc.paging import PageTokens, page_size
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    appointments_service_pb2_grpc,
    availability_service_pb2,
    availability_service_pb2_grpc,
    locations_service_pb2,
    locations_service_pb2_grpc,
    service_pb2,
    services_service_pb2,
    services_service_pb2_grpc,
)

Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")


@dataclass(frozen=True)
class Backend:
    """What the methods call."""

    store: Store
    clock: Clock
    pages: PageTokens


class ServicesServicer(services_service_pb2_grpc.ServicesServiceServicer):
    def __init__(self, backend: Backend) -> None:
        self._store, self._pages = backend.store, backend.pages

    async def ListServices(
        self, request: services_service_pb2.ListServicesRequest, context: Context
    ) -> services_service_pb2.ListServicesResponse:
        size, question = page_size(request.page_size), _question(request)
        after = self._pages.read(request.page_token, question)
        found, next_key = await catalog.list_services(self._store, caller(), size, after)
        return services_service_pb2.ListServicesResponse(
            items=map(convert.service, found),
            next_page_token=self._pages.write(next_key, question),
        )

    async def GetService(
        self, request: services_service_pb2.GetServiceRequest, context: Context
    ) -> service_pb2.Service:
        found = await catalog.get_service(self._store, caller(), request.service_id)
        return convert.service(found)


class LocationsServicer(locations_service_pb2_grpc.LocationsServiceServicer):
    def __init__(self, backend: Backend) -> None:
        self._store, self._pages = backend.store, backend.pages

    async def ListLocations(
        self, request: locations_service_pb2.ListLocationsRequest, context: Context
    ) -> locations_service_pb2.ListLocationsResponse:
        size, question = page_size(request.page_size), _question(request)
        after = self._pages.read(request.page_token, question)
        found, next_key = await catalog.list_locations(self._store, caller(), size, after)
        return locations_service_pb2.ListLocationsResponse(
            items=map(convert.location, found),
            next_page_token=self._pages.write(next_key, question),
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


class AppointmentsServicer(appointments_service_pb2_grpc.AppointmentsServiceServicer):
    def __init__(self, backend: Backend) -> None:
        self._store, self._clock, self._pages = backend.store, backend.clock, backend.pages

    async def HoldAppointment(
        self, request: appointments_service_pb2.HoldAppointmentRequest, context: Context
    ) -> bytes:
        change = _change("HoldAppointment", request, context, convert.hold)
        start = convert.instant(request.appointment_time)
        wanted = convert.wanted(request)
        return await appointments.hold(self._store, self._clock, change, wanted, start)

    async def ExtendHold(
        self, request: appointments_service_pb2.ExtendHoldRequest, context: Context
    ) -> bytes:
        change = _change("ExtendHold", request, context, convert.hold)
        return await appointments.extend_hold(self._store, self._clock, change, request.hold_id)

    async def ReleaseHold(
        self, request: appointments_service_pb2.ReleaseHoldRequest, context: Context
    ) -> bytes:
        change = _change("ReleaseHold", request, context, convert.hold)
        return await appointments.release_hold(self._store, self._clock, change, request.hold_id)

    async def ConfirmAppointment(
        self, request: appointments_service_pb2.ConfirmAppointmentRequest, context: Context
    ) -> bytes:
        change = _change("ConfirmAppointment", request, context, convert.appointment)
        contact = convert.contact(request)
        return await appointments.confirm(
            self._store, self._clock, change, request.hold_id, contact
        )

    async def RescheduleAppointment(
        self, request: appointments_service_pb2.RescheduleAppointmentRequest, context: Context
    ) -> bytes:
        change = _change("RescheduleAppointment", request, context, convert.appointment)
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
        change = _change("CancelAppointment", request, context, convert.appointment)
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
        size, question = page_size(request.page_size), _question(request)
        after = self._pages.read(request.page_token, question)
        wanted = convert.appointment_filter(request)
        found, next_key = await appointments.list_appointments(
            self._store, caller(), wanted, size, after
        )
        return appointments_service_pb2.ListAppointmentsResponse(
            items=map(convert.appointment, found),
            next_page_token=self._pages.write(next_key, question),
        )


def _change(
    method: str, request: Message, context: Context, to_wire: Callable[[T], Message]
) -> Change[T]:
    """Who asks for a change, under which Idempotency-Key."""
    key = header(context, "idempotency-key")
    if len(key) > 255:
        raise InvalidRequest({"idempotency-key": "must have at most 255 characters"})
    return Change(
        caller=caller(),
        method=method,
        key=key,
        fingerprint=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
        encode=lambda answer: to_wire(answer).SerializeToString(deterministic=True),
    )


def _question(request: Message) -> bytes:
    """What a page token belongs to: the caller's organization, the method, and its filters."""
    question = type(request)()
    question.CopyFrom(request)
    question.ClearField("page_token")
    question.ClearField("page_size")
    who = f"{caller().org_id} {request.DESCRIPTOR.full_name} ".encode()
    return who + question.SerializeToString(deterministic=True)
