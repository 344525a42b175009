"""Body fields that the contract does not name are refused, never dropped.

Envoy's transcoder drops them and has no option that says otherwise, so a misspelt `staff_id` would
book anybody. A Lua filter walks the body beside the contract's field names and stops at the first
that is none, and at a list or an object where the contract has none: the transcoder does not say
where it found those, and sends the server nonsense for an object in a map of strings. It judges
nothing else: what is malformed or mistyped is the transcoder's to refuse, and `malformed.py` makes
the answer to both.
"""

from collections.abc import Iterator
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from .contract import methods
from .malformed import naming_hook
from .proto import Config, extension, typed
from .settings import Settings

_FILTER = "envoy.filters.http.lua"
_VERBS = ("post", "put", "patch", "delete", "get")

_WALK = """
local walk

-- Each takes a position in the text s and gives the one after what it read; nil for malformed JSON.
-- What the contract forbids is nil, the path of the field, and what is wrong with it.
local function text(s, i)
  while true do
    i = s:find('["\\\\]', i + 1)
    if not i then return nil end
    if s:byte(i) == 34 then return i + 1 end
    i = i + 1
  end
end

local function object(s, i, shape, depth)
  local fields = MESSAGES[shape.message]
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 125 do
    local stop = s:byte(i) == 34 and text(s, i)
    if not stop then return nil end
    local name = s:sub(i + 1, stop - 2)
    local inner = shape.values or fields[name]
    if not inner then return nil, name, "is unknown" end
    local value = s:match("^%s*:()", stop)
    if not value then return nil end
    local after, path, why = walk(s, value, inner, depth)
    if not after then
      if not path then return nil end
      if shape.values then return nil, path, "each value " .. why end
      return nil, path == "" and name or name .. "." .. path, why
    end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

local function array(s, i, shape, depth)
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 93 do
    local after, path, why = walk(s, i, shape.elements, depth)
    if not after then return nil, path, why end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

walk = function(s, i, shape, depth)
  i = s:find("%S", i)
  if not i or depth == 0 then return nil end
  local first = s:byte(i)
  if first == 123 then
    if not (shape.message or shape.values) then return nil, "", "must not be an object" end
    return object(s, i, shape, depth - 1)
  end
  if first == 91 then
    if not shape.elements then return nil, "", "must not be a list" end
    return array(s, i, shape, depth - 1)
  end
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
  local _, path, why = walk(body:getBytes(0, body:length()), 1, {message = message}, 100)
  if path and path ~= "" then
    handle:respond({[":status"] = "400"}, "field " .. why .. ": " .. path)
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
    """The contract as Lua tables, the walk, and the hook that answers."""
    rules = [(verb, path, body) for m in methods(descriptors) for verb, path, body in _bodies(m)]
    messages: dict[str, Descriptor] = {}
    for _, _, body in rules:
        _collect(body, messages)
    lines = [
        f'  {{"{verb}", "{_pattern(path)}", "{body.full_name}"}},' for verb, path, body in rules
    ]
    tables = [f'  ["{name}"] = {{{_fields(messages[name])}}},' for name in sorted(messages)]
    parts = ["local RULES = {", *lines, "}", "local MESSAGES = {", *tables, "}", _WALK.strip()]
    return "\n".join([*parts, naming_hook(descriptors)])


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
    """The message of an object field, or of the values of a map. The well-known types have JSON of
    their own."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _nested(message.fields_by_name["value"])
    return None if message is None or message.file.package == "google.protobuf" else message


def _fields(message: Descriptor) -> str:
    """Every name by which JSON may call a field, and the shape of its value."""
    pairs = []
    for field in message.fields:
        names = dict.fromkeys((field.name, field.json_name))
        pairs += [f"{name} = {_shape(field)}" for name in names]
    return ", ".join(pairs)


def _shape(field: FieldDescriptor) -> str:
    """A Lua table: what is inside an object or a list; empty for what is neither.

    A contract with google.protobuf.Struct or its like, whose JSON is any object, is not foreseen.
    """
    inner = _nested(field)
    one = "{}" if inner is None else f'{{message = "{inner.full_name}"}}'
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"{{values = {one}}}"
    return f"{{elements = {one}}}" if field.is_repeated else one
