"""Whether the changes of the catalogue are in the ledger, once each, and come to the catalogue."""

import json
from collections import defaultdict
from collections.abc import Iterator

from .history import Row
from .ledger import Ledger, Operation


def miscatalogued(ledger: Ledger) -> Iterator[str]:
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
