"""Which request brought each event about."""

from collections import defaultdict
from collections.abc import Callable

from .history import OUTCOME_CHANGES, TIME_OFF_CHANGES, Attempt
from .ledger import ERASED, METHOD_OF, Ledger, Life, Operation, Revision

Identity = tuple[object, ...]


def attribute(ledger: Ledger) -> None:
    """Give each event its request: the one that was answered with it, or one never answered.

    A request has one effect, so it is given away once. An event without a
    request is a violation: no caller sent a request for it.
    """
    answered: dict[Identity, list[Operation]] = defaultdict(list)
    open_ones: dict[Identity, list[Operation]] = defaultdict(list)
    for operation in ledger.operations:
        if operation.oks:
            answered[_identity_answered(operation)].append(operation)
        elif operation.may_have_happened:
            open_ones[_asked(operation.first)].append(operation)
    # In ledger order, each event gets the fitting request that was answered first. If any
    # attribution is consistent, this one is.
    events = [
        (life, revision)
        for order in ledger.orders.values()
        for life, revision in order.entries
        if revision.type in METHOD_OF and revision.type != ERASED
        # The first event of a booking in one step has the request of the second.
        if not (life.is_booked and revision.number == 1)
    ]

    def fits(revision: Revision, operation: Operation) -> bool:
        return operation.sent <= revision.at <= operation.acknowledged + ledger.skew

    for life, revision in events:
        # Releasing a released hold again returns the same response, so several requests may fit.
        _give(revision, answered[_identity(life, revision)], fits)
    for life, revision in events:
        _give(revision, open_ones[_asked_for(life, revision)], fits)
        _give(revision, answered[_identity(life, revision)], lambda *_: True)
        if revision.operation is None:
            ledger.unattributed.append(
                f"{life.org} {life.hold_id} revision {revision.number}: {revision.type} by "
                f"{revision.client or 'no client'} has no matching request"
            )
    for life in ledger.lives.values():
        if life.is_booked:
            life.revisions[0].operation = life.revisions[1].operation
    _attribute_time_off(ledger)


def _attribute_time_off(ledger: Ledger) -> None:
    """Time off has an id that its creator chose, and at most one request deletes it."""
    asked: dict[tuple[str, str, str], list[Operation]] = defaultdict(list)
    for operation in ledger.catalog_changes:
        first = operation.first
        if first.method in TIME_OFF_CHANGES and operation.may_have_happened:
            asked[first.org, first.method, first.request["id"]].append(operation)
    for life in ledger.time_off.values():
        for revision, method in zip(life.revisions, TIME_OFF_CHANGES, strict=False):
            candidates = asked[life.org, method, life.hold_id]
            revision.operation = min(candidates, key=lambda one: one.acknowledged, default=None)


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

    Every confirmation carries a name of its own and every cancellation a reason of its own,
    so that a request that took effect can be told from one that did not.
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
    }
    told = tells.get(method, str(revision.number))
    return life.org, revision.client, method, life.hold_id, told


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
    }
    told = tells.get(first.method, answer.get("etag"))
    return first.org, first.client, first.method, answer["hold_id"], told


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
    return (*head, request.get("appointment_id") or request["hold_id"])


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
    if method in OUTCOME_CHANGES:
        return (*head, row["appointment_id"])
    return (*head, life.hold_id)
