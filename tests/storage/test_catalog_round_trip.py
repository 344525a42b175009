"""Any sound catalogue: written to a file, read into an empty store, it is the same one."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import yaml
from hypothesis import given
from hypothesis import strategies as st

from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader, writer
from zimun.catalog_file.reader import LoadCatalog
from zimun.clock import ManualClock
from zimun.domain import catalog_validation
from zimun.domain.availability.assignment import assign
from zimun.domain.catalog.booking_limit import BookingLimit, LimitPeriod, LimitSubject
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import (
    Entry,
    Location,
    McpAccess,
    Organization,
    Override,
    Resource,
    Service,
    ServiceDefaults,
    SlotAlignment,
    StaffMember,
)
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.catalog.weekly_hours import WeeklyHoursPeriod
from zimun.domain.instant import DAY, MINUTE, from_datetime
from zimun.domain.ledger.events import CatalogEntry, CatalogValue
from zimun.domain.text import is_visible
from zimun.stores import Stores

from ..support.profiles import examples
from .engines import Engine, SqliteEngine
from .sample_catalog import NOW, put_catalog

V = TypeVar("V", bound=Entry | Override | TimeOff)

Build = Callable[..., st.SearchStrategy[CatalogEntry]]

ORG = "o_any"

FIRST, LAST = (from_datetime(datetime(year, 1, 1, tzinfo=UTC)) for year in (1971, 9990))

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])

ENDS = "\n\r\t\u2028\u2029"
"""What texts of several lines have besides."""

ODD = "\xa0\ufeff'\"\\#:-?[]{}&*!|>%@`,~<=0x.🐎ñ "
"""What YAML has its own ideas about."""

REFUSED = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def texts(most: int, ends: str = ENDS) -> st.SearchStrategy[str]:
    some = st.characters(
        codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs"), exclude_characters=REFUSED
    )
    return st.one_of(
        st.text(st.one_of(st.sampled_from(list(ODD + ends)), some), max_size=min(most, 60)),
        st.sampled_from(["no", "null", "17:00", "2026-12-24", "1e3", "0x1F", "<<", "---"]),
        st.text(st.sampled_from("ab " + ends), max_size=most),
    )


NAMES = texts(200, ends="").filter(is_visible)
NOTES = st.just("") | NAMES
METADATA = st.dictionaries(texts(64, ends=""), texts(1000), max_size=3)


def lengths(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least // MINUTE, most // MINUTE).map(lambda minutes: minutes * MINUTE)


def length_of(field: str) -> st.SearchStrategy[int]:
    least = MINUTE if field in catalog_validation.POSITIVE else 0
    most = catalog_validation.MAX_LENGTHS[field]
    return st.one_of(lengths(least, most), lengths(least, min(most, DAY)))


@st.composite
def hours(draw: st.DrawFn, least: int = 0) -> tuple[tuple[int, int], ...]:
    times = draw(st.lists(st.integers(0, 1440), min_size=2 * least, max_size=6, unique=True))
    ends = sorted(times[: len(times) // 2 * 2])
    return tuple(zip(ends[::2], ends[1::2], strict=True))


@st.composite
def weeks(draw: st.DrawFn) -> dict[int, tuple[tuple[int, int], ...]]:
    found = draw(st.dictionaries(st.integers(0, 6), hours(least=1), max_size=4))
    return {day: found[day] for day in sorted(found)}


def periods() -> st.SearchStrategy[tuple[WeeklyHoursPeriod, ...]]:
    period = st.builds(
        WeeklyHoursPeriod,
        valid_from=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
        weekly_hours=weeks(),
    )
    return st.lists(period, max_size=3, unique_by=lambda one: one.valid_from).map(tuple)


def some(ids: Iterable[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    known = sorted(ids)
    if not known:
        return st.just(())
    return st.lists(st.sampled_from(known), min_size=least, max_size=4, unique=True).map(tuple)


def ids(prefix: str) -> st.SearchStrategy[list[str]]:
    suffixes = st.text("abcXYZ019_-", min_size=1, max_size=5)
    return st.lists(suffixes.map(lambda end: f"{prefix}_{end}"), max_size=3, unique=True)


def within_the_horizon(own: ServiceDefaults) -> bool:
    lead_time, horizon = own.lead_time, own.horizon
    return lead_time is None or horizon is None or lead_time <= horizon


DEFAULTS: st.SearchStrategy[ServiceDefaults] = st.builds(
    ServiceDefaults,
    **{
        field: st.none() | length_of(field)
        for field in ("slot_step", "lead_time", "horizon", "cancellation_cutoff")
    },
).filter(within_the_horizon)

LIMITS = st.lists(
    st.builds(
        BookingLimit,
        max_bookings=st.integers(1, catalog_validation.MAX_BOOKINGS),
        period=st.sampled_from(LimitPeriod),
        per=st.sampled_from(LimitSubject),
    ),
    max_size=3,
    unique_by=lambda limit: (limit.period, limit.per),
).map(tuple)

CATEGORIES = st.lists(st.sampled_from(["public", "catholic"]), unique=True).map(tuple)
"""Categories of holidays that Germany has."""

ORGANIZATIONS = st.builds(
    Organization,
    id=st.just(ORG),
    name=NAMES,
    metadata=METADATA,
    time_zone=ZONES,
    holiday_region=st.sampled_from(["DE-BY", "DE"]),
    holiday_categories=CATEGORIES,
    weekly_hours=weeks(),
    weekly_hours_periods=periods(),
    hold_length=lengths(MINUTE, catalog_validation.MAX_HOLD_LENGTH),
    service_defaults=DEFAULTS,
    booking_limits=LIMITS,
    mcp_access=st.sampled_from(McpAccess),
)


@st.composite
def services(draw: st.DrawFn, service_id: str, known: Mapping[str, list[str]]) -> Service:
    own: dict[str, Any] = {
        field: draw(length_of(field)) for field in catalog_validation.MAX_LENGTHS
    }
    own["horizon"] = max(own["horizon"], own["lead_time"])
    options = draw(st.lists(length_of("duration"), max_size=3, unique=True))
    needs = st.lists(some(known["r"], 1), max_size=3) if known["r"] else st.just([])
    money: dict[str, st.SearchStrategy[str | int]] = {
        "currency_code": st.sampled_from(["EUR", "JPY"]),
        "units": st.integers(0, 2**62),
        "nanos": st.integers(0, 999_999_999),
    }
    return Service(
        id=service_id,
        name=draw(NAMES),
        active=draw(st.booleans()),
        metadata=draw(METADATA),
        description=draw(texts(2000)),
        **own,
        duration_options=tuple(one for one in options if one != own["duration"]),
        slot_alignment=draw(st.sampled_from(SlotAlignment)),
        capacity=draw(st.integers(1, catalog_validation.MAX_SEATS)),
        price=draw(st.none() | st.fixed_dictionaries(money)),
        staff_ids=draw(some(known["t"])),
        location_ids=draw(some(known["l"])),
        resource_requirements=tuple(draw(needs)),
        booking_limits=draw(LIMITS),
        weekly_hours=draw(weeks()),
        weekly_hours_periods=draw(periods()),
    )


def met(service: Service) -> Service:
    """The service without its requirements where they can never be met together."""
    can = assign(service, {*service.resource_ids}) is not None
    return service if can else replace(service, resource_requirements=())


@dataclass(frozen=True)
class Said:
    """A catalogue, its entries in order of creation."""

    organization: Organization
    entries: list[CatalogEntry]
    overrides: list[Override]
    time_off: list[TimeOff]

    def values(self) -> list[CatalogValue]:
        """What is to be put, with when it was made."""
        # Some of them made at once: then they are listed by their ids.
        entries = [
            replace(entry, create_time=NOW + n // 2, revision=n + 1)
            for n, entry in enumerate(self.entries)
        ]
        overrides = [
            replace(override, create_time=NOW + n // 2) for n, override in enumerate(self.overrides)
        ]
        time_off = [
            replace(one, create_time=NOW + n // 2, revision=n + 1)
            for n, one in enumerate(self.time_off)
        ]
        return [self.organization, *entries, *overrides, *time_off]


@st.composite
def catalogues(draw: st.DrawFn) -> Said:
    known = {prefix: draw(ids(prefix)) for prefix in "ltrsvf"}
    common: dict[str, Any] = {"name": NAMES, "active": st.booleans(), "metadata": METADATA}
    hours_of: dict[str, Any] = {
        "time_zone": ZONES,
        "weekly_hours": weeks(),
        "weekly_hours_periods": periods(),
    }
    holidays: dict[str, Any] = draw(
        st.sampled_from(
            [{}, {"holiday_region": st.just("DE-BY"), "holiday_categories": CATEGORIES}]
        )
    )
    places: Build = partial(
        st.builds, Location, address=texts(500), **common, **hours_of, **holidays
    )
    people: Build = partial(
        st.builds,
        StaffMember,
        daily_limit=st.integers(0, 2**31 - 1),
        location_ids=some(known["l"]),
        **common,
        **hours_of,
    )
    where = st.sampled_from(["", *known["l"]])
    things: Build = partial(st.builds, Resource, location_id=where, **common)
    entries: list[CatalogEntry] = []
    for prefix, build in (("l", places), ("t", people), ("r", things)):
        entries += [draw(build(id=st.just(one))) for one in known[prefix]]
    # Their staff and resources may be elsewhere, as they may have moved since.
    entries += [met(draw(services(one, known))) for one in known["s"]]
    owners = [ORG, *known["l"], *known["t"]]
    dates = st.dates(date(1971, 1, 1), date(9997, 12, 25))
    keys = st.tuples(st.sampled_from(owners), dates)
    chosen = draw(st.lists(keys, min_size=len(known["v"]), max_size=len(known["v"]), unique=True))
    overrides = [
        Override(id=one, owner_id=owner, date=day, hours=draw(hours()), note=draw(NOTES))
        for one, (owner, day) in zip(known["v"], chosen, strict=True)
    ]
    if len(overrides) == 1:
        last = overrides[0].date + timedelta(days=draw(st.integers(1, 5)))
        overrides = [replace(overrides[0], last=last)]
    off = partial(
        st.builds,
        TimeOff,
        owner_id=st.sampled_from([*owners, *known["r"]]),
        start=st.integers(FIRST, LAST),
        note=NOTES,
        external_reference=NOTES,
    )
    lengths = st.integers(1, catalog_validation.MAX_TIME_OFF)
    time_off = [
        replace(one, end=one.start + draw(lengths))
        for one in [draw(off(id=st.just(one), end=st.just(0))) for one in known["f"]]
    ]
    return Said(draw(ORGANIZATIONS), draw(st.permutations(entries)), overrides, time_off)


def timeless(kept: V) -> V:
    """What of an entry a file says."""
    if isinstance(kept, Override):
        return replace(kept, create_time=0, revision=1)
    return replace(kept, create_time=0, update_time=0, revision=1)


def content(catalog: Catalog) -> list[object]:
    """Everything that a catalogue says, listed as it is listed."""
    kinds = (Location, StaffMember, Resource, Service)
    listed = [timeless(one) for kind in kinds for one in catalog.listed(kind, archived=True)]
    overrides = {key: timeless(one) for key, one in catalog.overrides.items()}
    time_off = {key: timeless(one) for key, one in catalog.time_off.items()}
    return [timeless(catalog.organization), listed, overrides, time_off]


async def read(stores: Stores) -> tuple[Catalog, str]:
    """The catalogue, and the file of it."""
    catalog = await stores.reader.catalog(ORG)
    return catalog, writer.write(catalog)


async def load(stores: Stores, text: str) -> Counts:
    command = LoadCatalog(reader.read("any.yaml", text.encode()))
    counts: Counts = await stores.writer.run(ORG, command, creates=True)
    return counts


async def round_trip(first: Engine, second: Engine, said: Said) -> None:
    async with first.open() as here, second.open(ManualClock(NOW + DAY)) as there:
        await put_catalog(here, *said.values(), org_id=ORG)
        before, text = await read(here)
        count = 1 + len(said.entries) + len(said.overrides) + len(said.time_off)
        assert await load(there, text) == Counts(count, 0, 0)
        after, again = await read(there)
        assert content(after) == content(before)
        assert again == text
        assert await load(here, text) == Counts(0, 0, count)
        assert (await read(here))[0].version == before.version
        # Any other reader of YAML sees what we mean, too.
        foreign = yaml.safe_load(text)
        assert foreign["organization"]["name"] == said.organization.name
        assert foreign["organization"].get("metadata", {}) == said.organization.metadata
    # What was kept in memory is what a server that has just begun reads.
    async with second.open() as there:
        assert content((await read(there))[0]) == content(before)


@examples(30)
@given(catalogues())
def test_a_catalogue_goes_through_a_file_and_comes_out_the_same(said: Said) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as another:
        asyncio.run(round_trip(SqliteEngine(Path(one)), SqliteEngine(Path(another)), said))
