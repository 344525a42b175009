"""The refusal of a start that is no slot: the error of its first obstacle (`slot_explanation`)."""

from zimun.domain.availability.obstacles import TAKEN_RULES, WINDOW_RULES
from zimun.domain.availability.single_start import has_time_off
from zimun.domain.availability.slot_explanation import first_obstacle, first_time_off
from zimun.domain.availability.slot_search import Search
from zimun.domain.booking_errors import (
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    SlotUnavailable,
)
from zimun.domain.errors import Refused


def refusal_of(search: Search, start: int) -> Refused | SlotUnavailable:
    """The error of the first obstacle of a start at which `Search.find_slot` finds no slot.

    NotASlot where the catalogue forbids the start, OutsideBookingWindow where it is too soon or
    too far ahead, LimitReached, or SlotUnavailable where all that could serve it is taken.
    """
    is_taken = search.is_taken(start)
    if is_taken and not search.busy.tallies:
        return SlotUnavailable(search.service.id)
    first = first_obstacle(search, start)
    if first.limit:
        return LimitReached(first.limit, first.message, first.limit_ends)
    if is_taken or first.rule in TAKEN_RULES:
        return SlotUnavailable(search.service.id)
    if first.rule in WINDOW_RULES:
        window = search.window
        return OutsideBookingWindow(first.rule.value, window.earliest, window.latest)
    return NotASlot(first.rule.value, first.message, first.note)


def check_no_time_off(search: Search, staff_id: str, start: int) -> None:
    """Raise NotASlot where the place or a staff member (empty: none) has time off within an
    appointment."""
    if has_time_off(search.timetable, search.service, search.place, staff_id, start):
        first = first_time_off(search, staff_id, start)
        raise NotASlot(first.rule.value, first.message, first.note)
