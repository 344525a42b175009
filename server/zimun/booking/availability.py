"""Questions about open slots: the methods of AvailabilityService, and the alternatives to a taken
one.

Every one of them is a `Search`, opened by `search`: the one by which holds and
reschedules decide.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from zimun.booking.store import Store, Transaction
from zimun.domain.access import Caller
from zimun.domain.availability import Search, Slot
from zimun.domain.booking import Reservation
from zimun.domain.catalog import Place, Service
from zimun.domain.errors import InvalidRequest, SlotUnavailable, ZimunError
from zimun.domain.explanation import Obstacle, obstacles
from zimun.domain.instant import DAY
from zimun.domain.intervals import Interval
from zimun.domain.schedule import Day, dates, local_date, segments
from zimun.domain.timetable import Timetable

MOST_DAYS = 92
"""The most dates of one question: any three months."""

SHORT_DAYS = 7
"""The most dates that are searched on the event loop; more are searched beside it."""

LONG_DAYS = 28
"""How many more dates are searched at a time for the next open slots."""

NEVER = 1 << 62
"""An instant beyond all others."""

ALTERNATIVES = 3
"""How many open slots a refusal of a taken one offers."""

_RADII = (1, 7, 31)
"""How many days around the wanted time are searched for alternatives, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: a service, where, by whom, for how many and how long.

    What is empty or 0 is not said: wherever, whoever, one seat, the service's
    duration. With `ignore_appointment_id` that appointment's own time is free,
    as when it is rescheduled; what is not said is then as the appointment has
    it, if it is one of the service.
    """

    service_id: str
    location_id: str = ""
    staff_id: str = ""
    seats: int = 0
    duration: int = 0
    ignore_appointment_id: str = ""


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

    Raises what `search` raises.
    """
    # Read before the search: what it then finds is of this version or a later one.
    version = store.version() if answers else None
    key = (caller.org_id, wanted, asked)
    if answers and (kept := answers.get(key, version, now)):
        return kept

    def load(tx: Transaction) -> _Question:
        return _load_dates(tx, now, caller.org_id, wanted, asked)

    if asked.days <= SHORT_DAYS:
        question = await store.read(load)
        answer = question.answer()
    else:
        question = await store.scan(load)
        answer = await asyncio.to_thread(question.answer)
    if answers and not asked.days_ahead:
        answers.put(key, version, now, question.stands_until(answer), answer)
    return answer


async def find_next(
    store: Store, now: int, caller: Caller, wanted: Wanted, start_from: int, count: int
) -> tuple[Sequence[Slot], Place]:
    """The first `count` slots that start at `start_from` or later, and their place.

    They are looked for in longer and longer stretches, each read by itself.
    Raises what `search` raises.
    """
    found: list[Slot] = []
    begin, days = max(start_from, now), SHORT_DAYS
    while True:
        within = (begin, begin + days * DAY)

        def load(tx: Transaction, within: Interval = within) -> _Question:
            return _load(tx, now, caller.org_id, wanted, within)

        if days == SHORT_DAYS:
            question = await store.read(load)
            found += question.slots()
        else:
            question = await store.scan(load)
            found += await asyncio.to_thread(question.slots)
        if len(found) >= count or within[1] > question.search.closes:
            return found[:count], question.search.place
        begin, days = max(within[1], question.search.opens), LONG_DAYS


Verdict = Slot | ZimunError
"""A slot, or the error with which a hold of it would be refused."""


async def check(
    store: Store, now: int, caller: Caller, times: Sequence[tuple[Wanted, int]]
) -> Sequence[tuple[Verdict, str]]:
    """What a hold would find of each time, and the zone of its place; empty where there is none."""

    def run(tx: Transaction) -> Sequence[tuple[Verdict, str]]:
        return [_check(tx, now, caller.org_id, wanted, start) for wanted, start in times]

    return await store.read(run)


def _check(
    tx: Transaction, now: int, org_id: str, wanted: Wanted, start: int
) -> tuple[Verdict, str]:
    try:
        found = search(tx, now, org_id, wanted, (start, start + 1))
    except ZimunError as error:
        return error, ""
    return _verdict(found, start), found.place.time_zone


def _verdict(found: Search, start: int) -> Verdict:
    try:
        return found.slot_at(start)
    except ZimunError as error:
        return error


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a hold of a time would find, and all that stands in its way."""

    service_id: str
    time_zone: str
    verdict: Verdict
    obstacles: Sequence[Obstacle]


async def explain(
    store: Store, now: int, caller: Caller, wanted: Wanted, start: int
) -> Explanation:
    """Why a time can be had or cannot; raises what `search` raises."""
    found = await store.read(lambda tx: search(tx, now, caller.org_id, wanted, (start, start + 1)))
    verdict = _verdict(found, start)
    why = [] if isinstance(verdict, Slot) else obstacles(found, start)
    return Explanation(found.service.id, found.place.time_zone, verdict, why)


@dataclass(frozen=True, slots=True)
class _Question:
    """All that an answer is worked out from; `within` bounds the starts."""

    search: Search
    within: Interval
    time_zone: str

    def slots(self) -> list[Slot]:
        """The slots that start within the interval, in time order."""
        (start, end), search = self._reach, self.search
        if start >= end:
            return []
        found = search.slots(*self._dates)
        return [slot for slot in found if start <= slot.start < end]

    def nearest(self, wanted: int) -> list[Slot]:
        """The ALTERNATIVES that start nearest to an instant, fewer where there are fewer."""
        (start, end), search = self._reach, self.search
        if start >= end:
            return []
        found = search.nearest(wanted, ALTERNATIVES, *self._dates)
        return [slot for slot in found if start <= slot.start < end]

    @property
    def _reach(self) -> Interval:
        """Where starts can be had at all."""
        search = self.search
        return max(self.within[0], search.opens), min(self.within[1], search.closes + 1)

    @property
    def _dates(self) -> tuple[date, date]:
        """The first and the last date of the place within reach."""
        (start, end), zone = self._reach, self.search.place.time_zone
        return local_date(zone, start), local_date(zone, end - 1)

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
    tx: Transaction, now: int, org_id: str, wanted: Wanted, asked: DateRange
) -> _Question:
    meant = _resolve(tx, org_id, wanted)
    zone = asked.time_zone or meant.place.time_zone
    first = asked.first or local_date(zone, now)
    last = asked.last or first + timedelta(days=asked.days - 1)
    shown = [segment for day in dates(first, last) for segment in segments(zone, day)]
    # A zone that skipped the only date asked about (Pacific/Apia, 2011-12-30) shows nothing of it.
    within = (shown[0].start, shown[-1].end) if shown else (0, 0)
    return _Question(_ahead(tx, now, meant, within), within, zone)


def _load(tx: Transaction, now: int, org_id: str, wanted: Wanted, within: Interval) -> _Question:
    """A question about the starts within an interval."""
    meant = _resolve(tx, org_id, wanted)
    return _Question(_ahead(tx, now, meant, within), within, meant.place.time_zone)


def search(
    tx: Transaction,
    now: int,
    org_id: str,
    wanted: Wanted,
    within: Interval,
    locking: bool = False,
) -> Search:
    """The search for starts within an interval, with all that is taken around it.

    With `locking` nobody else can take any of it before the transaction is over.
    Raises ServiceNotFound, LocationNotFound, StaffNotFound, AppointmentNotFound,
    or InvalidRequest for a combination that the catalogue does not know.
    """
    meant = _resolve(tx, org_id, wanted)
    while locking and tx.lock(org_id, meant.subjects(within)) and meant.leaving:
        # Somebody may have moved or cancelled the appointment that is to be ignored.
        before, meant = meant, _resolve(tx, org_id, wanted)
        if [*meant.subjects(within)] == [*before.subjects(within)]:
            break
    return _search(tx, now, meant, within)


def _ahead(tx: Transaction, now: int, meant: "_Meant", within: Interval) -> Search:
    """The search for what can be had: nothing is read of before now or beyond the horizon."""
    within = (max(within[0], now), min(within[1], now + meant.service.horizon + 1))
    return _search(tx, now, meant, within)


def _search(tx: Transaction, now: int, meant: "_Meant", within: Interval) -> Search:
    timetable, service = meant.timetable, meant.service
    busy = tx.busy(timetable.catalog, service, meant.reach(within), now, meant.leaving)
    return Search(timetable, service, meant.place, busy, now, meant.staff_id, meant.seats)


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a `Wanted` means in a catalogue."""

    timetable: Timetable
    service: Service
    place: Place
    staff_id: str
    seats: int
    leaving: Reservation | None

    def reach(self, within: Interval) -> Interval:
        """What appointments that start within an interval can take."""
        return self.service.taken(within[0])[0], self.service.taken(within[1])[1]

    def subjects(self, within: Interval) -> Iterator[tuple[str, Interval]]:
        """All of which something may be taken or given back, and when."""
        reach, leaving = self.reach(within), self.leaving
        yield from ((subject, reach) for subject in self.service.subjects)
        if leaving:
            yield from leaving.taken()


def _resolve(tx: Transaction, org_id: str, wanted: Wanted) -> _Meant:
    timetable = tx.timetable(org_id)
    catalog = timetable.catalog
    service = catalog.entry(Service, wanted.service_id)
    leaving = own = None
    if wanted.ignore_appointment_id:
        leaving = tx.appointment(org_id, wanted.ignore_appointment_id)
        own = leaving if leaving.service_id == service.id else None
    place = catalog.place(service, wanted.location_id or (own.location_id if own else ""))
    catalog.check_staff(service, wanted.staff_id)
    seats = wanted.seats or (own.seats if own else 1)
    if not 1 <= seats <= service.capacity:
        raise InvalidRequest({"seats": f"service {service.id} has 1 to {service.capacity}"})
    if wanted.duration:
        service = service.option(wanted.duration)
    elif own:
        service = service.lasting(own.end - own.start)
    return _Meant(timetable, service, place, wanted.staff_id, seats, leaving)


async def alternatives(
    store: Store, now: int, caller: Caller, wanted: Wanted, start: int
) -> tuple[Sequence[Slot], str]:
    """Up to three open slots that start nearest to `start`, nearest first, and the place's zone."""
    return await store.read(lambda tx: nearest(tx, now, caller, wanted, start))


def nearest(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int
) -> tuple[Sequence[Slot], str]:
    """As `alternatives`, in a transaction."""
    for radius in _RADII:
        question = _around(tx, now, caller, wanted, start, radius)
        found = question.nearest(start)
        if len(found) == ALTERNATIVES:
            break
    return found, question.time_zone


def left(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int
) -> int | SlotUnavailable:
    """How many holds of a time there is room for, as `Search.room` tells, or with what they are
    refused as it is taken; raises what `search` and `Search.slot_at` raise otherwise.
    """
    question = _around(tx, now, caller, wanted, start, _RADII[0])
    try:
        slot = question.search.slot_at(start)
    except SlotUnavailable:
        others: Sequence[Slot] = question.nearest(start)
        if len(others) < ALTERNATIVES:
            others, _ = nearest(tx, now, caller, wanted, start)
        return SlotUnavailable(wanted.service_id, others, question.time_zone)
    return question.search.room(slot)


def _around(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, start: int, radius: int
) -> _Question:
    """The question about so many days around a start."""
    within = (start - radius * DAY, start + radius * DAY + 1)
    return _load(tx, now, caller.org_id, wanted, within)
