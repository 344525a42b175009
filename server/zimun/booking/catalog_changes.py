"""A catalogue after changes of its values, and its limits."""

from collections.abc import Iterable, Sequence
from typing import Any

from zimun.booking.holidays import public_holiday
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Decision
from zimun.domain.errors import CatalogLimitReached
from zimun.domain.ledger.events import (
    CatalogEvent,
    CatalogValue,
    OverrideDeleted,
    TimeOffDeleted,
)
from zimun.domain.memory_size import weight

MAX_ENTRIES = 20_000
"""Entries, time off and overrides of an organization, archived ones included; an override counts
once for each of its dates."""

MAX_CATALOG_BYTES = 32 << 20
"""Bytes of memory of an organization's catalogue, as estimated by `weight`."""


def evolve_catalog(catalog: Catalog, values: Iterable[CatalogValue]) -> Catalog:
    """The catalogue after some changes, each a value as the change left it.

    Its version stays: the next one is known once the events are numbered.
    """
    entries_by_type: dict[type, dict[str, Any]] = {
        entry_type: dict(catalog.all(entry_type))
        for entry_type in (Service, Location, StaffMember, Resource)
    }
    organization, overrides = catalog.organization, _Overrides(catalog)
    time_off = dict(catalog.time_off)
    span, changed_bytes = catalog.longest_span, 0
    for value in values:
        match value:
            case Organization():
                changed_bytes += weight(value) - weight(organization)
                organization = value
            case Override():
                overrides.put(value)
            case OverrideDeleted():
                overrides.remove(value.override_id)
            case TimeOff():
                changed_bytes += weight(value) - _weight_of(time_off.get(value.id))
                time_off[value.id] = value
            case TimeOffDeleted():
                changed_bytes -= _weight_of(time_off.pop(value.time_off_id, None))
            case _:
                entries_of_type = entries_by_type[type(value)]
                changed_bytes += weight(value) - _weight_of(entries_of_type.get(value.id))
                entries_of_type[value.id] = value
                span = max(span, value.longest_span) if isinstance(value, Service) else span
    return Catalog(
        version=catalog.version,
        organization=organization,
        services=entries_by_type[Service],
        locations=entries_by_type[Location],
        staff=entries_by_type[StaffMember],
        resources=entries_by_type[Resource],
        overrides=overrides.by_key,
        longest_span=span,
        holiday=public_holiday,
        entry_bytes=catalog.entry_bytes + changed_bytes + overrides.changed_bytes,
        time_off=time_off,
    )


def _weight_of(value: object) -> int:
    return weight(value) if value else 0


class _Overrides:
    """The overrides of a catalogue while they change; `changed_bytes` is by how much they grew."""

    def __init__(self, catalog: Catalog) -> None:
        self.changed_bytes = 0
        self.by_key = dict(catalog.overrides)
        self._by_id = {override.id: override for override in catalog.distinct_overrides}

    def put(self, override: Override) -> None:
        """Add an override, which replaces those of its id and of its dates."""
        replaced = {self.by_key[key].id for key in override.keys if key in self.by_key}
        for override_id in (*replaced, override.id):
            self.remove(override_id)
        self.by_key |= dict.fromkeys(override.keys, override)
        self._by_id[override.id] = override
        self.changed_bytes += weight(override)

    def remove(self, override_id: str) -> None:
        """Remove an override, where there is one of this id."""
        if removed := self._by_id.pop(override_id, None):
            self.changed_bytes -= weight(removed)
            for key in removed.keys:
                del self.by_key[key]


def catalog_decision(
    catalog: Catalog, client_id: str, values: Sequence[CatalogValue], result: Any
) -> Decision:
    """The decision that makes some changes of the catalogue; one without events for no changes.

    Raises CatalogLimitReached.
    """
    if not values:
        return Decision((), result)
    events = [CatalogEvent(client_id, value) for value in values]
    after = evolve_catalog(catalog, values)
    _check_limits(catalog, after)
    return Decision(events, result, after)


def _check_limits(before: Catalog, after: Catalog) -> None:
    """Raise CatalogLimitReached where a change makes a catalogue larger than a limit."""
    if after.count > max(before.count, MAX_ENTRIES):
        raise CatalogLimitReached("entries", MAX_ENTRIES)
    if after.size > max(before.size, MAX_CATALOG_BYTES):
        raise CatalogLimitReached("bytes", MAX_CATALOG_BYTES)
