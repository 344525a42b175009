"""The statements that read ledgers, rendered once for each dialect; `ledgers` runs them.

Every table of an organization is compared with the organization's id as a
value, so that a distributed database asks one node. SQL never asks the database
for the time: `now` comes in as a value.
"""

from functools import lru_cache

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Join,
    Select,
    TextClause,
    and_,
    bindparam,
    func,
    select,
)

from zimun.booking.store import ResponseKey
from zimun.storage.prepared import Prepared
from zimun.storage.schema import (
    IS_APPOINTMENT,
    IS_HELD,
    IS_LIVE,
    allocations,
    events,
    idempotency,
    ledgers,
    organizations,
    reservations,
    sessions,
)

ORG: BindParameter[str] = bindparam("org")

HEAD = Prepared(
    select(ledgers.c.seq, ledgers.c.time, ledgers.c.catalog_version).where(ledgers.c.org_id == ORG)
)

EVENTS_SINCE = Prepared(
    select(events.c.type, events.c.client_id, events.c.data)
    .where(events.c.org_id == ORG, events.c.seq > bindparam("seq"))
    .order_by(events.c.seq)
)

RESPONSE = Prepared(
    select(
        idempotency.c.fingerprint,
        idempotency.c.response,
        idempotency.c.expires_at,
        idempotency.c.contact_key,
    ).where(
        idempotency.c.org_id == ORG,
        idempotency.c.client_id == bindparam("client_id"),
        idempotency.c.method == bindparam("method"),
        idempotency.c.key == bindparam("key"),
    )
)

IS_RESPONSE = tuple(column == bindparam(f"b_{column.name}") for column in idempotency.primary_key)
"""The condition of a stored response, whose parameters are `bound_key`."""


def bound_key(key: ResponseKey) -> dict[str, str]:
    """The parameters of IS_RESPONSE."""
    names = (f"b_{column.name}" for column in idempotency.primary_key)
    return dict(zip(names, key, strict=True))


_LONGEST_SPAN = (
    select(organizations.c.longest_span).where(organizations.c.org_id == ORG).scalar_subquery()
)


@lru_cache(maxsize=64)
def allocations_of(subjects: int) -> Prepared:
    """What overlaps an interval, of so many subjects, s0, s1 and so on, up to a limit."""
    c = allocations.c
    return Prepared(
        select(c.subject, c.busy_start, c.busy_end, c.expires_at, c.start_time, c.session_id)
        .where(
            c.org_id == ORG,
            c.subject.in_(_values("s", subjects)),
            c.busy_start > bindparam("start") - _LONGEST_SPAN,
            c.busy_start < bindparam("end"),
            c.busy_end > bindparam("start"),
        )
        .limit(bindparam("limit"))
    )


@lru_cache(maxsize=64)
def last_booked(members: int) -> Prepared:
    """When so many staff members, s0, s1 and so on, were last booked."""
    c = allocations.c
    return Prepared(
        select(c.subject, func.max(c.booked_at))
        .where(c.org_id == ORG, c.subject.in_(_values("s", members)))
        .group_by(c.subject)
    )


@lru_cache(maxsize=64)
def reservations_by(column: str, ids: int) -> Prepared:
    """The reservations whose column is one of so many ids, s0, s1 and so on."""
    c = reservations.c
    query = select(reservations).where(c.org_id == ORG, c[column].in_(_values("s", ids)))
    # The index of appointments is partial: without its condition all reservations would be read.
    return Prepared(query.where(IS_APPOINTMENT) if column == "appointment_id" else query)


def _members(*conditions: ColumnElement[bool] | TextClause) -> Prepared:
    """Live reservations of some conditions, each with an allocation and the seats of its session.

    In SQLite the index of allocations by session has no more than their keys, by which their
    rows are found: else it prefers to read all that the organization has. The joins are
    outer ones, whose order it does not change: for many services it would begin with
    all allocations. A row without an allocation is of no session.
    """
    keys = allocations.alias("keys")
    r, a, k = reservations.c, allocations.c, keys.c
    by_key = reservations.outerjoin(
        keys, and_(k.org_id == ORG, k.session_id == r.session_id)
    ).outerjoin(
        allocations, and_(a.org_id == ORG, a.subject == k.subject, a.busy_start == k.busy_start)
    )
    by_session = reservations.outerjoin(
        allocations, and_(a.org_id == ORG, a.session_id == r.session_id)
    )
    return Prepared(
        _members_of(by_key).where(*conditions),
        postgresql=_members_of(by_session).where(*conditions),
    )


def _members_of(joined: Join) -> "Select[tuple[object, ...]]":
    """Live reservations that are joined with their allocations."""
    r, a, s = reservations.c, allocations.c, sessions.c
    return (
        select(
            r.session_id, r.service_id, r.location_id, r.staff_id, r.resource_ids, r.start_time,
            r.end_time, a.busy_start, a.busy_end, a.booked_at, s.capacity, a.expires_at,
            r.hold_id, r.seats, r.state, r.expires_at,
        )
        .select_from(
            joined.outerjoin(sessions, and_(s.org_id == ORG, s.session_id == r.session_id))
        )
        .where(r.org_id == ORG, IS_LIVE)
    )  # fmt: skip


_STARTS_WITHIN = (
    reservations.c.start_time >= bindparam("start"),
    reservations.c.start_time < bindparam("end"),
)


@lru_cache(maxsize=64)
def members_of(session_ids: int) -> Prepared:
    """The members of so many sessions, s0, s1 and so on; each once for every allocation."""
    return _members(reservations.c.session_id.in_(_values("s", session_ids)))


@lru_cache(maxsize=64)
def group_members(service_ids: int) -> Prepared:
    """The members of the sessions of so many services, s0, s1 and so on, that start between."""
    return _members(reservations.c.service_id.in_(_values("s", service_ids)), *_STARTS_WITHIN)


APPOINTMENT_MEMBERS = _members(IS_APPOINTMENT, *_STARTS_WITHIN)
"""The members of the sessions of any service that start between and are confirmed."""

HELD_MEMBERS = _members(IS_HELD, reservations.c.hold_id > "", *_STARTS_WITHIN)
"""The holds among the members of the sessions of any service that start between."""

_STARTS = (
    select(reservations.c.start_time)
    .where(reservations.c.org_id == ORG, *_STARTS_WITHIN)
    .order_by(reservations.c.start_time)
    .offset(bindparam("skipped"))
    .limit(1)
)

PAGE_OF_ALL = Prepared(_STARTS.where(IS_APPOINTMENT))
"""The start with which a page of the members of any service ends; nothing where all are one page.
"""

PAGE_OF_SERVICE = Prepared(_STARTS.where(IS_LIVE, reservations.c.service_id == bindparam("s0")))
"""As PAGE_OF_ALL, of the service s0."""


@lru_cache(maxsize=64)
def appointments_of(contacts: int) -> Prepared:
    """The live appointments of so many contacts, s0, s1 and so on, from an instant on."""
    c = reservations.c
    return Prepared(
        select(reservations).where(
            c.org_id == ORG,
            c.contact_key.in_(_values("s", contacts)),
            c.start_time >= bindparam("start"),
            IS_APPOINTMENT,
            IS_LIVE,
        )
    )


ONE_OF_CONTACT = Prepared(
    select(reservations.c.start_time)
    .where(
        reservations.c.org_id == ORG,
        reservations.c.contact_key == bindparam("contact"),
        reservations.c.start_time >= bindparam("start"),
        IS_APPOINTMENT,
    )
    .order_by(reservations.c.start_time)
    .offset(bindparam("skipped"))
    .limit(1)
)
"""The start of an appointment of a contact, live or not, after so many others from an instant on;
nothing where there are no more."""


@lru_cache(maxsize=64)
def expired_holds(others: int) -> Prepared:
    """Expired holds, oldest first, up to a limit, but for those of so many organizations, s0, s1
    and so on."""
    c = reservations.c
    is_of_others = [c.org_id.not_in(_values("s", others))] if others else []
    return Prepared(
        select(c.org_id, c.hold_id)
        .where(IS_HELD, c.expires_at <= bindparam("now"), *is_of_others)
        .order_by(c.expires_at)
        .limit(bindparam("limit"))
    )


EXPIRED_RESPONSES = Prepared(
    select(*idempotency.primary_key)
    .where(idempotency.c.expires_at <= bindparam("now"))
    .order_by(idempotency.c.expires_at)
    .limit(bindparam("limit"))
)


def _values(prefix: str, count: int) -> "list[BindParameter[str]]":
    return [bindparam(f"{prefix}{n}") for n in range(count)]


def padded(values: "tuple[str, ...]") -> dict[str, str]:
    """Parameters s0, s1 and so on: as many as the next power of two, so that statements are few."""
    count = 1 << (len(values) - 1).bit_length()
    last = values[-1]
    return {f"s{n}": values[n] if n < len(values) else last for n in range(count)}
