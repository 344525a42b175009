"""The slots nearest to an instant: the alternatives that the refusal of a taken slot offers."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from zimun.domain.availability.opening_hours import local_date, segments
from zimun.domain.availability.slot_request import ResolvedRequest
from zimun.domain.availability.slot_search import ONE_DAY, Search
from zimun.domain.availability.slots import Slot
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.ignored_rules import NO_RULES
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.ledger import Ledger

ALTERNATIVES = 3
"""How many open slots a refusal of a taken one offers."""

ALTERNATIVE_RADII = (1, 7, 31)
"""How many days around the requested time are searched for alternatives, one after the other."""


def slot_unavailable(
    ledger: Ledger, resolved: ResolvedRequest, now: int, start: int
) -> SlotUnavailable:
    """The refusal of a taken slot, with the nearest that every rule allows; raises NotLoaded."""
    resolved = resolved._replace(ignored=NO_RULES)
    service = resolved.service
    slots, stands_until = _alternatives(ledger, resolved, now, start)
    # Group services have seats that become free hold by hold.
    if service.capacity > 1:
        stands_until = 0
    first = min([start, *[slot.start for slot in slots]])
    stands_until = min(stands_until, first - service.lead_time + 1)
    return SlotUnavailable(service.id, slots, resolved.place.time_zone, stands_until)


class _Alternatives(NamedTuple):
    """Open slots, and until when no hold that expires and no later horizon adds another."""

    slots: Sequence[Slot]
    stands_until: int


def _alternatives(ledger: Ledger, resolved: ResolvedRequest, now: int, start: int) -> _Alternatives:
    """Up to ALTERNATIVES open slots nearest to `start`, nearest first.

    Where very much is booked, no further from it than one search can look (`part`).
    """
    slots: Sequence[Slot] = ()
    stands_until = FOREVER
    for radius in ALTERNATIVE_RADII:
        around = (start - radius * DAY, start + radius * DAY + 1)
        within = resolved.from_now_to_horizon(now, around)
        if within[1] < around[1]:
            stands_until = 0
        if within[0] < within[1]:
            part = resolved.part(ledger, within, start)
            search = resolved.search(ledger, now, part)
            stands_until = min(stands_until, search.busy.stands_until)
            slots = _nearest(search, part, start)
            if part != within:
                break
        if len(slots) == ALTERNATIVES:
            break
    return _Alternatives(slots, stands_until)


def _nearest(search: Search, within: Interval, start: int) -> Sequence[Slot]:
    """Up to ALTERNATIVES open slots of an interval nearest to `start`, nearest first."""
    begin, end = search.window.clip(within)
    if begin >= end:
        return ()
    zone = search.place.time_zone
    slots = nearest(search, start, ALTERNATIVES, local_date(zone, begin), local_date(zone, end - 1))
    return [slot for slot in slots if begin <= slot.start < end]


def nearest(search: Search, start: int, count: int, first: date, last: date) -> list[Slot]:
    """The slots of the place's dates from first to last that start nearest to an instant.

    The nearest comes first, the earlier of two that are equally near. More
    and more dates around the instant are searched, until no other can have
    a nearer slot.
    """
    day, length = local_date(search.place.time_zone, start), ONE_DAY
    before, after = max(first, min(day, last)), min(max(first, day), last)
    slots = search.slots(before, after)
    while True:
        slots = sorted(slots, key=lambda slot: (abs(slot.start - start), slot.start))[:count]
        beyond = _distances(search.place.time_zone, start, before, after, first, last)
        if not beyond or (len(slots) == count and abs(slots[-1].start - start) < min(beyond)):
            return slots
        begin, end = max(before - length, first), min(after + length, last)
        slots += search.slots(begin, before - ONE_DAY)
        slots += search.slots(after + ONE_DAY, end)
        before, after, length = begin, end, 2 * length


def _distances(
    zone: str, start: int, before: date, after: date, first: date, last: date
) -> list[int]:
    """How far from an instant the dates before and after those searched are; empty for none.

    A zone skips no two dates in a row.
    """
    distances = []
    if first < before:
        day_segments = segments(zone, before - ONE_DAY) or segments(zone, before - 2 * ONE_DAY)
        distances.append(start - day_segments[-1].end + 1)
    if after < last:
        day_segments = segments(zone, after + ONE_DAY) or segments(zone, after + 2 * ONE_DAY)
        distances.append(day_segments[0].start - start)
    return distances
