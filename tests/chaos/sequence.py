"""Whether the events of each organization, in the order of their numbers, are one legal history.

The numbers have no gap and no repetition, ledger time does not run back, and
the tables are exactly what the events come to.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from .history import Row
from .ledger import (
    ERASED,
    TIME_OFF_EVENTS,
    EventOrder,
    Ledger,
    Life,
    Revision,
    runs_out,
    subjects_of,
)
from .scenario import SERVICES, Service


def sequence_violations(ledger: Ledger) -> Iterator[str]:
    """In words, everything by which the ledgers are no history."""
    events: dict[str, list[Row]] = defaultdict(list)
    for event in ledger.tables["events"]:
        events[event["org_id"]].append(event)
    heads = {row["org_id"]: row for row in ledger.tables["ledgers"]}
    for org in events.keys() | heads.keys():
        some = sorted(events[org], key=lambda event: int(event["seq"]))
        yield from (f"{org}: {what}" for what in _misnumbered(some, heads.get(org)))
    replays = {org: _Replay(order) for org, order in ledger.orders.items()}
    for org, order in ledger.orders.items():
        yield from (f"{org}: {what}" for what in _against_the_clock(order))
        yield from (f"{org}: {what}" for what in replays[org].wrong)
    yield from _allocations(ledger, replays)
    yield from _sessions(ledger, replays)


def _misnumbered(events: list[Row], head: Row | None) -> Iterator[str]:
    """The numbers are 1, 2, 3 and so on to the head's, and time does not run back along them."""
    numbers = [event["seq"] for event in events]
    for before, after in pairwise([0, *numbers]):
        if after != before + 1:
            yield f"the event after number {before} has the number {after}"
    for one, other in pairwise(events):
        if other["time"] < one["time"]:
            yield f"ledger time runs back by {one['time'] - other['time']} at {other['seq']}"
    if head is None:
        yield "it has events and no head"
        return
    last = events[-1] if events else {"seq": 0, "time": 0}
    if head["seq"] != last["seq"]:
        yield f"the head is at {head['seq']}, the last event at {last['seq']}"
    if head["time"] < last["time"]:
        yield f"the head's time is {head['time']}, the last event's {last['time']}"
    of_catalog = [event["seq"] for event in events if event["type"].endswith(("_SET", "_DELETED"))]
    if head["catalog_version"] != max(of_catalog, default=0):
        yield f"the catalogue's version is {head['catalog_version']}, its events {of_catalog}"


def _against_the_clock(order: EventOrder) -> Iterator[str]:
    """What was answered must have taken effect before all that was decided later."""
    for life, revision in order.entries:
        if revision.not_before > revision.not_after:
            yield (
                f"{life.hold_id} revision {revision.number}, number {revision.seq}, took effect "
                f"not before {revision.not_before} by the order of the ledger, and not after "
                f"{revision.not_after} by what was answered"
            )


class _Replay:
    """What the events of one organization come to, and what is wrong on the way."""

    def __init__(self, order: EventOrder) -> None:
        self.wrong: list[str] = []
        self.facts: dict[str, Row] = {}
        """The sessions that have not ended, as events said."""
        self._rows: dict[str, Row] = {}
        self._members: dict[str, dict[str, Row]] = defaultdict(dict)
        self._by_subject: dict[str, dict[str, Row]] = defaultdict(dict)
        for life, revision in order.entries:
            if revision.type not in TIME_OFF_EVENTS:
                self._apply(life, revision)

    def _apply(self, life: Life, revision: Revision) -> None:
        name, row = f"{life.hold_id} revision {revision.number}", revision.row
        touched = {row["session_id"]}
        if before := self._rows.pop(life.hold_id, None):
            touched.add(before["session_id"])
            del self._members[before["session_id"]][life.hold_id]
            for subject in subjects_of(before):
                del self._by_subject[subject][life.hold_id]
        if revision.is_live:
            self.wrong += (f"{name}: {what}" for what in self._collisions(revision))
            self._rows[life.hold_id] = self._members[row["session_id"]][life.hold_id] = row
            for subject in subjects_of(row):
                self._by_subject[subject][life.hold_id] = row
        self.wrong += (f"{name}: {what}" for what in _instants(revision))
        told = {facts["session_id"]: facts for facts in revision.sessions}
        touched = set() if revision.type == ERASED else touched
        if told.keys() != touched:
            self.wrong.append(f"{name} tells of the sessions {sorted(told)}, not {sorted(touched)}")
        for session_id, facts in told.items():
            self._tell(name, session_id, facts, revision.at)

    def _collisions(self, revision: Revision) -> Iterator[str]:
        """What a reservation meets that stands at the instant of its event."""
        row, at = revision.row, revision.at
        begin, end = _service(row).taken(row["start_time"])
        for subject in subjects_of(row):
            for other in self._by_subject[subject].values():
                busy = _service(other).taken(other["start_time"])
                meets = busy[0] < end and begin < busy[1] and runs_out(other) > at
                if meets and other["session_id"] != row["session_id"]:
                    yield f"it and {other['hold_id']} overlap on {subject}, in the ledger's order"
        members = self._members[row["session_id"]].values()
        seats = row["seats"] + sum(one["seats"] for one in members if runs_out(one) > at)
        if seats > _service(row).capacity:
            yield f"session {row['session_id']} has {seats} seats sold, in the ledger's order"

    def _tell(self, name: str, session_id: str, facts: Row, at: int) -> None:
        """Compare what an event says of a session with the reservations in it."""
        known = self.facts.pop(session_id, None)
        members = self._members[session_id].values()
        booked_at = known["booked_at"] if known else at
        implied = {"until": 0, "seats_taken": 0, "booked_at": booked_at}
        for row in members:
            implied |= _implied(row)
            implied["until"] = max(runs_out(one) for one in members)
            implied["seats_taken"] = sum(one["seats"] for one in members)
        if wrong := {key: facts[key] for key in implied if facts[key] != implied[key]}:
            self.wrong.append(f"{name} says {wrong} of the session {session_id}: it is {implied}")
        if members:
            self.facts[session_id] = facts

    def allocations(self, org: str) -> set[tuple[object, ...]]:
        """The rows of `allocations` that the events come to."""
        return {
            (
                org,
                subject,
                *facts["busy"],
                facts["start"],
                session_id,
                facts["until"],
                facts["booked_at"],
            )
            for session_id, facts in self.facts.items()
            for subject in _subjects(facts)
        }

    def seats(self, org: str) -> dict[tuple[str, str], tuple[int, int]]:
        """The rows of `sessions` that the events come to."""
        return {
            (org, session_id): (facts["seats_taken"], facts["capacity"])
            for session_id, facts in self.facts.items()
            if facts["capacity"] > 1
        }


def _subjects(facts: Row) -> tuple[str, ...]:
    staff = (facts["staff_id"],) if facts["staff_id"] else ()
    return (*staff, *facts["resource_ids"]) or (f"{facts['service_id']}@{facts['location_id']}",)


def _instants(revision: Revision) -> Iterator[str]:
    """A reservation says when it was changed last: at the instant of the event, but for an expiry,
    which happens by itself."""
    row = revision.row
    by_itself = revision.type == "HOLD_EXPIRED"
    if row["update_time"] != (row["expires_at"] if by_itself else revision.at):
        yield f"its event is of {revision.at}, its update_time {row['update_time']}"
    if row["revision"] != revision.number:
        yield f"it says that it is revision {row['revision']}"


def _implied(row: Row) -> dict[str, Any]:
    """What a reservation says of its session."""
    service = _service(row)
    return {
        "service_id": row["service_id"],
        "location_id": row["location_id"],
        "staff_id": row["staff_id"],
        "resource_ids": json.loads(row["resource_ids"]),
        "start": row["start_time"],
        "end": row["end_time"],
        "busy": list(service.taken(row["start_time"])),
        "capacity": service.capacity,
    }


def _service(row: Row) -> Service:
    return SERVICES[row["service_id"]]


_ALLOCATION = (
    "org_id",
    "subject",
    "busy_start",
    "busy_end",
    "start_time",
    "session_id",
    "expires_at",
    "booked_at",
)


def _allocations(ledger: Ledger, replays: dict[str, _Replay]) -> Iterator[str]:
    """What is busy is exactly what the live reservations take."""
    implied = {one for org, replay in replays.items() for one in replay.allocations(org)}
    kept = {tuple(row[name] for name in _ALLOCATION) for row in ledger.tables["allocations"]}
    yield from (f"taken without an allocation: {one}" for one in implied - kept)
    yield from (f"an allocation without a reservation: {one}" for one in kept - implied)


def _sessions(ledger: Ledger, replays: dict[str, _Replay]) -> Iterator[str]:
    """Each group session counts the seats of its reservations."""
    implied = {
        key: seats for org, replay in replays.items() for key, seats in replay.seats(org).items()
    }
    counted = {
        (row["org_id"], row["session_id"]): (row["seats_taken"], row["capacity"])
        for row in ledger.tables["sessions"]
    }
    for key in implied.keys() | counted.keys():
        if implied.get(key) != counted.get(key):
            yield f"session {key} has {implied.get(key)} seats sold and {counted.get(key)} counted"
