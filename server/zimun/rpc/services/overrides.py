"""zimun.v1.OverridesService."""

from google.protobuf.empty_pb2 import Empty

from zimun.booking.overrides import (
    CreateOverride,
    DeleteOverride,
    OverrideFilter,
    list_overrides,
    override_key_of,
)
from zimun.rpc.convert import catalog as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import write_page
from zimun.rpc.request_context import Context, Dependencies
from zimun.v1 import (
    override_pb2,
    overrides_service_pb2,
    overrides_service_pb2_grpc,
)


class OverridesServicer(overrides_service_pb2_grpc.OverridesServiceServicer):
    """The methods of zimun.v1.OverridesService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies, self._reader, self._pages = (
            dependencies,
            dependencies.reader,
            dependencies.pages,
        )

    async def ListOverrides(
        self, request: overrides_service_pb2.ListOverridesRequest, context: Context
    ) -> overrides_service_pb2.ListOverridesResponse:
        """Return a page of the overrides of an owner, or of all, within some dates."""
        size, query, after = self._dependencies.page_request(request)
        criteria = OverrideFilter(
            owner_id=request.owner_id,
            first=convert.day(request.start_date),
            last=convert.day(request.end_date),
        )
        overrides, next_key = await list_overrides(self._reader, caller(), criteria, size, after)
        page = await write_page(overrides, next_key, convert.override, override_key_of)
        return overrides_service_pb2.ListOverridesResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def CreateOverride(
        self, request: overrides_service_pb2.CreateOverrideRequest, context: Context
    ) -> override_pb2.Override:
        """Set the opening hours of an owner on one date."""
        command = CreateOverride(convert.read_override(request.override))
        return await self._dependencies.submit(request, command, convert.override)

    async def DeleteOverride(
        self, request: overrides_service_pb2.DeleteOverrideRequest, context: Context
    ) -> Empty:
        """Delete an override: the weekly hours apply again."""
        command = DeleteOverride(request.override_id)
        return await self._dependencies.submit(request, command, lambda _: Empty())
