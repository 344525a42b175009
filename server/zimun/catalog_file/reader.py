"""Reading a catalogue file: YAML with the field names of the API's JSON.

A file has an `organization` and lists of `locations`, `staff`, `resources`, `services`,
`overrides` and `time_off`. All errors of a file are reported together, each with its line: YAML
that cannot be parsed, unknown fields, values that break the rules of their fields, and entries that
do not go together in a catalogue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from zimun.booking.catalog import check_id, exists
from zimun.booking.catalog_changes import catalog_decision
from zimun.booking.catalog_import import ORGANIZATION, ImportRequest, plan
from zimun.catalog_file import yaml_document, yaml_messages
from zimun.catalog_file.sections import CONVERTERS, OUTPUT_ONLY, SECTIONS
from zimun.catalog_file.yaml_document import Document
from zimun.domain import catalog_validation
from zimun.domain.availability.timetable import Timetable
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Entry, Organization, Override
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.commands import Decision
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.events import CatalogEntry
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.time_off_conflicts import conflicts_of
from zimun.rpc import validation
from zimun.rpc.convert import catalog as convert
from zimun.rpc.convert import time_off as convert_time_off
from zimun.rpc.convert.catalog import EntryConverter
from zimun.v1 import override_pb2, time_off_pb2

_PLACEHOLDER_DATE = "2000-01-01"
"""The date of an override whose own cannot be read, so that its other fields are checked."""


class CatalogFileError(Exception):
    """A file is invalid; a line for each error: `salon.yaml:12: services[0].duration: …`."""


@dataclass(frozen=True)
class CatalogFile:
    """The content of a file as far as it can be read; None where no organization is named."""

    name: str
    document: Document
    request: ImportRequest | None


@dataclass(frozen=True)
class LoadCatalog:
    """The command to import a file into the catalogue; its result is `Counts`.

    Unless `allow_conflicts`, its time off must not overlap appointments or live holds.
    """

    file: CatalogFile
    allow_conflicts: bool = False

    def decide(self, ledger: Ledger, timetable: Timetable, now: int, client_id: str) -> Decision:
        """Change what differs from the file; raises CatalogFileError."""
        document, request, before = self.file.document.copy(), self.file.request, timetable.catalog
        import_plan = plan(before, exists(ledger), now, request) if request else None
        if import_plan:
            for place, violations in import_plan.violations.items():
                for name, violation in violations.items():
                    document.follow_up(f"{place}.{name}" if name else place, violation)
        may_conflict = exists(ledger) and not self.allow_conflicts
        if import_plan and request and may_conflict and not document.faults:
            _note_conflicts(document, ledger, before, now, import_plan.time_off)
        if document.faults or not import_plan:
            raise CatalogFileError(_error_text(self.file.name, document))
        return catalog_decision(before, client_id, import_plan.values, import_plan.counts)


def _note_conflicts(
    document: Document,
    ledger: Ledger,
    catalog: Catalog,
    now: int,
    time_off: Mapping[str, tuple[TimeOff | None, TimeOff]],
) -> None:
    """Note at each time off that it would overlap appointments or live holds."""
    for place, (before, after) in time_off.items():
        if after is not before and (
            total := conflicts_of(ledger, catalog, after, now, before).total
        ):
            note = f"overlaps {total} appointments and holds; --allow-conflicts imports it"
            document.follow_up(place, note)


def _error_text(name: str, document: Document) -> str:
    return "\n".join(
        ": ".join(filter(None, (f"{name}:{line}", path, message)))
        for line, path, message in sorted(document.faults, key=lambda fault: fault.line)
    )


def read(name: str, data: bytes, org_id: str = "") -> CatalogFile:
    """Read a file of the organization that it names, or else of `org_id`.

    `LoadCatalog` raises its errors.
    """
    reading = _Reading()
    root = yaml_document.parse(data, reading.document)
    request = reading.import_request(root, org_id) if root else None
    return CatalogFile(name, reading.document, request)


@dataclass(frozen=True)
class _Reading:
    """A file that is being read. `paths` has the first path of each id and of each owner's date."""

    document: Document = field(default_factory=Document)
    paths: dict[object, str] = field(default_factory=dict)

    def import_request(self, root: yaml.Node, org_id: str) -> ImportRequest | None:
        sections = self._sections(root)
        organization = self._organization(sections.get(ORGANIZATION), org_id)
        entries = {
            place: (converter.entry, self._entry(converter, place, node))
            for section, converter in CONVERTERS.items()
            for place, node in self._items(sections, section)
        }
        overrides = {
            place: self._override(place, node) for place, node in self._items(sections, "overrides")
        }
        for place, override in overrides.items():
            if catalog_validation.are_dates(override):
                self._check_dates(place, override)
        time_off = {
            place: entry
            for place, node in self._items(sections, "time_off")
            if (entry := self._time_off(place, node))
        }
        org_id = organization["id"] if organization else org_id
        if not org_id:
            return None
        return ImportRequest(org_id, organization, entries, overrides, time_off)

    def _sections(self, root: yaml.Node) -> dict[str, yaml.Node]:
        sections = dict(self.document.pairs(root, ""))
        for name in sections:
            if name not in SECTIONS:
                self.document.fault(name, f"is none of {', '.join(SECTIONS)}")
        return sections

    def _items(
        self, sections: Mapping[str, yaml.Node], section: str
    ) -> Iterable[tuple[str, yaml.Node]]:
        return self.document.items(sections[section], section) if section in sections else ()

    def _organization(self, node: yaml.Node | None, org_id: str) -> dict[str, Any] | None:
        fields = self._fields(convert.ORGANIZATION, ORGANIZATION, node, org_id) if node else None
        organization_id = fields["id"] if fields else org_id
        if not organization_id:
            self.document.follow_up("organization.id", "is required, here or as --org")
        elif fields:
            self._check_prefix(ORGANIZATION, organization_id, Organization)
            if org_id and organization_id != org_id:
                self.document.follow_up("organization.id", f"is not {org_id}, which --org says")
        return fields

    def _entry(
        self, converter: EntryConverter[CatalogEntry, Any], place: str, node: yaml.Node
    ) -> dict[str, Any]:
        fields = self._fields(converter, place, node)
        if not fields["id"]:
            self.document.follow_up(f"{place}.id", "is required")
        self._check_id(place, fields["id"], converter.entry)
        return fields

    def _check_id(
        self, place: str, entry_id: str, entry_type: type[Entry | Override | TimeOff]
    ) -> None:
        if entry_id:
            self._check_prefix(place, entry_id, entry_type)
            self._check_unique(f"{place}.id", entry_id, entry_id)

    def _check_prefix(
        self, place: str, entry_id: str, entry_type: type[Entry | Override | TimeOff]
    ) -> None:
        try:
            check_id(entry_type, entry_id)
        except InvalidRequest as error:
            self.document.follow_up(f"{place}.id", error.violations["id"])

    def _check_unique(self, path: str, key: object, description: str) -> None:
        """Check that no other entry of the file has the same key."""
        first_path = self.paths.setdefault(key, path)
        if first_path != path:
            self.document.follow_up(path, f"{description} is in {first_path}, too")

    def _fields(
        self, converter: EntryConverter[Any, Any], place: str, node: yaml.Node, default_id: str = ""
    ) -> dict[str, Any]:
        """The fields of an entry that are set and valid, and its id, which may be empty."""
        sent: Any = converter.message(id=default_id)
        names = self._read(sent, place, node)
        fields = converter.read(sent)
        return {name: fields[name] for name in fields if name in names} | {"id": sent.id}

    def _read(self, into: Any, place: str, node: yaml.Node) -> set[str]:
        """Read and check a message, clear its faulty fields, and return the names of the others."""
        names = yaml_messages.read(self.document, node, place, into, OUTPUT_ONLY)
        for path, violation in validation.violations_of(into):
            self.document.follow_up(f"{place}.{path}", violation)
        faulty = self.document.faulty(place)
        for name in faulty.intersection(into.DESCRIPTOR.fields_by_name):
            into.ClearField(name)
        return names - faulty

    def _time_off(self, place: str, node: yaml.Node) -> TimeOff | None:
        sent = time_off_pb2.TimeOff()
        self._read(sent, place, node)
        self._check_id(place, sent.id, TimeOff)
        try:
            return convert_time_off.read_time_off(sent)
        except InvalidRequest as error:
            for name, violation in error.violations.items():
                self.document.follow_up(f"{place}.{name}", violation)
        return None

    def _check_dates(self, place: str, override: Override) -> None:
        """Check that no other override of the file has one of the same dates."""
        if not override.owner_id or f"{override.date}" == _PLACEHOLDER_DATE:
            return
        for key in override.keys:
            self._check_unique(f"{place}.date", key, f"{key[1]} of {override.owner_id}")

    def _override(self, place: str, node: yaml.Node) -> Override:
        sent = override_pb2.Override()
        self._read(sent, place, node)
        self._check_id(place, sent.id, Override)
        default_status = override_pb2.Override.OPEN if sent.hours else override_pb2.Override.CLOSED
        sent.status = sent.status or default_status
        sent.date = sent.date or _PLACEHOLDER_DATE
        try:
            return convert.read_override(sent)
        except InvalidRequest as error:
            for name, violation in error.violations.items():
                self.document.follow_up(f"{place}.{name}", violation)
        sent.status = default_status
        return convert.read_override(sent)
