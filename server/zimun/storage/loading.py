"""Loads the parts of a ledger that a query needs, on a connection of either engine.

What may be long is read in pages, so that on a connection whose statements wait for a server
the event loop goes on between two of them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from zimun.domain.intervals import Interval
from zimun.domain.ledger.events import FOREVER, Member, Session
from zimun.domain.ledger.loading import (
    BLOCK,
    LOOK_BACK,
    MAX_OF_BLOCK,
    MAX_OF_CONTACT,
    OPEN_BLOCK,
    Allocation,
    BlockKey,
    Loaded,
    Needs,
)
from zimun.domain.ledger.reservation import LIVE, Reservation, State
from zimun.storage import reservation_rows, statements
from zimun.storage.prepared import Prepared, Rows
from zimun.storage.statements import padded

MAX_IDS = 512
"""The most ids that one statement names; PostgreSQL takes 32,767 parameters."""


MAX_ALLOCATIONS = 5_000
"""Allocations after which no further block is loaded: some 15 ms of the event loop."""

MAX_PAGE = 1000
"""After about so many members a page of them ends."""

MAX_OF_BLOCKS = 20_000
"""Appointments of the organization after which no further block of its sessions is loaded."""


class TakesLong(Exception):
    """What is to be loaded takes longer than the event loop should wait."""


def load(
    connection: Connection, org_id: str, needs: Needs, time: int, may_take_long: bool = True
) -> Loaded:
    """What is needed, at least one block and no more than have MAX_ALLOCATIONS; an open block
    begins at ledger time.

    Raises TakesLong, unless it may, where a block has more than MAX_ALLOCATIONS or a contact more
    than MAX_PAGE appointments.
    """
    if not needs:
        return Loaded(needs)
    blocks, allocations = _blocks(connection, org_id, needs.blocks, time, may_take_long)
    group_blocks, crowded_blocks = _few_of_all(connection, org_id, needs.group_blocks)
    since = time - LOOK_BACK
    contacts, crowded_contacts = _few_of_contacts(
        connection, org_id, needs.contacts, since, may_take_long
    )
    needs = replace(needs, blocks=blocks, group_blocks=group_blocks, contacts=contacts)
    by_id = [
        *_reservations(connection, org_id, "hold_id", needs.hold_ids),
        *_reservations(connection, org_id, "appointment_id", needs.appointment_ids),
    ]
    of_contacts = _appointments_of(connection, org_id, contacts, since)
    session_ids = needs.session_ids | {
        reservation.session_id for reservation in by_id if reservation.state in LIVE
    }
    sessions: dict[str, Session] = {}
    for named in _named(session_ids):
        _add_sessions(
            sessions, statements.members_of(len(named)).run(connection, {"org": org_id} | named)
        )
    for rows in _members_of_blocks(connection, org_id, needs.group_blocks, time):
        _add_sessions(sessions, rows)
    last: dict[str, int] = {}
    for named in _named(needs.staff_ids):
        last |= dict(statements.last_booked(len(named)).run(connection, {"org": org_id} | named))
    # What lies in a block and in an open one is read twice, and so is a reservation that is named
    # by an id and by its contact.
    is_twice = any(number == OPEN_BLOCK for _, number in blocks)
    once = list(dict.fromkeys(allocations)) if is_twice else allocations
    reservations = {reservation.hold_id: reservation for reservation in (*by_id, *of_contacts)}
    crowded: list[BlockKey | str] = [*crowded_blocks, *crowded_contacts]
    return Loaded(needs, once, list(sessions.values()), list(reservations.values()), last, crowded)


def may_be_long(org_id: str, needs: Needs) -> bool:
    """Whether reading what is needed may take long: what has no end, or is of all services."""
    ids = len(needs.session_ids) + len(needs.hold_ids)
    return ids > MAX_IDS or any(
        owner == org_id or number == OPEN_BLOCK for owner, number in needs.group_blocks
    )


def _named(ids: Iterable[str]) -> Iterator[dict[str, str]]:
    """Ids in order as parameters of statements, at most MAX_IDS at a time."""
    ordered = tuple(sorted(ids))
    for begin in range(0, len(ordered), MAX_IDS):
        yield padded(ordered[begin : begin + MAX_IDS])


def _blocks(
    connection: Connection, org_id: str, blocks: set[BlockKey], time: int, may_take_long: bool
) -> tuple[set[BlockKey], list[tuple[str, Allocation]]]:
    """Blocks with their allocations: the earlier ones, where all have more than MAX_ALLOCATIONS."""
    limit = MAX_ALLOCATIONS + 1
    while len(blocks) > 1 or not may_take_long:
        allocations = list(islice(_allocations(connection, org_id, blocks, time, limit), limit))
        if len(allocations) < limit:
            return blocks, allocations
        if not may_take_long:
            raise TakesLong
        blocks = set(sorted(blocks, key=itemgetter(1, 0))[: max(1, len(blocks) // 4)])
    return blocks, list(_allocations(connection, org_id, blocks, time, FOREVER))


def _few_of_all(
    connection: Connection, org_id: str, blocks: set[BlockKey]
) -> tuple[set[BlockKey], set[BlockKey]]:
    """Blocks of sessions with one of all services only where these have few appointments, and that
    one where it is crowded."""
    of_all = sorted(number for owner, number in blocks if owner == org_id)
    while of_all:
        within = {"org": org_id, "start": of_all[0] * BLOCK, "end": (of_all[-1] + 1) * BLOCK}
        most = MAX_OF_BLOCKS if len(of_all) > 1 else MAX_OF_BLOCK
        if not statements.PAGE_OF_ALL.run(connection, within | {"skipped": most}):
            break
        if len(of_all) == 1:
            return {key for key in blocks if key[0] != org_id}, {(org_id, of_all[0])}
        of_all = of_all[:1]
    return {key for key in blocks if key[0] != org_id or key[1] in of_all}, set()


def _allocations(
    connection: Connection, org_id: str, blocks: Iterable[BlockKey], time: int, limit: int
) -> Iterator[tuple[str, Allocation]]:
    """The allocations of blocks; of each statement at most `limit`."""
    for subjects, start, end in _rectangles(blocks, time):
        for named in _named(subjects):
            within = {"org": org_id, "start": start, "end": end, "limit": limit} | named
            rows = statements.allocations_of(len(named)).run(connection, within)
            yield from [(row[0], Allocation(*row[1:])) for row in rows]


def _members_of_blocks(
    connection: Connection, org_id: str, blocks: Iterable[BlockKey], time: int
) -> Iterator[Rows]:
    """The members of sessions by blocks of their starts, a page at a time."""
    for owners, start, end in _rectangles(blocks, time):
        within = {"org": org_id, "start": start, "end": end}
        if org_id in owners:
            yield statements.HELD_MEMBERS.run(connection, within)
            yield from _pages(
                connection, statements.PAGE_OF_ALL, statements.APPOINTMENT_MEMBERS, within
            )
        services = [owner for owner in owners if owner != org_id]
        if end != FOREVER:
            for named in _named(services):
                yield statements.group_members(len(named)).run(connection, within | named)
            continue
        for service_id in services:
            of_service = within | {"s0": service_id}
            members = statements.group_members(1)
            yield from _pages(connection, statements.PAGE_OF_SERVICE, members, of_service)


def _pages(
    connection: Connection, last_start: Prepared, members: Prepared, within: dict[str, Any]
) -> Iterator[Rows]:
    """Members by their starts, some MAX_PAGE at a time; those of one start are in one page."""
    start, end = within["start"], within["end"]
    while start < end:
        last = last_start.run(connection, within | {"start": start, "skipped": MAX_PAGE - 1})
        until = last[0][0] + 1 if last else end
        yield members.run(connection, within | {"start": start, "end": until})
        start = until


def _rectangles(
    blocks: Iterable[BlockKey], time: int
) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Groups of subjects that need the same run of blocks, with the interval of these blocks."""
    subjects: dict[tuple[int, int], list[str]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    for subject, number in blocks:
        numbers[subject].append(number)
    for subject, some in numbers.items():
        for run in _runs(sorted(some)):
            subjects[run].append(subject)
    for (first, last), names in subjects.items():
        yield tuple(sorted(names)), *_block_time(first, last, time)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of adjacent numbers, which come in order."""
    run: tuple[int, int] | None = None
    for number in numbers:
        if run and number == run[1] + 1:
            run = run[0], number
            continue
        if run:
            yield run
        run = number, number
    if run:
        yield run


def _block_time(first: int, last: int, time: int) -> Interval:
    """The interval of some blocks."""
    return (time, FOREVER) if last == OPEN_BLOCK else (first * BLOCK, (last + 1) * BLOCK)


def _few_of_contacts(
    connection: Connection, org_id: str, contacts: set[str], start: int, may_take_long: bool
) -> tuple[set[str], set[str]]:
    """The contacts with few appointments, live or not, and those that are crowded."""
    most = MAX_OF_CONTACT if may_take_long else MAX_PAGE
    within = {"org": org_id, "start": start, "skipped": most}
    crowded = {
        contact
        for contact in contacts
        if statements.ONE_OF_CONTACT.run(connection, within | {"contact": contact})
    }
    if crowded and not may_take_long:
        raise TakesLong
    return contacts - crowded, crowded


def _appointments_of(
    connection: Connection, org_id: str, contacts: Iterable[str], start: int
) -> list[Reservation]:
    return [
        reservation_rows.reservation(row)
        for named in _named(contacts)
        for row in statements.appointments_of(len(named)).run(
            connection, {"org": org_id, "start": start} | named
        )
    ]


def _reservations(
    connection: Connection, org_id: str, column: str, ids: Iterable[str]
) -> list[Reservation]:
    return [
        reservation_rows.reservation(row)
        for named in _named(ids)
        for row in statements.reservations_by(column, len(named)).run(
            connection, {"org": org_id} | named
        )
    ]


def _add_sessions(sessions: dict[str, Session], rows: Rows) -> None:
    """Add the sessions of some members to those of others."""
    for session in _sessions(rows):
        before = sessions.get(session.session_id)
        if before is not None:
            session = session.with_members({**(before.members or {}), **(session.members or {})})
        sessions[session.session_id] = session


def _sessions(rows: Rows) -> Iterable[Session]:
    """Sessions with their members, from the rows of `statements.members_of`."""
    sessions: dict[str, Session] = {}
    members: dict[str, dict[str, Member]] = {}
    shared: set[str] = set()
    for row in rows:
        session_id, busy_start, hold_id, seats, state = row[0], row[7], *row[12:15]
        if busy_start is None:
            continue
        until = row[15] if state == State.HELD else FOREVER
        if (others := members.get(session_id)) is not None:
            if hold_id not in others:
                others[hold_id] = Member(seats, until)
                shared.add(session_id)
            continue
        members[session_id] = alone = {hold_id: Member(seats, until)}
        facts = (
            _ids(row[4]),
            *row[5:7],
            (row[7], row[8]),
            row[9],
            row[10] or 1,
            until,
            seats,
            alone,
        )
        sessions[session_id] = Session._make((*row[:4], *facts))
    for session_id in shared:
        sessions[session_id] = sessions[session_id].with_members(members[session_id])
    return sessions.values()


@lru_cache(maxsize=1 << 12)
def _ids(text: str) -> tuple[str, ...]:
    """A list of ids from JSON."""
    return tuple(json.loads(text))
