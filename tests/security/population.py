"""Organizations to attack, with entries of every kind, holds and appointments."""

import json
from typing import Any

from zimun.booking.catalog import CreateOrganization
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization
from zimun.stores import open_stores

from ..support.answers import Json
from ..support.program import Zimun
from .entry_points import EntryPoint
from .methods import METHODS
from .target import Target
from .valid_requests import Ids, valid_request

CREATED = {
    "location": "l_guarded",
    "staff": "t_guarded",
    "resource": "r_guarded",
    "service": "s_guarded",
    "override": "v_guarded",
    "time_off": "f_guarded",
}
"""The ids that are chosen for entries of the catalogue, in the order of their creation."""

_CREATING = {
    "location": ("CreateLocation", "location"),
    "staff": ("CreateStaffMember", "staff_member"),
    "resource": ("CreateResource", "resource"),
    "service": ("CreateService", "service"),
    "override": ("CreateOverride", "override"),
    "time_off": ("CreateTimeOff", "time_off"),
}


async def create_organizations(program: Zimun, *org_ids: str) -> None:
    """Create empty organizations in the database of a running program."""
    url = program.env.get("ZIMUN_DATABASE_URL", "")
    async with open_stores(Settings(data_dir=program.data_dir, database_url=url)) as stores:
        for org_id in org_ids:
            organization = Organization(id=org_id, name=org_id, time_zone="UTC")
            await stores.writer.run(org_id, CreateOrganization(organization), creates=True)


def populate(target: Target, entry_point: EntryPoint, org_id: str, word: str) -> Ids:
    """Create two of everything in an organization, a word in their texts; the ids of one each."""
    headers = (("authorization", f"Bearer {target.token(org_id)}"),)

    def call(method: str, request: Json) -> Any:
        answer = entry_point.call(METHODS[method], request, headers)
        assert answer.code == "OK", (method, answer)
        return json.loads(answer.text)

    for kind, (method, field) in _CREATING.items():
        entry = {**valid_request(method, CREATED)[field], **_texts(field, word)}
        call(method, {field: {"id": CREATED[kind], **entry}})
        call(method, {field: {"id": f"{CREATED[kind]}_2", **entry, **_SECOND.get(kind, {})}})
    held = call("HoldAppointment", valid_request("HoldAppointment", CREATED))
    for time in ("2025-12-15T10:00:00Z", "2025-12-15T11:00:00Z"):
        request = {**valid_request("HoldAppointment", CREATED), "appointment_time": time}
        hold = call("HoldAppointment", request)
        contact = valid_request("ConfirmAppointment", {"hold": hold["hold_id"]})
        booked = call("ConfirmAppointment", {**contact, "contact_name": word, "notes": word})
    changed = {"appointment_id": booked["appointment_id"], "metadata": {word: word}}
    call("UpdateAppointment", {"appointment": changed})
    return {
        **CREATED,
        "organization": org_id,
        "hold": held["hold_id"],
        "appointment": booked["appointment_id"],
    }


_SECOND = {"override": {"date": "2026-03-09"}}
"""Fields in which the second entry of a kind must differ from the first."""


def _texts(field: str, word: str) -> Json:
    if field in ("override", "time_off"):
        return {"note": word}
    return {"name": word, "metadata": {word: word}}
