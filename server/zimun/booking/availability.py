"""Searching for open slots: GetAvailability, and the alternatives to a taken one."""

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
"""The most dates that are answered on the event loop."""

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


@dataclass(frozen=True, slots=True)
class Availability:
    """The open slots in time order, and what each of the place's dates is like."""

    service_id: str
    time_zone: str
    slots: Sequence[Slot]
    days: Sequence[Day]


async def get_availability(
    store: Store, now: int, caller: Caller, wanted: Wanted, asked: DateRange
) -> Availability:
    """The open slots of the dates.

    Raises ServiceNotFound, LocationNotFound, StaffNotFound, or InvalidRequest
    for a combination that the catalogue does not know.
    """
    long = asked.days_ahead > SHORT_DAYS or (
        asked.first and asked.last and (asked.last - asked.first).days >= SHORT_DAYS
    )
    run = store.scan if long else store.read
    return await run(lambda tx: _search_dates(tx, now, caller, wanted, asked))


def _search_dates(
    tx: Transaction, now: int, caller: Caller, wanted: Wanted, asked: DateRange
) -> Availability:
    timetable = tx.timetable(caller.org_id)
    service, place = resolve(timetable, wanted)
    zone = asked.time_zone or place.time_zone
    first = asked.first or local_date(zone, now)
    last = asked.last or first + timedelta(days=asked.days_ahead - 1)
    shown = [segment for day in dates(first, last) for segment in segments(zone, day)]
    if not shown:
        return Availability(service.id, zone, (), ())
    within = (shown[0].start, shown[-1].end)
    covered = dates(
        local_date(place.time_zone, within[0]), local_date(place.time_zone, within[1] - 1)
    )
    return Availability(
        service.id,
        zone,
        open_slots(tx, caller.org_id, timetable, service, place, wanted, now, within),
        [timetable.day(place, day) for day in covered],
    )


def open_slots(
    tx: Transaction,
    org_id: str,
    timetable: Timetable,
    service: Service,
    place: Place,
    wanted: Wanted,
    now: int,
    within: Interval,
) -> list[Slot]:
    """The slots that start within an interval, in time order."""
    start = max(within[0], now + service.lead_time)
    end = min(within[1], now + service.horizon + 1)
    if start >= end:
        return []
    reach = (start - service.buffer_before, end + service.duration + service.buffer_after)
    busy = tx.busy(org_id, service, reach, timetable.catalog.longest_span, now)
    search = Search(timetable, service, place, busy, now, wanted.staff_id, wanted.seats)
    first, last = local_date(place.time_zone, start), local_date(place.time_zone, end - 1)
    return [slot for slot in search.slots(first, last) if start <= slot.start < end]


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
    found: list[Slot] = []
    for radius in _RADII:
        within = (start - radius * DAY, start + radius * DAY + 1)
        slots = open_slots(tx, caller.org_id, timetable, service, place, wanted, now, within)
        found = sorted(slots, key=lambda slot: (abs(slot.start - start), slot.start))
        if len(found) >= ALTERNATIVES:
            break
    return found[:ALTERNATIVES], place.time_zone
