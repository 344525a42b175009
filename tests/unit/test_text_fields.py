"""Every text that a request may have says what it may contain, and is checked for it."""

from typing import Any

import pytest
from google.protobuf import message_factory

from zimun.catalog_file import reader as catalog_file
from zimun.rpc import validation
from zimun.v1 import options_pb2

OPAQUE = ("etag", "page_token", "holiday_region")
"""Texts that are no prose."""


def messages(message: Any) -> set[Any]:
    inner = {field.message_type for field in message.fields if field.message_type}
    own = {one for one in inner if one.file.package == validation.PACKAGE}
    return {message}.union(*(messages(one) for one in own if not one.GetOptions().map_entry))


def text_fields() -> list[Any]:
    """The strings and maps of all requests that declare no format but PHONE."""
    requests = {
        method.input_type for service in validation.services() for method in service.methods
    }
    found: set[Any] = set().union(*map(messages, requests))
    fields = [field for message in found for field in message.fields]
    return sorted(filter(is_text, fields), key=lambda field: field.full_name)


def is_text(field: Any) -> bool:
    if field.message_type:
        return bool(field.message_type.GetOptions().map_entry)
    declared = field.GetOptions().Extensions[options_pb2.format]
    is_prose = declared in (options_pb2.STRING_FORMAT_UNSPECIFIED, options_pb2.PHONE)
    return field.type == field.TYPE_STRING and is_prose


@pytest.mark.parametrize("field", text_fields(), ids=lambda field: field.full_name)
def test_a_text_declares_its_kind_and_is_refused_with_other_characters(
    field: Any,
) -> None:
    kind = field.GetOptions().Extensions[options_pb2.text]
    assert kind or field.name in OPAQUE
    allowed = {"a": True, "a\x00": False, "a\u202e": False, "\x1b[2J": False}
    allowed |= dict.fromkeys(("a\nb", "a\tb", " \n"), kind == options_pb2.SEVERAL_LINES)
    for text, good in allowed.items():
        message = message_factory.GetMessageClass(field.containing_type)()
        if field.message_type:
            getattr(message, field.name)["k"] = text
        elif field.is_repeated:
            getattr(message, field.name).append(text)
        else:
            setattr(message, field.name, text)
        assert (field.name not in dict(validation.violations_of(message))) == good, text


FORMATS = {
    "_time_zone": options_pb2.TIME_ZONE,
    "_id": options_pb2.ID,
    "_ids": options_pb2.ID,
    "_date": options_pb2.DATE,
    "_valid_from": options_pb2.DATE,
    "_time": options_pb2.TIME_OF_DAY,
    "_email": options_pb2.EMAIL,
    "_phone": options_pb2.PHONE,
}
"""The format that a string of a request declares if its name ends so."""


def test_string_named_like_a_format_declares_it() -> None:
    requests = {
        method.input_type for service in validation.services() for method in service.methods
    }
    inner: set[Any] = set().union(*map(messages, requests))
    strings = [f for message in inner for f in message.fields if f.type == f.TYPE_STRING]
    declared = {f.full_name: f.GetOptions().Extensions[options_pb2.format] for f in strings}
    expected = {
        name: next((FORMATS[end] for end in FORMATS if f"_{field}".endswith(end)), 0)
        for name in declared
        if (field := name.rpartition(".")[2])
    }
    assert len(declared) > 60
    assert declared == expected


def test_a_catalogue_file_names_the_line_of_a_text_that_is_refused() -> None:
    text = """\
organization: {id: o_1, name: Salon, time_zone: UTC}
locations:
- id: l_1
  name: "Berlin\\r\\nBcc: all"
  address: "Way 1\\nBerlin"
overrides:
- {owner_id: o_1, date: 2026-12-24, status: CLOSED, note: "\\u202eclosed"}
"""
    faults = {
        (fault.line, fault.path): fault.message
        for fault in catalog_file.read("salon.yaml", text.encode()).document.faults
    }
    assert faults == {
        (4, "locations[0].name"): "must not have the character U+000D",
        (7, "overrides[0].note"): "must not have the character U+202E",
    }
