"""Questions about open slots: the methods of AvailabilityService.

Every one of them is a `Search` over a ledger, opened by `domain.slot_request`:
the one by which holds and reschedules decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from zimun.booking.reader import Reader
from zimun.domain.access import Caller
from zimun.domain.availability import Search, Slot
from zimun.domain.catalog import Place
from zimun.domain.errors import ZimunError
from zimun.domain.explanation import Obstacle, obstacles
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.ledger import AgingMap, Ledger
from zimun.domain.schedule import Day, dates, local_date
from zimun.domain.slot_request import DateRange, SlotRequest, resolve, search_at, slots_within
from zimun.domain.timetable import Timetable

MAX_DAYS = 92
"""The most dates of one question: any three months."""

FIRST_DAYS, MORE_DAYS = 7, 28
"""How many dates are searched at first for the next open slots, and at a time after these."""

NEVER = 1 << 62
"""An instant beyond all others."""

MAX_KEPT = 500_000
"""How many slots and staff members all kept answers may name together: about 50 MB."""


@dataclass(frozen=True, eq=False)
class Availability:
    """The open slots in time order, and what each of the place's dates is like."""

    service_id: str
    time_zone: str
    slots: Sequence[Slot]
    days: Sequence[Day]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that stands at one number of a ledger, from one instant until another.

    `origin` is that of the ledger in memory: once that has been dropped, the
    answer does not stand any more either.
    """

    origin: object
    seq: int
    since: int
    until: int
    answer: Availability


class AnswerCache:
    """Answers that still stand: while the ledger's number is the same, and until time itself
    changes them (a slot comes too near, a hold expires)."""

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._kept: AgingMap[object, _Kept] = AgingMap()
        self._size = 0

    def get(self, key: object, ledger: Ledger, now: int) -> Availability | None:
        """The answer to a question, if it still stands."""
        kept = self._kept.get(key)
        if kept is None or kept.origin is not ledger.origin or kept.seq != ledger.seq:
            return None
        return kept.answer if kept.since <= now < kept.until else None

    def put(self, key: object, kept: _Kept) -> None:
        """Keep an answer; those not asked for lately go when there are too many."""
        if kept.until <= kept.since:
            return
        self._size += 1 + sum(1 + len(slot.staff_ids) for slot in kept.answer.slots)
        if self._size > self._max_kept // 2:
            self._kept.age()
            self._size = 0
        self._kept.update({key: kept})


@dataclass(frozen=True, slots=True)
class _Opened:
    """A search with all that is taken, the ledger's origin and number, the interval of starts."""

    origin: object
    seq: int
    search: Search
    within: Interval
    time_zone: str

    def answer(self) -> Availability:
        """The slots, and the map of the place's dates that the interval touches."""
        search, (start, end) = self.search, self.within
        zone = search.place.time_zone
        covered = dates(local_date(zone, start), local_date(zone, end - 1)) if start < end else ()
        days = [search.timetable.day(search.place, day) for day in covered]
        slots = slots_within(search, self.within)
        return Availability(search.service.id, self.time_zone, slots, days)

    def kept(self, answer: Availability) -> _Kept:
        """The answer with how long it stands although nobody changes anything.

        Seats of a class end hold by hold, and a horizon within the interval
        moves on: such answers do not stand at all.
        """
        search = self.search
        if search.service.capacity > 1 or self.within[1] > search.closes:
            until = 0
        else:
            first = answer.slots[0].start - search.service.lead_time + 1 if answer.slots else NEVER
            until = min(first, search.busy.stands_until)
        return _Kept(self.origin, self.seq, search.now, until, answer)


async def get_availability(
    reader: Reader, cache: AnswerCache, caller: Caller, request: SlotRequest, asked: DateRange
) -> Availability:
    """The open slots of the dates; raises what `resolve` raises."""
    key = (caller.org_id, request, asked)

    def question(ledger: Ledger, timetable: Timetable, now: int) -> _Opened | Availability:
        return cache.get(key, ledger, now) or _open(ledger, timetable, now, request, asked)

    opened = await reader.ask(caller.org_id, question)
    if isinstance(opened, Availability):
        return opened
    answer = opened.answer()
    if not asked.days_ahead:
        cache.put(key, opened.kept(answer))
    return answer


def _open(
    ledger: Ledger, timetable: Timetable, now: int, request: SlotRequest, asked: DateRange
) -> _Opened:
    resolved = resolve(ledger, timetable, request)
    within = asked.interval(resolved.place.time_zone, now)
    search = resolved.search(ledger, now, resolved.bookable(now, within))
    zone = asked.time_zone or resolved.place.time_zone
    return _Opened(ledger.origin, ledger.seq, search, within, zone)


async def find_next(
    reader: Reader, caller: Caller, request: SlotRequest, start_from: int, count: int
) -> tuple[Sequence[Slot], Place]:
    """The first `count` slots that start at `start_from` or later, and their place.

    They are looked for in longer and longer stretches, each by itself. Raises
    what `resolve` raises.
    """
    found: list[Slot] = []
    begin, days = start_from, FIRST_DAYS
    while True:

        def question(
            ledger: Ledger,
            timetable: Timetable,
            now: int,
            within: Interval = (begin, begin + days * DAY),
        ) -> tuple[Search, Interval]:
            resolved = resolve(ledger, timetable, request)
            within = max(within[0], now), max(within[1], now + FIRST_DAYS * DAY)
            return resolved.search(ledger, now, resolved.bookable(now, within)), within

        search, within = await reader.ask(caller.org_id, question)
        found += slots_within(search, within)
        if len(found) >= count or within[1] > search.closes:
            return found[:count], search.place
        begin, days = max(within[1], search.opens), MORE_DAYS


Verdict = Slot | ZimunError
"""A slot, or the error with which a hold of it would be refused."""


async def check(
    reader: Reader, caller: Caller, times: Sequence[tuple[SlotRequest, int]]
) -> Sequence[tuple[Verdict, str]]:
    """What a hold would find of each time, and the zone of its place; empty where there is none."""
    return await reader.ask(
        caller.org_id,
        lambda ledger, timetable, now: [
            _check(ledger, timetable, now, request, start) for request, start in times
        ],
    )


def _check(
    ledger: Ledger, timetable: Timetable, now: int, request: SlotRequest, start: int
) -> tuple[Verdict, str]:
    try:
        search = search_at(ledger, timetable, now, request, start)
    except ZimunError as error:
        return error, ""
    return _verdict(search, start), search.place.time_zone


def _verdict(search: Search, start: int) -> Verdict:
    try:
        return search.slot_at(start)
    except ZimunError as error:
        return error


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a hold of a time would find, and all that stands in its way."""

    service_id: str
    time_zone: str
    verdict: Verdict
    obstacles: Sequence[Obstacle]


async def explain(reader: Reader, caller: Caller, request: SlotRequest, start: int) -> Explanation:
    """Why a time can be had or cannot; raises what `resolve` raises."""
    search = await reader.ask(
        caller.org_id,
        lambda ledger, timetable, now: search_at(ledger, timetable, now, request, start),
    )
    verdict = _verdict(search, start)
    why = [] if isinstance(verdict, Slot) else obstacles(search, start)
    return Explanation(search.service.id, search.place.time_zone, verdict, why)
