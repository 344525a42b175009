"""Overrides as they are made, listed and deleted."""

import asyncio
from typing import Any

import grpc
import pytest

from zimun.v1 import overrides_service_pb2 as overrides_pb2
from zimun.v1.override_pb2 import Override

from ..support.rpc import Zimun, refusal
from . import stamp
from .calls import TUESDAY
from .catalogue import (
    Fields,
    drop_override,
    override_of,
    put_override,
)

CHRISTMAS = "2025-12-25"
CREATE = "/zimun.v1.OverridesService/CreateOverride"
DELETE = "/zimun.v1.OverridesService/DeleteOverride"


async def listed(zimun: Zimun, org_id: str = "o_demo", **fields: Any) -> list[Override]:
    request = overrides_pb2.ListOverridesRequest(page_size=1000, **fields)
    found = await zimun.call(zimun.overrides.ListOverrides, request, org_id=org_id)
    return list(found.items)


@pytest.mark.parametrize("owner_id", ["o_demo", "l_main", "t_ada"])
async def test_an_override_comes_back_as_it_was_sent(zimun: Zimun, owner_id: str) -> None:
    openings = (("08:15", "09:45"), ("22:00", "24:00"))
    made = await put_override(zimun, owner_id, TUESDAY, *openings, note="Straße gesperrt")
    assert made.id.startswith("v_")
    assert (made.owner_id, made.date, made.note) == (owner_id, TUESDAY, "Straße gesperrt")
    assert made.status == Override.OPEN
    assert [(each.start_time, each.end_time) for each in made.hours] == list(openings)
    assert made.create_time == stamp("2025-11-28T09:00:00Z")
    assert made.etag
    assert await listed(zimun) == [made]


async def test_a_closed_date_has_no_hours(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    assert (made.status, list(made.hours), made.note) == (Override.CLOSED, [], "")


async def test_an_id_is_chosen_and_then_taken(zimun: Zimun) -> None:
    made = await put_override(zimun, "t_ada", TUESDAY, id="v_mine")
    assert made.id == "v_mine"
    again = override_of("t_ben", "2025-12-03", id="v_mine")
    refused = await zimun.refused(zimun.overrides.CreateOverride, again)
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (refused.reason, dict(refused.info.metadata)) == ("ID_TAKEN", {"id": "v_mine"})
    theirs = await zimun.call(
        zimun.overrides.CreateOverride,
        override_of("o_other", TUESDAY, id="v_mine"),
        org_id="o_other",
    )
    assert theirs.id == "v_mine"
    assert await listed(zimun) == [made]


async def test_an_owner_has_one_override_of_a_date(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    again = override_of("l_main", TUESDAY, ("09:00", "10:00"))
    refused = await zimun.refused(zimun.overrides.CreateOverride, again)
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "OVERRIDE_EXISTS"
    assert refused.info.metadata["override_id"] == made.id
    for owner_id, date in (("o_demo", TUESDAY), ("t_ada", TUESDAY), ("l_main", CHRISTMAS)):
        await put_override(zimun, owner_id, date)
    await drop_override(zimun, made.id)
    assert (await put_override(zimun, "l_main", TUESDAY)).id != made.id


async def test_of_many_overrides_of_one_date_one_is_made(zimun: Zimun) -> None:
    ended = await asyncio.gather(
        *(put_override(zimun, "l_main", TUESDAY, note=f"{n}") for n in range(20)),
        return_exceptions=True,
    )
    refused = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    assert [refusal(one).reason for one in refused] == ["OVERRIDE_EXISTS"] * 19
    assert await listed(zimun) == [one for one in ended if isinstance(one, Override)]


async def test_a_deleted_override_is_not_found(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    await drop_override(zimun, made.id)
    assert await listed(zimun) == []
    for override_id in (made.id, "v_none"):
        request = overrides_pb2.DeleteOverrideRequest(override_id=override_id)
        refused = await zimun.refused(zimun.overrides.DeleteOverride, request)
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.reason == "OVERRIDE_NOT_FOUND"
        assert dict(refused.info.metadata) == {"override_id": override_id}


async def test_another_organizations_overrides_do_not_exist(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", TUESDAY)
    request = overrides_pb2.DeleteOverrideRequest(override_id=made.id)
    refused = await zimun.refused(zimun.overrides.DeleteOverride, request, org_id="o_other")
    assert refused.reason == "OVERRIDE_NOT_FOUND"
    assert await listed(zimun, org_id="o_other") == []
    assert await listed(zimun) == [made]


async def test_a_key_makes_one_override(zimun: Zimun) -> None:
    create: Any = zimun.channel.unary_unary(CREATE)
    wrong = override_of("l_none", TUESDAY)
    assert (await zimun.refused(zimun.overrides.CreateOverride, wrong, "k")).fields
    request = override_of("l_main", TUESDAY).SerializeToString()
    first = await create(request, metadata=zimun.bearer("k"))
    assert await create(request, metadata=zimun.bearer("k")) == first
    assert len(await listed(zimun)) == 1
    other = override_of("l_main", CHRISTMAS)
    refused = await zimun.refused(zimun.overrides.CreateOverride, other, "k")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refused.info.metadata["method"] == "CreateOverride"


async def test_a_key_deletes_one_override(zimun: Zimun) -> None:
    delete: Any = zimun.channel.unary_unary(DELETE)
    none = overrides_pb2.DeleteOverrideRequest(override_id="v_none")
    assert (await zimun.refused(zimun.overrides.DeleteOverride, none, "k")).reason
    await put_override(zimun, "l_main", TUESDAY, id="v_1")
    request = overrides_pb2.DeleteOverrideRequest(override_id="v_1").SerializeToString()
    for _ in range(2):
        assert await delete(request, metadata=zimun.bearer("k")) == b""
    await put_override(zimun, "l_main", TUESDAY, id="v_1")
    assert await delete(request, metadata=zimun.bearer("k")) == b""
    assert [each.id for each in await listed(zimun)] == ["v_1"]
    refused = await zimun.refused(zimun.overrides.DeleteOverride, none, "k")
    assert refused.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner_id": ""}, "owner_id"),
        ({"owner_id": "l_none"}, "owner_id"),
        ({"owner_id": "t_none"}, "owner_id"),
        ({"owner_id": "o_other"}, "owner_id"),
        ({"owner_id": "s_123"}, "owner_id"),
        ({"owner_id": "r_studio"}, "owner_id"),
        ({"id": "x_1"}, "id"),
        ({"id": "v 1"}, "id"),
        ({"date": ""}, "date"),
        ({"date": "2025-02-29"}, "date"),
        ({"date": "20251202"}, "date"),
        ({"date": "2025-12-02T00:00:00Z"}, "date"),
        ({"status": "STATUS_UNSPECIFIED"}, "status"),
        ({"status": 7}, "status"),
        ({"status": "CLOSED"}, "hours"),
        ({"hours": []}, "hours"),
        ({"hours": [("09:00", "12:00"), ("11:00", "13:00")]}, "hours"),
        ({"hours": [("09:00", "12:00"), ("09:00", "12:00")]}, "hours"),
        ({"hours": [("12:00", "09:00")]}, "hours"),
        ({"hours": [("09:00", "10:00"), ("11:00", "24:30")]}, "hours[1].end_time"),
        ({"hours": [("9:00", "10:00")]}, "hours[0].start_time"),
        ({"hours": [("", "10:00")]}, "hours[0].start_time"),
        ({"hours": [(f"{n:02}:00", f"{n:02}:30") for n in range(11)]}, "hours"),
        ({"note": "n" * 201}, "note"),
    ],
)
async def test_what_makes_no_override_is_refused_by_its_name(
    zimun: Zimun, fields: Fields, field: str
) -> None:
    said = {"owner_id": "l_main", "date": TUESDAY, "status": "OPEN", **fields}
    openings = said.pop("hours", [("09:00", "10:00")])
    hours = [{"start_time": start, "end_time": end} for start, end in openings]
    request = overrides_pb2.CreateOverrideRequest(override=Override(hours=hours, **said))
    refused = await zimun.refused(zimun.overrides.CreateOverride, request)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, set(refused.fields)) == ("INVALID_FIELD", {field})
    assert await listed(zimun) == []


async def test_a_list_goes_by_date_then_owner(zimun: Zimun) -> None:
    wanted = [
        (date, owner)
        for date in ("2025-12-01", "2025-12-24", "2026-01-01")
        for owner in ("l_main", "o_demo", "t_ada", "t_ben")
    ]
    for date, owner in reversed(wanted):
        await put_override(zimun, owner, date)

    async def found(**fields: str) -> list[tuple[str, str]]:
        return [(each.date, each.owner_id) for each in await listed(zimun, **fields)]

    assert await found() == wanted
    assert await found(owner_id="t_ben") == [each for each in wanted if each[1] == "t_ben"]
    assert await found(start_date="2025-12-24") == wanted[4:]
    assert await found(end_date="2025-12-24") == wanted[:8]
    assert await found(start_date="2025-12-02", end_date="2025-12-31") == wanted[4:8]
    assert await found(owner_id="t_none") == []
    walked: list[tuple[str, str]] = []
    token = ""
    while not walked or token:
        request = overrides_pb2.ListOverridesRequest(
            page_size=3, page_token=token, start_date="2025-12-24"
        )
        page = await zimun.call(zimun.overrides.ListOverrides, request)
        walked += [(each.date, each.owner_id) for each in page.items]
        token = page.next_page_token
    assert walked == wanted[4:]


async def test_a_page_token_belongs_to_its_filters(zimun: Zimun) -> None:
    for date in ("2025-12-01", "2025-12-02", "2025-12-03"):
        await put_override(zimun, "l_main", date)
    request = overrides_pb2.ListOverridesRequest(page_size=1, owner_id="l_main")
    token = (await zimun.call(zimun.overrides.ListOverrides, request)).next_page_token
    others: list[Fields] = [
        {},
        {"owner_id": "t_ada"},
        {"owner_id": "l_main", "end_date": "2025-12-02"},
    ]
    for fields in others:
        other = overrides_pb2.ListOverridesRequest(page_token=token, **fields)
        refused = await zimun.refused(zimun.overrides.ListOverrides, other)
        assert set(refused.fields) == {"page_token"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"page_size": -1}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"start_date": "tomorrow"}, "start_date"),
        ({"end_date": "2025-11-31"}, "end_date"),
        ({"page_token": "x"}, "page_token"),
    ],
)
async def test_a_list_names_its_wrong_field(zimun: Zimun, fields: Fields, field: str) -> None:
    request = overrides_pb2.ListOverridesRequest(**fields)
    refused = await zimun.refused(zimun.overrides.ListOverrides, request)
    assert set(refused.fields) == {field}
