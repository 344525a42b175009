"""Rules that a client acting for the organization may set aside."""

from collections.abc import Iterable
from enum import StrEnum


class BookingRule(StrEnum):
    """The rules that can be set aside; `zimun.v1.Appointment.Rule` defines them."""

    LEAD_TIME = "LEAD_TIME"
    HORIZON = "HORIZON"
    OPENING_HOURS = "OPENING_HOURS"
    GRID = "GRID"
    CUTOFF = "CUTOFF"
    LIMITS = "LIMITS"


IgnoredRules = frozenset[BookingRule]

NO_RULES: IgnoredRules = frozenset()


def in_order(rules: Iterable[BookingRule]) -> tuple[BookingRule, ...]:
    """Each of some rules once, in the order of BookingRule."""
    named = set(rules)
    return tuple([rule for rule in BookingRule if rule in named])
