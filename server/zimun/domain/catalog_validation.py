"""Validation of catalogue entries, whether they come by gRPC or from a file.

Each function yields the fields that are wrong, each with what it must be. Lengths are
microseconds.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from zimun.domain.availability.assignment import assign
from zimun.domain.availability.opening_hours import is_zone, time_of_day
from zimun.domain.catalog.booking_limit import BookingLimit
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    Organization,
    Override,
    Place,
    Resource,
    Service,
    ServiceDefaults,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import HasWeeklyHours, Hours, WeeklyHours
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, MINUTE

PREFIXES: Mapping[type[Entry | Override | TimeOff], str] = {
    Organization: "o",
    Location: "l",
    Service: "s",
    StaffMember: "t",
    Resource: "r",
    Override: "v",
    TimeOff: "f",
}
"""What the ids of each kind begin with, so that no two kinds share one."""

MAX_LENGTHS = {
    "duration": 31 * DAY,
    "buffer_before": 7 * DAY,
    "buffer_after": 7 * DAY,
    "slot_step": DAY,
    "lead_time": 366 * DAY,
    "horizon": 1096 * DAY,
    "cancellation_cutoff": 366 * DAY,
    "reschedule_cutoff": 366 * DAY,
}
"""The upper limit of each length of a service."""

POSITIVE = ("duration", "slot_step", "horizon")
"""Those of them that cannot be 0."""

MAX_HOLD_LENGTH = 60 * MINUTE

MAX_SEATS = 10_000

MAX_OVERRIDE_DATES = 366
"""The most dates of one override."""

MAX_TIME_OFF = 1096 * DAY
"""The longest time off: as long as the longest horizon."""

MAX_BOOKINGS = 100_000
"""The most of a limit of bookings."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Violations = Iterator[tuple[str, str]]


def check(
    entry: Entry | Override | TimeOff,
    catalog: Catalog,
    before: Entry | None = None,
    beside: Collection[str] = (),
) -> None:
    """Raise InvalidRequest naming every field of the entry that is wrong.

    `catalog` is the catalogue that the entry will be part of: it must have the entries that
    the entry names. A violation that the entry had `before` a change does not prevent the change.
    Where staff members and resources of the ids `beside` are, which are written together with
    the entry, is not compared with it: they may have moved since it was made.
    """
    violations: dict[str, str] = {}
    present = set(_violations(before, catalog, beside)) if before else set()
    for field, violation in _violations(entry, catalog, beside):
        if (field, violation) not in present and violation not in violations.get(field, ""):
            violations[field] = (
                f"{violations[field]}; {violation}" if field in violations else violation
            )
    if violations:
        raise InvalidRequest(violations)


def _violations(
    entry: Entry | Override | TimeOff, catalog: Catalog, beside: Collection[str]
) -> Violations:
    if isinstance(entry, Entry) and not entry.name.strip():
        yield "name", "is required"
    match entry:
        case Organization():
            yield from _organization(entry)
        case Location():
            yield from _zone(entry.time_zone)
            yield from _weeks(entry)
        case StaffMember():
            yield from _staff_member(entry, catalog)
        case Resource(location_id=str(location_id)) if location_id:
            yield from _existing("location_id", (location_id,), catalog.locations)
        case Service():
            yield from _service(entry, catalog, beside)
        case Override():
            yield from _override(entry, catalog)
        case TimeOff():
            yield from _time_off(entry, catalog)


def _organization(entry: Organization) -> Violations:
    yield from _zone(entry.time_zone)
    yield from _weeks(entry)
    yield from _length("hold_length", entry.hold_length, MINUTE, MAX_HOLD_LENGTH)
    yield from _defaults(entry.service_defaults)
    yield from _booking_limits(entry.booking_limits)
    if entry.contact_retention % DAY or entry.contact_retention < 0:
        yield "contact_retention", "must be a number of days"


def _defaults(defaults: ServiceDefaults) -> Violations:
    for field in ("slot_step", "lead_time", "horizon", "cancellation_cutoff", "reschedule_cutoff"):
        length: int | None = getattr(defaults, field)
        if length is not None:
            minimum = MINUTE if field in POSITIVE else 0
            yield from _length(f"service_defaults.{field}", length, minimum, MAX_LENGTHS[field])
    if defaults.lead_time is not None and defaults.horizon is not None:
        yield from _window("service_defaults.lead_time", defaults.lead_time, defaults.horizon)


def _window(field: str, lead_time: int, horizon: int) -> Violations:
    """The lead time must not exceed the horizon, or nothing could ever be booked."""
    if lead_time > horizon >= MINUTE:
        yield field, f"must not exceed the horizon, {_duration_text(horizon)}"


def _staff_member(entry: StaffMember, catalog: Catalog) -> Violations:
    yield from _zone(entry.time_zone)
    yield from _weeks(entry)
    yield from _existing("location_ids", entry.location_ids, catalog.locations)
    if entry.daily_limit < 0:
        yield "daily_limit", "must be 0 or more"


def _service(entry: Service, catalog: Catalog, beside: Collection[str]) -> Violations:
    for field, maximum in MAX_LENGTHS.items():
        minimum = MINUTE if field in POSITIVE else 0
        yield from _length(field, getattr(entry, field), minimum, maximum)
    yield from _window("lead_time", entry.lead_time, entry.horizon)
    yield from _weeks(entry)
    for length in entry.duration_options:
        yield from _length("duration_options", length, MINUTE, MAX_LENGTHS["duration"])
    if _has_duplicates((entry.duration, *entry.duration_options)):
        yield "duration_options", "must differ from each other and from duration"
    if not 1 <= entry.capacity <= MAX_SEATS:
        yield "capacity", f"must be 1 to {MAX_SEATS}"
    yield from _existing("staff_ids", entry.staff_ids, catalog.staff)
    yield from _elsewhere(entry, catalog, beside)
    yield from _existing("location_ids", entry.location_ids, catalog.locations)
    for one_of in entry.resource_requirements:
        if not one_of:
            yield "resource_requirements", "each must name a resource"
        yield from _existing("resource_requirements", one_of, catalog.resources)
    named = all(entry.resource_requirements)
    if named and all(resource_id in catalog.resources for resource_id in entry.resource_ids):
        yield from _requirements(entry, catalog, beside)
    if entry.price:
        yield from _price(entry.price)
    yield from _booking_limits(entry.booking_limits)


def _booking_limits(limits: Sequence[BookingLimit]) -> Violations:
    if _has_duplicates((limit.period, limit.per) for limit in limits):
        yield "booking_limits", "each period has one limit for each kind of subject"
    if not all(1 <= limit.max_bookings <= MAX_BOOKINGS for limit in limits):
        yield "booking_limits", f"max_bookings must be 1 to {MAX_BOOKINGS}"


def _elsewhere(entry: Service, catalog: Catalog, beside: Collection[str]) -> Violations:
    """Staff members who work at none of the service's locations."""
    if not {*entry.location_ids} <= {*catalog.locations}:
        return
    for staff_id in entry.staff_ids:
        member = catalog.staff.get(staff_id)
        if not member or not member.location_ids or staff_id in beside:
            continue
        if not {*member.location_ids} & {*entry.location_ids}:
            yield "staff_ids", f"{staff_id} works at none of the service's locations"


def _requirements(entry: Service, catalog: Catalog, beside: Collection[str]) -> Violations:
    """At one of its locations at least, the resources must meet all requirements at once; those
    `beside` may be anywhere."""
    places = [Place(location_id, "") for location_id in entry.location_ids or ("",)]
    resources = [catalog.resources[resource_id] for resource_id in entry.resource_ids]
    usable = [
        {resource.id for resource in resources if resource.id in beside or resource.is_at(place)}
        for place in places
    ]
    if all(assign(entry, there) is None for there in usable):
        where = "at any of its locations" if entry.location_ids else "without a location"
        yield "resource_requirements", f"can never be met together {where}"


def _override(entry: Override, catalog: Catalog) -> Violations:
    owners = {catalog.organization.id, *catalog.locations, *catalog.staff}
    if entry.owner_id not in owners:
        yield "owner_id", f"{entry.owner_id} is no organization, location or staff member"
    if not are_dates(entry):
        yield "last_date", f"must make 1 to {MAX_OVERRIDE_DATES} dates"
    yield from _hours("hours", "", entry.hours)


def are_dates(entry: Override) -> bool:
    """Whether an override is of one date, or of as many as it may be."""
    return 0 <= ((entry.last or entry.date) - entry.date).days < MAX_OVERRIDE_DATES


def _time_off(entry: TimeOff, catalog: Catalog) -> Violations:
    owners = {catalog.organization.id, *catalog.locations, *catalog.staff, *catalog.resources}
    if entry.owner_id not in owners:
        kinds = "organization, location, staff member or resource"
        yield "owner_id", f"{entry.owner_id} is no {kinds}"
    if not entry.start < entry.end <= entry.start + MAX_TIME_OFF:
        longest = _duration_text(MAX_TIME_OFF)
        yield "end_time", f"must be later than start_time, by {longest} at the most"


def _zone(name: str) -> Violations:
    if not is_zone(name):
        yield "time_zone", "must be an IANA time zone"


def _weeks(entry: HasWeeklyHours) -> Violations:
    periods = entry.weekly_hours_periods
    yield from _week("weekly_hours", entry.weekly_hours)
    for period in periods:
        yield from _week("weekly_hours_periods", period.weekly_hours)
    if _has_duplicates(period.valid_from for period in periods):
        yield "weekly_hours_periods", "must be valid from different dates"


def _week(field: str, week: WeeklyHours) -> Violations:
    for day in sorted(week):
        yield from _hours(field, f"{DAYS[day]} ", week[day])


def _hours(field: str, day: str, hours: Hours) -> Violations:
    for start, end in hours:
        if start >= end:
            yield field, f"{day}{time_of_day(start)}-{time_of_day(end)} ends before it begins"
    for before, after in pairwise(sorted(hours)):
        if after[0] < before[1]:
            yield field, f"{day}{_range(before)} and {_range(after)} overlap"


def _range(opening: tuple[int, int]) -> str:
    return f"{time_of_day(opening[0])}-{time_of_day(opening[1])}"


def _length(field: str, length: int, minimum: int, maximum: int) -> Violations:
    if length % MINUTE:
        yield field, "must be whole minutes"
    elif not minimum <= length <= maximum:
        yield field, f"must be {_duration_text(minimum)} to {_duration_text(maximum)}"


def _duration_text(length: int) -> str:
    number, unit = (length // DAY, "day") if length >= DAY else (length // MINUTE, "minute")
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _existing(field: str, ids: Sequence[str], entries: Mapping[str, Entry]) -> Violations:
    for entry_id in dict.fromkeys(ids):
        if entry_id not in entries:
            yield field, f"{entry_id} does not exist"
    for entry_id in repeated(ids)[:1]:
        yield field, f"names {entry_id} twice"


def _has_duplicates(values: Iterable[object]) -> bool:
    listed = list(values)
    return len(set(listed)) < len(listed)


def repeated(names: Sequence[str]) -> list[str]:
    """Those names that occur more than once, in order."""
    return [name for name, count in Counter(names).items() if count > 1]


def _price(price: Mapping[str, str | int]) -> Violations:
    """The price must be valid as google.type.Money."""
    code, units, nanos = str(price["currency_code"]), int(price["units"]), int(price["nanos"])
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        yield "price", "currency_code must be three letters, as ISO 4217 has it"
    elif abs(nanos) >= 1_000_000_000 or units * nanos < 0:
        yield "price", "nanos must be a part of one unit, of the same sign as units"
