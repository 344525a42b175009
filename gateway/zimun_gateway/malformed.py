"""Names the field that a refused request got wrong, in the words and the shape of the server.

Envoy's transcoder tells it only in the text of its answer ("seats: invalid value ..."), which no
setting can take apart. So a Lua hook rewrites the answers that carry the MARK of `errors.py`, and
leaves all others alone after one look at their headers. Of the text it keeps the field's name and
nothing else: the rest is the caller's own input, type names, and whatever Envoy says next year.

The text reaches the hook as Envoy wrote it into JSON, and the name is put into JSON again without
being decoded: escaped it was, escaped it stays.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

from .contract import methods, written
from .errors import MARK, body

NO_OBJECT = "the body must be a JSON object"

_TYPES = {
    "TYPE_STRING": "must be a string",
    "TYPE_BOOL": "must be true or false",
    "TYPE_INT32": "must be a whole number of 32 bits",
    "TYPE_INT64": "must be a whole number of 64 bits",
    "type.googleapis.com/google.protobuf.Timestamp": (
        "must be a timestamp of RFC 3339, such as 2026-02-20T10:00:00Z"
    ),
    "type.googleapis.com/google.protobuf.Duration": (
        "must be a duration in seconds, such as 1800s"
    ),
    "type.googleapis.com/google.protobuf.FieldMask": "must be field names separated by commas",
}
"""By what the transcoder calls a type; what the contract has besides is added to them."""

_HOOK = r"""
-- A caller's own name for a field: whole characters and escapes, 64 bytes of them at the most.
local function short(name)
  local stop = 1
  while #name > 64 do
    local after = name:match("^\\u%x%x%x%x()", stop) or name:match("^\\.()", stop)
      or name:match("^[^\\][\128-\191]*()", stop)
    if not after or after > 65 then return name:sub(1, stop - 1) end
    stop = after
  end
  return name
end

-- The field and what is wrong with it, from the text of a refusal; nil if it is about no field.
-- The transcoder names fields as the request has them; where the body is its field `root`, callers
-- know them by what follows.
local function violation(text, root)
  local why, unknown = text:match("^field ([%w ]+): (.*)$")
  if why then return short(unknown), why end
  unknown = text:match("^Could not find field (.*) in the type ")
  if unknown then
    unknown = unknown:match('^\\"(.*)\\"$') or unknown:match("^\\u0022(.*)\\u0022$")
    return short(unknown), "is unknown"
  end
  local parent = text:match('^Encountered a non%-leaf field \\"([%w_]+)\\"')
  if parent then return parent, "has no fields of its own" end
  local twice = text:match("^The binding value .* of the field ([%w_.]+) is conflicting with ")
  if twice then return twice, "has another value in the path or the query" end
  local field = text:match("^([%w_][%w_.%[%]]*): ")
  if not field then return nil end
  if root and field:sub(1, #root + 1) == root .. "." then field = field:sub(#root + 2) end
  -- An element of a list ends with its number, a value in a map with "[number].value".
  local whole = field:gsub("%]%.value$", "]"):gsub("%[%d+%]$", "")
  why = TYPES[text:match(".* for type (%S+)$")] or "is malformed"
  return whole:gsub("%[%d+%]", ""), (whole == field and "" or "each value ") .. why
end

local function answer(text, root)
  local field, why = violation(text, root)
  if field then return (INVALID_FIELD:gsub("%$(%a+)", {field = field, why = why})) end
  local message = text
  if text ~= NO_OBJECT then
    message = "the request cannot be understood: " .. text:match("^[%w ,.:}_'-]*")
  end
  return (REQUEST_REFUSED:gsub("%$(%a+)", {message = message}))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if not headers:get(MARK) then return end
  headers:remove(MARK)
  -- What the connection's buffer cannot hold would become a 500; it stays as Envoy wrote it.
  if (tonumber(headers:get("content-length")) or 0) > 30000 then return end
  local body = handle:body()
  local text = body and body:getBytes(0, body:length()):match('"message":"(.*)"}%s*$')
  if not text then return end
  local seen = handle:streamInfo():dynamicMetadata():get("zimun") or {}
  handle:headers():replace("content-length", body:setBytes(answer(text, seen.root)))
end
"""


def naming_hook(descriptors: Path) -> str:
    """Lua for the filter of the JSON route."""
    texts = {
        "MARK": MARK,
        "NO_OBJECT": NO_OBJECT,
        "INVALID_FIELD": _invalid_field(),
        "REQUEST_REFUSED": _refused(),
    }
    types = dict(_own_types(descriptors)) | _TYPES
    return "\n".join(
        [
            *(f"local {name} = [=[{text}]=]" for name, text in texts.items()),
            "local TYPES = {",
            *(f'  ["{name}"] = "{why}",' for name, why in sorted(types.items())),
            "}",
            _HOOK.strip(),
            "",
        ]
    )


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
    """All but the one that stands for none (AIP-126)."""
    return ", ".join(value.name for value in enum.values if value.number != 0)
