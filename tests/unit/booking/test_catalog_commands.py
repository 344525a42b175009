"""Commands of the catalogue: what changes nothing has no event, and a deletion one of its own."""

from dataclasses import replace
from datetime import date

import pytest

from zimun.booking.catalog import (
    ArchiveEntry,
    CreateOrganization,
    UpdateEntry,
    UpdateOrganization,
)
from zimun.booking.catalog_changes import catalog_decision, evolve_catalog
from zimun.booking.overrides import DeleteOverride
from zimun.booking.time_off import UpdateTimeOff
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import empty_catalog
from zimun.domain.catalog.entries import Organization, Override, Resource
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Command, Decision
from zimun.domain.instant import DAY, HOUR
from zimun.domain.ledger.events import CatalogEvent, OverrideDeleted
from zimun.domain.ledger.ledger import Ledger

ORG = "o_1"
NOW = 100 * DAY
ORGANIZATION = Organization(id=ORG, name="One", time_zone="UTC")
TIME_OFF = TimeOff(owner_id=ORG, start=NOW + DAY, end=NOW + DAY + HOUR, id="f_1")
CATALOG = evolve_catalog(
    empty_catalog(ORG),
    [
        ORGANIZATION,
        Resource(id="r_1", name="Room"),
        Resource(id="r_2", name="Hall", active=False),
        Override(owner_id=ORG, date=date(2026, 1, 3), id="v_3"),
        Override(owner_id=ORG, date=date(2026, 1, 1), id="v_1"),
        Override(owner_id=ORG, date=date(2026, 1, 2), id="v_2"),
        TIME_OFF,
    ],
)


def decide(command: Command) -> Decision:
    return command.decide(Ledger(ORG, 7, NOW, 7), Timetable(CATALOG), NOW, "c_1")


@pytest.mark.parametrize(
    "command",
    [
        UpdateEntry(Resource, "r_1", "", lambda entry: replace(entry, name="Room")),
        ArchiveEntry(Resource, "r_2", "an old etag"),
        UpdateOrganization("", lambda organization: replace(organization, name="One")),
        UpdateTimeOff("f_1", "", lambda time_off: replace(time_off, note=""), False),
        CreateOrganization(replace(ORGANIZATION, name="Two")),
    ],
)
def test_command_that_changes_nothing_has_no_event(command: Command) -> None:
    decision = decide(command)
    assert not decision.events
    assert decision.catalog is None


def test_organization_is_created_with_its_entries() -> None:
    room = Resource(id="r_1", name="Room")
    command = CreateOrganization(ORGANIZATION, [room])
    decision = command.decide(Ledger(ORG, 0, 0, 0), Timetable(empty_catalog(ORG)), NOW, "c_1")
    assert decision.result is True
    created = replace(ORGANIZATION, create_time=NOW, update_time=NOW)
    assert decision.events == [CatalogEvent("c_1", value) for value in (created, room)]


@pytest.mark.parametrize("day", [1, 2, 3])
def test_override_that_is_deleted_is_that_of_the_id(day: int) -> None:
    decision = decide(DeleteOverride(f"v_{day}"))
    deleted = OverrideDeleted(f"v_{day}", ORG, date(2026, 1, day))
    assert decision.events == [CatalogEvent("c_1", deleted)]
    assert decision.catalog
    kept = {override.id for override in decision.catalog.distinct_overrides}
    assert kept == {"v_1", "v_2", "v_3"} - {f"v_{day}"}


def test_decision_without_a_value_has_no_catalogue() -> None:
    assert catalog_decision(CATALOG, "c_1", [], "result") == Decision((), "result")


def test_override_that_changes_twice_has_its_last_date_alone() -> None:
    moved = [Override(owner_id=ORG, date=date(2026, 2, day), id="v_1") for day in (1, 2)]
    after = evolve_catalog(CATALOG, moved)
    assert [key[1] for key, one in after.overrides.items() if one.id == "v_1"] == [date(2026, 2, 2)]
    added = Override(owner_id=ORG, date=date(2026, 2, 9), id="v_9")
    deleted = OverrideDeleted(added.id, ORG, added.date)
    assert evolve_catalog(CATALOG, (added, deleted)).overrides == CATALOG.overrides
