"""A catalogue in a file: what it says is kept; what is wrong with it is told, all at once."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader, writer
from zimun.catalog_file.reader import CatalogFileError, LoadCatalog
from zimun.clock import ManualClock
from zimun.domain.availability.opening_hours import DayStatus, place_day
from zimun.domain.catalog.catalog import Catalog
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
from zimun.domain.instant import DAY, HOUR, MINUTE, SECOND
from zimun.stores import Stores

from .salon import CUT, NOW, ORG, Engine, open_salon, put_catalog

EXAMPLE = Path(__file__).parents[2] / "examples" / "catalogue" / "salon.yaml"

NEW = "organization: {id: o_new, name: New, time_zone: Europe/Berlin}\n"


async def load(stores: Stores, text: str, org: str = "") -> Counts:
    """As `zimun import` does."""
    file = reader.read("salon.yaml", text.encode("utf-8", "surrogatepass"), org)
    org_id = file.request.org_id if file.request else ""
    counts: Counts = await stores.writer.run(org_id, LoadCatalog(file), creates=True)
    return counts


async def faults(stores: Stores, text: str, org: str = ORG) -> list[str]:
    """What is told of a file, without the file's name, which begins every line."""
    with pytest.raises(CatalogFileError) as caught:
        await load(stores, text, org)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("salon.yaml:") for line in lines)
    return [line.removeprefix("salon.yaml:") for line in lines]


async def catalog(stores: Stores, org: str = ORG) -> Catalog:
    return await stores.reader.catalog(org)


async def exported(stores: Stores, org: str = ORG) -> str:
    return writer.write(await catalog(stores, org))


def at(n: int, entry: Entry) -> Entry:
    """The entry as one that was made as the n-th of a file."""
    return replace(entry, create_time=NOW + n, update_time=NOW + n)


@pytest.fixture
async def salon(stores: Stores) -> Stores:
    """Stores with the salon in them."""
    await open_salon(stores)
    return stores


async def test_an_entry_says_what_it_says_and_is_new_in_the_rest(stores: Stores) -> None:
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


@pytest.mark.parametrize("written", ["90s", "1.5s"])
async def test_a_length_is_understood_before_it_is_refused(stores: Stores, written: str) -> None:
    text = f"{NEW}services: [{{id: s_1, name: A, duration: {written}}}]"
    assert await faults(stores, text, "") == ["2: services[0].duration: must be whole minutes"]


@pytest.mark.parametrize(
    "written",
    ["30", "m", "''", "30 m", "30M", "-30m", "1m1h", "1h1h", "PT30M", "1.5h", "٣m", "9999999999h"],
)
async def test_nothing_else_is_a_length(stores: Stores, written: str) -> None:
    text = f"{NEW}services:\n- id: s_1\n  name: A\n  duration: {written}"
    assert await faults(stores, text, "") == [
        "5: services[0].duration: must be a length such as 30m, 1h30m, 2d or 1800s"
    ]


FAULTY = {
    "no YAML": ("a: [1\nb: 2", ["2: is not YAML: expected ',' or ']', but got ':'"]),
    "an anchor of nothing": (
        "staff:\n- *ada",
        ["2: is not YAML: found undefined alias 'ada'"],
    ),
    "two documents": (
        "staff: []\n---\nstaff: []",
        ["2: is not YAML: but found another document"],
    ),
    "a bell": ("a:\n  \a", ["2: is not YAML: special characters are not allowed"]),
    "no UTF-8": ("a:\n\n- \udcff", ["3: is not UTF-8"]),
    "nothing": ("# but a comment", ["1: is empty"]),
    "a list": ("\n- staff", ["1: must be a mapping"]),
    "words of its own": (
        "staf: []\nzimun: 1",
        [
            f"{line}: {word}: is none of organization, locations, staff, resources, services,"
            " overrides, time_off"
            for line, word in ((1, "staf"), (2, "zimun"))
        ],
    ),
    "the same word twice": (
        "staff: []\nresources: []\nstaff: [1]\nresources: []",
        ["3: staff: is given twice", "4: resources: is given twice"],
    ),
    "fields that there are not": (
        "resources:\n- id: r_1\n  nam: A\n  name: A\n  etag: 7\n  create_time: 2026-01-01",
        [
            "3: resources[0].nam: is not a field that a Resource has in a file",
            "5: resources[0].etag: is not a field that a Resource has in a file",
            "6: resources[0].create_time: is not a field that a Resource has in a file",
        ],
    ),
    "fields twice, and deep inside": (
        "staff:\n- id: t_1\n  name: A\n  name: B\n  weekly_hours:\n  - day_of_week: MONDAY\n"
        "    start_time: 09:00\n    ende: 17:00\n    start_time: 10:00",
        [
            "4: staff[0].name: is given twice",
            "6: staff[0].weekly_hours[0].end_time: is required",
            "8: staff[0].weekly_hours[0].ende: is not a field that a WeeklyHours has in a file",
            "9: staff[0].weekly_hours[0].start_time: is given twice",
        ],
    ),
    "merge keys, and keys that are no words": (
        "resources:\n- &a {id: r_1, name: A}\n- <<: *a\n  id: r_2\n  name: B\n  [x]: y",
        [
            "3: resources[1].<<: merge keys are not read",
            "6: resources[1].?: is not a word",
        ],
    ),
    "other kinds of things": (
        """\
locations: {}
staff:
- Ada
- id: [t_1]
  name: {first: Ada}
  daily_limit: 3.5
  active: yes
  weekly_hours: 9 to 5
  location_ids: l_1
  metadata: [a]
- id: t_2
  name: !title Ben
  daily_limit: 2147483648
  metadata: {a: [b], c: {d: e}}
  location_ids: [[l_1]]
- !person {id: t_3}
- {id: t_4, name: Di, location_ids: !places [l_1]}
""",
        [
            "1: locations: must be a list",
            "3: staff[0]: must be a mapping",
            "4: staff[1].id: must be text",
            "5: staff[1].name: must be text",
            "6: staff[1].daily_limit: must be a whole number",
            "7: staff[1].active: must be true or false",
            "8: staff[1].weekly_hours: must be a list",
            "9: staff[1].location_ids: must be a list",
            "10: staff[1].metadata: must be a mapping",
            "12: staff[2].name: must be text",
            "13: staff[2].daily_limit: must be a whole number",
            "14: staff[2].metadata.a: must be text",
            "14: staff[2].metadata.c: must be text",
            "15: staff[2].location_ids[0]: must be text",
            "16: staff[3]: must be a mapping",
            "17: staff[4].location_ids: must be a list",
        ],
    ),
    "half a character": (
        'resources: [{id: r_1, name: "\\ud800"}]',
        ["1: resources[0].name: must be text"],
    ),
    "ids": (
        "resources:\n- name: A\n- id: ''\n  name: A\n- id: room\n  name: A\n- name: A\n  id: r 1\n"
        "- {id: r_1, name: A}\n- name: A\n  id: r_1\n- {id: r_room, name: A}",
        [
            "2: resources[0].id: is required",
            "3: resources[1].id: is required",
            "5: resources[2].id: must be r_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
            "8: resources[3].id: must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -",
            "11: resources[5].id: r_1 is in resources[4].id, too",
        ],
    ),
    "what the contract says of fields": (
        f"""\
organization:
  name: {"x" * 201}
  time_zone: Berlin
locations:
- id: l_1
  name: House
  time_zone: CET/CEST
  weekly_hours:
  - {{day_of_week: TODAY, start_time: 9:00, end_time: 25:00}}
  - day_of_week: MONDAY
    start_time: 09:00
staff:
- {{id: t_1, name: A, metadata: {{{"k" * 65}: v}}}}
""",
        [
            "2: organization.name: must have at most 200 characters",
            "3: organization.time_zone: must be an IANA time zone",
            "7: locations[0].time_zone: must be an IANA time zone",
            "9: locations[0].weekly_hours[0].day_of_week: must be one of MONDAY, TUESDAY,"
            " WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY",
            "9: locations[0].weekly_hours[0].start_time: must be a time of day, 00:00 to 24:00",
            "9: locations[0].weekly_hours[0].end_time: must be a time of day, 00:00 to 24:00",
            "10: locations[0].weekly_hours[1].end_time: is required",
            "13: staff[0].metadata: keys have at most 64 characters, values 1000",
        ],
    ),
    "what makes no sense": (
        """\
organization:
  name: Salon
  time_zone: UTC
  holiday_region: XX
  hold_length: 2h
  service_defaults: {slot_step: 90s, horizon: 9d}
staff:
- id: t_1
  name: " "
  weekly_hours:
  - {day_of_week: MONDAY, start_time: 09:00, end_time: 12:00}
  - {day_of_week: MONDAY, start_time: 11:00, end_time: 13:00}
  daily_limit: -1
services:
- id: s_1
  name: A
  capacity: 0
  price: {}
- id: s_2
  name: C
  duration: 90s
  duration_options: [1h, 1h]
""",
        [
            "4: organization.holiday_region: no public holidays are known for 'XX'",
            "5: organization.hold_length: must be 1 minute to 60 minutes",
            "6: organization.service_defaults.slot_step: must be whole minutes",
            "9: staff[0].name: must not be blank",
            "10: staff[0].weekly_hours: Monday 09:00-12:00 and 11:00-13:00 overlap",
            "13: staff[0].daily_limit: must be 0 or more",
            "15: services[0].duration: must be 1 minute to 31 days",
            "17: services[0].capacity: must be 1 to 10000",
            "18: services[0].price: currency_code must be three letters, as ISO 4217 has it",
            "21: services[1].duration: must be whole minutes",
            "22: services[1].duration_options: must differ from each other and from duration",
        ],
    ),
    "what nobody knows": (
        """\
staff:
- {id: t_new, name: New, location_ids: [l_new]}
services:
- id: s_new
  name: New
  duration: 30m
  staff_ids: [t_new, t_ada, t_nobody]
  location_ids: [l_nowhere]
  resource_requirements:
  - resource_ids: [r_room]
  - resource_ids: [r_nothing]
resources:
- {id: r_new, name: New, location_id: l_nowhere}
locations:
- id: l_new
  name: New
  time_zone: of its own
overrides:
- {owner_id: l_new, date: 2026-01-01, status: CLOSED}
- {owner_id: t_ben, date: 2026-01-01, status: CLOSED}
- {owner_id: s_new, date: 2026-01-01, status: CLOSED}
""",
        [
            "7: services[0].staff_ids: t_nobody does not exist",
            "8: services[0].location_ids: l_nowhere does not exist",
            "9: services[0].resource_requirements: r_nothing does not exist",
            "13: resources[0].location_id: l_nowhere does not exist",
            "17: locations[0].time_zone: must be an IANA time zone",
            "21: overrides[2].owner_id: s_new is no organization, location or staff member",
        ],
    ),
    "overrides": (
        """\
overrides:
- {}
- {id: x_1, owner_id: t_ada, date: 2026-02-30, status: MAYBE}
- {owner_id: t_ada, date: 2026-02-28, status: CLOSED}
- owner_id: t_ada
  date: 2026-02-28
  status: CLOSED
  hours: [{start_time: 10:00, end_time: 09:00}]
- owner_id: t_zoe
  date: 2026-02-27
  status: OPEN
- owner_id: t_ada
  date: soon
  status: OPENED
  hours: [{start_time: 10:00, end_time: 09:00}]
- owner_id: t_zoe
  date: soon
  status: OPEN
  hours: [{start_time: ten}]
""",
        [
            "2: overrides[0].owner_id: is required",
            "2: overrides[0].date: is required",
            "2: overrides[0].status: is required",
            "3: overrides[1].status: must be one of OPEN, CLOSED",
            "3: overrides[1].date: must be a date, YYYY-MM-DD",
            "3: overrides[1].id: must be v_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
            "6: overrides[3].date: 2026-02-28 of t_ada is in overrides[2].date, too",
            "8: overrides[3].hours: are for OPEN dates, and OPEN dates have some",
            "9: overrides[4].owner_id: t_zoe is no organization, location or staff member",
            "9: overrides[4].hours: are for OPEN dates, and OPEN dates have some",
            "13: overrides[5].date: must be a date, YYYY-MM-DD",
            "14: overrides[5].status: must be one of OPEN, CLOSED",
            "15: overrides[5].hours: 10:00-09:00 ends before it begins",
            "16: overrides[6].owner_id: t_zoe is no organization, location or staff member",
            "17: overrides[6].date: must be a date, YYYY-MM-DD",
            "19: overrides[6].hours[0].end_time: is required",
            "19: overrides[6].hours[0].start_time: must be a time of day, 00:00 to 24:00",
        ],
    ),
    "another organization's file": (
        "\norganization: {id: o_other, name: A, time_zone: UTC}",
        ["2: organization.id: is not o_salon, which --org says"],
    ),
}


@pytest.mark.parametrize(("text", "told"), FAULTY.values(), ids=FAULTY)
async def test_all_that_is_wrong_is_told_with_its_lines_and_nothing_is_changed(
    engine: Engine, salon: Stores, text: str, told: list[str]
) -> None:
    before = engine.tables()
    found = await faults(salon, text)
    assert sorted(found) == sorted(told)
    lines = [int(line.partition(":")[0]) for line in found]
    assert lines == sorted(lines)
    assert engine.tables() == before


@pytest.mark.parametrize(
    ("text", "org", "told"),
    [
        ("staff: []", "", "1: organization.id: is required, here or as --org"),
        ("- staff", "", "1: must be a mapping"),
        (
            "staff: []\norganization: {name: A, time_zone: UTC}",
            "",
            "2: organization.id: is required, here or as --org",
        ),
        ("staff: []", "o_new", "1: organization: is required: there is no organization o_new"),
        (
            NEW.replace("o_new", "new"),
            "",
            "1: organization.id: must be o_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
        ),
        (
            "organization: {name: A, time_zone: UTC}",
            "x",
            "1: organization.id: must be o_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
        ),
        (
            "organization: {name: A, time_zone: UTC}",
            "o_!",
            "1: organization.id: must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -",
        ),
        (
            "organization: {name: A}",
            "o_new",
            "1: organization.time_zone: must be an IANA time zone",
        ),
    ],
)
async def test_whose_catalogue_it_is_must_be_known(
    stores: Stores, text: str, org: str, told: str
) -> None:
    assert await faults(stores, text, org) == [told]


async def test_the_organizations_faults_are_not_told_again_of_its_entries(stores: Stores) -> None:
    text = """\
organization:
  id: o_new
  name: New
  time_zone: Mars
  service_defaults: {lead_time: 999d}
staff: [{id: t_1, name: A}]
services: [{id: s_1, name: A, duration: 30m}]
"""
    assert await faults(stores, text, "") == [
        "4: organization.time_zone: must be an IANA time zone",
        "5: organization.service_defaults.lead_time: must be 0 minutes to 366 days",
    ]


async def test_a_second_time_nothing_changes_not_even_the_version(
    engine: Engine, stores: Stores, clock: ManualClock
) -> None:
    text = EXAMPLE.read_text()
    first = await load(stores, text)
    before = engine.tables()
    clock.instant = NOW + DAY
    assert await load(stores, text) == Counts(0, 0, first.created)
    assert engine.tables() == before


async def test_what_is_said_replaces_an_entry_whole_and_what_is_not_stays(
    salon: Stores, clock: ManualClock
) -> None:
    before = await catalog(salon)
    text = "services: [{id: s_cut, name: Cut, duration: 45m, staff_ids: [t_ben]}]"
    clock.instant = NOW + HOUR
    assert await load(salon, text, ORG) == Counts(created=0, changed=1, unchanged=0)
    after = await catalog(salon)
    assert after.services["s_cut"] == replace(
        CUT,
        duration=45 * MINUTE,
        slot_step=45 * MINUTE,
        horizon=60 * DAY,
        staff_ids=("t_ben",),
        update_time=NOW + HOUR,
        revision=2,
    )
    assert {**after.services, "s_cut": CUT} == before.services
    assert (after.staff, after.resources) == (before.staff, before.resources)
    assert after.organization == before.organization


async def test_an_archived_entry_stays_archived_until_it_is_named(stores: Stores) -> None:
    one = "resources:\n- {id: r_1, name: A, active: false}"
    await load(stores, NEW + one)
    await load(stores, NEW + "resources: [{id: r_2, name: B}]")
    assert not (await catalog(stores, "o_new")).resources["r_1"].active
    assert await load(stores, NEW + one.replace(", active: false", "")) == Counts(0, 1, 1)
    assert (await catalog(stores, "o_new")).resources["r_1"].active


async def test_a_change_of_the_organization_reaches_entries_of_the_file_alone(
    stores: Stores,
) -> None:
    entries = "staff: [{id: t_1, name: A}]\nservices: [{id: s_1, name: A, duration: 1h}]"
    await load(
        stores, f"{NEW}{entries}, {{id: s_2, name: B, duration: 1h}}]".replace("}], ", "}, ")
    )
    moved = NEW.replace("Berlin", "Oslo").replace("}", ", service_defaults: {lead_time: 1h}}")
    assert await load(stores, moved + entries) == Counts(created=0, changed=3, unchanged=0)
    found = await catalog(stores, "o_new")
    assert found.staff["t_1"].time_zone == "Europe/Oslo"
    assert (found.services["s_1"].lead_time, found.services["s_2"].lead_time) == (HOUR, 0)


async def test_new_entries_are_listed_in_the_order_of_the_file_after_those_before(
    stores: Stores, clock: ManualClock
) -> None:
    def rooms(*names: str) -> str:
        return f"{NEW}resources: [{', '.join(f'{{id: r_{name}, name: A}}' for name in names)}]"

    await load(stores, rooms("m", "c", "z"))
    clock.instant = NOW + SECOND
    await load(stores, rooms("b", "z", "a"))
    text = await exported(stores, "o_new")
    positions = [text.index(f"r_{name}") for name in "mczba"]
    assert positions == sorted(positions)


def overrides(*said: str) -> str:
    return "overrides:\n" + "".join(f"- {{{one}, status: CLOSED}}\n" for one in said)


ADA_1, ADA_2, ADA_3 = (f"owner_id: t_ada, date: 2026-01-0{n}" for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("before", "after", "counts", "kept"),
    [
        pytest.param(
            [f"id: v_1, {ADA_1}"], [ADA_1], (0, 0, 1), {"v_1": 1}, id="its date names it, too"
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_2, {ADA_1}"],
            (0, 1, 0),
            {"v_2": 1},
            id="another id for a date",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_1, {ADA_2}"],
            (0, 1, 0),
            {"v_1": 2},
            id="another date for an id",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}", f"id: v_2, {ADA_2}"],
            [f"id: v_2, {ADA_1}", f"id: v_1, {ADA_2}"],
            (0, 2, 0),
            {"v_2": 1, "v_1": 2},
            id="two that swap dates",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}", f"id: v_2, {ADA_2}"],
            [f"id: v_1, {ADA_2}"],
            (0, 1, 0),
            {"v_1": 2},
            id="one that takes another's date",
        ),
        pytest.param(
            [f"id: v_1, {ADA_1}"],
            [f"id: v_2, {ADA_2}"],
            (1, 0, 0),
            {"v_1": 1, "v_2": 2},
            id="one more",
        ),
    ],
)
async def test_an_override_is_the_one_of_its_id_and_of_its_date(
    salon: Stores,
    before: list[str],
    after: list[str],
    counts: tuple[int, int, int],
    kept: dict[str, int],
) -> None:
    await load(salon, overrides(*before), ORG)
    assert await load(salon, overrides(*after), ORG) == Counts(*counts)
    found = (await catalog(salon)).overrides.values()
    assert {one.id: one.date.day for one in found} == kept


async def test_an_override_without_an_id_leaves_to_others_what_they_claim(salon: Stores) -> None:
    await load(salon, overrides(f"id: v_1, {ADA_1}"), ORG)
    await load(salon, overrides(ADA_1, f"id: v_1, {ADA_3}"), ORG)
    found = {one.date.day: one.id for one in (await catalog(salon)).overrides.values()}
    assert found.keys() == {1, 3}
    assert found[3] == "v_1"
    assert found[1] not in ("", "v_1")


async def test_a_changed_override_counts_its_revisions(salon: Stores, clock: ManualClock) -> None:
    await load(salon, overrides(f"id: v_1, {ADA_1}"), ORG)
    noted = overrides(f"id: v_1, {ADA_1}, note: Ill")
    clock.instant = NOW + DAY
    assert await load(salon, noted, ORG) == Counts(0, 1, 0)
    [override] = (await catalog(salon)).overrides.values()
    assert (override.note, override.revision, override.create_time) == ("Ill", 2, NOW + 1)


async def test_the_example_is_what_it_claims_to_be(stores: Stores) -> None:
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


async def test_a_change_of_the_file_is_seen_by_those_who_read_before(salon: Stores) -> None:
    async def names() -> list[str]:
        return [one.name for one in (await catalog(salon)).listed(Service)]

    before = await names()
    await load(salon, "services: [{id: s_new, name: New, duration: 1h}]", ORG)
    assert await names() == [*before, "New"]
