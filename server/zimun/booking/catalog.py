"""The catalogue: reading it, and its administration.

What is true of every kind of entry is written once, for `kind`: Service,
StaffMember, Resource or Location. Every change is checked against the rest of
the catalogue in the transaction that makes it (`domain.soundness`).
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from zimun.booking.change import Change, apply, new_id
from zimun.booking.holidays import public_holidays
from zimun.booking.store import CatalogEntry, Store, Transaction
from zimun.clock import Clock
from zimun.domain import soundness
from zimun.domain.access import Caller
from zimun.domain.catalog import NOT_FOUND, Catalog, Entry, Organization, Override
from zimun.domain.errors import (
    EtagMismatch,
    IdTaken,
    InvalidRequest,
    OverrideExists,
    OverrideNotFound,
)

E = TypeVar("E", bound=CatalogEntry)
Settings = TypeVar("Settings", bound=Organization | CatalogEntry)

Key = tuple[int, str]
"""Where a page begins: after the entry with this (create_time, id), or the override with this
(date as a number, owner id)."""

Page = tuple[Sequence[E], Key | None]
"""Some entries, and the key after which the next page begins."""


async def list_entries(
    store: Store, caller: Caller, kind: type[E], archived: bool, size: int, after: Key | None
) -> Page[E]:
    """The active entries of a kind, oldest first; with `archived`, the others, too."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    entries = timetable.catalog.listed(kind, archived)
    begin = bisect_right(entries, after, key=_key) if after else 0
    page = entries[begin : begin + size]
    more = begin + size < len(entries)
    return page, _key(page[-1]) if more else None


def _key(entry: Entry) -> Key:
    return entry.create_time, entry.id


async def get_entry(store: Store, caller: Caller, kind: type[E], entry_id: str) -> E:
    """One entry, active or not; raises the NotFound of its kind."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    return timetable.catalog.entry(kind, entry_id)


async def create(
    store: Store, clock: Clock, change: Change[E], kind: type[E], fields: Mapping[str, Any]
) -> bytes:
    """Make an entry of the fields that are said; `id` among them is chosen by its creator.

    Raises InvalidRequest or IdTaken.
    """

    def run(tx: Transaction, now: int) -> E:
        catalog = _own(tx, change.caller.org_id)
        entry = new_entry(catalog, kind, fields, now)
        if entry.id in catalog.all(kind):
            raise IdTaken(entry.id)
        return _put(tx, catalog, entry)

    return await apply(store, clock, change, run)


def _own(tx: Transaction, org_id: str) -> Catalog:
    """The catalogue, which nobody else changes before the transaction is over."""
    tx.lock_catalog(org_id)
    return tx.timetable(org_id).catalog


def new_entry(catalog: Catalog, kind: type[E], fields: Mapping[str, Any], now: int) -> E:
    """An entry of the fields that are said, and of what its organization has for the others."""
    return entry_of(catalog, kind, {**fields, "id": _chosen(kind, fields.get("id", ""))}, now)


def entry_of(catalog: Catalog, kind: type[E], fields: Mapping[str, Any], now: int) -> E:
    """As `new_entry`, but the id that is said is taken as it is."""
    said: dict[str, Any] = {**catalog.defaults(kind, fields), **fields}
    return kind(**said | {"create_time": now, "update_time": now})


def _chosen(kind: type[Entry] | type[Override], chosen: str) -> str:
    """A new id, or the one that was chosen, if it is one of its kind."""
    if chosen:
        check_id(kind, chosen)
    return chosen or new_id(soundness.PREFIXES[kind])


def check_id(kind: type[Entry] | type[Override], chosen: str) -> None:
    """Raise InvalidRequest for an id that is none of its kind."""
    prefix = soundness.PREFIXES[kind]
    if not re.fullmatch(f"{prefix}_[A-Za-z0-9_-]{{1,62}}", chosen):
        raise InvalidRequest({"id": f"must be {prefix}_ and a suffix"})


async def update(
    store: Store,
    clock: Clock,
    change: Change[E],
    kind: type[E],
    entry_id: str,
    etag: str,
    edit: Callable[[E], E],
) -> bytes:
    """Change an entry as `edit` does; raises its NotFound, EtagMismatch or InvalidRequest."""

    def run(tx: Transaction, now: int) -> E:
        catalog = _own(tx, change.caller.org_id)
        entry = catalog.entry(kind, entry_id)
        _require_etag(entry, etag)
        return _put(tx, catalog, changed(entry, edit(entry), now))

    return await apply(store, clock, change, run)


async def archive(
    store: Store, clock: Clock, change: Change[E], kind: type[E], entry_id: str, etag: str
) -> bytes:
    """Take an entry out of lists and searches; raises its NotFound or EtagMismatch."""

    def run(tx: Transaction, now: int) -> E:
        catalog = _own(tx, change.caller.org_id)
        entry = catalog.entry(kind, entry_id)
        if not entry.active:
            return entry
        _require_etag(entry, etag)
        return _put(tx, catalog, changed(entry, replace(entry, active=False), now))

    return await apply(store, clock, change, run)


def _put(tx: Transaction, catalog: Catalog, entry: E) -> E:
    soundness.check(entry, catalog)
    tx.put_entry(catalog.organization.id, entry)
    return entry


def changed(before: Settings, after: Settings, now: int) -> Settings:
    """The entry with its new values, and what stays or counts by itself."""
    return replace(
        after,
        id=before.id,
        create_time=before.create_time,
        update_time=now,
        revision=before.revision + 1,
    )


def _require_etag(entry: Organization | CatalogEntry, etag: str) -> None:
    if etag and etag != entry.etag:
        field = NOT_FOUND[type(entry)].field if type(entry) in NOT_FOUND else "organization_id"
        raise EtagMismatch(field, entry.id)


async def get_organization(store: Store, caller: Caller) -> Organization:
    """The caller's organization."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    return timetable.catalog.organization


async def update_organization(
    store: Store,
    clock: Clock,
    change: Change[Organization],
    etag: str,
    edit: Callable[[Organization], Organization],
) -> bytes:
    """Change the caller's organization as `edit` does; raises EtagMismatch or InvalidRequest."""

    def run(tx: Transaction, now: int) -> Organization:
        catalog = _own(tx, change.caller.org_id)
        before = catalog.organization
        _require_etag(before, etag)
        after = changed(before, edit(before), now)
        check_organization(after, catalog)
        tx.put_organization(after)
        return after

    return await apply(store, clock, change, run)


def check_organization(organization: Organization, catalog: Catalog) -> None:
    """Raise InvalidRequest naming every field that does not make sense."""
    soundness.check(organization, catalog)
    check_holidays(organization)


def check_holidays(organization: Organization) -> None:
    """Raise InvalidRequest for a region whose public holidays nobody knows."""
    try:
        public_holidays(organization.holiday_region)
    except ValueError as error:
        raise InvalidRequest({"holiday_region": str(error)}) from error


@dataclass(frozen=True, slots=True)
class OverrideFilter:
    """Which overrides to list: those of dates from first to last; empty and None mean any."""

    owner_id: str = ""
    first: date | None = None
    last: date | None = None


async def list_overrides(
    store: Store, caller: Caller, wanted: OverrideFilter, size: int, after: Key | None
) -> tuple[Sequence[Override], Key | None]:
    """A page of overrides by date, then owner."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    found = sorted(
        (one for one in timetable.catalog.overrides.values() if _is_wanted(one, wanted)),
        key=_override_key,
    )
    begin = bisect_right(found, after, key=_override_key) if after else 0
    page = found[begin : begin + size]
    more = begin + size < len(found)
    return page, _override_key(page[-1]) if more else None


def _override_key(override: Override) -> Key:
    return override.date.toordinal(), override.owner_id


def _is_wanted(override: Override, wanted: OverrideFilter) -> bool:
    return (
        wanted.owner_id in ("", override.owner_id)
        and (wanted.first is None or wanted.first <= override.date)
        and (wanted.last is None or override.date <= wanted.last)
    )


async def create_override(
    store: Store, clock: Clock, change: Change[Override], override: Override
) -> bytes:
    """Keep an override; raises InvalidRequest, IdTaken or OverrideExists."""

    def run(tx: Transaction, now: int) -> Override:
        catalog = _own(tx, change.caller.org_id)
        new = replace(override, id=_chosen(Override, override.id), create_time=now)
        soundness.check(new, catalog)
        if kept := catalog.overrides.get((new.owner_id, new.date)):
            raise OverrideExists(kept.id, kept.owner_id, kept.date.isoformat())
        if any(new.id == other.id for other in catalog.overrides.values()):
            raise IdTaken(new.id)
        tx.put_override(change.caller.org_id, new)
        return new

    return await apply(store, clock, change, run)


async def delete_override(
    store: Store, clock: Clock, change: Change[None], override_id: str
) -> bytes:
    """Make a date like its week again; raises OverrideNotFound."""

    def run(tx: Transaction, _: int) -> None:
        overrides = _own(tx, change.caller.org_id).overrides
        if not any(override_id == kept.id for kept in overrides.values()):
            raise OverrideNotFound(override_id)
        tx.delete_override(change.caller.org_id, override_id)

    return await apply(store, clock, change, run)
