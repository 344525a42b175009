"""Reading the catalogue: ListServices, GetService, ListLocations."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

from zimun.booking.store import Store
from zimun.domain.access import Caller
from zimun.domain.catalog import Entry, Location, Service

E = TypeVar("E", bound=Entry)

Key = tuple[int, str]
"""Where a page begins: after the entry with this (create_time, id)."""

Page = tuple[Sequence[E], Key | None]
"""Some entries, and the key after which the next page begins."""


async def list_services(
    store: Store, caller: Caller, size: int, after: Key | None
) -> Page[Service]:
    """The active services, oldest first."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    return _page(timetable.catalog.active_services, size, after)


async def get_service(store: Store, caller: Caller, service_id: str) -> Service:
    """One service, active or not; raises ServiceNotFound."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    return timetable.catalog.service(service_id)


async def list_locations(
    store: Store, caller: Caller, size: int, after: Key | None
) -> Page[Location]:
    """The active locations, oldest first."""
    timetable = await store.read(lambda tx: tx.timetable(caller.org_id))
    return _page(timetable.catalog.active_locations, size, after)


def _page(entries: Sequence[E], size: int, after: Key | None) -> Page[E]:
    begin = bisect_right(entries, after, key=_key) if after else 0
    page = entries[begin : begin + size]
    more = begin + size < len(entries)
    return page, _key(page[-1]) if more else None


def _key(entry: Entry) -> Key:
    return entry.create_time, entry.id
