"""Overrides of several dates in the file of a catalogue."""

import pytest

from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader
from zimun.catalog_file.reader import CatalogFileError, LoadCatalog

from .booking_client import BookingClient
from .sample_catalog import ORG

LONG = "id: v_1, owner_id: t_ada, date: 2026-03-02, last_date: 2026-03-06, status: CLOSED"


async def load(client: BookingClient, *said: str) -> Counts:
    text = "overrides:\n" + "".join(f"- {{{one}}}\n" for one in said)
    command = LoadCatalog(reader.read("salon.yaml", text.encode(), ORG))
    counts: Counts = await client.stores.writer.run(ORG, command)
    return counts


async def days(client: BookingClient) -> list[int]:
    return [day.day for _, day in (await client.stores.reader.catalog(ORG)).overrides]


async def test_an_override_of_several_dates_is_read_and_changed(client: BookingClient) -> None:
    assert await load(client, LONG) == Counts(1, 0, 0)
    assert await days(client) == [2, 3, 4, 5, 6]
    assert await load(client, LONG) == Counts(0, 0, 1)
    assert await load(client, LONG.replace("03-06", "03-03")) == Counts(0, 1, 0)
    assert await days(client) == [2, 3]
    assert await load(client, LONG.replace("03-02", "03-04")) == Counts(0, 1, 0)
    assert await days(client) == [4, 5, 6]


async def test_dates_replace_an_override_that_began_with_the_first_of_them(
    client: BookingClient,
) -> None:
    await load(client, LONG)
    dates = [f"owner_id: t_ada, date: 2026-03-0{day}, status: CLOSED" for day in (2, 4)]
    assert await load(client, *dates) == Counts(1, 1, 0)
    assert await days(client) == [2, 4]
    assert await load(client, *dates) == Counts(0, 0, 2)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (
            "owner_id: t_ada, date: 2026-03-06, status: CLOSED",
            "2: overrides[0].date: 2026-03-06 of t_ada is in the override v_1, too",
        ),
        (
            "owner_id: t_ada, date: 2026-03-02, last_date: 2026-03-01, status: CLOSED",
            "2: overrides[0].last_date: must make 1 to 366 dates",
        ),
        (
            f"{LONG}}}\n- {{owner_id: t_ada, date: 2026-03-01, last_date: 2026-03-02",
            "3: overrides[1].date: 2026-03-02 of t_ada is in overrides[0].date, too",
        ),
    ],
)
async def test_dates_of_an_owner_that_are_said_twice_are_told(
    client: BookingClient, said: str, fault: str
) -> None:
    await load(client, LONG)
    with pytest.raises(CatalogFileError) as wrong:
        await load(client, said)
    assert f"salon.yaml:{fault}" in str(wrong.value)
    assert await days(client) == [2, 3, 4, 5, 6]
