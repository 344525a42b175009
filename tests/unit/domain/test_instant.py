"""Instants and catalogue look-ups: the small things that all else stands on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.catalog.entries import Location, Place, Service
from zimun.domain.errors import InvalidRequest, LocationNotFound, ServiceNotFound, StaffNotFound
from zimun.domain.instant import DAY, HOUR, from_datetime, rfc3339, to_datetime, wall_microseconds

from ...support.profiles import examples
from .build import catalog, location, member, organization, resource, service


@examples(200)
@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_and_its_datetime_are_the_same_to_the_microsecond(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment)) == moment
    assert wall_microseconds(moment.replace(tzinfo=None)) == from_datetime(moment)


def test_an_instant_does_not_depend_on_the_offset_it_was_written_with() -> None:
    there = datetime(1970, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert from_datetime(there) == 0
    assert from_datetime(there + timedelta(hours=1)) == HOUR


def test_rfc_3339_is_as_short_as_it_is_exact() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(DAY + 1) == "1970-01-02T00:00:00.000001Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999Z"


def test_a_service_is_given_at_its_one_location_unless_another_is_named() -> None:
    zone = "Europe/Berlin"
    here, there = location(time_zone=zone), location(id="l_2", time_zone="Asia/Kolkata")
    one, two, none = (
        service(location_ids=("l_1",)),
        service(id="s_2", location_ids=("l_1", "l_2")),
        service(id="s_3"),
    )
    known = catalog(
        one, two, none, organization=organization(time_zone="UTC"), locations=[here, there]
    )
    assert known.place(one, "") == known.place(one, "l_1") == Place("l_1", zone)
    assert known.place(two, "l_2") == Place("l_2", "Asia/Kolkata")
    assert known.place(none, "") == Place("", "UTC")
    for given_, where in ((one, "l_2"), (two, ""), (none, "l_1")):
        with pytest.raises(InvalidRequest) as refused:
            known.place(given_, where)
        assert list(refused.value.violations) == ["location_id"]
    with pytest.raises(LocationNotFound):
        known.place(one, "l_9")


def test_a_service_is_found_active_or_not() -> None:
    known = catalog(service(active=False))
    assert known.entry(Service, "s_1").id == "s_1"
    with pytest.raises(ServiceNotFound):
        known.entry(Service, "s_2")


def test_a_person_who_is_asked_for_must_give_the_service() -> None:
    given_ = service(staff_ids=("t_1",))
    known = catalog(given_, staff=[member(), member(id="t_2")])
    known.check_staff(given_, "")
    known.check_staff(given_, "t_1")
    with pytest.raises(InvalidRequest) as refused:
        known.check_staff(given_, "t_2")
    assert list(refused.value.violations) == ["staff_id"]
    with pytest.raises(StaffNotFound):
        known.check_staff(given_, "t_9")


def test_active_entries_are_listed_in_order_of_creation() -> None:
    known = catalog(
        service(id="s_3", create_time=1),
        service(id="s_1", create_time=2),
        service(id="s_2", create_time=1),
        service(id="s_0", create_time=0, active=False),
        locations=[location(create_time=5), location(id="l_0", create_time=5)],
    )
    assert [one.id for one in known.listed(Service)] == ["s_2", "s_3", "s_1"]
    assert [one.id for one in known.listed(Location)] == ["l_0", "l_1"]


def test_what_a_service_could_take_is_named_once_and_never_nothing() -> None:
    both = service(staff_ids=("t_1",), resource_requirements=(("r_1", "r_2"), ("r_1",)))
    assert both.subjects("l_1") == ("t_1", "r_1", "r_2")
    assert service().subjects("") == ("s_1@",)
    assert service().subjects("l_1") == ("s_1@l_1",)
    assert service(resource_requirements=((resource().id,),)).subjects("") == ("r_1",)


def test_the_longest_span_is_that_of_the_longest_option_with_its_buffers() -> None:
    plain = service(duration=5, buffer_before=1, buffer_after=2)
    assert plain.longest_span == 8
    assert replace(plain, duration_options=(4, 9)).longest_span == 12
