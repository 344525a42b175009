"""Long values are refused for their length before a parser reads them."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from zimun.domain.errors import InvalidRequest
from zimun.rpc import error_status, validation
from zimun.v1 import availability_service_pb2 as availability_pb2

LENGTH = 240_000

HOSTILE = ('"' * LENGTH, "é" * LENGTH, "a@" + "1." * (LENGTH // 2), "2026-01-01" * (LENGTH // 10))
"""Values for which parsers of addresses, dates and zones take quadratic time."""


def string_fields() -> Iterator[tuple[type[Message], FieldDescriptor]]:
    """Every string field that a request of the contract can have, lists and inner messages, too."""
    seen = set()
    waiting = [method.input_type for service in validation.services() for method in service.methods]
    while waiting:
        message = waiting.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if field.type == field.TYPE_STRING:
                yield GetMessageClass(message), field
            elif (
                (inner := field.message_type)
                and inner.file.package == validation.PACKAGE
                and not inner.GetOptions().map_entry
            ):
                waiting.append(inner)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:3]))
def test_every_string_field_is_measured_before_it_is_read(value: str) -> None:
    fields = list(string_fields())
    assert len(fields) > 50
    for kind, field in fields:
        given = {field.name: [value] if field.is_repeated else value}
        violations = dict(validation.violations_of(kind(**given)))
        assert violations[field.name].startswith("must have at most "), field.full_name


def test_a_parser_does_not_quote_more_than_it_may() -> None:
    message = validation._check_email('"' * 250 + "@x.de")
    assert 0 < len(message) <= validation.MAX_DESCRIPTION


def test_a_request_with_many_faults_gets_a_short_error() -> None:
    bad = availability_pb2.SlotCheck(service_id="?", location_id="?", staff_id="?")
    request = availability_pb2.BatchCheckAvailabilityRequest(checks=[bad] * 100, time_zone="?")
    with pytest.raises(InvalidRequest) as caught:
        validation.check(request)
    assert len(caught.value.violations) == validation.MAX_VIOLATIONS
    assert error_status.status_of(caught.value).ByteSize() < 4096
