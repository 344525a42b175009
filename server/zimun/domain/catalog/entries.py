"""The entries of a catalogue: plain values, never changed in place.

Times of day are minutes since local midnight (1440 is 24:00); durations and
instants are microseconds. An empty id means "none".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from zimun.domain.catalog.booking_limit import BookingLimit
from zimun.domain.catalog.subjects import service_subject
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours, WeeklyHoursPeriod
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, MINUTE

Date = date
"""For classes with a field called `date`."""


HOLD_LENGTH = 10 * MINUTE
"""How long a hold lasts from its creation or last extension, unless the organization sets it."""


HORIZON = 60 * DAY
"""How far ahead a new service can be booked, unless it or the organization sets it."""


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
    """Fields of a new service that its creator has not set; None where there is no default."""

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

    __hash__ = Entry.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class Location(Entry):
    """`l_…`: a place with a time zone of its own, and the organization's holidays or others."""

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
    """Opening hours of an organization, location or staff member on some dates, not by their week.

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
        return tuple(
            dict.fromkeys(
                resource_id for one_of in self.resource_requirements for resource_id in one_of
            )
        )

    def subjects(self, location_id: str) -> tuple[str, ...]:
        """Everything that a session of this service could take at a location."""
        subjects = (*self.staff_ids, *self.resource_ids)
        return subjects or (service_subject(self.id, location_id),)

    @property
    def needs_nothing(self) -> bool:
        """Whether it needs neither staff nor resources, so that it is itself the subject."""
        return not self.staff_ids and not self.resource_requirements

    def lasting(self, duration: int) -> "Service":
        """The service with another duration."""
        return self if duration == self.duration else replace(self, duration=duration)

    def seating(self, seats: int) -> "Service":
        """The service with so many seats or more."""
        return self if seats <= self.capacity else replace(self, capacity=seats)

    def option(self, duration: int) -> "Service":
        """The service, given for one of the lengths that it offers; raises InvalidRequest."""
        if duration not in (self.duration, *self.duration_options):
            raise InvalidRequest({"duration": f"service {self.id} does not offer this length"})
        return self.lasting(duration)

    def taken(self, start: int) -> tuple[int, int]:
        """The interval in which an appointment takes its staff and resources: with its buffers."""
        return start - self.buffer_before, start + self.duration + self.buffer_after


class Place(NamedTuple):
    """Where a service is given: a location, or (id empty) the organization itself."""

    id: str
    time_zone: str
