"""Protobuf to domain values and back. Requests have been checked by `validation.check`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from zimun.booking.availability import MAX_DAYS, Availability, View
from zimun.domain.availability.obstacles import Obstacle
from zimun.domain.availability.opening_hours import Day, local_rfc3339
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.commands import CancelAppointment, RescheduleAppointment
from zimun.domain.errors import InvalidRequest
from zimun.domain.ignored_rules import NO_RULES, BookingRule, IgnoredRules
from zimun.domain.instant import SECOND
from zimun.domain.ledger.reservation import Contact, Reservation, State
from zimun.rpc.convert.booking_limits import booking_limit
from zimun.v1 import (
    appointment_pb2,
    appointments_service_pb2,
    availability_service_pb2,
    hold_pb2,
    slot_pb2,
)

MAX_NEXT_SLOTS = 100
"""The most slots of one FindNextAvailable."""


def timestamp(instant: int) -> Timestamp:
    """An instant on the wire."""
    seconds, micros = divmod(instant, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def instant(sent: Timestamp) -> int:
    """The instant of a message."""
    return sent.seconds * SECOND + sent.nanos // 1000


@lru_cache(maxsize=1 << 12)
def duration(length: int) -> Duration:
    """Microseconds on the wire: a shared message, to be copied and not changed."""
    seconds, micros = divmod(length, SECOND)
    return Duration(seconds=seconds, nanos=micros * 1000)


def length(sent: Duration) -> int:
    """The microseconds of a message."""
    return sent.seconds * SECOND + sent.nanos // 1000


_Requesting = (
    appointments_service_pb2.HoldAppointmentRequest
    | appointments_service_pb2.BookAppointmentRequest
    | availability_service_pb2.GetAvailabilityRequest
    | availability_service_pb2.FindNextAvailableRequest
    | availability_service_pb2.ExplainSlotRequest
    | availability_service_pb2.SlotCheck
)


def slot_request(request: _Requesting) -> SlotRequest:
    """The requested service, place, staff member, seats and duration; raises InvalidRequest."""
    if request.HasField("seats") and request.seats < 1:
        raise InvalidRequest({"seats": "must be 1 or more"})
    if request.HasField("duration") and not length(request.duration):
        raise InvalidRequest({"duration": "must be more than 0"})
    return SlotRequest(
        service_id=request.service_id,
        location_id=request.location_id,
        staff_id=request.staff_id,
        seats=request.seats,
        duration=length(request.duration),
        ignore_appointment_id=getattr(request, "ignore_appointment_id", ""),
        ignored=ignored_rules(getattr(request, "ignored_rules", ())),
    )


def ignored_rules(sent: Sequence[int]) -> IgnoredRules:
    """The rules that a request sets aside; raises InvalidRequest for the value that means none."""
    if not sent:
        return NO_RULES
    if appointment_pb2.Appointment.RULE_UNSPECIFIED in sent:
        raise InvalidRequest({"ignored_rules": "must name rules"})
    return frozenset(BookingRule(appointment_pb2.Appointment.Rule.Name(rule)) for rule in sent)


def time_to_check(check: availability_service_pb2.SlotCheck, n: int) -> tuple[SlotRequest, int]:
    """The slot request and start of the n-th check; raises InvalidRequest naming the check."""
    try:
        return slot_request(check), instant(check.start_time)
    except InvalidRequest as error:
        violations = error.violations.items()
        raise InvalidRequest(
            {f"checks[{n}].{name}": description for name, description in violations}
        ) from error


def count(request: availability_service_pb2.FindNextAvailableRequest) -> int:
    """The requested number of slots; raises InvalidRequest outside 1 to 100."""
    if request.HasField("count") and not 1 <= request.count <= MAX_NEXT_SLOTS:
        raise InvalidRequest({"count": f"must be 1 to {MAX_NEXT_SLOTS}"})
    return request.count or 1


def date_range(request: availability_service_pb2.GetAvailabilityRequest) -> DateRange:
    """The requested dates; raises InvalidRequest unless they are given in exactly one way."""
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
    if not 1 <= days <= MAX_DAYS:
        raise InvalidRequest({field: f"must make 1 to {MAX_DAYS} dates"})


def reschedule(
    request: appointments_service_pb2.RescheduleAppointmentRequest, session_id: str
) -> RescheduleAppointment:
    """The command to move an appointment."""
    return RescheduleAppointment(
        request.appointment_id,
        instant(request.start_time),
        request.staff_id,
        request.etag,
        session_id,
        ignored_rules(request.ignored_rules),
    )


def cancel(request: appointments_service_pb2.CancelAppointmentRequest) -> CancelAppointment:
    """The command to cancel an appointment."""
    return CancelAppointment(
        request.appointment_id,
        request.cancel_reason,
        request.etag,
        ignored_rules(request.ignored_rules),
    )


def contact(
    request: appointments_service_pb2.ConfirmAppointmentRequest
    | appointments_service_pb2.BookAppointmentRequest,
) -> Contact:
    """The contact of a confirmation."""
    return Contact(
        name=request.contact_name,
        email=request.contact_email,
        phone=request.contact_phone,
        notes=request.notes,
        metadata=dict(request.metadata),
    )


MAX_SLOTS = 16
"""The most slots of one piece of a response."""

MAX_CACHED_RESPONSE_BYTES = 1 << 13
"""Bytes in memory of the largest result whose response is cached."""


def view(request: availability_service_pb2.GetAvailabilityRequest) -> View:
    """The requested view of slots."""
    basic = availability_service_pb2.GetAvailabilityRequest.BASIC
    return View.BASIC if request.view == basic else View.FULL


def availability(result: Availability, view: View) -> Iterator[bytes]:
    """A response's bytes in pieces, which joined are the message (protobuf, "Message merging").

    The bytes of a short response are cached.
    """
    if len(result.slots) <= MAX_SLOTS:
        short = result.size <= MAX_CACHED_RESPONSE_BYTES
        yield (_short_availability if short else _availability)(result, view)
        return
    yield _availability(replace(result, slots=()), view)
    moments = Moments(result.time_zone)
    for begin in range(0, len(result.slots), MAX_SLOTS):
        piece = availability_service_pb2.GetAvailabilityResponse(
            slots=_slots(result.slots[begin : begin + MAX_SLOTS], moments, view)
        )
        yield piece.SerializeToString()


@lru_cache(maxsize=1 << 10)
def _short_availability(result: Availability, view: View) -> bytes:
    return _availability(result, view)


def _availability(result: Availability, view: View) -> bytes:
    answer = availability_service_pb2.GetAvailabilityResponse(
        service_id=result.service_id,
        time_zone=result.time_zone,
        slots=_slots(result.slots, Moments(result.time_zone), view),
        days=[day(each) for each in result.days],
    )
    return answer.SerializeToString()


def _slots(slots: Sequence[Slot], moments: "Moments", view: View) -> list[slot_pb2.Slot]:
    write = _basic_slot if view is View.BASIC else _slot
    return [write(each, moments) for each in slots]


class Moments(dict[int, tuple[Timestamp, str]]):
    """A cache of instants as timestamps and as wall times of a zone, which slots share."""

    def __init__(self, zone: str) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, instant: int) -> tuple[Timestamp, str]:
        self[instant] = text = timestamp(instant), local_rfc3339(self._zone, instant)
        return text


def slot(value: Slot, zone: str) -> slot_pb2.Slot:
    """A slot on the wire."""
    return _slot(value, Moments(zone))


def _slot(value: Slot, moments: Moments) -> slot_pb2.Slot:
    start_time, local_start_time = moments[value.start]
    end_time, local_end_time = moments[value.end]
    return slot_pb2.Slot(
        start_time=start_time,
        end_time=end_time,
        local_start_time=local_start_time,
        local_end_time=local_end_time,
        staff_ids=value.staff_ids,
        seats_left=value.seats_left,
    )


def _basic_slot(value: Slot, moments: Moments) -> slot_pb2.Slot:
    start_time, local_start_time = moments[value.start]
    return slot_pb2.Slot(
        start_time=start_time, local_start_time=local_start_time, seats_left=value.seats_left
    )


def day(value: Day) -> slot_pb2.Day:
    """A date of an availability response."""
    return slot_pb2.Day(
        date=value.date.isoformat(),
        status=value.status.value,
        note=value.note,
    )


def obstacle(value: Obstacle) -> slot_pb2.Obstacle:
    """A rule that a start breaks, on the wire."""
    busy = value.busy
    return slot_pb2.Obstacle(
        rule=value.rule.value,
        message=value.message,
        subject_id=value.subject_id,
        note=value.note,
        busy_start=timestamp(busy[0]) if busy else None,
        busy_end=timestamp(busy[1]) if busy else None,
        staff_id=value.staff_id,
        limit=booking_limit(value.limit.limit) if value.limit else None,
        limit_end_time=timestamp(value.limit_ends) if value.limit else None,
        limit_owner_id=value.limit.owner_id if value.limit else "",
    )


def alternatives(slots: Sequence[Slot], zone: str) -> slot_pb2.SlotAlternatives:
    """The open slots nearest to a refused one, as details of its error."""
    return slot_pb2.SlotAlternatives(slots=[slot(each, zone) for each in slots])


def hold(reservation: Reservation) -> hold_pb2.Hold:
    """The hold of a reservation on the wire: CONFIRMED once it is an appointment, in any state."""
    state = State.CONFIRMED if reservation.appointment_id else reservation.state
    return hold_pb2.Hold(
        hold_id=reservation.hold_id,
        service_id=reservation.service_id,
        start_time=timestamp(reservation.start),
        end_time=timestamp(reservation.end),
        staff_id=reservation.staff_id,
        resource_ids=reservation.resource_ids,
        location_id=reservation.location_id,
        seats=reservation.seats,
        expires_at=timestamp(reservation.expires_at),
        state=state.value,
        create_time=timestamp(reservation.create_time),
    )


def appointment(reservation: Reservation) -> appointment_pb2.Appointment:
    """A confirmed reservation on the wire."""
    return appointment_pb2.Appointment(
        appointment_id=reservation.appointment_id,
        hold_id=reservation.hold_id,
        service_id=reservation.service_id,
        start_time=timestamp(reservation.start),
        end_time=timestamp(reservation.end),
        staff_id=reservation.staff_id,
        resource_ids=reservation.resource_ids,
        location_id=reservation.location_id,
        seats=reservation.seats,
        contact_name=reservation.contact.name,
        contact_email=reservation.contact.email,
        contact_phone=reservation.contact.phone,
        notes=reservation.contact.notes,
        state=reservation.state.value,
        cancel_reason=reservation.cancel_reason,
        metadata=reservation.contact.metadata,
        etag=reservation.etag,
        create_time=timestamp(reservation.confirm_time),
        update_time=timestamp(reservation.update_time),
        outcome_time=timestamp(reservation.outcome_time) if reservation.outcome_time else None,
    )
