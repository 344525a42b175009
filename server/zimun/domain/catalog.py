"""What an organization offers: plain values, read whole and never changed in place.

Times of day are minutes since local midnight (1440 is 24:00); durations and
instants are microseconds. An empty id means "none". The file is a little long, as
entries of all kinds are in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

from zimun.domain.booking_limit import AppliedLimit, BookingLimit, applied_limits
from zimun.domain.errors import (
    InvalidRequest,
    LocationNotFound,
    NotFound,
    ResourceNotFound,
    ServiceNotFound,
    StaffNotFound,
)
from zimun.domain.holiday_calendar import HolidayName
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.memory_size import weight
from zimun.domain.subjects import service_subject
from zimun.domain.time_off import TimeOff
from zimun.domain.weekly_hours import Hours as Hours
from zimun.domain.weekly_hours import WeeklyHours as WeeklyHours
from zimun.domain.weekly_hours import WeeklyHoursPeriod

E = TypeVar("E", bound="Entry")

Date = date
"""For classes with a field called `date`."""

HOLD_LENGTH = 10 * MINUTE
"""How long a hold lasts, from its making or its last extension, unless the organization says."""


HORIZON = 60 * DAY
"""How far ahead a new service can be booked, unless it or the organization says."""


OVERRIDE_BYTES = 1000
"""About how many bytes an override takes in memory."""


TIME_OFF_BYTES, OCCURRENCE_BYTES = 1500, 300
"""About how many bytes time off takes in memory, and each time that it recurs."""


class SlotAlignment(StrEnum):
    """Where the grid of start times is anchored: the opening, or the wall clock's midnight."""

    OPENING = "OPENING"
    HOUR = "HOUR"


class McpAccess(StrEnum):
    """What agents may do by the Model Context Protocol."""

    DISABLED = "DISABLED"
    READ_ONLY = "READ_ONLY"
    READ_WRITE = "READ_WRITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every catalogue entry has. It hashes by its id, as mappings do not hash."""

    id: str
    name: str
    active: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    create_time: int = 0
    update_time: int = 0
    revision: int = 1

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def etag(self) -> str:
        """Opaque to callers; another one after every change."""
        return f"{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDefaults:
    """What a new service has where it does not say; None where the organization does not either."""

    slot_step: int | None = None
    lead_time: int | None = None
    horizon: int | None = None
    cancellation_cutoff: int | None = None
    reschedule_cutoff: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Entry):
    """`o_…`: whose catalogue it is. `holiday_region` is ISO 3166 (`DE`, `US-CA`), or empty.

    Contacts are kept for `contact_retention` after the end of an appointment; 0: for good.
    """

    time_zone: str
    holiday_region: str = ""
    weekly_hours: WeeklyHours = field(default_factory=dict)
    weekly_hours_periods: tuple[WeeklyHoursPeriod, ...] = ()
    hold_length: int = HOLD_LENGTH
    service_defaults: ServiceDefaults = ServiceDefaults()
    booking_limits: tuple[BookingLimit, ...] = ()
    contact_retention: int = 0
    mcp_access: McpAccess = McpAccess.DISABLED
    holiday_categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location(Entry):
    """`l_…`: a place with a clock of its own, and the organization's holidays or others."""

    time_zone: str
    address: str = ""
    weekly_hours: WeeklyHours = field(default_factory=dict)
    weekly_hours_periods: tuple[WeeklyHoursPeriod, ...] = ()
    holiday_region: str = ""
    holiday_categories: tuple[str, ...] = ()

    __hash__ = Entry.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffMember(Entry):
    """`t_…`: a person. Without weekly hours, only overrides make them work.

    At most `daily_limit` bookings start on one date of their zone (0: any
    number; a group session counts as one). They work at `location_ids`, or
    everywhere where there are none.
    """

    time_zone: str
    weekly_hours: WeeklyHours = field(default_factory=dict)
    weekly_hours_periods: tuple[WeeklyHoursPeriod, ...] = ()
    daily_limit: int = 0
    location_ids: tuple[str, ...] = ()

    __hash__ = Entry.__hash__

    def works_at(self, place: "Place") -> bool:
        """Whether the place is one of theirs."""
        return not self.location_ids or place.id in self.location_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Entry):
    """`r_…`: a room, chair or device, at one location or (empty) wherever it is needed."""

    location_id: str = ""

    __hash__ = Entry.__hash__

    def is_at(self, place: "Place") -> bool:
        """Whether it can be used at the place."""
        return self.location_id in ("", place.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What dates are like for an organization, location or staff member, instead of their week.

    They are `date` alone, or all until `last`. Empty hours mean closed; otherwise they replace
    the whole day.
    """

    owner_id: str
    date: date
    hours: Hours = ()
    note: str = ""
    id: str = ""
    create_time: int = 0
    revision: int = 1
    last: Date | None = None

    @property
    def etag(self) -> str:
        """Opaque to callers; another one after every change."""
        return f"{self.revision}"

    @property
    def keys(self) -> "Sequence[OverrideKey]":
        """Its owner with each of its dates, by which it is found in a catalogue."""
        first, last = self.date.toordinal(), (self.last or self.date).toordinal()
        return [(self.owner_id, self.date.fromordinal(day)) for day in range(first, last + 1)]


OverrideKey = tuple[str, date]
"""An owner and a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Entry):
    """`s_…`: something that can be booked; `zimun.v1.Service` says what each field means.

    It lasts `duration`; callers may choose one of `duration_options` instead. Its
    weekly hours are within those of its place; without any it is given whenever that is open.
    """

    duration: int
    slot_step: int
    horizon: int
    description: str = ""
    buffer_before: int = 0
    buffer_after: int = 0
    slot_alignment: SlotAlignment = SlotAlignment.OPENING
    lead_time: int = 0
    capacity: int = 1
    cancellation_cutoff: int = 0
    reschedule_cutoff: int = 0
    price: Mapping[str, str | int] | None = None
    staff_ids: tuple[str, ...] = ()
    resource_requirements: tuple[tuple[str, ...], ...] = ()
    location_ids: tuple[str, ...] = ()
    duration_options: tuple[int, ...] = ()
    weekly_hours: WeeklyHours = field(default_factory=dict)
    weekly_hours_periods: tuple[WeeklyHoursPeriod, ...] = ()
    booking_limits: tuple[BookingLimit, ...] = ()

    __hash__ = Entry.__hash__

    @property
    def has_hours(self) -> bool:
        """Whether it has hours of its own, on any date."""
        return bool(self.weekly_hours or self.weekly_hours_periods)

    @property
    def longest_span(self) -> int:
        """The longest that an appointment takes its staff and resources: with its buffers."""
        longest = max((self.duration, *self.duration_options))
        return self.buffer_before + longest + self.buffer_after

    @property
    def resource_ids(self) -> tuple[str, ...]:
        """Every resource that could satisfy a requirement, once."""
        return tuple(dict.fromkeys(one for one_of in self.resource_requirements for one in one_of))

    def subjects(self, location_id: str) -> tuple[str, ...]:
        """Everything that a session of this service could take at a location."""
        subjects = (*self.staff_ids, *self.resource_ids)
        return subjects or (service_subject(self.id, location_id),)

    @property
    def needs_nothing(self) -> bool:
        """Whether it needs neither person nor thing, and is itself what is taken."""
        return not self.staff_ids and not self.resource_requirements

    def lasting(self, duration: int) -> "Service":
        """The service, given for so long."""
        return self if duration == self.duration else replace(self, duration=duration)

    def seating(self, seats: int) -> "Service":
        """The service, with so many seats or more."""
        return self if seats <= self.capacity else replace(self, capacity=seats)

    def option(self, duration: int) -> "Service":
        """The service, given for one of the lengths that it offers; raises InvalidRequest."""
        if duration not in (self.duration, *self.duration_options):
            raise InvalidRequest({"duration": f"service {self.id} does not offer this length"})
        return self.lasting(duration)

    def taken(self, start: int) -> tuple[int, int]:
        """What an appointment takes of its people and things: its time and its buffers."""
        return start - self.buffer_before, start + self.duration + self.buffer_after


class Demand(NamedTuple):
    """The subjects that a session of a service may take, and the limits of its bookings."""

    subjects: tuple[str, ...]
    limits: tuple[AppliedLimit, ...]


class Place(NamedTuple):
    """Where a service is given: a location, or (id empty) the organization itself."""

    id: str
    time_zone: str


@dataclass(frozen=True)
class Catalog:
    """Everything that an organization offers, at one version: the number of the ledger's
    event that last changed it.

    `longest_span` is at least the span of every allocation ever made, so that a
    search knows how far back an overlap can begin. `holiday` names the date's
    holiday in a calendar.
    An override is in `overrides` by each of its dates. `entry_bytes` is the memory of
    organization and entries (`weight`), without overrides and time off.
    """

    version: int
    organization: Organization
    services: Mapping[str, Service]
    locations: Mapping[str, Location]
    staff: Mapping[str, StaffMember]
    resources: Mapping[str, Resource]
    overrides: Mapping[tuple[str, date], Override]
    longest_span: int
    holiday: HolidayName = lambda calendar, day: ""
    entry_bytes: int = 0
    time_off: Mapping[str, TimeOff] = field(default_factory=dict)

    # By identity, as mappings do not hash.
    __hash__ = object.__hash__

    @cached_property
    def _by_type(self) -> Mapping[type[Entry], Mapping[str, Entry]]:
        return {
            Service: self.services,
            Location: self.locations,
            StaffMember: self.staff,
            Resource: self.resources,
        }

    def all(self, entry_type: type[E]) -> Mapping[str, E]:
        """Every entry of a kind by its id, active or not."""
        return cast("Mapping[str, E]", self._by_type[entry_type])

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return self.entry_bytes + OVERRIDE_BYTES * len(self.overrides) + self._time_off_bytes

    @cached_property
    def _time_off_bytes(self) -> int:
        recurring = sum(len(one.occurrences) for one in self.time_off.values())
        return TIME_OFF_BYTES * len(self.time_off) + OCCURRENCE_BYTES * recurring

    @property
    def count(self) -> int:
        """How many entries it has, active or not, with overrides and time off."""
        return sum(map(len, self._by_type.values())) + len(self.overrides) + len(self.time_off)

    def entries(self) -> Iterator[Entry]:
        """The organization, and every entry of each kind, active or not."""
        yield self.organization
        for entries in self._by_type.values():
            yield from entries.values()

    def entry(self, entry_type: type[E], entry_id: str) -> E:
        """The entry, active or not; raises the NotFound of its kind."""
        if entry := self.all(entry_type).get(entry_id):
            return entry
        raise NOT_FOUND[entry_type](entry_id)

    @cached_property
    def distinct_overrides(self) -> Sequence[Override]:
        """Every override once."""
        return list(dict.fromkeys(self.overrides.values()))

    @cached_property
    def _listed(self) -> dict[tuple[type[Entry], bool], Sequence[Entry]]:
        return {}

    def listed(self, entry_type: type[E], archived: bool = False) -> Sequence[E]:
        """The active entries of a kind in order of creation; with `archived`, the others, too."""
        key = (entry_type, archived)
        if key not in self._listed:
            entries = [entry for entry in self.all(entry_type).values() if entry.active or archived]
            self._listed[key] = sorted(entries, key=lambda entry: (entry.create_time, entry.id))
        return cast("Sequence[E]", self._listed[key])

    def place(self, service: Service, location_id: str) -> Place:
        """Where the service is to be given.

        Raises LocationNotFound for an unknown location, InvalidRequest for one
        that does not give the service, or for none where the service has several.
        """
        if location_id and location_id not in self.locations:
            raise LocationNotFound(location_id)
        if location_id and location_id not in service.location_ids:
            raise InvalidRequest({"location_id": f"service {service.id} is not offered there"})
        if not location_id and len(service.location_ids) > 1:
            raise InvalidRequest({"location_id": f"service {service.id} has several: name one"})
        chosen = location_id or next(iter(service.location_ids), "")
        return self.place_of(chosen)

    def place_of(self, location_id: str) -> Place:
        """The place that a location is, or (empty) the organization itself."""
        zone = self.locations[location_id].time_zone if location_id else self.organization.time_zone
        return Place(location_id, zone)

    def defaults(self, entry_type: type[E], fields: Mapping[str, Any]) -> dict[str, Any]:
        """What a new entry has where its creator does not say; what it must say is empty."""
        if entry_type is Resource:
            return {"name": ""}
        if entry_type is not Service:
            return {"name": "", "time_zone": self.organization.time_zone}
        own = asdict(self.organization.service_defaults)
        whole_minutes = fields.get("duration", 0) // MINUTE * MINUTE
        usual = {"slot_step": min(max(whole_minutes, MINUTE), DAY), "horizon": HORIZON}
        settled = {field: length for field, length in own.items() if length is not None}
        return {"name": "", "duration": 0, **usual, **settled}

    def daily_limit(self, staff_id: str) -> int:
        """The most bookings that a staff member begins on one date; 0 for any number."""
        member = self.staff.get(staff_id)
        return member.daily_limit if member else 0

    @cached_property
    def _demands(self) -> dict[tuple[str, str], Demand]:
        return {}

    def demand(self, service: Service, location_id: str) -> Demand:
        """The demand of a service of the catalogue at a location, whatever its duration."""
        key = (service.id, location_id)
        if key not in self._demands:
            daily = {one: most for one in service.staff_ids if (most := self.daily_limit(one))}
            limits = tuple(applied_limits(self.organization, service, daily))
            self._demands[key] = Demand(service.subjects(location_id), limits)
        return self._demands[key]

    def check_staff(self, service: Service, staff_id: str) -> None:
        """Raise StaffNotFound for an unknown id, InvalidRequest for one who does not give it."""
        if not staff_id:
            return
        if staff_id not in self.staff:
            raise StaffNotFound(staff_id)
        if staff_id not in service.staff_ids:
            raise InvalidRequest({"staff_id": f"{staff_id} does not give service {service.id}"})


NOT_FOUND: Mapping[type[Entry], type[NotFound]] = {
    Service: ServiceNotFound,
    Location: LocationNotFound,
    StaffMember: StaffNotFound,
    Resource: ResourceNotFound,
}


def empty_catalog(org_id: str) -> Catalog:
    """The catalogue of an organization that does not exist yet."""
    unnamed = Organization(id=org_id, name="", time_zone="")
    return Catalog(0, unnamed, {}, {}, {}, {}, {}, longest_span=0, entry_bytes=weight(unnamed))
