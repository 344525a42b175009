"""The values of a search: busy time, running sessions, slots, and what a hold takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from zimun.domain.catalog.subjects import taken_subjects
from zimun.domain.intervals import Interval

if TYPE_CHECKING:
    from zimun.domain.availability.tallies import Tally


@dataclass(frozen=True, slots=True)
class Session:
    """A session with taken seats, as a search sees it; `ledger.events.Session` is the record."""

    session_id: str
    start: int
    end: int
    staff_id: str
    resource_ids: tuple[str, ...]
    location_id: str
    seats_taken: int


@dataclass(slots=True)
class Busy:
    """What is taken: per subject its disjoint intervals in order, and per start the group sessions.

    A subject is a staff member, a resource, or a service that needs neither at a location.
    `tallies` are what counts for limits, by subject. None of it ends by itself before
    `stands_until`. Per subject, `expired` are the sessions whose holds have expired
    and are recorded to take it still.
    """

    taken: Mapping[str, Sequence[Interval]]
    sessions: Mapping[int, Sequence[Session]] = field(default_factory=dict)
    tallies: "Mapping[str, Sequence[Tally]]" = field(default_factory=dict)
    stands_until: int = 0
    expired: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Slot(NamedTuple):
    """A time that can be held: the staff members who are free for it, and the most seats of a hold.

    `resource_ids` are those that a new session would take, None where only
    running sessions have free seats; `joinable` are these.
    """

    start: int
    end: int
    staff_ids: tuple[str, ...]
    seats_left: int
    resource_ids: tuple[str, ...] | None
    joinable: tuple[Session, ...] = ()

    def given_by(self, staff_id: str) -> "Slot":
        """The slot with one of its staff members alone."""
        joinable = tuple([session for session in self.joinable if session.staff_id == staff_id])
        return self._replace(staff_ids=(staff_id,), joinable=joinable)


class Choice(NamedTuple):
    """The staff member and the resources that a hold takes; `session_id` is set when it joins a
    session that runs already."""

    staff_id: str
    resource_ids: tuple[str, ...]
    session_id: str = ""

    def subjects(self, service_id: str, location_id: str) -> tuple[str, ...]:
        """What is taken of a service at a location."""
        return taken_subjects(service_id, location_id, self.staff_id, self.resource_ids)
