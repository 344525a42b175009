"""What an organization offers: plain values, read whole and never changed in place.

Times of day are minutes since local midnight (1440 is 24:00); durations and
instants are microseconds. An empty id means "none".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

from zimun.domain.caching import SizedCache
from zimun.domain.catalog.booking_limit import AppliedLimit, applied_limits
from zimun.domain.catalog.entries import (
    HORIZON,
    Entry,
    Location,
    Organization,
    Override,
    Place,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.catalog.holiday_calendar import HolidayName
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.errors import (
    InvalidRequest,
    LocationNotFound,
    NotFound,
    ResourceNotFound,
    ServiceNotFound,
    StaffNotFound,
)
from zimun.domain.instant import DAY, MINUTE
from zimun.domain.memory_size import weight

E = TypeVar("E", bound="Entry")


OVERRIDE_BYTES = 250
"""About how many bytes each date of an override takes in memory beside the override itself."""


TIME_OFF_BYTES, OCCURRENCE_BYTES = 600, 160
"""About how many bytes time off takes in memory beside itself, and each time that it recurs."""


DEMAND_BYTES, SUBJECT_BYTES, LIMIT_BYTES, MAX_DEMAND_BYTES = 200, 8, 150, 8 << 20
"""About how many bytes a demand, its subjects and limits take in memory; of all that are kept."""


class Demand(NamedTuple):
    """The subjects that a session of a service may take, and the limits of its bookings."""

    subjects: tuple[str, ...]
    limits: tuple[AppliedLimit, ...]


@dataclass(frozen=True)
class Catalog:
    """Everything that an organization offers, at one version: the number of the ledger's
    event that last changed it.

    `longest_span` is at least the span of every allocation ever made, so that a
    search knows how far back an overlap can begin. `holiday` names the date's
    holiday in a calendar.
    An override is in `overrides` by each of its dates. `entry_bytes` is the memory of all that
    it has (`weight`), without what finds overrides and time off by date.
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
        recurring = sum(len(entry.occurrences) for entry in self.time_off.values())
        return TIME_OFF_BYTES * len(self.time_off) + OCCURRENCE_BYTES * recurring

    @property
    def count(self) -> int:
        """How many entries it has, active or not, with overrides and time off."""
        return sum(map(len, self._by_type.values())) + len(self.overrides) + len(self.time_off)

    def weigh(self) -> "Catalog":
        """The same catalogue with its `entry_bytes`."""
        values = (*self.entries(), *self.distinct_overrides, *self.time_off.values())
        return replace(self, entry_bytes=sum(map(weight, values)))

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
            raise InvalidRequest(
                {"location_id": f"service {service.id} has several locations: name one"}
            )
        chosen = location_id or next(iter(service.location_ids), "")
        return self.place_of(chosen)

    def place_of(self, location_id: str) -> Place:
        """The place that a location is, or (empty) the organization itself."""
        zone = self.locations[location_id].time_zone if location_id else self.organization.time_zone
        return Place(location_id, zone)

    def defaults(self, entry_type: type[E], fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the creator of a new entry has not set; required ones are empty."""
        if entry_type is Resource:
            return {"name": ""}
        if entry_type is not Service:
            return {"name": "", "time_zone": self.organization.time_zone}
        defaults = asdict(self.organization.service_defaults)
        whole_minutes = fields.get("duration", 0) // MINUTE * MINUTE
        usual = {"slot_step": min(max(whole_minutes, MINUTE), DAY), "horizon": HORIZON}
        settled = {field: length for field, length in defaults.items() if length is not None}
        return {"name": "", "duration": 0, **usual, **settled}

    def daily_limit(self, staff_id: str) -> int:
        """The most bookings that a staff member begins on one date; 0 for any number."""
        member = self.staff.get(staff_id)
        return member.daily_limit if member else 0

    @cached_property
    def _demands(self) -> SizedCache[tuple[str, str], Demand]:
        return SizedCache(MAX_DEMAND_BYTES)

    def demand(self, service: Service, location_id: str) -> Demand:
        """The demand of a service of the catalogue at a location, whatever its duration."""
        key = (service.id, location_id)
        demand = self._demands.get(key)
        if demand is None:
            daily = {
                staff_id: limit
                for staff_id in service.staff_ids
                if (limit := self.daily_limit(staff_id))
            }
            limits = tuple(applied_limits(self.organization, service, daily))
            demand = Demand(service.subjects(location_id), limits)
            size = SUBJECT_BYTES * len(demand.subjects) + LIMIT_BYTES * len(limits)
            self._demands.keep(key, demand, DEMAND_BYTES + size)
        return demand

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
