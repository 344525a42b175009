"""Lint of the Lua scripts by their bytecode: no name is misspelt, and no variable is global by
mistake. A script is compiled as Envoy compiles it, by LuaJIT."""

from collections.abc import Iterator
from typing import Any

import pytest
from lupa.luajit21 import LuaRuntime  # type: ignore[import-untyped]

from zimun_gateway import Settings, build

from ..support.gateway import DESCRIPTORS, LOG_RATE

ENTRY_POINTS = {"envoy_on_request", "envoy_on_response"}
"""The functions that Envoy calls (HTTP Lua filter)."""

OF_ENVOY = {"EnvoyTimestampResolution"}
"""The globals that Envoy defines."""

GLOBALS_OF = """
local util, bit = require("jit.util"), require("bit")
local function opcode(f, pc) return bit.band(util.funcbc(f, pc), 0xff) end
local READ = opcode(loadstring("return x"), 1)
local WRITE = opcode(loadstring("x = nil"), 2)

local function scan(f, names)
  for pc = 1, util.funcinfo(f).bytecodes - 1 do
    local instruction = util.funcbc(f, pc)
    local code = bit.band(instruction, 0xff)
    local kind = code == READ and "read" or code == WRITE and "written"
    if kind then names[kind][util.funck(f, -bit.rshift(instruction, 16) - 1)] = true end
  end
  for n = 1, util.funcinfo(f).gcconsts do
    local constant = util.funck(f, -n)
    if type(constant) == "proto" then scan(constant, names) end
  end
  return names
end

return function(source) return scan(assert(loadstring(source)), {read = {}, written = {}}) end
"""


def globals_of(source: str) -> tuple[set[str], set[str]]:
    """The global names that a script reads, beside those of Lua, and that it writes."""
    lua: Any = LuaRuntime()
    names = lua.execute(GLOBALS_OF)(source)
    return {name for name in names.read if name not in lua.globals()}, set(names.written)


def scripts(node: object) -> Iterator[str]:
    """Every script in a part of the configuration."""
    if isinstance(node, dict):
        if source := node.get("default_source_code"):
            yield source["inline_string"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from scripts(part)


SCRIPTS = list(scripts(build(Settings(descriptors=DESCRIPTORS, log_rate=LOG_RATE))))


@pytest.mark.parametrize("source", SCRIPTS, ids=range(len(SCRIPTS)))
def test_a_script_has_no_globals_but_the_functions_that_envoy_calls(source: str) -> None:
    read, written = globals_of(source)
    assert written
    assert written <= ENTRY_POINTS
    assert read <= written | OF_ENVOY


def test_all_scripts_are_checked_and_a_misspelt_name_is_seen() -> None:
    assert len(SCRIPTS) == 3
    assert globals_of("local function f() return lenght(g) end local g = 1 count = f() + #'a'") == (
        {"lenght", "g"},
        {"count"},
    )
