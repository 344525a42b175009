"""The catalogue: reading it, and the commands of its administration.

What holds for every type of entry is written once, for `entry_type`: Service,
StaffMember, Resource or Location. Every change is checked against the rest of
the catalogue by the command that makes it (`domain.catalog_validation`). The
file is a little long, as the commands share how a catalogue changes.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, TypeVar

from zimun.booking.change_request import new_id
from zimun.booking.holidays import check_holidays, public_holiday
from zimun.booking.reader import Reader
from zimun.domain import catalog_validation
from zimun.domain.catalog import (
    NOT_FOUND,
    Catalog,
    Entry,
    Location,
    Organization,
    Override,
    Resource,
    Service,
    StaffMember,
)
from zimun.domain.commands import Decision
from zimun.domain.errors import (
    CatalogLimitReached,
    EtagMismatch,
    IdTaken,
    InvalidRequest,
    OverrideExists,
    OverrideNotFound,
)
from zimun.domain.events import (
    CatalogEntry,
    CatalogEvent,
    CatalogValue,
    OverrideDeleted,
    ReservationEvent,
    TimeOffDeleted,
)
from zimun.domain.identity import Caller
from zimun.domain.ledger import Ledger
from zimun.domain.memory_size import weight
from zimun.domain.time_off import TimeOff
from zimun.domain.timetable import Timetable

T = TypeVar("T")
E = TypeVar("E", bound=CatalogEntry)
Settings = TypeVar("Settings", bound=Organization | CatalogEntry | TimeOff)

MAX_ENTRIES = 20_000
"""Entries and overrides of an organization, archived ones included."""

MAX_BYTES = 32 << 20
"""Bytes of memory of an organization's catalogue, as estimated by `weight`."""

Key = tuple[int, str]
"""Where a page begins: after the entry with this (create_time, id), or the override with this
(date as a number, owner id)."""

Page = tuple[Sequence[E], Key | None]
"""Some entries, and the key after which the next page begins."""


def evolve_catalog(catalog: Catalog, values: Iterable[CatalogValue]) -> Catalog:
    """The catalogue after some changes, each a value as the change left it.

    Its version stays: it is known once the changes have their numbers.
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
                met = {overrides[key] for key in value.keys if key in overrides}
                kept = _without(overrides, value.id) if value.id else overrides
                kept = {key: one for key, one in kept.items() if one not in met}
                overrides = {**kept, **dict.fromkeys(value.keys, value)}
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


def _without(
    overrides: Mapping[tuple[str, date], Override], override_id: str
) -> dict[tuple[str, date], Override]:
    return {
        key: override
        for key, override in overrides.items()
        if not override_id or override.id != override_id
    }


def catalog_decision(
    catalog: Catalog, client_id: str, values: Sequence[CatalogValue], result: Any
) -> Decision:
    """The decision to make some changes of the catalogue; none of them where there are none.

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


def list_entries(
    catalog: Catalog, entry_type: type[E], archived: bool, size: int, after: Key | None
) -> Page[E]:
    """The active entries of a kind, oldest first; with `archived`, the others, too."""
    entries = catalog.listed(entry_type, archived)
    return page_of(entries, key_of, size, after)


def page_of(
    ordered: Sequence[T], key: Callable[[T], Key], size: int, after: Key | None
) -> tuple[Sequence[T], Key | None]:
    """A page of what is in order of its key, and the key after which the next page begins."""
    begin = bisect_right(ordered, after, key=key) if after else 0
    page = ordered[begin : begin + size]
    more = begin + size < len(ordered)
    return page, key(page[-1]) if more else None


def key_of(entry: Entry) -> Key:
    """The key after which a page begins that follows an entry."""
    return entry.create_time, entry.id


async def get_entry(reader: Reader, caller: Caller, entry_type: type[E], entry_id: str) -> E:
    """One entry, active or not; raises the NotFound of its kind."""
    return (await reader.catalog(caller.org_id)).entry(entry_type, entry_id)


@dataclass(frozen=True, slots=True)
class CreateEntry(Generic[E]):
    """Make an entry of the fields that are given; `id` among them is chosen by its creator."""

    entry_type: type[E]
    fields: Mapping[str, Any]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest or IdTaken."""
        catalog = timetable.catalog
        entry = new_entry(catalog, self.entry_type, self.fields, now)
        if entry.id in catalog.all(self.entry_type):
            raise IdTaken(entry.id)
        check_entry(entry, catalog)
        return catalog_decision(catalog, client_id, [entry], entry)


def new_entry(catalog: Catalog, entry_type: type[E], fields: Mapping[str, Any], now: int) -> E:
    """An entry of some fields, with the organization's defaults for the others."""
    return entry_of(
        catalog, entry_type, {**fields, "id": _chosen(entry_type, fields.get("id", ""))}, now
    )


def entry_of(catalog: Catalog, entry_type: type[E], fields: Mapping[str, Any], now: int) -> E:
    """An entry as by `new_entry`, but with the id in `fields` unchecked."""
    values: dict[str, Any] = {**catalog.defaults(entry_type, fields), **fields}
    return entry_type(**values | {"create_time": now, "update_time": now})


def _chosen(entry_type: type[Entry | Override], chosen: str) -> str:
    """The chosen id, if it is valid for the type, or a new one."""
    if chosen:
        check_id(entry_type, chosen)
    return chosen or new_id(catalog_validation.PREFIXES[entry_type])


def check_id(entry_type: type[Entry | Override | TimeOff], chosen: str) -> None:
    """Raise InvalidRequest for an id without the prefix of its type."""
    prefix = catalog_validation.PREFIXES[entry_type]
    if not re.fullmatch(f"{prefix}_[A-Za-z0-9_-]{{1,62}}", chosen):
        raise InvalidRequest({"id": f"must be {prefix}_ and a suffix"})


@dataclass(frozen=True, slots=True)
class UpdateEntry(Generic[E]):
    """Change an entry as `edit` does; `etag`, where given, must be the present one."""

    entry_type: type[E]
    entry_id: str
    etag: str
    edit: Callable[[E], E]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises the NotFound of the kind, EtagMismatch or InvalidRequest."""
        catalog = timetable.catalog
        before = catalog.entry(self.entry_type, self.entry_id)
        _require_etag(before, self.etag)
        after = revise(before, self.edit(before), now)
        if after is before:
            return Decision((), before)
        check_entry(after, catalog, before)
        return catalog_decision(catalog, client_id, [after], after)


@dataclass(frozen=True, slots=True)
class ArchiveEntry(Generic[E]):
    """Exclude an entry from lists and searches; an archived one stays as it is."""

    entry_type: type[E]
    entry_id: str
    etag: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises the NotFound of the kind or EtagMismatch."""
        catalog = timetable.catalog
        before = catalog.entry(self.entry_type, self.entry_id)
        if not before.active:
            return Decision((), before)
        _require_etag(before, self.etag)
        after = revise(before, replace(before, active=False), now)
        return catalog_decision(catalog, client_id, [after], after)


def revise(before: Settings, after: Settings, now: int) -> Settings:
    """The entry with new values, its id and create_time unchanged, and the next revision.

    It is `before` itself where no value is new: then neither etag nor update_time changes.
    """
    merged = replace(
        after,
        id=before.id,
        create_time=before.create_time,
        update_time=before.update_time,
        revision=before.revision,
    )
    if merged == before:
        return before
    return replace(merged, update_time=now, revision=before.revision + 1)


def _require_etag(entry: Organization | CatalogEntry, etag: str) -> None:
    if etag and etag != entry.etag:
        field = NOT_FOUND[type(entry)].field if type(entry) in NOT_FOUND else "organization_id"
        raise EtagMismatch(field, entry.id)


async def get_organization(reader: Reader, caller: Caller) -> Organization:
    """The caller's organization."""
    return (await reader.catalog(caller.org_id)).organization


@dataclass(frozen=True, slots=True)
class UpdateOrganization:
    """Change the organization as `edit` does; `etag`, where given, must be the present one."""

    etag: str
    edit: Callable[[Organization], Organization]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises EtagMismatch or InvalidRequest."""
        catalog = timetable.catalog
        before = catalog.organization
        _require_etag(before, self.etag)
        after = revise(before, self.edit(before), now)
        if after is before:
            return Decision((), before)
        check_entry(after, catalog)
        return catalog_decision(catalog, client_id, [after], after)


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """Make the organization of the ledger, with a catalogue of these entries, unless it exists.

    `bookings` are the first of it. The result is whether it was made.
    """

    organization: Organization
    entries: Sequence[CatalogEntry] = ()
    bookings: Sequence[ReservationEvent] = ()

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest where the organization makes no sense."""
        if exists(ledger):
            return Decision((), False)
        check_id(Organization, self.organization.id)
        organization = replace(self.organization, create_time=now, update_time=now)
        check_entry(organization, timetable.catalog)
        values = [organization, *self.entries]
        made = catalog_decision(timetable.catalog, client_id, values, True)
        return made._replace(events=[*made.events, *self.bookings])


def exists(ledger: Ledger) -> bool:
    """Whether the organization of a ledger has been made."""
    return ledger.seq > 0 or ledger.time > 0


def check_entry(entry: Entry, catalog: Catalog, before: Entry | None = None) -> None:
    """Raise InvalidRequest naming every field that does not make sense."""
    catalog_validation.check(entry, catalog, before)
    if isinstance(entry, Organization | Location):
        check_holidays(entry)


@dataclass(frozen=True, slots=True)
class OverrideFilter:
    """Which overrides to list: those of dates from first to last; empty and None mean any."""

    owner_id: str = ""
    first: date | None = None
    last: date | None = None


async def list_overrides(
    reader: Reader, caller: Caller, criteria: OverrideFilter, size: int, after: Key | None
) -> tuple[Sequence[Override], Key | None]:
    """A page of overrides by date, then owner."""
    catalog = await reader.catalog(caller.org_id)
    matching = sorted(
        (one for one in catalog.distinct_overrides if _matches(one, criteria)),
        key=override_key_of,
    )
    return page_of(matching, override_key_of, size, after)


def override_key_of(override: Override) -> Key:
    """The key after which a page begins that follows an override."""
    return override.date.toordinal(), override.owner_id


def _matches(override: Override, criteria: OverrideFilter) -> bool:
    return (
        criteria.owner_id in ("", override.owner_id)
        and (criteria.first is None or criteria.first <= (override.last or override.date))
        and (criteria.last is None or override.date <= criteria.last)
    )


@dataclass(frozen=True, slots=True)
class CreateOverride:
    """Make an override; its id may be chosen by its creator."""

    override: Override

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest, IdTaken or OverrideExists."""
        catalog = timetable.catalog
        override_id = _chosen(Override, self.override.id)
        new = replace(self.override, id=override_id, create_time=now)
        catalog_validation.check(new, catalog)
        for key in new.keys:
            if existing := catalog.overrides.get(key):
                raise OverrideExists(existing.id, existing.owner_id, key[1].isoformat())
        if any(new.id == other.id for other in catalog.overrides.values()):
            raise IdTaken(new.id)
        return catalog_decision(catalog, client_id, [new], new)


@dataclass(frozen=True, slots=True)
class DeleteOverride:
    """Make a date like its week again."""

    override_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises OverrideNotFound."""
        catalog = timetable.catalog
        for override in catalog.overrides.values():
            if override.id == self.override_id:
                deleted = OverrideDeleted(override.id, override.owner_id, override.date)
                return catalog_decision(catalog, client_id, [deleted], None)
        raise OverrideNotFound(self.override_id)
