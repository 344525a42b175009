"""The catalogue's rows to domain values and back; nothing here decides."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, select

from zimun.booking.holidays import public_holiday
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Location,
    McpAccess,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours, WeeklyHoursPeriod
from zimun.domain.ledger.events import (
    CatalogEntry,
    CatalogValue,
    OverrideDeleted,
    TimeOffDeleted,
)
from zimun.storage.schema import (
    ledgers,
    locations,
    organizations,
    overrides,
    resources,
    services,
    staff,
    time_off,
)

E = TypeVar("E")


def catalog_json(value: CatalogValue | None) -> str:
    """A value of the catalogue after a change, as JSON of the history."""
    match value:
        case Organization():
            row = organization_row(value)
        case Override():
            row = override_row("", value)
        case TimeOff():
            row = time_off_row("", value)
        case OverrideDeleted() | TimeOffDeleted():
            row = asdict(value)
        case None:
            row = {}
        case _:
            row = entry_row("", value)
    return json.dumps({key: row[key] for key in row if key != "org_id"}, default=str)


def organization_row(organization: Organization) -> dict[str, Any]:
    """The row of an organization."""
    return {
        "org_id": organization.id,
        "name": organization.name,
        "time_zone": organization.time_zone,
        "holiday_region": organization.holiday_region,
        "holiday_categories": organization.holiday_categories,
        "weekly_hours": _week_json(organization.weekly_hours),
        "weekly_hours_periods": _periods_json(organization.weekly_hours_periods),
        "metadata": dict(organization.metadata),
        "create_time": organization.create_time,
        "update_time": organization.update_time,
        "revision": organization.revision,
        "hold_length": organization.hold_length,
        "service_defaults": asdict(organization.service_defaults),
        "booking_limits": [asdict(limit) for limit in organization.booking_limits],
        "contact_retention": organization.contact_retention,
        "mcp_access": organization.mcp_access.value,
    }


def entry_row(org_id: str, entry: CatalogEntry) -> dict[str, Any]:
    """The row of a catalogue entry."""
    row = {"org_id": org_id, **asdict(entry)}
    if not isinstance(entry, Resource):
        row["weekly_hours"] = _week_json(entry.weekly_hours)
        row["weekly_hours_periods"] = _periods_json(entry.weekly_hours_periods)
    return row


def override_row(org_id: str, override: Override) -> dict[str, Any]:
    """The row of an override."""
    return {
        "org_id": org_id,
        "owner_id": override.owner_id,
        "date": override.date.isoformat(),
        "hours": override.hours,
        "note": override.note,
        "id": override.id,
        "create_time": override.create_time,
        "revision": override.revision,
        "last_date": override.last.isoformat() if override.last else "",
    }


def time_off_row(org_id: str, time_off: TimeOff) -> dict[str, Any]:
    """The row of time off."""
    row = asdict(time_off)
    return {"org_id": org_id, "start_time": row.pop("start"), "end_time": row.pop("end"), **row}


def load_catalog(connection: Connection, org_id: str) -> Catalog:
    """The catalogue of an organization, which must exist, from one snapshot."""

    def entries(table: Table, make: Callable[[dict[str, Any]], E]) -> Mapping[str, E]:
        selected = connection.execute(select(table).where(table.c.org_id == org_id))
        return {row.id: make(_fields(row)) for row in selected}

    organization = connection.execute(
        select(organizations).where(organizations.c.org_id == org_id)
    ).one()
    override_rows = connection.execute(select(overrides).where(overrides.c.org_id == org_id))
    version = connection.execute(
        select(ledgers.c.catalog_version).where(ledgers.c.org_id == org_id)
    ).scalar_one()
    return Catalog(
        version=version,
        organization=_organization(organization),
        services=entries(services, _service),
        locations=entries(locations, _location),
        staff=entries(staff, _staff_member),
        resources=entries(resources, lambda fields: Resource(**fields)),
        overrides={
            key: override for override in map(_override, override_rows) for key in override.keys
        },
        longest_span=organization.longest_span,
        holiday=public_holiday,
        time_off=entries(time_off, _time_off),
    ).weigh()


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        id=row.org_id,
        name=row.name,
        metadata=row.metadata,
        create_time=row.create_time,
        update_time=row.update_time,
        time_zone=row.time_zone,
        holiday_region=row.holiday_region,
        holiday_categories=tuple(row.holiday_categories),
        weekly_hours=_week(row.weekly_hours),
        weekly_hours_periods=_periods(row.weekly_hours_periods),
        revision=row.revision,
        hold_length=row.hold_length,
        service_defaults=ServiceDefaults(**row.service_defaults),
        booking_limits=_limits(row.booking_limits),
        contact_retention=row.contact_retention,
        mcp_access=McpAccess(row.mcp_access),
    )


def _service(fields: dict[str, Any]) -> Service:
    return Service(
        **_with_week(fields)
        | {
            "slot_alignment": SlotAlignment(fields["slot_alignment"]),
            "staff_ids": tuple(fields["staff_ids"]),
            "resource_requirements": tuple(map(tuple, fields["resource_requirements"])),
            "location_ids": tuple(fields["location_ids"]),
            "duration_options": tuple(fields["duration_options"]),
            "booking_limits": _limits(fields["booking_limits"]),
        }
    )


def _limits(limits: Sequence[Mapping[str, Any]]) -> tuple[BookingLimit, ...]:
    return tuple(
        BookingLimit(
            max_bookings=limit["max_bookings"],
            period=LimitPeriod(limit["period"]),
            per=LimitSubject(limit["per"]),
        )
        for limit in limits
    )


def _location(fields: dict[str, Any]) -> Location:
    categories = tuple(fields["holiday_categories"])
    return Location(**_with_week(fields) | {"holiday_categories": categories})


def _staff_member(fields: dict[str, Any]) -> StaffMember:
    return StaffMember(**_with_week(fields) | {"location_ids": tuple(fields["location_ids"])})


def _override(row: Row[Any]) -> Override:
    return Override(
        owner_id=row.owner_id,
        date=date.fromisoformat(row.date),
        hours=_hours(row.hours),
        note=row.note,
        id=row.id,
        create_time=row.create_time,
        revision=row.revision,
        last=date.fromisoformat(row.last_date) if row.last_date else None,
    )


def _time_off(fields: dict[str, Any]) -> TimeOff:
    times = {"start": fields.pop("start_time"), "end": fields.pop("end_time")}
    return TimeOff(**fields | times | {"occurrences": _hours(fields["occurrences"])})


def _fields(row: Row[Any]) -> dict[str, Any]:
    fields = dict(row._mapping)
    del fields["org_id"]
    return fields


def _with_week(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {
        "weekly_hours": _week(fields["weekly_hours"]),
        "weekly_hours_periods": _periods(fields["weekly_hours_periods"]),
    }


def _hours(ranges: list[list[int]]) -> Hours:
    return tuple((start, end) for start, end in ranges)


def _week(week: dict[str, list[list[int]]]) -> WeeklyHours:
    return {int(day): _hours(ranges) for day, ranges in week.items()}


def _week_json(week: WeeklyHours) -> dict[str, Hours]:
    return {str(day): hours for day, hours in week.items()}


def _periods(periods: Sequence[Mapping[str, Any]]) -> tuple[WeeklyHoursPeriod, ...]:
    return tuple(
        WeeklyHoursPeriod(
            valid_from=date.fromisoformat(period["valid_from"]),
            weekly_hours=_week(period["weekly_hours"]),
        )
        for period in periods
    )


def _periods_json(periods: Sequence[WeeklyHoursPeriod]) -> list[dict[str, Any]]:
    return [
        {
            "valid_from": period.valid_from.isoformat(),
            "weekly_hours": _week_json(period.weekly_hours),
        }
        for period in periods
    ]
