"""Pages of entries, mutations at one moment, and changes that are seen at once."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

import grpc

from ..support.rpc import Zimun, refusal
from .calls import create_hold, search, times
from .catalogue import (
    ENTRY_TYPES,
    LOCATION,
    RESOURCE,
    SERVICE,
    STAFF,
    EntryType,
    days,
    hours,
    minutes,
    weekly,
)
from .catalogue_fields import FULL, OTHER, each_entry_type, told

# Pages


@each_entry_type
async def test_pages_walk_every_entry_once_oldest_first(
    zimun: Zimun, entry_type: EntryType
) -> None:
    before = [entry.id for entry in await entry_type.listed(zimun)]
    zimun.clock.advance(1)
    made = []
    for n in range(120):
        zimun.clock.advance(1e-6)
        made.append((await entry_type.create(zimun, name=f"{120 - n}")).id)
    for entry_id in made[::10]:
        await entry_type.archive(zimun, entry_id)
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
            request = entry_type.request(
                "List", page_size=size, page_token=token, include_archived=archived
            )
            page = await zimun.call(entry_type.method(zimun, "List"), request)
            pages.append([entry.id for entry in page.items])
            token = page.next_page_token
        assert [entry_id for page in pages for entry_id in page] == expected
        assert {len(page) for page in pages[:-1]} <= {size or 50}


@each_entry_type
async def test_a_page_token_belongs_to_its_question(zimun: Zimun, entry_type: EntryType) -> None:
    for _ in range(2):
        await entry_type.create(zimun)
    page = await zimun.call(
        entry_type.method(zimun, "List"), entry_type.request("List", page_size=1)
    )
    other = ENTRY_TYPES[ENTRY_TYPES.index(entry_type) - 1]
    request = other.request("List", page_token=page.next_page_token)
    assert set((await other.refused(zimun, "List", request)).fields) == {"page_token"}
    mine = entry_type.request("List", page_token=page.next_page_token)
    refused = await entry_type.refused(zimun, "List", mine, org_id="o_other")
    assert set(refused.fields) == {"page_token"}


# At the same time


async def outcomes(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], list[str]]:
    """The answers, and the reasons of the refusals."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, grpc.aio.AioRpcError)]
    reasons = [refusal(one).reason for one in refused]
    return [one for one in ended if not isinstance(one, BaseException)], reasons


@each_entry_type
async def test_of_many_who_choose_one_id_one_gets_it(zimun: Zimun, entry_type: EntryType) -> None:
    chosen = f"{entry_type.prefix}one"
    made, refused = await outcomes(
        entry_type.create(zimun, id=chosen, name=f"{n}") for n in range(20)
    )
    assert made == [await entry_type.get(zimun, chosen)]
    assert refused == ["ID_TAKEN"] * 19


@each_entry_type
async def test_of_many_changes_of_one_etag_one_is_made(zimun: Zimun, entry_type: EntryType) -> None:
    first = await entry_type.create(zimun)
    changed, refused = await outcomes(
        entry_type.update(zimun, first.id, name=f"{n}", etag=first.etag) for n in range(20)
    )
    assert changed == [await entry_type.get(zimun, first.id)]
    assert refused == ["ETAG_MISMATCH"] * 19


@each_entry_type
async def test_changes_of_different_fields_do_not_undo_each_other(
    zimun: Zimun, entry_type: EntryType
) -> None:
    made = await entry_type.create(zimun, **FULL[entry_type])
    changed, refused = await outcomes(
        entry_type.update(zimun, made.id, [field], **OTHER[entry_type])
        for field in OTHER[entry_type]
    )
    assert refused == []
    assert len({entry.etag for entry in changed}) == len(changed)
    assert told(await entry_type.get(zimun, made.id)) == entry_type.entry(OTHER[entry_type])


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
    for entry_type, entry in (
        (STAFF, member),
        (RESOURCE, room),
        (LOCATION, place),
        (SERVICE, service),
    ):
        await entry_type.archive(zimun, entry.id)
        assert await offered() == ""
        await entry_type.update(zimun, entry.id, active=True)
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
    assert (await create_hold(zimun, "2025-12-01T09:00:00Z", made.id)).staff_id == member.id
