"""The judge: from what was asked, what was answered and the final store to violations, in words.

It knows the offer as plain facts (`scenario`) and nothing of the server's code.
`python -m tests.chaos.checker DIR` judges a run that was kept.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from pathlib import Path

from .assembly import build_ledger
from .catalog import catalog_violations
from .erasure import PERSONAL, erasure_violations, without_contact
from .history import Attempt, Record, Row
from .ledger import (
    ERASED,
    LIVE,
    OUTCOMES,
    Ledger,
    Life,
    Taking,
    runs_out,
    shows,
    subjects_of,
    taking_of,
)
from .reads import read_violations
from .refusals import refusal_violations
from .rules import rule_violations
from .scenario import DAY, HOLD_LENGTH, HOLD_LIMIT, SERVICES
from .sequence import sequence_violations
from .states import States


def violations(record: Record) -> list[str]:
    """Everything that is wrong with a run."""
    ledger = build_ledger(record)
    states = States(ledger)
    return [
        *_sold_twice_at_the_end(ledger),
        *_sold_twice_on_the_way(ledger),
        *_lost(ledger),
        *(f"event without a request: {one}" for one in ledger.unattributed),
        *_out_of_time(ledger),
        *_repeated(ledger),
        *_kept_answers(ledger),
        *refusal_violations(ledger, states),
        *read_violations(ledger, states),
        *_broken_stories(ledger),
        *_set_aside(ledger),
        *rule_violations(ledger),
        *sequence_violations(ledger),
        *catalog_violations(ledger),
        *erasure_violations(ledger),
    ]


def _live(ledger: Ledger) -> list[Row]:
    """The reservations that keep their time busy when the store was read."""
    return [
        row
        for row in ledger.tables["reservations"]
        if row["state"] in LIVE and runs_out(row) > ledger.read_at
    ]


def _sold_twice_at_the_end(ledger: Ledger) -> Iterator[str]:
    takings: dict[tuple[str, str], list[Taking]] = defaultdict(list)
    for row in _live(ledger):
        for subject in subjects_of(row):
            takings[row["org_id"], subject].append(taking_of(row))
    for (org, subject), found in takings.items():
        yield from (f"at the end {org} {subject}: {what}" for what in _collisions(found))


def _sold_twice_on_the_way(ledger: Ledger) -> Iterator[str]:
    """Takings that were certain at one moment, found as each of them begins."""
    for (org, subject, _), takings in ledger.certain.items():
        active: list[Taking] = []
        told: set[str] = set()
        for taking in takings:
            active = [one for one in active if one.until > taking.since]
            active.append(taking)
            near = [one for one in active if _touch(one, taking)]
            for what in _collisions(near):
                if what not in told:
                    told.add(what)
                    yield f"on the way {org} {subject} at {taking.since}: {what}"


def _touch(one: Taking, other: Taking) -> bool:
    return one.busy[0] < other.busy[1] and other.busy[0] < one.busy[1]


def _collisions(takings: Iterable[Taking]) -> Iterator[str]:
    """What is sold twice among takings of one subject that stand at the same moment."""
    by_hold = {taking.hold_id: taking for taking in takings}
    seats: dict[str, int] = defaultdict(int)
    for taking in by_hold.values():
        seats[taking.session_id] += taking.seats
        if seats[taking.session_id] > SERVICES[taking.service_id].capacity:
            yield f"session {taking.session_id} is over capacity: {seats[taking.session_id]} seats"
    for one, other in combinations(by_hold.values(), 2):
        if one.session_id != other.session_id and _touch(one, other):
            yield f"{one.hold_id} and {other.hold_id} overlap"


def _lost(ledger: Ledger) -> Iterator[str]:
    """Every answer must be what one revision of its reservation says."""
    for operation in ledger.operations:
        for attempt in operation.oks:
            life = ledger.lives.get((attempt.org, attempt.answer["hold_id"]))
            if life is None or life.row is None:
                yield f"lost: {attempt.name} was answered {attempt.answer}, and is not there"
            elif not any(shows(attempt.answer, revision) for revision in life.revisions):
                yield (
                    f"lost: {attempt.name} was answered {attempt.answer}, which no revision of "
                    f"{life.hold_id} says"
                )
            elif not _is_what_was_asked(attempt):
                yield f"wrong answer: {attempt.name} was answered {attempt.answer}"


def _is_what_was_asked(attempt: Attempt) -> bool:
    """Whether an answer has the service, the time, the person and the seats of its request."""
    request, answer = attempt.request, attempt.answer
    named = ("service_id", "location_id", "start", "seats", "hold_id", "appointment_id")
    service, where = SERVICES[answer["service_id"]], answer["location_id"]
    taken = (*((answer["staff_id"],) if answer["staff_id"] else ()), *answer["resource_ids"])
    return (
        all(request[name] == answer[name] for name in named if name in request and name in answer)
        and request.get("staff_id", "") in ("", answer["staff_id"])
        and answer["end"] - answer["start"] == service.duration
        and (taken or (service.own(where),)) in set(service.combinations(where))
        and where in service.locations
    )


def _out_of_time(ledger: Ledger) -> Iterator[str]:
    """A change happens after its request was sent and before it was answered."""
    for life in (*ledger.lives.values(), *ledger.time_off.values()):
        for revision in life.revisions:
            operation = revision.operation
            if operation is None:
                continue
            if not operation.sent <= revision.at <= operation.acknowledged + ledger.skew:
                yield (
                    f"{life.hold_id} revision {revision.number} is of {revision.at}, its request "
                    f"of {operation.sent} to {operation.acknowledged}"
                )


def _repeated(ledger: Ledger) -> Iterator[str]:
    """Under one key there is one answer, byte for byte, until its contact is erased."""
    answers: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    bare: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for operation in (*ledger.operations, *ledger.catalog_changes):
        for attempt in operation.oks:
            key = attempt.org, attempt.client, attempt.key
            answers[key].add(attempt.raw)
            if _is_emptied(ledger, attempt) and attempt.answer["contact_name"]:
                bare[key].add(without_contact(attempt.raw))
    for key, found in answers.items():
        if len(found - bare[key]) > 1:
            yield f"{len(found)} different answers under the key {key}"


def _kept_answers(ledger: Ledger) -> Iterator[str]:
    """Answers are kept for exactly the requests that took effect."""
    kept = {
        (row["org_id"], row["client_id"], row["key"]): row["response"].removeprefix("\\x")
        for row in ledger.tables["idempotency"]
    }
    possible = set()
    for operation in (*ledger.operations, *ledger.catalog_changes):
        key = operation.first.org, operation.first.client, operation.first.key
        if operation.may_have_happened:
            possible.add(key)
        for attempt in operation.oks:
            if kept.get(key) != attempt.raw and not (
                _is_emptied(ledger, attempt) and kept.get(key) == without_contact(attempt.raw)
            ):
                yield f"the answer of {attempt.name} is not what is kept for its key"
    for key in kept.keys() - possible:
        yield f"an answer is kept for the key {key}, whose requests were all refused or never sent"


def _is_emptied(ledger: Ledger, attempt: Attempt) -> bool:
    """Whether the contact of what was answered was erased, then or later."""
    life = ledger.lives.get((attempt.org, attempt.answer.get("hold_id", "")))
    revisions = life.revisions if life and "etag" in attempt.answer else ()
    return any(one.emptied and str(one.number) == attempt.answer["etag"] for one in revisions)


def _set_aside(ledger: Ledger) -> Iterator[str]:
    """A start that is not offered has an event that says which rules were set aside, and these
    are those that its request named; a booking in one step is one step."""
    for life in ledger.lives.values():
        name = f"{life.org} {life.hold_id}"
        if life.is_booked and life.revisions[0].seq + 1 != life.revisions[1].seq:
            yield f"{name} was booked in two steps"
        for revision in life.revisions:
            start, service = revision.row["start_time"], SERVICES[revision.row["service_id"]]
            moved = revision.type in ("HOLD_CREATED", "APPOINTMENT_RESCHEDULED")
            offered = start in service.grid(start // DAY * DAY)
            if moved and not (offered or revision.ignored_rules):
                yield f"{name} {revision.type} at {start}, which is not offered"
            if revision.operation and moved:
                asked = revision.operation.first.request.get("ignored_rules", ())
                if list(asked) != list(revision.ignored_rules):
                    yield f"{name} set {revision.ignored_rules} aside, its request {asked}"


_BEFORE = {
    "HOLD_EXTENDED": ("HELD",),
    "HOLD_RELEASED": ("HELD",),
    "HOLD_EXPIRED": ("HELD",),
    "APPOINTMENT_CONFIRMED": ("HELD",),
    "APPOINTMENT_RESCHEDULED": ("CONFIRMED",),
    "APPOINTMENT_CANCELLED": ("CONFIRMED",),
    "APPOINTMENT_UPDATED": ("CONFIRMED",),
    "APPOINTMENT_COMPLETED": ("CONFIRMED",),
    "APPOINTMENT_NO_SHOW": ("CONFIRMED",),
    "APPOINTMENT_REOPENED": OUTCOMES,
    ERASED: ("CONFIRMED", "CANCELLED", *OUTCOMES),
}

_AFTER = {
    "HOLD_CREATED": "HELD",
    "HOLD_EXTENDED": "HELD",
    "HOLD_RELEASED": "RELEASED",
    "HOLD_EXPIRED": "EXPIRED",
    "APPOINTMENT_CONFIRMED": "CONFIRMED",
    "APPOINTMENT_RESCHEDULED": "CONFIRMED",
    "APPOINTMENT_CANCELLED": "CANCELLED",
    "APPOINTMENT_UPDATED": "CONFIRMED",
    "APPOINTMENT_COMPLETED": "COMPLETED",
    "APPOINTMENT_NO_SHOW": "NO_SHOW",
    "APPOINTMENT_REOPENED": "CONFIRMED",
}


def _broken_stories(ledger: Ledger) -> Iterator[str]:
    """Events and state agree, and each event may follow the one before it."""
    for life in ledger.lives.values():
        name = f"{life.org} {life.hold_id}"
        numbers = [revision.number for revision in life.revisions]
        if life.row is None:
            yield f"{name} has events and no state"
        elif not numbers:
            yield f"{name} has a state and no events"
        elif life.revisions[-1].row != life.row:
            yield f"the last event of {name} says {life.revisions[-1].row}, its state {life.row}"
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{name} has events of the revisions {numbers}"
        yield from (f"{name}: {what}" for what in _broken_story(life))


def _broken_story(life: Life) -> Iterator[str]:
    for revision in life.revisions:
        if revision.row["state"] != _AFTER.get(revision.type, revision.row["state"]):
            yield f"{revision.type} left it {revision.row['state']}"
    if life.revisions and life.revisions[0].type != "HOLD_CREATED":
        yield f"its story begins with {life.revisions[0].type}"
    for before, after in pairwise(life.revisions):
        if after.type == ERASED and _lasting(before.row) != _lasting(after.row):
            yield f"the erasure of its contact left it {after.row}, and it was {before.row}"
        if before.row["state"] not in _BEFORE.get(after.type, ()):
            yield f"{after.type} of what was {before.row['state']}"
        expires_at = before.row["expires_at"]
        if before.row["state"] == "HELD":
            in_time = after.at < expires_at
            if in_time == (after.type == "HOLD_EXPIRED"):
                yield f"{after.type} at {after.at} of a hold until {expires_at}"
        limit = before.row["create_time"] + HOLD_LIMIT * HOLD_LENGTH
        until = max(expires_at, min(after.at + HOLD_LENGTH, limit))
        if after.type == "HOLD_EXTENDED" and after.row["expires_at"] != until:
            yield f"extended at {after.at} from {expires_at} to {after.row['expires_at']}"


def _lasting(row: Row) -> Row:
    """What an erasure leaves of a reservation."""
    return {key: row[key] for key in row if key not in (*PERSONAL, "revision", "update_time")}


if __name__ == "__main__":
    sys.exit("\n".join(violations(Record.read(Path(sys.argv[1])))) or 0)
