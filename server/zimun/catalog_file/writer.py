"""Writing a catalogue as a file that `reader.read` reads."""

from datetime import date
from typing import Any

import yaml
from google.protobuf.message import Message

from zimun.booking.catalog import entry_of
from zimun.booking.catalog_import import ORGANIZATION
from zimun.catalog_file import yaml_messages
from zimun.catalog_file.sections import CONVERTERS, OUTPUT_ONLY
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Entry, Organization, Override, Service
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.ledger.events import CatalogEntry
from zimun.rpc.convert import catalog as convert
from zimun.rpc.convert import time_off as convert_time_off
from zimun.rpc.convert.catalog import EntryConverter


def write(catalog: Catalog) -> str:
    """The file of a catalogue: all of its entries in order of creation.

    Fields that have the default that `read` gives them are left out.
    """
    organization = catalog.organization
    empty = Organization(id="", name="", time_zone="")
    sections: dict[str, yaml.Node] = {
        ORGANIZATION: _written(convert.ORGANIZATION, organization, empty)
    }
    for section, converter in CONVERTERS.items():
        entries = catalog.listed(converter.entry, archived=True)
        sections[section] = yaml_messages.listed(
            _written(converter, entry, _default_entry(catalog, entry)) for entry in entries
        )
    overrides = sorted(catalog.distinct_overrides, key=_creation_order)
    sections["overrides"] = yaml_messages.listed(map(_override, overrides))
    time_off = sorted(catalog.time_off.values(), key=lambda entry: (entry.create_time, entry.id))
    sections["time_off"] = yaml_messages.listed(map(_time_off, time_off))
    return yaml_messages.dump({name: node for name, node in sections.items() if node.value})


def _default_entry(catalog: Catalog, entry: CatalogEntry) -> CatalogEntry:
    """An entry of the same type with its required fields alone: of a service, its duration."""
    required = {"duration": entry.duration} if isinstance(entry, Service) else {}
    return entry_of(catalog, type(entry), {"id": "", **required}, now=0)


def _written(converter: EntryConverter[Any, Any], entry: Entry, defaults: Entry) -> yaml.Node:
    message = converter.write(entry)
    names = (name for name in message.DESCRIPTOR.fields_by_name if name not in OUTPUT_ONLY)
    return yaml_messages.write(
        message,
        [
            name
            for name in names
            if name == "duration" or getattr(entry, name) != getattr(defaults, name)
        ],
    )


def _override(override: Override) -> yaml.Node:
    return _without_defaults(convert.override(override))


def _time_off(time_off: TimeOff) -> yaml.Node:
    return _without_defaults(convert_time_off.time_off(time_off))


def _without_defaults(message: Message) -> yaml.Node:
    names = yaml_messages.set_fields(message)
    return yaml_messages.write(message, [name for name in names if name not in OUTPUT_ONLY])


def _creation_order(override: Override) -> tuple[int, date, str]:
    return override.create_time, override.date, override.owner_id
