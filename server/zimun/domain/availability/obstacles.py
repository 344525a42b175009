"""Obstacles: the rules that a start breaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from zimun.domain.catalog.booking_limit import AppliedLimit
from zimun.domain.ignored_rules import BookingRule
from zimun.domain.intervals import Interval


class Rule(StrEnum):
    """The rules that a start can break; `zimun.v1.Obstacle.Rule` defines them."""

    SERVICE_INACTIVE = "SERVICE_INACTIVE"
    LOCATION_INACTIVE = "LOCATION_INACTIVE"
    HOLIDAY = "HOLIDAY"
    CLOSED = "CLOSED"
    TIME_OFF = "TIME_OFF"
    NOT_ON_GRID = "NOT_ON_GRID"
    LEAD_TIME = "LEAD_TIME"
    HORIZON = "HORIZON"
    STAFF_INACTIVE = "STAFF_INACTIVE"
    STAFF_ELSEWHERE = "STAFF_ELSEWHERE"
    STAFF_CLOSED = "STAFF_CLOSED"
    STAFF_TIME_OFF = "STAFF_TIME_OFF"
    STAFF_BUSY = "STAFF_BUSY"
    STAFF_DAILY_LIMIT = "STAFF_DAILY_LIMIT"
    RESOURCE_INACTIVE = "RESOURCE_INACTIVE"
    RESOURCE_ELSEWHERE = "RESOURCE_ELSEWHERE"
    RESOURCE_TIME_OFF = "RESOURCE_TIME_OFF"
    RESOURCE_BUSY = "RESOURCE_BUSY"
    RESOURCES_SHARED = "RESOURCES_SHARED"
    SERVICE_BUSY = "SERVICE_BUSY"
    SEATS_TAKEN = "SEATS_TAKEN"
    LIMIT_REACHED = "LIMIT_REACHED"
    SERVICE_CLOSED = "SERVICE_CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A rule that a start breaks.

    `subject_id` is the service, location, staff member or resource that it is
    about (none for a customer); `busy` is when it is taken, buffers included, or has time
    off; `staff_id` is whose session has no seats; `limit` is the one that is reached, until
    `limit_ends`.
    """

    rule: Rule
    message: str
    subject_id: str
    note: str = ""
    busy: Interval | None = None
    staff_id: str = ""
    limit: AppliedLimit | None = None
    limit_ends: int = 0


WINDOW_RULES = (Rule.LEAD_TIME, Rule.HORIZON)
RULES_SET_ASIDE: Mapping[BookingRule, Sequence[Rule]] = {
    BookingRule.OPENING_HOURS: (
        Rule.HOLIDAY,
        Rule.CLOSED,
        Rule.SERVICE_CLOSED,
        Rule.STAFF_CLOSED,
    ),
    BookingRule.GRID: (Rule.NOT_ON_GRID,),
    BookingRule.LIMITS: (Rule.STAFF_DAILY_LIMIT, Rule.LIMIT_REACHED),
}
"""The rules of obstacles that a caller sets aside with a booking rule; lead time and horizon are
limits of the search instead."""

TAKEN_RULES = (
    Rule.STAFF_BUSY,
    Rule.STAFF_DAILY_LIMIT,
    Rule.RESOURCE_BUSY,
    Rule.SERVICE_BUSY,
    Rule.SEATS_TAKEN,
)
