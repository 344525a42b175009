"""Files of a catalogue: loaded as `zimun import` does, written as `zimun export` does."""

from pathlib import Path

import pytest

from zimun.booking.catalog_import import Counts
from zimun.catalog_file import reader, writer
from zimun.catalog_file.reader import CatalogFileError, LoadCatalog
from zimun.domain.catalog.catalog import Catalog
from zimun.stores import Stores

from .sample_catalog import ORG

EXAMPLE = Path(__file__).parents[2] / "examples" / "catalogue" / "salon.yaml"
NEW = "organization: {id: o_new, name: New, time_zone: Europe/Berlin}\n"


async def load(stores: Stores, text: str, org: str = "") -> Counts:
    """As `zimun import` does."""
    file = reader.read("salon.yaml", text.encode("utf-8", "surrogatepass"), org)
    org_id = file.request.org_id if file.request else ""
    counts: Counts = await stores.writer.run(org_id, LoadCatalog(file), creates=True)
    return counts


async def faults(stores: Stores, text: str, org: str = ORG) -> list[str]:
    """What is told of a file, without the file's name, which begins every line."""
    with pytest.raises(CatalogFileError) as caught:
        await load(stores, text, org)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("salon.yaml:") for line in lines)
    return [line.removeprefix("salon.yaml:") for line in lines]


async def catalog(stores: Stores, org: str = ORG) -> Catalog:
    return await stores.reader.catalog(org)


async def exported(stores: Stores, org: str = ORG) -> str:
    return writer.write(await catalog(stores, org))
