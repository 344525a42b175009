"""The catalogue's entries as the tests make them: four types that are administered alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from zimun.v1 import (
    location_pb2,
    locations_service_pb2,
    organization_pb2,
    organizations_service_pb2,
    override_pb2,
    overrides_service_pb2,
    resource_pb2,
    resources_service_pb2,
    service_pb2,
    services_service_pb2,
    staff_member_pb2,
    staff_service_pb2,
)

from ..support.rpc import Refusal, Zimun

Fields = Mapping[str, Any]

WEEK = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


def minutes(count: float) -> Duration:
    return Duration(seconds=round(count * 60))


def hours(count: float) -> Duration:
    return minutes(count * 60)


def days(count: float) -> Duration:
    return hours(count * 24)


def weekly(start: str, end: str, days: Sequence[str] = WEEK) -> list[dict[str, str]]:
    """The same opening on each of the days."""
    return [{"day_of_week": day, "start_time": start, "end_time": end} for day in days]


@dataclass(frozen=True, eq=False)
class EntryType:
    """A type of entries: its names on the wire, and `least`, the fields that each must have."""

    message: type[Message]
    noun: str
    field: str
    prefix: str
    id_field: str
    plural: str
    stub: str
    wire: ModuleType
    least: Fields

    def __str__(self) -> str:
        return self.field

    def entry(self, fields: Fields) -> Any:
        return self.message(**fields)

    def method(self, zimun: Zimun, verb: str) -> Any:
        return getattr(getattr(zimun, self.stub), self.name(verb))

    def name(self, verb: str) -> str:
        return verb + (self.plural if verb == "List" else self.noun)

    def path(self, verb: str) -> str:
        return f"/{self.wire.DESCRIPTOR.package}.{self.plural}Service/{self.name(verb)}"

    def request(self, verb: str, **fields: Any) -> Any:
        return getattr(self.wire, f"{self.name(verb)}Request")(**fields)

    def creation(self, **fields: Any) -> Any:
        return self.request("Create", **{self.field: self.entry({**self.least, **fields})})

    def change(self, entry_id: str, mask: Sequence[str] | None = None, **fields: Any) -> Any:
        """An update of the fields; without a mask, the request has none."""
        request = self.request("Update", **{self.field: self.entry({"id": entry_id, **fields})})
        if mask is not None:
            request.update_mask.paths.extend(mask)
        return request

    async def create(self, zimun: Zimun, key: str = "", **fields: Any) -> Any:
        return await zimun.call(self.method(zimun, "Create"), self.creation(**fields), key)

    async def get(self, zimun: Zimun, entry_id: str) -> Any:
        request = self.request("Get", **{self.id_field: entry_id})
        return await zimun.call(self.method(zimun, "Get"), request)

    async def update(
        self, zimun: Zimun, entry_id: str, mask: Sequence[str] | None = None, **fields: Any
    ) -> Any:
        return await zimun.call(self.method(zimun, "Update"), self.change(entry_id, mask, **fields))

    async def archive(self, zimun: Zimun, entry_id: str, etag: str = "") -> Any:
        request = self.request("Archive", **{self.id_field: entry_id, "etag": etag})
        return await zimun.call(self.method(zimun, "Archive"), request)

    async def listed(self, zimun: Zimun, archived: bool = False, **token: Any) -> list[Any]:
        request = self.request("List", page_size=1000, include_archived=archived)
        return list((await zimun.call(self.method(zimun, "List"), request, **token)).items)

    async def refused(self, zimun: Zimun, verb: str, request: Any, **token: Any) -> Refusal:
        return await zimun.refused(self.method(zimun, verb), request, **token)


SERVICE = EntryType(
    message=service_pb2.Service,
    noun="Service",
    field="service",
    prefix="s_",
    id_field="service_id",
    plural="Services",
    stub="services",
    wire=services_service_pb2,
    least={"name": "New", "duration": minutes(30)},
)
LOCATION = EntryType(
    message=location_pb2.Location,
    noun="Location",
    field="location",
    prefix="l_",
    id_field="location_id",
    plural="Locations",
    stub="locations",
    wire=locations_service_pb2,
    least={"name": "New"},
)
STAFF = EntryType(
    message=staff_member_pb2.StaffMember,
    noun="StaffMember",
    field="staff_member",
    prefix="t_",
    id_field="staff_id",
    plural="Staff",
    stub="staff",
    wire=staff_service_pb2,
    least={"name": "New"},
)
RESOURCE = EntryType(
    message=resource_pb2.Resource,
    noun="Resource",
    field="resource",
    prefix="r_",
    id_field="resource_id",
    plural="Resources",
    stub="resources",
    wire=resources_service_pb2,
    least={"name": "New"},
)
ENTRY_TYPES = (SERVICE, LOCATION, STAFF, RESOURCE)


async def organization(zimun: Zimun) -> organization_pb2.Organization:
    found: organization_pb2.Organization = await zimun.call(
        zimun.organizations.GetOrganization, organizations_service_pb2.GetOrganizationRequest()
    )
    return found


def organization_update(
    mask: Sequence[str] | None = None, **fields: Any
) -> organizations_service_pb2.UpdateOrganizationRequest:
    """A change of the organization; without a mask, the request has none."""
    request = organizations_service_pb2.UpdateOrganizationRequest(
        organization=organization_pb2.Organization(**fields)
    )
    if mask is not None:
        request.update_mask.paths.extend(mask)
    return request


async def update_organization(
    zimun: Zimun, mask: Sequence[str] | None = None, **fields: Any
) -> organization_pb2.Organization:
    """Update fields of the organization; without a mask, those that are given."""
    changed: organization_pb2.Organization = await zimun.call(
        zimun.organizations.UpdateOrganization, organization_update(mask, **fields)
    )
    return changed


def override_of(
    owner_id: str, date: str, *openings: tuple[str, str], **fields: Any
) -> overrides_service_pb2.CreateOverrideRequest:
    """An override of the date: open for the openings, or closed where there are none."""
    override = override_pb2.Override(
        **{
            "owner_id": owner_id,
            "date": date,
            "status": "OPEN" if openings else "CLOSED",
            "hours": [{"start_time": start, "end_time": end} for start, end in openings],
            **fields,
        }
    )
    return overrides_service_pb2.CreateOverrideRequest(override=override)


async def put_override(
    zimun: Zimun, owner_id: str, date: str, *openings: tuple[str, str], **fields: Any
) -> override_pb2.Override:
    made: override_pb2.Override = await zimun.call(
        zimun.overrides.CreateOverride, override_of(owner_id, date, *openings, **fields)
    )
    return made


async def drop_override(zimun: Zimun, override_id: str) -> None:
    await zimun.call(
        zimun.overrides.DeleteOverride,
        overrides_service_pb2.DeleteOverrideRequest(override_id=override_id),
    )
