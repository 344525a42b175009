"""Administering the catalogue: what is sent comes back, and what makes no sense is refused."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

import grpc
import pytest
from google.api import field_behavior_pb2

from zimun.domain.identity import SCOPES
from zimun.rpc import validation
from zimun.v1 import location_pb2, options_pb2

from ..support.rpc import Zimun, refusal
from . import stamp
from .asking import held, search, times
from .catalogue import (
    KINDS,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    WEEK,
    Fields,
    Kind,
    days,
    hours,
    minutes,
    settle,
    weekly,
)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)

FULL: Mapping[Kind, Fields] = {
    SERVICE: {
        "name": "Massage",
        "description": "Back and neck.",
        "duration": minutes(45),
        "buffer_before": minutes(5),
        "buffer_after": minutes(10),
        "slot_step": minutes(15),
        "slot_alignment": "HOUR",
        "lead_time": hours(3),
        "horizon": days(30),
        "capacity": 4,
        "cancellation_cutoff": hours(24),
        "reschedule_cutoff": hours(12),
        "price": {"currency_code": "EUR", "units": 80, "nanos": 500_000_000},
        "staff_ids": ["t_chloe", "t_ada"],
        "resource_requirements": [
            {"resource_ids": ["r_room_2", "r_room_1"]},
            {"resource_ids": ["r_studio"]},
        ],
        "location_ids": ["l_main"],
        "metadata": {"colour": "blue", "": "empty key"},
        "duration_options": [minutes(90), minutes(30)],
        "booking_limits": [
            {"max_bookings": 2, "period": "UPCOMING", "per": "CUSTOMER"},
            {"max_bookings": 9, "period": "DAY", "per": "SERVICE"},
        ],
    },
    LOCATION: {
        "name": "Café Zürich",
        "address": "2 Side Street\n8001 Zürich",
        "time_zone": "Europe/Zurich",
        "weekly_hours": [*weekly("09:00", "12:30", ["MONDAY"]), *weekly("13:00", "24:00")[:1]],
        "metadata": {"floor": "2"},
    },
    STAFF: {
        "name": "Noor",
        "time_zone": "Asia/Kolkata",
        "weekly_hours": [*weekly("07:15", "08:45")[:2], *weekly("00:00", "24:00", ["SUNDAY"])],
        "daily_limit": 6,
        "location_ids": ["l_main"],
        "metadata": {"badge": "17"},
    },
    RESOURCE: {"name": "Chair", "location_id": "l_main", "metadata": {"kind": "leather"}},
}

OTHER: Mapping[Kind, Fields] = {
    SERVICE: {
        "name": "Talk",
        "description": "",
        "duration": minutes(20),
        "buffer_before": minutes(0),
        "buffer_after": minutes(1),
        "slot_step": minutes(24 * 60),
        "slot_alignment": "OPENING",
        "lead_time": minutes(0),
        "horizon": days(365),
        "capacity": 1,
        "cancellation_cutoff": minutes(0),
        "reschedule_cutoff": days(2),
        "price": {"currency_code": "USD", "units": 5},
        "staff_ids": ["t_ben"],
        "resource_requirements": [],
        "location_ids": [],
        "metadata": {},
        "duration_options": [minutes(25)],
        "booking_limits": [{"max_bookings": 3, "period": "WEEK", "per": "RESOURCE"}],
    },
    LOCATION: {
        "name": "Depot",
        "address": "",
        "time_zone": "America/New_York",
        "weekly_hours": [],
        "metadata": {"a": "b"},
    },
    STAFF: {
        "name": "Kim",
        "time_zone": "UTC",
        "weekly_hours": weekly("10:00", "11:00"),
        "daily_limit": 0,
        "location_ids": [],
        "metadata": {},
    },
    RESOURCE: {"name": "Lamp", "location_id": "", "metadata": {}},
}

EMPTIED: Mapping[Kind, tuple[str, ...]] = {
    SERVICE: (
        *("active", "description", "resource_requirements", "staff_ids", "location_ids"),
        *("duration_options", "booking_limits", "metadata", "price", "buffer_before", "lead_time"),
    ),
    LOCATION: ("active", "address", "weekly_hours", "metadata"),
    STAFF: ("active", "weekly_hours", "daily_limit", "location_ids", "metadata"),
    RESOURCE: ("active", "location_id", "metadata"),
}
"""Fields that an update can make empty, false or 0."""

GIVEN = ("id", "active", "create_time", "update_time", "etag")
"""What an entry has without being told."""


def told(entry: Any) -> Any:
    """The entry without what it has without being told."""
    copy = type(entry)()
    copy.CopyFrom(entry)
    for field in GIVEN:
        copy.ClearField(field)
    return copy


@each_kind
def test_the_tables_here_say_every_field(kind: Kind) -> None:
    names = {field.name for field in kind.message.DESCRIPTOR.fields} - set(GIVEN)
    assert set(FULL[kind]) == set(OTHER[kind]) == names


# Creating


@each_kind
async def test_every_field_comes_back_as_it_was_sent(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    assert told(made) == kind.entry(FULL[kind])
    assert made.active
    assert made.create_time == made.update_time == stamp("2025-11-28T09:00:00Z")
    assert made.etag
    assert await kind.get(zimun, made.id) == made
    assert made in await kind.listed(zimun)


@each_kind
async def test_an_id_is_chosen_or_given(zimun: Zimun, kind: Kind) -> None:
    chosen = f"{kind.prefix}Chosen-by_me"
    assert (await kind.create(zimun, id=chosen)).id == chosen
    given = [(await kind.create(zimun)).id for _ in range(2)]
    assert len(set(given)) == 2
    assert all(one.startswith(kind.prefix) and 2 < len(one) <= 64 for one in given)


@each_kind
@pytest.mark.parametrize("id", ["x_1", "1", "{}a b", "{}ü", "{}" + "n" * 63])
async def test_a_chosen_id_has_its_prefix_and_its_form(zimun: Zimun, kind: Kind, id: str) -> None:
    refused = await kind.refused(zimun, "Create", kind.creation(id=id.format(kind.prefix)))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"id"})


@each_kind
async def test_a_chosen_id_is_more_than_its_prefix(zimun: Zimun, kind: Kind) -> None:
    refused = await kind.refused(zimun, "Create", kind.creation(id=kind.prefix))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"id"})


@each_kind
async def test_the_longest_id_has_sixty_four_characters(zimun: Zimun, kind: Kind) -> None:
    longest = kind.prefix + "n" * 62
    assert (await kind.create(zimun, id=longest)).id == longest
    assert (await kind.get(zimun, longest)).id == longest


@each_kind
@pytest.mark.parametrize("archived", [False, True])
async def test_an_id_in_use_is_taken(zimun: Zimun, kind: Kind, archived: bool) -> None:
    first = await kind.create(zimun, id=f"{kind.prefix}1")
    if archived:
        first = await kind.archive(zimun, first.id)
    refused = await kind.refused(zimun, "Create", kind.creation(id=first.id, name="Second"))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (refused.reason, dict(refused.info.metadata)) == ("ID_TAKEN", {"id": first.id})
    assert await kind.get(zimun, first.id) == first


@each_kind
async def test_a_creator_says_nothing_of_what_only_answers_carry(zimun: Zimun, kind: Kind) -> None:
    said = stamp("2001-01-01T00:00:00Z")
    made = await kind.create(zimun, active=False, create_time=said, update_time=said, etag="mine")
    assert made.active
    assert made.create_time == made.update_time == stamp("2025-11-28T09:00:00Z")
    assert made.etag != "mine"


async def test_a_new_service_has_the_built_in_defaults(zimun: Zimun) -> None:
    made = await SERVICE.create(zimun, duration=minutes(25))
    expected = SERVICE.entry(
        {
            "name": "New",
            "duration": minutes(25),
            "buffer_before": minutes(0),
            "buffer_after": minutes(0),
            "slot_step": minutes(25),
            "slot_alignment": "OPENING",
            "lead_time": minutes(0),
            "horizon": days(60),
            "capacity": 1,
            "cancellation_cutoff": minutes(0),
            "reschedule_cutoff": minutes(0),
        }
    )
    assert told(made) == expected


async def test_a_new_service_has_the_organizations_defaults_where_it_does_not_say(
    zimun: Zimun,
) -> None:
    old = await SERVICE.create(zimun)
    defaults = {
        "slot_step": minutes(15),
        "lead_time": hours(2),
        "horizon": days(14),
        "cancellation_cutoff": hours(24),
        "reschedule_cutoff": hours(12),
    }
    await settle(zimun, service_defaults=defaults)
    made = await SERVICE.create(zimun)
    assert {name: getattr(made, name) for name in defaults} == defaults
    said = await SERVICE.create(zimun, slot_step=minutes(10), lead_time=minutes(0))
    assert (said.slot_step, said.lead_time) == (minutes(10), minutes(0))
    assert said.horizon == days(14)
    assert await SERVICE.get(zimun, old.id) == old


@pytest.mark.parametrize("kind", [LOCATION, STAFF], ids=str)
async def test_a_new_entry_has_the_organizations_time_zone(zimun: Zimun, kind: Kind) -> None:
    assert (await kind.create(zimun)).time_zone == "UTC"
    await settle(zimun, time_zone="Asia/Tokyo")
    made = await kind.create(zimun)
    assert made.time_zone == "Asia/Tokyo"
    await settle(zimun, time_zone="Asia/Seoul")
    assert await kind.get(zimun, made.id) == made


@pytest.mark.parametrize("kind", [LOCATION, STAFF, RESOURCE], ids=str)
async def test_what_else_is_not_said_is_empty(zimun: Zimun, kind: Kind) -> None:
    made = told(await kind.create(zimun))
    if kind is not RESOURCE:
        made.ClearField("time_zone")
    assert made == kind.entry({"name": "New"})


# Changing


@each_kind
async def test_a_mask_changes_the_field_it_names_and_no_other(zimun: Zimun, kind: Kind) -> None:
    before = await kind.create(zimun, **FULL[kind])
    for field, value in OTHER[kind].items():
        zimun.clock.advance(1)
        after = await kind.update(zimun, before.id, [field], **OTHER[kind])
        expected = told(before)
        expected.ClearField(field)
        expected.MergeFrom(kind.entry({field: value}))
        assert told(after) == expected, field
        assert (after.id, after.active, after.create_time) == (before.id, True, before.create_time)
        assert after.update_time.ToMicroseconds() == zimun.clock.now()
        assert after.etag != before.etag
        assert await kind.get(zimun, before.id) == after
        before = after
    assert told(before) == kind.entry(OTHER[kind])


@each_kind
async def test_a_star_changes_every_field_but_active(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    await kind.archive(zimun, made.id)
    changed = await kind.update(zimun, made.id, ["*"], **OTHER[kind], active=True)
    assert told(changed) == kind.entry(OTHER[kind])
    assert not changed.active
    await kind.update(zimun, made.id, active=True)
    changed = await kind.update(zimun, made.id, ["*"], **FULL[kind])
    assert told(changed) == kind.entry(FULL[kind])
    assert changed.active


@each_kind
async def test_without_a_mask_the_fields_that_are_set_change(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    changed = await kind.update(zimun, made.id, name="Else", metadata={"a": "1"})
    expected = told(made)
    expected.name = "Else"
    expected.metadata.clear()
    expected.metadata["a"] = "1"
    assert told(changed) == expected
    assert changed.active


@each_kind
async def test_a_masked_field_that_is_empty_is_emptied(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    changed = made
    for field in EMPTIED[kind]:
        changed = await kind.update(zimun, made.id, [field])
        assert (field, getattr(changed, field)) == (field, getattr(kind.message(), field))
        assert not (field == "price" and changed.HasField("price"))
    assert await kind.get(zimun, made.id) == changed
    assert int(changed.etag) == int(made.etag) + len(EMPTIED[kind])


@pytest.mark.parametrize("field", ["capacity", "name", "duration", "slot_step", "horizon"])
async def test_a_masked_field_that_must_not_be_empty_is_refused(zimun: Zimun, field: str) -> None:
    made = await SERVICE.create(zimun, **FULL[SERVICE])
    refused = await SERVICE.refused(zimun, "Update", SERVICE.change(made.id, [field]))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await SERVICE.get(zimun, made.id) == made


@each_kind
@pytest.mark.parametrize("mask", [["*"], None, ["name", "metadata"]], ids=["all", "none", "some"])
async def test_an_update_that_changes_nothing_makes_no_new_etag(
    zimun: Zimun, kind: Kind, mask: list[str] | None
) -> None:
    made = await kind.create(zimun, **FULL[kind])
    zimun.clock.advance(60)
    assert await kind.update(zimun, made.id, mask, **FULL[kind]) == made
    zimun.stores.reader.forget()
    assert await kind.update(zimun, made.id, mask, **FULL[kind], etag=made.etag) == made
    assert await kind.get(zimun, made.id) == made
    change = kind.change(made.id, mask, **FULL[kind], etag="9")
    assert (await kind.refused(zimun, "Update", change)).reason == "ETAG_MISMATCH"


async def test_without_a_mask_a_length_of_nothing_is_set(zimun: Zimun) -> None:
    made = await SERVICE.create(zimun, buffer_after=minutes(10))
    changed = await SERVICE.update(zimun, made.id, buffer_after=minutes(0))
    assert changed.buffer_after == minutes(0)


@each_kind
@pytest.mark.parametrize("mask", [["name", "no_such"], ["nam"], ["name.first"], ["Name"]])
async def test_a_mask_names_fields_that_there_are(
    zimun: Zimun, kind: Kind, mask: list[str]
) -> None:
    made = await kind.create(zimun)
    refused = await kind.refused(zimun, "Update", kind.change(made.id, mask, name="Else"))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"update_mask"})
    assert await kind.get(zimun, made.id) == made


@each_kind
def test_the_contract_marks_what_only_answers_carry(kind: Kind) -> None:
    behaviours = {
        field.name: field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        for field in kind.message.DESCRIPTOR.fields
    }
    output = {name for name, them in behaviours.items() if field_behavior_pb2.OUTPUT_ONLY in them}
    assert output == {"create_time", "update_time"}


@each_kind
@pytest.mark.parametrize("field", ["create_time", "update_time"])
async def test_a_mask_names_nothing_that_only_answers_carry(
    zimun: Zimun, kind: Kind, field: str
) -> None:
    made = await kind.create(zimun)
    change = kind.change(made.id, ["name", field], name="Else")
    refused = await kind.refused(zimun, "Update", change)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"update_mask"})
    assert await kind.get(zimun, made.id) == made


@each_kind
async def test_an_update_fits_the_etag_where_it_says_one(zimun: Zimun, kind: Kind) -> None:
    first = await kind.create(zimun)
    second = await kind.update(zimun, first.id, name="Two", etag=first.etag)
    refused = await kind.refused(
        zimun, "Update", kind.change(first.id, name="Three", etag=first.etag)
    )
    assert refused.code is grpc.StatusCode.ABORTED
    assert refused.reason == "ETAG_MISMATCH"
    assert dict(refused.info.metadata) == {kind.id_field: first.id}
    assert await kind.get(zimun, first.id) == second
    assert (await kind.update(zimun, first.id, ["name"], name="Three")).name == "Three"


# Archiving


@each_kind
async def test_what_is_archived_is_only_listed_when_asked_for(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    before = await kind.listed(zimun)
    zimun.clock.advance(60)
    archived = await kind.archive(zimun, made.id)
    assert not archived.active
    assert told(archived) == told(made)
    assert archived.etag != made.etag
    assert archived.update_time.ToMicroseconds() == zimun.clock.now()
    assert await kind.listed(zimun) == [entry for entry in before if entry.id != made.id]
    everything = [archived if entry.id == made.id else entry for entry in before]
    assert await kind.listed(zimun, archived=True) == everything
    assert await kind.get(zimun, made.id) == archived


@each_kind
async def test_archiving_again_changes_nothing(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun)
    archived = await kind.archive(zimun, made.id)
    zimun.clock.advance(60)
    assert await kind.archive(zimun, made.id) == archived
    assert await kind.archive(zimun, made.id, archived.etag) == archived
    assert await kind.get(zimun, made.id) == archived


@each_kind
async def test_archiving_fits_the_etag_where_it_says_one(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun)
    request = kind.request("Archive", **{kind.id_field: made.id, "etag": f"{made.etag}0"})
    refused = await kind.refused(zimun, "Archive", request)
    assert (refused.reason, refused.info.metadata[kind.id_field]) == ("ETAG_MISMATCH", made.id)
    assert (await kind.get(zimun, made.id)).active
    assert not (await kind.archive(zimun, made.id, made.etag)).active


@each_kind
@pytest.mark.parametrize("mask", [None, ["active"]])
async def test_an_update_brings_back_what_was_archived(
    zimun: Zimun, kind: Kind, mask: list[str] | None
) -> None:
    made = await kind.create(zimun, **FULL[kind])
    archived = await kind.archive(zimun, made.id)
    back = await kind.update(zimun, made.id, mask, active=True)
    assert back.active
    assert told(back) == told(made)
    assert len({made.etag, archived.etag, back.etag}) == 3
    assert back in await kind.listed(zimun)


@each_kind
async def test_an_update_of_what_is_archived_leaves_it_archived(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun)
    await kind.archive(zimun, made.id)
    changed = await kind.update(zimun, made.id, name="Else")
    assert (changed.name, changed.active) == ("Else", False)


@each_kind
async def test_a_masked_active_of_false_archives(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun)
    assert not (await kind.update(zimun, made.id, ["active"])).active
    assert made.id not in {entry.id for entry in await kind.listed(zimun)}


# Keys


async def mutations(zimun: Zimun, kind: Kind) -> dict[str, tuple[Any, Any, Any]]:
    """For each mutation: a request that only works once, another one, and a refused one."""
    made = await kind.create(zimun)
    named = {kind.id_field: made.id}
    return {
        "Create": (kind.creation(), kind.creation(name="Else"), kind.creation(name="")),
        "Update": (
            kind.change(made.id, name="Two", etag=made.etag),
            kind.change(made.id, name="Three", etag=made.etag),
            kind.change(made.id, name="Two", etag="none"),
        ),
        "Archive": (
            kind.request("Archive", **named, etag=made.etag),
            kind.request("Archive", **named),
            kind.request("Archive", **named, etag="none"),
        ),
    }


@each_kind
@pytest.mark.parametrize("verb", ["Create", "Update", "Archive"])
async def test_a_key_makes_a_mutation_happen_once(zimun: Zimun, kind: Kind, verb: str) -> None:
    request, other, refused = (await mutations(zimun, kind))[verb]
    assert (await kind.refused(zimun, verb, refused, key="k")).reason in (
        "INVALID_FIELD",
        "ETAG_MISMATCH",
    )
    raw: Any = zimun.channel.unary_unary(kind.path(verb))
    sent = request.SerializeToString()
    first = await raw(sent, metadata=zimun.bearer("k"))
    settled = await kind.listed(zimun, archived=True)
    zimun.clock.advance(60)
    assert await raw(sent, metadata=zimun.bearer("k")) == first
    assert await kind.listed(zimun, archived=True) == settled
    reused = await kind.refused(zimun, verb, other, key="k")
    assert reused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (reused.reason, reused.info.metadata["method"]) == (
        "IDEMPOTENCY_KEY_REUSED",
        kind.name(verb),
    )
    assert await kind.listed(zimun, archived=True) == settled


async def test_the_same_key_of_another_method_is_another_key(zimun: Zimun) -> None:
    made = [await kind.create(zimun, key="k") for kind in KINDS]
    for kind, entry in zip(KINDS, made, strict=True):
        assert await kind.get(zimun, entry.id) == entry


# Who may


ADMINISTRATION = [
    (f"/{service.full_name}/{method.name}", method)
    for service in validation.services()
    if service.name not in ("AppointmentsService", "AvailabilityService")
    for method in service.methods
]


@pytest.mark.parametrize(
    ("path", "method"), ADMINISTRATION, ids=[path for path, _ in ADMINISTRATION]
)
async def test_mutations_need_to_write_and_reads_to_read(
    zimun: Zimun, path: str, method: Any
) -> None:
    reads = method.name.startswith(("Get", "List"))
    scope = "org:read" if reads else "org:write"
    assert method.GetOptions().Extensions[options_pb2.required_scope] == scope
    call: Any = zimun.channel.unary_unary(path)
    codes = {}
    for granted in SCOPES:
        try:
            await call(b"", metadata=zimun.bearer(scopes=(granted,)))
            codes[granted] = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            codes[granted] = error.code()
    assert codes.pop(scope) in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)
    assert set(codes.values()) == {grpc.StatusCode.PERMISSION_DENIED}


@each_kind
async def test_another_organizations_entries_do_not_exist(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, id=f"{kind.prefix}mine")
    for verb in ("Get", "Update", "Archive"):
        requests = {
            name: kind.change(name, name="Theirs")
            if verb == "Update"
            else kind.request(verb, **{kind.id_field: name})
            for name in (made.id, f"{kind.prefix}none")
        }
        theirs, nobodys = [
            await kind.refused(zimun, verb, request, org_id="o_other")
            for request in requests.values()
        ]
        assert theirs.code is nobodys.code is grpc.StatusCode.NOT_FOUND
        assert theirs.reason == nobodys.reason
        assert theirs.reason.removesuffix("_NOT_FOUND").lower() + "_id" == kind.id_field
        assert theirs.message.replace("mine", "none") == nobodys.message
        assert dict(theirs.info.metadata) == {kind.id_field: made.id}
    assert await kind.listed(zimun, archived=True, org_id="o_other") == []
    assert await kind.get(zimun, made.id) == made


@each_kind
async def test_two_organizations_may_choose_the_same_id(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, id=f"{kind.prefix}same")
    create = kind.method(zimun, "Create")
    theirs = await zimun.call(create, kind.creation(id=made.id, name="Theirs"), org_id="o_other")
    assert (theirs.id, theirs.name) == (made.id, "Theirs")
    assert await kind.get(zimun, made.id) == made


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        (SERVICE, {"staff_ids": ["t_ada"]}, "staff_ids"),
        (SERVICE, {"location_ids": ["l_main"]}, "location_ids"),
        (
            SERVICE,
            {"resource_requirements": [{"resource_ids": ["r_studio"]}]},
            "resource_requirements",
        ),
        (STAFF, {"location_ids": ["l_main"]}, "location_ids"),
        (RESOURCE, {"location_id": "l_main"}, "location_id"),
    ],
)
async def test_another_organizations_entries_cannot_be_used(
    zimun: Zimun, kind: Kind, fields: Fields, field: str
) -> None:
    refused = await kind.refused(zimun, "Create", kind.creation(**fields), org_id="o_other")
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})


# What makes no sense


def day(start: str, end: str, name: Any = "MONDAY") -> dict[str, Any]:
    return {"day_of_week": name, "start_time": start, "end_time": end}


HOURS: list[tuple[list[dict[str, Any]], str]] = [
    ([day("09:00", "24:30")], "weekly_hours[0].end_time"),
    ([day("09:00", "10:00"), day("12:00", "11:00")], "weekly_hours"),
    ([day("09:00", "09:00")], "weekly_hours"),
    ([day("9:00", "10:00")], "weekly_hours[0].start_time"),
    ([day("09:60", "10:00")], "weekly_hours[0].start_time"),
    ([day("", "10:00")], "weekly_hours[0].start_time"),
    ([day("09:00", "")], "weekly_hours[0].end_time"),
    ([day("09:00", "10:00:00")], "weekly_hours[0].end_time"),
    ([day("09:00", "noon")], "weekly_hours[0].end_time"),
    ([day("24:00", "24:00")], "weekly_hours"),
    ([day("09:00", "10:00", 0)], "weekly_hours[0].day_of_week"),
    ([day("09:00", "10:00", 8)], "weekly_hours[0].day_of_week"),
    ([day("09:00", "10:00", 8), day("11:00", "10:00")], "weekly_hours[0].day_of_week"),
    ([day("09:00", "12:00"), day("11:00", "13:00")], "weekly_hours"),
    ([day("09:00", "12:00"), day("08:00", "09:01")], "weekly_hours"),
    ([day("00:00", "24:00"), day("10:00", "11:00")], "weekly_hours"),
    ([day("09:00", "10:00"), day("09:00", "10:00")], "weekly_hours"),
    (
        [day(f"{n // 60:02}:{n % 60:02}", f"{n // 60:02}:{n % 60:02}") for n in range(71)],
        "weekly_hours",
    ),
    (
        [
            day(f"{n // 3:02}:{n % 3 * 20:02}", f"{n // 3:02}:{n % 3 * 20 + 10:02}")
            for n in range(71)
        ],
        "weekly_hours",
    ),
]

LENGTHS = (
    "duration",
    "buffer_before",
    "buffer_after",
    "slot_step",
    "lead_time",
    "horizon",
    "cancellation_cutoff",
    "reschedule_cutoff",
)
NO_LENGTHS = (
    {"seconds": -60},
    {"seconds": 90},
    {"seconds": 60, "nanos": 1},
    {"seconds": 60, "nanos": -1},
    {"seconds": 60, "nanos": 1_000_000_000},
    {"seconds": 10**12},
    {"seconds": -(2**63)},
    {"seconds": 2**63 - 1},
)

BAD: list[tuple[Kind, Fields, str]] = [
    *((kind, {"name": ""}, "name") for kind in KINDS),
    *((kind, {"name": "n" * 201}, "name") for kind in KINDS),
    *((kind, {"metadata": {f"k{n}": "" for n in range(51)}}, "metadata") for kind in KINDS),
    *((kind, {"metadata": {"k" * 65: ""}}, "metadata") for kind in KINDS),
    *((kind, {"metadata": {"k": "v" * 1001}}, "metadata") for kind in KINDS),
    *(
        (kind, {"time_zone": zone}, "time_zone")
        for kind in (LOCATION, STAFF)
        for zone in ("Mars/Olympus", "+01:00", "europe/berlin", "../UTC", "Europe", "z" * 65)
    ),
    *((kind, {"weekly_hours": them}, at) for kind in (LOCATION, STAFF) for them, at in HOURS),
    (LOCATION, {"address": "a" * 501}, "address"),
    (STAFF, {"daily_limit": -1}, "daily_limit"),
    (STAFF, {"location_ids": ["l_main", "l_none"]}, "location_ids"),
    (STAFF, {"location_ids": ["l_main", "l_main"]}, "location_ids"),
    (STAFF, {"location_ids": ["t_ada"]}, "location_ids"),
    (STAFF, {"location_ids": ["l_main"] * 501}, "location_ids"),
    (RESOURCE, {"location_id": "l_none"}, "location_id"),
    (RESOURCE, {"location_id": "no id"}, "location_id"),
    (SERVICE, {"description": "d" * 2001}, "description"),
    *(
        (SERVICE, {"slot_step": minutes(30), name: length}, name)
        for name in LENGTHS
        for length in NO_LENGTHS
    ),
    (SERVICE, {"duration": None}, "duration"),
    (SERVICE, {"duration": minutes(0)}, "duration"),
    (SERVICE, {"slot_step": minutes(0)}, "slot_step"),
    (SERVICE, {"slot_step": minutes(24 * 60 + 1)}, "slot_step"),
    (SERVICE, {"slot_alignment": 99}, "slot_alignment"),
    (SERVICE, {"capacity": -1}, "capacity"),
    (SERVICE, {"duration_options": [minutes(20), minutes(0)]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(20), {"seconds": 90}]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(20), minutes(20)]}, "duration_options"),
    (SERVICE, {"duration_options": [minutes(40 + n) for n in range(21)]}, "duration_options"),
    (
        SERVICE,
        {"booking_limits": [{"period": "DAY", "per": "SERVICE"}]},
        "booking_limits[0].max_bookings",
    ),
    (
        SERVICE,
        {
            "booking_limits": [
                {"max_bookings": n, "period": "DAY", "per": "SERVICE"} for n in (1, 2)
            ]
        },
        "booking_limits",
    ),
    (SERVICE, {"booking_limits": [{"max_bookings": 1, "period": "DAY"}]}, "booking_limits[0].per"),
    (SERVICE, {"price": {"currency_code": "EURO", "units": 1}}, "price"),
    (SERVICE, {"price": {"currency_code": "eur", "units": 1}}, "price"),
    (SERVICE, {"price": {"units": 1}}, "price"),
    (SERVICE, {"staff_ids": ["t_ada", "t_none"]}, "staff_ids"),
    (SERVICE, {"staff_ids": ["t_ada", "t_ada"]}, "staff_ids"),
    (SERVICE, {"staff_ids": ["r_studio"]}, "staff_ids"),
    (SERVICE, {"location_ids": ["l_none"]}, "location_ids"),
    (SERVICE, {"location_ids": ["l_main", "l_main"]}, "location_ids"),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio", "r_none"]}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio", "r_studio"]}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio"]}, {}]},
        "resource_requirements",
    ),
    (
        SERVICE,
        {"resource_requirements": [{"resource_ids": ["r_studio"]}] * 11},
        "resource_requirements",
    ),
]


@pytest.mark.parametrize("verb", ["Create", "Update"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_what_makes_no_sense_is_refused_by_its_name(
    zimun: Zimun, kind: Kind, verb: str
) -> None:
    made = await kind.create(zimun)
    wrong = {}
    for entry_kind, fields, field in BAD:
        if entry_kind is not kind:
            continue
        creation = kind.creation(**fields)
        change = kind.change(made.id, list(fields), **fields)
        refused = await kind.refused(zimun, verb, creation if verb == "Create" else change)
        told = (refused.code, refused.reason, set(refused.fields))
        if told != (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", {field}):
            wrong[str(fields)[:120]] = (*told, field)
    assert wrong == {}
    assert await kind.get(zimun, made.id) == made


@pytest.mark.parametrize(
    "price",
    [
        {"currency_code": "EUR", "nanos": 10**9},
        {"currency_code": "EUR", "units": 1, "nanos": -1},
        {"currency_code": "EUR", "units": -1, "nanos": 1},
    ],
)
async def test_a_price_is_an_amount_of_money(zimun: Zimun, price: Fields) -> None:
    refused = await SERVICE.refused(zimun, "Create", SERVICE.creation(price=price))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"price"})


async def test_a_wrong_duration_is_not_blamed_on_a_step_that_nobody_sent(zimun: Zimun) -> None:
    refused = await SERVICE.refused(zimun, "Create", SERVICE.creation(duration=minutes(1.5)))
    assert set(refused.fields) == {"duration"}


@pytest.mark.parametrize("field", ["capacity", "duration", "slot_step", "horizon", "name"])
async def test_what_a_service_cannot_be_without_is_not_masked_away(
    zimun: Zimun, field: str
) -> None:
    made = await SERVICE.create(zimun)
    refused = await SERVICE.refused(zimun, "Update", SERVICE.change(made.id, [field]))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await SERVICE.get(zimun, made.id) == made


@each_kind
async def test_every_wrong_field_of_an_entry_is_named_at_once(zimun: Zimun, kind: Kind) -> None:
    wrong = {"id": "x y", "name": "n" * 201, "metadata": {"k": "v" * 1001}}
    refused = await kind.refused(zimun, "Create", kind.creation(**wrong))
    assert set(refused.fields) == set(wrong)


@each_kind
async def test_what_just_fits_is_taken(zimun: Zimun, kind: Kind) -> None:
    widest: dict[str, Any] = {
        "name": "ü" * 200,
        "metadata": {"k" * 62 + f"{n:02}": "v" * 1000 for n in range(50)},
    }
    made = await kind.create(zimun, **widest)
    assert told(await kind.get(zimun, made.id)).metadata == widest["metadata"]


@pytest.mark.parametrize("kind", [LOCATION, STAFF], ids=str)
async def test_openings_may_touch_and_a_day_have_ten(zimun: Zimun, kind: Kind) -> None:
    touching = [
        day(f"{2 * n:02}:00", f"{2 * n + 2:02}:00", name) for name in WEEK for n in range(10)
    ]
    made = await kind.create(zimun, weekly_hours=touching)
    assert list(made.weekly_hours) == [location_pb2.WeeklyHours(**each) for each in touching]


@each_kind
async def test_a_request_without_an_entry_is_refused(zimun: Zimun, kind: Kind) -> None:
    for verb in ("Create", "Update"):
        refused = await kind.refused(zimun, verb, kind.request(verb))
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    refused = await kind.refused(zimun, "Update", kind.change("", name="Nobody"))
    assert set(refused.fields) == {"id"}


# Pages


@each_kind
async def test_pages_walk_every_entry_once_oldest_first(zimun: Zimun, kind: Kind) -> None:
    before = [entry.id for entry in await kind.listed(zimun)]
    zimun.clock.advance(1)
    made = []
    for n in range(120):
        zimun.clock.advance(1e-6)
        made.append((await kind.create(zimun, name=f"{120 - n}")).id)
    for entry_id in made[::10]:
        await kind.archive(zimun, entry_id)
    active = [entry_id for n, entry_id in enumerate(made) if n % 10]
    for size, archived, expected in (
        (0, False, before + active),
        (7, False, before + active),
        (50, True, before + made),
        (1000, True, before + made),
    ):
        pages: list[list[str]] = []
        token = ""
        while not pages or token:
            request = kind.request(
                "List", page_size=size, page_token=token, include_archived=archived
            )
            page = await zimun.call(kind.method(zimun, "List"), request)
            pages.append([entry.id for entry in page.items])
            token = page.next_page_token
        assert [entry_id for page in pages for entry_id in page] == expected
        assert {len(page) for page in pages[:-1]} <= {size or 50}


@each_kind
async def test_a_page_token_belongs_to_its_question(zimun: Zimun, kind: Kind) -> None:
    for _ in range(2):
        await kind.create(zimun)
    page = await zimun.call(kind.method(zimun, "List"), kind.request("List", page_size=1))
    other = KINDS[KINDS.index(kind) - 1]
    request = other.request("List", page_token=page.next_page_token)
    assert set((await other.refused(zimun, "List", request)).fields) == {"page_token"}
    mine = kind.request("List", page_token=page.next_page_token)
    refused = await kind.refused(zimun, "List", mine, org_id="o_other")
    assert set(refused.fields) == {"page_token"}


# At the same time


async def outcomes(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], list[str]]:
    """The answers, and the reasons of the refusals."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    reasons = [refusal(one).reason for one in refused]
    return [one for one in ended if not isinstance(one, BaseException)], reasons


@each_kind
async def test_of_many_who_choose_one_id_one_gets_it(zimun: Zimun, kind: Kind) -> None:
    chosen = f"{kind.prefix}one"
    made, refused = await outcomes(kind.create(zimun, id=chosen, name=f"{n}") for n in range(20))
    assert made == [await kind.get(zimun, chosen)]
    assert refused == ["ID_TAKEN"] * 19


@each_kind
async def test_of_many_changes_of_one_etag_one_is_made(zimun: Zimun, kind: Kind) -> None:
    first = await kind.create(zimun)
    changed, refused = await outcomes(
        kind.update(zimun, first.id, name=f"{n}", etag=first.etag) for n in range(20)
    )
    assert changed == [await kind.get(zimun, first.id)]
    assert refused == ["ETAG_MISMATCH"] * 19


@each_kind
async def test_changes_of_different_fields_do_not_undo_each_other(zimun: Zimun, kind: Kind) -> None:
    made = await kind.create(zimun, **FULL[kind])
    changed, refused = await outcomes(
        kind.update(zimun, made.id, [field], **OTHER[kind]) for field in OTHER[kind]
    )
    assert refused == []
    assert len({entry.etag for entry in changed}) == len(changed)
    assert told(await kind.get(zimun, made.id)) == kind.entry(OTHER[kind])


# Seen at once


async def test_the_next_search_sees_every_change(zimun: Zimun) -> None:
    """Each line changes one thing and says which times of a Monday are offered after it."""
    monday = "2025-12-01"
    place = await LOCATION.create(zimun, weekly_hours=weekly("09:00", "12:00"))
    room = await RESOURCE.create(zimun)
    member = await STAFF.create(zimun, weekly_hours=weekly("09:00", "12:00"))
    service = await SERVICE.create(
        zimun,
        duration=hours(1),
        staff_ids=[member.id],
        location_ids=[place.id],
        resource_requirements=[{"resource_ids": [room.id]}],
    )

    async def offered() -> str:
        return " ".join(await times(zimun, service.id, monday))

    assert await offered() == "09:00 10:00 11:00"
    await SERVICE.update(zimun, service.id, slot_step=minutes(30))
    assert await offered() == "09:00 09:30 10:00 10:30 11:00"
    await SERVICE.update(zimun, service.id, duration=hours(2))
    assert await offered() == "09:00 09:30 10:00"
    await STAFF.update(zimun, member.id, weekly_hours=weekly("10:00", "14:00"))
    assert await offered() == "10:00"
    await LOCATION.update(zimun, place.id, weekly_hours=weekly("08:00", "13:00"))
    assert await offered() == "10:00 10:30 11:00"
    await LOCATION.update(zimun, place.id, time_zone="Europe/Berlin")
    assert await offered() == "11:00"
    await STAFF.update(zimun, member.id, time_zone="Europe/Berlin")
    assert await offered() == "10:00 10:30 11:00"
    for kind, entry in ((STAFF, member), (RESOURCE, room), (LOCATION, place), (SERVICE, service)):
        await kind.archive(zimun, entry.id)
        assert await offered() == ""
        await kind.update(zimun, entry.id, active=True)
        assert await offered() == "10:00 10:30 11:00"
    elsewhere = await LOCATION.create(zimun)
    await STAFF.update(zimun, member.id, location_ids=[elsewhere.id])
    assert await offered() == ""
    await STAFF.update(zimun, member.id, ["location_ids"])
    await RESOURCE.update(zimun, room.id, location_id=elsewhere.id)
    assert await offered() == ""
    await SERVICE.update(zimun, service.id, ["resource_requirements"])
    assert await offered() == "10:00 10:30 11:00"
    await SERVICE.update(zimun, service.id, lead_time=days(4))
    assert await offered() == ""
    await SERVICE.update(zimun, service.id, ["lead_time"], horizon=days(3))
    assert await offered() == "10:00 10:30 11:00"
    await SERVICE.update(zimun, service.id, horizon=hours(72))
    assert await offered() == "10:00"


async def test_a_new_service_is_searched_and_held_at_once(zimun: Zimun) -> None:
    member = await STAFF.create(zimun, weekly_hours=weekly("09:00", "10:00"))
    made = await SERVICE.create(zimun, staff_ids=[member.id])
    found = await search(zimun, made.id, "2025-12-01")
    assert [list(slot.staff_ids) for slot in found.slots] == [[member.id]] * 2
    assert (await held(zimun, "2025-12-01T09:00:00Z", made.id)).staff_id == member.id
