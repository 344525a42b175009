"""zimun.v1.OrganizationsService."""

from zimun.booking import catalog
from zimun.booking.catalog import (
    UpdateOrganization,
)
from zimun.domain.errors import InvalidRequest
from zimun.rpc.convert import catalog as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.request_context import Context, Dependencies
from zimun.v1 import (
    organization_pb2,
    organizations_service_pb2,
    organizations_service_pb2_grpc,
)


class OrganizationsServicer(organizations_service_pb2_grpc.OrganizationsServiceServicer):
    """The methods of zimun.v1.OrganizationsService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies, self._reader = dependencies, dependencies.reader

    async def GetOrganization(
        self, request: organizations_service_pb2.GetOrganizationRequest, context: Context
    ) -> organization_pb2.Organization:
        """Return the caller's organization."""
        return convert.organization(await catalog.get_organization(self._reader, caller()))

    async def UpdateOrganization(
        self, request: organizations_service_pb2.UpdateOrganizationRequest, context: Context
    ) -> organization_pb2.Organization:
        """Change the fields of the caller's organization that the mask names (AIP-134)."""
        sent = request.organization
        if sent.id not in ("", caller().org_id):
            raise InvalidRequest({"id": "must be that of the caller's organization"})
        edit = convert.ORGANIZATION.edit(sent, request.update_mask)
        command = UpdateOrganization(sent.etag, edit)
        return await self._dependencies.submit(request, command, convert.organization)
