"""The starts of a place's openings: every step at which place and staff member are both open."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from zimun.domain.availability.start_grid import NO_STARTS, Grid
from zimun.domain.catalog.entries import Service, SlotAlignment
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval, intersect

MAX_OPENING = 8 * DAY
"""How long an opening can have lasted, when a date's first begins, for steps to count from it."""


class Opening(NamedTuple):
    """When a place is open on a date, all relative to the first moment of it.

    `here` is the open time of the date itself, `around` that of all dates that
    an appointment touches: openings that touch are one, from at most MAX_OPENING
    before on. Where steps count from midnight on the wall, `midnights` has the
    begin and end of each segment, and its midnight.
    """

    here: tuple[Interval, ...]
    around: tuple[Interval, ...]
    midnights: tuple[tuple[int, int, int], ...]


def opening_starts(
    service: Service, opening: Opening, staff_open: Sequence[Interval] | None
) -> Sequence[int]:
    """The starts of a staff member who works at `staff_open`; None where none is needed."""
    around = opening.around if staff_open is None else intersect(opening.around, staff_open)
    starts: list[int] = []
    for since, until in around:
        for begin, end in opening.here:
            first, stop = max(since, begin), min(until - service.duration + 1, until, end)
            if first < stop:
                starts += _steps(service, opening, since, first, stop)
    return starts


def _steps(service: Service, opening: Opening, since: int, begin: int, stop: int) -> Iterable[int]:
    """The steps from `begin` to before `stop`, of an opening that began at `since`.

    They count from then, or from midnight on the wall; from `begin` where the
    opening has lasted too long.
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
