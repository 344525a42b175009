"""Limits of bookings: at most so many in a period, for each subject of a kind. Plain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zimun.domain.catalog.entries import Organization, Service

CUSTOMER_SUBJECT = ""
"""The subject of a limit for each customer: who that is depends on the appointment."""


class LimitPeriod(StrEnum):
    """In which bookings count together; a week begins on Monday (ISO 8601)."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    UPCOMING = "UPCOMING"


class LimitSubject(StrEnum):
    """What bookings are counted for, each by itself."""

    STAFF_MEMBER = "STAFF_MEMBER"
    SERVICE = "SERVICE"
    RESOURCE = "RESOURCE"
    CUSTOMER = "CUSTOMER"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingLimit:
    """At most `max_bookings` in a period for each subject; `zimun.v1.BookingLimit` defines it."""

    max_bookings: int
    period: LimitPeriod
    per: LimitSubject


class AppliedLimit(NamedTuple):
    """A limit for one subject: whose bookings count, and who sets it.

    `owner_id` is an organization, a service, whose own bookings alone count, or
    a staff member with a daily limit.
    """

    limit: BookingLimit
    owner_id: str
    subject_id: str

    @property
    def is_daily_limit(self) -> bool:
        """Whether it is the `daily_limit` of a staff member."""
        return self.owner_id == self.subject_id and self.limit.per is LimitSubject.STAFF_MEMBER


def applied_limits(
    organization: "Organization", service: "Service", daily_limits: Mapping[str, int]
) -> Iterator[AppliedLimit]:
    """Every limit of a service's bookings; `daily_limits` are those of its staff members."""
    subjects: Mapping[LimitSubject, Sequence[str]] = {
        LimitSubject.STAFF_MEMBER: service.staff_ids,
        LimitSubject.SERVICE: (service.id,),
        LimitSubject.RESOURCE: service.resource_ids,
        LimitSubject.CUSTOMER: (CUSTOMER_SUBJECT,),
    }
    for staff_id, maximum in daily_limits.items():
        daily = BookingLimit(
            max_bookings=maximum, period=LimitPeriod.DAY, per=LimitSubject.STAFF_MEMBER
        )
        yield AppliedLimit(daily, staff_id, staff_id)
    for owner in (organization, service):
        for limit in owner.booking_limits:
            for subject_id in subjects[limit.per]:
                yield AppliedLimit(limit, owner.id, subject_id)
