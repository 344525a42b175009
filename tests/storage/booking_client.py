"""A client of the salon that books through the writer, as a servicer does."""

import pickle
from dataclasses import dataclass

from zimun.booking import appointments, availability, expiry
from zimun.booking.availability import AvailabilityCache
from zimun.booking.change_request import ChangeRequest, new_id
from zimun.clock import ManualClock
from zimun.domain.appointment_commands import (
    BookAppointment,
    CompleteAppointment,
    MarkNoShow,
    ReopenAppointment,
    UpdateAppointment,
)
from zimun.domain.availability.slot_request import DateRange, SlotRequest
from zimun.domain.availability.slots import Slot
from zimun.domain.availability.timetable import Timetable
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    Decision,
    ExtendHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.identity import Caller
from zimun.domain.instant import to_datetime
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact, Reservation
from zimun.stores import Stores

from .sample_catalog import CALLER, CUT, SAM, TUESDAY


@dataclass(frozen=True)
class BookingClient:
    """A client of the salon: books, and reads the responses back from their bytes.

    `clock` is the clock that the stores were opened with.
    """

    stores: Stores
    clock: ManualClock
    caller: Caller = CALLER

    async def submit(self, method: str, key: str, command: Command, *content: object) -> bytes:
        """The response to a command; `content` stands for the request in its fingerprint."""
        fingerprint = repr(content).encode()
        request = ChangeRequest(self.caller, method, key, fingerprint, pickle.dumps)
        return await self.stores.writer.submit(request, command)

    async def hold_bytes(
        self,
        start: int,
        service_id: str = CUT.id,
        *,
        staff_id: str = "",
        seats: int = 1,
        key: str = "",
    ) -> bytes:
        request = SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats)
        command = Hold(request, start, new_id("h"), new_id("x"))
        return await self.submit("hold", key, command, start, request)

    async def hold(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        return decode_reservation(
            await self.hold_bytes(start, service_id, staff_id=staff_id, seats=seats)
        )

    async def extend(self, hold_id: str, key: str = "") -> Reservation:
        return decode_reservation(await self.submit("extend", key, ExtendHold(hold_id), hold_id))

    async def release(self, hold_id: str, key: str = "") -> Reservation:
        return decode_reservation(await self.submit("release", key, ReleaseHold(hold_id), hold_id))

    async def confirm(self, hold_id: str, contact: Contact = SAM, key: str = "") -> Reservation:
        command = ConfirmHold(hold_id, new_id("a"), contact)
        return decode_reservation(await self.submit("confirm", key, command, hold_id, contact))

    async def book(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        """Hold and confirm."""
        held = await self.hold(start, service_id, staff_id=staff_id, seats=seats)
        return await self.confirm(held.hold_id)

    async def book_at_once(
        self, start: int, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1
    ) -> Reservation:
        """Hold and confirm in one command."""
        request = SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats)
        hold = Hold(request, start, new_id("h"), new_id("x"))
        command = BookAppointment(hold, new_id("a"), SAM)
        return decode_reservation(await self.submit("book", "", command, start, request))

    async def change(
        self,
        command: UpdateAppointment | CompleteAppointment | MarkNoShow | ReopenAppointment,
    ) -> Reservation:
        """The appointment after a command on it."""
        return decode_reservation(await self.submit("change", "", command, command))

    async def cancel(
        self, appointment_id: str, reason: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        command = CancelAppointment(appointment_id, reason, etag)
        return decode_reservation(await self.submit("cancel", key, command, command))

    async def reschedule(
        self, appointment_id: str, start: int, staff_id: str = "", etag: str = "", key: str = ""
    ) -> Reservation:
        command = RescheduleAppointment(appointment_id, start, staff_id, etag, new_id("x"))
        content = (appointment_id, start, staff_id, etag)
        return decode_reservation(await self.submit("reschedule", key, command, *content))

    async def get(self, appointment_id: str) -> Reservation:
        return await appointments.get_appointment(self.stores.reader, self.caller, appointment_id)

    async def expire_holds(self) -> int:
        """Record what time has ended; answers how many holds that were."""
        return await expiry.expire_holds(self.stores.ledgers, self.stores.writer, self.clock)

    async def drop_responses(self) -> None:
        """Delete the kept responses whose lifetime is over."""
        await self.stores.ledgers.drop_responses(self.clock.now())

    async def slots(
        self, service_id: str = CUT.id, *, staff_id: str = "", seats: int = 1, day: int = TUESDAY
    ) -> dict[int, Slot]:
        """The open slots of a day by their starts."""
        date = to_datetime(day).date()
        found = await availability.get_availability(
            self.stores.reader,
            AvailabilityCache(),
            self.caller,
            SlotRequest(service_id=service_id, staff_id=staff_id, seats=seats),
            DateRange(first=date, last=date),
        )
        return {slot.start: slot for slot in found.slots}


@dataclass
class CountedCommand:
    """A command that counts how often it is decided."""

    command: Command
    decisions: int = 0

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        self.decisions += 1
        return self.command.decide(ledger, timetable, now, client_id)


def decode_reservation(answer: bytes) -> Reservation:
    """The reservation that an answer's bytes stand for."""
    found = pickle.loads(answer)
    assert isinstance(found, Reservation)
    return found
