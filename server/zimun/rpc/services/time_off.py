"""zimun.v1.TimeOffService."""

from google.protobuf.empty_pb2 import Empty

from zimun.booking import time_off
from zimun.booking.time_off import DeleteTimeOff
from zimun.rpc.convert import time_off as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import write_page
from zimun.rpc.request_context import Context, Dependencies
from zimun.v1 import time_off_pb2, time_off_service_pb2, time_off_service_pb2_grpc


class TimeOffServicer(time_off_service_pb2_grpc.TimeOffServiceServicer):
    """The methods of zimun.v1.TimeOffService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies, self._reader, self._pages = (
            dependencies,
            dependencies.reader,
            dependencies.pages,
        )

    async def ListTimeOff(
        self, request: time_off_service_pb2.ListTimeOffRequest, context: Context
    ) -> time_off_service_pb2.ListTimeOffResponse:
        """Return a page of the time off of an owner, or of all, within some time."""
        size, query, after = self._dependencies.page_request(request)
        criteria = convert.time_off_filter(request)
        items, next_key = await time_off.list_time_off(
            self._reader, caller(), criteria, size, after
        )
        page = await write_page(items, next_key, convert.time_off, time_off.key_of)
        return time_off_service_pb2.ListTimeOffResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def GetTimeOff(
        self, request: time_off_service_pb2.GetTimeOffRequest, context: Context
    ) -> time_off_pb2.TimeOff:
        """Return time off by its id."""
        entry = await time_off.get_time_off(self._reader, caller(), request.time_off_id)
        return convert.time_off(entry)

    async def CreateTimeOff(
        self, request: time_off_service_pb2.CreateTimeOffRequest, context: Context
    ) -> time_off_pb2.TimeOff:
        """Create time off, unless it meets bookings that it may not meet."""
        command = convert.create(request)
        return await self._dependencies.submit(request, command, convert.changed_time_off)

    async def UpdateTimeOff(
        self, request: time_off_service_pb2.UpdateTimeOffRequest, context: Context
    ) -> time_off_pb2.TimeOff:
        """Change the fields of time off that the mask names (AIP-134)."""
        command = convert.update(request)
        return await self._dependencies.submit(request, command, convert.changed_time_off)

    async def DeleteTimeOff(
        self, request: time_off_service_pb2.DeleteTimeOffRequest, context: Context
    ) -> Empty:
        """Delete time off: the time can be booked again."""
        command = DeleteTimeOff(request.time_off_id, request.etag)
        return await self._dependencies.submit(request, command, lambda _: Empty())
