"""The final store read as lives of reservations, and which request brought each change about.

When a change took effect is known only within bounds: not before its instant,
and not after the first answer that shows it or a later event of the same
organization: events take effect in the order of their numbers (`seq`). What is
said to be certain holds anywhere within these bounds.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .history import CATALOG_CHANGE, OK, READS, UNKNOWN, Attempt, Record, Row, Tables
from .scenario import DAY, SERVICES, Service

FOREVER = 1 << 62
LIVE = ("HELD", "CONFIRMED")

BOOKED = "Booked "
"""How names of contacts begin that BookAppointment is given first, and no other method."""

METHOD_OF = {
    "HOLD_CREATED": "HoldAppointment",
    "HOLD_EXTENDED": "ExtendHold",
    "HOLD_RELEASED": "ReleaseHold",
    "APPOINTMENT_CONFIRMED": "ConfirmAppointment",
    "APPOINTMENT_RESCHEDULED": "RescheduleAppointment",
    "APPOINTMENT_CANCELLED": "CancelAppointment",
    "APPOINTMENT_UPDATED": "UpdateAppointment",
}
"""Which request an event answers to; an expiry answers to none."""


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
    reservations, from 1; `sessions` is what it says of the sessions that it touched.
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
    not_before: int = 0
    not_after: int = FOREVER

    @property
    def is_live(self) -> bool:
        return bool(self.row["state"] in LIVE)

    @property
    def subjects(self) -> tuple[str, ...]:
        return subjects_of(self.row)

    @property
    def place(self) -> tuple[object, ...]:
        return self.row["session_id"], self.row["start_time"], self.row["seats"], self.subjects


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
    return FOREVER if row["state"] == "CONFIRMED" else int(row["expires_at"])


def taking_of(row: Row, since: int = 0, until: int = FOREVER) -> Taking:
    """What a reservation takes of each of its subjects."""
    return Taking(
        row["hold_id"],
        row["session_id"],
        row["service_id"],
        row["start_time"],
        row["seats"],
        SERVICES[row["service_id"]].taken(row["start_time"]),
        since,
        until,
    )


Entry = tuple[Life, Revision]
"""An event, and the reservation that it is about."""


@dataclass(frozen=True)
class Order:
    """An organization's events about reservations, in the order of their numbers."""

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
    tables: Tables
    read_at: int
    skew: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)

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
        """What may have been taken, by organization, subject and day."""
        return self._takings((life, life.possible()) for life in self.lives.values())

    @cached_property
    def certain(self) -> dict[tuple[str, str, int], list[Taking]]:
        """What must have been taken, likewise, in order of its beginning."""
        found = self._takings((life, life.certain()) for life in self.lives.values())
        for takings in found.values():
            takings.sort(key=lambda taking: taking.since)
        return found

    def standing(
        self,
        takings: Mapping[tuple[str, str, int], list[Taking]],
        attempt: Attempt,
        service: Service,
        when: int,
    ) -> dict[str, list[Taking]]:
        """What was taken of each subject of a service, on the day of an instant, at some moment
        between a request and its answer; `takings` are `possible` or `certain`."""
        return {
            subject: [
                one
                for one in takings.get((attempt.org, subject, when // DAY), ())
                if one.since <= attempt.answered and attempt.sent <= one.until
            ]
            for subject in service.subjects
        }

    def _takings(
        self, stays: Iterable[tuple[Life, Iterator[tuple[Revision, int, int]]]]
    ) -> dict[tuple[str, str, int], list[Taking]]:
        found: dict[tuple[str, str, int], list[Taking]] = defaultdict(list)
        for life, times in stays:
            for revision, since, until in times:
                taking = taking_of(revision.row, since, until)
                for subject in revision.subjects:
                    found[life.org, subject, taking.start // DAY].append(taking)
        return found


def put_together(record: Record) -> Ledger:
    """The ledger of a recorded run."""
    writes = [one for one in record.attempts if one.method not in READS]
    reads = [one for one in record.attempts if one.method in READS]
    lives = _lives(record)
    operations = _operations(one for one in writes if one.method != CATALOG_CHANGE)
    changes = _operations(one for one in writes if one.method == CATALOG_CHANGE)
    ledger = Ledger(operations, changes, reads, lives, record.tables, record.read_at, record.skew)
    ledger.orders = _orders(lives.values())
    _attribute(ledger)
    seen = _seen(ledger)
    for order in ledger.orders.values():
        _bound(order.entries, seen, record.skew)
    return ledger


def _seen(ledger: Ledger) -> dict[tuple[str, str, str], int]:
    """When somebody first had read each revision, which then was there, by its hold and etag."""
    found: dict[tuple[str, str, str], int] = {}
    for attempt in ledger.reads:
        for item in attempt.answer.get("items", ()):
            key = attempt.org, item["hold_id"], item["etag"]
            found[key] = min(attempt.answered, found.get(key, FOREVER))
    return found


_DERIVED = ("contact_key",)
"""Columns of a reservation that follow from others, so that events do not have them."""

_COLUMNS = {
    "service_id": "service_id",
    "start": "start_time",
    "end": "end_time",
    "staff_id": "staff_id",
    "seats": "seats",
    "expires_at": "expires_at",
    "appointment_id": "appointment_id",
    "contact_name": "contact_name",
    "cancel_reason": "cancel_reason",
}


def shows(answer: Mapping[str, Any], revision: Revision) -> bool:
    """Whether an answer is a reservation as a revision left it."""
    row = revision.row
    return (
        answer["state"] == row["state"]
        and answer["resource_ids"] == json.loads(row["resource_ids"])
        and answer.get("etag", str(revision.number)) == str(revision.number)
        and all(answer[name] == row[column] for name, column in _COLUMNS.items() if name in answer)
    )


def _operations(attempts: Iterable[Attempt]) -> list[Operation]:
    found: dict[tuple[str, str, str, str, str], list[Attempt]] = defaultdict(list)
    for one in attempts:
        found[one.org, one.client, one.method, one.key, json.dumps(one.request)].append(one)
    return [Operation(sorted(group, key=lambda one: one.sent)) for group in found.values()]


def _lives(record: Record) -> dict[tuple[str, str], Life]:
    rows = {
        (row["org_id"], row["hold_id"]): {name: row[name] for name in row if name not in _DERIVED}
        for row in record.tables["reservations"]
    }
    lives = {key: Life(*key, row, skew=record.skew) for key, row in rows.items()}
    of_holds = (event for event in record.tables["events"] if event["hold_id"])
    for event in sorted(of_holds, key=lambda event: (event["seq"], event["revision"])):
        key = event["org_id"], event["hold_id"]
        life = lives.setdefault(key, Life(*key, None, skew=record.skew))
        data = json.loads(event["data"])
        life.revisions.append(
            Revision(
                event["revision"],
                event["seq"],
                event["time"],
                event["type"],
                event["client_id"],
                data["reservation"],
                data["sessions"],
                ignored_rules=data.get("ignored_rules", ()),
            )
        )
    return lives


def _orders(lives: Iterable[Life]) -> dict[str, Order]:
    entries: dict[str, list[Entry]] = defaultdict(list)
    for life in lives:
        entries[life.org] += [(life, revision) for revision in life.revisions]
    for some in entries.values():
        some.sort(key=lambda entry: (entry[1].seq, entry[1].number))
        for position, (_, revision) in enumerate(some, 1):
            revision.position = position
    return {org: Order(some) for org, some in entries.items()}


Identity = tuple[object, ...]


def _attribute(ledger: Ledger) -> None:
    """Give each event its request: the one that was answered with it, or one never answered.

    A request has one effect, so it is given away once. Events without a
    request are what nobody asked for.
    """
    answered: dict[Identity, list[Operation]] = defaultdict(list)
    open_ones: dict[Identity, list[Operation]] = defaultdict(list)
    for operation in ledger.operations:
        if operation.oks:
            answered[_identity_answered(operation)].append(operation)
        elif operation.may_have_happened:
            open_ones[_asked(operation.first)].append(operation)
    # In their order, to whoever was answered first: if any attribution fits, this one does.
    events = [
        (life, revision)
        for order in ledger.orders.values()
        for life, revision in order.entries
        if revision.type in METHOD_OF
        # The first event of a booking in one step has the request of the second.
        if not (life.is_booked and revision.number == 1)
    ]

    def fits(revision: Revision, operation: Operation) -> bool:
        return operation.sent <= revision.at <= operation.acknowledged + ledger.skew

    for life, revision in events:
        # A hold that is released already answers the same to whoever releases it again.
        _give(revision, answered[_identity(life, revision)], fits)
    for life, revision in events:
        _give(revision, open_ones[_asked_for(life, revision)], fits)
        _give(revision, answered[_identity(life, revision)], lambda *_: True)
        if revision.operation is None:
            ledger.unasked.append(
                f"{life.org} {life.hold_id} revision {revision.number}: {revision.type} by "
                f"{revision.client or 'nobody'}, which no request explains"
            )
    for life in ledger.lives.values():
        if life.is_booked:
            life.revisions[0].operation = life.revisions[1].operation


def _give(
    revision: Revision,
    candidates: list[Operation],
    fits: Callable[[Revision, Operation], bool],
) -> None:
    """Attribute a revision that has no request yet to the one that fits and was answered first,
    and give that away."""
    fitting = [one for one in candidates if fits(revision, one)]
    found = min(fitting, key=lambda one: one.acknowledged, default=None)
    if found and revision.operation is None:
        revision.operation = found
        candidates.remove(found)


def _identity(life: Life, revision: Revision) -> Identity:
    """What the answer to the request of an event says of it.

    Every confirmation carries a name of its own and every cancellation a reason
    of its own, so that those without an effect are told from the one with it.
    """
    method, row = life.method_of(revision), revision.row
    tells = {
        "BookAppointment": row["contact_name"],
        "UpdateAppointment": row["contact_name"],
        "HoldAppointment": "",
        "ExtendHold": row["expires_at"],
        "ReleaseHold": row["state"],
        "ConfirmAppointment": row["contact_name"],
        "CancelAppointment": row["cancel_reason"],
        "RescheduleAppointment": str(revision.number),
    }
    return life.org, revision.client, method, life.hold_id, tells[method]


def _identity_answered(operation: Operation) -> Identity:
    first, answer = operation.first, operation.oks[0].answer
    tells = {
        "BookAppointment": first.request.get("contact_name"),
        "UpdateAppointment": first.request.get("contact_name"),
        "HoldAppointment": "",
        "ExtendHold": answer.get("expires_at"),
        "ReleaseHold": answer["state"],
        "ConfirmAppointment": first.request.get("contact_name"),
        "CancelAppointment": first.request.get("cancel_reason"),
        "RescheduleAppointment": answer.get("etag"),
    }
    return first.org, first.client, first.method, answer["hold_id"], tells[first.method]


def _asked(attempt: Attempt) -> Identity:
    """What a request that was never answered asks for, in the words of `_asked_for`."""
    request = attempt.request
    head: Identity = (attempt.org, attempt.client, attempt.method)
    if attempt.method == "HoldAppointment":
        return (*head, request["service_id"], request["start"], request.get("seats", 1))
    if attempt.method in ("BookAppointment", "UpdateAppointment"):
        return (*head, request["contact_name"])
    if attempt.method == "ConfirmAppointment":
        return (*head, request["hold_id"], request["contact_name"])
    if attempt.method == "CancelAppointment":
        return (*head, request["appointment_id"], request["cancel_reason"])
    if attempt.method == "RescheduleAppointment":
        return (*head, request["appointment_id"], request["start"])
    return (*head, request["hold_id"])


def _asked_for(life: Life, revision: Revision) -> Identity:
    method, row = life.method_of(revision), revision.row
    head: Identity = (life.org, revision.client, method)
    if method == "HoldAppointment":
        return (*head, row["service_id"], row["start_time"], row["seats"])
    if method in ("BookAppointment", "UpdateAppointment"):
        return (*head, row["contact_name"])
    if method == "ConfirmAppointment":
        return (*head, life.hold_id, row["contact_name"])
    if method == "CancelAppointment":
        return (*head, row["appointment_id"], row["cancel_reason"])
    if method == "RescheduleAppointment":
        return (*head, row["appointment_id"], row["start_time"])
    return (*head, life.hold_id)


def _bound(entries: Sequence[Entry], seen: Mapping[tuple[str, str, str], int], skew: int) -> None:
    """When each revision took effect: between its instant, which the server read before it began,
    and the first answer that shows it; and in the order of their numbers."""
    earliest, latest = 0, FOREVER
    for _, revision in entries:
        earliest = revision.not_before = max(earliest, revision.at - skew)
    for life, revision in reversed(entries):
        if revision.operation:
            latest = min(latest, revision.operation.acknowledged)
        latest = min(latest, seen.get((life.org, life.hold_id, str(revision.number)), FOREVER))
        revision.not_after = latest
