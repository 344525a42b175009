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
        return await self._resources.list(request, resources_service_pb2.ListResourcesResponse)

    async def GetResource(
        self, request: resources_service_pb2.GetResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        return await self._resources.get(request.resource_id)

    async def CreateResource(
        self, request: resources_service_pb2.CreateResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        return await self._resources.create(request, request.resource)

    async def UpdateResource(
        self, request: resources_service_pb2.UpdateResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        return await self._resources.update(request, request.resource)

    async def ArchiveResource(
        self, request: resources_service_pb2.ArchiveResourceRequest, context: Context
    ) -> resource_pb2.Resource:
        resource_id = request.resource_id
        return await self._resources.archive(request, resource_id)
