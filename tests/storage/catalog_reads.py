"""Reads catalogues as several servers have them, and as a command sees them."""

from dataclasses import dataclass

from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import Decision
from zimun.domain.ledger.ledger import Ledger
from zimun.stores import Stores

from .engines import Engine
from .sample_catalog import CUT, ORG


async def catalogs(engine: Engine, stores: Stores, org_id: str = ORG) -> list[Catalog]:
    """The catalogue as the server has it that wrote it, and as one reads it that has just begun."""
    async with engine.open() as others:
        found = [await stores.reader.catalog(org_id), await others.reader.catalog(org_id)]
    assert found[0] == found[1]
    return found


@dataclass(frozen=True)
class ReadServiceName:
    """A command that changes nothing; its result is what the cut is called."""

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        return Decision((), timetable.catalog.entry(Service, CUT.id).name)
