"""zimun.v1.StaffService."""

from zimun.rpc.convert import catalog as convert
from zimun.rpc.request_context import Context, Dependencies
from zimun.rpc.services.catalog_entries import CatalogEntries
from zimun.v1 import (
    staff_member_pb2,
    staff_service_pb2,
    staff_service_pb2_grpc,
)


class StaffServicer(staff_service_pb2_grpc.StaffServiceServicer):
    """The methods of zimun.v1.StaffService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._staff = CatalogEntries(dependencies, convert.STAFF_MEMBER)

    async def ListStaff(
        self, request: staff_service_pb2.ListStaffRequest, context: Context
    ) -> staff_service_pb2.ListStaffResponse:
        """Return a page of the staff members, oldest first."""
        return await self._staff.list(request, staff_service_pb2.ListStaffResponse)

    async def GetStaffMember(
        self, request: staff_service_pb2.GetStaffMemberRequest, context: Context
    ) -> staff_member_pb2.StaffMember:
        """Return a staff member by its id."""
        return await self._staff.get(request.staff_id)

    async def CreateStaffMember(
        self, request: staff_service_pb2.CreateStaffMemberRequest, context: Context
    ) -> staff_member_pb2.StaffMember:
        """Create a staff member."""
        return await self._staff.create(request, request.staff_member)

    async def UpdateStaffMember(
        self, request: staff_service_pb2.UpdateStaffMemberRequest, context: Context
    ) -> staff_member_pb2.StaffMember:
        """Change the fields of a staff member that the mask names (AIP-134)."""
        return await self._staff.update(request, request.staff_member)

    async def ArchiveStaffMember(
        self, request: staff_service_pb2.ArchiveStaffMemberRequest, context: Context
    ) -> staff_member_pb2.StaffMember:
        """Archive a staff member: lists and searches exclude it."""
        return await self._staff.archive(request, request.staff_id)
