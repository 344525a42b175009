"""A catalogue in a file: YAML in the words of the contract.

A file has an `organization` and lists of `locations`, `staff`, `resources`,
`services` and `overrides`, each written as the API's JSON has it. Whatever is
wrong with a file is told at once, with its lines: what is no YAML or no field,
what the contract declares of the fields, and what makes no sense in a catalogue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from zimun.booking.catalog import catalog_decision, check_id, entry_of, exists
from zimun.booking.catalog_import import ORGANIZATION, Wanted, plan
from zimun.catalog_file import yaml_document, yaml_messages
from zimun.catalog_file.yaml_document import Document
from zimun.domain.catalog import Catalog, Entry, Organization, Override, Service
from zimun.domain.commands import Decision
from zimun.domain.errors import InvalidRequest
from zimun.domain.events import CatalogEntry
from zimun.domain.ledger import Ledger
from zimun.domain.timetable import Timetable
from zimun.rpc import validation
from zimun.rpc.convert import catalog as convert
from zimun.rpc.convert.catalog import Kind
from zimun.v1 import override_pb2

_KINDS: Mapping[str, Kind[Any, Any]] = {
    "locations": convert.LOCATION,
    "staff": convert.STAFF_MEMBER,
    "resources": convert.RESOURCE,
    "services": convert.SERVICE,
}

_SECTIONS = (ORGANIZATION, *_KINDS, "overrides")

_KEPT = ("etag", "create_time", "update_time")
"""What Zimun keeps by itself, and no file says."""

_SOME_DATE = "2000-01-01"
"""Of an override whose date cannot be read, so that the rest of it can be judged."""


class CatalogFileError(Exception):
    """What is wrong with a file, a line for each: `salon.yaml:12: services[0].duration: …`."""


@dataclass(frozen=True)
class CatalogFile:
    """What a file says, as far as it can be read; nothing where it is not known of whom."""

    name: str
    document: Document
    wanted: Wanted | None


@dataclass(frozen=True)
class LoadCatalog:
    """The command to make the catalogue what a file says of it; its result are the counts."""

    file: CatalogFile

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Raises CatalogFileError."""
        found, wanted, before = self.file.document.copy(), self.file.wanted, timetable.catalog
        planned = plan(before, exists(ledger), now, wanted) if wanted else None
        if planned:
            for place, violations in planned.violations.items():
                for name, violation in violations.items():
                    found.follow_up(f"{place}.{name}" if name else place, violation)
        if found.faults or not planned:
            raise CatalogFileError(_told(self.file.name, found))
        return catalog_decision(before, client_id, planned.values, planned.counts)


def _told(name: str, document: Document) -> str:
    return "\n".join(
        ": ".join(filter(None, (f"{name}:{line}", path, message)))
        for line, path, message in sorted(document.faults, key=lambda fault: fault.line)
    )


def read(name: str, data: bytes, org_id: str = "") -> CatalogFile:
    """Read a file of the organization that it names, or else of `org_id`.

    `LoadCatalog` tells what is wrong with it.
    """
    reading = _Reading()
    root = yaml_document.parse(data, reading.document)
    wanted = reading.all_of(root, org_id) if root else None
    return CatalogFile(name, reading.document, wanted)


@dataclass(frozen=True)
class _Reading:
    """A file that is being read, and where each id and each date of an owner was first."""

    document: Document = field(default_factory=Document)
    first: dict[object, str] = field(default_factory=dict)

    def all_of(self, root: yaml.Node, org_id: str) -> Wanted | None:
        sections = self._sections(root)
        own = self._organization(sections.get(ORGANIZATION), org_id)
        said = {
            place: (kind.entry, self._entry(kind, place, node))
            for section, kind in _KINDS.items()
            for place, node in self._items(sections, section)
        }
        overrides = {
            place: self._override(place, node) for place, node in self._items(sections, "overrides")
        }
        wanted = Wanted(own["id"] if own else org_id, own, said, overrides)
        return wanted if wanted.org_id else None

    def _sections(self, root: yaml.Node) -> dict[str, yaml.Node]:
        found = dict(self.document.pairs(root, ""))
        for name in found:
            if name not in _SECTIONS:
                self.document.fault(name, f"is none of {', '.join(_SECTIONS)}")
        return found

    def _items(
        self, sections: Mapping[str, yaml.Node], section: str
    ) -> Iterable[tuple[str, yaml.Node]]:
        return self.document.items(sections[section], section) if section in sections else ()

    def _organization(self, node: yaml.Node | None, org_id: str) -> dict[str, Any] | None:
        own = self._fields(convert.ORGANIZATION, ORGANIZATION, node, org_id) if node else None
        said = own["id"] if own else org_id
        if not said:
            self.document.follow_up("organization.id", "is required, here or as --org")
        elif own:
            self._check_prefix(ORGANIZATION, said, Organization)
            if org_id and said != org_id:
                self.document.follow_up("organization.id", f"is not {org_id}, which --org says")
        return own

    def _entry(self, kind: Kind[CatalogEntry, Any], place: str, node: yaml.Node) -> dict[str, Any]:
        fields = self._fields(kind, place, node)
        if not fields["id"]:
            self.document.follow_up(f"{place}.id", "is required")
        self._check_id(place, fields["id"], kind.entry)
        return fields

    def _check_id(self, place: str, said: str, kind: type[Entry | Override]) -> None:
        if said:
            self._check_prefix(place, said, kind)
            self._check_first(f"{place}.id", said, said)

    def _check_prefix(self, place: str, said: str, kind: type[Entry | Override]) -> None:
        try:
            check_id(kind, said)
        except InvalidRequest as error:
            self.document.follow_up(f"{place}.id", error.violations["id"])

    def _check_first(self, path: str, key: object, told: str) -> None:
        """Nothing in a file is said of two entries that one alone can have."""
        first = self.first.setdefault(key, path)
        if first != path:
            self.document.follow_up(path, f"{told} is in {first}, too")

    def _fields(
        self, kind: Kind[Any, Any], place: str, node: yaml.Node, usual_id: str = ""
    ) -> dict[str, Any]:
        """The fields that can be read of those that an entry says, and its id or nothing."""
        sent: Any = kind.message(id=usual_id)
        said = self._read(sent, place, node)
        read = kind.read(sent)
        return {name: read[name] for name in read if name in said} | {"id": sent.id}

    def _read(self, into: Any, place: str, node: yaml.Node) -> set[str]:
        """Read and check a message; the names of the fields that it says. Faulty ones are clear."""
        said = yaml_messages.read(self.document, node, place, into, _KEPT)
        for path, violation in validation.violations_of(into):
            self.document.follow_up(f"{place}.{path}", violation)
        faulty = self.document.faulty(place)
        for name in faulty.intersection(into.DESCRIPTOR.fields_by_name):
            into.ClearField(name)
        return said - faulty

    def _override(self, place: str, node: yaml.Node) -> Override:
        sent = override_pb2.Override()
        self._read(sent, place, node)
        self._check_id(place, sent.id, Override)
        if sent.owner_id and sent.date:
            key = (sent.owner_id, sent.date)
            self._check_first(f"{place}.date", key, f"{sent.date} of {sent.owner_id}")
        fitting = override_pb2.Override.OPEN if sent.hours else override_pb2.Override.CLOSED
        sent.status = sent.status or fitting
        sent.date = sent.date or _SOME_DATE
        try:
            return convert.read_override(sent)
        except InvalidRequest as error:
            for name, violation in error.violations.items():
                self.document.follow_up(f"{place}.{name}", violation)
        sent.status = fitting
        return convert.read_override(sent)


def write(catalog: Catalog) -> str:
    """The file that says a catalogue: all of its entries in order of creation.

    What `read` would take for granted is left out.
    """
    organization = catalog.organization
    empty = Organization(id="", name="", time_zone="")
    sections: dict[str, yaml.Node] = {
        ORGANIZATION: _written(convert.ORGANIZATION, organization, empty)
    }
    for section, kind in _KINDS.items():
        found = catalog.listed(kind.entry, archived=True)
        sections[section] = yaml_messages.listed(
            _written(kind, entry, _usual(catalog, kind.entry, entry)) for entry in found
        )
    overrides = sorted(catalog.overrides.values(), key=_age)
    sections["overrides"] = yaml_messages.listed(map(_override, overrides))
    return yaml_messages.dump({name: node for name, node in sections.items() if node.value})


def _usual(catalog: Catalog, kind: type[CatalogEntry], entry: CatalogEntry) -> CatalogEntry:
    """The new entry of which a file says no more than it must: of a service, how long it lasts."""
    must = {"duration": entry.duration} if isinstance(entry, Service) else {}
    return entry_of(catalog, kind, {"id": "", **must}, now=0)


def _written(kind: Kind[Any, Any], entry: Entry, usual: Entry) -> yaml.Node:
    message = kind.write(entry)
    names = (name for name in message.DESCRIPTOR.fields_by_name if name not in _KEPT)
    return yaml_messages.write(
        message,
        [
            name
            for name in names
            if name == "duration" or getattr(entry, name) != getattr(usual, name)
        ],
    )


def _override(kept: Override) -> yaml.Node:
    message = convert.override(kept)
    names = yaml_messages.said(message)
    return yaml_messages.write(message, [name for name in names if name not in _KEPT])


def _age(override: Override) -> tuple[int, date, str]:
    return override.create_time, override.date, override.owner_id
