"""Overrides of several dates."""

import grpc
import pytest

from zimun.v1 import overrides_service_pb2 as overrides_pb2

from ..support.rpc import Zimun
from .calls import search, times
from .catalogue import drop_override, override_of, put_override

FIRST, MIDDLE, LAST, AFTER = (f"2025-12-0{n}" for n in (2, 3, 4, 5))


async def listed(zimun: Zimun, **fields: str) -> list[str]:
    request = overrides_pb2.ListOverridesRequest(page_size=1000, **fields)
    found = await zimun.call(zimun.overrides.ListOverrides, request)
    return [one.id for one in found.items]


async def test_each_of_its_dates_is_like_the_override_until_it_is_deleted(zimun: Zimun) -> None:
    made = await put_override(
        zimun, "l_main", FIRST, ("10:00", "11:00"), last_date=LAST, note="Short"
    )
    assert (made.date, made.last_date) == (FIRST, LAST)
    for day in (FIRST, MIDDLE, LAST):
        assert await times(zimun, "s_123", day) == ["10:00", "10:30"]
        assert (await search(zimun, "s_123", day)).days[0].note == "Short"
    assert len(await times(zimun, "s_123", AFTER)) > 2
    assert await listed(zimun) == [made.id]
    await drop_override(zimun, made.id)
    assert len(await times(zimun, "s_123", MIDDLE)) > 2
    assert await listed(zimun) == []


async def test_a_single_date_has_no_last_date(zimun: Zimun) -> None:
    assert (await put_override(zimun, "l_main", FIRST)).last_date == ""
    assert (await put_override(zimun, "t_ada", FIRST, last_date=FIRST)).last_date == ""


@pytest.mark.parametrize(
    ("first", "last"), [(FIRST, MIDDLE), (MIDDLE, ""), (LAST, AFTER), ("2025-11-30", "2025-12-20")]
)
async def test_an_owner_has_one_override_of_each_date(zimun: Zimun, first: str, last: str) -> None:
    made = await put_override(zimun, "l_main", FIRST, last_date=LAST)
    again = override_of("l_main", first, last_date=last)
    refused = await zimun.refused(zimun.overrides.CreateOverride, again)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "OVERRIDE_EXISTS",
    )
    assert refused.info.metadata["override_id"] == made.id
    assert refused.info.metadata["date"] == max(first, FIRST)
    await put_override(zimun, "t_ada", first, last_date=last)
    await put_override(zimun, "l_main", AFTER)


async def test_a_list_of_dates_has_what_shares_one_of_them(zimun: Zimun) -> None:
    made = await put_override(zimun, "l_main", FIRST, last_date=LAST)
    for first, last, expected in (
        (MIDDLE, MIDDLE, [made.id]),
        (LAST, "", [made.id]),
        (AFTER, "", []),
        ("", FIRST, [made.id]),
        ("", "2025-12-01", []),
    ):
        assert await listed(zimun, start_date=first, end_date=last) == expected


@pytest.mark.parametrize("last", ["2025-12-01", "2026-12-03", "soon"])
async def test_a_last_date_that_makes_no_dates_is_refused(zimun: Zimun, last: str) -> None:
    request = override_of("l_main", FIRST, last_date=last)
    refused = await zimun.refused(zimun.overrides.CreateOverride, request)
    assert list(refused.fields) == ["last_date"]
