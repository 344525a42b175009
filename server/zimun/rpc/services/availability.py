"""zimun.v1.AvailabilityService."""

from collections.abc import Iterable
from typing import Any

from zimun.booking import availability
from zimun.booking.pause import Pause
from zimun.domain.errors import ZimunError
from zimun.rpc import error_status
from zimun.rpc.convert import booking as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.request_context import Backend, Context, typed
from zimun.v1 import (
    availability_service_pb2,
    availability_service_pb2_grpc,
)


class AvailabilityServicer(availability_service_pb2_grpc.AvailabilityServiceServicer):
    """The methods of zimun.v1.AvailabilityService."""

    def __init__(self, backend: Backend) -> None:
        self._reader, self._answers = backend.reader, backend.answers

    async def GetAvailability(
        self, request: availability_service_pb2.GetAvailabilityRequest, context: Context
    ) -> availability_service_pb2.GetAvailabilityResponse:
        asked, dates = convert.slot_request(request), convert.date_range(request)
        view = convert.view(request)
        found = await availability.get_availability(
            self._reader, self._answers, caller(), asked, dates, view
        )
        encoded = await _joined(convert.availability(found, view))
        return typed(encoded, availability_service_pb2.GetAvailabilityResponse)

    async def FindNextAvailable(
        self, request: availability_service_pb2.FindNextAvailableRequest, context: Context
    ) -> availability_service_pb2.FindNextAvailableResponse:
        asked, start_from = convert.slot_request(request), convert.instant(request.start_time_from)
        slots, place = await availability.find_next(
            self._reader, caller(), asked, start_from, convert.count(request)
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
        times = [convert.time_to_check(check, n) for n, check in enumerate(request.checks)]
        found = await availability.check(self._reader, caller(), times)
        return availability_service_pb2.BatchCheckAvailabilityResponse(
            results=[
                availability_service_pb2.SlotCheckResult(
                    **_verdict(verdict, request.time_zone or zone)
                )
                for verdict, zone in found
            ]
        )

    async def ExplainSlot(
        self, request: availability_service_pb2.ExplainSlotRequest, context: Context
    ) -> availability_service_pb2.ExplainSlotResponse:
        asked, start = convert.slot_request(request), convert.instant(request.start_time)
        found = await availability.explain(self._reader, caller(), asked, start)
        zone = request.time_zone or found.time_zone
        return availability_service_pb2.ExplainSlotResponse(
            service_id=found.service_id,
            time_zone=zone,
            obstacles=map(convert.obstacle, found.obstacles),
            **_verdict(found.verdict, zone),
        )


async def _joined(pieces: Iterable[bytes]) -> bytes:
    """The bytes of all pieces; other tasks run while they are written."""
    written, pause = [], Pause()
    for piece in pieces:
        written.append(piece)
        if pause.is_due:
            await pause.take()
    return b"".join(written)


def _verdict(verdict: availability.Verdict, zone: str) -> dict[str, Any]:
    """The slot, or the status of the error, as the fields of an answer."""
    if isinstance(verdict, ZimunError):
        return {"error": error_status.status_of(verdict)}
    return {"slot": convert.slot(verdict, zone)}
