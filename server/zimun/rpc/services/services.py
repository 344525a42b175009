"""zimun.v1.ServicesService."""

from zimun.rpc.convert import catalog as convert
from zimun.rpc.request_context import Context, Dependencies
from zimun.rpc.services.catalog_entries import CatalogEntries
from zimun.v1 import (
    service_pb2,
    services_service_pb2,
    services_service_pb2_grpc,
)


class ServicesServicer(services_service_pb2_grpc.ServicesServiceServicer):
    """The methods of zimun.v1.ServicesService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._services = CatalogEntries(dependencies, convert.SERVICE)

    async def ListServices(
        self, request: services_service_pb2.ListServicesRequest, context: Context
    ) -> services_service_pb2.ListServicesResponse:
        """Return a page of the services, oldest first."""
        return await self._services.list(request, services_service_pb2.ListServicesResponse)

    async def GetService(
        self, request: services_service_pb2.GetServiceRequest, context: Context
    ) -> service_pb2.Service:
        """Return a service by its id."""
        return await self._services.get(request.service_id)

    async def CreateService(
        self, request: services_service_pb2.CreateServiceRequest, context: Context
    ) -> service_pb2.Service:
        """Create a service."""
        return await self._services.create(request, request.service)

    async def UpdateService(
        self, request: services_service_pb2.UpdateServiceRequest, context: Context
    ) -> service_pb2.Service:
        """Change the fields of a service that the mask names (AIP-134)."""
        return await self._services.update(request, request.service)

    async def ArchiveService(
        self, request: services_service_pb2.ArchiveServiceRequest, context: Context
    ) -> service_pb2.Service:
        """Archive a service: lists and searches exclude it."""
        return await self._services.archive(request, request.service_id)
