"""The rules of hours and steps for one start, each by itself; instants are microseconds."""

from collections.abc import Sequence
from dataclasses import replace

from zimun.domain.availability.opening_hours import local_date, midnight, segments
from zimun.domain.availability.roster import NO_STAFF, serves
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Place, Service, SlotAlignment
from zimun.domain.ignored_rules import BookingRule, IgnoredRules
from zimun.domain.intervals import covers, merge, overlapping


def is_place_open(timetable: Timetable, service: Service, place: Place, start: int) -> bool:
    """Whether the place is open for all of an appointment."""
    time = (start, start + service.duration)
    return covers(merge(timetable.place_open(place, time)), time)


def is_within_hours(timetable: Timetable, service: Service, place: Place, start: int) -> bool:
    """Whether the service's own hours cover all of an appointment."""
    if not service.has_hours:
        return True
    time = (start, start + service.duration)
    return covers(merge(timetable.service_hours(service, place, time)), time)


def works(timetable: Timetable, service: Service, staff_id: str, start: int) -> bool:
    """Whether a staff member's hours cover all of an appointment."""
    time = (start, start + service.duration)
    return covers(merge(timetable.staff_open(staff_id, time)), time)


def has_time_off(
    timetable: Timetable, service: Service, place: Place, staff_id: str, start: int
) -> bool:
    """Whether place or staff member (empty: none) has time off within an appointment."""
    time = (start, start + service.duration)
    each = timetable.time_off.of_place(place.id, time), timetable.time_off[staff_id]
    return any(overlapping(owner_time_off.intervals, time) for owner_time_off in each)


def is_between_steps(
    timetable: Timetable, service: Service, place: Place, staff_id: str, start: int
) -> bool:
    """Whether a start is not on the service's steps.

    Steps that count from an opening differ between staff members. While place, service or
    staff member (empty: none) are closed there are no steps, and the result is False.
    """
    if service.slot_alignment is SlotAlignment.HOUR:
        return time_of_day(place, start) % service.slot_step > 0
    # Only the start must lie in open hours, not all of the appointment.
    at_once = replace(service, active=True, duration=1)
    if not is_place_open(timetable, at_once, place, start):
        return False
    if not is_within_hours(timetable, at_once, place, start):
        return False
    if staff_id and not works(timetable, at_once, staff_id, start):
        return False
    steps = timetable.grid(at_once, place, local_date(place.time_zone, start)).at(start)
    return not (steps and steps[service.staff_ids.index(staff_id) if staff_id else 0])


def time_of_day(place: Place, start: int) -> int:
    """What the wall clock of the place shows, since midnight."""
    day = local_date(place.time_zone, start)
    day_segments = segments(place.time_zone, day)
    offset = next(
        segment.offset for segment in day_segments if segment.start <= start < segment.end
    )
    return start + offset - midnight(day)


def on_duty_at(
    timetable: Timetable, service: Service, place: Place, start: int, ignored: IgnoredRules
) -> Sequence[int]:
    """For each staff member 1 if only ignored rules forbid a start, or none does; else 0."""
    location = timetable.catalog.locations.get(place.id)
    staff = service.staff_ids or NO_STAFF
    if not service.active or (location and not location.active):
        return [0] * len(staff)
    return [
        int(_is_on_duty(timetable, service, place, staff_id, start, ignored)) for staff_id in staff
    ]


def _is_on_duty(
    timetable: Timetable,
    service: Service,
    place: Place,
    staff_id: str,
    start: int,
    ignored: IgnoredRules,
) -> bool:
    if not serves(timetable.catalog, staff_id, place):
        return False
    if has_time_off(timetable, service, place, staff_id, start):
        return False
    if BookingRule.OPENING_HOURS not in ignored:
        if not is_place_open(timetable, service, place, start):
            return False
        if not is_within_hours(timetable, service, place, start):
            return False
        if staff_id and not works(timetable, service, staff_id, start):
            return False
    if BookingRule.GRID in ignored:
        return True
    return not is_between_steps(timetable, service, place, staff_id, start)
