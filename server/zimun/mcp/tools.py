"""The tools, and calls of their methods; the gateway writes `tools.json` from the contract."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from zimun.domain.catalog.entries import McpAccess
from zimun.domain.errors import InvalidRequest
from zimun.domain.identity import Caller
from zimun.rpc import validation
from zimun.rpc.local_calls import Headers, LocalCalls

Json = dict[str, Any]

KEY = "idempotency_key"
"""The argument that becomes the Idempotency-Key."""

_KEY_CHARACTERS = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what agents are told of it, and the paths of its methods by argument.

    The first method whose argument is given is called, else that of "".
    """

    definition: Json
    methods: Mapping[str, str]
    scope: str

    @property
    def name(self) -> str:
        """The name by which agents call it."""
        return str(self.definition["name"])

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.scope.endswith(":write")

    def is_open_to(self, scopes: frozenset[str], access: McpAccess) -> bool:
        """Whether a token with these scopes may call it."""
        return self.scope in scopes and (access is McpAccess.READ_WRITE or not self.changes)


@dataclass(frozen=True, slots=True)
class Agent:
    """The caller of a request: the verified token, what it may do, and how its calls are made.

    `deadline` is the time of the event loop at which they are cancelled.
    """

    caller: Caller
    access: McpAccess
    headers: Headers
    deadline: float


@cache
def load() -> Sequence[Tool]:
    """All tools, in the order in which agents are told of them."""
    scopes = validation.required_scopes()
    text = files(__package__).joinpath("tools.json").read_text("utf-8")
    return [
        Tool(entry["tool"], entry["methods"], scopes[next(iter(entry["methods"].values()))])
        for entry in json.loads(text)
    ]


def scopes() -> frozenset[str]:
    """Every scope that a tool requires."""
    return frozenset(tool.scope for tool in load())


def missing_scope(message: Json, granted: frozenset[str], access: McpAccess) -> str:
    """The scope with which a token could call the tool of a message; empty if it lacks none."""
    name = message.get("params", {}).get("name")
    called = [tool for tool in load() if tool.name == name and message["method"] == "tools/call"]
    needed = (tool.scope for tool in called if tool.is_open_to(frozenset([tool.scope]), access))
    return next((scope for scope in needed if scope not in granted), "")


async def call(tool: Tool, arguments: Json, agent: Agent, calls: LocalCalls) -> Json:
    """The answer of a tool as its output schema says.

    Raises CallRefused and InvalidRequest.
    """
    path = next(
        (path for name, path in tool.methods.items() if name in arguments), tool.methods[""]
    )
    request, response = _messages(path)
    fields = {name: value for name, value in arguments.items() if name != KEY}
    try:
        json_format.ParseDict(fields, request)
    except json_format.ParseError as error:
        raise InvalidRequest({"arguments": str(error).partition("\n")[0]}) from error
    headers = agent.headers
    if tool.changes:
        headers = [*headers, ("idempotency-key", _key(arguments))]
    response.ParseFromString(
        await calls.call(path, request.SerializeToString(), headers, agent.deadline)
    )
    pruned: Json = _pruned(as_json(response), tool.definition["outputSchema"])
    return pruned


def as_json(message: Message) -> Json:
    """A message as the JSON API writes it."""
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _key(arguments: Json) -> str:
    key = arguments.get(KEY)
    if not isinstance(key, str) or not _KEY_CHARACTERS.fullmatch(key):
        raise InvalidRequest({KEY: "must be 1 to 255 printable ASCII characters without blanks"})
    return key


def _messages(path: str) -> tuple[Message, Message]:
    """An empty request and an empty response of a method."""
    service, _, name = path[1:].partition("/")
    method = Default().FindServiceByName(service).methods_by_name[name]
    make = message_factory.GetMessageClass
    return make(method.input_type)(), make(method.output_type)()


def _pruned(value: Any, schema: Json) -> Any:
    """A value without the fields that its schema does not have."""
    if isinstance(value, list) and "items" in schema:
        return [_pruned(part, schema["items"]) for part in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return value
    return {
        name: _pruned(part, properties[name]) for name, part in value.items() if name in properties
    }
