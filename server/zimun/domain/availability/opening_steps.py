"""The starts of a place's openings: every step at which place and staff member are both open."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from zimun.domain.availability.start_grid import NO_STARTS, Grid
from zimun.domain.catalog.entries import Service, SlotAlignment
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval, intersect

MAX_OPENING = 8 * DAY
"""The longest time since an opening began for which steps still count from its beginning."""


class Opening(NamedTuple):
    """When a place is open on a date; all times are relative to its first open instant.

    `on_date` is the open time of the date itself, `around` the open time of all dates
    that an appointment touches, with openings that touch as one, beginning at most
    MAX_OPENING before. Where steps count from midnight of the wall clock, `midnights` has
    the begin and end of each segment, and its midnight.
    """

    on_date: tuple[Interval, ...]
    around: tuple[Interval, ...]
    midnights: tuple[tuple[int, int, int], ...]


def opening_starts(
    service: Service, opening: Opening, staff_open: Sequence[Interval] | None
) -> Sequence[int]:
    """The starts of a staff member who works at `staff_open` (None: no staff is needed)."""
    around = opening.around if staff_open is None else intersect(opening.around, staff_open)
    starts: list[int] = []
    for since, until in around:
        for begin, end in opening.on_date:
            first, stop = max(since, begin), min(until - service.duration + 1, until, end)
            if first < stop:
                starts += _steps(service, opening, since, first, stop)
    return starts


def _steps(service: Service, opening: Opening, since: int, begin: int, stop: int) -> Iterable[int]:
    """The steps from `begin` to before `stop`, of an opening that began at `since`.

    They count from `since`, or from midnight of the wall clock; from `begin` where the
    opening began more than MAX_OPENING before.
    """
    step = service.slot_step
    if service.slot_alignment is SlotAlignment.OPENING:
        origin = since if since > -MAX_OPENING else begin
        return range(begin + (origin - begin) % step, stop, step)
    return chain.from_iterable(
        range(first + (origin - first) % step, min(until, stop), step)
        for since, until, origin in opening.midnights
        for first in [max(since, begin)]
    )


def united(starts_of: Sequence[Sequence[int]]) -> Grid:
    """The grid of staff members, given the starts of each; many of them have the same."""
    distinct = {id(starts): starts for starts in starts_of}
    united = sorted(set().union(*distinct.values()))
    bit_of = {start: 1 << p for p, start in enumerate(united)}.__getitem__
    bits = {key: sum(map(bit_of, starts)) for key, starts in distinct.items()}
    return Grid(0, united, [bits[id(starts)] for starts in starts_of]) if united else NO_STARTS
