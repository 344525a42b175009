"""What the transcoder would drop, or take for something else, is refused.

It drops body fields that the contract does not name and has no option that says otherwise, so a
misspelt `staff_id` would book anybody. A Lua filter walks the body beside the contract's field
names and stops at the first that is none. It stops too at a list, an object or a null where the
contract has none, and at anything but a list where it has one: the transcoder does not say where it
found those, or makes of them what nobody wrote. And a query must not say what is for the path or
the body to say, for the transcoder would believe the query.

It judges nothing else: what is malformed or mistyped is the transcoder's to refuse, and
`malformed.py` makes the answer to both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from .contract import is_map, methods, nested, written
from .malformed import naming_hook
from .proto import Config, extension, typed
from .settings import Settings

_FILTER = "envoy.filters.http.lua"
_VARIABLE = re.compile(r"\{(\w+)")

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

-- One value of a list or a map.
local function element(s, i, shape, depth)
  if s:find("^%s*null", i) then return nil, "", "each value must not be null" end
  local after, path, why = walk(s, i, shape, depth)
  return after, path, path == "" and "each value " .. why or why
end

local function object(s, i, shape, depth)
  local fields = MESSAGES[shape.message]
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 125 do
    local stop = s:byte(i) == 34 and text(s, i)
    if not stop then return nil end
    local name = s:sub(i + 1, stop - 2)
    if not (shape.values or fields[name]) then return nil, name, "is unknown" end
    local value = s:match("^%s*:()", stop)
    if not value then return nil end
    local after, path, why
    if shape.values then
      after, path, why = element(s, value, shape.values, depth)
    else
      after, path, why = walk(s, value, fields[name], depth)
      path = path and (path == "" and name or name .. "." .. path)
    end
    if not after then return nil, path, why end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

local function array(s, i, shape, depth)
  i = s:find("%S", i + 1)
  while i and s:byte(i) ~= 93 do
    local after, path, why = element(s, i, shape.elements, depth)
    if not after then return nil, path, why end
    i = s:match("^%s*,?%s*()", after)
  end
  return i and i + 1
end

walk = function(s, i, shape, depth)
  i = s:find("%S", i)
  if not i or depth == 0 then return nil end
  local first = s:byte(i)
  if first == 91 then
    if not shape.elements then return nil, "", "must not be a list" end
    return array(s, i, shape, depth - 1)
  end
  if shape.elements and first ~= 110 then return nil, "", "must be a list" end
  if first == 123 then
    if not (shape.message or shape.values) then return nil, "", "must not be an object" end
    return object(s, i, shape, depth - 1)
  end
  if first == 34 then return text(s, i) end
  return s:match("^[^%s,%]}]+()", i)
end

-- What a body of this message gets wrong.
local function refusal(s, message)
  local first = s:match("%S")
  if first ~= "{" then return first and NO_OBJECT end
  local _, path, why = walk(s, 1, {message = message}, 100)
  return path and "field " .. why .. ": " .. path
end

local function character(hex)
  return string.char(tonumber(hex, 16))
end

-- A query parameter that is for the path or the body to say.
local function misplaced(query, elsewhere)
  for name in query:gmatch("([^&=]+)=") do
    local field = name:gsub("%%(%x%x)", character):match("^[^.]*")
    if elsewhere[field] then return "field is no query parameter: " .. name end
  end
end

local function rule_of(method, path)
  for _, rule in ipairs(RULES) do
    if rule.verb == method and path:match(rule.path) then return rule end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)(.*)$")
  local rule = rule_of(headers:get(":method"), path)
  if not rule then return end
  local refused = misplaced(query:sub(2), rule.elsewhere)
  local body = not refused and rule.message and handle:body()
  if body and body:length() > 0 then
    refused = refusal(body:getBytes(0, body:length()), rule.message)
  end
  if refused then
    handle:respond({[":status"] = "400"}, refused)
  elseif rule.root then
    handle:streamInfo():dynamicMetadata():set("zimun", "root", rule.root)
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
    rules = [rule for method in methods(descriptors) for rule in _rules(method)]
    messages = written(rule.message for rule in rules if rule.message is not None)
    tables = [f'  ["{name}"] = {{{_fields(messages[name])}}},' for name in sorted(messages)]
    lines = [f"  {rule.table()}," for rule in rules if rule.elsewhere or rule.message]
    parts = ["local RULES = {", *lines, "}", "local MESSAGES = {", *tables, "}"]
    return "\n".join([*parts, naming_hook(descriptors), _WALK.strip(), ""])


@dataclass(frozen=True, slots=True)
class _Rule:
    """One HTTP rule of a method, as far as the filter knows it."""

    verb: str
    path: str
    message: Descriptor | None
    """What the body is; None without one."""
    root: str
    """The field of the request that the body is, where it is no more than that."""
    elsewhere: list[FieldDescriptor]
    """Those that the path and the body say, so that the query must not."""

    def table(self) -> str:
        names = [f"{name} = true" for field in self.elsewhere for name in _names(field)]
        parts = [
            f'verb = "{self.verb}", path = "{_pattern(self.path)}"',
            f"elsewhere = {{{', '.join(dict.fromkeys(names))}}}",
            *([f'message = "{self.message.full_name}"'] if self.message else []),
            *([f'root = "{self.root}"'] if self.root else []),
        ]
        return f"{{{', '.join(parts)}}}"


def _rules(method: MethodDescriptor) -> Iterator[_Rule]:
    rule: HttpRule = method.GetOptions().Extensions[http]
    fields = method.input_type.fields_by_name
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb is None:
            continue
        path: str = getattr(binding, verb)
        root = binding.body.strip("*")
        elsewhere = [fields[name] for name in (*_VARIABLE.findall(path), root) if name]
        yield _Rule(verb.upper(), path, _message(method, binding.body), root, elsewhere)


def _message(method: MethodDescriptor, body: str) -> Descriptor | None:
    """The message that a rule's `body` stands for."""
    if body in ("", "*"):
        return method.input_type if body else None
    return method.input_type.fields_by_name[body].message_type


def _pattern(path: str) -> str:
    """A path template as a Lua pattern: a variable is one segment."""
    segments = ["[^/]+" if "{" in part else _escaped(part) for part in path.split("/")]
    return "^" + "/".join(segments) + "/?$"


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() else f"%{char}" for char in text)


def _fields(message: Descriptor) -> str:
    """Every name by which JSON may call a field, and the shape of its value."""
    return ", ".join(
        f"{name} = {_shape(field)}" for field in message.fields for name in _names(field)
    )


def _names(field: FieldDescriptor) -> list[str]:
    return list(dict.fromkeys((field.name, field.json_name)))


def _shape(field: FieldDescriptor) -> str:
    """A Lua table: what is inside an object or a list; empty for what is neither.

    A contract with google.protobuf.Struct or its like, whose JSON is any object, is not foreseen.
    """
    inner = nested(field)
    one = "{}" if inner is None else f'{{message = "{inner.full_name}"}}'
    if is_map(field):
        return f"{{values = {one}}}"
    return f"{{elements = {one}}}" if field.is_repeated else one
