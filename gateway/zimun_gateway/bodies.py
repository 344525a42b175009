"""Body fields that the contract does not name are refused, never dropped.

Envoy's transcoder drops them and has no option that says otherwise, so a misspelt `staff_id` would
book anybody. A Lua filter walks the body beside the contract's field names and stops at the first
that is none. It judges nothing else: what is malformed or mistyped is the transcoder's to refuse.
"""

from collections.abc import Iterator
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from .contract import methods
from .proto import Config, extension, typed
from .settings import Settings

_FILTER = "envoy.filters.http.lua"
_VERBS = ("post", "put", "patch", "delete", "get")

_WALK = """
local walk

-- Each takes a position in the text s and gives the one after what it read; nil for malformed JSON,
-- and then the name of an unknown field if that is what stopped it.
local function text(s, i)
  while true do
    i = s:find('["\\\\]', i + 1)
    if not i then return nil end
    if s:byte(i) == 34 then return i + 1 end
    i = i + 1
  end
end

local function object(s, i, fields, depth)
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 125 do
    local stop = s:byte(i) == 34 and text(s, i)
    if not stop then return nil end
    local name = s:sub(i + 1, stop - 2)
    if fields and not fields[name] then return nil, name end
    local value = s:match("^%s*:()", stop)
    if not value then return nil end
    local after, unknown = walk(s, value, fields and MESSAGES[fields[name]], depth)
    if not after then return nil, unknown end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

local function array(s, i, fields, depth)
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 93 do
    local after, unknown = walk(s, i, fields, depth)
    if not after then return nil, unknown end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

walk = function(s, i, fields, depth)
  i = s:find("%S", i)
  if not i or depth == 0 then return nil end
  local first = s:byte(i)
  if first == 123 then return object(s, i, fields, depth - 1) end
  if first == 91 then return array(s, i, fields, depth - 1) end
  if first == 34 then return text(s, i) end
  return s:match("^[^%s,%]}]+()", i)
end

local function message_of(method, path)
  for _, rule in ipairs(RULES) do
    if rule[1] == method and path:match(rule[2]) then return rule[3] end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path"):match("^[^?]*")
  local message = message_of(headers:get(":method"), path)
  local body = message and handle:body()
  if not body or body:length() == 0 then return end
  local _, unknown = walk(body:getBytes(0, body:length()), 1, MESSAGES[message], 100)
  if unknown then
    handle:respond({[":status"] = "400"}, 'unknown field "' .. unknown:sub(1, 64) .. '"')
  end
end
"""


def strict_body_filter(settings: Settings) -> Config:
    """Asleep except on routes with `strict_bodies`."""
    source = _source(settings.descriptors)
    lua = extension(
        _FILTER,
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": source},
    )
    return lua | {"disabled": True}


def strict_bodies() -> Config:
    """For the JSON route's typed_per_filter_config."""
    return {_FILTER: typed("config.route.v3.FilterConfig", config={})}


def _source(descriptors: Path) -> str:
    """The contract as two Lua tables, and the walk."""
    rules = [(verb, path, body) for m in methods(descriptors) for verb, path, body in _bodies(m)]
    messages: dict[str, Descriptor] = {}
    for _, _, body in rules:
        _collect(body, messages)
    lines = [
        f'  {{"{verb}", "{_pattern(path)}", "{body.full_name}"}},' for verb, path, body in rules
    ]
    tables = [f'  ["{name}"] = {{{_fields(messages[name])}}},' for name in sorted(messages)]
    return "\n".join(
        ["local RULES = {", *lines, "}", "local MESSAGES = {", *tables, "}", _WALK.strip(), ""]
    )


def _bodies(method: MethodDescriptor) -> Iterator[tuple[str, str, Descriptor]]:
    """Verb, path and body message of each of the method's HTTP rules that has a body."""
    rule: HttpRule = method.GetOptions().Extensions[http]
    for binding in (rule, *rule.additional_bindings):
        verb = next((verb for verb in _VERBS if getattr(binding, verb)), "")
        body = method.input_type if binding.body == "*" else _field_message(method, binding.body)
        if body is not None and verb:
            yield verb.upper(), getattr(binding, verb), body


def _field_message(method: MethodDescriptor, name: str) -> Descriptor | None:
    """The message of the one field that is the body; None where there is no body."""
    return method.input_type.fields_by_name[name].message_type if name else None


def _pattern(path: str) -> str:
    """A path template as a Lua pattern: a variable is one segment."""
    segments = ["[^/]+" if "{" in part else _escaped(part) for part in path.split("/")]
    return "^" + "/".join(segments) + "/?$"


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() else f"%{char}" for char in text)


def _collect(message: Descriptor, found: dict[str, Descriptor]) -> None:
    """The message and all that are written inside it field by field."""
    found[message.full_name] = message
    for field in message.fields:
        inner = _nested(field)
        if inner is not None and inner.full_name not in found:
            _collect(inner, found)


def _nested(field: FieldDescriptor) -> Descriptor | None:
    """The message of an object field. A map has keys of its own, and the well-known types have JSON
    of their own."""
    message = field.message_type
    if message is None or message.GetOptions().map_entry:
        return None
    return None if message.file.package == "google.protobuf" else message


def _fields(message: Descriptor) -> str:
    """Every name by which JSON may call a field, and the message inside it if there is one."""
    pairs = []
    for field in message.fields:
        inner = _nested(field)
        value = "true" if inner is None else f'"{inner.full_name}"'
        names = dict.fromkeys((field.name, field.json_name))
        pairs += [f"{name} = {value}" for name in names]
    return ", ".join(pairs)
