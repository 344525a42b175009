"""zimun.v1.LocationsService."""

from zimun.rpc.convert import catalog as convert
from zimun.rpc.request_context import Context, Dependencies
from zimun.rpc.services.catalog_entries import CatalogEntries
from zimun.v1 import (
    location_pb2,
    locations_service_pb2,
    locations_service_pb2_grpc,
)


class LocationsServicer(locations_service_pb2_grpc.LocationsServiceServicer):
    """The methods of zimun.v1.LocationsService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._locations = CatalogEntries(dependencies, convert.LOCATION)

    async def ListLocations(
        self, request: locations_service_pb2.ListLocationsRequest, context: Context
    ) -> locations_service_pb2.ListLocationsResponse:
        """Return a page of the locations, oldest first."""
        return await self._locations.list(request, locations_service_pb2.ListLocationsResponse)

    async def GetLocation(
        self, request: locations_service_pb2.GetLocationRequest, context: Context
    ) -> location_pb2.Location:
        """Return a location by its id."""
        return await self._locations.get(request.location_id)

    async def CreateLocation(
        self, request: locations_service_pb2.CreateLocationRequest, context: Context
    ) -> location_pb2.Location:
        """Create a location."""
        return await self._locations.create(request, request.location)

    async def UpdateLocation(
        self, request: locations_service_pb2.UpdateLocationRequest, context: Context
    ) -> location_pb2.Location:
        """Change the fields of a location that the mask names (AIP-134)."""
        return await self._locations.update(request, request.location)

    async def ArchiveLocation(
        self, request: locations_service_pb2.ArchiveLocationRequest, context: Context
    ) -> location_pb2.Location:
        """Archive a location: lists and searches exclude it."""
        location_id = request.location_id
        return await self._locations.archive(request, location_id)
