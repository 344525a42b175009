"""Overrides of opening hours: lists, and the commands that make and delete them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from zimun.booking.catalog import Key, chosen_id, page_of
from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.reader import Reader
from zimun.domain import catalog_validation
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Override
from zimun.domain.commands import Decision
from zimun.domain.errors import (
    IdTaken,
    OverrideExists,
    OverrideNotFound,
)
from zimun.domain.identity import Caller
from zimun.domain.ledger.events import OverrideDeleted
from zimun.domain.ledger.ledger import Ledger


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
        (override for override in catalog.distinct_overrides if _matches(override, criteria)),
        key=override_key_of,
    )
    return page_of(matching, override_key_of, size, after)


def override_key_of(override: Override) -> Key:
    """The key of an override in its list, after which the next page begins."""
    return override.date.toordinal(), override.owner_id


def _matches(override: Override, criteria: OverrideFilter) -> bool:
    return (
        criteria.owner_id in ("", override.owner_id)
        and (criteria.first is None or criteria.first <= (override.last or override.date))
        and (criteria.last is None or override.date <= criteria.last)
    )


@dataclass(frozen=True, slots=True)
class CreateOverride:
    """Create an override; the caller may choose its id."""

    override: Override

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises InvalidRequest, IdTaken or OverrideExists."""
        catalog = timetable.catalog
        override_id = chosen_id(Override, self.override.id)
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
    """Delete an override: the weekly hours apply to its dates again."""

    override_id: str

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises OverrideNotFound."""
        catalog = timetable.catalog
        for override in catalog.overrides.values():
            if override.id == self.override_id:
                deleted = OverrideDeleted(override.id, override.owner_id, override.date)
                return catalog_decision(catalog, client_id, [deleted], None)
        raise OverrideNotFound(self.override_id)
