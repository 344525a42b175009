"""Searching for open slots: GetAvailability, and the alternatives to a taken one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from zimun.booking.store import Store, Transaction
from zimun.domain.access import Caller
from zimun.domain.availability import Search, Slot, Timetable
from zimun.domain.catalog import Place, Service
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.schedule import Day, dates, local_date, segments

MOST_DAYS = 92
"""The most dates of one question: any three months."""

SHORT_DAYS = 7
"""The most dates that are searched on the event loop; more are searched beside it."""

NEVER = 1 << 62
"""An instant beyond all others."""

ALTERNATIVES = 3
"""How many open slots a refusal of a taken one offers."""

_RADII = (1, 7, 31)
"""How many days around the wanted time are searched for alternatives, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: a service, where, by whom (empty: wherever and whoever), for how many."""

    service_id: str
    location_id: str = ""
    staff_id: str = ""
    seats: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """Which dates: from first to last, or as many as `days_ahead` from today on.

    They are dates of `time_zone`, or of the place where that is empty.
    """

    first: date | None = None
    last: date | None = None
    days_ahead: int = 0
    time_zone: str = ""

    @property
    def days(self) -> int:
        """How many dates that makes."""
        return (self.last - self.first).days + 1 if self.first and self.last else self.days_ahead


@dataclass(frozen=True, eq=False)
class Availability:
    """The open slots in time order, and what each of the place's dates is like."""

    service_id: str
    time_zone: str
    slots: Sequence[Slot]
    days: Sequence[Day]


class Answers:
    """Answers that still stand, by question.

    Many ask the same between two changes: everybody who opens the page of a
    service. An answer stands for as long as nobody has committed anything (the
    store's version), and until time itself changes it: the first slot comes too
    near, a hold expires. It is never given for an earlier instant than its own.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._kept: dict[object, tuple[int | None, int, int, Availability]] = {}

    def get(self, question: object, version: int | None, now: int) -> Availability | None:
        """The answer, if it still stands at `now`."""
        kept = self._kept.get(question)
        if kept and kept[0] == version and kept[1] <= now < kept[2]:
            return kept[3]
        return None

    def put(
        self, question: object, version: int | None, now: int, until: int, answer: Availability
    ) -> None:
        """Keep an answer that was worked out at `now` from this or a later version."""
        if version is None or until <= now:
            return
        if len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[question] = (version, now, until, answer)


async def get_availability(
    store: Store,
    now: int,
    caller: Caller,
    wanted: Wanted,
    asked: DateRange,
    answers: Answers | None = None,
) -> Availability:
    """The open slots of the dates; `answers` keeps and gives those that still stand.

    Raises ServiceNotFound, LocationNotFound, StaffNotFound, or InvalidRequest
    for a combination that the catalogue does not know.
    """
    # Read before the search: what it then finds is of this version or a later one.
    version = store.version() if answers else None
    key = (caller.org_id, wanted, asked)
    if answers and (kept := answers.get(key, version, now)):
        return kept

    def load(tx: Transaction) -> _Question:
        return _load_dates(tx, now, caller, wanted, asked)

    if asked.days <= SHORT_DAYS:
        question = await store.read(load)
        answer = question.answer()
    else:
        question = await store.scan(load)
        answer = await asyncio.to_thread(question.answer)
    if answers and not asked.days_ahead:
        answers.put(key, version, now, question.stands_until(answer), answer)
    return answer


@dataclass(frozen=True, slots=True)
class _Question:
    """All that an answer is worked out from; `within` bounds the starts."""

    search: Search
    within: Interval
    time_zone: str

    def slots(self) -> list[Slot]:
        """The slots that start within the interval, in time order."""
        search = self.search
        start = max(self.within[0], search.opens)
        end = min(self.within[1], search.closes + 1)
        if start >= end:
            return []
        zone = search.place.time_zone
        found = search.slots(local_date(zone, start), local_date(zone, end - 1))
        return [slot for slot in found if start <= slot.start < end]

    def stands_until(self, answer: Availability) -> int:
        """The instant at which the answer may change although nobody changes anything.

        Seats of a class end hold by hold, and a horizon within the interval
        moves on: such answers do not stand at all.
        """
        search = self.search
        if search.service.capacity > 1 or self.within[1] > search.closes:
            return 0
        first = answer.slots[0].start - search.service.lead_time + 1 if answer.slots else NEVER
        return min(first, search.busy.stands_until)

    def answer(self) -> Availability:
        """The slots, and the map of the place's dates that the interval touches."""
        search, (start, end) = self.search, self.within
        zone = search.place.time_zone
        covered = dates(local_date(zone, start), local_date(zone, end - 1)) if start < end else ()
        days = [search.timetable.day(search.place, day) for day in covered]
        return Availability(search.service.id, self.time_zone, self.slots(), days)


def _load_dates(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, asked: DateRange
) -> _Question:
    timetable = tx.timetable(caller.org_id)
    service, place = resolve(timetable, wanted)
    zone = asked.time_zone or place.time_zone
    first = asked.first or local_date(zone, now)
    last = asked.last or first + timedelta(days=asked.days - 1)
    shown = [segment for day in dates(first, last) for segment in segments(zone, day)]
    # A zone that skipped the only date asked about (Pacific/Apia, 2011-12-30) shows nothing of it.
    within = (shown[0].start, shown[-1].end) if shown else (0, 0)
    search = _load(tx, now, caller, wanted, timetable, service, place, within)
    return _Question(search, within, zone)


def _load(
    tx: Transaction,
    now: int,
    caller: Caller,
    wanted: Wanted,
    timetable: Timetable,
    service: Service,
    place: Place,
    within: Interval,
) -> Search:
    """The search for starts within an interval, with all that is taken around it."""
    reach = (
        max(within[0], now) - service.buffer_before,
        min(within[1], now + service.horizon + 1) + service.duration + service.buffer_after,
    )
    busy = tx.busy(caller.org_id, service, reach, timetable.catalog.longest_span, now)
    return Search(timetable, service, place, busy, now, wanted.staff_id, wanted.seats)


def resolve(timetable: Timetable, wanted: Wanted) -> tuple[Service, Place]:
    """The service and place that are meant.

    Raises ServiceNotFound, LocationNotFound, StaffNotFound or InvalidRequest.
    """
    catalog = timetable.catalog
    service = catalog.service(wanted.service_id)
    place = catalog.place(service, wanted.location_id)
    catalog.check_staff(service, wanted.staff_id)
    if not 1 <= wanted.seats <= service.capacity:
        raise InvalidRequest({"seats": f"service {service.id} has 1 to {service.capacity}"})
    return service, place


async def alternatives(
    store: Store, now: int, caller: Caller, wanted: Wanted, start: int
) -> tuple[Sequence[Slot], str]:
    """Up to three open slots that start nearest to `start`, nearest first, and the place's zone."""
    return await store.read(lambda tx: _nearest(tx, now, caller, wanted, start))


def _nearest(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int
) -> tuple[Sequence[Slot], str]:
    timetable = tx.timetable(caller.org_id)
    service, place = resolve(timetable, wanted)
    for radius in _RADII:
        within = (start - radius * DAY, start + radius * DAY + 1)
        search = _load(tx, now, caller, wanted, timetable, service, place, within)
        slots = _Question(search, within, place.time_zone).slots()
        found = sorted(slots, key=lambda slot: (abs(slot.start - start), slot.start))
        if len(found) >= ALTERNATIVES:
            break
    return found[:ALTERNATIVES], place.time_zone
