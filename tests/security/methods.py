"""Every method of the contract, found in the compiled descriptors, and a request it accepts."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.message import Message

import zimun.v1
from zimun.v1 import options_pb2

from ..support.answers import Json


@dataclass(frozen=True)
class HttpRequest:
    """A request as Envoy takes it, before it is written as JSON."""

    verb: str
    url: str
    body: object | None


@dataclass(frozen=True)
class Method:
    """One RPC: where it is in gRPC and in HTTP, its messages, and the scope it needs."""

    path: str
    verb: str
    url_template: str
    body_field: str
    scope: str
    request: type[Message]
    response: type[Message]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def to_http(self, request: Json) -> HttpRequest:
        """The HTTP request that stands for a message given as JSON; see google.api.http."""
        rest = dict(request)
        url = re.sub(r"\{([^}]+)\}", lambda found: _take_path(rest, found[1]), self.url_template)
        if self.body_field == "*":
            return HttpRequest(self.verb, url, rest)
        body = rest.pop(self.body_field, {}) if self.body_field else None
        query = urlencode([*_flatten("", rest)])
        return HttpRequest(self.verb, f"{url}?{query}" if query else url, body)


def _take_path(request: Json, name: str) -> str:
    """Remove the field `a` or `a.b` from a request; its value as a segment of a path."""
    outer, _, inner = name.partition(".")
    if not inner:
        return _segment(request.pop(outer, ""))
    if not isinstance(message := request.get(outer, {}), dict):
        return _segment(message)
    request[outer] = {key: value for key, value in message.items() if key != inner}
    return _segment(message.get(inner, ""))


def _segment(value: object) -> str:
    """A value in a path; an empty one would be no segment."""
    return quote(str(value), safe="", errors="surrogatepass") or "%20"


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    """The query parameters that stand for a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _flatten(prefix, inner)
    elif isinstance(value, bool):
        yield prefix, str(value).lower()
    else:
        yield prefix, str(value)


def _read(descriptor: Any) -> Method:
    rule = descriptor.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return Method(
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        verb.upper(),
        getattr(rule, verb),
        rule.body,
        descriptor.GetOptions().Extensions[options_pb2.required_scope],
        message_factory.GetMessageClass(descriptor.input_type),
        message_factory.GetMessageClass(descriptor.output_type),
    )


def _published() -> Iterator[Method]:
    for module in pkgutil.iter_modules(zimun.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file: Any = importlib.import_module(f"zimun.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from map(_read, service.methods)


METHODS = {method.name: method for method in _published()}
"""Every method by its name."""
