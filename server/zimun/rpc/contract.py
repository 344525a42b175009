"""What the compiled protos declare about methods and fields."""

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from zimun.domain.errors import InvalidRequest
from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    locations_service_pb2,
    options_pb2,
    services_service_pb2,
)

FILES = (
    appointments_service_pb2,
    availability_service_pb2,
    locations_service_pb2,
    services_service_pb2,
)

DEFAULT_MAX_LENGTH = 64
"""The most characters of a string field that declares no max_length."""

YEARS = range(1971, 9998)
"""The years that a request may speak of: every one of their instants has a date in every zone."""

_FIRST = calendar.timegm((YEARS.start, 1, 1, 0, 0, 0))
_LAST = calendar.timegm((YEARS.stop, 1, 1, 0, 0, 0))

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the contract."""
    for file in FILES:
        yield from file.DESCRIPTOR.services_by_name.values()


def required_scopes() -> Mapping[str, str]:
    """The scope of each method, by its path `/package.Service/Method`.

    Raises LookupError for a method that declares none: it must not be served.
    """
    scopes = {}
    for service in services():
        for method in service.methods:
            scope = _option(method, options_pb2.required_scope)
            if not scope:
                raise LookupError(f"{method.full_name} declares no required_scope")
            scopes[f"/{service.full_name}/{method.name}"] = scope
    return scopes


def check(request: Message) -> None:
    """Raise InvalidRequest naming every field that breaks what the contract declares of it.

    That is: required fields are there, ids are ids, strings and maps are no
    longer than they may be, enum values are known, and times lie in YEARS.
    """
    violations = {}
    fields: Iterable[Any] = request.DESCRIPTOR.fields
    for field in fields:
        if violation := _violation(request, field):
            violations[field.name] = violation
    if violations:
        raise InvalidRequest(violations)


def _violation(request: Message, field: FieldDescriptor) -> str:
    value = getattr(request, field.name)
    if _is_absent(request, field):
        return "is required" if _is_required(field) else ""
    if field.is_repeated:
        return _check_map(value, field)
    if field.type == field.TYPE_STRING:
        return _check_text(value, field)
    if field.enum_type and value not in field.enum_type.values_by_number:
        return f"{value} is not a value of {field.enum_type.name}"
    if field.message_type and field.message_type.full_name == "google.protobuf.Timestamp":
        return _check_timestamp(value.seconds, value.nanos)
    return ""


def _is_absent(request: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return not request.HasField(field.name)
    return not getattr(request, field.name)


def _is_required(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.REQUIRED in _option(field, field_behavior_pb2.field_behavior)


def _max_length(field: FieldDescriptor) -> int:
    return _option(field, options_pb2.max_length) or DEFAULT_MAX_LENGTH


def _option(declared: FieldDescriptor | MethodDescriptor, extension: Any) -> Any:
    return declared.GetOptions().Extensions[extension]


def _check_text(value: str, field: FieldDescriptor) -> str:
    if field.name.endswith("_id") and not _ID.fullmatch(value):
        return "must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -"
    most = _max_length(field)
    return f"must have at most {most} characters" if len(value) > most else ""


def _check_map(value: Mapping[str, str], field: FieldDescriptor) -> str:
    most = _max_length(field)
    if len(value) > most:
        return f"must have at most {most} entries"
    if any(len(key) > 64 or len(text) > 1000 for key, text in value.items()):
        return "keys have at most 64 characters, values 1000"
    return ""


def _check_timestamp(seconds: int, nanos: int) -> str:
    if not 0 <= nanos < 1_000_000_000 or nanos % 1000:
        return "must be whole microseconds"
    if not _FIRST <= seconds < _LAST:
        return f"must lie in the years {YEARS[0]} to {YEARS[-1]}"
    return ""
