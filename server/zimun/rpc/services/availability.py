"""zimun.v1.AvailabilityService."""

from collections.abc import Iterable
from typing import Any

from zimun.booking import availability
from zimun.booking.pause import Pause
from zimun.domain.errors import ZimunError
from zimun.rpc import error_status
from zimun.rpc.convert import booking as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.request_context import Context, Dependencies, typed
from zimun.v1 import (
    availability_service_pb2,
    availability_service_pb2_grpc,
)


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    """The methods of zimun.v1.AvailabilityService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._reader, self._cache = dependencies.reader, dependencies.availability_cache

    async def GetAvailability(
        self, request: availability_service_pb2.GetAvailabilityRequest, context: Context
    ) -> availability_service_pb2.GetAvailabilityResponse:
        """Return the open slots of some dates, and the status of each date."""
        slot_request, dates = convert.slot_request(request), convert.date_range(request)
        view = convert.view(request)
        result = await availability.get_availability(
            self._reader, self._cache, caller(), slot_request, dates, view
        )
        encoded = await _joined(convert.availability(result, view))
        return typed(encoded, availability_service_pb2.GetAvailabilityResponse)

    async def FindNextAvailable(
        self, request: availability_service_pb2.FindNextAvailableRequest, context: Context
    ) -> availability_service_pb2.FindNextAvailableResponse:
        """Return the next open slots from an instant on."""
        slot_request, start_from = (
            convert.slot_request(request),
            convert.instant(request.start_time_from),
        )
        slots, place = await availability.find_next(
            self._reader, caller(), slot_request, start_from, convert.count(request)
        )
        zone = request.time_zone or place.time_zone
        return availability_service_pb2.FindNextAvailableResponse(
            service_id=request.service_id,
            time_zone=zone,
            slots=[convert.slot(slot, zone) for slot in slots],
        )

    async def BatchCheckAvailability(
        self, request: availability_service_pb2.BatchCheckAvailabilityRequest, context: Context
    ) -> availability_service_pb2.BatchCheckAvailabilityResponse:
        """Return for each time its slot, or the error that a hold would raise."""
        times = [convert.time_to_check(check, n) for n, check in enumerate(request.checks)]
        results = await availability.check(self._reader, caller(), times)
        return availability_service_pb2.BatchCheckAvailabilityResponse(
            results=[
                availability_service_pb2.SlotCheckResult(
                    **_outcome_fields(outcome, request.time_zone or zone)
                )
                for outcome, zone in results
            ]
        )

    async def ExplainSlot(
        self, request: availability_service_pb2.ExplainSlotRequest, context: Context
    ) -> availability_service_pb2.ExplainSlotResponse:
        """Return the slot of a time, or every rule that the time breaks."""
        slot_request, start = convert.slot_request(request), convert.instant(request.start_time)
        explanation = await availability.explain(self._reader, caller(), slot_request, start)
        zone = request.time_zone or explanation.time_zone
        return availability_service_pb2.ExplainSlotResponse(
            service_id=explanation.service_id,
            time_zone=zone,
            obstacles=map(convert.obstacle, explanation.obstacles),
            **_outcome_fields(explanation.outcome, zone),
        )


async def _joined(pieces: Iterable[bytes]) -> bytes:
    """The bytes of all pieces; other tasks run while they are written."""
    written, pause = [], Pause()
    for piece in pieces:
        written.append(piece)
        if pause.is_due:
            await pause.take()
    return b"".join(written)


def _outcome_fields(outcome: availability.CheckOutcome, zone: str) -> dict[str, Any]:
    """The slot, or the status of the error, as the fields of an answer."""
    if isinstance(outcome, ZimunError):
        return {"error": error_status.status_of(outcome)}
    return {"slot": convert.slot(outcome, zone)}
