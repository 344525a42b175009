"""Every refusal has its reason in the contract, and every reason its refusal."""

import re
from collections import Counter

import pytest

from zimun.domain import booking_errors, errors
from zimun.domain.booking_errors import (
    AppointmentNotStarted,
    ContactHasAppointments,
    HoldExpired,
    HoldReleased,
    LimitReached,
    NotASlot,
    OutsideBookingWindow,
    OutsideUndoWindow,
    SlotUnavailable,
    TimeOffHasConflicts,
    TooManyBookings,
)
from zimun.domain.catalog.booking_limit import (
    CUSTOMER_SUBJECT,
    AppliedLimit,
    BookingLimit,
    LimitPeriod,
    LimitSubject,
)
from zimun.domain.errors import (
    EtagMismatch,
    IdempotencyKeyReused,
    IdTaken,
    InvalidRequest,
    NotFound,
    Overloaded,
    ResponseTooLarge,
    ScopeMissing,
    ZimunError,
)
from zimun.v1.error_reason_pb2 import ErrorReason

from .build import appointment

MODULES = (errors.__name__, booking_errors.__name__)
REASONS = frozenset(ErrorReason.keys())
OF_THE_BORDER = {"RATE_LIMITED", "INTERNAL"}
"""Reasons that the gateway and the servicers give, not the domain."""


def leaves(kind: type[ZimunError]) -> list[type[ZimunError]]:
    """The kinds of a tree that have none below them, as the domain declares it."""
    below = [one for one in kind.__subclasses__() if one.__module__ in MODULES]
    return [leaf for one in below for leaf in leaves(one)] if below else [kind]


LEAVES = leaves(ZimunError)
NAMES = [leaf.__name__ for leaf in LEAVES]


@pytest.mark.parametrize("leaf", LEAVES, ids=NAMES)
def test_a_refusals_reason_is_a_name_of_the_contract(leaf: type[ZimunError]) -> None:
    assert leaf.reason in REASONS


def test_every_reason_of_the_domain_belongs_to_exactly_one_refusal() -> None:
    zero = ErrorReason.Name(0)
    expected = REASONS - {zero} - OF_THE_BORDER
    assert Counter(leaf.reason for leaf in LEAVES) == Counter(expected)


def test_only_leaves_have_reasons() -> None:
    assert not [one for one in (ZimunError, *_inner(ZimunError)) if "reason" in vars(one)]


def _inner(kind: type[ZimunError]) -> list[type[ZimunError]]:
    below = [one for one in kind.__subclasses__() if one not in LEAVES]
    return below + [inner for one in below for inner in _inner(one)]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    assert [(len(bars) // 4, name) for bars, name in drawn] == _drawing(ZimunError, 0)


def _drawing(kind: type[ZimunError], depth: int) -> list[tuple[int, str]]:
    below = [one for one in kind.__subclasses__() if one.__module__ in MODULES]
    return [(depth, kind.__name__), *(line for one in below for line in _drawing(one, depth + 1))]


@pytest.mark.parametrize("kind", leaves(NotFound), ids=lambda kind: kind.__name__)
def test_what_is_not_found_is_named(kind: type[NotFound]) -> None:
    refused = kind("x_9")
    assert list(refused.metadata.values()) == ["x_9"]
    assert refused.message == str(refused)
    assert refused.message.endswith(" x_9")


def test_the_first_wrong_field_is_named_and_all_are_kept() -> None:
    refused = InvalidRequest({"date": "must be a date", "seats": "must be at least 1"})
    assert refused.message == "date: must be a date"
    assert refused.metadata == {"field": "date"}
    assert list(refused.violations) == ["date", "seats"]


def test_the_facts_beside_a_reason_are_those_of_the_contracts_examples() -> None:
    assert HoldExpired("h_1", 1_764_583_800_000_000).metadata == {
        "hold_id": "h_1",
        "expires_at": "2025-12-01T10:10:00Z",
    }
    assert ScopeMissing("org:read").metadata == {"scope": "org:read"}
    assert EtagMismatch("appointment_id", "a_1").metadata == {"appointment_id": "a_1"}
    assert IdempotencyKeyReused("HoldAppointment").metadata == {"method": "HoldAppointment"}
    assert IdTaken("s_123").metadata == {"id": "s_123"}
    assert SlotUnavailable("s_123").metadata == {"service_id": "s_123"}
    assert NotASlot("CLOSED", "closed").metadata == {"rule": "CLOSED"}
    assert NotASlot("HOLIDAY", "closed", "Epiphany").metadata == {
        "rule": "HOLIDAY",
        "note": "Epiphany",
    }
    assert (Overloaded("full").metadata, Overloaded("full", 2.5).retry_after) == ({}, 2.5)


def test_response_that_is_too_large_names_its_field_and_the_maximum_in_mebibytes() -> None:
    refused = ResponseTooLarge("end_date", 4 << 20)
    assert refused.metadata == {"field": "end_date"}
    assert refused.message.startswith("end_date: asks for more than 4 MiB: ")
    assert refused.violations == {"end_date": refused.message.removeprefix("end_date: ")}


def test_booking_window_is_given_in_the_whole_seconds_within_it() -> None:
    for earliest, latest in ((1_000_001, 9_000_000), (2_000_000, 9_999_999)):
        refused = OutsideBookingWindow("LEAD_TIME", earliest, latest)
        assert refused.metadata == {
            "rule": "LEAD_TIME",
            "opens": "1970-01-01T00:00:02Z",
            "closes": "1970-01-01T00:00:09Z",
        }


def test_conflicts_of_time_off_are_named_and_counted() -> None:
    made = appointment()
    refused = TimeOffHasConflicts("t_1", [made], 7)
    assert refused.reservations == [made]
    assert refused.metadata == {"owner_id": "t_1", "total_size": "7"}


@pytest.mark.parametrize("subject_id", ["t_1", CUSTOMER_SUBJECT])
def test_limit_that_is_reached_names_its_subject_unless_that_is_the_customer(
    subject_id: str,
) -> None:
    limit = BookingLimit(max_bookings=2, period=LimitPeriod.WEEK, per=LimitSubject.STAFF_MEMBER)
    refused = LimitReached(AppliedLimit(limit, "o_1", subject_id), "full", 0)
    assert refused.metadata == {
        "per": "STAFF_MEMBER",
        "period": "WEEK",
        "max_bookings": "2",
        "owner_id": "o_1",
        "ends": "1970-01-01T00:00:00Z",
        **({"subject_id": subject_id} if subject_id else {}),
    }


@pytest.mark.parametrize(
    ("refused", "message", "metadata"),
    [
        (HoldReleased("h_1"), "hold h_1 was released", {"hold_id": "h_1"}),
        (
            AppointmentNotStarted("a_1", 0),
            "appointment a_1 starts at 1970-01-01T00:00:00Z",
            {"appointment_id": "a_1", "start_time": "1970-01-01T00:00:00Z"},
        ),
        (
            OutsideUndoWindow("a_1", 0),
            "appointment a_1 could be reopened until 1970-01-01T00:00:00Z",
            {"appointment_id": "a_1", "until": "1970-01-01T00:00:00Z"},
        ),
        (
            TooManyBookings("the contact's appointments", 20_000),
            "the contact's appointments are more than 20,000",
            {"limit": "20000"},
        ),
        (
            ContactHasAppointments(["a_1", "a_2"]),
            "the contact has appointments to come: a_1, a_2",
            {"appointment_ids": "a_1, a_2"},
        ),
    ],
)
def test_refusal_has_a_message_with_its_facts(
    refused: ZimunError, message: str, metadata: dict[str, str]
) -> None:
    assert (refused.message, refused.metadata) == (message, metadata)


def test_refusal_of_a_taken_slot_does_not_stand_unless_it_says_until_when() -> None:
    assert SlotUnavailable("s_1").stands_until == 0
