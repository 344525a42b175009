"""What an organization offers: plain values, read whole and never changed in place.

Times of day are minutes since local midnight (1440 is 24:00); durations and
instants are microseconds. An empty id means "none".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from zimun.domain.errors import InvalidRequest, LocationNotFound, ServiceNotFound, StaffNotFound

E = TypeVar("E", bound="Entry")

Hours = tuple[tuple[int, int], ...]
"""The openings of one day, as (start, end) minutes."""

WeeklyHours = Mapping[int, Hours]
"""The openings of each weekday, Monday being 0 (date.weekday); a weekday not named is closed."""


class SlotAlignment(StrEnum):
    """Where the grid of start times is anchored: the opening, or the wall clock's midnight."""

    OPENING = "OPENING"
    HOUR = "HOUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every catalogue entry has. It hashes by its id, as mappings do not hash."""

    id: str
    name: str
    active: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    create_time: int = 0
    update_time: int = 0

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Entry):
    """`o_…`: whose catalogue it is. `holiday_region` is ISO 3166 (`DE`, `US-CA`), or empty."""

    time_zone: str
    holiday_region: str = ""
    weekly_hours: WeeklyHours = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location(Entry):
    """`l_…`: a place with a clock of its own."""

    time_zone: str
    address: str = ""
    weekly_hours: WeeklyHours = field(default_factory=dict)

    __hash__ = Entry.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffMember(Entry):
    """`t_…`: a person. Without weekly hours, only overrides make them work."""

    time_zone: str
    weekly_hours: WeeklyHours = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Entry):
    """`r_…`: a room, chair or device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one date is like for an organization, location or staff member, instead of its week.

    Empty hours mean closed; otherwise they replace the whole day.
    """

    owner_id: str
    date: date
    hours: Hours = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Entry):
    """`s_…`: something that can be booked; `zimun.v1.Service` says what each field means."""

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

    __hash__ = Entry.__hash__

    @property
    def span(self) -> int:
        """How long staff and resources are taken: the duration with its buffers."""
        return self.buffer_before + self.duration + self.buffer_after

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everything that a session of this service could take.

        A service that needs no person and no thing is itself what is taken, so
        that it, too, is sold once.
        """
        resources = (resource for one_of in self.resource_requirements for resource in one_of)
        return tuple(dict.fromkeys((*self.staff_ids, *resources))) or (self.id,)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is given: a location, or (id empty) the organization itself."""

    id: str
    time_zone: str


@dataclass(frozen=True)
class Catalog:
    """Everything that an organization has told us, at one version.

    `longest_span` is at least the span of every allocation ever made, so that a
    search knows how far back an overlap can begin. `holiday` gives
    the name of a date's public holiday in the organization's region, or nothing.
    """

    version: str
    organization: Organization
    services: Mapping[str, Service]
    locations: Mapping[str, Location]
    staff: Mapping[str, StaffMember]
    resources: Mapping[str, Resource]
    overrides: Mapping[tuple[str, date], Override]
    longest_span: int
    holiday: Callable[[date], str] = lambda day: ""

    @cached_property
    def active_services(self) -> list[Service]:
        """In order of creation."""
        return _in_order(self.services)

    @cached_property
    def active_locations(self) -> list[Location]:
        """In order of creation."""
        return _in_order(self.locations)

    def service(self, service_id: str) -> Service:
        """The service, active or not; raises ServiceNotFound."""
        if service := self.services.get(service_id):
            return service
        raise ServiceNotFound(service_id)

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
        zone = self.locations[chosen].time_zone if chosen else self.organization.time_zone
        return Place(chosen, zone)

    def check_staff(self, service: Service, staff_id: str) -> None:
        """Raise StaffNotFound for an unknown id, InvalidRequest for one who does not give it."""
        if not staff_id:
            return
        if staff_id not in self.staff:
            raise StaffNotFound(staff_id)
        if staff_id not in service.staff_ids:
            raise InvalidRequest({"staff_id": f"{staff_id} does not give service {service.id}"})


def _in_order(entries: Mapping[str, E]) -> list[E]:
    active = (entry for entry in entries.values() if entry.active)
    return sorted(active, key=lambda entry: (entry.create_time, entry.id))
