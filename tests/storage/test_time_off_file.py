"""Time off in the file of a catalogue."""

from dataclasses import replace

import pytest

from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader, writer
from zimun.catalog_file.reader import CatalogFileError, LoadCatalog
from zimun.clock import ManualClock
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.instant import DAY, HOUR, rfc3339
from zimun.stores import Stores

from .booking_client import BookingClient
from .sample_catalog import NOW, ORG, at

START, END = rfc3339(NOW + DAY), rfc3339(NOW + DAY + HOUR)
ADA = f"owner_id: t_ada, start_time: {START}, end_time: {END}"


async def load(stores: Stores, *said: str, allow_conflicts: bool = False) -> Counts:
    text = "time_off:\n" + "".join(f"- {{{one}}}\n" for one in said)
    command = LoadCatalog(reader.read("salon.yaml", text.encode(), ORG), allow_conflicts)
    counts: Counts = await stores.writer.run(ORG, command)
    return counts


async def kept(stores: Stores) -> dict[str, TimeOff]:
    return dict((await stores.reader.catalog(ORG)).time_off)


async def test_time_off_is_read_and_written(client: BookingClient) -> None:
    stores = client.stores
    said = f"id: f_1, {ADA}, note: Training, external_reference: hr/7"
    assert await load(stores, said) == Counts(1, 0, 0)
    found = await kept(stores)
    made = NOW + 1
    expected = TimeOff(
        id="f_1",
        owner_id="t_ada",
        start=NOW + DAY,
        end=NOW + DAY + HOUR,
        note="Training",
        external_reference="hr/7",
        create_time=made,
        update_time=made,
    )
    assert found == {"f_1": expected}
    written = writer.write(await stores.reader.catalog(ORG))
    section = written[written.index("time_off:") :].replace("'", "")
    assert section == (
        "time_off:\n- id: f_1\n  owner_id: t_ada\n"
        f"  start_time: {START}\n  end_time: {END}\n"
        "  note: Training\n  external_reference: hr/7\n"
    )


async def test_time_off_that_recurs_is_read_and_written(client: BookingClient) -> None:
    stores = client.stores
    said = f"id: f_1, {ADA}, recurrence: FREQ=DAILY;COUNT=2"
    assert await load(stores, said) == Counts(1, 0, 0)
    found = (await kept(stores))["f_1"]
    assert found.time_zone == (await stores.reader.catalog(ORG)).staff["t_ada"].time_zone
    assert found.occurrences[0] == (NOW + DAY, NOW + DAY + HOUR)
    assert len(found.occurrences) == 2
    written = writer.write(await stores.reader.catalog(ORG))
    assert "recurrence: FREQ=DAILY;COUNT=2" in written
    assert await load(stores, said) == Counts(0, 0, 1)


async def test_time_off_without_an_id_is_that_of_its_owner_and_time(
    client: BookingClient, clock: ManualClock
) -> None:
    stores = client.stores
    await load(stores, ADA)
    [first] = (await kept(stores)).values()
    assert first.id.startswith("f_")
    assert await load(stores, ADA) == Counts(0, 0, 1)
    clock.instant = NOW + HOUR
    assert await load(stores, f"{ADA}, note: Ill") == Counts(0, 1, 0)
    [changed] = (await kept(stores)).values()
    assert changed == replace(first, note="Ill", update_time=NOW + HOUR, revision=2)
    other = f"owner_id: {ORG}, start_time: {START}, end_time: {END}"
    assert await load(stores, other, f"id: {first.id}, {ADA}, note: Ill") == Counts(1, 0, 1)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("owner_id: t_ada", "time_off[0].start_time: is required"),
        (f"{ADA}, recurrence: FREQ=DAILY", "time_off[0].recurrence: must have either"),
        (
            f"{ADA}, id: v_1",
            "time_off[0].id: must be f_ and 1 to 62 characters of A-Z, a-z, 0-9, _ and -",
        ),
        (f"{ADA}, etag: 1", "time_off[0].etag: is not a field that a TimeOff has in a file"),
        (f"{ADA}, conflicts: {{}}", "time_off[0].conflicts: is not a field"),
        (
            f"owner_id: t_none, start_time: {START}, end_time: {END}",
            "time_off[0].owner_id: t_none is no organization, location, staff member or resource",
        ),
        (
            f"owner_id: t_ada, start_time: {END}, end_time: {START}",
            "time_off[0].end_time: must be later than start_time",
        ),
        (
            f"owner_id: t_ada, start_time: 2026-01-01, end_time: {END}",
            "time_off[0].start_time: must be a time such as 2026-02-20T10:00:00Z",
        ),
        (f'{ADA}, note: "a\\nb"', "time_off[0].note: must"),
    ],
)
async def test_what_is_wrong_with_time_off_is_told_with_its_line(
    client: BookingClient, said: str, fault: str
) -> None:
    with pytest.raises(CatalogFileError) as wrong:
        await load(client.stores, said)
    assert f"salon.yaml:2: {fault}" in str(wrong.value)
    assert await kept(client.stores) == {}


async def test_an_import_of_time_off_that_meets_bookings_is_refused_unless_allowed(
    client: BookingClient,
) -> None:
    stores = client.stores
    held = await client.hold(at(25))
    start, end = rfc3339(held.start - HOUR), rfc3339(held.end)
    said = f"owner_id: {held.staff_id}, start_time: {start}, end_time: {end}"
    with pytest.raises(CatalogFileError) as refused:
        await load(stores, said)
    assert str(refused.value) == (
        "salon.yaml:2: time_off[0]: overlaps 1 appointments and holds; --allow-conflicts imports it"
    )
    assert await kept(stores) == {}
    assert await load(stores, said, allow_conflicts=True) == Counts(1, 0, 0)
    assert await load(stores, said) == Counts(0, 0, 1)
