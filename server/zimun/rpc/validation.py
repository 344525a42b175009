"""What the compiled protos declare about methods and fields."""

import calendar
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache, partial
from itertools import islice
from typing import Any

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from google.api import field_behavior_pb2
from google.api.annotations_pb2 import http
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from zimun.domain.availability.opening_hours import is_zone
from zimun.domain.errors import InvalidRequest
from zimun.domain.identity import ID
from zimun.domain.text import check_key, check_line, check_lines
from zimun.v1 import (
    appointments_service_pb2,
    availability_service_pb2,
    contacts_service_pb2,
    locations_service_pb2,
    options_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)

FILES = (
    appointments_service_pb2,
    availability_service_pb2,
    contacts_service_pb2,
    locations_service_pb2,
    organizations_service_pb2,
    overrides_service_pb2,
    resources_service_pb2,
    services_service_pb2,
    staff_service_pb2,
    time_off_service_pb2,
)

DEFAULT_MAX_LENGTH = 64
"""Characters of a string, or entries of a list or map, that declares no max_length."""

MAX_VIOLATIONS = 20
"""Violations that an error names, as they are sent as metadata, whose size is limited."""

MAX_DESCRIPTION = 200
"""Characters that a violation quotes of a parser's message."""

MAX_PATH_LENGTH = 128
"""Characters of a path in a field mask."""

YEARS = range(1971, 9998)
"""The years of times in requests: each of their instants has a date in every zone."""

_FIRST = calendar.timegm((YEARS.start, 1, 1, 0, 0, 0))
_LAST = calendar.timegm((YEARS.stop, 1, 1, 0, 0, 0))

Check = Callable[[Message], str]
"""The violation of one field of a message; empty where the field is valid."""

NestedMessages = Callable[[Message], Iterable[tuple[str, Message]]]
"""The messages in one field of a message, each with its index such as `[1]` (empty in no list)."""

PACKAGE = "zimun.v1"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]+"
)
"""Most addresses; validating one of them takes the library thirty times as long as this."""

_SPECIAL_USE = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)

_MAX_DURATION = Duration(seconds=10 * 366 * 24 * 3600)


def services() -> Iterator[ServiceDescriptor]:
    """Every service of the contract."""
    for file in FILES:
        yield from file.DESCRIPTOR.services_by_name.values()


def required_scopes() -> Mapping[str, str]:
    """The scope of each method, by its path `/package.Service/Method`.

    Raises LookupError for a method that declares no scope: it must not be served.
    """
    scopes = {}
    for service in services():
        for method in service.methods:
            scope = _option(method, options_pb2.required_scope)
            if not scope:
                raise LookupError(f"{method.full_name} declares no required_scope")
            scopes[f"/{service.full_name}/{method.name}"] = scope
    return scopes


@cache
def field_scopes(request: Descriptor) -> Sequence[tuple[str, str]]:
    """The (name, scope) of each field of a request that needs a scope of its own."""
    declared = ((field.name, _option(field, options_pb2.field_scope)) for field in request.fields)
    return [(name, scope) for name, scope in declared if scope]


def scopes_of(request: Message) -> Iterator[str]:
    """The scopes that the set fields of a request need, beside the scope of the method."""
    for name, scope in field_scopes(request.DESCRIPTOR):
        if getattr(request, name):
            yield scope


def check(request: Message) -> None:
    """Raise InvalidRequest for the fields of a request that break their declarations.

    Required fields must be set; strings must have their declared format, and texts the
    characters of their kind; strings, lists and maps have a maximum length; enum values must
    be known; times must lie in YEARS. Fields are named as in the JSON body, such as
    `weekly_hours[1].end_time`. Only the first MAX_VIOLATIONS are named.
    """
    violations_by_field = violations_of(request, body_field(request.DESCRIPTOR))
    violations = dict(islice(violations_by_field, MAX_VIOLATIONS))
    if violations:
        raise InvalidRequest(violations)


@cache
def body_field(request: Descriptor) -> str:
    """The field of a request that is the JSON body; empty where all of it is."""
    for service in services():
        for method in service.methods:
            if method.input_type is request:
                body: str = _option(method, http).body
                return "" if body == "*" else body
    return ""


def violations_of(message: Message, body: str = "") -> Iterator[tuple[str, str]]:
    """The path and the violation of each invalid field.

    Paths within the field `body` do not begin with its name, as in the JSON body.
    """
    for name, violation_of, nested_messages in _checks(message.DESCRIPTOR):
        if violation := violation_of(message):
            yield name, violation
        elif nested_messages:
            for index, nested in nested_messages(message):
                for path, violation in violations_of(nested):
                    yield path if name == body else f"{name}{index}.{path}", violation


@cache
def _checks(message: Descriptor) -> Sequence[tuple[str, Check, NestedMessages | None]]:
    """For each field its name, its check and its nested messages, read from the descriptor once."""
    fields: Iterable[Any] = message.fields
    return [
        (field.name, _presence(field, _value_check(field)), _nested_messages(field))
        for field in fields
    ]


def _nested_messages(field: FieldDescriptor) -> NestedMessages | None:
    """The getter of the contract's messages in a field; None for a field of another type."""
    nested, name = field.message_type, field.name
    if nested is None or nested.file.package != PACKAGE or nested.GetOptions().map_entry:
        return None
    if field.is_repeated:
        return lambda message: (
            (f"[{n}]", element) for n, element in enumerate(getattr(message, name))
        )
    return lambda message: [("", getattr(message, name))] if message.HasField(name) else ()


def _presence(field: FieldDescriptor, check_value: Callable[[Any], str]) -> Check:
    """A check that a required field is set, and that the value of a set field is valid."""
    name, has_presence = field.name, field.has_presence
    required = field_behavior_pb2.REQUIRED in _option(field, field_behavior_pb2.field_behavior)
    absence = "is required" if required else ""

    def violation_of(request: Message) -> str:
        if has_presence:
            return check_value(getattr(request, name)) if request.HasField(name) else absence
        value = getattr(request, name)
        return check_value(value) if value else absence

    return violation_of


def _value_check(field: FieldDescriptor) -> Callable[[Any], str]:
    limit = _option(field, options_pb2.max_length) or DEFAULT_MAX_LENGTH
    if field.message_type and field.message_type.GetOptions().map_entry:
        return partial(_check_map, limit, _text_check(field))
    check_value = _check_of_value(field, limit)
    return partial(_check_list, limit, check_value) if field.is_repeated else check_value


def _check_of_value(field: FieldDescriptor, limit: int) -> Callable[[Any], str]:
    if field.type == field.TYPE_STRING:
        declared = _FORMATS.get(_option(field, options_pb2.format))
        return partial(_check_format, limit, declared or _text_check(field))
    if field.enum_type:
        return partial(_check_enum, field.enum_type)
    if field.message_type:
        return _MESSAGES.get(field.message_type.full_name, lambda value: "")
    return lambda value: ""


def _text_check(field: FieldDescriptor) -> Callable[[str], str]:
    several = _option(field, options_pb2.text) == options_pb2.SEVERAL_LINES
    return check_lines if several else check_line


def _check_format(limit: int, check: Callable[[str], str], value: str) -> str:
    """Check the length first, as a parser may take quadratic time, then the format."""
    return check(value) if len(value) <= limit else f"must have at most {limit} characters"


def _check_id(value: str) -> str:
    return "" if ID.fullmatch(value) else "must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -"


def _check_date(value: str) -> str:
    try:
        is_valid = bool(_DATE.fullmatch(value)) and date.fromisoformat(value).year in YEARS
    except ValueError:
        is_valid = False
    return "" if is_valid else "must be a date, YYYY-MM-DD"


def _check_zone(value: str) -> str:
    return "" if is_zone(value) else "must be an IANA time zone"


def _check_email(value: str) -> str:
    """The violation of an address that RFC 5321 does not allow; it need not exist."""
    if _is_plain_email(value):
        return ""
    try:
        validate_email(value, check_deliverability=False)
    except EmailNotValidError as error:
        return str(error)[:MAX_DESCRIPTION]
    return ""


def _is_plain_email(value: str) -> bool:
    """Whether an address is certainly valid, by one regular expression: most are."""
    return (
        len(value) < 64
        and _PLAIN_EMAIL.fullmatch(value) is not None
        and not value.lower().endswith(_SPECIAL_USE)
    )


def _check_time(value: str) -> str:
    return "" if _TIME.fullmatch(value) else "must be a time of day, 00:00 to 24:00"


def _check_phone(value: str) -> str:
    """The violation of a phone number: one line; after a + of a length that its country allows."""
    from phonenumbers import NumberParseException, is_possible_number, parse

    if (violation := check_line(value)) or not value.startswith("+"):
        return violation
    try:
        possible = is_possible_number(parse(value))
    except NumberParseException:
        possible = False
    return "" if possible else "must be a phone number of the country that follows the +"


_FORMATS: Mapping[int, Callable[[str], str]] = {
    options_pb2.ID: _check_id,
    options_pb2.DATE: _check_date,
    options_pb2.TIME_OF_DAY: _check_time,
    options_pb2.TIME_ZONE: _check_zone,
    options_pb2.EMAIL: _check_email,
    options_pb2.PHONE: _check_phone,
}
"""The check of each `StringFormat` that a field may declare."""


def _check_enum(enum: EnumDescriptor, value: int) -> str:
    return "" if value in enum.values_by_number else f"{value} is not a value of {enum.name}"


def _check_list(limit: int, check_value: Callable[[Any], str], values: Sequence[Any]) -> str:
    if len(values) > limit:
        return f"must have at most {limit} entries"
    return next(filter(None, map(check_value, values)), "")


def _check_map(limit: int, check_value: Callable[[str], str], value: Mapping[str, str]) -> str:
    if len(value) > limit:
        return f"must have at most {limit} entries"
    if any(len(key) > 64 or len(text) > 1000 for key, text in value.items()):
        return "keys have at most 64 characters, values 1000"
    return next(filter(None, (*map(check_key, value), *map(check_value, value.values()))), "")


def _check_timestamp(value: Timestamp) -> str:
    if not 0 <= value.nanos < 1_000_000_000 or value.nanos % 1000:
        return "must be whole microseconds"
    if not _FIRST <= value.seconds < _LAST:
        return f"must lie in the years {YEARS[0]} to {YEARS[-1]}"
    return ""


def _check_duration(value: Duration) -> str:
    whole = 0 <= value.nanos < 1_000_000_000 and value.nanos % 1000 == 0
    if not whole or not 0 <= value.seconds <= _MAX_DURATION.seconds:
        return "must be whole microseconds, and no more than 10 years"
    return ""


def _check_mask(value: FieldMask) -> str:
    if len(value.paths) > DEFAULT_MAX_LENGTH:
        return f"must name at most {DEFAULT_MAX_LENGTH} fields"
    if any(len(path) > MAX_PATH_LENGTH for path in value.paths):
        return f"a field's path has at most {MAX_PATH_LENGTH} characters"
    return ""


_MESSAGES: Mapping[str, Callable[[Any], str]] = {
    Timestamp.DESCRIPTOR.full_name: _check_timestamp,
    Duration.DESCRIPTOR.full_name: _check_duration,
    FieldMask.DESCRIPTOR.full_name: _check_mask,
}


def _option(declared: FieldDescriptor | MethodDescriptor, extension: Any) -> Any:
    return declared.GetOptions().Extensions[extension]
