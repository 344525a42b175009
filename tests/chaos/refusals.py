"""Whether a refusal was justified at some moment between its request and its answer.

Only what is certain is held against the server: a refusal is called
unjustified where no order of events within the bounds of `ledger` explains it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from .history import REFUSED, Attempt
from .ledger import Ledger, Life, Operation, Revision
from .room import was_room
from .scenario import HOLD_LENGTH, HOLD_LIMIT, SERVICES
from .states import States

Judge = Callable[[Ledger, Attempt], bool]
"""Whether a refusal was justified."""


def unjustified(ledger: Ledger, states: States) -> Iterator[str]:
    """In words, every refusal that nothing explains."""
    keys = _keys((*ledger.operations, *ledger.catalog_changes))
    changes = (*ledger.operations, *ledger.catalog_changes)
    writes = (attempt for operation in changes for attempt in operation.attempts)
    for attempt in chain(writes, ledger.reads):
        if attempt.outcome != REFUSED:
            continue
        if attempt.reason == "IDEMPOTENCY_KEY_REUSED":
            justified = _is_reused(keys[attempt.org, attempt.client, attempt.key], attempt)
        elif attempt.reason == "SLOT_UNAVAILABLE":
            justified = _slot_unavailable(ledger, states, attempt)
        else:
            judge = _JUDGES.get(attempt.reason)
            justified = judge is not None and judge(ledger, attempt)
        if not justified:
            yield (
                f"unjustified refusal {attempt.reason or attempt.message} {attempt.metadata} "
                f"of {attempt.org} {attempt.name}, {attempt.sent} to {attempt.answered}"
            )


def _keys(operations: Iterable[Operation]) -> dict[tuple[str, str, str], list[Operation]]:
    found: dict[tuple[str, str, str], list[Operation]] = {}
    for operation in operations:
        first = operation.first
        found.setdefault((first.org, first.client, first.key), []).append(operation)
    return found


def _is_reused(same_key: Iterable[Operation], attempt: Attempt) -> bool:
    return any(
        operation.may_have_happened
        and operation.first.request != attempt.request
        and operation.sent <= attempt.answered
        for operation in same_key
    )


def _slot_unavailable(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which no combination that could serve was free."""
    request = attempt.request
    if attempt.method == "UpdateAppointment":
        return _no_more_seats(ledger, states, attempt)
    start, staff_id, own = request["start"], request.get("staff_id", ""), ""
    service_id, counts = request.get("service_id", ""), {request.get("seats", 1)}
    if attempt.method == "RescheduleAppointment":
        life = ledger.of(attempt)
        if life is None:
            return False
        row = life.revisions[-1].row
        service_id, own = row["service_id"], life.hold_id
        counts = {revision.row["seats"] for revision in life.revisions}
    service = SERVICES[service_id]
    return any(
        not was_room(standing, service, start, staff_id, seats, own)
        for standing in states.during(attempt, start)
        for seats in counts
    )


def _no_more_seats(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which its session had no room for so many seats of it."""
    life = ledger.of(attempt)
    rows = [one.row for one in life.revisions if one.row["state"] == "CONFIRMED"] if life else []
    return any(
        not was_room(
            standing,
            SERVICES[row["service_id"]],
            row["start_time"],
            row["staff_id"],
            attempt.request["seats"],
            row["hold_id"],
        )
        for row in rows
        for standing in states.during(attempt, row["start_time"])
    )


def _visible(life: Life | None, by: int, test: Callable[[Revision], bool]) -> bool:
    """Whether a revision of a kind may have been there by an instant."""
    return life is not None and any(
        revision.not_before <= by and test(revision) for revision in life.revisions
    )


def _hold_expired(ledger: Ledger, attempt: Attempt) -> bool:
    """It had run out by its answer, on some server's clock, and was not certainly extended or
    confirmed before."""
    life = ledger.of(attempt)
    held = [one for one in life.revisions if one.row["state"] == "HELD"] if life else []
    seen = [one for one in held if one.not_after <= attempt.sent]
    lasts = max((one.row["expires_at"] for one in seen), default=0)
    confirmed = life and any(
        one.type == "APPOINTMENT_CONFIRMED" and one.not_after <= attempt.sent
        for one in life.revisions
    )
    latest = attempt.answered + ledger.skew
    return not confirmed and any(lasts <= one.row["expires_at"] <= latest for one in held)


def _hold_released(ledger: Ledger, attempt: Attempt) -> bool:
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.type == "HOLD_RELEASED")


def _hold_confirmed(ledger: Ledger, attempt: Attempt) -> bool:
    life = ledger.of(attempt)
    return _visible(life, attempt.answered, lambda one: one.type == "APPOINTMENT_CONFIRMED")


def _limit_reached(ledger: Ledger, attempt: Attempt) -> bool:
    def at_limit(one: Revision) -> bool:
        row = one.row
        return bool(row["expires_at"] >= row["create_time"] + HOLD_LIMIT * HOLD_LENGTH)

    return _visible(ledger.of(attempt), attempt.answered, at_limit)


def _not_reschedulable(ledger: Ledger, attempt: Attempt) -> bool:
    life = ledger.of(attempt)
    return _visible(life, attempt.answered, lambda one: one.type == "APPOINTMENT_CANCELLED")


def _etag_mismatch(ledger: Ledger, attempt: Attempt) -> bool:
    """There was a revision after the one whose etag the caller had read."""
    seen = int(attempt.request["etag"])
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.number > seen)


def _not_found(ledger: Ledger, attempt: Attempt) -> bool:
    """It belongs to somebody else, or to nobody."""
    return ledger.of(attempt) is None


_JUDGES: dict[str, Judge] = {
    "HOLD_EXPIRED": _hold_expired,
    "HOLD_RELEASED": _hold_released,
    "HOLD_CONFIRMED": _hold_confirmed,
    "HOLD_LIMIT_REACHED": _limit_reached,
    "NOT_RESCHEDULABLE": _not_reschedulable,
    "ETAG_MISMATCH": _etag_mismatch,
    "HOLD_NOT_FOUND": _not_found,
    "APPOINTMENT_NOT_FOUND": _not_found,
}
"""Everything that may be refused under this load; anything else, INTERNAL above all, may not."""
