"""The catalogue: reading it, and the commands of its administration.

The functions for all types of entries are written once, for `entry_type`: Service,
StaffMember, Resource or Location. Every change is checked against the rest of
the catalogue by the command that makes it (`domain.catalog_validation`).
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.change_request import new_id
from zimun.booking.holidays import check_holidays
from zimun.booking.reader import Reader
from zimun.domain import catalog_validation
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import NOT_FOUND, Catalog
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    Organization,
    Override,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Decision
from zimun.domain.errors import (
    EtagMismatch,
    IdTaken,
    InvalidRequest,
)
from zimun.domain.identity import ID, Caller
from zimun.domain.ledger.events import (
    CatalogEntry,
    ReservationEvent,
)
from zimun.domain.ledger.ledger import Ledger

T = TypeVar("T")
E = TypeVar("E", bound=CatalogEntry)
Settings = TypeVar("Settings", bound=Organization | CatalogEntry | TimeOff)


Key = tuple[int, str]
"""Where a page begins: after the entry with this (create_time, id), or the override with this
(date as a number, owner id)."""

Page = tuple[Sequence[E], Key | None]
"""Some entries, and the key after which the next page begins."""


def list_entries(
    catalog: Catalog, entry_type: type[E], archived: bool, size: int, after: Key | None
) -> Page[E]:
    """The active entries of a type, oldest first; with `archived`, the others, too."""
    entries = catalog.listed(entry_type, archived)
    return page_of(entries, key_of, size, after)


def page_of(
    ordered: Sequence[T], key: Callable[[T], Key], size: int, after: Key | None
) -> tuple[Sequence[T], Key | None]:
    """A page of items in order of their keys, and the key after which the next page begins."""
    begin = bisect_right(ordered, after, key=key) if after else 0
    page = ordered[begin : begin + size]
    more = begin + size < len(ordered)
    return page, key(page[-1]) if more else None


def key_of(entry: Entry) -> Key:
    """The key of an entry in its list, after which the next page begins."""
    return entry.create_time, entry.id


async def get_entry(reader: Reader, caller: Caller, entry_type: type[E], entry_id: str) -> E:
    """One entry, active or not; raises the NotFound of its type."""
    return (await reader.catalog(caller.org_id)).entry(entry_type, entry_id)


@dataclass(frozen=True, slots=True)
class CreateEntry(Generic[E]):
    """Create an entry with the given fields; the caller may choose its `id`."""

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
        catalog, entry_type, {**fields, "id": chosen_id(entry_type, fields.get("id", ""))}, now
    )


def entry_of(catalog: Catalog, entry_type: type[E], fields: Mapping[str, Any], now: int) -> E:
    """An entry as by `new_entry`, but with the id in `fields` unchecked."""
    values: dict[str, Any] = {**catalog.defaults(entry_type, fields), **fields}
    return entry_type(**values | {"create_time": now, "update_time": now})


def chosen_id(entry_type: type[Entry | Override | TimeOff], chosen: str) -> str:
    """The chosen id, if it is valid for the type, or a new one."""
    if chosen:
        check_id(entry_type, chosen)
    return chosen or new_id(catalog_validation.PREFIXES[entry_type])


def check_id(entry_type: type[Entry | Override | TimeOff], chosen: str) -> None:
    """Raise InvalidRequest for an id without the prefix of its type."""
    prefix = catalog_validation.PREFIXES[entry_type]
    if not ID.fullmatch(chosen) or chosen.removeprefix(f"{prefix}_") in ("", chosen):
        raise InvalidRequest(
            {"id": f"must be {prefix}_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -"}
        )


@dataclass(frozen=True, slots=True)
class UpdateEntry(Generic[E]):
    """Change an entry as `edit` does; `etag`, where given, must be the present one."""

    entry_type: type[E]
    entry_id: str
    etag: str
    edit: Callable[[E], E]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises the NotFound of the type, EtagMismatch or InvalidRequest."""
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
        """Raises the NotFound of the type or EtagMismatch."""
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
        check_entry(after, catalog, before)
        return catalog_decision(catalog, client_id, [after], after)


@dataclass(frozen=True, slots=True)
class CreateOrganization:
    """Create the organization of the ledger, with a catalogue of these entries, unless it exists.

    `bookings` are its first events. The result is whether it was created.
    """

    organization: Organization
    entries: Sequence[CatalogEntry] = ()
    bookings: Sequence[ReservationEvent] = ()

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest where a field of the organization is not valid."""
        if exists(ledger):
            return Decision((), False)
        check_id(Organization, self.organization.id)
        organization = replace(self.organization, create_time=now, update_time=now)
        check_entry(organization, timetable.catalog)
        values = [organization, *self.entries]
        decision = catalog_decision(timetable.catalog, client_id, values, True)
        return decision._replace(events=[*decision.events, *self.bookings])


def exists(ledger: Ledger) -> bool:
    """Whether the organization of a ledger has been created."""
    return ledger.seq > 0 or ledger.time > 0


def check_entry(entry: Entry, catalog: Catalog, before: Entry | None = None) -> None:
    """Raise InvalidRequest naming every field that is not valid."""
    catalog_validation.check(entry, catalog, before)
    if isinstance(entry, Organization | Location):
        check_holidays(entry)
