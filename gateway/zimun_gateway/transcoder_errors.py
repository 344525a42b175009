"""Names the field that a refused request got wrong, in the words and the shape of the server.

Envoy's transcoder tells it only in the text of its answer ("seats: invalid value ..."), which no
setting can take apart. So `lua/answer.lua` rewrites the answers that carry the MARK of
`local_replies.py`, and leaves all others alone once it has seen their headers. Of the text it keeps
the field's name and nothing else: the rest is the caller's own input, type names, and details that
differ between versions of Envoy.

The text reaches it as Envoy wrote it into JSON, and the name is put into JSON again without being
decoded, so that it stays escaped.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from .descriptor_set import methods, written
from .local_replies import MARK, body

_TEXTS = {
    "NO_OBJECT": "the body must be a JSON object",
    "NO_JSON": "the body is not JSON as RFC 8259 has it, at byte ",
}

FORMATS = {
    "google.protobuf.Timestamp": (
        "timestamp",
        "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z",
    ),
    "google.protobuf.Duration": ("duration", "must be a duration in seconds, such as 1800s"),
}
"""What a text must be, by the type of its field: the format's name in Lua, and what to say."""

_TYPES = {
    "TYPE_STRING": "must be a string",
    "TYPE_BOOL": "must be true or false",
    "TYPE_INT32": "must be a whole number of 32 bits",
    "TYPE_INT64": "must be a whole number of 64 bits",
    "type.googleapis.com/google.protobuf.FieldMask": "must be field names separated by commas",
    **{f"type.googleapis.com/{name}": says for name, (_, says) in FORMATS.items()},
}
"""By what the transcoder calls a type; what the contract has besides is added to them."""

SCALARS = {
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_BOOL: "bool",
}
"""The formats of what JSON may have as texts, and a query always has, by their types."""


def constants(descriptors: Path) -> Iterator[str]:
    """Yield lines of Lua: the texts and tables that the scripts say refusals with."""
    answers = {"INVALID_FIELD": _invalid_field(), "REQUEST_REFUSED": _refused()}
    for name, text in ({"MARK": MARK} | _TEXTS | answers).items():
        yield f"local {name} = [=[{text}]=]"
    yield table("TYPES", dict(_own_types(descriptors)) | _TYPES)
    scalars = {name: _TYPES[f"TYPE_{name.upper()}"] for name in SCALARS.values()}
    yield table("SAYS", dict(FORMATS.values()) | scalars)


def table(name: str, texts: dict[str, str]) -> str:
    """A Lua table of texts."""
    lines = [f'  ["{key}"] = "{text}",' for key, text in sorted(texts.items())]
    return "\n".join([f"local {name} = {{", *lines, "}"])


def _invalid_field() -> str:
    info = ErrorInfo(reason="INVALID_FIELD", domain="zimun", metadata={"field": "$field"})
    bad = BadRequest()
    bad.field_violations.add(field="$field", description="$why")
    return _compact(body(Code.INVALID_ARGUMENT, "$field: $why", [info, bad]))


def _refused() -> str:
    info = ErrorInfo(reason="REQUEST_REFUSED", domain="zimun")
    return _compact(body(Code.INVALID_ARGUMENT, "$message", [info]))


def _compact(answer: object) -> str:
    return json.dumps(answer, separators=(",", ":"))


def _own_types(descriptors: Path) -> Iterator[tuple[str, str]]:
    """What the enums, maps and messages in requests must be."""
    for message in written(method.input_type for method in methods(descriptors)).values():
        for field in message.fields:
            if field.enum_type is not None:
                yield _url(field.enum_type), f"must be one of {_values(field.enum_type)}"
            elif field.message_type is not None:
                yield _url(field.message_type), "must be an object"


def _url(kind: Descriptor | EnumDescriptor) -> str:
    return f"type.googleapis.com/{kind.full_name}"


def _values(enum: EnumDescriptor) -> str:
    """Every value except the unspecified one (AIP-126)."""
    return ", ".join(value.name for value in enum.values if value.number != 0)
