"""zimun.v1.ResourcesService."""

from zimun.rpc.convert import catalog as convert
from zimun.rpc.request_context import Context, Dependencies
from zimun.rpc.services.catalog_entries import CatalogEntries
from zimun.v1 import (
    resource_pb2,
    resources_service_pb2,
    resources_service_pb2_grpc,
)


class ResourcesServicer(resources_service_pb2_grpc.ResourcesServiceServicer):
    """The methods of zimun.v1.ResourcesService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._resources = CatalogEntries(dependencies, convert.RESOURCE)

    async def ListResources(
        self, request: resources_service_pb2.ListResourcesRequest, context: Context
    ) -> resources_service_pb2.ListResourcesResponse:
        """Return a page of the resources, oldest first."""
        return await self._resources.list(request, resources_service_pb2.ListResourcesResponse)

    async def GetResource(
        self, request: resources_service_pb2.GetResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        """Return a resource by its id."""
        return await self._resources.get(request.resource_id)

    async def CreateResource(
        self, request: resources_service_pb2.CreateResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        """Create a resource."""
        return await self._resources.create(request, request.resource)

    async def UpdateResource(
        self, request: resources_service_pb2.UpdateResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        """Change the fields of a resource that the mask names (AIP-134)."""
        return await self._resources.update(request, request.resource)

    async def ArchiveResource(
        self, request: resources_service_pb2.ArchiveResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        """Archive a resource: lists and searches exclude it."""
        resource_id = request.resource_id
        return await self._resources.archive(request, resource_id)
