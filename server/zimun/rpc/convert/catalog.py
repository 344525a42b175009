"""The catalogue's entries: protobuf to domain values and back.

An `EntryConverter` for each type of entry is all that the servicers and the catalogue
file need.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.type.dayofweek_pb2 import DayOfWeek
from google.type.money_pb2 import Money

from zimun.domain.availability.opening_hours import time_of_day
from zimun.domain.caching import SizedCache
from zimun.domain.catalog import entries
from zimun.domain.catalog.entries import McpAccess, Override, ServiceDefaults, SlotAlignment
from zimun.domain.catalog.weekly_hours import Hours, WeeklyHours, WeeklyHoursPeriod
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.events import CatalogEntry
from zimun.rpc.convert.booking import duration, length, timestamp
from zimun.rpc.convert.booking_limits import booking_limit, read_booking_limit
from zimun.rpc.convert.masks import changed_paths
from zimun.v1 import (
    location_pb2,
    organization_pb2,
    override_pb2,
    resource_pb2,
    service_pb2,
    staff_member_pb2,
)

M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=entries.Organization | CatalogEntry)

FIXED = ("id", "etag", "create_time", "update_time")
"""The fields of an entry that no update changes."""

MAX_CACHED_MESSAGE, MAX_CACHED_MESSAGES, ENTRY_BYTES = 4_000, 2 << 20, 200
"""Serialized bytes of a message that is cached, and of all of a kind, each with ENTRY_BYTES more.
In memory hours, the largest fields, take fifteen times as much with their entry."""

_DEFAULTS = ("slot_step", "lead_time", "horizon", "cancellation_cutoff", "reschedule_cutoff")


def _cache_if_small(convert: Callable[[Any], M]) -> Callable[[Any], M]:
    """Cache the messages of entries, but for large ones."""
    cached: SizedCache[Any, M] = SizedCache(MAX_CACHED_MESSAGES)

    def converted(entry: Any) -> M:
        message = cached.get(entry)
        if message is None:
            message = convert(entry)
            size = message.ByteSize()
            if size <= MAX_CACHED_MESSAGE:
                cached.keep(entry, message, size + ENTRY_BYTES)
        return message

    return converted


@_cache_if_small
def service(entry: entries.Service) -> service_pb2.Service:
    """A service on the wire: a shared message, to be copied and not changed."""
    return service_pb2.Service(
        **_common(entry),
        description=entry.description,
        duration=duration(entry.duration),
        duration_options=map(duration, entry.duration_options),
        buffer_before=duration(entry.buffer_before),
        buffer_after=duration(entry.buffer_after),
        slot_step=duration(entry.slot_step),
        slot_alignment=entry.slot_alignment.value,
        lead_time=duration(entry.lead_time),
        horizon=duration(entry.horizon),
        capacity=entry.capacity,
        cancellation_cutoff=duration(entry.cancellation_cutoff),
        reschedule_cutoff=duration(entry.reschedule_cutoff),
        price=Money(**entry.price) if entry.price else None,
        staff_ids=entry.staff_ids,
        resource_requirements=[
            service_pb2.ResourceRequirement(resource_ids=one_of)
            for one_of in entry.resource_requirements
        ],
        location_ids=entry.location_ids,
        booking_limits=map(booking_limit, entry.booking_limits),
        weekly_hours=_weekly_hours(entry.weekly_hours),
        weekly_hours_periods=map(_period, entry.weekly_hours_periods),
        active=entry.active,
    )


def _service_fields(sent: service_pb2.Service) -> dict[str, Any]:
    return {
        "description": sent.description,
        **{field: length(getattr(sent, field)) for field in _LENGTHS},
        "duration_options": tuple(map(length, sent.duration_options)),
        "slot_alignment": _alignment(sent.slot_alignment),
        "capacity": sent.capacity,
        "price": _price(sent.price) if sent.HasField("price") else None,
        "staff_ids": tuple(sent.staff_ids),
        "resource_requirements": tuple(
            tuple(requirement.resource_ids) for requirement in sent.resource_requirements
        ),
        "location_ids": tuple(sent.location_ids),
        "booking_limits": tuple(map(read_booking_limit, sent.booking_limits)),
        "weekly_hours": _week(sent.weekly_hours),
        "weekly_hours_periods": tuple(map(_read_period, sent.weekly_hours_periods)),
    }


_LENGTHS = ("duration", "buffer_before", "buffer_after", *_DEFAULTS)


def _alignment(sent: int) -> SlotAlignment:
    return (
        SlotAlignment(service_pb2.Service.SlotAlignment.Name(sent)) if sent else _DEFAULT_ALIGNMENT
    )


_DEFAULT_ALIGNMENT = SlotAlignment.OPENING


def _price(sent: Money) -> Mapping[str, str | int]:
    return {"currency_code": sent.currency_code, "units": sent.units, "nanos": sent.nanos}


@_cache_if_small
def location(entry: entries.Location) -> location_pb2.Location:
    """A location on the wire, cached as `service` is."""
    return location_pb2.Location(
        **_common(entry),
        address=entry.address,
        time_zone=entry.time_zone,
        weekly_hours=_weekly_hours(entry.weekly_hours),
        weekly_hours_periods=map(_period, entry.weekly_hours_periods),
        holiday_region=entry.holiday_region,
        holiday_categories=entry.holiday_categories,
        active=entry.active,
    )


def _location_fields(sent: location_pb2.Location) -> dict[str, Any]:
    return {
        "address": sent.address,
        "time_zone": sent.time_zone,
        "weekly_hours": _week(sent.weekly_hours),
        "weekly_hours_periods": tuple(map(_read_period, sent.weekly_hours_periods)),
        "holiday_region": sent.holiday_region,
        "holiday_categories": tuple(sent.holiday_categories),
    }


@_cache_if_small
def staff_member(entry: entries.StaffMember) -> staff_member_pb2.StaffMember:
    """A staff member on the wire, cached as `service` is."""
    return staff_member_pb2.StaffMember(
        **_common(entry),
        time_zone=entry.time_zone,
        weekly_hours=_weekly_hours(entry.weekly_hours),
        weekly_hours_periods=map(_period, entry.weekly_hours_periods),
        daily_limit=entry.daily_limit,
        location_ids=entry.location_ids,
        active=entry.active,
    )


def _staff_member_fields(sent: staff_member_pb2.StaffMember) -> dict[str, Any]:
    return {
        "time_zone": sent.time_zone,
        "weekly_hours": _week(sent.weekly_hours),
        "weekly_hours_periods": tuple(map(_read_period, sent.weekly_hours_periods)),
        "daily_limit": sent.daily_limit,
        "location_ids": tuple(sent.location_ids),
    }


@_cache_if_small
def resource(entry: entries.Resource) -> resource_pb2.Resource:
    """A resource on the wire, cached as `service` is."""
    return resource_pb2.Resource(
        **_common(entry), location_id=entry.location_id, active=entry.active
    )


def _resource_fields(sent: resource_pb2.Resource) -> dict[str, Any]:
    return {"location_id": sent.location_id}


def organization(entry: entries.Organization) -> organization_pb2.Organization:
    """An organization on the wire."""
    defaults = entry.service_defaults
    set_defaults = {
        field: getattr(defaults, field)
        for field in _DEFAULTS
        if getattr(defaults, field) is not None
    }
    return organization_pb2.Organization(
        **_common(entry),
        time_zone=entry.time_zone,
        holiday_region=entry.holiday_region,
        holiday_categories=entry.holiday_categories,
        weekly_hours=_weekly_hours(entry.weekly_hours),
        weekly_hours_periods=map(_period, entry.weekly_hours_periods),
        hold_length=duration(entry.hold_length),
        service_defaults=organization_pb2.ServiceDefaults(
            **{field: duration(value) for field, value in set_defaults.items()}
        ),
        booking_limits=map(booking_limit, entry.booking_limits),
        contact_retention=duration(retention) if (retention := entry.contact_retention) else None,
        mcp_access=entry.mcp_access.value,
    )


def _organization_fields(sent: organization_pb2.Organization) -> dict[str, Any]:
    defaults = sent.service_defaults
    set_defaults = {
        field: length(getattr(defaults, field)) for field in _DEFAULTS if defaults.HasField(field)
    }
    return {
        "time_zone": sent.time_zone,
        "holiday_region": sent.holiday_region,
        "holiday_categories": tuple(sent.holiday_categories),
        "weekly_hours": _week(sent.weekly_hours),
        "weekly_hours_periods": tuple(map(_read_period, sent.weekly_hours_periods)),
        "hold_length": length(sent.hold_length),
        "service_defaults": ServiceDefaults(**set_defaults),
        "booking_limits": tuple(map(read_booking_limit, sent.booking_limits)),
        "contact_retention": length(sent.contact_retention),
        "mcp_access": _mcp_access(sent.mcp_access),
    }


def _mcp_access(sent: int) -> McpAccess:
    name = organization_pb2.Organization.McpAccess.Name(sent) if sent else McpAccess.DISABLED
    return McpAccess(name)


def _common(entry: entries.Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "metadata": entry.metadata,
        "create_time": timestamp(entry.create_time),
        "update_time": timestamp(entry.update_time),
        "etag": entry.etag,
    }


def _weekly_hours(week: WeeklyHours) -> Iterable[location_pb2.WeeklyHours]:
    return (
        location_pb2.WeeklyHours(
            # google.type.DayOfWeek counts from MONDAY = 1.
            day_of_week=DayOfWeek.Name(day + 1),
            start_time=time_of_day(start),
            end_time=time_of_day(end),
        )
        for day in sorted(week)
        for start, end in week[day]
    )


def _week(sent: Iterable[location_pb2.WeeklyHours]) -> WeeklyHours:
    week: dict[int, list[tuple[int, int]]] = {}
    for hours in sent:
        opening = (_minutes(hours.start_time), _minutes(hours.end_time))
        week.setdefault(hours.day_of_week - 1, []).append(opening)
    return {day: tuple(sorted(week[day])) for day in sorted(week)}


def _period(period: WeeklyHoursPeriod) -> location_pb2.WeeklyHoursPeriod:
    return location_pb2.WeeklyHoursPeriod(
        valid_from=period.valid_from.isoformat(), weekly_hours=_weekly_hours(period.weekly_hours)
    )


def _read_period(sent: location_pb2.WeeklyHoursPeriod) -> WeeklyHoursPeriod:
    return WeeklyHoursPeriod(
        valid_from=date.fromisoformat(sent.valid_from), weekly_hours=_week(sent.weekly_hours)
    )


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


@dataclass(frozen=True)
class EntryConverter(Generic[E, M]):
    """Converts one type of catalogue entry to its message and back.

    `fields` returns the fields of a domain value that its type alone has; those that the
    message does not set are empty or 0.
    """

    entry: type[E]
    message: type[M]
    write: Callable[[E], M]
    fields: Callable[[Any], dict[str, Any]]

    def read(self, sent: Any) -> dict[str, Any]:
        """All fields of an entry as a message has them."""
        fields = {"name": sent.name, "metadata": dict(sent.metadata), **self.fields(sent)}
        return fields | (
            {"active": sent.active} if "active" in sent.DESCRIPTOR.fields_by_name else {}
        )

    def set_fields(self, sent: Any) -> dict[str, Any]:
        """The fields that are set in a message for a new entry, `id` among them where it is."""
        names = {field.name for field, _ in sent.ListFields()} - set(FIXED) - {"active"}
        fields = {field: value for field, value in self.read(sent).items() if field in names}
        return fields | ({"id": sent.id} if sent.id else {})

    def edit(self, sent: Any, mask: FieldMask) -> Callable[[E], E]:
        """The change of an entry to a message's values of the fields in a mask (AIP-134).

        Raises InvalidRequest for a mask that names what cannot be changed.
        """
        names = [field.name for field in self.message.DESCRIPTOR.fields]
        changeable = [name for name in names if name not in (*FIXED, "active")]
        by_name = {"active"}.intersection(names)
        paths = FieldMask(paths=changed_paths(sent, mask, changeable, by_name))

        def run(before: E) -> E:
            merged = self.message()
            merged.CopyFrom(self.write(before))
            paths.MergeMessage(sent, merged, True, True)
            return self.entry(**self.read(merged), id=before.id)

        return run


ORGANIZATION = EntryConverter(
    entries.Organization, organization_pb2.Organization, organization, _organization_fields
)
LOCATION = EntryConverter(entries.Location, location_pb2.Location, location, _location_fields)
STAFF_MEMBER = EntryConverter(
    entries.StaffMember, staff_member_pb2.StaffMember, staff_member, _staff_member_fields
)
RESOURCE = EntryConverter(entries.Resource, resource_pb2.Resource, resource, _resource_fields)
SERVICE = EntryConverter(entries.Service, service_pb2.Service, service, _service_fields)


def day(sent: str) -> date | None:
    """A date off the wire; None for an empty one."""
    return date.fromisoformat(sent) if sent else None


def override(entry: Override) -> override_pb2.Override:
    """An override on the wire; OPEN where it has hours."""
    return override_pb2.Override(
        id=entry.id,
        owner_id=entry.owner_id,
        date=entry.date.isoformat(),
        status="OPEN" if entry.hours else "CLOSED",
        hours=[
            override_pb2.OpeningHours(start_time=time_of_day(start), end_time=time_of_day(end))
            for start, end in entry.hours
        ],
        note=entry.note,
        create_time=timestamp(entry.create_time),
        etag=entry.etag,
        last_date=entry.last.isoformat() if entry.last else "",
    )


def read_override(sent: override_pb2.Override) -> Override:
    """The override of a message; raises InvalidRequest where status and hours do not agree."""
    if bool(sent.hours) != (sent.status == override_pb2.Override.OPEN):
        raise InvalidRequest({"hours": "are for OPEN dates, and OPEN dates have some"})
    hours: Hours = tuple(
        sorted(
            (_minutes(interval.start_time), _minutes(interval.end_time)) for interval in sent.hours
        )
    )
    first, last = date.fromisoformat(sent.date), day(sent.last_date)
    return Override(
        id=sent.id,
        owner_id=sent.owner_id,
        date=first,
        last=None if last == first else last,
        hours=hours,
        note=sent.note,
    )
