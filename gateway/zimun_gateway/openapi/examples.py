"""Requests that are true in the demo, by method: fields of the request message; and the responses.

They are those of the published documentation, and run in a demo whose clock starts at SANDBOX_TIME.
The test that sends them compares the responses with `responses.json`, and can write it.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

SANDBOX_TIME = "2025-11-28T09:00:00Z"

GENERATED = "01a225274ccfa6806dd30a82eb21b8e9"
"""What follows the prefix of every generated id in an example."""

REQUESTS: dict[str, dict[str, Any]] = {
    "ListServices": {"page_size": 50},
    "GetService": {"service_id": "s_123"},
    "GetAvailability": {"service_id": "s_123", "date": "2026-02-20"},
    "FindNextAvailable": {"service_id": "s_123", "count": 3},
    "BatchCheckAvailability": {
        "checks": [{"service_id": "s_123", "start_time": "2026-02-20T10:00:00Z"}]
    },
    "ExplainSlot": {"service_id": "s_123", "start_time": "2026-02-20T10:00:00Z"},
    "HoldAppointment": {"service_id": "s_123", "appointment_time": "2026-02-20T10:00:00Z"},
    "ConfirmAppointment": {
        "hold_id": "h_123",
        "contact_name": "Dana Lee",
        "contact_email": "dana@example.com",
    },
    "BookAppointment": {
        "service_id": "s_123",
        "appointment_time": "2026-02-20T11:00:00Z",
        "contact_name": "Dana Lee",
        "contact_email": "dana@example.com",
    },
    "ExtendHold": {"hold_id": f"h_{GENERATED}"},
    "ReleaseHold": {"hold_id": f"h_{GENERATED}"},
    "GetHold": {"hold_id": "h_123"},
    "UpdateAppointment": {
        "appointment.appointment_id": "a_123",
        "appointment": {"notes": "Prefers a window"},
    },
    "ListAppointmentChanges": {"appointment_id": "a_123"},
    "GetAppointment": {"appointment_id": "a_123"},
    "ListAppointments": {"page_size": 50, "service_id": "s_123", "state": "CONFIRMED"},
    "RescheduleAppointment": {"appointment_id": "a_123", "start_time": "2026-02-20T13:00:00Z"},
    "CompleteAppointment": {"appointment_id": "a_123"},
    "ReopenAppointment": {"appointment_id": "a_123"},
    "MarkNoShow": {"appointment_id": "a_123"},
    "CancelAppointment": {"appointment_id": "a_123", "cancel_reason": "Ill"},
    "ExportContact": {"contact_email": "dana@example.com"},
    "EraseContact": {"contact_email": "dana@example.com", "include_upcoming": True},
    "GetLocation": {"location_id": "l_main"},
    "GetStaffMember": {"staff_id": "t_ada"},
    "GetResource": {"resource_id": "r_room_1"},
    "ListOverrides": {"owner_id": "o_demo"},
    "CreateService": {
        "service": {
            "name": "Haircut",
            "duration": "1800s",
            "staff_ids": ["t_ada", "t_ben"],
            "location_ids": ["l_main"],
        }
    },
    "UpdateService": {"service.id": "s_123", "service": {"slot_step": "900s"}},
    "ArchiveService": {"service_id": "s_yoga"},
    "CreateStaffMember": {
        "staff_member": {
            "name": "Dora",
            "weekly_hours": [{"day_of_week": "MONDAY", "start_time": "09:00", "end_time": "17:00"}],
        }
    },
    "UpdateStaffMember": {"staff_member.id": "t_ada", "staff_member": {"daily_limit": 8}},
    "ArchiveStaffMember": {"staff_id": "t_chloe"},
    "CreateResource": {"resource": {"name": "Room 3", "location_id": "l_main"}},
    "UpdateResource": {"resource.id": "r_room_1", "resource": {"name": "Red room"}},
    "ArchiveResource": {"resource_id": "r_studio"},
    "CreateLocation": {"location": {"name": "Harbour", "time_zone": "Europe/Lisbon"}},
    "UpdateLocation": {"location.id": "l_main", "location": {"address": "2 Main Street"}},
    "ArchiveLocation": {"location_id": "l_main"},
    "UpdateOrganization": {"organization": {"hold_length": "900s"}},
    "CreateOverride": {
        "override": {
            "id": "v_stocktaking",
            "owner_id": "o_demo",
            "date": "2026-12-24",
            "status": "CLOSED",
            "note": "Stocktaking",
        }
    },
    "DeleteOverride": {"override_id": "v_stocktaking"},
    "ListTimeOff": {"owner_id": "t_ada"},
    "CreateTimeOff": {
        "time_off": {
            "id": "f_training",
            "owner_id": "t_ada",
            "start_time": "2026-03-02T13:00:00Z",
            "end_time": "2026-03-02T15:00:00Z",
            "note": "Training",
        }
    },
    "GetTimeOff": {"time_off_id": "f_training"},
    "UpdateTimeOff": {
        "time_off.id": "f_training",
        "time_off": {"end_time": "2026-03-02T16:00:00Z"},
    },
    "DeleteTimeOff": {"time_off_id": "f_training"},
}
"""In the order in which they can be sent: creations before lists, deletions and archiving last.

Those of a hold are sent with the id that HoldAppointment answers, outcomes after the start.
"""


@cache
def responses() -> dict[str, Any]:
    """The body of the response to each request, by method; of a list two items at most."""
    loaded: dict[str, Any] = json.loads(
        files(__package__).joinpath("responses.json").read_text("utf-8")
    )
    return loaded
