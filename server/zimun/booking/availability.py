"""Queries of open slots: the use cases of AvailabilityService.

Every one of them is a `Search` over a ledger, opened by `domain.availability.slot_request`:
the one by which holds and reschedules decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from operator import itemgetter

from zimun.booking.pause import Pause
from zimun.booking.reader import Reader
from zimun.domain.availability.obstacles import Obstacle
from zimun.domain.availability.opening_hours import Day, dates, local_date, segments
from zimun.domain.availability.slot_explanation import obstacles
from zimun.domain.availability.slot_refusal import refusal_of
from zimun.domain.availability.slot_request import (
    DateRange,
    ResolvedRequest,
    SlotRequest,
    resolve,
)
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.tallies import LIMIT_REACH
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Place
from zimun.domain.errors import ResponseTooLarge, ZimunError
from zimun.domain.identity import Caller
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.ledger.layers import AgingMap
from zimun.domain.ledger.ledger import Ledger

MAX_DAYS = 92
"""The most dates of one request: any three months."""

MAX_SUBJECT_DAYS = 1500
"""The most days times subjects that are loaded at once."""

FIRST_DAYS, MORE_DAYS = 7, 28
"""Dates searched for the next open slots: at first, and in each step after that."""

NEVER = 1 << 62
"""An instant beyond all others."""

MAX_CACHE_BYTES = 32 << 20
"""Bytes of all cached availability."""

MAX_RESPONSE_BYTES = 15 << 20
"""Bytes of a response as JSON; the gateway's limit is 16 MiB."""

_SLOT_BYTES, _STAFF_BYTES = 200, 8
"""Bytes in memory of a slot, and of each staff member that it names."""

_SLOT_TEXT, _STAFF_TEXT, _MAX_ID_LENGTH = 240, 3, 64
"""Bytes of a slot and of a staff member as JSON without ids, and of the longest id."""


class View(Enum):
    """The fields of a slot in a response: its start and seats (BASIC), or all (FULL)."""

    BASIC = "BASIC"
    FULL = "FULL"


@dataclass(frozen=True, eq=False)
class Availability:
    """The open slots in time order, and the status of each of the place's dates."""

    service_id: str
    time_zone: str
    slots: Sequence[Slot]
    days: Sequence[Day]

    @cached_property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        count = 2 + len(self.slots) + len(self.days)
        return _SLOT_BYTES * count + _STAFF_BYTES * sum(len(slot.staff_ids) for slot in self.slots)


@dataclass(frozen=True, slots=True)
class _CachedAvailability:
    """Availability that is valid from one instant until another, while its subjects are as they
    were at a number of the ledger.

    `subjects` may be taken within `reach`; without any, every event may change it. `origin` is
    that of the ledger in memory; once the ledger is dropped, the availability is not valid any
    more.
    """

    origin: object
    seq: int
    catalog_version: int
    subjects: tuple[str, ...]
    reach: Interval
    since: int
    until: int
    availability: Availability

    def is_valid(self, ledger: Ledger, now: int) -> bool:
        """Whether a search of the ledger would find the same."""
        if self.origin is not ledger.origin or self.catalog_version != ledger.catalog_version:
            return False
        if not self.since <= now < self.until:
            return False
        if self.seq == ledger.seq:
            return True
        return bool(self.subjects) and not ledger.has_changed(self.subjects, self.reach, self.seq)


class AvailabilityCache:
    """A cache of availability.

    An entry is valid while the catalogue and what is taken of the service's staff and resources
    within eight days are the same, and until time changes it: a slot comes within the lead time,
    or a hold expires.
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: AgingMap[object, _CachedAvailability] = AgingMap()
        self._size = 0

    def get(self, key: object, ledger: Ledger, now: int) -> Availability | None:
        """The cached availability of a request, if it is still valid."""
        cached = self._entries.get(key)
        return cached.availability if cached and cached.is_valid(ledger, now) else None

    def put(self, key: object, entry: _CachedAvailability) -> None:
        """Add an entry; the least recently used are dropped when the cache is full."""
        size, half = entry.availability.size, self._max_bytes // 2
        if entry.until <= entry.since or size > half:
            return
        self._size += size
        if self._size > half:
            self._entries.age()
            self._size = size
        self._entries.update({key: entry})


@dataclass(frozen=True, slots=True)
class _Part:
    """A search for the starts within a part of an interval, and the ledger it was opened on."""

    ledger: Ledger
    search: Search
    part: Interval
    whole: Interval

    async def slots(self, pause: Pause) -> list[Slot]:
        """The slots that start within the part, in time order but where a clock was set back."""
        search = self.search
        start, end = search.window.clip(self.part)
        if start >= end:
            return []
        zone = search.place.time_zone
        slots_in_part: list[Slot] = []
        for slots in search.slots_by_day(local_date(zone, start), local_date(zone, end - 1)):
            slots_in_part += [slot for slot in slots if start <= slot.start < end]
            if pause.is_due:
                await pause.take()
        return slots_in_part

    def cacheable(self, availability: Availability) -> _CachedAvailability:
        """The availability with the interval in which it is valid if nothing is booked.

        It is empty for group services, whose seats become free hold by hold, and where the
        horizon lies within the requested dates, as it moves on.
        """
        search = self.search
        if search.service.capacity > 1 or self.whole[1] > search.window.latest:
            until = 0
        else:
            first = (
                availability.slots[0].start - search.service.lead_time + 1
                if availability.slots
                else NEVER
            )
            until = min(first, search.busy.stands_until)
        service, ledger = search.service, self.ledger
        demand = search.timetable.catalog.demand(service, search.place.id)
        begin, end = max(self.whole[0], search.now), self.whole[1]
        reach = service.taken(begin)[0], service.taken(end - 1)[1]
        if demand.limits:
            reach = reach[0] - LIMIT_REACH, reach[1] + LIMIT_REACH
        return _CachedAvailability(
            ledger.origin,
            ledger.seq,
            ledger.catalog_version,
            # Other limits count what may take none of its subjects, or lie elsewhere.
            demand.subjects if all(limit.is_daily_limit for limit in demand.limits) else (),
            reach,
            search.now,
            until,
            availability,
        )


async def get_availability(
    reader: Reader,
    cache: AvailabilityCache,
    caller: Caller,
    request: SlotRequest,
    date_range: DateRange,
    view: View = View.FULL,
) -> Availability:
    """The open slots of the dates; raises what `resolve` raises, and ResponseTooLarge.

    Long ranges are answered part by part, each as of the moment at which it is read.
    """
    key = (caller.org_id, request, date_range, view)
    parts: list[_Part] = []
    slots: list[Slot] = []
    size = 0
    pause = Pause()
    while not parts or parts[-1].part[1] < parts[-1].whole[1]:
        last = parts[-1] if parts else None

        def query(
            ledger: Ledger, timetable: Timetable, now: int, last: _Part | None = last
        ) -> _Part | Availability:
            cached = None if last else cache.get(key, ledger, now)
            return cached or _open(ledger, timetable, now, request, date_range, last)

        opened = await reader.query(caller.org_id, query)
        if isinstance(opened, Availability):
            return opened
        parts.append(opened)
        part_slots = await opened.slots(pause)
        size += _text_size(opened.search, part_slots, view)
        if size > MAX_RESPONSE_BYTES:
            raise ResponseTooLarge(date_range.last_field, MAX_RESPONSE_BYTES)
        slots += part_slots
    availability = _availability(parts[-1].search, slots, parts[-1].whole, date_range)
    # What an appointment to ignore takes may change without its staff and resources.
    if len(parts) == 1 and not date_range.days_ahead and not request.ignore_appointment_id:
        cache.put(key, parts[0].cacheable(availability))
    return availability


def _text_size(search: Search, slots: Sequence[Slot], view: View) -> int:
    """An estimate of the bytes of the slots as JSON; for a small response an upper bound."""
    if view is View.BASIC:
        return len(slots) * _SLOT_TEXT
    upper_bound = len(slots) * (
        _SLOT_TEXT + (_STAFF_TEXT + _MAX_ID_LENGTH) * len(search.service.staff_ids)
    )
    if upper_bound < MAX_RESPONSE_BYTES // 100:
        return upper_bound
    return sum(_SLOT_TEXT + _STAFF_TEXT * len(ids) + sum(map(len, ids)) for _, _, ids, *_ in slots)


def _open(
    ledger: Ledger,
    timetable: Timetable,
    now: int,
    request: SlotRequest,
    date_range: DateRange,
    last: _Part | None,
) -> _Part:
    """The next part of a range, short enough to be searched in a few milliseconds."""
    resolved = resolve(ledger, timetable, request)
    whole = last.whole if last else date_range.interval(resolved.place.time_zone, now)
    begin = last.part[1] if last else whole[0]
    days = max(1, MAX_SUBJECT_DAYS // len(resolved.service.subjects(resolved.place.id)))
    part = begin, min(begin + days * DAY, whole[1])
    return _searched(ledger, now, resolved, part, whole)


def _searched(
    ledger: Ledger, now: int, resolved: ResolvedRequest, part: Interval, whole: Interval
) -> _Part:
    """As much of the beginning of a part as one search can look at: all, if little is booked."""
    searched = resolved.from_now_to_horizon(now, part)
    if searched[0] < searched[1]:
        until = resolved.part(ledger, searched, searched[0])[1]
        if until < searched[1]:
            part, searched = (part[0], until), (searched[0], until)
    return _Part(ledger, resolved.search(ledger, now, searched), part, whole)


def _availability(
    search: Search, slots: list[Slot], whole: Interval, date_range: DateRange
) -> Availability:
    """The slots, and the map of the place's dates that the interval touches."""
    zone, (start, end) = search.place.time_zone, whole
    covered = dates(local_date(zone, start), local_date(zone, end - 1)) if start < end else ()
    given = search.timetable.service_day
    days = [given(search.service, search.place, day) for day in covered]
    slots.sort(key=itemgetter(0))
    return Availability(search.service.id, date_range.time_zone or zone, slots, days)


async def find_next(
    reader: Reader, caller: Caller, request: SlotRequest, start_from: int, count: int
) -> tuple[Sequence[Slot], Place]:
    """The first `count` slots that start at `start_from` or later, and their place.

    They are looked for in longer and longer stretches, each as of the moment at
    which it is read; dates on which nothing can be had are skipped. Raises what
    `resolve` raises.
    """
    slots: list[Slot] = []
    begin, days, pause = start_from, FIRST_DAYS, Pause()
    while True:

        def query(
            ledger: Ledger, timetable: Timetable, now: int, begin: int = begin, days: int = days
        ) -> _Part:
            return _open_next(ledger, timetable, now, request, begin, days)

        opened = await reader.query(caller.org_id, query)
        slots += await opened.slots(pause)
        search, end = opened.search, opened.part[1]
        if len(slots) >= count or end > search.window.latest or not search.is_bookable:
            slots.sort(key=itemgetter(0))
            return slots[:count], search.place
        begin, days = end, MORE_DAYS


def _open_next(
    ledger: Ledger, timetable: Timetable, now: int, request: SlotRequest, begin: int, days: int
) -> _Part:
    """The next stretch that can have slots, from an instant on."""
    resolved = resolve(ledger, timetable, request)
    empty = resolved.without_bookings(now)
    begin = max(begin, empty.window.earliest)
    zone = resolved.place.time_zone
    last = local_date(zone, max(begin, empty.window.latest))
    day = empty.next_open_date(local_date(zone, begin), last)
    if day is None:
        return _Part(ledger, empty, (begin, max(begin, empty.window.latest + 1)), (begin, begin))
    day_segments = segments(zone, day)
    begin = max(begin, day_segments[0].start) if day_segments else begin
    days = min(days, max(1, MAX_SUBJECT_DAYS // len(resolved.service.subjects(resolved.place.id))))
    part = (begin, begin + days * DAY)
    return _searched(ledger, now, resolved, part, part)


CheckOutcome = Slot | ZimunError
"""A slot, or the error with which a hold of it would be refused."""


async def check(
    reader: Reader, caller: Caller, times: Sequence[tuple[SlotRequest, int]]
) -> Sequence[tuple[CheckOutcome, str]]:
    """The outcome of a hold at each time, and the zone of its place; empty without a place."""
    return await reader.query(
        caller.org_id,
        lambda ledger, timetable, now: [
            _check(ledger, timetable, now, request, start) for request, start in times
        ],
    )


def _check(
    ledger: Ledger, timetable: Timetable, now: int, request: SlotRequest, start: int
) -> tuple[CheckOutcome, str]:
    try:
        search = resolve(ledger, timetable, request).search_at(ledger, now, start)
    except ZimunError as error:
        return error, ""
    return _outcome_at(search, start), search.place.time_zone


def _outcome_at(search: Search, start: int) -> CheckOutcome:
    return search.find_slot(start) or refusal_of(search, start)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome of a hold at a time, and all rules that the time breaks."""

    service_id: str
    time_zone: str
    outcome: CheckOutcome
    obstacles: Sequence[Obstacle]


async def explain(reader: Reader, caller: Caller, request: SlotRequest, start: int) -> Explanation:
    """Why a time can be had or cannot; raises what `resolve` raises."""
    search = await reader.query(
        caller.org_id,
        lambda ledger, timetable, now: resolve(ledger, timetable, request).search_at(
            ledger, now, start
        ),
    )
    outcome = _outcome_at(search, start)
    why = [] if isinstance(outcome, Slot) else obstacles(search, start)
    return Explanation(search.service.id, search.place.time_zone, outcome, why)
