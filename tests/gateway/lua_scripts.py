"""The Lua scripts of strict requests in LuaJIT, with the real contract and a simulated Envoy."""

from typing import Any

from lupa.luajit21 import LuaRuntime  # type: ignore[import-untyped]

from zimun_gateway import Settings
from zimun_gateway.strict_requests import strict_body_filter

from ..support.gateway import DESCRIPTORS

HANDLE = """
local Headers, Body, Metadata, Handle = {replace = rawset}, {}, {}, {}
Headers.__index, Body.__index, Metadata.__index, Handle.__index = Headers, Body, Metadata, Handle
function Headers:get(name) return self[name] end
function Headers:remove(name) self[name] = nil end
function Body:length() return #self.text end
function Body:getBytes(start, length) return self.text:sub(start + 1, start + length) end
function Body:setBytes(text) self.text = text; return #text end
function Metadata:get(name) return self[name] end
function Metadata:set(name, key, value) self[name] = {[key] = value} end
function Handle:streamInfo() return self end
function Handle:dynamicMetadata() return self.metadata end
function Handle:headers() return self.header end
function Handle:body() return self.content end
function Handle:respond(headers, text) self.refusal, self.refused = text, headers end

local function handle(headers, text)
  return setmetatable({
    header = setmetatable(headers, Headers),
    content = text and setmetatable({text = text}, Body),
    metadata = setmetatable({}, Metadata),
  }, Handle)
end

local function request(method, path, text)
  local sent = handle({[":method"] = method, [":path"] = path}, text)
  envoy_on_request(sent)
  return sent
end

local function response(headers, text, root)
  local answered = handle(headers, text)
  if root then answered.metadata:set("zimun", "root", root) end
  envoy_on_response(answered)
  return answered
end
"""


def run_scripts(*names: str, after: str = "") -> Any:
    """The functions of these names, from the scripts, HANDLE and `after`, Lua that follows them."""
    source = strict_body_filter(Settings(descriptors=DESCRIPTORS))["typed_config"]
    script = source["default_source_code"]["inline_string"]
    functions = ", ".join(f"{name} = {name}" for name in names)
    return LuaRuntime().execute(f"{script}\n{HANDLE}\n{after}\nreturn {{{functions}}}")
