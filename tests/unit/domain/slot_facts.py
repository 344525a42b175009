"""What a search says of times, as plain values."""

from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.availability.slot_refusal import refusal_of
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Slot
from zimun.domain.booking_errors import (
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    SlotUnavailable,
)
from zimun.domain.instant import MINUTE

from .build import NINE, World, utc
from .oracle import Facts


def facts(slot: Slot) -> Facts:
    return Facts(
        staff_ids=slot.staff_ids,
        seats_left=slot.seats_left,
        is_new=slot.resource_ids is not None,
        joinable=frozenset(slot.joinable),
    )


def slot_at(search: Search, start: int) -> Slot:
    """The slot at a start; raises the error with which a hold of it is refused."""
    if slot := search.find_slot(start):
        return slot
    raise refusal_of(search, start)


def refusal(search: Search, start: int) -> str:
    """The rule that the refusal of a start names; empty for a slot."""
    try:
        slot_at(search, start)
    except (NotASlot, OutsideBookingWindow) as refused:
        return refused.metadata["rule"]
    except SlotUnavailable:
        return "TAKEN"
    except LimitReached as reached:
        return reached.reason
    return ""


def starts(asked: World) -> list[str]:
    """When the slots start in UTC, as 09:00; after Monday the hours count on, from 24:00."""
    found = asked.search().slots(asked.first, asked.last)
    return [shown(slot.start) for slot in found]


def shown(instant: int) -> str:
    minutes = (instant - utc("2026-01-05T00:00")) // MINUTE
    return f"{minutes // 60:02}:{minutes % 60:02}"


def why(asked: World, start: int = NINE) -> list[tuple[str, str]]:
    """Rule and subject of each obstacle, in their order."""
    return [(one.rule.value, one.subject_id) for one in obstacles(asked.search(), start)]
