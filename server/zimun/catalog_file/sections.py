"""The sections of a catalogue file, and how the entries of each are converted."""

from collections.abc import Mapping
from typing import Any

from zimun.booking.catalog_import import ORGANIZATION
from zimun.rpc.convert import catalog as convert
from zimun.rpc.convert.catalog import EntryConverter

CONVERTERS: Mapping[str, EntryConverter[Any, Any]] = {
    "locations": convert.LOCATION,
    "staff": convert.STAFF_MEMBER,
    "resources": convert.RESOURCE,
    "services": convert.SERVICE,
}
"""The converter of each list of entries, by the name of its section."""

SECTIONS = (ORGANIZATION, *CONVERTERS, "overrides", "time_off")
"""Every section of a file, in the order in which they are written."""

OUTPUT_ONLY = ("etag", "create_time", "update_time", "conflicts")
"""Fields that the server sets, and that a file does not have."""
