"""A request for slots of a service, and the search over a ledger that answers it.

One search serves availability, holds and reschedules: a slot that is offered
can be held. It applies the service's rules, lead time and horizon among them (`slot_search`).
"""

from datetime import date, timedelta
from typing import NamedTuple

from zimun.domain.availability.busy_time import busy_time
from zimun.domain.availability.opening_hours import dates, local_date, segments
from zimun.domain.availability.slot_search import Search
from zimun.domain.availability.slots import Busy
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Place, Service
from zimun.domain.errors import InvalidRequest
from zimun.domain.ignored_rules import NO_RULES, IgnoredRules
from zimun.domain.instant import HOUR
from zimun.domain.intervals import Interval
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK
from zimun.domain.ledger.reservation import Reservation

MAX_TAKEN = 10_000
"""About the most allocations that one search looks at: 10 to 30 ms where each is another time."""


class SlotRequest(NamedTuple):
    """A service, where, by whom, for how many and how long.

    Fields that are empty or 0 mean any place, any staff member, one seat, the
    service's duration. With `ignore_appointment_id` the time of that appointment
    counts as free, as when it is rescheduled; if it is an appointment of the service,
    the fields that are not set are those of the appointment: it keeps its location,
    seats and length even where the service does not offer them any more. `ignored`
    are the rules that are not applied to a single start.
    """

    service_id: str
    location_id: str = ""
    staff_id: str = ""
    seats: int = 0
    duration: int = 0
    ignore_appointment_id: str = ""
    ignored: IgnoredRules = NO_RULES


class DateRange(NamedTuple):
    """The dates from first to last; without these, `days_ahead` dates from today on.

    They are dates of `time_zone`, or of the place where that is empty.
    """

    first: date | None = None
    last: date | None = None
    days_ahead: int = 0
    time_zone: str = ""

    @property
    def days(self) -> int:
        """The number of dates."""
        return (self.last - self.first).days + 1 if self.first and self.last else self.days_ahead

    @property
    def last_field(self) -> str:
        """The field of the request that sets the last date."""
        if self.days_ahead:
            return "days_ahead"
        return "date" if self.first == self.last else "end_date"

    def interval(self, zone: str, now: int) -> Interval:
        """The time of the dates in their zone: `time_zone`, or `zone` where that is empty.

        It is empty for a single date that its zone skipped (Pacific/Apia, 2011-12-30).
        """
        zone = self.time_zone or zone
        first = self.first or local_date(zone, now)
        last = self.last or first + timedelta(days=self.days - 1)
        shown = [segment for day in dates(first, last) for segment in segments(zone, day)]
        return (shown[0].start, shown[-1].end) if shown else (0, 0)


class ResolvedRequest(NamedTuple):
    """A request with the entries of the catalogue that it names, and the appointment to ignore.

    `leaving` is that appointment; what it takes counts as free.
    """

    timetable: Timetable
    service: Service
    place: Place
    staff_id: str
    seats: int
    leaving: Reservation | None
    ignored: IgnoredRules = NO_RULES

    def search(self, ledger: Ledger, now: int, within: Interval) -> Search:
        """The search for starts within an interval, with the busy time that they could overlap.

        Raises NotLoaded.
        """
        reach = self.service.taken(within[0])[0], self.service.taken(within[1] - 1)[1]
        catalog, service, place = self.timetable.catalog, self.service, self.place
        busy = busy_time(ledger, catalog, service, place.id, reach, now, self.leaving)
        return Search(
            self.timetable, service, place, busy, now, self.staff_id, self.seats, self.ignored
        )

    def part(self, ledger: Ledger, whole: Interval, around: int) -> Interval:
        """As much of an interval around an instant as one search can look at (MAX_TAKEN), at least
        an hour before and after it; raises NotLoaded.

        It is looked for in longer and longer parts, as what is loaded but not searched is in vain;
        a month is loaded in two.
        """
        catalog = self.timetable.catalog
        subjects = catalog.demand(self.service, self.place.id).subjects
        if whole[0] < whole[1] and ledger.has_at_most(MAX_TAKEN, subjects, whole):
            return whole
        reach, is_cut = min(BLOCK, max(around - whole[0], whole[1] - around)), False
        while True:
            part = max(whole[0], around - reach), min(whole[1], around + reach)
            taken = ledger.count(subjects, part) if part[0] < part[1] else 0
            if taken > MAX_TAKEN and reach > HOUR:
                reach, is_cut = max(HOUR, reach * MAX_TAKEN // (2 * taken)), True
            elif is_cut or part == whole:
                return part
            else:
                reach *= 4

    def search_at(self, ledger: Ledger, now: int, start: int) -> Search:
        """The search for one start; raises NotLoaded."""
        return self.search(ledger, now, (start, start + 1))

    def without_bookings(self, now: int) -> Search:
        """The search as if nothing were booked: what the catalogue alone allows."""
        return Search(
            self.timetable, self.service, self.place, Busy({}), now, self.staff_id, self.seats
        )

    def from_now_to_horizon(self, now: int, within: Interval) -> Interval:
        """The part of an interval from now to the horizon, for which busy time is read.

        It is wider than the booking window by the lead time, which `BookingWindow.clip` applies.
        """
        return max(within[0], now), min(within[1], now + self.service.horizon + 1)


def resolve(ledger: Ledger, timetable: Timetable, request: SlotRequest) -> ResolvedRequest:
    """Look up what a request names.

    Raises ServiceNotFound, LocationNotFound, StaffNotFound, AppointmentNotFound,
    InvalidRequest for a combination that the catalogue does not know, NotLoaded.
    """
    catalog = timetable.catalog
    service = catalog.entry(Service, request.service_id)
    leaving = appointment = None
    if request.ignore_appointment_id:
        leaving = ledger.appointment(request.ignore_appointment_id)
        appointment = leaving if leaving.service_id == service.id else None
    if appointment and request.location_id in ("", appointment.location_id):
        place = catalog.place_of(appointment.location_id)
    else:
        place = catalog.place(service, request.location_id)
    catalog.check_staff(service, request.staff_id)
    seats = request.seats or (appointment.seats if appointment else 1)
    most = max(service.capacity, appointment.seats if appointment else 0)
    if not 1 <= seats <= most:
        raise InvalidRequest({"seats": f"service {service.id} has 1 to {most}"})
    service = service.seating(seats)
    if request.duration:
        service = service.option(request.duration)
    elif appointment:
        service = service.lasting(appointment.end - appointment.start)
    return ResolvedRequest(
        timetable, service, place, request.staff_id, seats, leaving, request.ignored
    )
