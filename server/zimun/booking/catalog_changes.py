"""A catalogue after changes of its values, and its limits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zimun.booking.holidays import public_holiday
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    OverrideKey,
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
"""Entries and overrides of an organization, archived ones included."""


MAX_BYTES = 32 << 20
"""Bytes of memory of an organization's catalogue, as estimated by `weight`."""


def evolve_catalog(catalog: Catalog, values: Iterable[CatalogValue]) -> Catalog:
    """The catalogue after some changes, each a value as the change left it.

    Its version stays: the next one is known once the events are numbered.
    """
    entries_by_type: dict[type, dict[str, Any]] = {
        entry_type: dict(catalog.all(entry_type))
        for entry_type in (Service, Location, StaffMember, Resource)
    }
    organization, overrides = catalog.organization, dict(catalog.overrides)
    time_off = dict(catalog.time_off)
    span, entry_bytes = catalog.longest_span, catalog.entry_bytes
    for value in values:
        match value:
            case Organization():
                entry_bytes += weight(value) - weight(organization)
                organization = value
            case Override():
                overrides = _with_override(overrides, value)
            case OverrideDeleted():
                overrides = _without(overrides, value.override_id)
            case TimeOff():
                time_off[value.id] = value
            case TimeOffDeleted():
                time_off.pop(value.time_off_id, None)
            case _:
                entries_of_type = entries_by_type[type(value)]
                entry_bytes += weight(value) - (
                    weight(before) if (before := entries_of_type.get(value.id)) else 0
                )
                entries_of_type[value.id] = value
                span = max(span, value.longest_span) if isinstance(value, Service) else span
    return Catalog(
        version=catalog.version,
        organization=organization,
        services=entries_by_type[Service],
        locations=entries_by_type[Location],
        staff=entries_by_type[StaffMember],
        resources=entries_by_type[Resource],
        overrides=overrides,
        longest_span=span,
        holiday=public_holiday,
        entry_bytes=entry_bytes,
        time_off=time_off,
    )


def _with_override(
    overrides: Mapping[OverrideKey, Override], override: Override
) -> dict[OverrideKey, Override]:
    """The overrides with another one, which replaces those of its id and of its dates."""
    replaced = {overrides[key] for key in override.keys if key in overrides}
    others = {
        key: other
        for key, other in overrides.items()
        if other not in replaced and not (override.id and other.id == override.id)
    }
    return {**others, **dict.fromkeys(override.keys, override)}


def _without(
    overrides: Mapping[OverrideKey, Override], override_id: str
) -> dict[OverrideKey, Override]:
    return {
        key: override
        for key, override in overrides.items()
        if not override_id or override.id != override_id
    }


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
    if after.size > max(before.size, MAX_BYTES):
        raise CatalogLimitReached("bytes", MAX_BYTES)
