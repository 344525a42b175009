"""Why a time cannot be had, once more: each rule of the protos by itself, slow and obvious."""

from functools import lru_cache
from itertools import product

from zimun.domain.availability.slots import Session
from zimun.domain.catalog.booking_limit import CUSTOMER_SUBJECT
from zimun.domain.catalog.entries import SlotAlignment

from .oracle import Oracle

TAKEN = {"STAFF_BUSY", "STAFF_DAILY_LIMIT", "RESOURCE_BUSY", "SERVICE_BUSY", "SEATS_TAKEN"}

Line = tuple[str, str, str, object]
"""A rule, whom or what it is about, whose session, and when taken or how many seats are left."""


def obstacles_of(oracle: Oracle, start: int) -> list[Line]:
    """Everything that stands in the way of a start that is no slot."""
    return _Obstacles(oracle, start).lines()


def refusal_of(oracle: Oracle, start: int) -> str:
    """The first rule that forbids a start, TAKEN where it is only taken; empty for a slot."""
    facts = oracle.facts(start)
    if (facts.is_new or facts.joinable) and oracle.opens <= start <= oracle.closes:
        return ""
    rule = obstacles_of(oracle, start)[0][0]
    return "TAKEN" if rule in TAKEN else rule


class _Obstacles:
    """Everything that stands in the way of a start, by the rules of the protos alone."""

    def __init__(self, oracle: Oracle, start: int) -> None:
        self.oracle, self.world, self.start = oracle, oracle.world, start
        self.service = oracle.world.service
        self.unarchived = oracle.unarchived
        self.duties = {one: self.duty(one) for one in oracle.wanted()}
        self.people = {
            one: self.duties[one] + (self.bookings(one) if one else []) for one in oracle.wanted()
        }

    def lines(self) -> list[Line]:
        """In their order, each once."""
        absent, lacking = self.resources()
        people_never = all(self.duties.values())
        nearest = [one for one in self.people if not self.duties[one]]
        nearest += [one for one in self.people if self.duties[one]]
        people = [line for one in nearest for line in self.people[one]]
        found = self.service_and_place() + (people if people_never else []) + absent + self.window()
        found += self.limits(CUSTOMER_SUBJECT)
        if not self.can_serve(lacking):
            found += [line for one in self.full() for line in self.seats(one)]
            found += self.limits(self.service.id)
            found += people if all(self.people.values()) else []
            own = {thing for one in self.full() for thing in one.resource_ids}
            own |= {self.service.id} if self.full() else set()
            found += [
                line for line in lacking if not line[0].endswith("BUSY") or line[1] not in own
            ]
        return list(dict.fromkeys(found))

    def service_and_place(self) -> list[Line]:
        world, found = self.world, list[Line]()
        where = world.place.id or world.catalog.organization.id
        if not self.service.active:
            found.append(("SERVICE_INACTIVE", self.service.id, "", None))
        if not self.oracle.place_is_active:
            found.append(("LOCATION_INACTIVE", where, "", None))
        if self.oracle.is_holiday(self.start):
            found.append(("HOLIDAY", where, "", None))
        elif not self.unarchived.is_place_open(self.start):
            found.append(("CLOSED", where, "", None))
        found += self.off("TIME_OFF", where, "o_1", world.place.id)
        if not self.oracle.is_within_service_hours(self.start):
            found.append(("SERVICE_CLOSED", self.service.id, "", None))
        if self.is_wall() or not self.service.staff_ids:
            found += self.off_step("", self.service.id)
        return found

    def window(self) -> list[Line]:
        early, late = self.start < self.oracle.opens, self.start > self.oracle.closes
        rules = ["LEAD_TIME"] * early + ["HORIZON"] * late
        return [(rule, self.service.id, "", None) for rule in rules]

    def is_wall(self) -> bool:
        return self.service.slot_alignment is SlotAlignment.HOUR

    def off_step(self, staff_id: str, subject: str) -> list[Line]:
        """Steps from an opening there are only while all are open."""
        place_opens = self.unarchived.given_date(self.start) is not None
        staff_opens = not staff_id or self.unarchived.staff_opens(staff_id, self.start)
        if not self.is_wall() and not (place_opens and staff_opens):
            return []
        is_step = self.unarchived.is_a_step(staff_id, self.start)
        return [] if is_step else [("NOT_ON_GRID", subject, "", None)]

    def duty(self, staff_id: str) -> list[Line]:
        """Why a staff member never serves then."""
        if not staff_id:
            return []
        member = self.world.catalog.staff[staff_id]
        rules = ["STAFF_INACTIVE"] * (not member.active)
        rules += ["STAFF_ELSEWHERE"] * (not self.oracle.is_here(member.location_ids))
        rules += ["STAFF_CLOSED"] * (not self.oracle.works_hours(staff_id, self.start))
        found: list[Line] = [(rule, staff_id, "", None) for rule in rules]
        found += self.off("STAFF_TIME_OFF", staff_id, staff_id)
        return found + ([] if self.is_wall() else self.off_step(staff_id, staff_id))

    def off(self, rule: str, subject_id: str, *owners: str) -> list[Line]:
        return [(rule, subject_id, "", when) for when in self.oracle.time_off(self.start, *owners)]

    def bookings(self, staff_id: str) -> list[Line]:
        """What is booked of a staff member then."""
        if sessions := self.sessions(staff_id):
            has_room = any(self.has_room(one) for one in sessions)
            return [] if has_room else [line for one in sessions for line in self.seats(one)]
        full = self.oracle.is_full(staff_id, self.start)
        found: list[Line] = [("STAFF_DAILY_LIMIT", staff_id, "", None)] * full
        return found + self.limits(staff_id) + self.busy("STAFF_BUSY", staff_id, staff_id)

    def limits(self, subject: str) -> list[Line]:
        reached = self.oracle.reached(subject, self.start)
        return [("LIMIT_REACHED", subject, "", limit) for limit in reached]

    def sessions(self, staff_id: str) -> list[Session]:
        """The sessions of a staff member, or of none, that are like the one asked for."""
        return [
            one
            for one in self.world.sessions
            if self.service.capacity > 1
            and (one.start, one.end) == (self.start, self.start + self.service.duration)
            and (one.location_id, one.staff_id) == (self.world.place.id, staff_id)
        ]

    def has_room(self, session: Session) -> bool:
        return session.seats_taken + self.world.seats <= self.service.capacity

    def seats(self, session: Session) -> list[Line]:
        left = max(self.service.capacity - session.seats_taken, 0)
        return [("SEATS_TAKEN", self.service.id, session.staff_id, left)]

    def full(self) -> list[Session]:
        """Sessions that lack nothing but seats."""
        return [
            session
            for one in self.duties
            if not self.duties[one]
            for session in self.sessions(one)
            if not self.has_room(session)
        ]

    def busy(self, rule: str, subject_id: str, subject: str) -> list[Line]:
        service = self.service
        begin = self.start - service.buffer_before
        end = self.start + service.duration + service.buffer_after
        return [
            (rule, subject_id, "", (since, until))
            for taken, since, until in sorted(self.world.taken)
            if taken == subject and since < end and begin < until
        ]

    def can_join(self) -> bool:
        return any(
            not self.duties[one] and any(self.has_room(session) for session in self.sessions(one))
            for one in self.duties
        )

    def beginners(self) -> list[str]:
        """Those who give no session then."""
        return [one for one in self.people if not one or not self.sessions(one)]

    def can_serve(self, lacking: list[Line]) -> bool:
        able = any(not self.people[one] for one in self.beginners())
        begins = able and not lacking and not self.limits(self.service.id)
        return begins or self.can_join()

    def resources(self) -> tuple[list[Line], list[Line]]:
        """What a new session lacks for good, and what it lacks now."""
        service, known = self.service, self.world.catalog.resources
        if self.can_join() or not self.beginners():
            return [], []
        if not service.staff_ids and not service.resource_requirements:
            return [], self.busy("SERVICE_BUSY", service.id, f"{service.id}@{self.world.place.id}")
        absent: dict[str, list[Line]] = {}
        lines: dict[str, list[Line]] = {}
        for one in dict.fromkeys(one for each in service.resource_requirements for one in each):
            rules = ["RESOURCE_INACTIVE"] * (not known[one].active)
            here = self.oracle.is_here({known[one].location_id} - {""})
            rules += ["RESOURCE_ELSEWHERE"] * (not here)
            absent[one] = [(rule, one, "", None) for rule in rules]
            absent[one] += self.off("RESOURCE_TIME_OFF", one, one)
            lines[one] = absent[one] + self.limits(one) + self.busy("RESOURCE_BUSY", one, one)
        order = [one for one in lines if not absent[one]] + [one for one in lines if absent[one]]
        ever = {one for one in lines if not absent[one]}
        now = {one for one in lines if not lines[one]}
        for_good, at_present = (self.missing(usable, order, lines) for usable in (ever, now))
        return ([] if self.full() else for_good), at_present

    def missing(
        self, usable: set[str], order: list[str], lines: dict[str, list[Line]]
    ) -> list[Line]:
        """The lines of those that would help, one by one, and whether too few are shared."""
        most = self.met(usable)
        requirements = self.service.resource_requirements
        if most == len(requirements):
            return []
        found = [
            line
            for one in order
            if one not in usable and self.met(usable | {one}) > most
            for line in lines[one]
        ]
        for wanted in range(len(requirements)):
            without = requirements[:wanted] + requirements[wanted + 1 :]
            # It may be left out by others that get the same.
            if (
                usable & {*requirements[wanted]}
                and max_requirements_met(without, frozenset(usable)) == most
            ):
                return [*found, ("RESOURCES_SHARED", self.service.id, "", None)]
        return found

    def met(self, usable: set[str]) -> int:
        return max_requirements_met(self.service.resource_requirements, frozenset(usable))


@lru_cache(maxsize=1 << 10)
def max_requirements_met(requirements: tuple[tuple[str, ...], ...], usable: frozenset[str]) -> int:
    """How many requirements can be met at once; none gets what another has."""
    best = 0
    for chosen in product(*[[*(set(one_of) & usable), ""] for one_of in requirements]):
        given = [one for one in chosen if one]
        if len(set(given)) == len(given):
            best = max(best, len(given))
    return best
