"""The logged path of a request: its template in the contract.

What the contract does not name is `*`: identifiers, and unknown words. A
query is left out. So `/api/v1/appointments/a_1?x=y` is logged as `/api/v1/appointments/*`.
"""

from collections.abc import Iterator
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule

from .config import Config, extension
from .descriptor_set import methods
from .routes import HEALTH, PUBLISHED, REFLECTIONS
from .settings import Settings

_METADATA = "zimun.log"
_SEGMENTS = 8

_SCRIPT = """
function envoy_on_request(handle)
  local path = (handle:headers():get(":path") or ""):match("^[^?#]*")
  local template = {}
  for segment in path:gmatch("[^/]+") do
    template[#template + 1] = NAMED[segment] and segment or "*"
    if #template == SEGMENTS then break end
  end
  local text = "/" .. table.concat(template, "/")
  handle:streamInfo():dynamicMetadata():set("METADATA", "path", text)
end
"""

LOGGED_PATH = f"%DYNAMIC_METADATA({_METADATA}:path)%"
"""The log's operator; nothing for a request that was refused before any filter saw it."""


def log_path_filter(settings: Settings) -> Config:
    """The first filter of all, so that every refusal has its path."""
    names = "".join(f'["{name}"]=true,' for name in sorted(_named(settings.descriptors)))
    script = _SCRIPT.replace("SEGMENTS", str(_SEGMENTS)).replace("METADATA", _METADATA)
    return extension(
        "zimun.log_path",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": f"local NAMED = {{{names}}}\n{script}"},
        stat_prefix="log_path",
    )


def _named(descriptors: Path) -> set[str]:
    """Every segment of a path that the contract, or a standard behind it, writes out."""
    grpc = (HEALTH, "Check", "Watch", *REFLECTIONS, "ServerReflectionInfo")
    standard = ("oauth", "token", "o", "mcp", *grpc)
    segments = {segment for path in PUBLISHED for segment in path.split("/")}
    return {name for name in (segments | set(standard) | set(_path_words(descriptors))) if name}


def _path_words(descriptors: Path) -> Iterator[str]:
    for method in methods(descriptors):
        yield method.containing_service.full_name
        yield method.name
        rule: HttpRule = method.GetOptions().Extensions[http]
        for binding in (rule, *rule.additional_bindings):
            path = getattr(binding, binding.WhichOneof("pattern") or "get")
            yield from (part for part in path.split("/") if "{" not in part)
