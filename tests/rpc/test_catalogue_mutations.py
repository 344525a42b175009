"""Entries are archived, keys make mutations happen once, scopes open them."""

from typing import Any

import grpc
import pytest

from zimun.domain.identity import SCOPES
from zimun.rpc import validation
from zimun.v1 import options_pb2

from ..support.rpc import Zimun
from .catalogue import (
    KINDS,
    RESOURCE,
    SERVICE,
    STAFF,
    Fields,
    Kind,
)
from .catalogue_fields import FULL, each_kind, told

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
    reason = "INVALID_FIELD" if verb == "Create" else "ETAG_MISMATCH"
    assert (await kind.refused(zimun, verb, refused, key="k")).reason == reason
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
        foreign, unknown = [
            await kind.refused(zimun, verb, request, org_id="o_other")
            for request in requests.values()
        ]
        assert foreign.code is unknown.code is grpc.StatusCode.NOT_FOUND
        assert foreign.reason == unknown.reason
        assert foreign.reason.removesuffix("_NOT_FOUND").lower() + "_id" == kind.id_field
        assert foreign.message.replace("mine", "none") == unknown.message
        assert dict(foreign.info.metadata) == {kind.id_field: made.id}
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
