"""Busy time: when the staff members and resources of a service are taken, read from a ledger."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from zimun.domain.availability import slots
from zimun.domain.availability.slots import Busy
from zimun.domain.availability.tallies import count
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import FOREVER
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import Needs, NotLoaded
from zimun.domain.ledger.reservation import LIVE, Reservation

T = TypeVar("T")


def busy_time(
    ledger: Ledger,
    catalog: Catalog,
    service: Service,
    location_id: str,
    within: Interval,
    now: int,
    leaving: Reservation | None = None,
) -> Busy:
    """What is taken within an interval, at `now`, of all that a service could take there.

    What the reservation `leaving` takes does not count. Raises NotLoaded.
    """
    if within[0] >= within[1]:
        return Busy({})
    needs = Needs()
    vacated = ""
    if leaving:
        vacated = _collect(needs, lambda: _vacated_session(ledger, leaving, now)) or ""
    taken: dict[str, Sequence[Interval]] = {}
    expired: dict[str, list[str]] = {}
    stands_until = FOREVER
    demand = catalog.demand(service, location_id)
    for subject, allocations in ledger.lookup(demand.subjects, within, needs):
        if not allocations:
            continue
        intervals = []
        for begin, end, until, _, session_id in allocations:
            if until <= now:
                expired.setdefault(subject, []).append(session_id)
            elif session_id != vacated:
                intervals.append((begin, end))
                if until < stands_until:
                    stands_until = until
        if intervals:
            taken[subject] = intervals
    tallies = None
    if demand.limits:
        moving = leaving if leaving and leaving.service_id == service.id else None
        args = ledger, catalog, service, location_id, within, now, vacated, moving
        tallies = _collect(needs, lambda: count(*args))
    sessions = None
    if service.capacity > 1:
        sessions = _collect(needs, lambda: _group_sessions(ledger, service, within, now, leaving))
    if needs:
        raise NotLoaded(needs)
    if tallies:
        stands_until = min(stands_until, tallies.stands_until)
    return Busy(taken, sessions or {}, tallies.by_subject if tallies else {}, stands_until, expired)


def _vacated_session(ledger: Ledger, leaving: Reservation, now: int) -> str:
    """The session that ends when a reservation leaves it; empty where others stay."""
    if leaving.state not in LIVE:
        return ""
    session = ledger.session(leaving.session_id)
    members = (session.members or {}).items()
    stays = any(key != leaving.hold_id and member.until > now for key, member in members)
    return "" if stays else leaving.session_id


def _group_sessions(
    ledger: Ledger, service: Service, within: Interval, now: int, leaving: Reservation | None
) -> Mapping[int, Sequence[slots.Session]]:
    """The sessions of a group service by their start, with the seats taken at `now`."""
    sessions: dict[int, list[slots.Session]] = {}
    left = leaving.hold_id if leaving else ""
    for session in ledger.sessions_of(service.id, within):
        seats = sum(
            member.seats
            for hold_id, member in (session.members or {}).items()
            if member.until > now and hold_id != left
        )
        if seats:
            running = slots.Session(
                session.session_id,
                session.start,
                session.end,
                session.staff_id,
                session.resource_ids,
                session.location_id,
                seats,
            )
            sessions.setdefault(session.start, []).append(running)
    return {
        start: sorted(at_start, key=attrgetter("session_id"))
        for start, at_start in sessions.items()
    }


def _collect(needs: Needs, query: Callable[[], T]) -> T | None:
    """The answer, or None with what it lacks added to `needs`."""
    try:
        return query()
    except NotLoaded as lacking:
        needs |= lacking.needs
        return None
