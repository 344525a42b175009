"""Everything that is wrong with the file of a catalogue is told at once, with its lines."""

import pytest

from zimun.stores import Stores

from .catalog_files import NEW, faults
from .engines import Engine


@pytest.mark.parametrize("written", ["90s", "1.5s"])
async def test_length_that_is_not_whole_minutes_is_refused_in_every_notation(
    stores: Stores, written: str
) -> None:
    text = f"{NEW}services: [{{id: s_1, name: A, duration: {written}}}]"
    assert await faults(stores, text, "") == ["2: services[0].duration: must be whole minutes"]


@pytest.mark.parametrize(
    "written",
    ["30", "m", "''", "30 m", "30M", "-30m", "1m1h", "1h1h", "PT30M", "1.5h", "٣m", "9999999999h"],
)
async def test_text_that_is_no_length_is_refused(stores: Stores, written: str) -> None:
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
    engine: Engine, salon_stores: Stores, text: str, told: list[str]
) -> None:
    before = engine.tables()
    found = await faults(salon_stores, text)
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
async def test_file_without_a_known_organization_is_refused(
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
