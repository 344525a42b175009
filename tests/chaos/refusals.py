"""Whether a refusal was justified at some moment between its request and its answer.

Only what is certain is held against the server: a refusal is called
unjustified where no order of events within the bounds of `ledger` explains it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from .history import REFUSED, Attempt
from .ledger import FOREVER, OUTCOMES, Ledger, Life, Operation, Revision, occurrences_of
from .occupancy import (
    Occupancy,
    SlotQuery,
    conflicts,
    has_capacity,
    is_customer_limited,
    is_limited,
    time_off_alone,
)
from .scenario import HOLD_LENGTH, HOLD_LIMIT, SERVICES
from .states import ALWAYS, Positions, States

Judge = Callable[[Ledger, Attempt], bool]
"""Whether a refusal was justified."""


def refusal_violations(ledger: Ledger, states: States) -> Iterator[str]:
    """In words, every refusal that nothing explains."""
    keys = _keys((*ledger.operations, *ledger.catalog_changes))
    changes = (*ledger.operations, *ledger.catalog_changes)
    writes = (attempt for operation in changes for attempt in operation.attempts)
    for attempt in chain(writes, ledger.reads):
        if attempt.outcome != REFUSED:
            continue
        if attempt.reason == "IDEMPOTENCY_KEY_REUSED":
            justified = _is_reused(keys[attempt.org, attempt.client, attempt.key], attempt)
        elif attempt.reason in _BY_STATE:
            justified = _BY_STATE[attempt.reason](ledger, states, attempt)
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


def _slot_queries(ledger: Ledger, attempt: Attempt) -> Iterator[tuple[SlotQuery, Positions]]:
    """What an attempt may have asked for, and after which events: an appointment may have had other
    seats or another contact, or have been elsewhere, when it was decided."""
    request = attempt.request
    email = request.get("contact_email", "")
    if "service_id" in request:
        service, location_id = SERVICES[request["service_id"]], request.get("location_id", "")
        named = request.get("staff_id", ""), request.get("seats", 1)
        yield SlotQuery(service, location_id, request["start"], *named, email=email), ALWAYS
        return
    life = ledger.of(attempt)
    for revision, positions in _present(life) if life else ():
        row = revision.row
        service, location_id, own = SERVICES[row["service_id"]], row["location_id"], row["hold_id"]
        start, staff_id, seats = row["start_time"], row["staff_id"], request.get("seats", 0)
        if attempt.method == "RescheduleAppointment":
            start, staff_id = request["start"], ""
        elif row["state"] not in ("HELD", "CONFIRMED"):
            continue
        party = seats or row["seats"], own, email or row["contact_email"]
        yield SlotQuery(service, location_id, start, staff_id, *party), positions


def _present(life: Life) -> Iterator[tuple[Revision, Positions]]:
    """Each revision, and after which events it was the present one."""
    for number, revision in enumerate(life.revisions):
        following = life.revisions[number + 1 : number + 2]
        until = following[0].position - 1 if following else FOREVER
        yield revision, (revision.position, until)


def _moments(
    ledger: Ledger, states: States, attempt: Attempt
) -> Iterator[tuple[SlotQuery, Occupancy]]:
    """What an attempt may have asked for, and what stood at each moment at which it did."""
    for query, positions in _slot_queries(ledger, attempt):
        for occupancy in states.during(attempt, query.start, positions):
            yield query, occupancy


def _slot_unavailable(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which no combination that could serve was free, though time off alone
    allowed one and no limit was reached."""
    return any(
        not has_capacity(occupancy, query)
        and not is_limited(occupancy, query)
        # A new booking counts for its customer once it has a slot.
        and not (query.own and is_customer_limited(occupancy, query))
        and has_capacity(time_off_alone(occupancy), query)
        for query, occupancy in _moments(ledger, states, attempt)
    )


def _not_a_slot(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which time off allowed no combination."""
    return any(
        not has_capacity(time_off_alone(occupancy), query)
        for query, occupancy in _moments(ledger, states, attempt)
    )


def _limit_reached(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which the day had as many bookings as its service or its customer may
    have."""
    chooses = attempt.method in ("HoldAppointment", "BookAppointment", "RescheduleAppointment")
    return any(
        (chooses and is_limited(occupancy, query)) or is_customer_limited(occupancy, query)
        for query, occupancy in _moments(ledger, states, attempt)
    )


def _time_off_conflicts(ledger: Ledger, states: States, attempt: Attempt) -> bool:
    """There was a moment at which something was booked in it."""
    request = attempt.request
    return not request["allow_conflicts"] and any(
        conflicts(occupancy, request["owner_id"], span)
        for span in occurrences_of(request)
        for occupancy in states.during(attempt, span[0])
    )


_BY_STATE: Mapping[str, Callable[[Ledger, States, Attempt], bool]] = {
    "SLOT_UNAVAILABLE": _slot_unavailable,
    "NOT_A_SLOT": _not_a_slot,
    "LIMIT_REACHED": _limit_reached,
    "TIME_OFF_CONFLICTS": _time_off_conflicts,
}
"""What is refused for what was booked, or was time off, at the time."""


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


def _extended_to_the_limit(ledger: Ledger, attempt: Attempt) -> bool:
    def at_limit(one: Revision) -> bool:
        row = one.row
        return bool(row["expires_at"] >= row["create_time"] + HOLD_LIMIT * HOLD_LENGTH)

    return _visible(ledger.of(attempt), attempt.answered, at_limit)


def _not_confirmed(ledger: Ledger, attempt: Attempt) -> bool:
    """It was cancelled, or had an outcome."""
    over = ("CANCELLED", *OUTCOMES)
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.row["state"] in over)


def _not_cancellable(ledger: Ledger, attempt: Attempt) -> bool:
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.row["state"] in OUTCOMES)


def _not_started(ledger: Ledger, attempt: Attempt) -> bool:
    """It started, or may have when it was moved, after the request."""
    return _visible(ledger.of(attempt), attempt.answered, lambda one: attempt.sent < one.begins)


def _started(ledger: Ledger, attempt: Attempt) -> bool:
    """It had started by the answer, on some server's clock."""
    latest = attempt.answered + ledger.skew
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.begins <= latest)


def _past(ledger: Ledger, attempt: Attempt) -> bool:
    """The start that is asked for was past."""
    return bool(attempt.request["start"] <= attempt.answered + ledger.skew)


def _no_time_off(ledger: Ledger, attempt: Attempt) -> bool:
    """It had been deleted, or was not there yet."""
    life = ledger.time_off.get((attempt.org, attempt.request["id"]))
    if life is None:
        return True
    made, *deleted = life.revisions
    gone = any(one.not_before <= attempt.answered for one in deleted)
    return gone or attempt.sent < made.not_after


def _etag_mismatch(ledger: Ledger, attempt: Attempt) -> bool:
    """There was a revision after the one whose etag the caller had read."""
    seen = int(attempt.request["etag"])
    return _visible(ledger.of(attempt), attempt.answered, lambda one: one.number > seen)


def _not_found(ledger: Ledger, attempt: Attempt) -> bool:
    """It belongs to another organization, or does not exist."""
    return ledger.of(attempt) is None


_JUDGES: dict[str, Judge] = {
    "HOLD_EXPIRED": _hold_expired,
    "HOLD_RELEASED": _hold_released,
    "HOLD_CONFIRMED": _hold_confirmed,
    "HOLD_LIMIT_REACHED": _extended_to_the_limit,
    "NOT_RESCHEDULABLE": _not_confirmed,
    "NOT_CHANGEABLE": _not_confirmed,
    "NOT_CANCELLABLE": _not_cancellable,
    "APPOINTMENT_NOT_STARTED": _not_started,
    "OUTSIDE_CANCELLATION_WINDOW": _started,
    "OUTSIDE_RESCHEDULE_WINDOW": _started,
    "OUTSIDE_BOOKING_WINDOW": _past,
    "TIME_OFF_NOT_FOUND": _no_time_off,
    "ETAG_MISMATCH": _etag_mismatch,
    "HOLD_NOT_FOUND": _not_found,
    "APPOINTMENT_NOT_FOUND": _not_found,
}
"""Everything that may be refused under this load; anything else, INTERNAL above all, may not."""
