"""Entries of the catalogue are created and changed, of every type alike."""

import grpc
import pytest
from google.api import field_behavior_pb2

from ..support.rpc import Zimun
from . import stamp
from .catalogue import (
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    EntryType,
    days,
    hours,
    minutes,
    update_organization,
)
from .catalogue_fields import EMPTIED, FULL, GIVEN, OTHER, each_entry_type, told


@each_entry_type
def test_the_tables_here_say_every_field(entry_type: EntryType) -> None:
    names = {field.name for field in entry_type.message.DESCRIPTOR.fields} - set(GIVEN)
    assert set(FULL[entry_type]) == set(OTHER[entry_type]) == names


# Creating


@each_entry_type
async def test_every_field_comes_back_as_it_was_sent(zimun: Zimun, entry_type: EntryType) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    assert told(made) == entry_type.entry(FULL[entry_type])
    assert made.active
    assert made.create_time == made.update_time == stamp("2025-11-28T09:00:00Z")
    assert made.etag
    assert await entry_type.get(zimun, made.id) == made
    assert made in await entry_type.listed(zimun)


@each_entry_type
async def test_an_id_is_chosen_or_given(zimun: Zimun, entry_type: EntryType) -> None:
    chosen = f"{entry_type.prefix}Chosen-by_me"
    assert (await entry_type.create(zimun, id=chosen)).id == chosen
    given = [(await entry_type.create(zimun)).id for _ in range(2)]
    assert len(set(given)) == 2
    assert all(one.startswith(entry_type.prefix) and 2 < len(one) <= 64 for one in given)


@each_entry_type
@pytest.mark.parametrize("id", ["x_1", "1", "{}a b", "{}ü", "{}" + "n" * 63])
async def test_a_chosen_id_has_its_prefix_and_its_form(
    zimun: Zimun, entry_type: EntryType, id: str
) -> None:
    refused = await entry_type.refused(
        zimun, "Create", entry_type.creation(id=id.format(entry_type.prefix))
    )
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"id"})


@each_entry_type
async def test_a_chosen_id_is_more_than_its_prefix(zimun: Zimun, entry_type: EntryType) -> None:
    refused = await entry_type.refused(zimun, "Create", entry_type.creation(id=entry_type.prefix))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"id"})


@each_entry_type
async def test_the_longest_id_has_sixty_four_characters(
    zimun: Zimun, entry_type: EntryType
) -> None:
    longest = entry_type.prefix + "n" * 62
    assert (await entry_type.create(zimun, id=longest)).id == longest
    assert (await entry_type.get(zimun, longest)).id == longest


@each_entry_type
@pytest.mark.parametrize("archived", [False, True])
async def test_an_id_in_use_is_refused(zimun: Zimun, entry_type: EntryType, archived: bool) -> None:
    first = await entry_type.create(zimun, id=f"{entry_type.prefix}1")
    if archived:
        first = await entry_type.archive(zimun, first.id)
    refused = await entry_type.refused(
        zimun, "Create", entry_type.creation(id=first.id, name="Second")
    )
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (refused.reason, dict(refused.info.metadata)) == ("ID_TAKEN", {"id": first.id})
    assert await entry_type.get(zimun, first.id) == first


@each_entry_type
async def test_a_creator_says_nothing_of_what_only_answers_carry(
    zimun: Zimun, entry_type: EntryType
) -> None:
    said = stamp("2001-01-01T00:00:00Z")
    made = await entry_type.create(
        zimun, active=False, create_time=said, update_time=said, etag="mine"
    )
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
    await update_organization(zimun, service_defaults=defaults)
    made = await SERVICE.create(zimun)
    assert {name: getattr(made, name) for name in defaults} == defaults
    said = await SERVICE.create(zimun, slot_step=minutes(10), lead_time=minutes(0))
    assert (said.slot_step, said.lead_time) == (minutes(10), minutes(0))
    assert said.horizon == days(14)
    assert await SERVICE.get(zimun, old.id) == old


@pytest.mark.parametrize("entry_type", [LOCATION, STAFF], ids=str)
async def test_a_new_entry_has_the_organizations_time_zone(
    zimun: Zimun, entry_type: EntryType
) -> None:
    assert (await entry_type.create(zimun)).time_zone == "UTC"
    await update_organization(zimun, time_zone="Asia/Tokyo")
    made = await entry_type.create(zimun)
    assert made.time_zone == "Asia/Tokyo"
    await update_organization(zimun, time_zone="Asia/Seoul")
    assert await entry_type.get(zimun, made.id) == made


@pytest.mark.parametrize("entry_type", [LOCATION, STAFF, RESOURCE], ids=str)
async def test_fields_that_are_not_sent_are_empty(zimun: Zimun, entry_type: EntryType) -> None:
    made = told(await entry_type.create(zimun))
    if entry_type is not RESOURCE:
        made.ClearField("time_zone")
    assert made == entry_type.entry({"name": "New"})


# Changing


@each_entry_type
async def test_a_mask_changes_the_field_it_names_and_no_other(
    zimun: Zimun, entry_type: EntryType
) -> None:
    before = await entry_type.create(zimun, **FULL[entry_type])
    for field, value in OTHER[entry_type].items():
        zimun.clock.advance(1)
        after = await entry_type.update(zimun, before.id, [field], **OTHER[entry_type])
        expected = told(before)
        expected.ClearField(field)
        expected.MergeFrom(entry_type.entry({field: value}))
        assert told(after) == expected, field
        assert (after.id, after.active, after.create_time) == (before.id, True, before.create_time)
        assert after.update_time.ToMicroseconds() == zimun.clock.now()
        assert after.etag != before.etag
        assert await entry_type.get(zimun, before.id) == after
        before = after
    assert told(before) == entry_type.entry(OTHER[entry_type])


@each_entry_type
async def test_a_star_changes_every_field_but_active(zimun: Zimun, entry_type: EntryType) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    await entry_type.archive(zimun, made.id)
    changed = await entry_type.update(zimun, made.id, ["*"], **OTHER[entry_type], active=True)
    assert told(changed) == entry_type.entry(OTHER[entry_type])
    assert not changed.active
    await entry_type.update(zimun, made.id, active=True)
    changed = await entry_type.update(zimun, made.id, ["*"], **FULL[entry_type])
    assert told(changed) == entry_type.entry(FULL[entry_type])
    assert changed.active


@each_entry_type
async def test_without_a_mask_the_fields_that_are_set_change(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    changed = await entry_type.update(zimun, made.id, name="Else", metadata={"a": "1"})
    expected = told(made)
    expected.name = "Else"
    expected.metadata.clear()
    expected.metadata["a"] = "1"
    assert told(changed) == expected
    assert changed.active


@each_entry_type
async def test_a_masked_field_that_is_empty_is_emptied(zimun: Zimun, entry_type: EntryType) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    changed = made
    for field in EMPTIED[entry_type]:
        changed = await entry_type.update(zimun, made.id, [field])
        assert (field, getattr(changed, field)) == (field, getattr(entry_type.message(), field))
        assert not (field == "price" and changed.HasField("price"))
    assert await entry_type.get(zimun, made.id) == changed
    assert int(changed.etag) == int(made.etag) + len(EMPTIED[entry_type])


@pytest.mark.parametrize("field", ["capacity", "name", "duration", "slot_step", "horizon"])
async def test_a_masked_field_that_must_not_be_empty_is_refused(zimun: Zimun, field: str) -> None:
    made = await SERVICE.create(zimun, **FULL[SERVICE])
    refused = await SERVICE.refused(zimun, "Update", SERVICE.change(made.id, [field]))
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await SERVICE.get(zimun, made.id) == made


@each_entry_type
@pytest.mark.parametrize("mask", [["*"], None, ["name", "metadata"]], ids=["all", "none", "some"])
async def test_an_update_that_changes_nothing_makes_no_new_etag(
    zimun: Zimun, entry_type: EntryType, mask: list[str] | None
) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    zimun.clock.advance(60)
    assert await entry_type.update(zimun, made.id, mask, **FULL[entry_type]) == made
    zimun.stores.reader.forget()
    assert await entry_type.update(zimun, made.id, mask, **FULL[entry_type], etag=made.etag) == made
    assert await entry_type.get(zimun, made.id) == made
    change = entry_type.change(made.id, mask, **FULL[entry_type], etag="9")
    assert (await entry_type.refused(zimun, "Update", change)).reason == "ETAG_MISMATCH"


async def test_without_a_mask_a_length_of_nothing_is_set(zimun: Zimun) -> None:
    made = await SERVICE.create(zimun, buffer_after=minutes(10))
    changed = await SERVICE.update(zimun, made.id, buffer_after=minutes(0))
    assert changed.buffer_after == minutes(0)


@each_entry_type
@pytest.mark.parametrize("mask", [["name", "no_such"], ["nam"], ["name.first"], ["Name"]])
async def test_a_mask_names_fields_that_there_are(
    zimun: Zimun, entry_type: EntryType, mask: list[str]
) -> None:
    made = await entry_type.create(zimun)
    refused = await entry_type.refused(
        zimun, "Update", entry_type.change(made.id, mask, name="Else")
    )
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"update_mask"})
    assert await entry_type.get(zimun, made.id) == made


@each_entry_type
def test_the_contract_marks_what_only_answers_carry(entry_type: EntryType) -> None:
    behaviours = {
        field.name: field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        for field in entry_type.message.DESCRIPTOR.fields
    }
    output = {name for name, them in behaviours.items() if field_behavior_pb2.OUTPUT_ONLY in them}
    assert output == {"create_time", "update_time"}


@each_entry_type
@pytest.mark.parametrize("field", ["create_time", "update_time"])
async def test_a_mask_names_nothing_that_only_answers_carry(
    zimun: Zimun, entry_type: EntryType, field: str
) -> None:
    made = await entry_type.create(zimun)
    change = entry_type.change(made.id, ["name", field], name="Else")
    refused = await entry_type.refused(zimun, "Update", change)
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {"update_mask"})
    assert await entry_type.get(zimun, made.id) == made


@each_entry_type
async def test_an_update_fits_the_etag_where_it_says_one(
    zimun: Zimun, entry_type: EntryType
) -> None:
    first = await entry_type.create(zimun)
    second = await entry_type.update(zimun, first.id, name="Two", etag=first.etag)
    refused = await entry_type.refused(
        zimun, "Update", entry_type.change(first.id, name="Three", etag=first.etag)
    )
    assert refused.code is grpc.StatusCode.ABORTED
    assert refused.reason == "ETAG_MISMATCH"
    assert dict(refused.info.metadata) == {entry_type.id_field: first.id}
    assert await entry_type.get(zimun, first.id) == second
    assert (await entry_type.update(zimun, first.id, ["name"], name="Three")).name == "Three"
