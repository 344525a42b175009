"""Which entries make sense, and which field is named where one does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Entry, Override, ServiceDefaults
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.catalog_validation import MAX_LENGTHS, MAX_SEATS, POSITIVE, check
from zimun.domain.errors import InvalidRequest
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND

from .build import (
    ALL_DAY,
    catalog,
    every_day,
    location,
    member,
    organization,
    resource,
    service,
)

KNOWN: Catalog = catalog(
    service(),
    locations=[location(), location(id="l_2")],
    staff=[member(), member(id="t_2")],
    resources=[resource(), resource(id="r_2")],
)

Make = Callable[..., Entry]
MAKES: tuple[Make, ...] = (organization, location, member, resource, service)
ZONED: tuple[Make, ...] = (organization, location, member)

PRICE = {"currency_code": "EUR", "units": 30, "nanos": 0}


def override(**changes: Any) -> Override:
    usual = {"owner_id": "o_1", "date": date(2026, 1, 5), "hours": ((540, 720),)}
    return Override(**{**usual, **changes})


def wrong(
    entry: Entry | Override, known: Catalog = KNOWN, before: Entry | None = None
) -> dict[str, str]:
    """The violations of an entry by its fields, without those that it had before a change."""
    return violations(lambda: check(entry, known, before))


def violations(run: Callable[[], None]) -> dict[str, str]:
    try:
        run()
    except InvalidRequest as refused:
        return refused.violations
    return {}


SOUND: tuple[Entry | Override, ...] = (
    *(make() for make in MAKES),
    override(),
    organization(
        time_zone="America/St_Johns",
        weekly_hours=every_day(((0, 540), (540, 1440))),
        hold_length=60 * MINUTE,
        service_defaults=ServiceDefaults(
            slot_step=MINUTE,
            lead_time=0,
            horizon=DAY,
            cancellation_cutoff=0,
            reschedule_cutoff=366 * DAY,
        ),
    ),
    location(weekly_hours={6: ((720, 780), (540, 600))}),
    member(weekly_hours={}, daily_limit=3, location_ids=("l_2", "l_1")),
    resource(location_id="l_2"),
    service(
        duration=31 * DAY,
        duration_options=(MINUTE, HOUR),
        capacity=MAX_SEATS,
        staff_ids=("t_2", "t_1"),
        location_ids=("l_1",),
        resource_requirements=(("r_1", "r_2"), ("r_2",)),
        price=PRICE,
    ),
    override(owner_id="l_2", hours=()),
    override(owner_id="t_1", hours=ALL_DAY),
)


@pytest.mark.parametrize("entry", SOUND)
def test_an_entry_that_makes_sense_passes(entry: Entry | Override) -> None:
    assert wrong(entry) == {}


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("name", ["", " \t"])
def test_everything_has_a_name(make: Make, name: str) -> None:
    assert wrong(make(name=name)) == {"name": "is required"}


@pytest.mark.parametrize("make", ZONED)
@pytest.mark.parametrize(
    "zone", ["", "Berlin", "europe/berlin", "UTC+1", "../UTC", "localtime", "Factory"]
)
def test_a_time_zone_is_one_of_iana(make: Make, zone: str) -> None:
    assert wrong(make(time_zone=zone)) == {"time_zone": "must be an IANA time zone"}


@pytest.mark.parametrize("make", ZONED)
@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (((600, 540),), "Tuesday 10:00-09:00 ends before it begins"),
        (((540, 540),), "Tuesday 09:00-09:00 ends before it begins"),
        (((540, 720), (719, 780)), "Tuesday 09:00-12:00 and 11:59-13:00 overlap"),
        (((719, 780), (540, 720)), "Tuesday 09:00-12:00 and 11:59-13:00 overlap"),
        (((0, 1440), (60, 120)), "Tuesday 00:00-24:00 and 01:00-02:00 overlap"),
    ],
)
def test_hours_of_a_week_end_after_they_begin_and_do_not_overlap(
    make: Make, hours: Hours, told: str
) -> None:
    assert wrong(make(weekly_hours={0: ALL_DAY, 1: hours})) == {"weekly_hours": told}


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (((600, 540),), "10:00-09:00 ends before it begins"),
        (((540, 720), (600, 780)), "09:00-12:00 and 10:00-13:00 overlap"),
    ],
)
def test_hours_of_an_override_end_after_they_begin_and_do_not_overlap(
    hours: Hours, told: str
) -> None:
    assert wrong(override(hours=hours)) == {"hours": told}


@pytest.mark.parametrize("owner_id", ["", "o_2", "l_9", "t_9", "s_1", "r_1"])
def test_an_override_is_of_an_organization_a_location_or_a_staff_member(owner_id: str) -> None:
    told = f"{owner_id} is no organization, location or staff member"
    assert wrong(override(owner_id=owner_id)) == {"owner_id": told}


@pytest.mark.parametrize("length", [0, MINUTE - 1, 61 * MINUTE])
def test_a_hold_lasts_a_minute_to_an_hour(length: int) -> None:
    assert list(wrong(organization(hold_length=length))) == ["hold_length"]


@pytest.mark.parametrize("length", [MINUTE, 60 * MINUTE])
def test_a_hold_may_last_exactly_a_minute_or_an_hour(length: int) -> None:
    assert wrong(organization(hold_length=length)) == {}


DEFAULTS = ("slot_step", "lead_time", "horizon", "cancellation_cutoff", "reschedule_cutoff")


@pytest.mark.parametrize("field", DEFAULTS)
def test_defaults_of_services_are_bounded_as_what_they_stand_for(field: str) -> None:
    def told(length: int) -> list[str]:
        defaults = replace(ServiceDefaults(), **{field: length})
        return list(wrong(organization(service_defaults=defaults)))

    named = [f"service_defaults.{field}"]
    assert told(MAX_LENGTHS[field]) == []
    assert told(MAX_LENGTHS[field] + MINUTE) == named
    assert told(-MINUTE) == named
    assert told(90 * SECOND) == named
    assert told(0) == (named if field in POSITIVE else [])


@pytest.mark.parametrize("field", MAX_LENGTHS)
def test_lengths_of_a_service_are_whole_minutes_within_their_bounds(field: str) -> None:
    def told(length: int) -> dict[str, str]:
        return wrong(service(**{"horizon": MAX_LENGTHS["horizon"], field: length}))

    assert told(MINUTE) == told(MAX_LENGTHS[field]) == {}
    assert list(told(MAX_LENGTHS[field] + MINUTE)) == [field]
    assert list(told(-MINUTE)) == [field]
    assert told(90 * SECOND) == {field: "must be whole minutes"}
    assert list(told(0)) == ([field] if field in POSITIVE else [])


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("duration", "must be 1 minute to 31 days"),
        ("slot_step", "must be 1 minute to 1 day"),
        ("buffer_after", "must be 0 minutes to 7 days"),
    ],
)
def test_the_bounds_of_a_length_are_told(field: str, told: str) -> None:
    assert wrong(service(**{field: -MINUTE})) == {field: told}


def test_bounds_of_a_default_are_told_as_those_of_a_service() -> None:
    defaults = ServiceDefaults(lead_time=-MINUTE, slot_step=0)
    assert wrong(organization(service_defaults=defaults)) == {
        "service_defaults.slot_step": "must be 1 minute to 1 day",
        "service_defaults.lead_time": "must be 0 minutes to 366 days",
    }


def test_a_lead_time_beyond_the_horizon_is_refused_where_both_are_said() -> None:
    told = "must not exceed the horizon, 60 days"
    assert wrong(service(lead_time=60 * DAY, horizon=60 * DAY)) == {}
    assert wrong(service(lead_time=60 * DAY + MINUTE, horizon=60 * DAY)) == {"lead_time": told}
    defaults = ServiceDefaults(lead_time=61 * DAY)
    assert wrong(organization(service_defaults=defaults)) == {}
    defaults = replace(defaults, horizon=60 * DAY)
    named = {"service_defaults.lead_time": told}
    assert wrong(organization(service_defaults=defaults)) == named


TOGETHER = "can never be met together at any of its locations"


@pytest.mark.parametrize(
    ("locations", "requirements", "told"),
    [
        (("l_1",), (("r_1",), ("r_1",)), TOGETHER),
        (("l_1",), (("r_1", "r_2"), ("r_2", "r_1")), ""),
        (("l_1",), (("r_far",),), TOGETHER),
        (("l_1", "l_2"), (("r_far",),), ""),
        ((), (("r_far",),), "can never be met together without a location"),
        ((), (("r_1",), ("r_2",)), ""),
    ],
)
def test_requirements_that_can_never_be_met_together_are_refused(
    locations: tuple[str, ...], requirements: tuple[tuple[str, ...], ...], told: str
) -> None:
    known = replace(
        KNOWN, resources={**KNOWN.resources, "r_far": resource(id="r_far", location_id="l_2")}
    )
    entry = service(location_ids=locations, resource_requirements=requirements)
    found = violations(lambda: check(entry, known))
    assert found == ({"resource_requirements": told} if told else {})


def test_places_of_what_is_written_together_with_a_service_are_not_compared_with_it() -> None:
    """Staff and resources may have moved since the service was made."""
    known = catalog(
        locations=[location(), location(id="l_2")],
        staff=[member(location_ids=("l_2",))],
        resources=[resource(location_id="l_2")],
    )
    moved = service(staff_ids=("t_1",), location_ids=("l_1",), resource_requirements=(("r_1",),))
    assert set(wrong(moved, known)) == {"staff_ids", "resource_requirements"}
    check(moved, known, beside={"t_1", "r_1"})
    twice = replace(moved, resource_requirements=(("r_1",), ("r_1",)))
    found = violations(lambda: check(twice, known, beside={"t_1", "r_1"}))
    assert found == {"resource_requirements": TOGETHER}


RESOURCES = ("r_a", "r_b", "r_c")
SOME_RESOURCES = st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=3, unique=True)


@given(
    st.lists(SOME_RESOURCES.map(tuple), max_size=4).map(tuple),
    st.fixed_dictionaries(dict.fromkeys(RESOURCES, st.sampled_from(("", "l_1", "l_2")))),
    st.lists(st.sampled_from(("l_1", "l_2")), max_size=2, unique=True).map(tuple),
)
def test_requirements_are_refused_exactly_where_no_choice_of_resources_meets_them(
    requirements: tuple[tuple[str, ...], ...], homes: dict[str, str], locations: tuple[str, ...]
) -> None:
    """Against a look at every choice of one resource for each requirement, at every location."""
    known = replace(
        KNOWN, resources={one: resource(id=one, location_id=at) for one, at in homes.items()}
    )
    entry = service(location_ids=locations, resource_requirements=requirements)
    can = any(
        len(set(chosen)) == len(chosen) and all(homes[one] in ("", at) for one in chosen)
        for at in locations or ("",)
        for chosen in product(*requirements)
    )
    assert (violations(lambda: check(entry, known)) == {}) == can


def test_what_was_wrong_before_a_change_does_not_forbid_it() -> None:
    before = service(lead_time=2 * DAY, horizon=DAY)
    check(replace(before, name="Else"), KNOWN, before)
    renamed = replace(before, name="", capacity=0)
    assert set(violations(lambda: check(renamed, KNOWN, before))) == {"name", "capacity"}


@pytest.mark.parametrize("length", [0, -MINUTE, 90 * SECOND, 31 * DAY + MINUTE])
def test_every_length_that_can_be_chosen_is_bounded_as_the_duration(length: int) -> None:
    assert list(wrong(service(duration_options=(HOUR, length)))) == ["duration_options"]


def test_what_is_wrong_with_several_lengths_is_told_once() -> None:
    told = {"duration_options": "must be 1 minute to 31 days"}
    assert wrong(service(duration_options=(0, -MINUTE))) == told


@pytest.mark.parametrize("options", [(HOUR, HOUR), (30 * MINUTE,)])
def test_no_length_can_be_chosen_twice(options: tuple[int, ...]) -> None:
    """The service lasts 30 minutes unless told."""
    told = "must differ from each other and from duration"
    assert wrong(service(duration_options=options)) == {"duration_options": told}


@pytest.mark.parametrize("capacity", [-1, 0, MAX_SEATS + 1])
def test_a_service_has_a_seat_at_least_and_not_too_many(capacity: int) -> None:
    assert wrong(service(capacity=capacity)) == {"capacity": "must be 1 to 10000"}


def test_a_daily_limit_is_not_negative() -> None:
    assert wrong(member(daily_limit=-1)) == {"daily_limit": "must be 0 or more"}
    assert wrong(member(daily_limit=0)) == {}


@pytest.mark.parametrize(
    ("entry", "field", "unknown"),
    [
        (member(location_ids=("l_1", "l_9")), "location_ids", "l_9"),
        (resource(location_id="l_9"), "location_id", "l_9"),
        (resource(location_id="t_1"), "location_id", "t_1"),
        (service(staff_ids=("t_9", "t_1")), "staff_ids", "t_9"),
        (service(location_ids=("l_9",)), "location_ids", "l_9"),
        (service(resource_requirements=(("r_1",), ("r_9",))), "resource_requirements", "r_9"),
    ],
)
def test_whatever_an_entry_names_is_there(entry: Entry, field: str, unknown: str) -> None:
    assert wrong(entry) == {field: f"{unknown} does not exist"}


@pytest.mark.parametrize(
    ("entry", "field", "repeated"),
    [
        (member(location_ids=("l_1", "l_1")), "location_ids", "l_1"),
        (service(staff_ids=("t_1", "t_2", "t_1")), "staff_ids", "t_1"),
        (service(location_ids=("l_1", "l_1")), "location_ids", "l_1"),
        (service(resource_requirements=(("r_1", "r_1"),)), "resource_requirements", "r_1"),
    ],
)
def test_list_of_ids_with_one_twice_is_refused_by_its_name(
    entry: Entry, field: str, repeated: str
) -> None:
    """Two requirements may name the same thing, as only one of them can have it at a time."""
    assert wrong(entry) == {field: f"names {repeated} twice"}


def test_of_several_repeated_ids_the_first_is_named() -> None:
    entry = service(staff_ids=("t_1", "t_2", "t_2", "t_1"))
    assert wrong(entry) == {"staff_ids": "names t_1 twice"}


def test_a_requirement_names_a_resource() -> None:
    told = "each must name a resource"
    given = service(resource_requirements=(("r_1",), ()))
    assert wrong(given) == {"resource_requirements": told}


@pytest.mark.parametrize("code", ["", "EU", "EURO", "eur", "€€€", "ÄÖÜ", "E1R"])
def test_a_currency_is_three_capital_letters(code: str) -> None:
    given = service(price={**PRICE, "currency_code": code})
    assert list(wrong(given)) == ["price"]


def test_every_field_that_makes_no_sense_is_named_at_once() -> None:
    given = service(
        name="", duration=0, capacity=0, staff_ids=("t_9",), duration_options=(HOUR, HOUR)
    )
    assert set(wrong(given)) == {"name", "duration", "capacity", "staff_ids", "duration_options"}


def test_archived_entries_can_be_named() -> None:
    """They may come back, and what names them need not change for it."""
    archived = catalog(
        staff=[member(active=False)],
        resources=[resource(active=False)],
        locations=[location(active=False)],
    )
    given = service(staff_ids=("t_1",), location_ids=("l_1",), resource_requirements=(("r_1",),))
    check(given, archived)


def test_staff_who_work_at_none_of_a_services_locations_are_refused_when_it_is_written() -> None:
    """What was so before stays: the staff member may have moved."""
    staff = [member(location_ids=("l_2",)), member(id="t_2")]
    known = catalog(locations=[location(), location(id="l_2")], staff=staff)
    told = {"staff_ids": "t_1 works at none of the service's locations"}
    for location_ids, expected in (((), told), (("l_1",), told), (("l_1", "l_2"), {})):
        written = service(staff_ids=("t_1", "t_2"), location_ids=location_ids)
        assert wrong(written, known) == expected
        assert wrong(replace(written, staff_ids=("t_2", "t_1")), known) == expected
    moved = service(staff_ids=("t_1",), location_ids=("l_1",))
    assert wrong(replace(moved, name="Renamed"), known, moved) == {}
    nowhere = replace(moved, location_ids=("l_9",))
    assert wrong(nowhere, known) == {"location_ids": "l_9 does not exist"}
