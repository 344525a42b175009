"""Entries are archived, keys make mutations happen once, scopes open them."""

from typing import Any

import grpc
import pytest

from zimun.domain.identity import SCOPES
from zimun.rpc import validation
from zimun.v1 import options_pb2

from ..support.rpc import Zimun
from .catalogue import (
    ENTRY_TYPES,
    RESOURCE,
    SERVICE,
    STAFF,
    EntryType,
    Fields,
)
from .catalogue_fields import FULL, each_entry_type, told

# Archiving


@each_entry_type
async def test_what_is_archived_is_only_listed_when_asked_for(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    before = await entry_type.listed(zimun)
    zimun.clock.advance(60)
    archived = await entry_type.archive(zimun, made.id)
    assert not archived.active
    assert told(archived) == told(made)
    assert archived.etag != made.etag
    assert archived.update_time.ToMicroseconds() == zimun.clock.now()
    assert await entry_type.listed(zimun) == [entry for entry in before if entry.id != made.id]
    everything = [archived if entry.id == made.id else entry for entry in before]
    assert await entry_type.listed(zimun, archived=True) == everything
    assert await entry_type.get(zimun, made.id) == archived


@each_entry_type
async def test_archiving_again_changes_nothing(zimun: Zimun, entry_type: EntryType) -> None:
    made = await entry_type.create(zimun)
    archived = await entry_type.archive(zimun, made.id)
    zimun.clock.advance(60)
    assert await entry_type.archive(zimun, made.id) == archived
    assert await entry_type.archive(zimun, made.id, archived.etag) == archived
    assert await entry_type.get(zimun, made.id) == archived


@each_entry_type
async def test_archiving_fits_the_etag_where_it_says_one(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun)
    request = entry_type.request(
        "Archive", **{entry_type.id_field: made.id, "etag": f"{made.etag}0"}
    )
    refused = await entry_type.refused(zimun, "Archive", request)
    assert (refused.reason, refused.info.metadata[entry_type.id_field]) == (
        "ETAG_MISMATCH",
        made.id,
    )
    assert (await entry_type.get(zimun, made.id)).active
    assert not (await entry_type.archive(zimun, made.id, made.etag)).active


@each_entry_type
@pytest.mark.parametrize("mask", [None, ["active"]])
async def test_an_update_brings_back_what_was_archived(
    zimun: Zimun, entry_type: EntryType, mask: list[str] | None
) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    archived = await entry_type.archive(zimun, made.id)
    back = await entry_type.update(zimun, made.id, mask, active=True)
    assert back.active
    assert told(back) == told(made)
    assert len({made.etag, archived.etag, back.etag}) == 3
    assert back in await entry_type.listed(zimun)


@each_entry_type
async def test_an_update_of_what_is_archived_leaves_it_archived(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun)
    await entry_type.archive(zimun, made.id)
    changed = await entry_type.update(zimun, made.id, name="Else")
    assert (changed.name, changed.active) == ("Else", False)


@each_entry_type
async def test_a_masked_active_of_false_archives(zimun: Zimun, entry_type: EntryType) -> None:
    made = await entry_type.create(zimun)
    assert not (await entry_type.update(zimun, made.id, ["active"])).active
    assert made.id not in {entry.id for entry in await entry_type.listed(zimun)}


# Keys


async def mutations(zimun: Zimun, entry_type: EntryType) -> dict[str, tuple[Any, Any, Any]]:
    """For each mutation: a request that only works once, another one, and a refused one."""
    made = await entry_type.create(zimun)
    named = {entry_type.id_field: made.id}
    return {
        "Create": (
            entry_type.creation(),
            entry_type.creation(name="Else"),
            entry_type.creation(name=""),
        ),
        "Update": (
            entry_type.change(made.id, name="Two", etag=made.etag),
            entry_type.change(made.id, name="Three", etag=made.etag),
            entry_type.change(made.id, name="Two", etag="none"),
        ),
        "Archive": (
            entry_type.request("Archive", **named, etag=made.etag),
            entry_type.request("Archive", **named),
            entry_type.request("Archive", **named, etag="none"),
        ),
    }


@each_entry_type
@pytest.mark.parametrize("verb", ["Create", "Update", "Archive"])
async def test_a_key_makes_a_mutation_happen_once(
    zimun: Zimun, entry_type: EntryType, verb: str
) -> None:
    request, other, refused = (await mutations(zimun, entry_type))[verb]
    reason = "INVALID_FIELD" if verb == "Create" else "ETAG_MISMATCH"
    assert (await entry_type.refused(zimun, verb, refused, key="k")).reason == reason
    raw: Any = zimun.channel.unary_unary(entry_type.path(verb))
    sent = request.SerializeToString()
    first = await raw(sent, metadata=zimun.bearer("k"))
    settled = await entry_type.listed(zimun, archived=True)
    zimun.clock.advance(60)
    assert await raw(sent, metadata=zimun.bearer("k")) == first
    assert await entry_type.listed(zimun, archived=True) == settled
    reused = await entry_type.refused(zimun, verb, other, key="k")
    assert reused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (reused.reason, reused.info.metadata["method"]) == (
        "IDEMPOTENCY_KEY_REUSED",
        entry_type.name(verb),
    )
    assert await entry_type.listed(zimun, archived=True) == settled


async def test_the_same_key_of_another_method_is_another_key(zimun: Zimun) -> None:
    made = [await entry_type.create(zimun, key="k") for entry_type in ENTRY_TYPES]
    for entry_type, entry in zip(ENTRY_TYPES, made, strict=True):
        assert await entry_type.get(zimun, entry.id) == entry


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


@each_entry_type
async def test_another_organizations_entries_do_not_exist(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun, id=f"{entry_type.prefix}mine")
    for verb in ("Get", "Update", "Archive"):
        requests = {
            name: entry_type.change(name, name="Theirs")
            if verb == "Update"
            else entry_type.request(verb, **{entry_type.id_field: name})
            for name in (made.id, f"{entry_type.prefix}none")
        }
        foreign, unknown = [
            await entry_type.refused(zimun, verb, request, org_id="o_other")
            for request in requests.values()
        ]
        assert foreign.code is unknown.code is grpc.StatusCode.NOT_FOUND
        assert foreign.reason == unknown.reason
        assert foreign.reason.removesuffix("_NOT_FOUND").lower() + "_id" == entry_type.id_field
        assert foreign.message.replace("mine", "none") == unknown.message
        assert dict(foreign.info.metadata) == {entry_type.id_field: made.id}
    assert await entry_type.listed(zimun, archived=True, org_id="o_other") == []
    assert await entry_type.get(zimun, made.id) == made


@each_entry_type
async def test_two_organizations_may_choose_the_same_id(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun, id=f"{entry_type.prefix}same")
    create = entry_type.method(zimun, "Create")
    theirs = await zimun.call(
        create, entry_type.creation(id=made.id, name="Theirs"), org_id="o_other"
    )
    assert (theirs.id, theirs.name) == (made.id, "Theirs")
    assert await entry_type.get(zimun, made.id) == made


@pytest.mark.parametrize(
    ("entry_type", "fields", "field"),
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
    zimun: Zimun, entry_type: EntryType, fields: Fields, field: str
) -> None:
    refused = await entry_type.refused(
        zimun, "Create", entry_type.creation(**fields), org_id="o_other"
    )
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
