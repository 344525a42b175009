"""The statements of holds and searches, rendered once; `queries` says what they are for.

SQL never asks the database for the time: `now` comes in as a value.
"""

from functools import lru_cache

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from zimun.storage.prepared import Prepared
from zimun.storage.tables import (
    FOREVER,
    IS_APPOINTMENT,
    IS_CONFIRMED,
    IS_HELD,
    IS_LIVE,
    allocations,
    events,
    idempotency,
    organizations,
    reservations,
    sessions,
    staff,
)

ORG: BindParameter[str] = bindparam("org")
NOW: BindParameter[int] = bindparam("now")
FROM: BindParameter[int] = bindparam("start")
TO: BindParameter[int] = bindparam("end")


LIVE = and_(IS_LIVE, or_(IS_CONFIRMED, reservations.c.expires_at > NOW))
"""The reservations that keep their time busy at `now`."""


CATALOG_VERSION = Prepared(
    select(organizations.c.catalog_version).where(organizations.c.org_id == ORG)
)


def _reaching(subjects: int) -> tuple[ColumnElement[bool], ...]:
    """Of so many subjects, s0, s1 and so on, what begins before TO and can reach beyond FROM."""
    return (
        allocations.c.org_id == ORG,
        allocations.c.subject.in_([bindparam(f"s{n}") for n in range(subjects)]),
        allocations.c.busy_start > bindparam("earliest"),
        allocations.c.busy_start < TO,
    )


@lru_cache(maxsize=1024)
def taken(subjects: int) -> Prepared:
    """What is taken of so many subjects, given as s0, s1 and so on; by what has run out, too."""
    return Prepared(
        select(
            allocations.c.subject,
            allocations.c.busy_start,
            allocations.c.busy_end,
            allocations.c.expires_at,
        )
        .where(
            *_reaching(subjects),
            allocations.c.busy_end > FROM,
            allocations.c.session_id != bindparam("freed"),
        )
        .order_by(allocations.c.subject, allocations.c.busy_start)
    )


@lru_cache(maxsize=1024)
def starts(members: int) -> Prepared:
    """When the bookings of so many staff members start, given as s0, s1 and so on; in any order."""
    return Prepared(
        select(allocations.c.subject, allocations.c.start_time, allocations.c.expires_at).where(
            *_reaching(members),
            allocations.c.start_time >= FROM,
            allocations.c.expires_at > NOW,
            allocations.c.session_id != bindparam("freed"),
        )
    )


SESSIONS = Prepared(
    select(
        reservations.c.session_id,
        reservations.c.start_time,
        reservations.c.end_time,
        reservations.c.staff_id,
        func.min(reservations.c.resource_ids).label("resource_ids"),
        reservations.c.location_id,
        func.sum(reservations.c.seats).label("seats_taken"),
    )
    .where(
        reservations.c.org_id == ORG,
        reservations.c.service_id == bindparam("service"),
        reservations.c.start_time >= FROM,
        reservations.c.start_time < TO,
        reservations.c.hold_id != bindparam("leaving"),
        LIVE,
    )
    .group_by(
        reservations.c.session_id,
        reservations.c.start_time,
        reservations.c.end_time,
        reservations.c.staff_id,
        reservations.c.location_id,
    )
    .order_by(reservations.c.session_id)
)

_OF_MEMBER = (allocations.c.org_id == staff.c.org_id, allocations.c.subject == staff.c.id)


@lru_cache(maxsize=1024)
def staff_load(members: int) -> Prepared:
    """Bookings within a day, and the last booking, of so many staff members: s0, s1 and so on."""
    bookings = select(func.count(allocations.c.subject)).where(
        *_OF_MEMBER,
        allocations.c.busy_start > bindparam("earliest"),
        allocations.c.busy_start < TO,
        allocations.c.start_time >= FROM,
        allocations.c.start_time < TO,
        allocations.c.expires_at > NOW,
    )
    last = select(func.max(allocations.c.booked_at)).where(*_OF_MEMBER)
    return Prepared(
        select(staff.c.id, bookings.scalar_subquery(), last.scalar_subquery()).where(
            staff.c.org_id == ORG,
            staff.c.id.in_([bindparam(f"s{n}") for n in range(members)]),
        )
    )


BY_HOLD = Prepared(
    select(reservations).where(
        reservations.c.org_id == ORG, reservations.c.hold_id == bindparam("id")
    )
)

BY_APPOINTMENT = Prepared(
    select(reservations).where(
        reservations.c.org_id == ORG,
        reservations.c.appointment_id == bindparam("id"),
        IS_APPOINTMENT,
    )
)

STALE = Prepared(
    select(reservations.c.hold_id)
    .where(reservations.c.org_id == ORG, IS_HELD, reservations.c.expires_at <= NOW)
    .order_by(reservations.c.expires_at)
    .limit(bindparam("limit"))
)


@lru_cache(maxsize=1024)
def run_out(subjects: int) -> Prepared:
    """The holds that have run out and still take some of so many subjects: s0, s1 and so on."""
    return Prepared(
        select(reservations.c.hold_id)
        .select_from(
            allocations.join(
                reservations,
                and_(
                    reservations.c.org_id == allocations.c.org_id,
                    reservations.c.session_id == allocations.c.session_id,
                ),
            )
        )
        .where(
            *_reaching(subjects),
            allocations.c.busy_end > FROM,
            IS_HELD,
            reservations.c.expires_at <= NOW,
        )
    )


INSERT_RESERVATION = Prepared(insert(reservations))

UPDATE_RESERVATION = Prepared(
    update(reservations).where(
        reservations.c.org_id == bindparam("_org"), reservations.c.hold_id == bindparam("_hold")
    )
)

INSERT_ALLOCATION = Prepared(insert(allocations))

LASTS = Prepared(
    select(
        func.max(
            case((IS_CONFIRMED, literal_column(str(FOREVER))), else_=reservations.c.expires_at)
        )
    ).where(
        reservations.c.org_id == ORG,
        reservations.c.session_id == bindparam("session"),
        reservations.c.hold_id != bindparam("leaving"),
        LIVE,
    )
)

PROLONG = Prepared(
    update(allocations)
    .where(allocations.c.org_id == ORG, allocations.c.session_id == bindparam("session"))
    .values(expires_at=bindparam("until"))
)

FREE = Prepared(
    delete(allocations).where(
        allocations.c.org_id == ORG, allocations.c.session_id == bindparam("session")
    )
)

INSERT_SESSION = Prepared(insert(sessions))

_OF_SESSION = (sessions.c.org_id == ORG, sessions.c.session_id == bindparam("session"))

JOIN_SESSION = Prepared(
    update(sessions)
    .where(*_OF_SESSION)
    .values(seats_taken=sessions.c.seats_taken + bindparam("seats"), capacity=bindparam("most"))
)

LEAVE_SESSION = Prepared(
    update(sessions)
    .where(*_OF_SESSION)
    .values(seats_taken=sessions.c.seats_taken - bindparam("seats"))
)

END_SESSION = Prepared(delete(sessions).where(*_OF_SESSION))

INSERT_EVENT = Prepared(insert(events))

RECALL = Prepared(
    select(idempotency.c.fingerprint, idempotency.c.response, idempotency.c.expires_at).where(
        idempotency.c.org_id == ORG,
        idempotency.c.client_id == bindparam("client"),
        idempotency.c.method == bindparam("method"),
        idempotency.c.key == bindparam("key"),
    )
)

INSERT_ANSWER = Prepared(insert(idempotency))

OVER = (idempotency.c.org_id == ORG, idempotency.c.expires_at <= NOW)

FORGETTABLE = Prepared(select(idempotency.c.key).where(*OVER).limit(literal_column("1")))

FORGET = Prepared(delete(idempotency).where(*OVER))
