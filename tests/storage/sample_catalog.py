"""The catalogue of a salon, and commands that put any values into a catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from zimun.booking.catalog import CreateOrganization
from zimun.booking.catalog_changes import catalog_decision
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.entries import Organization, Resource, Service, StaffMember
from zimun.domain.catalog.weekly_hours import Hours
from zimun.domain.commands import Decision
from zimun.domain.identity import SCOPES, Caller
from zimun.domain.instant import DAY, HOUR, MINUTE, from_datetime
from zimun.domain.ledger.events import CatalogEntry, CatalogValue
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import Contact
from zimun.stores import Stores

NOW = from_datetime(datetime(2025, 12, 1, 8, tzinfo=UTC))
"""When tests begin: a Monday morning."""

TUESDAY = from_datetime(datetime(2025, 12, 2, tzinfo=UTC))
"""00:00 of the day on which tests book."""

ORG = "o_salon"
CALLER = Caller(ORG, "c_desk", frozenset(SCOPES))
ALWAYS: Mapping[int, Hours] = dict.fromkeys(range(7), ((0, 24 * 60),))
STAFF = ("t_ada", "t_ben", "t_chloe")
ROOMS = ("r_room", "r_hall")

CUT = Service(
    id="s_cut",
    name="Cut",
    duration=30 * MINUTE,
    slot_step=30 * MINUTE,
    horizon=365 * DAY,
    staff_ids=STAFF,
)
"""Half an hour by any of three."""

SPA = Service(
    id="s_spa",
    name="Spa",
    duration=HOUR,
    buffer_before=10 * MINUTE,
    buffer_after=20 * MINUTE,
    slot_step=15 * MINUTE,
    horizon=90 * DAY,
    cancellation_cutoff=HOUR,
    reschedule_cutoff=HOUR,
    staff_ids=("t_ada", "t_ben"),
    resource_requirements=(("r_room",),),
)
"""An hour by one of two, in the one room, with buffers and cut-offs."""

CLASS = Service(
    id="s_class",
    name="Class",
    duration=HOUR,
    slot_step=HOUR,
    horizon=90 * DAY,
    capacity=8,
    staff_ids=("t_chloe",),
    resource_requirements=(("r_hall",),),
)
"""Eight seats, one teacher, one hall."""

KIOSK = Service(
    id="s_kiosk", name="Kiosk", duration=10 * MINUTE, slot_step=10 * MINUTE, horizon=90 * DAY
)
"""Needs no staff and no resource, so it is itself the subject that is taken."""

SERVICES = {service.id: service for service in (CUT, SPA, CLASS, KIOSK)}
SAM = Contact(name="Sam Rivers", email="sam@example.com")


def at(hour: int, minute: int = 0) -> int:
    """A time of Tuesday."""
    return TUESDAY + hour * HOUR + minute * MINUTE


def salon_entries(services: Iterable[Service] = SERVICES.values()) -> list[CatalogEntry]:
    """The entries of the salon's catalogue."""
    staff = [
        StaffMember(id=staff_id, name=staff_id, time_zone="UTC", weekly_hours=ALWAYS)
        for staff_id in STAFF
    ]
    return [*staff, *(Resource(id=room, name=room) for room in ROOMS), *services]


SALON = Organization(id=ORG, name="Salon", time_zone="UTC")


async def create_salon(stores: Stores, services: Iterable[Service] = SERVICES.values()) -> None:
    """Make the salon, with its catalogue."""
    await stores.writer.run(ORG, CreateOrganization(SALON, salon_entries(services)), creates=True)


@dataclass(frozen=True)
class PutCatalog:
    """The command to make the catalogue have these values; nothing checks them."""

    values: Sequence[CatalogValue]

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return catalog_decision(timetable.catalog, client_id, self.values, None)


async def put_catalog(stores: Stores, *values: CatalogValue, org_id: str = ORG) -> None:
    """Put values into a catalogue; an organization among them is made if it is new."""
    await stores.writer.run(org_id, PutCatalog(values), creates=True)
