"""Whether the changes of the catalogue are in the ledger, once each, and come to the catalogue.

They are names of rooms, and time off.
"""

import json
from collections import defaultdict
from collections.abc import Iterator

from .history import CATALOG_CHANGE, TIME_OFF_CHANGES, Row
from .ledger import TIME_OFF_EVENTS, Ledger, Operation, Revision


def catalog_violations(ledger: Ledger) -> Iterator[str]:
    """In words, all that is wrong with the catalogue and its changes."""
    yield from _wrong_rooms(ledger)
    yield from _wrong_time_off(ledger)


def _wrong_rooms(ledger: Ledger) -> Iterator[str]:
    """In words, every change of a room that has not just one event, and every room that is not as
    its last event left it. Each change gives a room a name of its own."""
    events = [one for one in ledger.tables["events"] if one["type"] == "RESOURCE_SET"]
    by_name: dict[tuple[str, str], list[Row]] = defaultdict(list)
    rooms: dict[tuple[str, str], dict[str, object]] = {}
    for event in sorted(events, key=lambda event: int(event["seq"])):
        data = json.loads(event["data"])
        by_name[event["org_id"], data["name"]].append(event)
        before = rooms.get((event["org_id"], data["id"]), {"revision": data["revision"] - 1})
        if data["revision"] - 1 != before["revision"]:
            yield f"{event['org_id']} {data['id']}: revision {data['revision']} after {before}"
        rooms[event["org_id"], data["id"]] = data
    for operation in ledger.catalog_changes:
        first = operation.first
        if first.method != CATALOG_CHANGE:
            continue
        found = by_name.get((first.org, first.request["name"]), [])
        yield from (f"{first.name}: {what}" for what in _misdone(ledger, operation, found))
    for row in ledger.tables["resources"]:
        said = rooms.get((row["org_id"], row["id"]), {})
        if any(said.get(name) != row[name] for name in ("name", "revision")):
            yield f"the last event of {row['org_id']} {row['id']} says {said}, the catalogue {row}"


def _misdone(ledger: Ledger, operation: Operation, events: list[Row]) -> Iterator[str]:
    if len(events) > 1 or (operation.oks and not events):
        yield f"it has {len(events)} events"
    if events and not operation.may_have_happened:
        yield "it was refused, and has an event"
    for event in events:
        if not operation.sent <= event["time"] <= operation.acknowledged + ledger.skew:
            yield f"its event is of {event['time']}, not between its request and its answer"
    for attempt in operation.oks:
        if attempt.answer["name"] != operation.first.request["name"]:
            yield f"it was answered {attempt.answer}"


def _wrong_time_off(ledger: Ledger) -> Iterator[str]:
    """Time off is as its request says, until a request deletes it."""
    lives = ledger.time_off.values()
    done = {id(revision.operation) for life in lives for revision in life.revisions}
    for operation in ledger.catalog_changes:
        is_time_off = operation.first.method in TIME_OFF_CHANGES
        if is_time_off and operation.oks and id(operation) not in done:
            yield f"{operation.first.name} was answered, and has no event"
    for life in lives:
        types = [one.type for one in life.revisions]
        if types != [*TIME_OFF_EVENTS[: len(types)]]:
            yield f"{life.org} {life.hold_id} has the events {types}"
        yield from filter(None, map(_differs_from_request, life.revisions))
    there = {key for key, life in ledger.time_off.items() if life.revisions[-1].takes()}
    rows = {(row["org_id"], row["id"]) for row in ledger.tables["time_off"]}
    if rows != there:
        yield f"time off by its events: {there}, in the catalogue: {rows}"


def _differs_from_request(revision: Revision) -> str:
    asked = revision.operation.first.request if revision.operation else {"id": ""}
    if all(revision.row[name] == asked[name] for name in asked if name in revision.row):
        return ""
    return f"{revision.type} of {revision.row}, and {asked} was asked for"
