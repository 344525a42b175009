"""Whether what was read was true at one moment between its request and its answer.

As with refusals, only what is certain is held against the server. But that an
acknowledged write is seen by every later read is certain.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from .history import OK, Attempt
from .ledger import FOREVER, Ledger, Life, Revision, shows
from .occupancy import SlotQuery, has_capacity, is_limited, slots
from .scenario import DAY, SERVICES, Service
from .states import States

Span = tuple[int, int]


def read_violations(ledger: Ledger, states: States) -> Iterator[str]:
    """In words, everything that was read and cannot have been so."""
    reader = Reader(ledger, states)
    for attempt in ledger.reads:
        if attempt.outcome == OK:
            for what in reader.judge(attempt):
                yield (
                    f"misread: {attempt.org} {attempt.name}, "
                    f"{attempt.sent} to {attempt.answered}: {what}"
                )


class Reader:
    """A ledger, its states, and which appointments were ever on which day."""

    def __init__(self, ledger: Ledger, states: States) -> None:
        self._ledger = ledger
        self._states = states
        self._on_day: dict[tuple[str, int], list[Life]] = defaultdict(list)
        for life in ledger.lives.values():
            for day in {one.row["start_time"] // DAY for one in life.revisions}:
                self._on_day[life.org, day].append(life)
        self._judges: dict[str, Callable[[Attempt], Iterator[str]]] = {
            "GetAppointment": self._appointment,
            "ListAppointments": self._appointments,
            "GetAvailability": self._availability,
        }

    def judge(self, attempt: Attempt) -> list[str]:
        return [*self._judges[attempt.method](attempt)]

    def _appointment(self, attempt: Attempt) -> Iterator[str]:
        [item] = attempt.answer["items"]
        if item["appointment_id"] != attempt.request["appointment_id"]:
            yield f"it is {item['appointment_id']}"
        yield from self._at_one_moment(attempt)

    def _appointments(self, attempt: Attempt) -> Iterator[str]:
        """All confirmed ones of the day, and of the service if one is named, in order of start."""
        items = attempt.answer["items"]
        keys = [(item["start"], item["appointment_id"]) for item in items]
        if any(one >= other for one, other in pairwise(keys)):
            yield f"out of order or twice: {keys}"
        yield from (f"not asked for: {one}" for one in items if not _wanted(attempt, one))
        yield from self._at_one_moment(attempt)
        if not self._is_a_list(attempt):
            yield "so at no number of the ledger from its request to its answer"
        listed = {item["hold_id"] for item in items}
        for life in self._on_day[attempt.org, attempt.request["day"] // DAY]:
            if life.hold_id not in listed and _was_wanted_all_the_while(life, attempt):
                yield f"{life.hold_id} is missing"

    def _is_a_list(self, attempt: Attempt) -> bool:
        """Whether the appointments are exactly those that there were after one event."""
        order = self._ledger.orders.get(attempt.org)
        first, last = order.positions(attempt.sent, attempt.answered) if order else (0, 0)
        items = {item["hold_id"]: item for item in attempt.answer["items"]}
        lives = self._on_day[attempt.org, attempt.request["day"] // DAY]
        if items.keys() - {life.hold_id for life in lives}:
            return False
        changes = {one.position for life in lives for one in life.revisions}
        return any(
            all(_reads_so(life, position, attempt, items.get(life.hold_id)) for life in lives)
            for position in sorted({first, *(one for one in changes if first < one <= last)})
        )

    def _at_one_moment(self, attempt: Attempt) -> Iterator[str]:
        """All that was read together must have been so at the same moment."""
        spans: list[Span] = [(attempt.sent, attempt.answered)]
        for item in attempt.answer["items"]:
            span = _span(self._ledger.lives.get((attempt.org, item["hold_id"])), item)
            if span is None:
                yield f"it never was {item}"
                return
            spans.append(span)
        since, until = max(one for one, _ in spans), min(one for _, one in spans)
        if since > until:
            yield f"never so at one moment: not before {since}, and not after {until}"

    def _availability(self, attempt: Attempt) -> Iterator[str]:
        service, day = SERVICES[attempt.request["service_id"]], attempt.request["day"]
        location_id = attempt.request.get("location_id", "")
        told = {start: (end, seats, staff) for start, end, seats, staff in attempt.answer["slots"]}
        starts = [start for start, *_ in attempt.answer["slots"]]
        if starts != sorted(told):
            yield f"out of order or twice: {starts}"
        grid = service.grid(day)
        for start, (end, *_) in told.items():
            if start not in grid or end != start + service.duration:
                yield f"no slot of the service: {start} to {end}"
        if not self._is_a_state(attempt, service):
            yield "so at no number of the ledger from its request to its answer"
        offers = [
            (start, one, seats if one in (staff or [""]) else 0)
            for start in grid
            for _, seats, staff in [told.get(start, (0, 0, []))]
            for one in service.staff or ("",)
        ]
        queries = [SlotQuery(service, location_id, *offer) for offer in offers]
        possible = self._ledger.occupancy(self._ledger.possible, attempt, service, day)
        for query in queries:
            more = query._replace(seats=query.seats + 1)
            limited = query.seats == service.capacity or is_limited(possible, query)
            if not limited and has_capacity(possible, more):
                yield f"{query.start} {query.staff_id} had room for more than {query.seats}"
        if not self._was_offered_at_once(attempt, [one for one in queries if one.seats]):
            yield f"never free together: {[one for one in offers if one[2]]}"

    def _is_a_state(self, attempt: Attempt, service: Service) -> bool:
        """Whether the slots are exactly those that were open after one event of the ledger."""
        day, location_id = attempt.request["day"], attempt.request.get("location_id", "")
        said = {
            start: (end, seats, frozenset(staff))
            for start, end, seats, staff in attempt.answer["slots"]
        }
        return any(
            slots(occupancy, service, location_id, day) == said
            for occupancy in self._states.during(attempt, day)
        )

    def _was_offered_at_once(self, attempt: Attempt, queries: list[SlotQuery]) -> bool:
        """Whether there was a moment at which nothing of what was offered was certainly taken.

        It is sought where something that was taken came to its end.
        """
        service, day = SERVICES[attempt.request["service_id"]], attempt.request["day"]
        certain = self._ledger.occupancy(self._ledger.certain, attempt, service, day)
        ends = {one.until for some in certain.values() for one in some}
        for moment in sorted({attempt.sent, *(one for one in ends if one <= attempt.answered)}):
            then = {
                subject: [one for one in some if one.since <= moment < one.until]
                for subject, some in certain.items()
            }
            if all(has_capacity(then, query) for query in queries):
                return True
        return False


def _reads_so(life: Life, position: int, attempt: Attempt, item: dict[str, object] | None) -> bool:
    """Whether a list that was read after so many events has just this of a reservation."""
    there = [one for one in life.revisions if one.position <= position]
    if item is None:
        return not there or not _wanted(attempt, _item(there[-1]))
    return bool(there) and shows(item, there[-1])


def _span(life: Life | None, item: dict[str, object]) -> Span | None:
    """From when to when an appointment may have read so; None for never."""
    revisions = life.revisions if life else []
    for number, revision in enumerate(revisions):
        if shows(item, revision):
            later = revisions[number + 1 : number + 2]
            return revision.not_before, later[0].not_after - 1 if later else FOREVER
    return None


def _wanted(attempt: Attempt, item: dict[str, object]) -> bool:
    """Whether an appointment is one of those that were asked for."""
    request = attempt.request
    return (
        item["state"] == "CONFIRMED"
        and request["day"] <= item["start"] < request["day"] + DAY
        and request.get("service_id", item["service_id"]) == item["service_id"]
    )


def _was_wanted_all_the_while(life: Life, attempt: Attempt) -> bool:
    """Whether every revision that may have been there then is one that was asked for."""
    gone = sum(one.not_after <= attempt.sent for one in life.revisions) - 1
    there = [one for one in life.revisions[max(gone, 0) :] if one.not_before <= attempt.answered]
    return gone >= 0 and all(_wanted(attempt, _item(one)) for one in there)


def _item(revision: Revision) -> dict[str, object]:
    row = revision.row
    return {"state": row["state"], "start": row["start_time"], "service_id": row["service_id"]}
