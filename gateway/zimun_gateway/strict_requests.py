"""Strict parsing of JSON requests: what the transcoder would drop or misread is refused.

It drops body fields that the contract does not name and has no option that says otherwise, so with
a misspelt `staff_id` any staff member would be booked. It accepts texts in single quotes and other
input that is not JSON (RFC 8259), the last of two members of one name, dates such as 2026-2-20,
numbers such as +5 and 05, and query parameters for fields of the path or the body. It takes a PATCH
without a body, and passes on ids that are not UTF-8. `lua/request.lua` checks path and query,
`lua/json.lua` walks the body beside the contract's field names, and `lua/formats.lua` checks
timestamps, durations and numbers. They stop at the first fault.

Only here it is known which fields a body names: the transcoder drops those that are empty, 0 or
null. So a PATCH without an `update_mask` gets one of the fields that its body names (AIP-134).

They check nothing else: values of a wrong type are refused by the transcoder, and `lua/answer.lua`
writes the response to both.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.field_behavior_pb2 import IDENTIFIER, OUTPUT_ONLY, field_behavior
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from .config import Config, extension, typed
from .descriptor_set import PACKAGE, is_map, methods, nested, written
from .settings import Settings
from .transcoder_errors import FORMATS, NUMBERS, constants

_FILTER = "envoy.filters.http.lua"
_VARIABLE = re.compile(r"\{([\w.]+)\}")
_MASK = "google.protobuf.FieldMask"
"""A query may have several: they are one mask."""
_FIXED = ("id", "etag")
"""Fields of a resource that no update changes, besides those that are OUTPUT_ONLY or IDENTIFIER."""
_SCRIPTS = ("formats", "json", "request", "answer")


def strict_body_filter(settings: Settings) -> Config:
    """Disabled except on routes with `strict_bodies`."""
    source = _source(settings.descriptors)
    lua = extension(
        _FILTER,
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": source},
        clear_route_cache=False,
    )
    return lua | {"disabled": True}


def strict_bodies() -> Config:
    """For the JSON route's typed_per_filter_config."""
    return {_FILTER: typed("config.route.v3.FilterConfig", config={})}


def _source(descriptors: Path) -> str:
    """The contract as Lua tables, and the scripts that read them."""
    rules = [rule for method in methods(descriptors) for rule in _rules(method)]
    messages = written(message for rule in rules for message in rule.messages())
    tables = [f'  ["{name}"] = {{{_fields(messages[name])}}},' for name in sorted(messages)]
    parts = ["local MESSAGES = {", *tables, "}", *_paths(rules), *constants(descriptors)]
    return "\n".join([*parts, *map(_script, _SCRIPTS)])


def _script(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text()


@dataclass(frozen=True, slots=True)
class _Rule:
    """One HTTP rule of a method, as far as the scripts know it."""

    verb: str
    path: str
    request: Descriptor
    """The message whose fields a query may set."""
    body: Descriptor | None
    """The message of the body; None without a body."""
    root: str
    """The field of the request that is the body; empty where the whole request is."""
    elsewhere: list[FieldDescriptor]
    """Fields in the path or the body, which the query must not set."""
    variables: list[str]
    """The fields in the path, as the server names them."""
    mask: str
    """The field mask that follows from the body where the query has none; empty except for
    PATCH."""

    def messages(self) -> list[Descriptor]:
        return [self.request, self.body] if self.body else [self.request]

    def table(self) -> str:
        names = [f"{name} = true" for field in self.elsewhere for name in _names(field)]
        variables = ", ".join(f'"{name}"' for name in self.variables)
        parts = [
            f'request = "{self.request.full_name}"',
            f"variables = {{{variables}}}",
            f"elsewhere = {{{', '.join(dict.fromkeys(names))}}}",
            *([f'message = "{self.body.full_name}"'] if self.body else []),
            *([f'root = "{self.root}"'] if self.root else []),
            *([f'mask = "{self.mask}"'] if self.mask else []),
        ]
        return f"{self.verb} = {{{', '.join(parts)}}}"


def _paths(rules: list[_Rule]) -> Iterator[str]:
    """Lines of Lua: rules by their verbs, by paths as they are and by patterns of paths."""
    exact: defaultdict[str, list[str]] = defaultdict(list)
    patterns: defaultdict[str, list[str]] = defaultdict(list)
    for rule in rules:
        if "{" in rule.path:
            patterns[_pattern(rule.path)].append(rule.table())
        else:
            exact[rule.path].append(rule.table())
    for name, tables in (("PATHS", exact), ("PATTERNS", patterns)):
        yield f"local {name} = {{"
        yield from (f'  ["{path}"] = {{{", ".join(of)}}},' for path, of in tables.items())
        yield "}"


def _rules(method: MethodDescriptor) -> Iterator[_Rule]:
    rule: HttpRule = method.GetOptions().Extensions[http]
    request = method.input_type
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb is None:
            continue
        path: str = getattr(binding, verb)
        root = binding.body.strip("*")
        variables = [name.split(".") for name in _VARIABLE.findall(path)]
        path_fields = [name for name in (*(names[0] for names in variables), root) if name]
        elsewhere = [request.fields_by_name[name] for name in path_fields]
        if binding.body == "*":
            elsewhere = list(request.fields)
        body = _message(method, binding.body)
        named = [names[-1] for names in variables]
        mask = _mask(request) if verb == "patch" else ""
        yield _Rule(verb.upper(), path, request, body, root, elsewhere, named, mask)


def _mask(request: Descriptor) -> str:
    """The name of the field mask of a request; empty without one."""
    return next((field.name for field in request.fields if _is_of(field, _MASK)), "")


def _is_of(field: FieldDescriptor, message: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == message


def _message(method: MethodDescriptor, body: str) -> Descriptor | None:
    """The message that a rule's `body` stands for."""
    if body in ("", "*"):
        return method.input_type if body else None
    return method.input_type.fields_by_name[body].message_type


def _pattern(path: str) -> str:
    """A path template as a Lua pattern, which captures its variables: each is one segment."""
    segments = ["([^/]+)" if "{" in part else _escaped(part) for part in path.split("/")]
    return "^" + "/".join(segments) + "$"


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() else f"%{char}" for char in text)


def _fields(message: Descriptor) -> str:
    """A list of shapes with the names by which JSON may call them."""
    return ", ".join(
        f'{{name = "{field.name}", json = "{field.json_name}"{_shape(field)}{_update(field)}}}'
        for field in message.fields
    )


def _update(field: FieldDescriptor) -> str:
    """How an update treats a field: `fixed` never changes; of `parts` those that are named do."""
    behaviors = field.GetOptions().Extensions[field_behavior]
    if field.name in _FIXED or not {OUTPUT_ONLY, IDENTIFIER}.isdisjoint(behaviors):
        return ", fixed = true"
    inner = nested(field)
    is_own_message = inner is not None and inner.file.package == PACKAGE
    return ", parts = true" if is_own_message and not field.is_repeated else ""


def _names(field: FieldDescriptor) -> list[str]:
    return list(dict.fromkeys((field.name, field.json_name)))


def _shape(field: FieldDescriptor) -> str:
    """What is inside an object or a list, and what a text must be; nothing for anything else.

    A contract with google.protobuf.Struct or its like, whose JSON is any object, is not foreseen.
    """
    shape = ", ".join(_inside(field))
    if is_map(field):
        return f", values = {{{shape}}}"
    if field.is_repeated:
        return f", elements = {{{shape}}}"
    return f", {shape}" if shape else ""


def _inside(field: FieldDescriptor) -> Iterator[str]:
    inner = nested(field)
    if inner is not None:
        yield f'message = "{inner.full_name}"'
    elif field.message_type is not None and field.message_type.full_name in FORMATS:
        yield f'format = "{FORMATS[field.message_type.full_name][0]}"'
    elif field.type in NUMBERS:
        yield f'format = "{NUMBERS[field.type]}"'
    elif _is_of(field, _MASK):
        yield "repeats = true"
