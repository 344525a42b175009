"""The final store read as lives of reservations and of time off.

When a change took effect is known only within bounds: not before its instant,
and not after the first answer that shows it or a later event of the same
organization: events take effect in the order of their numbers (`seq`). What is
said to be certain holds anywhere within these bounds.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .history import OK, UNKNOWN, Attempt, Row, Tables
from .scenario import DAY, SERVICES, Service, customer_of, occurrences

FOREVER = 1 << 62
OUTCOMES = ("COMPLETED", "NO_SHOW")
LIVE = ("HELD", "CONFIRMED", *OUTCOMES)

BOOKED = "Booked "
"""How names of contacts begin that BookAppointment is given first, and no other method."""

ERASED = "APPOINTMENT_CONTACT_ERASED"

METHOD_OF = {
    "HOLD_CREATED": "HoldAppointment",
    "HOLD_EXTENDED": "ExtendHold",
    "HOLD_RELEASED": "ReleaseHold",
    "APPOINTMENT_CONFIRMED": "ConfirmAppointment",
    "APPOINTMENT_RESCHEDULED": "RescheduleAppointment",
    "APPOINTMENT_CANCELLED": "CancelAppointment",
    "APPOINTMENT_UPDATED": "UpdateAppointment",
    "APPOINTMENT_COMPLETED": "CompleteAppointment",
    "APPOINTMENT_NO_SHOW": "MarkNoShow",
    "APPOINTMENT_REOPENED": "ReopenAppointment",
    ERASED: "EraseContact",
}
"""Which request an event of a reservation answers to; an expiry answers to none."""


@dataclass
class Operation:
    """All attempts of one request under one key."""

    attempts: list[Attempt]

    @property
    def first(self) -> Attempt:
        return self.attempts[0]

    @cached_property
    def sent(self) -> int:
        return min(attempt.sent for attempt in self.attempts)

    @cached_property
    def oks(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.outcome == OK]

    @cached_property
    def acknowledged(self) -> int:
        """When its effect was there at the latest."""
        return min((attempt.answered for attempt in self.oks), default=FOREVER)

    @property
    def may_have_happened(self) -> bool:
        return any(attempt.outcome in (OK, UNKNOWN) for attempt in self.attempts)


@dataclass
class Revision:
    """One event, and the request it is attributed to.

    `seq` is its number in the ledger, `position` its place among the organization's events about
    reservations and time off, from 1; `sessions` is what it says of the sessions that it touched.
    """

    number: int
    seq: int
    at: int
    type: str
    client: str
    row: Row
    sessions: Sequence[Row]
    position: int = 0
    operation: Operation | None = None
    ignored_rules: Sequence[str] = ()
    emptied: bool = False
    """Whether its contact was erased since; `row` has it as it was."""
    not_before: int = 0
    not_after: int = FOREVER

    @property
    def is_live(self) -> bool:
        return bool(self.row["state"] in LIVE)

    @property
    def subjects(self) -> tuple[str, ...]:
        return subjects_of(self.row)

    @property
    def begins(self) -> int:
        """The start of what it is about."""
        return int(self.row["start_time"])

    def takes(self, since: int = 0, until: int = FOREVER) -> tuple[tuple[str, "Taking"], ...]:
        """What it takes of subjects, adds to the bookings of a service or of a customer, or is
        time off of."""
        if self.row["state"] == TIME_OFF:
            key = time_off_key(self.row["owner_id"])
            return tuple((key, taking) for taking in _time_off(self.row, since, until))
        if not self.is_live:
            return ()
        taking = taking_of(self.row, since, until)
        return tuple((subject, taking) for subject in (*self.subjects, *_counted_as(self.row)))

    @property
    def place(self) -> tuple[object, ...]:
        return self.row["session_id"], self.row["start_time"], self.row["seats"], self.subjects


TIME_OFF, NO_TIME_OFF = "TIME_OFF", "NO_TIME_OFF"
"""The states of time off: there, or deleted."""

TIME_OFF_EVENTS = ("TIME_OFF_SET", "TIME_OFF_DELETED")


def time_off_key(owner_id: str) -> str:
    """Under what the time off of an owner is, beside what is taken."""
    return f"off {owner_id}"


def bookings_key(service_id: str) -> str:
    """Under what the bookings of a service are that count for its limit."""
    return f"bookings {service_id}"


def customer_key(service_id: str, email: str) -> str:
    """Under what the appointments of a customer are that count for the limit of a service."""
    return f"customer {service_id} {customer_of(email)}"


def _counted_as(row: Row) -> Iterator[str]:
    """Under what a reservation counts for limits."""
    service = SERVICES[row["service_id"]]
    if service.max_a_day:
        yield bookings_key(service.id)
    if service.max_of_a_customer and row["appointment_id"] and row["contact_email"]:
        yield customer_key(service.id, row["contact_email"])


def subjects_of(row: Row) -> tuple[str, ...]:
    """What a reservation takes: its person and its rooms, or its service at its location."""
    staff = (row["staff_id"],) if row["staff_id"] else ()
    own = f"{row['service_id']}@{row['location_id']}"
    return (*staff, *json.loads(row["resource_ids"])) or (own,)


@dataclass(frozen=True)
class Taking:
    """A subject taken for an interval, from one instant of real time to another."""

    hold_id: str
    session_id: str
    service_id: str
    location_id: str
    start: int
    seats: int
    busy: tuple[int, int]
    since: int
    until: int


@dataclass
class Life:
    """A reservation and its revisions in order."""

    org: str
    hold_id: str
    row: Row | None
    revisions: list[Revision] = field(default_factory=list)
    skew: int = 0

    @property
    def is_booked(self) -> bool:
        """Whether it was held and confirmed in one step, as the name of its contact tells."""
        second = self.revisions[1] if len(self.revisions) > 1 else None
        return bool(second and second.row["contact_name"].startswith(BOOKED))

    def method_of(self, revision: Revision) -> str:
        """Which request an event answers to."""
        return "BookAppointment" if self._is_booking(revision) else METHOD_OF[revision.type]

    def _is_booking(self, revision: Revision) -> bool:
        return self.is_booked and revision.number <= 2

    def possible(self) -> Iterator[tuple[Revision, int, int]]:
        """Each stay at one place, with the longest time for which it may have been there."""
        first: Revision | None = None
        until = 0
        for revision in self.revisions:
            if first and (not revision.is_live or revision.place != first.place):
                yield first, first.not_before, min(until, revision.not_after)
                first = None
            if revision.is_live:
                first = first or revision
                until = runs_out(revision.row)
        if first:
            yield first, first.not_before, until

    def certain(self) -> Iterator[tuple[Revision, int, int]]:
        """Each live revision, with a time in which it must have been there."""
        for number, revision in enumerate(self.revisions):
            if revision.is_live:
                ended = next(
                    (
                        later.not_before
                        for later in self.revisions[number + 1 :]
                        if not later.is_live or later.place != revision.place
                    ),
                    FOREVER,
                )
                until = min(ended, runs_out(revision.row) - self.skew)
                if revision.not_after < until:
                    yield revision, revision.not_after, until


def runs_out(row: Row) -> int:
    """The instant at which a live reservation ends by itself."""
    return int(row["expires_at"]) if row["state"] == "HELD" else FOREVER


def taking_of(row: Row, since: int = 0, until: int = FOREVER) -> Taking:
    """What a reservation takes of each of its subjects."""
    return Taking(
        row["hold_id"],
        row["session_id"],
        row["service_id"],
        row["location_id"],
        row["start_time"],
        row["seats"],
        SERVICES[row["service_id"]].taken(row["start_time"]),
        since,
        until,
    )


def _time_off(row: Row, since: int, until: int) -> Iterator[Taking]:
    for busy in occurrences_of(row):
        yield Taking(row["id"], row["id"], "", "", busy[0], 0, busy, since, until)


def occurrences_of(row: Row) -> list[tuple[int, int]]:
    """When time off is."""
    return occurrences(row["start_time"], row["end_time"], row.get("recurrence", ""))


Entry = tuple[Life, Revision]
"""An event, and the reservation or the time off that it is about."""


@dataclass(frozen=True)
class EventOrder:
    """An organization's events about reservations and time off, in the order of their numbers."""

    entries: Sequence[Entry]

    @cached_property
    def _not_before(self) -> list[int]:
        return [revision.not_before for _, revision in self.entries]

    @cached_property
    def _not_after(self) -> list[int]:
        return [revision.not_after for _, revision in self.entries]

    def positions(self, sent: int, answered: int) -> tuple[int, int]:
        """How many events had certainly taken effect when a request was sent, and how many may have
        when it was answered: what was answered is the state after so many, or some between."""
        certain = bisect_right(self._not_after, sent)
        return certain, max(certain, bisect_right(self._not_before, answered))


@dataclass
class Ledger:
    """Everything that the judge reads, put together."""

    operations: list[Operation]
    """Those on reservations."""
    catalog_changes: list[Operation]
    reads: list[Attempt]
    lives: dict[tuple[str, str], Life]
    time_off: dict[tuple[str, str], Life]
    tables: Tables
    read_at: int
    skew: int = 0
    orders: dict[str, EventOrder] = field(default_factory=dict)
    unattributed: list[str] = field(default_factory=list)
    exports: list[Attempt] = field(default_factory=list)
    erasures: list[Attempt] = field(default_factory=list)

    @cached_property
    def by_appointment(self) -> dict[tuple[str, str], Life]:
        return {
            (life.org, life.revisions[-1].row["appointment_id"]): life
            for life in self.lives.values()
            if life.revisions
        }

    def of(self, attempt: Attempt) -> Life | None:
        """The reservation that a request names."""
        if hold_id := attempt.request.get("hold_id"):
            return self.lives.get((attempt.org, hold_id))
        return self.by_appointment.get((attempt.org, attempt.request.get("appointment_id", "")))

    @cached_property
    def possible(self) -> dict[tuple[str, str, int], list[Taking]]:
        """What may have been taken, may have counted for a limit, or may have been time off, by
        organization, subject and day."""
        found: dict[tuple[str, str, int], list[Taking]] = defaultdict(list)
        for life in self.lives.values():
            for revision, since, until in life.possible():
                for subject, taking in revision.takes(since, until):
                    found[life.org, subject, taking.start // DAY].append(taking)
        for life in self.time_off.values():
            made, *deleted = life.revisions
            until = min((one.not_after for one in deleted), default=FOREVER)
            for subject, taking in made.takes(made.not_before, until):
                found[life.org, subject, taking.start // DAY].append(taking)
        return found

    @cached_property
    def certain(self) -> dict[tuple[str, str, int], list[Taking]]:
        """What must have been taken, likewise, in order of its beginning; neither limits nor time
        off."""
        found: dict[tuple[str, str, int], list[Taking]] = defaultdict(list)
        for life in self.lives.values():
            for revision, since, until in life.certain():
                taking = taking_of(revision.row, since, until)
                for subject in revision.subjects:
                    found[life.org, subject, taking.start // DAY].append(taking)
        for takings in found.values():
            takings.sort(key=lambda taking: taking.since)
        return found

    def occupancy(
        self,
        takings: Mapping[tuple[str, str, int], list[Taking]],
        attempt: Attempt,
        service: Service,
        when: int,
    ) -> dict[str, list[Taking]]:
        """What was in the way of a service, on the day of an instant, at some moment between a
        request and its answer; `takings` are `possible` or `certain`."""
        location_id = attempt.request.get("location_id", "")
        return {
            subject: [
                one
                for one in takings.get((attempt.org, subject, when // DAY), ())
                if one.since <= attempt.answered and attempt.sent <= one.until
            ]
            for subject in _in_the_way(service, location_id)
        }


def _in_the_way(service: Service, location_id: str) -> Iterable[str]:
    """Under what everything is that can be in the way of a service at a location."""
    subjects = service.subjects(location_id)
    return (*subjects, *map(time_off_key, (*subjects, location_id)), bookings_key(service.id))


_COLUMNS = {
    "service_id": "service_id",
    "location_id": "location_id",
    "start": "start_time",
    "end": "end_time",
    "staff_id": "staff_id",
    "seats": "seats",
    "expires_at": "expires_at",
    "appointment_id": "appointment_id",
    "contact_name": "contact_name",
    "contact_email": "contact_email",
    "cancel_reason": "cancel_reason",
}


def shows(answer: Mapping[str, Any], revision: Revision) -> bool:
    """Whether an answer is a reservation as a revision left it."""
    row = revision.row
    if revision.emptied and not answer.get("contact_email", row["contact_email"]):
        row = {**row, "contact_name": "", "contact_email": "", "cancel_reason": ""}
    return (
        answer["state"] == row["state"]
        and answer["resource_ids"] == json.loads(row["resource_ids"])
        and answer.get("etag", str(revision.number)) == str(revision.number)
        and all(answer[name] == row[column] for name, column in _COLUMNS.items() if name in answer)
    )
