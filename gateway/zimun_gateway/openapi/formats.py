"""What the strings and numbers of a request must be, as JSON Schema.

The server checks the same formats (`zimun/rpc/validation.py`); a test compares both, field by
field.
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from ..config import ID

Schema = dict[str, Any]

DEFAULT_MAX_LENGTH = 64
"""Characters of a string, or entries of a list or map, that declares no max_length."""

_FORMATS: dict[str, Schema] = {
    "ID": {"type": "string", "pattern": f"^{ID}$"},
    "DATE": {"type": "string", "format": "date"},
    "TIME_OF_DAY": {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
    "TIME_ZONE": {"type": "string", "maxLength": DEFAULT_MAX_LENGTH},
    "EMAIL": {"type": "string", "format": "email"},
}
"""The schema of each `StringFormat` of options.proto that has one of its own."""

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "description": "RFC 3339, in UTC where Zimun writes it; whole microseconds.",
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^[0-9]{1,9}(\.[0-9]{1,6})?s$",
        "description": "Seconds and an `s`, such as `1800s`.",
        "examples": ["1800s"],
    },
    "google.protobuf.FieldMask": {
        "type": "string",
        "pattern": r"^(\*|[a-z_.]+(,[a-z_.]+)*)?$",
        "description": "Names of fields, separated by commas.",
    },
    "google.protobuf.Empty": {"type": "object"},
}

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}


def well_known() -> dict[str, Schema]:
    """Schemas of the messages whose JSON is not an object of their fields, by full name."""
    return _WELL_KNOWN


def response_scalar(field: FieldDescriptor) -> Schema:
    """The schema of a scalar that Zimun writes: no limit, as an absent text is the empty one."""
    return dict(_SCALARS[field.type])


def request_scalar(field: FieldDescriptor, limit: int | None, string_format: str) -> Schema:
    """The schema of a scalar that callers write.

    `limit` is the field's declared max_length, `string_format` the name of its `StringFormat`.
    """
    if field.type != FieldDescriptor.TYPE_STRING:
        return dict(_SCALARS[field.type])
    schema = _FORMATS.get(string_format, {"type": "string"})
    is_bounded = string_format not in _FORMATS or string_format == "EMAIL"
    return schema | ({"maxLength": limit or DEFAULT_MAX_LENGTH} if is_bounded else {})
