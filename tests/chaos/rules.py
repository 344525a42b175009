"""Whether each event was allowed by what stood at its number: limits, time off, and the clock."""

from collections.abc import Iterator

from .history import Row
from .ledger import (
    OUTCOMES,
    TIME_OFF,
    EventOrder,
    Ledger,
    Revision,
    occurrences_of,
    runs_out,
    subjects_of,
)
from .scenario import DAY, LOCATIONS, SERVICES, customer_of

CHOOSING = ("HOLD_CREATED", "APPOINTMENT_RESCHEDULED")
"""The events that choose a time."""

NAMING = ("APPOINTMENT_CONFIRMED", "APPOINTMENT_UPDATED", "APPOINTMENT_RESCHEDULED")
"""The events after which an appointment is another customer's or on another day."""


def rule_violations(ledger: Ledger) -> Iterator[str]:
    """In words, every event that some rule forbade."""
    for org, order in ledger.orders.items():
        yield from (f"{org}: {what}" for what in _Replay().judge(order))


class _Replay:
    """What was booked and what was time off, event by event."""

    def __init__(self) -> None:
        self._booked: dict[str, Row] = {}
        self._time_off: dict[str, Row] = {}

    def judge(self, order: EventOrder) -> Iterator[str]:
        for life, revision in order.entries:
            name = f"{life.hold_id} revision {revision.number}"
            before = self._booked.pop(life.hold_id, None)
            self._time_off.pop(life.hold_id, None)
            if revision.row["state"] == TIME_OFF:
                yield from (f"{name}: {what}" for what in self._time_off_made(revision))
                self._time_off[life.hold_id] = revision.row
            elif revision.is_live:
                yield from (f"{name}: {what}" for what in self._changed(revision, before))
                self._booked[life.hold_id] = revision.row

    def _time_off_made(self, revision: Revision) -> Iterator[str]:
        """Time off meets bookings only where that was allowed, and its answer names them."""
        met = {
            one["hold_id"]
            for one in self._booked.values()
            if runs_out(one) > revision.at and overlaps(one, revision.row)
        }
        operation = revision.operation
        if met and operation and not operation.first.request["allow_conflicts"]:
            yield f"time off was made over the bookings {sorted(met)}"
        for attempt in operation.oks if operation else ():
            if attempt.answer["conflicts"] != len(met):
                yield f"it met {sorted(met)}, and the answer says {attempt.answer}"

    def _changed(self, revision: Revision, before: Row | None) -> Iterator[str]:
        row = revision.row
        if revision.type in CHOOSING:
            for time_off in self._time_off.values():
                if overlaps(row, time_off):
                    again = " that recurs" if row["start_time"] >= time_off["end_time"] else ""
                    yield f"it was booked in the time off {time_off['id']}{again}"
            yield from self._over_the_limit(revision)
        if revision.type in NAMING:
            yield from self._over_the_customers_limit(revision)
        if row["state"] in OUTCOMES and revision.at < row["start_time"]:
            yield f"{revision.type} at {revision.at}, before it starts at {row['start_time']}"
        if before and before["location_id"] != row["location_id"]:
            yield f"it went from {before['location_id']} to {row['location_id']}"

    def _over_the_limit(self, revision: Revision) -> Iterator[str]:
        """A day has no more bookings of a service than its limit says."""
        service, day = SERVICES[revision.row["service_id"]], revision.begins // DAY
        others = [
            one["hold_id"]
            for one in self._booked.values()
            if (one["service_id"], one["start_time"] // DAY) == (service.id, day)
            and runs_out(one) > revision.at
        ]
        if service.max_a_day and len(others) >= service.max_a_day:
            yield f"beyond the limit of {service.max_a_day} of {service.id} on a day: {others}"

    def _over_the_customers_limit(self, revision: Revision) -> Iterator[str]:
        """On a day a customer has no more appointments of a service than its limit says."""
        service, keys = SERVICES[revision.row["service_id"]], _customer_and_day(revision.row)
        if not service.max_of_a_customer or not revision.row["contact_email"]:
            return
        others = [
            one["hold_id"]
            for one in self._booked.values()
            if one["appointment_id"] and _customer_and_day(one) == keys
        ]
        if len(others) >= service.max_of_a_customer:
            limit = f"{service.max_of_a_customer} of {service.id}"
            yield f"beyond the customer's limit of {limit} on a day: {others}"


def _customer_and_day(row: Row) -> tuple[str, str, int]:
    return row["service_id"], customer_of(row["contact_email"]), row["start_time"] // DAY


def overlaps(row: Row, time_off: Row) -> bool:
    """Whether a reservation lies in time off of what it takes, or of its location."""
    owner_id = time_off["owner_id"]
    owns = row["location_id"] == owner_id if owner_id in LOCATIONS else owner_id in subjects_of(row)
    return owns and any(
        row["start_time"] < ends and begins < row["end_time"]
        for begins, ends in occurrences_of(time_off)
    )
