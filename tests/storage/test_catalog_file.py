"""The file of a catalogue: what it says is kept, and what is written reads the same."""

from dataclasses import replace
from datetime import date

import pytest

from zimun.booking.catalog_import import Counts
from zimun.domain.availability.opening_hours import DayStatus, place_day
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    McpAccess,
    Override,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.stores import Stores

from .catalog_files import EXAMPLE, NEW, catalog, exported, load
from .sample_catalog import NOW, ORG, put_catalog


def at(n: int, entry: Entry) -> Entry:
    """The entry as one that was made as the n-th of a file."""
    return replace(entry, create_time=NOW + n, update_time=NOW + n)


async def test_fields_that_an_entry_leaves_out_have_the_defaults_of_a_new_entry(
    stores: Stores,
) -> None:
    text = """
organization:
  id: o_new
  name: New
  time_zone: Europe/Berlin
  service_defaults: {lead_time: 2h, slot_step: 20m}
  hold_length: 5m
  mcp_access: READ_ONLY
locations:
- {id: l_1, name: House}
- {id: l_2, name: Haus, time_zone: Asia/Kathmandu, active: false}
staff:
- id: t_1
  name: Ada
  weekly_hours:
  - {day_of_week: SUNDAY, start_time: 13:00, end_time: 24:00}
  - {day_of_week: SUNDAY, start_time: "09:00", end_time: 12:30}
services:
- {id: s_1, name: Cut, duration: 1h30m, lead_time: 0s, staff_ids: [t_1], slot_alignment: HOUR}
overrides:
- {owner_id: t_1, date: 2026-12-24, status: OPEN, hours: [{start_time: 10:00, end_time: 11:00}]}
"""
    assert await load(stores, text) == Counts(created=6, changed=0, unchanged=0)
    found = await catalog(stores, "o_new")
    zone = "Europe/Berlin"
    assert found.organization.service_defaults == ServiceDefaults(
        lead_time=2 * HOUR, slot_step=20 * MINUTE
    )
    assert found.organization.hold_length == 5 * MINUTE
    assert found.organization.mcp_access is McpAccess.READ_ONLY
    assert found.locations == {
        "l_1": at(1, Location(id="l_1", name="House", time_zone=zone)),
        "l_2": at(2, Location(id="l_2", name="Haus", time_zone="Asia/Kathmandu", active=False)),
    }
    sunday = {6: ((540, 750), (780, 1440))}
    assert found.staff == {
        "t_1": at(3, StaffMember(id="t_1", name="Ada", time_zone=zone, weekly_hours=sunday))
    }
    service = Service(
        id="s_1",
        name="Cut",
        duration=90 * MINUTE,
        slot_step=20 * MINUTE,
        slot_alignment=SlotAlignment.HOUR,
        lead_time=0,
        horizon=60 * DAY,
        staff_ids=("t_1",),
    )
    assert found.services == {"s_1": at(4, service)}
    [override] = found.overrides.values()
    assert override.id.startswith("v_")
    hours = ((600, 660),)
    day = date(2026, 12, 24)
    assert replace(override, id="", create_time=0) == Override(
        owner_id="t_1", date=day, hours=hours
    )


@pytest.mark.parametrize(
    "written", ["NO", "on", "~", "null", "017", "2026-12-24", "12:30:45", "0x1F", "=", "1_0"]
)
async def test_what_is_written_is_what_is_meant_whatever_yaml_makes_of_it(
    stores: Stores, written: str
) -> None:
    services = f"resources: [{{id: r_1, name: {written}, metadata: {{{written}: {written}}}}}]"
    await load(stores, NEW + services)
    [resource] = (await catalog(stores, "o_new")).resources.values()
    assert (resource.name, resource.metadata) == (written, {written: written})
    text = await exported(stores, "o_new")
    assert f"'{written}'" in text  # so that no other reader of YAML takes it for something else
    assert await load(stores, text) == Counts(0, 0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "a\u2029b\nc",
        "a\u2028",
        "\ufeffa",
        "a\r\nb",
        "\na",
        "a\n",
        "a\n\n",
        " a\n  b",
        "a\tb",
        "?",
        "<<",
    ],
)
async def test_a_text_is_written_so_that_it_reads_the_same(stores: Stores, text: str) -> None:
    await load(stores, f"{NEW}locations: [{{id: l_1, name: A}}]")
    place = (await catalog(stores, "o_new")).locations["l_1"]
    named = replace(place, address=text, metadata={"text": text})
    await put_catalog(stores, named, org_id="o_new")
    assert await load(stores, await exported(stores, "o_new")) == Counts(0, 0, 2)


@pytest.mark.parametrize(
    ("written", "length", "told"),
    [
        ("1800s", 30 * MINUTE, "30m"),
        ("30m", 30 * MINUTE, "30m"),
        ("1h", HOUR, "1h"),
        ("1h30m", 90 * MINUTE, "90m"),
        ("90m", 90 * MINUTE, "90m"),
        ("2d", 2 * DAY, "2d"),
        ("36h", 36 * HOUR, "36h"),
        ("1d12h0m0.000s", 36 * HOUR, "36h"),
        ("5400.000s", 90 * MINUTE, "90m"),
    ],
)
async def test_lengths_are_written_as_people_say_them(
    stores: Stores, written: str, length: int, told: str
) -> None:
    await load(stores, f"{NEW}services: [{{id: s_1, name: A, duration: 1h, lead_time: {written}}}]")
    assert (await catalog(stores, "o_new")).services["s_1"].lead_time == length
    assert f"  lead_time: {told}\n" in await exported(stores, "o_new")


async def test_example_file_makes_the_catalogue_that_its_comments_describe(stores: Stores) -> None:
    counts = await load(stores, EXAMPLE.read_text())
    found = await catalog(stores)
    entries = [*found.locations, *found.staff, *found.resources, *found.services]
    assert counts == Counts(1 + len(entries) + len(found.overrides), 0, 0)
    assert {place.time_zone for place in found.locations.values()} == {
        "Europe/Berlin",
        "Europe/Lisbon",
    }
    assert found.staff["t_ines"].weekly_hours == found.locations["l_lisbon"].weekly_hours
    assert found.services["s_yoga"].capacity == 12
    assert found.daily_limit("t_ada") == 6
    closed = place_day(found, found.place_of("l_lisbon"), date(2026, 4, 25))
    assert (closed.status, closed.note) == (DayStatus.HOLIDAY, "Dia da Liberdade")
    assert found.overrides[ORG, date(2026, 10, 3)].hours


@pytest.mark.parametrize("field", ["etag", "create_time", "update_time"])
async def test_what_zimun_keeps_by_itself_is_not_written(stores: Stores, field: str) -> None:
    await load(stores, EXAMPLE.read_text())
    assert field not in await exported(stores)


async def test_what_is_as_in_a_new_entry_is_not_written(stores: Stores) -> None:
    text = """\
organization:
  id: o_new
  name: New
  time_zone: Europe/Berlin
  service_defaults: {lead_time: 2h}

staff:
- id: t_1
  name: Ada

resources:
- id: r_1
  name: Room
  active: false

services:
- id: s_1
  name: Cut
  description: |-
    Wash,
      cut.
  duration: 30m
- id: s_2
  name: Spa
  duration: 30m
  slot_step: 15m
  lead_time: 0s
  capacity: 2
  price: {currency_code: EUR, units: 80}
  staff_ids: [t_1]
  resource_requirements:
  - {resource_ids: [r_1]}
  metadata:
    a: 'no'
    b: ''
  duration_options: [1h, 90m]

overrides:
- id: v_1
  owner_id: t_1
  date: '2026-12-24'
  status: OPEN
  hours:
  - {start_time: 09:00, end_time: '12:00'}
"""
    await load(stores, text)
    assert await exported(stores, "o_new") == text.replace("09:00,", "'09:00',")
