"""Whether a refusal was justified at some moment between its request and its answer.

Only what is certain is held against the server: a refusal is called
unjustified where no order of events within the bounds of `ledger` explains it.
"""

from collections.abc import Callable, Iterable, Iterator

from .history import REFUSED, Attempt
from .ledger import Ledger, Life, Operation, Revision, Taking
from .scenario import DAY, HOLD_LENGTH, HOLD_LIMIT, SERVICES

Judge = Callable[[Ledger, Attempt], bool]


def unjustified(ledger: Ledger) -> Iterator[str]:
    """In words, every refusal that nothing explains."""
    keys = _keys(ledger.operations)
    for operation in ledger.operations:
        for attempt in operation.attempts:
            if attempt.outcome != REFUSED:
                continue
            if attempt.reason == "IDEMPOTENCY_KEY_REUSED":
                justified = _is_reused(keys[attempt.org, attempt.client, attempt.key], attempt)
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


def _slot_unavailable(ledger: Ledger, attempt: Attempt) -> bool:
    """No combination that could serve was certainly free all the while."""
    request = attempt.request
    start, staff_id, own = request["start"], request.get("staff_id", ""), ""
    service_id, seats = request.get("service_id", ""), request.get("seats", 1)
    if attempt.method == "RescheduleAppointment":
        life = ledger.of(attempt)
        if life is None:
            return False
        row = life.revisions[-1].row
        service_id, seats, own = row["service_id"], row["seats"], life.hold_id
    service = SERVICES[service_id]
    return not any(
        _was_free(_occupants(ledger, attempt, combination, start, service_id, own), seats)
        for combination in service.combinations(staff_id)
    )


def _occupants(
    ledger: Ledger,
    attempt: Attempt,
    combination: tuple[str, ...],
    start: int,
    service_id: str,
    own: str,
) -> Iterator[tuple[Taking, int]]:
    """What may have stood in the way, and the seats left in it for those who join."""
    service = SERVICES[service_id]
    begin, end = service.taken(start)
    for subject in combination:
        for taking in ledger.possible.get((attempt.org, subject, start // DAY), ()):
            if taking.until < attempt.sent or taking.since > attempt.answered:
                continue
            if taking.hold_id != own and taking.busy[0] < end and begin < taking.busy[1]:
                joinable = (taking.service_id, taking.start) == (service_id, start)
                yield taking, service.capacity if joinable else 0


def _was_free(occupants: Iterable[tuple[Taking, int]], seats: int) -> bool:
    """Whether nothing stood in the way, or a session with room for so many even when fullest."""
    taken: dict[str, int] = {}
    for taking, capacity in occupants:
        taken[taking.hold_id] = taking.seats
        if sum(taken.values()) + seats > capacity:
            return False
    return True


def _visible(life: Life | None, by: int, test: Callable[[Revision], bool]) -> bool:
    """Whether a revision of a kind may have been there by an instant."""
    return life is not None and any(
        revision.not_before <= by and test(revision) for revision in life.revisions
    )


def _hold_expired(ledger: Ledger, attempt: Attempt) -> bool:
    """It had run out by its answer, and was not certainly extended or confirmed before."""
    life = ledger.of(attempt)
    held = [one for one in life.revisions if one.row["state"] == "HELD"] if life else []
    seen = [one for one in held if one.not_after <= attempt.sent]
    lasts = max((one.row["expires_at"] for one in seen), default=0)
    confirmed = life and any(
        one.type == "APPOINTMENT_CONFIRMED" and one.not_after <= attempt.sent
        for one in life.revisions
    )
    return not confirmed and any(lasts <= one.row["expires_at"] <= attempt.answered for one in held)


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
    "SLOT_UNAVAILABLE": _slot_unavailable,
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
