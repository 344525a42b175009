"""Strict parsing of JSON requests: what the transcoder would drop or misread is refused.

It drops body fields that the contract does not name and has no option that says otherwise, so with
a misspelt `staff_id` any staff member would be booked. It accepts texts in single quotes and other
input that is not JSON (RFC 8259), the last of two members of one name, dates such as 2026-2-20,
numbers such as +5 and 05, booleans such as t and yes, and query parameters for fields of the path
or the body. It takes a PATCH without a body, and passes on ids that are not UTF-8.
`lua/request.lua` checks path and query, `lua/json.lua` walks the body beside the contract's field
names, and `lua/formats.lua` checks timestamps, durations, numbers and booleans. They stop at the
first fault.

Only here it is known which fields a body names: the transcoder drops those that are empty, 0 or
null. So a PATCH without an `update_mask` gets one of the fields that its body names (AIP-134).

They check nothing else: values of a wrong type are refused by the transcoder, and `lua/answer.lua`
writes the response to both.
"""

from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.api.field_behavior_pb2 import IDENTIFIER, OUTPUT_ONLY, field_behavior
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .config import Config, extension, typed
from .descriptor_set import PACKAGE, is_map, methods, nested, written
from .http_rules import Rule, rules_of
from .settings import Settings
from .transcoder_errors import FORMATS, SCALARS, constants

_FILTER = "envoy.filters.http.lua"
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
    rules = rules_of(methods(descriptors))
    roots = [message for rule in rules for message in (rule.request, rule.body_message)]
    messages = written(message for message in roots if message)
    tables = [f'  ["{name}"] = {{{_fields(messages[name])}}},' for name in sorted(messages)]
    parts = ["local MESSAGES = {", *tables, "}", *_paths(rules), *constants(descriptors)]
    return "\n".join([*parts, *map(_script, _SCRIPTS)])


def _script(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text()


def _table(rule: Rule) -> str:
    """A rule, as far as the scripts know it, by its verb.

    `elsewhere` are the fields that the query must not set, `variables` those of the path as the
    server names them. `message` is that of the body, `root` the field of the request that is the
    body, `mask` the field mask that follows from the body where the query has none.
    """
    names = [f"{name} = true" for field in rule.elsewhere for name in _names(field)]
    variables = ", ".join(f'"{name.rpartition(".")[2]}"' for name in rule.variables)
    message, root, mask = rule.body_message, rule.body.strip("*"), _mask(rule)
    parts = [
        f'request = "{rule.request.full_name}"',
        f"variables = {{{variables}}}",
        f"elsewhere = {{{', '.join(dict.fromkeys(names))}}}",
        *([f'message = "{message.full_name}"'] if message else []),
        *([f'root = "{root}"'] if root else []),
        *([f'mask = "{mask}"'] if mask else []),
    ]
    return f"{rule.verb.upper()} = {{{', '.join(parts)}}}"


def _paths(rules: list[Rule]) -> Iterator[str]:
    """Lines of Lua: rules by their verbs, by paths as they are and by patterns of paths."""
    exact: defaultdict[str, list[str]] = defaultdict(list)
    patterns: defaultdict[str, list[str]] = defaultdict(list)
    for rule in rules:
        if "{" in rule.template:
            patterns[_pattern(rule.template)].append(_table(rule))
        else:
            exact[rule.template].append(_table(rule))
    for name, tables in (("PATHS", exact), ("PATTERNS", patterns)):
        yield f"local {name} = {{"
        yield from (f'  ["{path}"] = {{{", ".join(of)}}},' for path, of in tables.items())
        yield "}"


def _mask(rule: Rule) -> str:
    """The name of the field mask of an update; empty without one."""
    fields = rule.request.fields if rule.verb == "patch" else ()
    return next((field.name for field in fields if _is_of(field, _MASK)), "")


def _is_of(field: FieldDescriptor, message: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == message


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
    elif field.type in SCALARS:
        yield f'format = "{SCALARS[field.type]}"'
    elif _is_of(field, _MASK):
        yield "repeats = true"
