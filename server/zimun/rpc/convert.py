"""Protobuf to domain values and back. Requests come checked by `contract.check`."""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.dayofweek_pb2 import DayOfWeek
from google.type.money_pb2 import Money

from zimun.booking.availability import MOST_DAYS, Availability, DateRange, Wanted
from zimun.booking.store import AppointmentFilter
from zimun.domain import catalog
from zimun.domain.availability import Slot
from zimun.domain.booking import Contact, Reservation, State
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import SECOND
from zimun.domain.schedule import Day, local_rfc3339
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    availability_service_pb2,
    hold_pb2,
    location_pb2,
    service_pb2,
    slot_pb2,
)


def timestamp(instant: int) -> Timestamp:
    """An instant on the wire."""
    seconds, micros = divmod(instant, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def instant(sent: Timestamp) -> int:
    """An instant off the wire."""
    return sent.seconds * SECOND + sent.nanos // 1000


@lru_cache(maxsize=1 << 12)
def duration(length: int) -> Duration:
    """Microseconds on the wire: one message for all who ask, to be copied and not changed."""
    seconds, micros = divmod(length, SECOND)
    return Duration(seconds=seconds, nanos=micros * 1000)


def wanted(
    request: appointments_service_pb2.HoldAppointmentRequest
    | availability_service_pb2.GetAvailabilityRequest,
) -> Wanted:
    return Wanted(
        service_id=request.service_id,
        location_id=request.location_id,
        staff_id=request.staff_id,
        seats=request.seats if request.HasField("seats") else 1,
    )


def date_range(request: availability_service_pb2.GetAvailabilityRequest) -> DateRange:
    """The dates asked about; raises InvalidRequest unless they are named in exactly one way."""
    ranged = bool(request.start_date or request.end_date)
    ahead = request.HasField("days_ahead")
    if bool(request.date) + ahead + ranged != 1:
        raise InvalidRequest({"date": "name date, days_ahead, or start_date with end_date"})
    if ahead:
        _check_days("days_ahead", request.days_ahead)
        return DateRange(days_ahead=request.days_ahead, time_zone=request.time_zone)
    if request.date:
        day = _date("date", request.date)
        return DateRange(first=day, last=day, time_zone=request.time_zone)
    first, last = _date("start_date", request.start_date), _date("end_date", request.end_date)
    _check_days("end_date", (last - first).days + 1)
    return DateRange(first=first, last=last, time_zone=request.time_zone)


def _date(field: str, text: str) -> date:
    if not text:
        raise InvalidRequest({field: "is required"})
    return date.fromisoformat(text)


def _check_days(field: str, days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidRequest({field: f"must make 1 to {MOST_DAYS} dates"})


def contact(request: appointments_service_pb2.ConfirmAppointmentRequest) -> Contact:
    return Contact(
        name=request.contact_name,
        email=request.contact_email,
        phone=request.contact_phone,
        notes=request.notes,
        metadata=dict(request.metadata),
    )


def appointment_filter(
    request: appointments_service_pb2.ListAppointmentsRequest,
) -> AppointmentFilter:
    state = appointment_pb2.Appointment.State.Name(request.state) if request.state else None
    return AppointmentFilter(
        service_id=request.service_id,
        staff_id=request.staff_id,
        state=State(state) if state else None,
        start_from=_bound(request, "start_time_from"),
        start_before=_bound(request, "start_time_before"),
    )


def _bound(request: appointments_service_pb2.ListAppointmentsRequest, field: str) -> int | None:
    return instant(getattr(request, field)) if request.HasField(field) else None


@lru_cache(maxsize=1 << 12)
def service(entry: catalog.Service) -> service_pb2.Service:
    """A service on the wire, kept as `slot` is."""
    return service_pb2.Service(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        duration=duration(entry.duration),
        buffer_before=duration(entry.buffer_before),
        buffer_after=duration(entry.buffer_after),
        slot_step=duration(entry.slot_step),
        slot_alignment=entry.slot_alignment.value,
        lead_time=duration(entry.lead_time),
        horizon=duration(entry.horizon),
        capacity=entry.capacity,
        cancellation_cutoff=duration(entry.cancellation_cutoff),
        reschedule_cutoff=duration(entry.reschedule_cutoff),
        price=Money(**entry.price) if entry.price else None,
        staff_ids=entry.staff_ids,
        resource_requirements=[
            service_pb2.ResourceRequirement(resource_ids=one_of)
            for one_of in entry.resource_requirements
        ],
        location_ids=entry.location_ids,
        active=entry.active,
        metadata=entry.metadata,
        create_time=timestamp(entry.create_time),
        update_time=timestamp(entry.update_time),
    )


@lru_cache(maxsize=1 << 12)
def location(entry: catalog.Location) -> location_pb2.Location:
    """A location on the wire, kept as `slot` is."""
    return location_pb2.Location(
        id=entry.id,
        name=entry.name,
        address=entry.address,
        time_zone=entry.time_zone,
        weekly_hours=_weekly_hours(entry.weekly_hours),
        active=entry.active,
        metadata=entry.metadata,
        create_time=timestamp(entry.create_time),
        update_time=timestamp(entry.update_time),
    )


def _weekly_hours(week: catalog.WeeklyHours) -> Iterable[location_pb2.WeeklyHours]:
    return (
        location_pb2.WeeklyHours(
            # google.type.DayOfWeek counts from MONDAY = 1.
            day_of_week=DayOfWeek.Name(day + 1),
            start_time=f"{start // 60:02}:{start % 60:02}",
            end_time=f"{end // 60:02}:{end % 60:02}",
        )
        for day in sorted(week)
        for start, end in week[day]
    )


@lru_cache(maxsize=1 << 10)
def availability(found: Availability) -> bytes:
    """The answer's bytes; one that still stands is not written anew."""
    answer = availability_service_pb2.GetAvailabilityResponse(
        service_id=found.service_id,
        time_zone=found.time_zone,
        slots=[slot(each, found.time_zone) for each in found.slots],
        days=[day(each) for each in found.days],
    )
    return answer.SerializeToString()


@lru_cache(maxsize=1 << 14)
def slot(found: Slot, zone: str) -> slot_pb2.Slot:
    """A slot on the wire; the same ones are asked for over and over. To be copied, not changed."""
    return slot_pb2.Slot(
        start_time=timestamp(found.start),
        end_time=timestamp(found.end),
        local_start_time=local_rfc3339(zone, found.start),
        local_end_time=local_rfc3339(zone, found.end),
        staff_ids=found.staff_ids,
        seats_left=found.seats_left,
    )


def day(found: Day) -> slot_pb2.Day:
    return slot_pb2.Day(
        date=found.date.isoformat(),
        status=found.status.value,
        note=found.note,
    )


def alternatives(slots: Sequence[Slot], zone: str) -> slot_pb2.SlotAlternatives:
    return slot_pb2.SlotAlternatives(slots=[slot(each, zone) for each in slots])


def hold(kept: Reservation) -> hold_pb2.Hold:
    """The hold that a reservation began as; what became of an appointment does not show here."""
    state = State.CONFIRMED if kept.appointment_id else kept.state
    return hold_pb2.Hold(
        hold_id=kept.hold_id,
        service_id=kept.service_id,
        start_time=timestamp(kept.start),
        end_time=timestamp(kept.end),
        staff_id=kept.staff_id,
        resource_ids=kept.resource_ids,
        location_id=kept.location_id,
        seats=kept.seats,
        expires_at=timestamp(kept.expires_at),
        state=state.value,
        create_time=timestamp(kept.create_time),
    )


def appointment(kept: Reservation) -> appointment_pb2.Appointment:
    return appointment_pb2.Appointment(
        appointment_id=kept.appointment_id,
        hold_id=kept.hold_id,
        service_id=kept.service_id,
        start_time=timestamp(kept.start),
        end_time=timestamp(kept.end),
        staff_id=kept.staff_id,
        resource_ids=kept.resource_ids,
        location_id=kept.location_id,
        seats=kept.seats,
        contact_name=kept.contact.name,
        contact_email=kept.contact.email,
        contact_phone=kept.contact.phone,
        notes=kept.contact.notes,
        state=kept.state.value,
        cancel_reason=kept.cancel_reason,
        metadata=kept.contact.metadata,
        etag=kept.etag,
        create_time=timestamp(kept.confirm_time),
        update_time=timestamp(kept.update_time),
    )
