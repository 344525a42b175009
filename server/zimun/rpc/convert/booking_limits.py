"""Limits of bookings: protobuf to domain values and back."""

from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.v1 import booking_limit_pb2


def booking_limit(limit: BookingLimit) -> booking_limit_pb2.BookingLimit:
    """A limit on the wire."""
    return booking_limit_pb2.BookingLimit(
        max_bookings=limit.max_bookings, period=limit.period.value, per=limit.per.value
    )


def read_booking_limit(sent: booking_limit_pb2.BookingLimit) -> BookingLimit:
    """The limit of a message, whose enum values have been checked."""
    return BookingLimit(
        max_bookings=sent.max_bookings,
        period=LimitPeriod(booking_limit_pb2.BookingLimit.Period.Name(sent.period)),
        per=LimitSubject(booking_limit_pb2.BookingLimit.Subject.Name(sent.per)),
    )
