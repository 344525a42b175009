"""Loading a catalogue, or a part of one, in one transaction: all of it or nothing.

`plan` works out the changes and their violations, and changes nothing; `Plan.values` are the
changes. Entries have *places*: what their writer calls them, such as `services[2]`, under which
their violations are reported.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from zimun.booking.catalog import entry_of, revise
from zimun.booking.change_request import new_id
from zimun.booking.holidays import check_holidays
from zimun.booking.recurrence import with_occurrences
from zimun.domain import catalog_validation
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Location,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog_validation import PREFIXES
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.events import CatalogEntry, CatalogValue, OverrideDeleted

S = TypeVar("S", bound=Organization | CatalogEntry)

Violations = dict[str, str]
"""From a field to what it should be; the empty field is the entry itself."""

Imported = Organization | CatalogEntry | Override | TimeOff

Step = tuple[Imported | None, Imported]
"""An entry before (None for a new one) and after an import; the same object if nothing changes."""

ORGANIZATION = "organization"
"""The place of the organization."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The fields that entries of an organization are to have, by the place of each entry.

    Fields that are not set are as in a new entry. Entries that are not named stay as they
    are, and so does the organization if it is None.
    """

    org_id: str
    organization: Mapping[str, Any] | None
    entries: Mapping[str, tuple[type[CatalogEntry], Mapping[str, Any]]]
    overrides: Mapping[str, Override]
    time_off: Mapping[str, TimeOff] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many entries were created, changed and left unchanged."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of an import. The overrides `moved` leave the dates that they have; `time_off`
    has the steps of time off by place."""

    violations: Mapping[str, Violations]
    steps: Sequence[Step]
    moved: Sequence[Override]
    time_off: Mapping[str, tuple[TimeOff | None, TimeOff]]

    @property
    def values(self) -> Sequence[CatalogValue]:
        """The changed entries, and the overrides deleted to be moved."""
        assert not self.violations, "only a valid plan is carried out"
        deleted = [
            OverrideDeleted(override.id, override.owner_id, override.date)
            for override in self.moved
        ]
        return [*deleted, *(after for before, after in self.steps if after is not before)]

    @property
    def counts(self) -> Counts:
        """How many entries it creates, changes and leaves unchanged."""
        created = sum(before is None for before, _ in self.steps)
        unchanged = sum(before is after for before, after in self.steps)
        return Counts(created, len(self.steps) - created - unchanged, unchanged)


def plan(before: Catalog, exists: bool, now: int, request: ImportRequest) -> Plan:
    """The plan of an import into a catalogue at `now`; `exists` is false for a new organization.

    New entries are listed in the order of their places.
    """
    organization, of_organization = _organization(before, exists, request, now)
    after, entries, of_entries = _entries(before, organization, bool(of_organization), request, now)
    overrides = _overrides(before, request, now + len(entries) + 1)
    others: Mapping[str, Override | TimeOff] = {**request.overrides, **request.time_off}
    of_others = {
        place: _violations(partial(catalog_validation.check, other, after))
        for place, other in others.items()
    }
    recurring = dict(request.time_off)
    for place, imported in request.time_off.items():
        try:
            recurring[place] = imported if of_others[place] else with_occurrences(imported, after)
        except InvalidRequest as error:
            of_others[place] = error.violations
    time_off = _time_off(before, recurring, now, len(entries) + len(overrides) + 1)
    for place, override in request.overrides.items():
        if not of_others[place]:
            of_others[place] = _overlaps(before, override, request)
    violations = {ORGANIZATION: of_organization, **of_entries, **of_others}
    organization_steps: list[Step] = []
    if request.organization is not None:
        organization_steps.append((before.organization if exists else None, organization))
    return Plan(
        {place: fields for place, fields in violations.items() if fields},
        [*organization_steps, *entries, *overrides, *time_off.values()],
        _moved(before, request.overrides.values()),
        time_off,
    )


def _violations(*checks: Callable[[], None]) -> Violations:
    violations: Violations = {}
    for check in checks:
        try:
            check()
        except InvalidRequest as error:
            violations |= error.violations
    return violations


def _organization(
    before: Catalog, exists: bool, request: ImportRequest, now: int
) -> tuple[Organization, Violations]:
    if request.organization is None:
        missing = f"is required: there is no organization {request.org_id}"
        return before.organization, {} if exists else {"": missing}
    fields: dict[str, Any] = {"name": "", "time_zone": "", **request.organization}
    imported = Organization(
        **fields | {"id": request.org_id, "create_time": now, "update_time": now}
    )
    existing = before.organization if exists else None
    violations = _violations(
        partial(catalog_validation.check, imported, before, existing),
        partial(check_holidays, imported),
    )
    return revise(existing, imported, now) if existing else imported, violations


def _entries(
    before: Catalog,
    organization: Organization,
    is_organization_invalid: bool,
    request: ImportRequest,
    now: int,
) -> tuple[Catalog, list[Step], dict[str, Violations]]:
    """The catalogue after the import, the steps to it, and the violations of the entries."""
    defaults = replace(organization, time_zone="UTC", service_defaults=ServiceDefaults())
    # What follows from an invalid organization is not reported at the entries.
    basis = replace(before, organization=defaults if is_organization_invalid else organization)
    entries_by_place = {
        place: entry_of(basis, entry_type, fields, now + n)
        for n, (place, (entry_type, fields)) in enumerate(request.entries.items(), 1)
    }
    after = _with(basis, [*entries_by_place.values()])
    violations: dict[str, Violations] = {}
    steps: list[Step] = []
    ids = {entry.id for entry in entries_by_place.values()}
    for place, entry in entries_by_place.items():
        existing = before.all(type(entry)).get(entry.id)
        violations[place] = _entry_violations(entry, after, existing, ids)
        steps.append((existing, revise(existing, entry, now) if existing else entry))
    return after, steps, violations


def _with(catalog: Catalog, entries: Sequence[CatalogEntry]) -> Catalog:
    """The catalogue with these entries; one without an id is no part of it."""

    def all_of(entry_type: type[S]) -> Mapping[str, S]:
        new = {entry.id: entry for entry in entries if isinstance(entry, entry_type) and entry.id}
        return {**catalog.all(entry_type), **new}

    return replace(
        catalog,
        services=all_of(Service),
        locations=all_of(Location),
        staff=all_of(StaffMember),
        resources=all_of(Resource),
    )


def _entry_violations(
    entry: CatalogEntry,
    catalog: Catalog,
    existing: CatalogEntry | None,
    imported: Collection[str],
) -> Violations:
    violations = _violations(partial(catalog_validation.check, entry, catalog, existing, imported))
    if isinstance(entry, Location):
        violations |= _violations(partial(check_holidays, entry))
    return violations


def _overlaps(before: Catalog, imported: Override, request: ImportRequest) -> Violations:
    """The violations of overrides that share a date with one that stays."""
    replaced = {override.id for override in request.overrides.values() if override.id}
    firsts = {(override.owner_id, override.date) for override in request.overrides.values()}
    for key in imported.keys:
        other = before.overrides.get(key)
        if other and other.id not in replaced and (other.owner_id, other.date) not in firsts:
            return {"date": f"{key[1]} of {imported.owner_id} is in the override {other.id}, too"}
    return {}


def _overrides(before: Catalog, request: ImportRequest, now: int) -> list[Step]:
    """The steps of overrides: each replaces that of its owner and date, and that of its id."""
    named = {override.id: override for override in before.distinct_overrides}
    claimed = {override.id for override in request.overrides.values()}
    steps: list[Step] = []
    for n, imported in enumerate(request.overrides.values()):
        at_date = before.overrides.get((imported.owner_id, imported.date))
        at_date = at_date if at_date and at_date.date == imported.date else None
        free = at_date.id if at_date and at_date.id not in claimed else ""
        override_id = imported.id or free or new_id(PREFIXES[Override])
        new = replace(imported, id=override_id, create_time=now + n)
        existing = at_date or (named.get(imported.id) if imported.id else None)
        steps.append((existing, _settled_override(existing, new)))
    return steps


def _time_off(
    before: Catalog, time_off: Mapping[str, TimeOff], now: int, position: int
) -> dict[str, tuple[TimeOff | None, TimeOff]]:
    """The steps of time off: each replaces that of its id or, without one, of its owner and
    time."""
    same_time = {
        (entry.owner_id, entry.start, entry.end): entry for entry in before.time_off.values()
    }
    steps: dict[str, tuple[TimeOff | None, TimeOff]] = {}
    for made, (place, imported) in enumerate(time_off.items(), now + position):
        key = (imported.owner_id, imported.start, imported.end)
        existing = before.time_off.get(imported.id) if imported.id else same_time.get(key)
        if existing:
            steps[place] = existing, revise(existing, imported, now)
        else:
            chosen = imported.id or new_id(PREFIXES[TimeOff])
            new = replace(imported, id=chosen, create_time=made, update_time=made)
            steps[place] = None, new
    return steps


def _settled_override(before: Override | None, after: Override) -> Override:
    if before is None:
        return after
    same = replace(after, create_time=before.create_time, revision=before.revision)
    return before if same == before else replace(same, revision=before.revision + 1)


def _moved(before: Catalog, overrides: Iterable[Override]) -> list[Override]:
    """The overrides whose ids get another owner or date."""
    keys = {override.id: (override.owner_id, override.date) for override in overrides}
    return [
        override
        for override in before.distinct_overrides
        for key in [(override.owner_id, override.date)]
        if override.id and keys.get(override.id, key) != key
    ]
