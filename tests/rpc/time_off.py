"""Time off as the tests make it."""

from typing import Any

from zimun.v1 import time_off_service_pb2 as service_pb2
from zimun.v1.time_off_pb2 import TimeOff, TimeOffConflicts

from ..support.rpc import Refusal, Zimun
from . import stamp


def creation(
    owner_id: str, start: str, end: str, *, allow_conflicts: bool = False, **fields: Any
) -> service_pb2.CreateTimeOffRequest:
    time_off = TimeOff(owner_id=owner_id, start_time=stamp(start), end_time=stamp(end), **fields)
    return service_pb2.CreateTimeOffRequest(time_off=time_off, allow_conflicts=allow_conflicts)


async def put_time_off(
    zimun: Zimun, owner_id: str, start: str, end: str, key: str = "", **fields: Any
) -> TimeOff:
    request = creation(owner_id, start, end, **fields)
    made: TimeOff = await zimun.call(zimun.time_off.CreateTimeOff, request, key)
    return made


async def time_off_refused(
    zimun: Zimun, owner_id: str, start: str, end: str, **fields: Any
) -> Refusal:
    return await zimun.refused(
        zimun.time_off.CreateTimeOff, creation(owner_id, start, end, **fields)
    )


def change(
    time_off_id: str, mask: list[str] | None = None, *, allow_conflicts: bool = False, **fields: Any
) -> service_pb2.UpdateTimeOffRequest:
    """An update of the fields; times are texts. Without a mask, the request has none."""
    values: dict[str, Any] = {
        name: stamp(value) if name.endswith("_time") else value for name, value in fields.items()
    }
    request = service_pb2.UpdateTimeOffRequest(
        time_off=TimeOff(id=time_off_id, **values), allow_conflicts=allow_conflicts
    )
    request.update_mask.paths.extend(mask or [])
    return request


async def change_time_off(
    zimun: Zimun, time_off_id: str, mask: list[str] | None = None, **fields: Any
) -> TimeOff:
    request = change(time_off_id, mask, **fields)
    changed: TimeOff = await zimun.call(zimun.time_off.UpdateTimeOff, request)
    return changed


async def get_time_off(zimun: Zimun, time_off_id: str) -> TimeOff:
    request = service_pb2.GetTimeOffRequest(time_off_id=time_off_id)
    found: TimeOff = await zimun.call(zimun.time_off.GetTimeOff, request)
    return found


async def listed(zimun: Zimun, org_id: str = "o_demo", **fields: Any) -> list[TimeOff]:
    request = service_pb2.ListTimeOffRequest(**{"page_size": 1000, **fields})
    found = await zimun.call(zimun.time_off.ListTimeOff, request, org_id=org_id)
    return list(found.items)


async def drop_time_off(zimun: Zimun, time_off_id: str, etag: str = "") -> None:
    request = service_pb2.DeleteTimeOffRequest(time_off_id=time_off_id, etag=etag)
    await zimun.call(zimun.time_off.DeleteTimeOff, request)


def met_by(refused: Refusal) -> tuple[list[str], list[str], int]:
    """The appointments and holds that an error lists, and how many it says there are."""
    assert refused.reason == "TIME_OFF_CONFLICTS"
    return met(refused.conflicts)


def met(conflicts: TimeOffConflicts) -> tuple[list[str], list[str], int]:
    return list(conflicts.appointment_ids), list(conflicts.hold_ids), conflicts.total_size
