"""Messages and enums as JSON Schema 2020-12.

A message that callers write and Zimun writes too has two schemas: what callers send has limits and
may leave fields out (`ServiceInput`); what Zimun answers has every field that always has a value.
"""

from collections.abc import Iterable
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from ..descriptor_set import is_map, written
from . import formats
from .annotated import Api
from .formats import Schema

ERROR = "Error"
_STATUS, _ANY = "google.rpc.Status", "google.protobuf.Any"
_RENAMED = {_STATUS: ERROR, _ANY: "ErrorDetail"}
_OWN_PACKAGE = "zimun."

DETAILS = (
    "google.rpc.ErrorInfo",
    "google.rpc.BadRequest",
    "google.rpc.RetryInfo",
    "zimun.v1.SlotAlternatives",
)
"""The messages that `details` of an error may have."""


class Schemas:
    """The schemas of the contract's messages, and their names in `components`."""

    def __init__(
        self,
        api: Api,
        requests: Iterable[Descriptor],
        responses: Iterable[Descriptor],
        queries: Iterable[Descriptor],
    ) -> None:
        """`requests` and `responses` are the bodies; fields of `queries` are parameters."""
        self._api = api
        self._queries = list(queries)
        self._requests = written(requests)
        self._responses = written([*responses, *map(api.message, DETAILS)])

    def components(self) -> dict[str, Schema]:
        """Every schema by its name, sorted."""
        schemas = {
            self._name(message, request): self.message(message, request)
            for request, messages in ((False, self._responses), (True, self._requests))
            for message in messages.values()
            if message.full_name not in _RENAMED and message.full_name not in formats.well_known()
        }
        return dict(sorted((schemas | self._shared()).items()))

    def reference(self, message: Descriptor, request: bool) -> Schema:
        """A reference to the schema of a message, or the schema itself of a well-known type."""
        if message.full_name in formats.well_known():
            return dict(formats.well_known()[message.full_name])
        return {"$ref": f"#/components/schemas/{self._name(message, request)}"}

    def message(self, message: Descriptor, request: bool) -> Schema:
        """The schema of an object with the fields of the message."""
        if message.full_name in formats.well_known():
            return dict(formats.well_known()[message.full_name])
        required = _required(message) if request else _always_written(message)
        properties = {field.name: self.field(field, request) for field in message.fields}
        if message.full_name in DETAILS:
            required = ["@type", *required]
            url = f"type.googleapis.com/{message.full_name}"
            properties = {"@type": {"type": "string", "const": url}, **properties}
        return {
            "type": "object",
            "description": self._description(message),
            "properties": properties,
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if request else {}),
        }

    def field(self, field: FieldDescriptor, request: bool) -> Schema:
        """The schema of a field's value, with the comment of the field."""
        schema = self._value(field, request)
        comment = self._description(field)
        return schema | {"description": comment} if comment else schema

    def _value(self, field: FieldDescriptor, request: bool) -> Schema:
        limit = self._api.option(field, "max_length") if request else None
        if is_map(field):
            return _map(limit, request)
        element = self._element(field, request, None if field.is_repeated else limit)
        if not field.is_repeated:
            return element
        bound = {"maxItems": limit or formats.DEFAULT_MAX_LENGTH} if request else {}
        return {"type": "array", "items": element} | bound

    def _element(self, field: FieldDescriptor, request: bool, limit: int | None) -> Schema:
        if field.enum_type is not None:
            return {"$ref": f"#/components/schemas/{_joined(field.enum_type)}"}
        if field.message_type is not None:
            return self.reference(field.message_type, request)
        if not request:
            return formats.response_scalar(field)
        string_format = self._api.enum_option(field, "format")
        return formats.request_scalar(field, limit, string_format) | self._range(field)

    def _range(self, field: FieldDescriptor) -> Schema:
        bounds = {name: self._api.option(field, name) for name in ("minimum", "maximum")}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def _name(self, message: Descriptor, request: bool) -> str:
        name = _RENAMED.get(message.full_name, _joined(message))
        answered = message.full_name in self._responses
        return f"{name}Input" if request and answered else name

    def _shared(self) -> dict[str, Schema]:
        """The enums of all messages, and the schema of errors."""
        messages = [*self._requests.values(), *self._responses.values(), *self._queries]
        enums = [field.enum_type for message in messages for field in message.fields]
        schemas = {_joined(enum): self._enum(enum) for enum in enums if enum is not None}
        details = [self.reference(self._api.message(name), False) for name in DETAILS]
        return schemas | {ERROR: _error(), "ErrorDetail": {"anyOf": details}}

    def _enum(self, enum: EnumDescriptor) -> Schema:
        """Every value except the unspecified one (AIP-126)."""
        values = [value.name for value in enum.values if value.number]
        comments = [self._api.comment(f"{enum.full_name}.{name}") for name in values]
        lines = [f"- `{name}`: {text}" for name, text in zip(values, comments, strict=True) if text]
        description = "\n".join([self._description(enum), "", *lines]).strip()
        return {"type": "string", "enum": values, "description": description}

    def _description(self, element: Any) -> str:
        """The comment; of Google's own types the first sentence, as the rest is about code."""
        comment = self._api.comment(element.full_name)
        return comment if element.full_name.startswith(_OWN_PACKAGE) else _sentence(comment)


def _error() -> Schema:
    return {
        "type": "object",
        "description": "A refusal (google.rpc.Status). Programs branch on the `reason` of its "
        "first detail and show its message.",
        "properties": {
            "code": {"type": "integer", "format": "int32", "description": "A google.rpc.Code."},
            "message": {"type": "string", "description": "For people."},
            "details": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/components/schemas/ErrorDetail"},
                "description": "An ErrorInfo first, then what else helps.",
            },
        },
        "required": ["code", "message", "details"],
    }


def _sentence(text: str) -> str:
    return text.partition("\n\n")[0].partition(". ")[0]


def _joined(element: Descriptor | EnumDescriptor) -> str:
    """`AppointmentState` for the enum State in the message Appointment."""
    parent = element.containing_type
    return f"{_joined(parent) if parent else ''}{element.name}"


def _map(limit: int | None, request: bool) -> Schema:
    if not request:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 1000},
        "propertyNames": {"maxLength": 64},
        "maxProperties": limit or formats.DEFAULT_MAX_LENGTH,
    }


def _required(message: Descriptor) -> list[str]:
    return [field.name for field in message.fields if is_required(field)]


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must have this field (google.api.field_behavior)."""
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviors


def _always_written(message: Descriptor) -> list[str]:
    """The fields that Envoy writes even where they are empty: those without presence."""
    return [field.name for field in message.fields if not field.has_presence]
