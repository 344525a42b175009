"""Messages as YAML, in the words of their JSON; and durations as people write them.

A scalar is the text that is written, read by its field's type. YAML's own guess
does not count, so that `NO` stays a word and `17:00` a time of day.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from zimun.catalog_file.yaml_document import BOOL, INT, MAP, SEQ, STR, Document, join

_SCALARS = (Duration.DESCRIPTOR.full_name, Timestamp.DESCRIPTOR.full_name)
"""Messages that are written as one text."""

_LENGTH = re.compile(
    r"(?=.)(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?"
    r"(?:([0-9]{1,12})(?:\.([0-9]{1,9}))?s)?"
)

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
"""Seconds."""

_ODD = re.compile(r"[\r\x85\u2028\u2029\ufeff]|\A\n|\n\n\Z")
"""Characters that YAML would read as something else, unless they are escaped."""


def read(
    document: Document, node: yaml.Node, path: str, into: Message, output_only: Collection[str] = ()
) -> set[str]:
    """Read a message as far as it is valid; returns the names of the fields that are set.

    The fields in `output_only` must not be set.
    """
    fields: Mapping[str, Any] = into.DESCRIPTOR.fields_by_name
    names = set()
    for name, value in document.pairs(node, path):
        if name not in fields or name in output_only:
            message_type = into.DESCRIPTOR.name
            document.fault(join(path, name), f"is not a field that a {message_type} has in a file")
            continue
        names.add(name)
        _read_field(document, value, join(path, name), into, fields[name])
    return names


def _read_field(
    document: Document, node: yaml.Node, path: str, into: Message, field: FieldDescriptor
) -> None:
    held = getattr(into, field.name)
    if _is_map(field):
        for word, value in document.pairs(node, path):
            put = partial(held.__setitem__, word)
            _read_scalar(document, value, join(path, word), _values(field), put)
    elif field.is_repeated:
        for place, item in document.items(node, path):
            if _is_mapping(field):
                read(document, item, place, held.add())
            else:
                _read_scalar(document, item, place, field, held.append)
    elif _is_mapping(field):
        held.SetInParent()
        read(document, node, path, held)
    elif field.message_type:
        _read_scalar(document, node, path, field, held.CopyFrom)
    else:
        _read_scalar(document, node, path, field, partial(setattr, into, field.name))


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _values(field: FieldDescriptor) -> Any:
    """The field of the values of a map."""
    assert field.message_type is not None
    return field.message_type.fields_by_name["value"]


def _is_mapping(field: FieldDescriptor) -> bool:
    """Whether it holds messages that are written as mappings: all but durations and times."""
    return bool(field.message_type and field.message_type.full_name not in _SCALARS)


def _is_time(field: FieldDescriptor) -> bool:
    assert field.message_type is not None
    return field.message_type.full_name == Timestamp.DESCRIPTOR.full_name


def _read_scalar(
    document: Document,
    node: yaml.Node,
    path: str,
    field: FieldDescriptor,
    put: Callable[[Any], None],
) -> None:
    try:
        if not isinstance(node, yaml.ScalarNode) or node.tag != STR:
            raise ValueError
        put(_value(field, node.value))
    except (ValueError, KeyError):
        document.fault(path, _expected(field))


def _value(field: FieldDescriptor, text: str) -> Any:
    """The value of a text in a field; raises ValueError or KeyError for an invalid text."""
    if field.message_type:
        return _time(text) if _is_time(field) else _duration(text)
    if field.enum_type:
        return field.enum_type.values_by_name[text].number
    if field.cpp_type == field.CPPTYPE_STRING:
        return text
    if field.cpp_type == field.CPPTYPE_BOOL:
        return {"true": True, "false": False}[text]
    if not re.fullmatch("-?[0-9]{1,19}", text):
        raise ValueError
    return int(text)


def _expected(field: FieldDescriptor) -> str:
    if field.message_type and _is_time(field):
        return "must be a time such as 2026-02-20T10:00:00Z"
    if field.message_type:
        return "must be a length such as 30m, 1h30m, 2d or 1800s"
    if field.enum_type:
        words = [value.name for value in field.enum_type.values if value.number]
        return f"must be one of {', '.join(words)}"
    if field.cpp_type == field.CPPTYPE_STRING:
        return "must be text"
    if field.cpp_type == field.CPPTYPE_BOOL:
        return "must be true or false"
    return "must be a whole number"


def _duration(text: str) -> Duration:
    """As JSON has it (`1800s`), or as people write it (`30m`, `1h30m`, `2d`)."""
    match = _LENGTH.fullmatch(text)
    if not match:
        raise ValueError
    *whole, fraction = match.groups(default="0")
    seconds = sum(int(n) * unit for n, unit in zip(whole, _UNITS.values(), strict=True))
    return Duration(seconds=seconds, nanos=int(fraction.ljust(9, "0")))


def _time(text: str) -> Timestamp:
    """As JSON has it (RFC 3339), at any offset."""
    time = Timestamp()
    time.FromJsonString(text)
    return time


def _length(duration: Duration) -> str:
    """A duration in the largest unit of which it is a whole number: `0s`, `90s`, `30m`, `36h`,
    `7d`."""
    if duration.nanos:
        return duration.ToJsonString()
    seconds = duration.seconds
    whole = (unit for unit, size in _UNITS.items() if seconds and seconds % size == 0)
    unit = next(whole, "s")
    return f"{seconds // _UNITS[unit]}{unit}"


def write(message: Message, names: Iterable[str]) -> yaml.MappingNode:
    """The named fields of a message, each on one or more lines."""
    fields: Mapping[str, Any] = message.DESCRIPTOR.fields_by_name
    return _mapping((name, _field(fields[name], getattr(message, name))) for name in names)


def set_fields(message: Message) -> list[str]:
    """The names of the fields that a message has."""
    return [field.name for field, _ in message.ListFields()]


def _mapping(pairs: Iterable[tuple[str, yaml.Node]], inline: bool = False) -> yaml.MappingNode:
    return yaml.MappingNode(MAP, [(_text(word), node) for word, node in pairs], flow_style=inline)


def _field(field: FieldDescriptor, value: Any) -> yaml.Node:
    if _is_map(field):
        return _mapping((word, _text(value[word])) for word in sorted(value))
    if field.is_repeated:
        inline = not _is_mapping(field)
        return yaml.SequenceNode(
            SEQ, [_one(field, element) for element in value], flow_style=inline
        )
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> yaml.Node:
    if _is_mapping(field):
        inner: Mapping[str, Any] = value.DESCRIPTOR.fields_by_name
        pairs = ((name, _field(inner[name], getattr(value, name))) for name in set_fields(value))
        return _mapping(pairs, inline=True)
    if field.message_type:
        return _text(value.ToJsonString() if _is_time(field) else _length(value))
    if field.enum_type:
        return _text(field.enum_type.values_by_number[value].name)
    if field.cpp_type == field.CPPTYPE_STRING:
        return _text(value)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return yaml.ScalarNode(BOOL, str(value).lower())
    return yaml.ScalarNode(INT, str(value))


def _text(text: str) -> yaml.ScalarNode:
    """A text, quoted where YAML would read something else, as a block where it has several
    lines."""
    style = '"' if _ODD.search(text) else "|" if "\n" in text else None
    return yaml.ScalarNode(STR, text, style=style)


def dump(sections: Mapping[str, yaml.Node]) -> str:
    """The text of a mapping, an empty line between its parts."""
    return "\n".join(
        yaml.serialize(_mapping([part]), Dumper=yaml.SafeDumper, allow_unicode=True, width=100)
        for part in sections.items()
    )


def listed(nodes: Iterable[yaml.Node]) -> yaml.SequenceNode:
    """A list with each item on lines of its own."""
    return yaml.SequenceNode(SEQ, list(nodes), flow_style=False)
