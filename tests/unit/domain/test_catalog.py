"""Look-ups of a catalogue: entries, defaults of new ones, and how large it is."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.catalog import LIMIT_BYTES, MAX_DEMAND_BYTES, Catalog, empty_catalog
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    McpAccess,
    Organization,
    Override,
    Place,
    Resource,
    Service,
    ServiceDefaults,
    StaffMember,
)
from zimun.domain.errors import (
    InvalidRequest,
    LocationNotFound,
    NotFound,
    ResourceNotFound,
    ServiceNotFound,
    StaffNotFound,
)
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND

from .build import catalog, location, member, organization, resource, service, time_off

CATALOG = catalog(
    service(staff_ids=("t_1", "t_2", "t_9")),
    organization=organization(time_zone="Europe/Berlin"),
    locations=[location(time_zone="Asia/Kolkata")],
    staff=[member(daily_limit=3), member(id="t_2")],
    resources=[resource()],
    overrides=[Override(owner_id="o_1", date=date(2026, 1, 5), last=date(2026, 1, 7), id="v_1")],
    time_off=[time_off("t_1", 0, HOUR)],
)

ERRORS: dict[type[Entry], type[NotFound]] = {
    Service: ServiceNotFound,
    Location: LocationNotFound,
    StaffMember: StaffNotFound,
    Resource: ResourceNotFound,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_entry_is_found_by_its_kind_and_id_or_not_found_as_its_kind(kind: type[Entry]) -> None:
    [entry] = [*CATALOG.all(kind).values()][:1]
    assert type(entry) is kind
    assert CATALOG.entry(kind, entry.id) is entry
    with pytest.raises(ERRORS[kind]):
        CATALOG.entry(kind, "x_9")


def test_entries_are_the_organization_and_all_of_each_kind() -> None:
    kinds = [type(entry) for entry in CATALOG.entries()]
    assert kinds == [Organization, Service, Location, StaffMember, StaffMember, Resource]


def test_count_has_all_but_the_organization_and_an_override_for_each_date() -> None:
    entries, dates, off = 5, 3, 1
    assert CATALOG.count == entries + dates + off
    assert [override.id for override in CATALOG.distinct_overrides] == ["v_1"]


def test_archived_entries_are_listed_where_they_are_asked_for_in_the_same_order() -> None:
    known = catalog(
        *(service(id=f"s_{n}", create_time=9 - n, active=n != 2) for n in range(4)),
    )
    assert [entry.id for entry in known.listed(Service)] == ["s_3", "s_1", "s_0"]
    everything = known.listed(Service, archived=True)
    assert [entry.id for entry in everything] == ["s_3", "s_2", "s_1", "s_0"]
    assert known.listed(Service) is known.listed(Service)


def test_place_is_the_location_or_the_organization_each_in_its_zone() -> None:
    assert CATALOG.place_of("l_1") == Place("l_1", "Asia/Kolkata")
    assert CATALOG.place_of("") == Place("", "Europe/Berlin")


def test_place_of_a_service_is_its_only_location_or_the_one_that_is_named() -> None:
    known = replace(CATALOG, locations={"l_1": location(), "l_2": location(id="l_2")})
    for location_ids, named, expected in (
        ((), "", ""),
        (("l_2",), "", "l_2"),
        (("l_1", "l_2"), "l_2", "l_2"),
    ):
        assert known.place(service(location_ids=location_ids), named).id == expected
    with pytest.raises(LocationNotFound):
        known.place(service(location_ids=("l_1",)), "l_9")
    for location_ids, named, told in (
        (("l_1",), "l_2", "service s_1 is not offered there"),
        (("l_1", "l_2"), "", "service s_1 has several locations: name one"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            known.place(service(location_ids=location_ids), named)
        assert refused.value.violations == {"location_id": told}


def test_staff_member_who_is_named_gives_the_service() -> None:
    cut = service(staff_ids=("t_1",))
    for staff_id in ("", "t_1"):
        CATALOG.check_staff(cut, staff_id)
    with pytest.raises(StaffNotFound):
        CATALOG.check_staff(cut, "t_9")
    with pytest.raises(InvalidRequest) as refused:
        CATALOG.check_staff(cut, "t_2")
    assert refused.value.violations == {"staff_id": "t_2 does not give service s_1"}


def test_defaults_of_a_new_entry_are_what_its_kind_requires() -> None:
    zoned = {"name": "", "time_zone": "Europe/Berlin"}
    assert CATALOG.defaults(Resource, {}) == {"name": ""}
    assert CATALOG.defaults(StaffMember, {}) == zoned
    assert CATALOG.defaults(Location, {}) == zoned


@pytest.mark.parametrize(
    ("duration", "step"),
    [
        (0, MINUTE),
        (MINUTE + SECOND, MINUTE),
        (2 * MINUTE - SECOND, MINUTE),
        (45 * MINUTE, 45 * MINUTE),
        (2 * DAY, DAY),
    ],
)
def test_new_service_has_a_step_of_its_whole_minutes_and_a_horizon_of_60_days(
    duration: int, step: int
) -> None:
    expected = {"name": "", "duration": 0, "slot_step": step, "horizon": 60 * DAY}
    assert CATALOG.defaults(Service, {"duration": duration}) == expected
    assert CATALOG.defaults(Service, {})["slot_step"] == MINUTE


def test_new_service_has_the_defaults_of_the_organization_zero_too() -> None:
    usual = ServiceDefaults(slot_step=5 * MINUTE, lead_time=0, reschedule_cutoff=HOUR)
    known = replace(CATALOG, organization=organization(service_defaults=usual))
    assert known.defaults(Service, {"duration": HOUR}) == {
        "name": "",
        "duration": 0,
        "slot_step": 5 * MINUTE,
        "horizon": 60 * DAY,
        "lead_time": 0,
        "reschedule_cutoff": HOUR,
    }


def test_demand_has_the_daily_limits_of_those_who_have_one_and_the_limits_of_both_owners() -> None:
    ours = BookingLimit(max_bookings=9, period=LimitPeriod.WEEK, per=LimitSubject.CUSTOMER)
    own = BookingLimit(max_bookings=2, period=LimitPeriod.DAY, per=LimitSubject.STAFF_MEMBER)
    cut = replace(CATALOG.services["s_1"], booking_limits=(own,))
    known = replace(CATALOG, organization=organization(booking_limits=(ours,)))
    demand = known.demand(cut, "")
    assert demand.subjects == cut.staff_ids
    assert [(*applied[1:], applied.limit.max_bookings) for applied in demand.limits] == [
        ("t_1", "t_1", 3),
        ("o_1", "", 9),
        ("s_1", "t_1", 2),
        ("s_1", "t_2", 2),
        ("s_1", "t_9", 2),
    ]
    assert [applied.is_daily_limit for applied in demand.limits] == [True, *[False] * 4]
    assert [known.daily_limit(staff_id) for staff_id in cut.staff_ids] == [3, 0, 0]


def test_size_grows_with_each_override_time_off_and_time_that_it_recurs() -> None:
    empty = catalog()
    one_date = catalog(overrides=[Override(owner_id="o_1", date=date(2026, 1, 5))])
    off = time_off("t_1", 0, HOUR)
    recurring = replace(off, occurrences=((0, HOUR), (DAY, DAY + HOUR)))
    sizes = [known.size for known in (empty, one_date, catalog(time_off=[off]))]
    assert sizes[0] < sizes[1] < sizes[2] < catalog(time_off=[recurring]).size
    assert replace(empty, entry_bytes=7).size == empty.size + 7


def test_size_counts_the_texts_of_overrides_and_time_off() -> None:
    def size(note: str) -> int:
        override = Override(id="v_1", owner_id="o_1", date=date(2026, 1, 5), note=note)
        return (
            catalog(overrides=[override], time_off=[time_off("t_1", 0, 1, note=note)]).weigh().size
        )

    assert size("x" * 101) - size("x") == 2 * 100


def test_demands_that_are_kept_are_limited_in_bytes() -> None:
    own = BookingLimit(max_bookings=2, period=LimitPeriod.DAY, per=LimitSubject.STAFF_MEMBER)
    cut = replace(
        CATALOG.services["s_1"],
        staff_ids=tuple(f"t_{n}" for n in range(500)),
        booking_limits=(own,),
    )
    known = replace(CATALOG)
    for number in range(200):
        demand = known.demand(cut, f"l_{number}")
        assert demand is known.demand(cut, f"l_{number}")
    assert 1 <= len(known._demands) * 500 * LIMIT_BYTES <= MAX_DEMAND_BYTES


def test_empty_catalogue_has_an_organization_alone() -> None:
    known: Catalog = empty_catalog("o_7")
    assert [entry.id for entry in known.entries()] == ["o_7"]
    assert (known.version, known.count, known.longest_span) == (0, 0, 0)
    assert known.size > 0


@pytest.mark.parametrize("make", [organization, location, member, resource, service])
def test_entry_hashes_by_its_id_and_its_etag_changes_with_its_revision(make: Any) -> None:
    entry = make(metadata={"k": "v"})
    renamed = replace(entry, name="Else", revision=entry.revision + 1)
    assert hash(entry) == hash(renamed)
    assert entry != renamed
    assert entry.etag != renamed.etag
    assert (entry.active, entry.revision) == (True, 1)


def test_service_of_another_length_or_of_more_seats_is_the_same_but_for_these() -> None:
    cut = service(duration=HOUR, duration_options=(30 * MINUTE,), capacity=2)
    assert cut.lasting(HOUR) is cut
    assert cut.lasting(5) == replace(cut, duration=5)
    assert cut.seating(2) is cut
    assert cut.seating(1) is cut
    assert cut.seating(3) == replace(cut, capacity=3)
    assert cut.option(HOUR) is cut
    assert cut.option(30 * MINUTE).duration == 30 * MINUTE
    with pytest.raises(InvalidRequest) as refused:
        cut.option(45 * MINUTE)
    assert refused.value.violations == {"duration": "service s_1 does not offer this length"}


def test_service_takes_its_subjects_for_its_buffers_too() -> None:
    cut = service(duration=30, buffer_before=5, buffer_after=7)
    assert cut.taken(100) == (95, 137)
    assert cut.needs_nothing
    assert not replace(cut, staff_ids=("t_1",)).needs_nothing
    assert not replace(cut, resource_requirements=(("r_1",),)).needs_nothing


def test_new_organization_has_holds_of_ten_minutes_keeps_contacts_and_has_no_agents() -> None:
    known = Organization(id="o_1", name="Salon", time_zone="UTC")
    assert known.hold_length == 10 * MINUTE
    assert known.contact_retention == 0
    assert known.mcp_access is McpAccess.DISABLED
