"""A recorded run as a ledger: reservations and time off, in the order of their events."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from .attribution import attribute
from .erasure import Restoration, attribute_erasures
from .history import CATALOG_CHANGES, CONTACT_CALLS, READS, Attempt, Record
from .ledger import (
    FOREVER,
    NO_TIME_OFF,
    TIME_OFF,
    TIME_OFF_EVENTS,
    Entry,
    EventOrder,
    Ledger,
    Life,
    Operation,
    Revision,
)


def build_ledger(record: Record) -> Ledger:
    """The ledger of a recorded run."""
    exports, erasures = (
        [one for one in record.attempts if one.method == method] for method in CONTACT_CALLS
    )
    writes = [one for one in record.attempts if one.method not in (*READS, *CONTACT_CALLS)]
    reads = [one for one in record.attempts if one.method in READS]
    lives, time_off = _lives(record), _time_off(record)
    restoration = Restoration(record, erasures)
    for life in lives.values():
        restoration.restore(life)
    operations = _operations(one for one in writes if one.method not in CATALOG_CHANGES)
    changes = _operations(one for one in writes if one.method in CATALOG_CHANGES)
    ledger = Ledger(
        operations, changes, reads, lives, time_off, record.tables, record.read_at, record.skew
    )
    ledger.exports, ledger.erasures = exports, erasures
    ledger.orders = _orders((*lives.values(), *time_off.values()))
    attribute(ledger)
    attribute_erasures(ledger)
    seen = _seen(ledger)
    for order in ledger.orders.values():
        _bound(order.entries, seen, record.skew)
    return ledger


def _seen(ledger: Ledger) -> dict[tuple[str, str, str], int]:
    """The instant of the first response that showed each revision, by hold and etag."""
    found: dict[tuple[str, str, str], int] = {}
    for attempt in ledger.reads:
        for item in attempt.answer.get("items", ()):
            key = attempt.org, item["hold_id"], item["etag"]
            found[key] = min(attempt.answered, found.get(key, FOREVER))
    return found


_DERIVED = ("contact_key",)
"""Columns of a reservation that follow from others, so that events do not have them."""


def _operations(attempts: Iterable[Attempt]) -> list[Operation]:
    found: dict[tuple[str, str, str, str, str], list[Attempt]] = defaultdict(list)
    for one in attempts:
        found[one.org, one.client, one.method, one.key, json.dumps(one.request)].append(one)
    return [Operation(sorted(group, key=lambda one: one.sent)) for group in found.values()]


def _lives(record: Record) -> dict[tuple[str, str], Life]:
    rows = {
        (row["org_id"], row["hold_id"]): {name: row[name] for name in row if name not in _DERIVED}
        for row in record.tables["reservations"]
    }
    lives = {key: Life(*key, row, skew=record.skew) for key, row in rows.items()}
    of_holds = (event for event in record.tables["events"] if event["hold_id"])
    for event in sorted(of_holds, key=lambda event: (event["seq"], event["revision"])):
        key = event["org_id"], event["hold_id"]
        life = lives.setdefault(key, Life(*key, None, skew=record.skew))
        data = json.loads(event["data"])
        life.revisions.append(
            Revision(
                event["revision"],
                event["seq"],
                event["time"],
                event["type"],
                event["client_id"],
                data["reservation"],
                data["sessions"],
                ignored_rules=data.get("ignored_rules", ()),
            )
        )
    return lives


def _time_off(record: Record) -> dict[tuple[str, str], Life]:
    """Of each time off its creation and, where it was deleted, that."""
    lives: dict[tuple[str, str], Life] = {}
    events = [one for one in record.tables["events"] if one["type"] in TIME_OFF_EVENTS]
    for event in sorted(events, key=lambda event: int(event["seq"])):
        data = json.loads(event["data"])
        is_there = "id" in data
        time_off_id = data["id"] if is_there else data["time_off_id"]
        key = event["org_id"], time_off_id
        life = lives.setdefault(key, Life(*key, None, skew=record.skew))
        before = life.revisions[-1].row if life.revisions else {}
        row = {**before, **data, "state": TIME_OFF if is_there else NO_TIME_OFF}
        number = len(life.revisions) + 1
        facts = number, event["seq"], event["time"], event["type"], event["client_id"]
        life.revisions.append(Revision(*facts, row, ()))
    return lives


def _orders(lives: Iterable[Life]) -> dict[str, EventOrder]:
    entries: dict[str, list[Entry]] = defaultdict(list)
    for life in lives:
        entries[life.org] += [(life, revision) for revision in life.revisions]
    for some in entries.values():
        some.sort(key=lambda entry: (entry[1].seq, entry[1].number))
        for position, (_, revision) in enumerate(some, 1):
            revision.position = position
    return {org: EventOrder(some) for org, some in entries.items()}


def _bound(entries: Sequence[Entry], seen: Mapping[tuple[str, str, str], int], skew: int) -> None:
    """When each revision took effect: between its instant, which the server read before it began,
    and the first answer that shows it; and in the order of their numbers."""
    earliest, latest = 0, FOREVER
    for _, revision in entries:
        earliest = revision.not_before = max(earliest, revision.at - skew)
    for life, revision in reversed(entries):
        if revision.operation:
            latest = min(latest, revision.operation.acknowledged)
        latest = min(latest, seen.get((life.org, life.hold_id, str(revision.number)), FOREVER))
        revision.not_after = latest
