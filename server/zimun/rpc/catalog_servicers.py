"""The methods of the catalogue's administration: each decodes, calls, encodes.

What they do is the same for every kind of entry, so it is written once, in `_Entries`.
"""

from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from zimun.booking import catalog
from zimun.booking.catalog import (
    ArchiveEntry,
    CreateEntry,
    CreateOverride,
    DeleteOverride,
    OverrideFilter,
    UpdateEntry,
    UpdateOrganization,
)
from zimun.domain.catalog import Catalog
from zimun.domain.errors import InvalidRequest
from zimun.domain.events import CatalogEntry
from zimun.rpc import entries
from zimun.rpc.calls import Backend, Context, change_request, question_of
from zimun.rpc.dispatch import caller
from zimun.rpc.entries import Kind
from zimun.rpc.paging import page_size, write_page
from zimun.v1 import (
    location_pb2,
    locations_service_pb2,
    locations_service_pb2_grpc,
    organization_pb2,
    organizations_service_pb2,
    organizations_service_pb2_grpc,
    overrides_service_pb2,
    overrides_service_pb2_grpc,
    resource_pb2,
    resources_service_pb2,
    resources_service_pb2_grpc,
    service_pb2,
    services_service_pb2,
    services_service_pb2_grpc,
    staff_member_pb2,
    staff_service_pb2,
    staff_service_pb2_grpc,
)

MAX_PAGES = 16
"""Pages of lists that are kept of a catalogue."""

MAX_KEPT_PAGE = 1 << 16
"""Bytes of a page that is kept."""

_PAGES: WeakKeyDictionary[Catalog, dict[object, bytes]] = WeakKeyDictionary()

E = TypeVar("E", bound=CatalogEntry)
M = TypeVar("M", bound=Message)


class _Entries(Generic[E]):
    """The five methods of one kind of entry."""

    def __init__(self, backend: Backend, kind: Kind[E]) -> None:
        self._reader, self._writer, self._pages = backend.reader, backend.writer, backend.pages
        self._kind = kind

    async def list(self, request: Any, answer: type[M]) -> bytes:
        """A page's bytes; those of the same request are kept while the catalogue is the same."""
        known = await self._reader.catalog(caller().org_id)
        kept, asked = _PAGES.setdefault(known, {}), request.SerializeToString()
        key = (self._kind.entry, asked)
        if key not in kept:
            page = (await self._page(known, request, answer)).SerializeToString()
            if len(page) > MAX_KEPT_PAGE:
                return page
            if len(kept) >= MAX_PAGES:
                kept.clear()
            kept[key] = page
        return kept[key]

    async def _page(self, known: Catalog, request: Any, answer: type[M]) -> M:
        size, question = page_size(request.page_size), question_of(request)
        after = self._pages.read(request.page_token, question)
        found, next_key = catalog.list_entries(
            known, self._kind.entry, request.include_archived, size, after
        )
        page = await write_page(found, next_key, self._kind.write, catalog.key_of)
        return answer(items=page.items, next_page_token=self._pages.write(page.next_key, question))

    async def get(self, entry_id: str) -> Any:
        found = await catalog.get_entry(self._reader, caller(), self._kind.entry, entry_id)
        return self._kind.write(found)

    async def create(self, request: Message, sent: Any, context: Context) -> bytes:
        change = change_request(request, self._kind.write)
        command = CreateEntry(self._kind.entry, self._kind.said(sent))
        return await self._writer.submit(change, command)

    async def update(self, request: Any, sent: Any, context: Context) -> bytes:
        if not sent.id:
            raise InvalidRequest({"id": "is required"})
        change = change_request(request, self._kind.write)
        edit = self._kind.edit(sent, request.update_mask)
        command = UpdateEntry(self._kind.entry, sent.id, sent.etag, edit)
        return await self._writer.submit(change, command)

    async def archive(self, request: Any, entry_id: str, context: Context) -> bytes:
        change = change_request(request, self._kind.write)
        command = ArchiveEntry(self._kind.entry, entry_id, request.etag)
        return await self._writer.submit(change, command)


class ServicesServicer(services_service_pb2_grpc.ServicesServiceServicer):
    """The methods of zimun.v1.ServicesService."""

    def __init__(self, backend: Backend) -> None:
        self._services = _Entries(backend, entries.SERVICE)

    async def ListServices(
        self, request: services_service_pb2.ListServicesRequest, context: Context
    ) -> bytes:
        return await self._services.list(request, services_service_pb2.ListServicesResponse)

    async def GetService(
        self, request: services_service_pb2.GetServiceRequest, context: Context
    ) -> service_pb2.Service:
        found: service_pb2.Service = await self._services.get(request.service_id)
        return found

    async def CreateService(
        self, request: services_service_pb2.CreateServiceRequest, context: Context
    ) -> bytes:
        return await self._services.create(request, request.service, context)

    async def UpdateService(
        self, request: services_service_pb2.UpdateServiceRequest, context: Context
    ) -> bytes:
        return await self._services.update(request, request.service, context)

    async def ArchiveService(
        self, request: services_service_pb2.ArchiveServiceRequest, context: Context
    ) -> bytes:
        return await self._services.archive(request, request.service_id, context)


class LocationsServicer(locations_service_pb2_grpc.LocationsServiceServicer):
    """The methods of zimun.v1.LocationsService."""

    def __init__(self, backend: Backend) -> None:
        self._locations = _Entries(backend, entries.LOCATION)

    async def ListLocations(
        self, request: locations_service_pb2.ListLocationsRequest, context: Context
    ) -> bytes:
        return await self._locations.list(request, locations_service_pb2.ListLocationsResponse)

    async def GetLocation(
        self, request: locations_service_pb2.GetLocationRequest, context: Context
    ) -> location_pb2.Location:
        found: location_pb2.Location = await self._locations.get(request.location_id)
        return found

    async def CreateLocation(
        self, request: locations_service_pb2.CreateLocationRequest, context: Context
    ) -> bytes:
        return await self._locations.create(request, request.location, context)

    async def UpdateLocation(
        self, request: locations_service_pb2.UpdateLocationRequest, context: Context
    ) -> bytes:
        return await self._locations.update(request, request.location, context)

    async def ArchiveLocation(
        self, request: locations_service_pb2.ArchiveLocationRequest, context: Context
    ) -> bytes:
        location_id = request.location_id
        return await self._locations.archive(request, location_id, context)


class StaffServicer(staff_service_pb2_grpc.StaffServiceServicer):
    """The methods of zimun.v1.StaffService."""

    def __init__(self, backend: Backend) -> None:
        self._staff = _Entries(backend, entries.STAFF_MEMBER)

    async def ListStaff(
        self, request: staff_service_pb2.ListStaffRequest, context: Context
    ) -> bytes:
        return await self._staff.list(request, staff_service_pb2.ListStaffResponse)

    async def GetStaffMember(
        self, request: staff_service_pb2.GetStaffMemberRequest, context: Context
    ) -> staff_member_pb2.StaffMember:
        found: staff_member_pb2.StaffMember = await self._staff.get(request.staff_id)
        return found

    async def CreateStaffMember(
        self, request: staff_service_pb2.CreateStaffMemberRequest, context: Context
    ) -> bytes:
        return await self._staff.create(request, request.staff_member, context)

    async def UpdateStaffMember(
        self, request: staff_service_pb2.UpdateStaffMemberRequest, context: Context
    ) -> bytes:
        return await self._staff.update(request, request.staff_member, context)

    async def ArchiveStaffMember(
        self, request: staff_service_pb2.ArchiveStaffMemberRequest, context: Context
    ) -> bytes:
        return await self._staff.archive(request, request.staff_id, context)


class ResourcesServicer(resources_service_pb2_grpc.ResourcesServiceServicer):
    """The methods of zimun.v1.ResourcesService."""

    def __init__(self, backend: Backend) -> None:
        self._resources = _Entries(backend, entries.RESOURCE)

    async def ListResources(
        self, request: resources_service_pb2.ListResourcesRequest, context: Context
    ) -> bytes:
        return await self._resources.list(request, resources_service_pb2.ListResourcesResponse)

    async def GetResource(
        self, request: resources_service_pb2.GetResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        found: resource_pb2.Resource = await self._resources.get(request.resource_id)
        return found

    async def CreateResource(
        self, request: resources_service_pb2.CreateResourceRequest, context: Context
    ) -> bytes:
        return await self._resources.create(request, request.resource, context)

    async def UpdateResource(
        self, request: resources_service_pb2.UpdateResourceRequest, context: Context
    ) -> bytes:
        return await self._resources.update(request, request.resource, context)

    async def ArchiveResource(
        self, request: resources_service_pb2.ArchiveResourceRequest, context: Context
    ) -> bytes:
        resource_id = request.resource_id
        return await self._resources.archive(request, resource_id, context)


class OrganizationsServicer(organizations_service_pb2_grpc.OrganizationsServiceServicer):
    """The methods of zimun.v1.OrganizationsService."""

    def __init__(self, backend: Backend) -> None:
        self._reader, self._writer = backend.reader, backend.writer

    async def GetOrganization(
        self, request: organizations_service_pb2.GetOrganizationRequest, context: Context
    ) -> organization_pb2.Organization:
        return entries.organization(await catalog.get_organization(self._reader, caller()))

    async def UpdateOrganization(
        self, request: organizations_service_pb2.UpdateOrganizationRequest, context: Context
    ) -> bytes:
        change = change_request(request, entries.organization)
        sent = request.organization
        if sent.id not in ("", caller().org_id):
            raise InvalidRequest({"id": "must be that of the caller's organization"})
        edit = entries.ORGANIZATION.edit(sent, request.update_mask)
        return await self._writer.submit(change, UpdateOrganization(sent.etag, edit))


class OverridesServicer(overrides_service_pb2_grpc.OverridesServiceServicer):
    """The methods of zimun.v1.OverridesService."""

    def __init__(self, backend: Backend) -> None:
        self._reader, self._writer, self._pages = backend.reader, backend.writer, backend.pages

    async def ListOverrides(
        self, request: overrides_service_pb2.ListOverridesRequest, context: Context
    ) -> overrides_service_pb2.ListOverridesResponse:
        size, question = page_size(request.page_size), question_of(request)
        after = self._pages.read(request.page_token, question)
        wanted = OverrideFilter(
            owner_id=request.owner_id,
            first=entries.day(request.start_date),
            last=entries.day(request.end_date),
        )
        found, next_key = await catalog.list_overrides(self._reader, caller(), wanted, size, after)
        page = await write_page(found, next_key, entries.override, catalog.override_key_of)
        return overrides_service_pb2.ListOverridesResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, question)
        )

    async def CreateOverride(
        self, request: overrides_service_pb2.CreateOverrideRequest, context: Context
    ) -> bytes:
        change = change_request(request, entries.override)
        command = CreateOverride(entries.read_override(request.override))
        return await self._writer.submit(change, command)

    async def DeleteOverride(
        self, request: overrides_service_pb2.DeleteOverrideRequest, context: Context
    ) -> bytes:
        change = change_request(request, lambda _: Empty())
        return await self._writer.submit(change, DeleteOverride(request.override_id))
