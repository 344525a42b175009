"""What a request for slots means: its dates, and the entries that it names."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from zimun.domain.availability import slot_request
from zimun.domain.availability.slot_request import DateRange, ResolvedRequest, SlotRequest, resolve
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Place
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.ledger.ledger import Ledger

from . import build
from .build import MONDAY, NINE, utc
from .test_limit_rules import Salon, cut


@pytest.mark.parametrize(
    ("dates", "days", "field"),
    [
        (DateRange(MONDAY, MONDAY), 1, "date"),
        (DateRange(MONDAY, date(2026, 1, 7)), 3, "end_date"),
        (DateRange(days_ahead=4), 4, "days_ahead"),
        (DateRange(MONDAY, days_ahead=4), 4, "days_ahead"),
    ],
)
def test_date_range_has_days_and_the_field_that_ends_it(
    dates: DateRange, days: int, field: str
) -> None:
    assert (dates.days, dates.last_field) == (days, field)


@pytest.mark.parametrize(
    ("dates", "begin", "end"),
    [
        (DateRange(MONDAY, MONDAY), "2026-01-04T23:00", "2026-01-05T23:00"),
        (DateRange(MONDAY, date(2026, 1, 6)), "2026-01-04T23:00", "2026-01-06T23:00"),
        (DateRange(days_ahead=1), "2026-01-05T23:00", "2026-01-06T23:00"),
        (DateRange(days_ahead=3), "2026-01-05T23:00", "2026-01-08T23:00"),
        (DateRange(MONDAY, days_ahead=2), "2026-01-04T23:00", "2026-01-06T23:00"),
        (DateRange(MONDAY, MONDAY, 0, "Asia/Kolkata"), "2026-01-04T18:30", "2026-01-05T18:30"),
        (DateRange(None, None, 1, "UTC"), "2026-01-05T00:00", "2026-01-06T00:00"),
    ],
)
def test_date_range_is_of_its_zone_or_of_the_place_from_today_on(
    dates: DateRange, begin: str, end: str
) -> None:
    now = utc("2026-01-05T23:30")
    assert dates.interval("Europe/Berlin", now) == (utc(begin), utc(end))


def test_date_that_a_zone_skipped_is_an_empty_range() -> None:
    skipped = date(2011, 12, 30)
    begin, end = DateRange(skipped, skipped).interval("Pacific/Apia", 0)
    assert begin == end


CUT = cut(
    duration=HOUR,
    duration_options=(30 * MINUTE,),
    capacity=2,
    location_ids=("l_1",),
    staff_ids=("t_1",),
    buffer_before=5 * MINUTE,
    buffer_after=10 * MINUTE,
)
OTHER = cut(id="s_2", location_ids=("l_1",), staff_ids=("t_1",))
CATALOG = build.catalog(
    CUT,
    OTHER,
    locations=[build.location(), build.location(id="l_2", time_zone="Asia/Kolkata")],
    staff=[build.member()],
)
TIMETABLE = Timetable(CATALOG)


def resolved(known: Salon, service_id: str = "s_1", **asked: Any) -> ResolvedRequest:
    request = SlotRequest(service_id, **asked)
    return known.keeper.query(lambda ledger: resolve(ledger, TIMETABLE, request))


def test_request_that_says_no_more_is_for_a_seat_at_the_place_for_the_usual_duration() -> None:
    found = resolved(Salon(CATALOG))
    assert (found.service, found.place, found.staff_id) == (CUT, Place("l_1", "UTC"), "")
    assert (found.seats, found.leaving) == (1, None)


@pytest.mark.parametrize("seats", [-1, 3])
def test_request_for_seats_that_the_service_does_not_have_is_refused(seats: int) -> None:
    assert resolved(Salon(CATALOG), seats=2).seats == 2
    with pytest.raises(InvalidRequest) as refused:
        resolved(Salon(CATALOG), seats=seats)
    assert refused.value.violations == {"seats": "service s_1 has 1 to 2"}


def moved_to_less(known: Salon) -> str:
    """An appointment of a place, seats and a duration that the service does not have any more."""
    booked = known.book(NINE, seats=2, duration=30 * MINUTE)
    event = known.keeper.model.events[-1]
    gone = event.reservation._replace(location_id="l_2", seats=4)
    known.keeper.model.events[-1] = event._replace(reservation=gone)
    known.keeper.ledger = Ledger("o_1", known.keeper.ledger.seq, known.now, 0)
    return booked.appointment_id


def test_request_without_an_appointment_of_the_service_has_what_that_has() -> None:
    known = Salon(CATALOG)
    appointment_id = moved_to_less(known)
    found = resolved(known, ignore_appointment_id=appointment_id)
    assert found.place == Place("l_2", "Asia/Kolkata")
    assert (found.seats, found.service.capacity, found.service.duration) == (4, 4, 30 * MINUTE)
    assert found.leaving
    assert found.leaving.appointment_id == appointment_id
    elsewhere = resolved(
        known, ignore_appointment_id=appointment_id, location_id="l_1", seats=1, duration=HOUR
    )
    assert elsewhere.place.id == "l_1"
    assert (elsewhere.seats, elsewhere.service) == (1, CUT)
    with pytest.raises(InvalidRequest):
        resolved(known, ignore_appointment_id=appointment_id, seats=5)


def test_request_without_an_appointment_of_another_service_has_its_own_place_and_seats() -> None:
    known = Salon(CATALOG)
    appointment_id = moved_to_less(known)
    found = resolved(known, "s_2", ignore_appointment_id=appointment_id)
    assert (found.place.id, found.seats, found.service) == ("l_1", 1, OTHER)
    assert found.leaving
    assert found.leaving.appointment_id == appointment_id


def test_search_covers_what_the_buffers_of_its_starts_reach() -> None:
    known = Salon(CATALOG)
    asked = resolved(known)
    for start, is_reached in (
        (NINE - HOUR - 5 * MINUTE, False),
        (NINE - HOUR, True),
        (NINE + HOUR + 5 * MINUTE, True),
        (NINE + HOUR + 10 * MINUTE, False),
    ):
        short_steps = cut(slot_step=5 * MINUTE, staff_ids=("t_1",))
        known = Salon(build.catalog(short_steps, staff=[build.member()]))
        known.book(start)
        search = known.keeper.query(lambda ledger: asked.search_at(ledger, known.now, NINE))  # noqa: B023
        assert bool(search.busy.taken) is is_reached, (start - NINE) / MINUTE
    assert asked.without_bookings(known.now).busy.taken == {}


def crowded() -> Callable[[Interval, int], Interval]:
    """`part` of a service that is booked in each of the 24 hours from nine on."""
    hourly = cut(staff_ids=("t_1",))
    known = Salon(build.catalog(hourly, staff=[build.member()]))
    for n in range(24):
        known.book(NINE + n * HOUR)
    asked = ResolvedRequest(Timetable(known.catalog), hourly, Place("", "UTC"), "", 1, None)
    return lambda whole, around: known.keeper.query(
        lambda ledger: asked.part(ledger, whole, around)
    )


def test_time_with_few_enough_bookings_is_searched_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slot_request, "MAX_TAKEN", 24)
    part = crowded()
    for whole in ((NINE, NINE + DAY), (NINE - 70 * DAY, NINE + 90 * DAY), (NINE, NINE)):
        assert part(whole, NINE) == whole


@pytest.mark.parametrize("hour", [0, 1, 12, 24])
def test_time_with_too_many_bookings_is_searched_around_an_instant(
    hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, around, part = (NINE, NINE + DAY), NINE + hour * HOUR, crowded()
    for most in (8, 4):
        monkeypatch.setattr(slot_request, "MAX_TAKEN", most)
        begin, end = part(whole, around)
        assert whole[0] <= begin <= max(whole[0], around - HOUR)
        assert min(whole[1], around + HOUR) <= end <= whole[1]
        assert 0 < (end - begin) / HOUR <= most


def test_time_that_is_searched_is_an_hour_on_both_sides_however_many_bookings_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slot_request, "MAX_TAKEN", 1)
    noon = NINE + 3 * HOUR
    assert crowded()((NINE, NINE + DAY), noon) == (noon - HOUR, noon + HOUR)


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        ((NINE - DAY, NINE + HOUR), (NINE, NINE + HOUR)),
        ((NINE + 1, NINE + 400 * DAY), (NINE + 1, NINE + CUT.horizon + 1)),
    ],
)
def test_busy_time_is_read_from_now_to_the_horizon(
    within: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resolved(Salon(CATALOG)).from_now_to_horizon(NINE, within) == expected
