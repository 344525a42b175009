"""What must be true of the rows of ledgers, reservations, allocations, sessions and events."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from zimun.domain.catalog.entries import Service
from zimun.domain.ledger.events import CATALOG_TYPES, FOREVER
from zimun.domain.ledger.reservation import LIVE, Reservation, State
from zimun.storage import reservation_rows

from .engines import Engine, Row, Tables
from .sample_catalog import SERVICES


def reservations_of(tables: Tables) -> dict[str, Reservation]:
    """By hold_id, what the reservations table holds."""
    found = (reservation_rows.reservation(list(row.values())) for row in tables["reservations"])
    return {reservation.hold_id: reservation for reservation in found}


def stored_reservation(engine: Engine, reservation: Reservation) -> Reservation:
    """The row of a reservation as it is now."""
    return reservations_of(engine.tables())[reservation.hold_id]


def reservation_events(tables: Tables) -> list[Row]:
    """The events about reservations, in order."""
    return [event for event in tables["events"] if event["hold_id"]]


def events_of(tables: Tables, hold_id: str) -> list[str]:
    """The types of a reservation's events, in order."""
    return [event["type"] for event in tables["events"] if event["hold_id"] == hold_id]


def is_live(reservation: Reservation, now: int) -> bool:
    """Whether the reservation keeps its time busy at `now`."""
    return reservation.state in LIVE and (
        reservation.state is not State.HELD or now < reservation.expires_at
    )


def expected_allocations(
    reservations: Iterable[Reservation], services: Mapping[str, Service]
) -> list[Row]:
    """The allocations that live reservations imply, one for each subject of each session."""
    sessions: dict[str, list[Reservation]] = defaultdict(list)
    for reservation in reservations:
        sessions[reservation.session_id].append(reservation)
    return sorted(
        (
            {
                "subject": subject,
                "session_id": session_id,
                "busy_start": members[0].start - services[members[0].service_id].buffer_before,
                "busy_end": members[0].end + services[members[0].service_id].buffer_after,
                "expires_at": max(
                    member.expires_at if member.state is State.HELD else FOREVER
                    for member in members
                ),
            }
            for session_id, members in sessions.items()
            for subject in subjects_of(members[0])
        ),
        key=_by_subject,
    )


def subjects_of(reservation: Reservation) -> Sequence[str]:
    """What a reservation takes."""
    staff_ids = (reservation.staff_id,) if reservation.staff_id else ()
    own = f"{reservation.service_id}@{reservation.location_id}"
    return (*staff_ids, *reservation.resource_ids) or (own,)


def _by_subject(row: Row) -> tuple[str, int]:
    return row["subject"], row["busy_start"]


def check_ledger(tables: Tables, now: int, services: Mapping[str, Service] = SERVICES) -> None:
    """Assert what must be true of ledgers, reservations, allocations and events at every moment.

    Nothing is sold twice; what is busy is exactly what the live reservations
    take. Events are numbered 1, 2, 3 and so on up to the head, and time does not
    run back along them. Replayed in order they are a legal story of every
    reservation, in which nothing is ever sold twice either, and end in the rows
    of reservations, allocations and sessions.
    """
    reservations = reservations_of(tables)
    live = [found for found in reservations.values() if is_live(found, now)]
    _check_allocations(tables["allocations"], reservations.values(), live, now, services)
    _check_seats(live, services)
    assert {row["org_id"] for row in tables["events"]} <= {
        row["org_id"] for row in tables["ledgers"]
    }
    for head in tables["ledgers"]:
        check_history(tables, head)


def _check_allocations(
    allocations: Sequence[Row],
    reservations: Iterable[Reservation],
    live: Sequence[Reservation],
    now: int,
    services: Mapping[str, Service],
) -> None:
    columns = ("subject", "session_id", "busy_start", "busy_end", "expires_at")
    lasting = [
        {column: row[column] for column in columns}
        for row in allocations
        if row["expires_at"] > now
    ]
    assert sorted(lasting, key=_by_subject) == expected_allocations(live, services)
    over = {row["session_id"] for row in allocations if row["expires_at"] <= now}
    unrecorded = {found.session_id for found in reservations if found.state is State.HELD}
    assert over <= unrecorded, "allocations outlive the reservations that they were made for"
    ordered = sorted(lasting, key=_by_subject)
    for row, following in pairwise(ordered):
        apart = row["busy_end"] <= following["busy_start"]
        assert apart or row["subject"] != following["subject"], f"sold twice: {row}, {following}"


def _check_seats(live: Sequence[Reservation], services: Mapping[str, Service]) -> None:
    seats: dict[str, int] = defaultdict(int)
    for reservation in live:
        seats[reservation.session_id] += reservation.seats
        assert seats[reservation.session_id] <= services[reservation.service_id].capacity


def check_history(tables: Tables, head: Row) -> None:
    """Assert what must be true of one organization's events, as `check_ledger` says."""

    def own(table: str) -> list[Row]:
        return [row for row in tables[table] if row["org_id"] == head["org_id"]]

    events = own("events")
    _check_numbers(events, head)
    replay = _Replay(is_whole=all(event["type"] != "HISTORY_PRUNED" for event in events))
    for event in events:
        if event["hold_id"]:
            replay.add(event)
    assert replay.reservations == {
        row["hold_id"]: {name: row[name] for name in row if name != "contact_key"}
        for row in own("reservations")
    }
    if replay.is_whole:
        assert replay.allocations() == own("allocations")
        assert replay.seats() == {
            row["session_id"]: (row["seats_taken"], row["capacity"]) for row in own("sessions")
        }


def _check_numbers(events: Sequence[Row], head: Row) -> None:
    numbers = [event["seq"] for event in events]
    assert (numbers[-1] if numbers else 0) == head["seq"], "the head is not the last event"
    pruned = [event["seq"] for event in events if event["type"] == "HISTORY_PRUNED"]
    # Pruning takes events away, of those before its own.
    gapless = [number for number in numbers if number >= max(pruned, default=1)]
    assert gapless == [*range(max(pruned, default=1), head["seq"] + 1)], "numbers are missing"
    times = [event["time"] for event in events]
    assert times == sorted(times), "time runs back along the events"
    assert not times or times[-1] <= head["time"], "an event is later than the head"
    catalog = [event["seq"] for event in events if event["type"] in CATALOG_TYPES]
    assert not catalog or catalog[-1] == head["catalog_version"]


class _Step(NamedTuple):
    """What an event may do to a reservation: its states before, the one after, what may change."""

    before: tuple[str, ...]
    after: str
    changes: frozenset[str] = frozenset()


_MOVES = frozenset({"start_time", "end_time", "session_id", "staff_id", "resource_ids"})
_CONTACT = frozenset({"contact_name", "contact_email", "contact_phone", "notes", "metadata"})
_OUTCOME = frozenset({"outcome_time"})

_STEPS: Mapping[str, _Step] = {
    "HOLD_EXTENDED": _Step(("HELD",), "HELD", frozenset({"expires_at"})),
    "HOLD_RELEASED": _Step(("HELD",), "RELEASED"),
    "HOLD_EXPIRED": _Step(("HELD",), "EXPIRED"),
    "APPOINTMENT_CONFIRMED": _Step(
        ("HELD",), "CONFIRMED", _CONTACT | {"appointment_id", "confirm_time"}
    ),
    "APPOINTMENT_RESCHEDULED": _Step(("CONFIRMED",), "CONFIRMED", _MOVES),
    "APPOINTMENT_CANCELLED": _Step(("CONFIRMED",), "CANCELLED", frozenset({"cancel_reason"})),
    "APPOINTMENT_UPDATED": _Step(("CONFIRMED",), "CONFIRMED", _CONTACT | {"seats"}),
    "APPOINTMENT_CONTACT_ERASED": _Step(("CONFIRMED",), "CONFIRMED", _CONTACT),
    "APPOINTMENT_COMPLETED": _Step(("CONFIRMED",), "COMPLETED", _OUTCOME),
    "APPOINTMENT_NO_SHOW": _Step(("CONFIRMED",), "NO_SHOW", _OUTCOME),
    "APPOINTMENT_REOPENED": _Step(("COMPLETED", "NO_SHOW"), "CONFIRMED", _OUTCOME),
}

_FIRST = {"HOLD_CREATED": "HELD", "APPOINTMENT_CONFIRMED": "CONFIRMED"}
"""How a reservation may begin, and its state; demo data begins as an appointment."""


@dataclass
class _Replay:
    """Rows as the events up to one of them leave them; `is_whole` where nothing was pruned."""

    is_whole: bool
    reservations: dict[str, Row] = field(default_factory=dict)
    sessions: dict[str, Row] = field(default_factory=dict)

    def add(self, event: Row) -> None:
        """Go on to the next event, which must be legal after those before."""
        data = json.loads(event["data"])
        after = data["reservation"]
        before = self.reservations.get(event["hold_id"])
        assert after["hold_id"] == event["hold_id"]
        assert after["revision"] == event["revision"]
        if before is None:
            _check_first(event, after)
        else:
            _check_step(event, before, after)
        self.reservations[event["hold_id"]] = after
        if self.is_whole:
            # What ends comes before what takes its place.
            for session in sorted(data["sessions"], key=itemgetter("until")):
                self._add_session(session)
            touched = {session["session_id"] for session in data["sessions"]}
            left = {before["session_id"]} if before else set()
            is_erasure = event["type"] == "APPOINTMENT_CONTACT_ERASED"
            assert touched == (set() if is_erasure else {after["session_id"]} | left)

    def _add_session(self, session: Row) -> None:
        session_id = session["session_id"]
        members = [
            row
            for row in self.reservations.values()
            if row["session_id"] == session_id and row["state"] in LIVE
        ]
        assert session["seats_taken"] == sum(row["seats"] for row in members)
        assert session["seats_taken"] <= session["capacity"], f"oversold: {session}"
        assert session["until"] == max(
            (row["expires_at"] if row["state"] == "HELD" else FOREVER for row in members),
            default=0,
        )
        self.sessions.pop(session_id, None)
        if not session["until"]:
            return
        begin, end = session["busy"]
        for other in self.sessions.values():
            apart = end <= other["busy"][0] or other["busy"][1] <= begin
            shared = set(_subjects(session)) & set(_subjects(other))
            assert apart or not shared, f"sold twice: {session}, {other}"
        self.sessions[session_id] = session

    def allocations(self) -> list[Row]:
        """The rows of allocations that the sessions come to, by their key."""
        [org_id] = {row["org_id"] for row in self.reservations.values()} or {""}
        found = [
            {
                "org_id": org_id,
                "subject": subject,
                "busy_start": session["busy"][0],
                "busy_end": session["busy"][1],
                "start_time": session["start"],
                "session_id": session["session_id"],
                "expires_at": session["until"],
                "booked_at": session["booked_at"],
            }
            for session in self.sessions.values()
            for subject in _subjects(session)
        ]
        return sorted(found, key=_by_subject)

    def seats(self) -> dict[str, tuple[int, int]]:
        """The seats taken of each session that has several, and its capacity."""
        return {
            session["session_id"]: (session["seats_taken"], session["capacity"])
            for session in self.sessions.values()
            if session["capacity"] > 1
        }


def _subjects(session: Row) -> Sequence[str]:
    staff_ids = [session["staff_id"]] if session["staff_id"] else []
    own = f"{session['service_id']}@{session['location_id']}"
    return [*staff_ids, *session["resource_ids"]] or [own]


def _check_first(event: Row, row: Row) -> None:
    assert (event["type"], row["state"]) in _FIRST.items(), f"no beginning: {event}"
    assert row["revision"] == 1
    assert row["create_time"] == row["update_time"] == event["time"]
    assert (row["state"] == "CONFIRMED") is (row["appointment_id"] != "")


def _check_step(event: Row, before: Row, after: Row) -> None:
    step = _STEPS.get(event["type"])
    assert step, f"no step: {event}"
    assert before["state"] in step.before, f"no step: {event}"
    assert after["state"] == step.after, f"no step: {event}"
    assert after["revision"] == before["revision"] + 1
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= step.changes | {"state", "revision", "update_time"}, f"no step: {event}"
    if event["type"] == "HOLD_EXPIRED":
        assert event["client_id"] == ""
        assert event["time"] >= before["expires_at"] == after["update_time"]
        return
    assert after["update_time"] == event["time"]
    assert before["state"] != "HELD" or event["time"] < before["expires_at"], f"late: {event}"
