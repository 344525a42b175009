"""A request that every method accepts, with a value in nearly every field of it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ..support.answers import Json

Ids = Mapping[str, str]
"""The id of one thing of each kind of an organization: `service`, `staff`, `hold` and so on."""

DEMO_IDS: Ids = {
    "organization": "o_demo",
    "service": "s_123",
    "staff": "t_ada",
    "location": "l_main",
    "resource": "r_room_1",
    "override": "v_demo",
    "time_off": "f_demo",
    "hold": "h_123",
    "appointment": "a_123",
}
"""Ids of the demo; an attacker may create the override and the time off."""

Place = tuple[str | int, ...]
"""The path of a value in a request: names of fields, and indexes of elements."""

TIME = "2025-12-15T09:00:00Z"

_HOURS = [{"day_of_week": "MONDAY", "start_time": "09:00", "end_time": "17:00"}]
_PERIODS = [{"valid_from": "2027-01-01", "weekly_hours": copy.deepcopy(_HOURS)}]
_LIMITS = [{"max_bookings": 1000, "period": "DAY", "per": "SERVICE"}]

_METADATA = {"color": "green"}
_RULES = ["LEAD_TIME", "CUTOFF"]


def valid_request(method: str, ids: Ids = DEMO_IDS) -> Json:
    """A valid request; each call makes a new one, which may be changed."""
    return _REQUESTS[method](ids)


def replaced(request: Json, place: Place, value: object) -> Json:
    """A copy of a request with another value at a place."""
    changed = copy.deepcopy(request)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def _slot(ids: Ids, **more: Any) -> Json:
    return {
        "service_id": ids["service"],
        "location_id": ids["location"],
        "staff_id": ids["staff"],
        "seats": 1,
        "duration": "1800s",
        **more,
    }


def _asking(ids: Ids, **more: Any) -> Json:
    return _slot(ids, time_zone="Europe/Berlin", ignore_appointment_id=ids["appointment"], **more)


def _service(ids: Ids) -> Json:
    return {
        "name": "Haircut",
        "description": "Half an hour",
        "duration": "1800s",
        "buffer_before": "0s",
        "buffer_after": "600s",
        "slot_step": "900s",
        "slot_alignment": "HOUR",
        "lead_time": "3600s",
        "horizon": "8640000s",
        "capacity": 1,
        "cancellation_cutoff": "3600s",
        "reschedule_cutoff": "3600s",
        "price": {"currency_code": "EUR", "units": "20", "nanos": 0},
        "staff_ids": [ids["staff"]],
        "resource_requirements": [{"resource_ids": [ids["resource"]]}],
        "location_ids": [ids["location"]],
        "metadata": _METADATA,
        "duration_options": ["3600s"],
        "booking_limits": _LIMITS,
        "weekly_hours": _HOURS,
        "weekly_hours_periods": _PERIODS,
    }


def _location(ids: Ids) -> Json:
    return {
        "name": "Main Street",
        "address": "1 Main Street",
        "time_zone": "UTC",
        "weekly_hours": _HOURS,
        "weekly_hours_periods": _PERIODS,
        "metadata": _METADATA,
    }


def _staff_member(ids: Ids) -> Json:
    return {
        "name": "Ada",
        "time_zone": "UTC",
        "weekly_hours": _HOURS,
        "weekly_hours_periods": _PERIODS,
        "daily_limit": 50,
        "location_ids": [ids["location"]],
        "metadata": _METADATA,
    }


def _resource(ids: Ids) -> Json:
    return {"name": "Room", "location_id": ids["location"], "metadata": _METADATA}


def _organization(ids: Ids) -> Json:
    return {
        "name": "Demo",
        "time_zone": "UTC",
        "holiday_region": "DE",
        "weekly_hours": _HOURS,
        "weekly_hours_periods": _PERIODS,
        "booking_limits": _LIMITS,
        "hold_length": "600s",
        "contact_retention": "8640000s",
        "service_defaults": {
            "slot_step": "900s",
            "lead_time": "0s",
            "horizon": "8640000s",
            "cancellation_cutoff": "0s",
            "reschedule_cutoff": "0s",
        },
        "mcp_access": "DISABLED",
        "metadata": _METADATA,
    }


def _override(ids: Ids) -> Json:
    return {
        "owner_id": ids["staff"],
        "date": "2026-03-02",
        "status": "OPEN",
        "hours": [{"start_time": "10:00", "end_time": "12:00"}],
        "note": "Inventory",
    }


def _contact(**more: Any) -> Json:
    return {
        **more,
        "contact_name": "Dana Lee",
        "contact_email": "dana@example.com",
        "contact_phone": "555-0100",
        "notes": "By the window",
        "metadata": _METADATA,
    }


def _time_off(ids: Ids) -> Json:
    return {
        "owner_id": ids["staff"],
        "start_time": "2026-03-02T13:00:00Z",
        "end_time": "2026-03-02T15:00:00Z",
        "note": "Training",
        "external_reference": "hr/7",
        "recurrence": "FREQ=DAILY;COUNT=2",
        "time_zone": "Europe/Berlin",
    }


def _with_etag(ids: Ids) -> Json:
    return {"appointment_id": ids["appointment"], "etag": "e_none"}


_REQUESTS: dict[str, Callable[[Ids], Json]] = {
    "HoldAppointment": lambda ids: _slot(ids, appointment_time=TIME, ignored_rules=_RULES),
    "ExtendHold": lambda ids: {"hold_id": ids["hold"]},
    "ReleaseHold": lambda ids: {"hold_id": ids["hold"]},
    "GetHold": lambda ids: {"hold_id": ids["hold"]},
    "ListHolds": lambda ids: {
        "page_size": 10,
        "service_id": ids["service"],
        "staff_id": ids["staff"],
        "location_id": ids["location"],
        "state": "HELD",
    },
    "ConfirmAppointment": lambda ids: _contact(hold_id=ids["hold"], ignored_rules=_RULES),
    "BookAppointment": lambda ids: _contact(
        **_slot(ids, appointment_time=TIME, ignored_rules=_RULES)
    ),
    "UpdateAppointment": lambda ids: {
        "appointment": _contact(appointment_id=ids["appointment"], seats=1)
    },
    "CompleteAppointment": _with_etag,
    "MarkNoShow": _with_etag,
    "ReopenAppointment": _with_etag,
    "RescheduleAppointment": lambda ids: {
        "appointment_id": ids["appointment"],
        "start_time": TIME,
        "staff_id": ids["staff"],
        "etag": "e_none",
        "ignored_rules": _RULES,
    },
    "CancelAppointment": lambda ids: {
        "appointment_id": ids["appointment"],
        "cancel_reason": "Ill",
        "etag": "e_none",
        "ignored_rules": _RULES,
    },
    "GetAppointment": lambda ids: {"appointment_id": ids["appointment"]},
    "ListAppointments": lambda ids: {
        "page_size": 10,
        "start_time_from": "2025-12-01T00:00:00Z",
        "start_time_before": "2026-12-01T00:00:00Z",
        "service_id": ids["service"],
        "staff_id": ids["staff"],
        "state": "CONFIRMED",
        "contact_email": "dana@example.com",
        "location_id": ids["location"],
        "resource_id": ids["resource"],
        "update_time_from": "2025-11-01T00:00:00Z",
        "order_by": "start_time desc",
    },
    "ExportContact": lambda ids: {"contact_email": "erin@example.com", "page_size": 10},
    "EraseContact": lambda ids: {"contact_email": "erin@example.com", "include_upcoming": False},
    "ListAppointmentChanges": lambda ids: {
        "appointment_id": ids["appointment"],
        "page_size": 10,
    },
    "GetAvailability": lambda ids: _asking(ids, start_date="2025-12-15", end_date="2025-12-16"),
    "FindNextAvailable": lambda ids: _asking(ids, start_time_from=TIME, count=2),
    "BatchCheckAvailability": lambda ids: {
        "checks": [_slot(ids, start_time=TIME, ignore_appointment_id=ids["appointment"])],
        "time_zone": "Europe/Berlin",
    },
    "ExplainSlot": lambda ids: _asking(ids, start_time=TIME),
    "ListServices": lambda ids: {"page_size": 10, "include_archived": True},
    "GetService": lambda ids: {"service_id": ids["service"]},
    "CreateService": lambda ids: {"service": _service(ids)},
    "UpdateService": lambda ids: {"service": {"id": ids["service"], **_service(ids)}},
    "ArchiveService": lambda ids: {"service_id": ids["service"], "etag": "e_none"},
    "ListLocations": lambda ids: {"page_size": 10, "include_archived": True},
    "GetLocation": lambda ids: {"location_id": ids["location"]},
    "CreateLocation": lambda ids: {"location": _location(ids)},
    "UpdateLocation": lambda ids: {"location": {"id": ids["location"], **_location(ids)}},
    "ArchiveLocation": lambda ids: {"location_id": ids["location"], "etag": "e_none"},
    "ListStaff": lambda ids: {"page_size": 10, "include_archived": True},
    "GetStaffMember": lambda ids: {"staff_id": ids["staff"]},
    "CreateStaffMember": lambda ids: {"staff_member": _staff_member(ids)},
    "UpdateStaffMember": lambda ids: {"staff_member": {"id": ids["staff"], **_staff_member(ids)}},
    "ArchiveStaffMember": lambda ids: {"staff_id": ids["staff"], "etag": "e_none"},
    "ListResources": lambda ids: {"page_size": 10, "include_archived": True},
    "GetResource": lambda ids: {"resource_id": ids["resource"]},
    "CreateResource": lambda ids: {"resource": _resource(ids)},
    "UpdateResource": lambda ids: {"resource": {"id": ids["resource"], **_resource(ids)}},
    "ArchiveResource": lambda ids: {"resource_id": ids["resource"], "etag": "e_none"},
    "GetOrganization": lambda ids: {},
    "UpdateOrganization": lambda ids: {"organization": _organization(ids)},
    "ListOverrides": lambda ids: {
        "page_size": 10,
        "owner_id": ids["staff"],
        "start_date": "2025-12-01",
        "end_date": "2026-12-01",
    },
    "CreateOverride": lambda ids: {"override": _override(ids)},
    "DeleteOverride": lambda ids: {"override_id": ids["override"]},
    "ListTimeOff": lambda ids: {
        "page_size": 10,
        "owner_id": ids["staff"],
        "end_time_after": "2025-12-01T00:00:00Z",
        "start_time_before": "2026-12-01T00:00:00Z",
        "external_reference": "hr/7",
    },
    "GetTimeOff": lambda ids: {"time_off_id": ids["time_off"]},
    "CreateTimeOff": lambda ids: {"time_off": _time_off(ids), "allow_conflicts": True},
    "UpdateTimeOff": lambda ids: {
        "time_off": {"id": ids["time_off"], **_time_off(ids)},
        "allow_conflicts": True,
    },
    "DeleteTimeOff": lambda ids: {"time_off_id": ids["time_off"], "etag": "e_none"},
}
